"""Batched augmentation against one image at a time, pixel by pixel, from the same random numbers."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from reswork.datasets import Augmentation, augment, augment_with_masks, normalise, preview, shapes
from reswork.datasets.augmentation import GREY
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting

ALL = Augmentation(crop_padding=4, flip=True, translate=3, cutout=5)


def pictures(count: int = 40, channels: int = 3, height: int = 12, width: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(1, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def slowly(images: Tensor, augmentation: Augmentation, seed: int) -> Tensor:
    """The same with numpy, an image at a time: crop, translate, flip, cutout as their descriptions say."""
    generator = torch.Generator().manual_seed(seed)
    count, _, height, width = images.shape

    def draw(low: int, high: int, *shape: int) -> np.ndarray:
        return torch.randint(low, high + 1, shape, generator=generator).numpy()

    mirrored = draw(0, 1, count, 1)[:, 0] if augmentation.flip else np.zeros(count, int)
    reach, padding, side = augmentation.translate, augmentation.crop_padding, augmentation.cutout
    shifts = draw(-reach, reach, 2, count, 1)[..., 0] if reach else np.zeros((2, count), int)
    corners = draw(-padding, padding, 2, count, 1)[..., 0] if padding else np.zeros((2, count), int)
    centres = [draw(0, length - 1, count, 1)[:, 0] for length in (height, width)] if side else None
    results = []
    for n, image in enumerate(images.numpy()):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        top, left = padding + corners[0, n], padding + corners[1, n]
        image = padded[:, top : top + height, left : left + width]
        padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
        top, left = reach + shifts[0, n], reach + shifts[1, n]
        image = padded[:, top : top + height, left : left + width]
        image = image[:, :, ::-1].copy() if mirrored[n] else image.copy()
        if centres is not None:
            top, left = centres[0][n] - side // 2, centres[1][n] - side // 2
            image[:, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = GREY
        results.append(torch.from_numpy(image))
    return torch.stack(results)


def every_kind() -> Iterator[Augmentation]:
    yield Augmentation()
    yield Augmentation(crop_padding=4)
    yield Augmentation(crop_padding=8)
    yield Augmentation(flip=True)
    yield Augmentation(translate=2)
    yield Augmentation(translate=8)
    yield Augmentation(cutout=1)
    yield Augmentation(cutout=4)
    yield Augmentation(cutout=100)
    yield Augmentation(crop_padding=2, flip=True)
    yield ALL


@pytest.mark.parametrize("augmentation", list(every_kind()), ids=str)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_equals_the_slow_computation(
    augmentation: Augmentation, channels: int, memory_format: torch.memory_format
) -> None:
    images = pictures(channels=channels).contiguous(memory_format=memory_format)
    before = images.clone()
    augmented = augment(images, augmentation, torch.Generator().manual_seed(7))
    assert augmented.dtype == torch.uint8
    assert torch.equal(augmented, slowly(images, augmentation, seed=7))
    assert augmented.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)
    assert augmented.data_ptr() != images.data_ptr()


def test_the_same_seed_gives_the_same_and_another_gives_another() -> None:
    images = pictures()
    first, second, third = (augment(images, ALL, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_leaves_global_randomness_alone() -> None:
    state = torch.get_rng_state()
    augment(pictures(), ALL, torch.Generator().manual_seed(0))
    assert torch.equal(state, torch.get_rng_state())


def test_every_shift_and_both_sides_occur_equally_often() -> None:
    image = torch.arange(1, 26, dtype=torch.uint8).view(1, 1, 5, 5).expand(18_000, 1, 5, 5)
    augmented = augment(image, Augmentation(crop_padding=1, flip=True), torch.Generator().manual_seed(0))
    kinds, counts = torch.unique(augmented.flatten(1), dim=0, return_counts=True)
    assert len(kinds) == 18  # 3 x 3 shifts, two sides
    assert counts.min() > 850
    assert counts.max() < 1150


def test_an_empty_batch_and_a_view_are_no_special_cases() -> None:
    assert augment(pictures(0), ALL, None).shape == (0, 3, 12, 9)
    views = pictures(8)[::2, :, :, :8]
    assert torch.equal(augment(views, ALL, torch.Generator().manual_seed(0)), slowly(views, ALL, 0))


@pytest.mark.parametrize("values", [{"crop_padding": -1}, {"translate": 1.5}, {"cutout": True}, {"flip": 1}])
def test_refuses_what_is_no_number_of_pixels(values: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Augmentation(**values)  # type: ignore[arg-type]
    assert caught.value.field in values


@pytest.mark.parametrize("name", ["crop_padding", "translate"])
def test_a_shift_as_large_as_the_image_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting, match="choose 0 to 8"):
        augment(pictures(), Augmentation(**{name: 9}))


def test_round_trip_and_unknown_names() -> None:
    assert Augmentation.from_dict(ALL.to_dict()) == ALL
    with pytest.raises(InvalidSetting, match="'rotate' is not an augmentation"):
        Augmentation.from_dict({"rotate": 3})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("given", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("wanted", [torch.preserve_format, torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_normalise(
    channels: int, given: torch.memory_format, wanted: torch.memory_format, dtype: torch.dtype
) -> None:
    images = pictures(channels=channels).contiguous(memory_format=given)
    mean, std = (0.2, 0.4, 0.6)[:channels], (0.3, 0.2, 0.1)[:channels]
    result = normalise(images, mean, std, dtype, wanted)
    expected = images / 255.0
    expected = (expected - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    torch.testing.assert_close(
        result, expected.to(dtype), rtol=1e-5 if dtype == torch.float32 else 8e-3, atol=2e-6
    )
    expected_format = given if wanted == torch.preserve_format else wanted
    assert result.is_contiguous(memory_format=expected_format)


def test_preview_begins_with_the_picture_itself() -> None:
    data = shapes(12, 6)
    shown = preview(data, ALL, picture=3, n=5, seed=1)
    assert shown.shape == (5, 3, 32, 32)
    assert torch.equal(shown[0], data.train.images[3])
    assert not torch.equal(shown[1], shown[2])
    assert torch.equal(shown, preview(data, ALL, picture=3, n=5, seed=1))
    with pytest.raises(InvalidSetting, match="choose 0 to 11"):
        preview(data, ALL, picture=12)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("augmentation", list(every_kind()), ids=str)
def test_a_mask_that_is_a_copy_of_its_image_stays_one(
    augmentation: Augmentation, channels_last: bool
) -> None:
    images = pictures().clamp(max=IGNORED - 1)
    images[:, 1:] = images[:, :1]
    masks = images[:, 0].clone()
    given = images.contiguous(memory_format=torch.channels_last) if channels_last else images
    moved, moved_masks = augment_with_masks(given, masks, augmentation, torch.Generator().manual_seed(6))
    uncut = Augmentation.from_dict({**augmentation.to_dict(), "cutout": 0})
    expected, expected_masks = augment_with_masks(images, masks, uncut, torch.Generator().manual_seed(6))
    assert torch.equal(
        moved, augment(given, augmentation, torch.Generator().manual_seed(6))
    )  # the same draws
    assert torch.equal(moved_masks, expected_masks)  # a cutout leaves masks as they are
    ignored = moved_masks == IGNORED
    assert torch.equal(torch.where(ignored, 0, moved_masks), expected[:, 0])  # black is outside, and ignored
    assert bool(ignored.any()) == bool(augmentation.crop_padding)
    assert not ignored.all()
    assert torch.equal(masks, images[:, 0])  # what was given stays as it is


@pytest.mark.gpu
def test_on_an_accelerator_nothing_waits_for_it() -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator that torch can use")
    device = torch.accelerator.current_accelerator()
    assert device is not None
    images = pictures().to(device)
    generator = torch.Generator(device).manual_seed(0)
    mean, std = (0.5,) * 3, (0.25,) * 3
    normalise(augment(images, ALL, generator), mean, std, memory_format=torch.channels_last)
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        result = normalise(augment(images, ALL, generator), mean, std, memory_format=torch.channels_last)
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert result.device.type == device.type
    unchanged = augment(images, Augmentation(), generator)
    assert torch.equal(unchanged.cpu(), images.cpu())
