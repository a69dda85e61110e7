import numpy as np
import pytest
import torch

from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.targets import IGNORED, strata
from reswork.errors import InvalidSetting


def with_masks(train: int = 6, test: int = 3, classes: int = 3) -> Dataset:
    """Masks in which each image shows background (0) and one class, and one row is ignored."""
    splits = []
    for count in (train, test):
        masks = torch.zeros(count, 5, 4, dtype=torch.uint8)
        masks[:, 2:4] = (1 + torch.arange(count) % (classes - 1)).view(-1, 1, 1)
        masks[:, 4] = IGNORED
        splits.append(Split(torch.zeros(count, 3, 5, 4, dtype=torch.uint8), masks))
    names = ("ground", *(f"thing {number}" for number in range(1, classes)))
    return Dataset("made", *splits, names, (0.5,) * 3, (0.5,) * 3, "Made up")


def images(count: int = 2) -> torch.Tensor:
    return torch.zeros(count, 3, 5, 4, dtype=torch.uint8)


def test_a_split_knows_its_kind_and_gives_its_targets_by_that_name_only() -> None:
    labelled, masked = Split(images(), torch.tensor([0, 1])), with_masks().train
    assert (labelled.target_kind, masked.target_kind) == ("labels", "masks")
    assert labelled.labels is labelled.targets
    assert masked.masks is masked.targets
    with pytest.raises(InvalidSetting, match="the targets are masks, and this needs labels"):
        _ = masked.labels
    with pytest.raises(InvalidSetting, match="the targets are labels, and this needs masks"):
        _ = labelled.masks


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (
            torch.zeros(2).double(),
            "targets of type torch.float64 and shape (2,): give labels, torch.int64, (N,), masks",
        ),
        (torch.zeros(2, 5, 4, dtype=torch.int64), "targets of type torch.int64 and shape (2, 5, 4)"),
        (torch.zeros(2, 1, 5, 4, dtype=torch.uint8), "target images of (1, 5, 4) for images of (3, 5, 4)"),
        (torch.zeros(3, 5, 4, dtype=torch.uint8), "3 masks for 2 images"),
        (
            torch.zeros(2, 4, 5, dtype=torch.uint8),
            "masks of 4x5 pixels for images of 5x4: give both one size",
        ),
    ],
)
def test_what_is_no_target_is_named(targets: torch.Tensor, sentence: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Split(images(), targets)
    assert sentence in caught.value.message


def test_a_data_set_of_masks_refuses_numbers_without_a_class_all_ignored_mixed_kinds_and_too_many_classes() -> (
    None
):
    whole = with_masks()
    wrong = Split(images(), torch.full((2, 5, 4), 3, dtype=torch.uint8))
    ignored = Split(images(), torch.full((2, 5, 4), IGNORED, dtype=torch.uint8))
    labelled = Split(images(), torch.tensor([0, 1]))
    many = tuple(str(number) for number in range(256))
    for train, test, classes, sentence in (
        (
            wrong,
            whole.test,
            whole.classes,
            "masks from 0 to 3 in the train split: 3 classes have the numbers 0 to 2",
        ),
        (whole.train, ignored, whole.classes, "every pixel of the test split is ignored"),
        (whole.train, labelled, whole.classes, "training images have masks and test images labels"),
        (whole.train, whole.test, many, "256 classes of pixels: a mask has the numbers 0 to 254"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            Dataset("made", train, test, classes, whole.mean, whole.std, "Made up")
        assert sentence in caught.value.message


def test_class_counts_are_pixels_without_the_ignored_ones() -> None:
    data = with_masks()
    assert data.target_kind == "masks"
    assert data.class_counts("train").tolist() == [6 * 8, 3 * 8, 3 * 8]
    assert data.class_counts("test").tolist() == [3 * 8, 2 * 8, 1 * 8]


def test_texts_of_masks() -> None:
    data = with_masks()
    assert repr(data) == "Dataset('made', 6 + 3 images 3x5x4, 3 classes of pixels, on cpu)"
    assert repr(data.train) == "Split(6 images 3x5x4 with masks, on cpu)"
    assert data.summary() == (
        "made: 6 training and 3 test images, colour, 5x4 pixels, 3 classes of pixels, from 20.0% (thing 1) to "
        "40.0% (ground) of the training pixels, 20.0% ignored. Made up."
    )


def test_fingerprint_sees_every_pixel_of_a_mask() -> None:
    data, changed = with_masks(), with_masks()
    assert data.fingerprint == changed.fingerprint
    changed.test.masks[2, 0, 0] = 1
    assert (
        with_masks().fingerprint
        != Dataset(
            "made", changed.train, changed.test, changed.classes, changed.mean, changed.std, "Made up"
        ).fingerprint
    )


def test_strata_are_the_rarest_class_that_a_mask_shows() -> None:
    masks = torch.zeros(4, 2, 4, dtype=torch.uint8)
    masks[1, 0] = 1
    masks[2] = torch.tensor([[1, 1, 1, 2], [IGNORED] * 4], dtype=torch.uint8)
    masks[3] = IGNORED
    assert strata("masks", masks, 3).tolist() == [0, 1, 2, 0]


def test_a_part_of_the_images_has_its_own_masks_and_the_classes_in_proportion() -> None:
    data = with_masks(train=40, test=20)
    data.train.images[:, 0, 0, 0] = torch.arange(40, dtype=torch.uint8)
    part = data.subset(train=10, seed=1)
    chosen = part.train.images[:, 0, 0, 0].long()
    assert torch.equal(part.train.masks, data.train.masks[chosen])
    assert np.bincount(part.train.masks[:, 2, 0]).tolist() == [0, 5, 5]
    assert len(part.test) == 20
