"""Drawn faces, folders by identity, lists of pairs, and what is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.datasets import drawn_faces, identities, load
from reswork.errors import InvalidSetting
from tests.datasets.image_files import encoded, picture, write


def people(root: Path, counts: dict[str, int], top: str = "") -> Path:
    for name, count in counts.items():
        for number in range(1, count + 1):
            write(root, f"{top}{name}/{name}_{number:04}.png")
    return root


FIVE = {"ann": 3, "bob": 2, "cy": 4, "dan": 2, "eve": 2}


def test_drawn_faces_are_equal_for_equal_seeds_and_nobody_is_in_both_splits() -> None:
    first, again, other = (drawn_faces(6, 3, 4, 24, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.train.images.shape == (24, 1, 24, 24) and first.task == "verification"
    assert not set(first.train.labels.tolist()) & set(first.test.labels.tolist())
    assert "6 identities to learn from and 3 others" in first.summary() and "Simulated" in first.source
    images, labels = first.train.images.float(), first.train.labels
    means = torch.stack([images[labels == k].mean(0) for k in range(6)])
    assert means.flatten(1).std(0).mean() > 5  # identities differ by more than noise
    assert load("drawn-faces").name == "drawn-faces"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"identities": 1}, "identities=1"), ({"test_identities": 0}, "test_identities=0"),
        ({"images": 1}, "images=1"), ({"size": 8}, "size=8"), ({"images": 2.5}, "images=2.5"),
    ],
)  # fmt: skip
def test_impossible_faces_are_refused(settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{sentence}: choose a whole number"):
        drawn_faces(**settings)


def test_a_folder_keeps_whole_identities_for_the_test(tmp_path: Path) -> None:
    data = identities(people(tmp_path / "crew", {**FIVE, "solo": 1}), seed=1)
    train, test = ({data.classes[k] for k in part.labels.tolist()} for part in (data.train, data.test))
    assert not train & test and len(test) == 2 and train | test <= {*FIVE, "solo"}
    assert data.train.labels.unique().tolist() == list(range(len(train)))
    assert len(data.train) + len(data.test) >= 12 and data.name == "crew"
    first = int((data.test.labels == data.test.labels[0]).nonzero()[0])
    named = data.classes[data.test.labels[first]]
    assert np.array_equal(
        data.test.images[first].permute(1, 2, 0), picture(sum(f"{named}/{named}_0001.png".encode()))
    )
    again = data.subset(test=3)
    assert again.task == "verification"


def test_folders_of_splits_and_a_zip_with_a_folder_around_everything(tmp_path: Path) -> None:
    people(tmp_path / "box", {"ann": 2, "bob": 3}, "train/")
    people(tmp_path / "box", {"cy": 2, "dan": 2}, "test/")
    data = identities(tmp_path / "box")
    assert data.classes == ("ann", "bob", "cy", "dan") and (len(data.train), len(data.test)) == (5, 4)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, count in FIVE.items():
            for number in range(count):
                archive.writestr(f"people/{name}/{number}.png", encoded(picture(number)))
        archive.writestr("people/ann/broken.png", b"no picture")
    packed = identities(tmp_path / "all.zip")
    assert len(packed.classes) == 5 and packed.skipped[0].path == "people/ann/broken.png"


@pytest.mark.parametrize("form", ["lfw", "csv"])
def test_a_list_of_pairs_says_who_is_in_the_test(tmp_path: Path, form: str) -> None:
    people(tmp_path / "crew", FIVE)
    if form == "lfw":
        text = "1\t2\nann\t1\t3\nbob\t1\t2\nann\t2\tbob\t1\n"
    else:
        lines = [("ann", 1, "ann", 3, 1), ("bob", 1, "bob", 2, "same"), ("ann", 2, "bob", 1, 0)]
        text = "first,second,same\n" + "".join(
            f"{a}/{a}_{i:04}.png,{b}/{b}_{j:04}.png,{same}\n" for a, i, b, j, same in lines
        )
    place = tmp_path / "pairs.txt"
    place.write_text(text)
    data = identities(tmp_path / "crew", pairs=place)
    assert data.classes == ("cy", "dan", "eve", "ann", "bob")
    pairs = data.extras["test_pairs"]
    assert pairs[:, 2].tolist() == [1, 1, 0]
    labels = data.test.labels[pairs[:, :2]]
    assert ((labels[:, 0] == labels[:, 1]) == (pairs[:, 2] == 1)).all()
    from reswork.experiment.look_alikes import verified
    from reswork.models.network import resnet
    from reswork.tasks import config_for

    found = verified(resnet(config_for(data, depth=8, width=2)), data)
    assert found.pairs.shape == (3, 2) and found.same.tolist() == [True, True, False]
    assert "test_pairs" not in data.subset(test=2).extras


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({}, "no images are there"),
        ({"ann": 3}, "1 identities have images"),
        ({"ann": 3, "bob": 2, "cy": 2}, "two to learn from and two others"),
        (dict.fromkeys("abcde", 1), "0 identities with two images or more"),
    ],
)
def test_too_few_identities_are_told_in_a_sentence(
    tmp_path: Path, counts: dict[str, int], sentence: str
) -> None:
    people(tmp_path, counts)
    with pytest.raises(InvalidSetting, match=sentence):
        identities(tmp_path)


def test_images_without_identity_and_identities_in_both_splits_are_refused(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "flat", f"{number}.png")
    with pytest.raises(InvalidSetting, match="lie in no folders: put them as <identity>/<image>"):
        identities(tmp_path / "flat")
    people(tmp_path / "both", {"ann": 2, "bob": 2}, "train/")
    people(tmp_path / "both", {"ann": 2, "cy": 2}, "test/")
    with pytest.raises(InvalidSetting, match="ann has images to learn from and images in the test"):
        identities(tmp_path / "both")
    with pytest.raises(InvalidSetting, match="choose a number between 0 and 1"):
        identities(tmp_path / "flat", test_fraction=1.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no pairs"),
        ("ann one two three four\n", "line 1 of pairs.txt is 'ann one two"),
        ("ann 1 9\n", "line 1 of pairs.txt names 'ann 9', and no such image is there"),
        ("ann/ann_0001.png,ann/ann_0002.png,0\n", "are different, and their folders ann and ann say the opposite"),
        ("ann 1 2\nbob 1 2\n", "are all of one kind"),
        ("".join(f"{a} 1 {b} 1\n" for a, b in ("ab", "bc", "cd", "de")), "names 'a 1'"),
        ("ann 1 2\nann 1 bob 1\ncy 1 dan 1\neve 1 2\n", "0 identities with two images or more are left"),
    ],
)  # fmt: skip
def test_pairs_that_do_not_fit_are_told_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    people(tmp_path / "crew", FIVE)
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(InvalidSetting, match=sentence):
        identities(tmp_path / "crew", pairs=tmp_path / "pairs.txt")
    (tmp_path / "pairs.bin").write_bytes(b"\xff\xfe\xfa" * 9)
    with pytest.raises(InvalidSetting, match="cannot be read as text"):
        identities(tmp_path / "crew", pairs=tmp_path / "pairs.bin")
