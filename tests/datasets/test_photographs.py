"""Photographs: pairs that belong together, the same photograph in one split only, and folders that are broken."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reswork as rw
from reswork.datasets import Preparation, photographs, whole_photographs
from reswork.datasets.photographs import enlarged, smaller
from reswork.errors import InvalidSetting


def picture(seed: int, height: int = 70, width: int = 90) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def folder_of(place: Path, names: dict[str, np.ndarray]) -> Path:
    for name, pixels in names.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / name)
    return place


def test_smaller_and_larger_are_pillows() -> None:
    # which rounds to bytes between rows and columns
    image = torch.from_numpy(picture(0, 60, 84)).permute(2, 0, 1)
    for scale in (2, 3, 4):
        found = smaller(image, scale)
        expected = Image.fromarray(image.permute(1, 2, 0).numpy()).resize(
            (84 // scale, 60 // scale), Image.Resampling.BICUBIC
        )
        assert (
            np.abs(found.permute(1, 2, 0).numpy().astype(int) - np.asarray(expected)).max() <= 2
        )  # Pillow rounds between rows and columns
        back = enlarged(found[None].float(), scale)[0].round().clamp(0, 255)
        expected = Image.fromarray(found.permute(1, 2, 0).numpy()).resize((84, 60), Image.Resampling.BICUBIC)
        assert (
            np.abs(back.permute(1, 2, 0).numpy() - np.asarray(expected)).max() <= 2
        )  # Pillow rounds between rows and columns


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_goes_in_is_the_smaller_form_of_what_shall_come_out(scale: int) -> None:
    data = photographs(scale=scale, patches=12, patch=24)
    assert data.train.images.shape == (12, 3, 24, 24) and data.train.targets.shape[2:] == (24 * scale,) * 2
    assert data.train.scale == scale and data.name == f"photographs x{scale}"
    for split in (data.train, data.test):
        inner = slice(4, 20)  # a patch made smaller for itself sees another edge
        off = (
            smaller(split.targets, scale)[..., inner, inner].float() - split.images[..., inner, inner].float()
        )
        assert off.abs().max() <= 1
    assert torch.equal(photographs(scale=scale, patches=12, patch=24).train.images, data.train.images)
    assert not torch.equal(
        photographs(scale=scale, patches=12, patch=24, seed=1).train.images, data.train.images
    )


def test_noise_is_added_to_what_goes_in_and_has_its_strength() -> None:
    data = photographs(scale=1, noise=10, patches=40)
    off = data.train.images.float() - data.train.targets.float()
    middle = (data.train.targets > 40) & (data.train.targets < 215)  # where nothing is cut off
    assert float(off[middle].std()) == pytest.approx(10, rel=0.05)
    assert data.train.scale == 1 and "noise 10" in data.name


def test_a_mirrored_image_has_its_mirrored_target() -> None:
    data = photographs(scale=3, patches=16, patch=16)
    prepare = Preparation(data.train, data.mean, data.std, rw.datasets.Augmentation(flip=True))
    images, targets = prepare(torch.arange(16), torch.Generator().manual_seed(0))
    is_same = (images * 255).round().byte().eq(data.train.images).flatten(1).all(1)
    assert 0 < is_same.sum() < 16
    for row, same in enumerate(is_same.tolist()):
        truth = data.train.targets[row] if same else data.train.targets[row].flip(2)
        assert torch.equal(targets[row], truth)
        small = data.train.images[row] if same else data.train.images[row].flip(2)
        assert torch.equal((images[row] * 255).round().byte(), small)


def test_folders_say_which_photographs_are_kept_and_else_a_choice_does(tmp_path: Path) -> None:
    own = folder_of(
        tmp_path / "own", {f"train/{n}.png": picture(n) for n in range(3)} | {"test/9.png": picture(9)}
    )
    assert list(whole_photographs(own)) == ["test/9.png"]
    assert len(photographs(own, patch=16, patches=4).test) == 2 * 2  # tiles of 32x32 in 70x90
    loose = folder_of(tmp_path / "loose", {f"{n}.png": picture(n) for n in range(5)})
    kept = {tuple(whole_photographs(loose, seed=seed)) for seed in range(8)}
    assert all(len(names) == 1 for names in kept) and len(kept) > 1
    with zipfile.ZipFile(tmp_path / "loose.zip", "w") as archive:
        for file in loose.iterdir():
            archive.write(file, file.name)
    zipped = photographs(tmp_path / "loose.zip", patch=16, patches=4)
    assert torch.equal(zipped.train.images, photographs(loose, patch=16, patches=4).train.images)


def test_what_is_broken_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    own = folder_of(
        tmp_path / "own", {f"{n}.png": picture(n) for n in range(3)} | {"tiny.png": picture(5, 8, 8)}
    )
    (own / "cut.png").write_bytes((own / "0.png").read_bytes()[:900])
    (own / "empty.jpg").write_bytes(b"")
    (own / "words.png").write_text("no picture")
    (own / "notes.txt").write_text("not looked at")
    data = photographs(own, patch=16, patches=4)
    told = {item.path: item.reason for item in data.skipped}
    assert set(told) == {"tiny.png", "cut.png", "empty.jpg", "words.png"}
    assert told["tiny.png"] == "8x8 pixels are smaller than a patch" and told["cut.png"] == "truncated"
    grey = folder_of(tmp_path / "grey", {f"{n}.png": picture(n)[:, :, 0] for n in range(2)})
    assert photographs(grey, patch=16, patches=4).train.images.shape[1] == 3


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    single = folder_of(tmp_path / "one", {"0.png": picture(0), "1.png": picture(1, 20, 20)})
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK no archive")
    for place, sentence in (
        (tmp_path / "nowhere", "there is nothing at"),
        (tmp_path / "empty", "has 0 photograph"),
        (single, "has 1 photograph(s) that can be used, and one to train on and another"),
        (single / "0.png", "is one file: give a folder"),
        (tmp_path / "broken.zip", "is not a zip archive"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            photographs(place)
        assert sentence in caught.value.message
    for settings, sentence in (
        ({"scale": 5}, "choose 2, 3 or 4"),
        ({"scale": 1}, "leave nothing to learn"),
        ({"noise": -1}, "choose 0 to 100"),
        ({"patch": 4}, "choose 8 to 256"),
        ({"patches": 1}, "choose 2 to"),
        ({"test_fraction": 1.0}, "between 0 and 1"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            photographs(**settings)
        assert sentence in caught.value.message
