import pytest
import torch

import reswork.datasets.preparation as module
from reswork.datasets import Augmentation, Preparation, Split, augment, augment_with_masks, normalise
from reswork.errors import InvalidSetting

ALL = Augmentation(crop_padding=3, flip=True, translate=2, cutout=4)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def made(channels: int = 3) -> Split:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, channels, 10, 8), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(50) % 7)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(flip=True), ALL], ids=str)
@pytest.mark.parametrize("laid_out", [True, False])
def test_equals_choosing_augmenting_and_normalising_one_after_the_other(
    channels: int,
    channels_last: bool,
    augmentation: Augmentation,
    laid_out: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not laid_out:
        monkeypatch.setattr(module, "COPY_LIMIT", 0)
    split = made(channels)
    mean, std = MEAN[:channels], STD[:channels]
    before = split.images.clone()
    prepare = Preparation(split, mean, std, augmentation, channels_last=channels_last)
    indices = torch.tensor([3, 49, 3, 0, 17])
    images, labels = prepare(indices, torch.Generator().manual_seed(4))
    expected = augment(split.images[indices], augmentation, torch.Generator().manual_seed(4))
    assert torch.equal(images, normalise(expected, mean, std))
    assert torch.equal(labels, split.labels[indices])
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    assert images.is_contiguous(memory_format=wanted)
    assert torch.equal(split.images, before)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(flip=True), ALL], ids=str)
@pytest.mark.parametrize("laid_out", [True, False])
def test_masks_come_with_their_images(
    channels_last: bool, augmentation: Augmentation, laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not laid_out:
        monkeypatch.setattr(module, "COPY_LIMIT", 0)
    split = Split(made().images, made().images[:, 0].clone())
    prepare = Preparation(split, MEAN, STD, augmentation, channels_last=channels_last)
    indices = torch.tensor([3, 49, 3, 0, 17])
    images, masks = prepare(indices, torch.Generator().manual_seed(4))
    labelled = Preparation(made(), MEAN, STD, augmentation, channels_last=channels_last)
    assert torch.equal(images, labelled(indices, torch.Generator().manual_seed(4))[0])
    expected, expected_masks = augment_with_masks(
        split.images[indices], split.masks[indices], augmentation, torch.Generator().manual_seed(4)
    )
    assert torch.equal(images, normalise(expected, MEAN, STD))
    assert torch.equal(masks, expected_masks)
    assert (masks.dtype, masks.shape) == (torch.uint8, (5, 10, 8))


def test_keeps_the_wanted_type_and_refuses_what_does_not_fit() -> None:
    images, _ = Preparation(made(), MEAN, STD, dtype=torch.bfloat16)(torch.arange(4))
    assert images.dtype == torch.bfloat16
    with pytest.raises(InvalidSetting, match="crop_padding=8 is too much for images of 10x8"):
        Preparation(made(), MEAN, STD, Augmentation(crop_padding=8))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_on_an_accelerator_nothing_waits_for_it(kind: str) -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator that torch can use")
    device = torch.accelerator.current_accelerator()
    assert device is not None
    split = made() if kind == "labels" else Split(made().images, made().images[:, 0].clone())
    split = split.to(device)
    prepare = Preparation(split, MEAN, STD, ALL, channels_last=True)
    indices = torch.arange(32, device=device)
    generator = torch.Generator(device).manual_seed(0)
    prepare(indices, generator)
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        images, targets = prepare(indices, generator)
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert images.device.type == targets.device.type == device.type
