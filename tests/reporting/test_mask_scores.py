import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.classification import multiclass_jaccard_index

from reswork.datasets import normalise, scenes
from reswork.datasets.dataset import Dataset
from reswork.reporting.mask_scores import mask_scores, near_border
from reswork.reporting.report import report
from reswork.reporting.slices import mask_slices


class Guess(nn.Module):
    """Some answer for each pixel, from its own colour."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, classes, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return scenes(train=8, test=12)


def test_iou_is_torchmetrics_in_all_by_class_and_by_image(data):
    model = Guess(len(data.classes))
    found = mask_scores(model, data, worst=3)
    with torch.no_grad():
        answer = model(normalise(data.test.images, data.mean, data.std)).argmax(1)
    target, wide = data.test.masks.long(), len(data.classes)
    wanted = multiclass_jaccard_index(answer, target, wide, average="none", ignore_index=255)
    known = ~np.isnan(found.iou)
    assert found.iou[known] == pytest.approx(wanted.numpy()[known], abs=1e-6)
    for row in range(len(target)):
        seen = sorted({*answer[row].unique().tolist(), *target[row].unique().tolist()} - {255})
        each = multiclass_jaccard_index(answer[row], target[row], wide, average="none", ignore_index=255)
        assert found.image_iou[row] == pytest.approx(float(each[seen].mean()), abs=1e-6)
    assert found.worst.tolist() == np.argsort(found.image_iou, kind="stable")[:3].tolist()
    assert np.array_equal(found.worst_answers, answer[found.worst].numpy())


def test_borders_are_those_of_an_obvious_loop():
    masks = torch.randint(0, 3, (2, 9, 11), dtype=torch.uint8).repeat_interleave(2, 2)
    masks[0, 2:4, 5:9] = 255
    found = near_border(masks, 1)
    for n, y, x in np.ndindex(*masks.shape):
        around = masks[n, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        values = set(around.unique().tolist()) - {255}
        assert bool(found[n, y, x]) == (len(values) > 1)


def test_a_model_that_is_wrong_along_borders_only(data):
    class Eroded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.at = 0
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            masks = data.test.masks[self.at : self.at + len(images)]
            self.at = (self.at + len(images)) % len(data.test)
            wrong = near_border(masks, 1)
            answer = torch.where(wrong, (masks.long() + 1) % len(data.classes), masks.long())
            return nn.functional.one_hot(answer, len(data.classes)).permute(0, 3, 1, 2).float() * 9

    found = mask_scores(Eroded(), data, border=1, worst=0)
    assert found.inside == 1.0 and found.boundary == 0.0 and 0 < found.boundary_share < 0.5


def test_larger_things_are_found_better_by_a_model_that_loses_small_ones(data):
    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            masks = data.test.masks[: len(images)].long()
            areas = nn.functional.one_hot(masks, len(data.classes)).float().mean((1, 2))  # (N, K)
            kept = areas.gather(1, masks.flatten(1)).view_as(masks) >= areas[:, 1:].max()
            answer = torch.where(kept | (masks == 0), masks, 0)
            return nn.functional.one_hot(answer, len(data.classes)).permute(0, 3, 1, 2).float() * 9

    found = mask_scores(Large(), data)
    assert np.nanmean(found.iou_by_size[1:, 2]) >= np.nanmean(found.iou_by_size[1:, 0])
    assert (found.area_borders[:, 0] <= found.area_borders[:, 1])[~np.isnan(found.area_borders[:, 0])].all()


def test_the_report_of_masks_has_what_fits_them(data):
    model = Guess(len(data.classes))
    found = report(model, data, robustness_images=6)
    assert found.metrics["mean_iou"] == pytest.approx(np.nanmean(found.masks().iou))
    done = list(found.fill())
    assert done == ["masks", "slices", "embedding", "outliers", "duplicates", "robustness"]
    assert "shift" not in found.robustness().corruptions


def test_slices_of_masks_find_the_small_objects_that_are_wrong():
    rng = np.random.default_rng(0)
    masks = np.zeros((400, 16, 16), np.uint8)
    sizes = rng.integers(2, 15, 400)
    for mask, size, label in zip(masks, sizes, rng.integers(1, 4, 400), strict=True):
        mask[:size, :size] = label
    masks[:, -1] = 255  # counts nowhere
    right = rng.random(400) > np.where(sizes < 5, 0.6, 0.05)
    images = rng.integers(0, 256, (400, 3, 16, 16)).astype(np.uint8)
    found = mask_slices(right, images, masks, None, ("ground", "a", "b", "c"), {})
    assert found.found[0].name == "size of the object: lowest fifth" and len(found) == 1
    assert (sizes[found.found[0].images] <= 5).all()


def test_a_report_on_masks_has_maps_and_slices(data):
    from reswork.models.config import ResNetConfig
    from reswork.models.network import unet

    torch.manual_seed(0)
    asked = report(unet(ResNetConfig(depth=8, width=2, num_classes=7)), data)
    assert asked.layers and asked.embedding().points.shape == (12, 2)
    assert asked.slices().rate == pytest.approx((~asked.masks().right).mean())
    assert asked.keep_slice("some", [0, 1]).errors == (~asked.masks().right[:2]).sum()
    new = asked.against(asked)
    assert {each.difference for each in new.metrics} == {0.0} and new.metrics[-1].name == "IoU of an image"
