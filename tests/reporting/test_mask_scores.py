import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.classification import multiclass_jaccard_index

from reswork.datasets import normalise, scenes
from reswork.datasets.dataset import Dataset
from reswork.reporting.mask_scores import mask_scores, near_border
from reswork.reporting.report import report


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
    assert done == ["masks", "duplicates", "robustness"]
    assert "shift" not in found.robustness().corruptions
