"""What fixes do to data, on digits whose truth is known."""

from dataclasses import replace

import pytest
import torch

import reswork as rw
from reswork.datasets.dataset import Dataset, Split
from reswork.diagnosis.data_facts import neighbour_votes, renamed
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
