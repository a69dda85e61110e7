import numpy as np
import pytest
import torch

from reswork.datasets.dataset import Dataset, Skipped, Split, stratified_order
from reswork.datasets.inputs import channel_statistics
from reswork.errors import InvalidSetting


def made(train: int = 40, test: int = 20, classes: int = 4, **changes: object) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    splits = [
        Split(
            torch.randint(0, 256, (count, 3, 5, 4), dtype=torch.uint8, generator=generator),
            torch.arange(count) % classes,
        )
        for count in (train, test)
    ]
    names = tuple(f"class {number}" for number in range(classes))
    mean, std = channel_statistics(splits[0].images)
    return Dataset("made", *splits, names, mean, std, "Made up", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "labels", "field"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "images"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "images"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2).double(), "targets"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "targets"),
    ],
)
def test_split_refuses_what_it_cannot_hold(images: torch.Tensor, labels: torch.Tensor, field: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Split(images, labels)
    assert caught.value.field == field


def test_dataset_refuses_labels_without_a_class_one_class_and_empty_or_unequal_splits() -> None:
    whole = made()
    bad = Split(whole.train.images, whole.train.labels + 1)
    empty = Split(whole.test.images[:0], whole.test.labels[:0])
    small = Split(whole.test.images[:, :, :4], whole.test.labels)
    rest = (whole.mean, whole.std, "Made up")
    for train, test, classes, field in (
        (bad, whole.test, whole.classes, "labels"),
        (whole.train, empty, whole.classes, "test"),
        (whole.train, small, whole.classes, "test"),
        (whole.train, whole.test, ("only",), "classes"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            Dataset("made", train, test, classes, *rest)
        assert caught.value.field == field


def test_statistics_equal_a_plain_computation() -> None:
    data = made()
    floats = data.train.images.double() / 255
    assert data.mean == pytest.approx(floats.mean((0, 2, 3)).tolist())
    assert data.std == pytest.approx(floats.std((0, 2, 3), correction=0).tolist())


def test_a_constant_channel_has_a_deviation_that_can_be_divided_by() -> None:
    assert channel_statistics(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)) == ((0.2,), (1.0,))


def test_fingerprint_depends_on_content_and_not_on_name_or_layout() -> None:
    data = made()
    other_layout = Split(data.train.images.contiguous(memory_format=torch.channels_last), data.train.labels)
    same = Dataset("other", other_layout, data.test, data.classes, data.mean, data.std, "Elsewhere")
    changed = made()
    changed.train.images[3, 0, 0, 0] ^= 1
    assert data.fingerprint == same.fingerprint
    assert data.fingerprint != changed.fingerprint
    assert len(data.fingerprint) == 64


def test_moving_keeps_everything_and_copies_nothing_that_is_there() -> None:
    data = made(extras={"train_boxes": torch.zeros(40, 4)})
    _ = data.fingerprint
    moved = data.to("cpu")
    assert moved.train is data.train
    assert moved.__dict__["fingerprint"] == data.fingerprint
    assert moved.extras["train_boxes"] is data.extras["train_boxes"]


def test_subset_keeps_proportions_extras_and_order_and_depends_on_the_seed() -> None:
    numbers = torch.arange(40)
    data = made(extras={"train_number": numbers, "test_number": torch.arange(20)})
    part = data.subset(train=20, test=8, seed=1)
    assert part.class_counts("train").tolist() == [5, 5, 5, 5]
    assert part.class_counts("test").tolist() == [2, 2, 2, 2]
    chosen = part.extras["train_number"]
    assert torch.equal(part.train.images, data.train.images[chosen])
    assert torch.equal(chosen, chosen.sort().values)
    assert torch.equal(chosen, data.subset(train=20, seed=1).extras["train_number"])
    assert not torch.equal(chosen, data.subset(train=20, seed=2).extras["train_number"])
    assert (part.mean, part.std) == (data.mean, data.std)
    assert len(data.subset().train) == 40


def test_some_classes_are_numbered_anew_in_the_order_in_which_they_are_named() -> None:
    numbers = torch.arange(40)
    data = made(extras={"train_number": numbers, "test_number": torch.arange(20)})
    part = data.of_classes((data.classes[3], 1))
    assert part.classes == (data.classes[3], data.classes[1]) and part.name == f"{data.name}-3-1"
    chosen = part.extras["train_number"]
    assert torch.equal(part.train.images, data.train.images[chosen])
    wanted = data.train.labels[chosen]
    assert torch.equal(part.train.labels, (wanted == 1).long()) and set(wanted.tolist()) == {1, 3}
    assert (part.mean, part.std) == (data.mean, data.std)
    for wrong, words in (
        ((0, 9), "9 is no class"),
        (("x", 0), "'x' is no class"),
        ((0, 0), "names a class twice"),
    ):
        with pytest.raises(InvalidSetting, match=words):
            data.of_classes(wrong)


@pytest.mark.parametrize("size", [0, -1, 41])
def test_subset_refuses_impossible_sizes(size: int) -> None:
    with pytest.raises(InvalidSetting, match="choose 1 to 40"):
        made().subset(train=size)


def test_every_beginning_of_a_stratified_order_is_balanced() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    order = stratified_order(labels, seed=3)
    assert sorted(order) == list(range(100))
    assert np.bincount(labels[order[:50]]).tolist() == [30, 15, 5]


def test_the_order_is_the_same_in_every_version() -> None:
    assert stratified_order(np.arange(10) % 2, seed=0).tolist() == [2, 9, 8, 1, 4, 7, 6, 3, 0, 5]


def test_texts_name_what_there_is_and_what_was_skipped() -> None:
    skipped = tuple(Skipped(f"<b>{number}</b>.png", "truncated") for number in range(5))
    data = made(skipped=skipped, notes=("3 of 60 images had another size.",))
    assert repr(data) == "Dataset('made', 40 + 20 images 3x5x4, 4 classes, on cpu)"
    assert "\n" not in repr(data)
    assert data.summary() == (
        "made: 40 training and 20 test images, colour, 5x4 pixels, 4 classes with 10 training images each. "
        "Made up. 3 of 60 images had another size. 5 files were skipped (<b>0</b>.png: truncated; "
        "<b>1</b>.png: truncated; <b>2</b>.png: truncated; and 2 more in .skipped)."
    )


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(InvalidSetting, match="split='val' is not a split"):
        made().class_counts("val")  # type: ignore[arg-type]
