import numpy as np
import pytest
import torch

from reswork.datasets import scenes, shapes
from reswork.datasets.drawing import _drawn, boxes_around
from reswork.errors import InvalidSetting


def test_counts_classes_and_seeds() -> None:
    data = shapes()
    assert (len(data.train), len(data.test), data.input_shape) == (2_000, 500, (3, 32, 32))
    assert data.class_counts("train").tolist() == [334, 334, 333, 333, 333, 333]
    few = [shapes(12, 6, seed=seed).fingerprint for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]


def test_boxes_are_the_smallest_around_the_masks() -> None:
    data = shapes(train=60, test=12)
    for split in ("train", "test"):
        for box, mask in zip(data.extras[f"{split}_boxes"], data.extras[f"{split}_masks"], strict=True):
            rows, columns = torch.where(mask)
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == [int(edge) for edge in expected]


def test_a_shape_lies_in_the_picture_and_differs_from_its_ground() -> None:
    data = shapes(train=600, test=6)
    masks, images = data.extras["train_masks"], data.train.images.float()
    assert masks.dtype == torch.bool
    assert masks.flatten(1).sum(1).min() >= 20
    inside = (images * masks[:, None]).sum((2, 3)) / masks.sum((1, 2))[:, None]
    outside = (images * ~masks[:, None]).sum((2, 3)) / (~masks).sum((1, 2))[:, None]
    assert (inside - outside).norm(dim=1).median() > 80


@pytest.mark.parametrize(("label", "holes"), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 0)])
def test_only_rings_have_a_hole_in_the_middle(label: int, holes: int) -> None:
    data = shapes(train=120, test=6)
    masks = data.extras["train_masks"][data.train.labels == label]
    boxes = data.extras["train_boxes"][data.train.labels == label]
    middle = ((boxes[:, :2] + boxes[:, 2:]) // 2).tolist()
    filled = [bool(mask[y, x]) for mask, (x, y) in zip(masks, middle, strict=True)]
    assert all(filled) if not holes else not any(filled)


@pytest.mark.parametrize("size", [16, 64])
def test_other_sizes(size: int) -> None:
    assert shapes(train=6, test=6, size=size).input_shape == (3, size, size)


def test_a_mask_of_one_pixel() -> None:
    mask = torch.zeros(1, 5, 7, dtype=torch.bool)
    mask[0, 2, 6] = True
    assert boxes_around(mask).tolist() == [[6, 2, 7, 3]]


@pytest.mark.parametrize("settings", [{"train": 0}, {"test": -1}, {"size": 8}, {"size": 1000}])
def test_refuses_impossible_settings(settings: dict[str, int]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        shapes(**settings)
    assert caught.value.field in settings


def test_scenes_have_one_to_four_shapes_in_every_class_and_depend_on_the_seed() -> None:
    data = scenes(train=120, test=24)
    assert data.fingerprint == scenes(train=120, test=24).fingerprint
    assert data.fingerprint != scenes(train=120, test=24, seed=1).fingerprint
    assert (data.input_shape, data.target_kind, len(data.classes)) == ((3, 64, 64), "masks", 7)
    shown = [len(set(mask.unique().tolist()) - {0}) for mask in data.train.masks]
    assert set(shown) == {1, 2, 3, 4}
    counts = data.class_counts("train") / data.train.masks.numel()
    assert counts.sum() == 1
    assert 0.7 < counts[0] < 0.9
    assert counts[1:].min() > 0.01


def test_a_scene_is_lighter_where_its_mask_has_a_shape() -> None:
    data = scenes(train=60, test=6)
    shape = (data.train.masks > 0)[:, None]
    images = data.train.images.float()
    inside = (images * shape).sum((1, 2, 3)) / (3 * shape.sum((1, 2, 3)))
    outside = (images * ~shape).sum((1, 2, 3)) / (3 * (~shape).sum((1, 2, 3)))
    assert (inside - outside).median() > 50


def test_the_shape_in_front_has_the_pixel() -> None:
    labels = np.array([[1, 0]] * 50)  # a square, then a circle before it
    _, masks = _drawn(labels, 32, (0.4, 0.41), np.random.RandomState(0))
    _, alone = _drawn(np.array([[0]] * 50), 32, (0.4, 0.41), np.random.RandomState(0))
    assert set(masks.unique().tolist()) == {0, 1, 2}
    circle_area, in_front = (alone == 1).sum((1, 2)), (masks == 1).sum((1, 2))
    assert (circle_area - in_front).abs().max() <= 25  # nothing of the circles is hidden, of the squares much
