"""Volumes: what goes in comes out, what cannot be used is told in a sentence, and drawn ones are what they say."""

import numpy as np
import pytest
import torch

from reswork.datasets import Augmentation, load, solids, volumes
from reswork.datasets.preparation import preparation
from reswork.datasets.volumes import shown_slices
from reswork.errors import InvalidSetting

random = np.random.RandomState(0)
IMAGES = random.normal(size=(6, 4, 5, 6)) * 300 - 100
MASKS = random.randint(0, 3, size=IMAGES.shape)


def test_arrays_keep_their_numbers_and_are_standardised_when_they_go_in() -> None:
    data = volumes(IMAGES, MASKS, classes=("air", "bone", "muscle"))
    assert (data.input_kind, data.target_kind, data.input_shape) == ("volumes", "masks", (1, 4, 5, 6))
    assert len(data.train) + len(data.test) == 6 and "volumes were set aside" in data.summary()
    assert "4 slices of 5x6 pixels" in data.summary()
    whole = torch.cat([data.train.inputs, data.test.inputs]).numpy()[:, 0]
    for one, mask in zip(IMAGES.astype(np.float32), MASKS, strict=True):
        place = next(index for index, other in enumerate(whole) if np.array_equal(other, one))
        assert np.array_equal(torch.cat([data.train.masks, data.test.masks])[place].numpy(), mask)
    batch, truth = preparation(data.train, data.mean, data.std)(torch.arange(len(data.train)))
    assert (
        batch.dtype == torch.float32
        and abs(float(batch.mean())) < 1e-5
        and abs(float(batch.std()) - 1) < 0.01
    )
    assert torch.equal(truth, data.train.masks)
    assert data.class_counts("train").sum() == data.train.masks.numel()


def test_a_volume_and_its_mask_are_mirrored_together() -> None:
    data = volumes(MASKS.astype(np.float32), MASKS)  # what goes in is the mask itself
    prepare = preparation(data.train, (0.0,), (1.0,), Augmentation(flip=True))
    rows = torch.arange(len(data.train)).repeat(6)
    batch, truth = prepare(rows, torch.Generator().manual_seed(0))
    assert torch.equal(batch[:, 0].to(torch.uint8), truth)
    same = (truth == data.train.masks[rows]).flatten(1).all(1)
    assert 0 < int(same.sum()) < len(same)
    assert torch.equal(truth[~same].flip(-1), data.train.masks[rows][~same])
    with pytest.raises(InvalidSetting, match="crop_padding=2 is for images"):
        Augmentation(crop_padding=2).check(data.input_shape, "volumes")


def test_files_and_folders_are_read_and_several_sizes_brought_to_one(tmp_path) -> None:
    np.savez(tmp_path / "whole.npz", images=IMAGES, masks=MASKS, classes=["a", "b", "c"])
    data = load(str(tmp_path / "whole.npz"))
    assert (data.input_kind, data.name, data.classes) == ("volumes", "whole", ("a", "b", "c"))
    (tmp_path / "many").mkdir()
    for index, size in enumerate(((4, 5, 6), (6, 4, 8), (2, 9, 6))):
        np.savez(
            tmp_path / "many" / f"{index}.npz", image=np.full(size, index + 1.0), mask=np.ones(size, int)
        )
    with pytest.raises(InvalidSetting, match=r"several sizes \(.*give size=\(depth, height, width\)"):
        volumes(tmp_path / "many")
    data = volumes(tmp_path / "many", size=(4, 5, 6), classes=("nothing", "all"))
    assert data.input_shape == (1, 4, 5, 6) and "cut or filled to 4x5x6 points" in data.summary()
    both = [
        torch.cat([getattr(split, part) for split in (data.train, data.test)]) for part in ("inputs", "masks")
    ]
    third = int((both[0][:, 0, 0, 0, 0] == 3).nonzero()[0])
    assert (both[1][third] == 255).sum() == 2 * 5 * 6 and (both[1][third, 1:3] == 1).all()


BROKEN = {
    "give one for each": lambda: volumes(IMAGES, MASKS[:4]),
    r"mask 0 has the shape \(4, 5, 5\)": lambda: volumes(IMAGES, MASKS[..., :5]),
    "missing or infinite": lambda: volumes(np.where(MASKS == 1, np.nan, IMAGES), MASKS),
    "numbers from -1": lambda: volumes(IMAGES, MASKS - 1),
    r"of shape \(5, 6\)": lambda: volumes(IMAGES[0], MASKS[0]),
    "1 volume": lambda: volumes(IMAGES[:1], MASKS[:1]),
    "give masks with images": lambda: volumes(IMAGES),
    "size='large'": lambda: volumes(IMAGES, MASKS, size="large"),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_what_cannot_be_used_is_one_sentence(sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        BROKEN[sentence]()


def test_broken_files_are_one_sentence(tmp_path) -> None:
    (tmp_path / "text.npz").write_text("no zip")
    np.savez(tmp_path / "other.npz", voxels=IMAGES)
    (tmp_path / "empty").mkdir()
    (tmp_path / "scan.nii").write_bytes(b"0" * 64)
    for name, sentence in (
        ("text.npz", "cannot be read as npz"),
        ("other.npz", "holds voxels: it needs images and masks"),
        ("empty", "has no npz files"),
        ("scan.nii", "is no npz file"),
        ("nowhere", "nowhere"),
    ):
        with pytest.raises(InvalidSetting, match=sentence):
            volumes(tmp_path / name)


def test_drawn_solids_are_where_their_masks_are_and_brightness_does_not_tell_which() -> None:
    data = solids(train=24, test=4, size=16)
    again = solids(train=24, test=4, size=16)
    assert data.fingerprint == again.fingerprint and data.fingerprint != solids(24, 4, 16, seed=1).fingerprint
    inputs, masks = data.train.inputs[:, 0], data.train.masks
    means = [float(inputs[masks == k].mean()) for k in range(4)]
    assert min(means[1:]) > means[0] + 0.5 and max(means[1:]) - min(means[1:]) < 0.4
    assert set(masks.unique().tolist()) == {0, 1, 2, 3}
    images, slices = shown_slices(data.train.inputs, masks)
    assert images.shape == (24, 1, 16, 16) and all(
        mask[k].any() for mask, k in zip(masks, slices, strict=True)
    )
    with pytest.raises(InvalidSetting, match="size=8: choose 12 to 96"):
        solids(size=8)
