"""Drawn plates, fashion with a class held out, folders of good and bad images, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reswork.datasets import DEFECTS, anomalies, defects, fashion, load, odd_fashion
from reswork.errors import InvalidSetting
from tests.datasets.image_files import encoded, write


def mask(rows: slice = slice(2, 5)) -> bytes:
    white = np.zeros((8, 8), np.uint8)
    white[rows, 3:6] = 255
    return encoded(Image.fromarray(white))


def test_plates_are_equal_for_equal_seeds_and_each_defect_has_its_mask() -> None:
    data, again = (defects(train=30, test=40, size=24, seed=3) for _ in range(2))
    assert data.fingerprint == again.fingerprint and data.task == "anomalies"
    bad = (data.test.masks != 0).flatten(1).any(1)
    kinds = data.extras["test_defects"]
    assert torch.equal(bad, kinds > 0) and kinds.unique().tolist() == [0, 1, 2, 3, 4] and len(DEFECTS) == 4
    assert not data.train.masks.any()
    sizes = data.test.masks.flatten(1).sum(1)
    assert (sizes[bad] > 4).all() and (sizes < 24 * 24 / 8).all()
    assert "20 of the test images are bad" in data.summary() and "Simulated" in data.source
    assert load("defects").name == "defects" and load("odd-fashion").task == "anomalies"


def test_a_class_of_fashion_is_held_out() -> None:
    data = odd_fashion("Sandal", train=200, test=60)
    bad = (data.test.masks != 0).flatten(1).any(1)
    assert (len(data.train), len(data.test), int(bad.sum())) == (200, 60, 20)
    assert data.test.masks.unique().tolist() == [0, 255]
    whole = fashion()
    sandals = {bytes(image.numpy().data) for image in whole.test.images[whole.test.labels == 5]}
    assert [bytes(image.numpy().data) in sandals for image in data.test.images] == bad.tolist()
    with pytest.raises(InvalidSetting, match="'Hat' is no class of fashion"):
        odd_fashion("Hat")
    with pytest.raises(InvalidSetting, match="test=5"):
        odd_fashion(test=5)
    for setting in ({"train": 1}, {"test": 4}, {"size": 8}):
        with pytest.raises(InvalidSetting, match="choose a whole number"):
            defects(**setting)


def test_folders_as_mvtec_has_them(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, f"train/good/{number:03}.png")
    for number in range(2):
        write(tmp_path, f"test/good/{number:03}.png")
        for kind in ("crack", "stain"):
            write(tmp_path, f"test/{kind}/{number:03}.png")
    write(tmp_path, "ground_truth/crack/000_mask.png", mask())
    write(tmp_path, "ground_truth/stain/000_mask.png", mask(slice(6, 8)))
    write(tmp_path, "ground_truth/stain/007_mask.png", mask())
    write(tmp_path, "ground_truth/crack/001_mask.png", mask(slice(0, 0)))
    data = anomalies(tmp_path)
    assert (len(data.train), len(data.test)) == (4, 6) and data.classes == ("good", "bad")
    masks = data.test.masks
    assert not masks[:2].any() and masks[2, 2:5, 3:6].all() and masks[2].sum() == 9
    assert (masks[3] == 255).all() and masks[4, 6:8, 3:6].all() and (masks[5] == 255).all()
    reasons = {each.path: each.reason for each in data.skipped}
    assert "no bad image" in reasons["ground_truth/stain/007_mask.png"]
    assert "without a white pixel" in reasons["ground_truth/crack/001_mask.png"]
    assert "2 of 4 bad images have a mask" in data.summary()


def test_good_and_bad_alone_are_enough(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, f"good/{number}.png")
    write(tmp_path, "bad/a.png")
    write(tmp_path, "masks/a.png", mask())
    write(tmp_path, "good/broken.png", b"no picture")
    data = anomalies(tmp_path)
    assert (len(data.train), len(data.test)) in ((8, 3), (9, 2))
    assert data.test.masks[-1].sum() == 9 and data.skipped[0].path == "good/broken.png"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "no images are there"),
        (tuple(f"good/{number}.png" for number in range(5)), "0 bad images in the test"),
        (("bad/1.png", "bad/2.png"), "no folder is called good"),
        (("1.png", "2.png"), "no folder is called good"),
        (("train/good/1.png", "train/odd/2.png"), "train/odd/2.png is to be learned from"),
        (("good/1.png", "good/2.png", "bad/1.png"), "0 good images in the test"),
        (("test/good/1.png", "test/bad/1.png"), "0 good images to learn from"),
    ],
)
def test_folders_that_lack_something_are_told_in_a_sentence(
    tmp_path: Path, names: tuple[str, ...], sentence: str
) -> None:
    for name in names:
        write(tmp_path, name)
    with pytest.raises(InvalidSetting, match=sentence):
        anomalies(tmp_path)
    with pytest.raises(InvalidSetting, match="choose a number between 0 and 1"):
        anomalies(tmp_path, test_fraction=0)
