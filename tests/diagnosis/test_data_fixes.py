"""What fixes do to data, on digits whose truth is known."""

from dataclasses import replace

import pytest
import torch

import reswork as rw
from reswork.datasets.augmentation import Augmentation, augment
from reswork.datasets.dataset import Dataset, Split
from reswork.diagnosis.data_facts import contrast_left, neighbour_votes, renamed
from reswork.diagnosis.data_rules import evenly_repeated, uncontradicted


@pytest.fixture(scope="module")
def data() -> Dataset:
    return rw.datasets.digits()


def test_neighbours_vote_as_a_plain_count_says(data: Dataset) -> None:
    asked, train = data.train.take(slice(0, 7)), data.train.take(slice(0, 300))
    pixels = train.images.double().flatten(1)
    for place, vote in enumerate(neighbour_votes(asked, train, 10).tolist()):
        order = [each for each in (pixels - pixels[place]).norm(dim=1).argsort().tolist() if each != place][
            :5
        ]
        counts = torch.bincount(train.labels[order], minlength=10)
        assert counts[vote] == counts.max()


def test_what_an_augmentation_leaves_is_what_can_be_counted_in_the_images() -> None:
    images = torch.full((200, 1, 8, 8), 7, dtype=torch.uint8)
    images[:, :, 2, 3] = 251  # 240.2 above the mean, and the 63 others 3.8 below it
    cut = Augmentation(cutout=5)
    changed = augment(images, cut, torch.Generator().manual_seed(0))
    bright, others = (
        float((changed == value).flatten(1).sum(1).float().mean() / count)
        for value, count in ((251, 1), (7, 63))
    )
    assert 0 < bright < 1 and contrast_left(images, cut) == pytest.approx(
        (63 * bright + others) / 64, abs=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({}, 1, 1),
        ({"flip": True}, 1, 1),
        ({"translate": 1}, 0.8, 0.95),
        ({"cutout": 2}, 0.9, 0.97),
        ({"cutout": 9}, 0.2, 0.4),
    ],
)
def test_a_gentle_augmentation_leaves_most(
    data: Dataset, changes: dict[str, int], low: float, high: float
) -> None:
    assert low <= contrast_left(data.train.images[:400], Augmentation(**changes)) <= high  # type: ignore[arg-type]


def test_images_of_one_grey_lose_nothing() -> None:
    assert contrast_left(torch.full((3, 1, 8, 8), 9, dtype=torch.uint8), Augmentation(cutout=6)) == 1.0


def test_renamed_test_labels_are_the_true_ones(data: Dataset) -> None:
    wrong = replace(data, test=Split(data.test.images, (data.test.labels + 1) % 10))
    assert torch.equal(renamed(wrong).test.labels, data.test.labels)
    assert torch.equal(renamed(data).test.labels, data.test.labels)


def test_contradicted_labels_go_and_most_others_stay(data: Dataset) -> None:
    labels = data.train.labels.clone()
    labels[::10] = (labels[::10] + 3) % 10
    cleaned = uncontradicted(replace(data, train=Split(data.train.images, labels))).train
    true = {
        image.numpy().tobytes(): int(label)
        for image, label in zip(data.train.images, data.train.labels, strict=True)
    }
    wrong = sum(
        true[image.numpy().tobytes()] != label
        for image, label in zip(cleaned.images, cleaned.labels.tolist(), strict=True)
    )
    assert wrong <= 3 and len(cleaned) > 0.8 * len(labels)


def test_rare_classes_are_shown_as_often_as_the_others(data: Dataset) -> None:
    few = (data.train.labels != 4).logical_or(torch.arange(len(data.train)) < 60)
    even = evenly_repeated(replace(data, train=data.train.take(few)))
    counts = even.class_counts()
    assert set(counts.tolist()) == {int(counts.max())}
    images = {image.numpy().tobytes() for image in even.train.images}
    assert images == {image.numpy().tobytes() for image in data.train.images[few]}
