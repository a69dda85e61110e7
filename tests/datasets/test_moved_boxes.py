"""Boxes after augmentation, compared with where their pixels went."""

import pytest
import torch

from reswork.datasets import Augmentation, Preparation, augment, augment_with_boxes, scattered
from reswork.datasets.dataset import Split
from reswork.datasets.drawing import boxes_around


def marked(count: int = 40, size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in which one box each is 200, and the boxes."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(2, size // 2, (count, 2), generator=generator)
    sides = torch.randint(3, size // 2, (count, 2), generator=generator)
    images = torch.full((count, 3, size, size), 9, dtype=torch.uint8)
    for image, (x, y), (width, height) in zip(images, corner.tolist(), sides.tolist(), strict=True):
        image[:, y : y + height, x : x + width] = 200
    edges = torch.cat([corner, corner + sides], 1).clamp(max=size)
    nothing = torch.tensor([0.0, 0, 0, 0, -1]).expand(count, 1, 5)
    return images, torch.cat([torch.cat([edges, torch.zeros(count, 1)], 1).unsqueeze(1).float(), nothing], 1)


@pytest.mark.parametrize("settings", [{"flip": True}, {"crop_padding": 6}, {"flip": True, "crop_padding": 9}])
def test_boxes_are_around_the_same_pixels(settings: dict) -> None:
    images, boxes = marked()
    augmentation = Augmentation(**settings)
    moved, after = augment_with_boxes(images, boxes, augmentation, torch.Generator().manual_seed(1))
    assert torch.equal(moved, augment(images, augmentation, torch.Generator().manual_seed(1)))
    found = boxes_around(moved[:, 0] == 200)
    area = (boxes[:, 0, 2:4] - boxes[:, 0, :2]).prod(1)
    for row, box in enumerate(after[:, 0].tolist()):
        left = float((moved[row, 0] == 200).sum() / area[row])
        if box[4] == -1:
            assert left < 0.3 and box[:4] == [0, 0, 0, 0]
        else:
            assert left >= 0.3 and box[:4] == found[row].tolist()
    assert (after[:, 1, 4] == -1).all() and (after[:, 0] != boxes[:, 0]).any(1).sum() > 10


def test_a_batch_is_moved_as_a_whole_and_without_augmentation_not_at_all() -> None:
    data = scattered(train=12, test=4, size=16)
    augmentation = Augmentation(flip=True, crop_padding=2, cutout=4)
    indices = torch.arange(12)
    for channels_last in (False, True):
        prepare = Preparation(data.train, (0.0,) * 3, (1.0,) * 3, augmentation, channels_last=channels_last)
        images, boxes = prepare(indices, torch.Generator().manual_seed(3))
        expected = augment_with_boxes(
            data.train.images, data.train.boxes, augmentation, torch.Generator().manual_seed(3)
        )
        torch.testing.assert_close(images * 255, expected[0].float())
        assert torch.equal(boxes, expected[1])
    assert torch.equal(Preparation(data.train, (0.0,) * 3, (1.0,) * 3)(indices)[1], data.train.boxes)
    assert isinstance(data.train, Split) and data.train.boxes[..., 4].max() < 6


def test_scattered_shapes_lie_in_their_boxes_and_hidden_ones_have_none() -> None:
    data = scattered(train=40, test=4, size=32, seed=2)
    again = scattered(train=40, test=4, size=32, seed=2)
    assert torch.equal(data.train.boxes, again.train.boxes) and torch.equal(
        data.train.images, again.train.images
    )
    there = data.train.boxes[..., 4] >= 0
    sides = (data.train.boxes[..., 2:4] - data.train.boxes[..., :2])[there]
    assert sides.min() >= 5 and sides.max() <= 2 * 0.28 * 32 + 2
    assert there.sum(1).min() >= 1 and there.sum(1).max() == 4
    bare = data.train.boxes[~there]
    assert (bare[:, :4] == 0).all() and (bare[:, 4] == -1).all()
