"""Photographs made smaller, or noisy, and as they were: for super-resolution and denoising."""

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoding import EXTENSIONS, Unreadable, pixels
from reswork.datasets.files import FolderFiles, ZipFiles, files_at, readable
from reswork.datasets.folder_words import role_of
from reswork.datasets.places import embedded, existing
from reswork.errors import InvalidSetting

SCALES = (1, 2, 3, 4)
TRAINED_ON = ("astronaut.png", "chelsea.png", "coffee.png")
MOST_TEST_TILES = 200
MOST_NOISE = 100.0
_SOURCE = (
    "Photographs that scikit-image (astronaut and rocket in the public domain; chelsea and coffee CC0) and "
    "scikit-learn (china and flower, CC BY 2.0) bring along"
)


def photographs(
    folder: str | os.PathLike[str] | None = None,
    *,
    scale: int = 2,
    noise: float = 0.0,
    patch: int = 32,
    patches: int = 1_000,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Patches of photographs, smaller or noisy, each with what it was before: a network learns the way back.

    The images are what goes in, the targets what shall come out. A photograph is made smaller as a whole by bicubic
    interpolation against aliasing, as the papers do it. Training patches lie anywhere, each turned and mirrored in one
    of eight ways; test patches are tiles of photographs of which no part is trained on.

    Args:
        folder: with the user's photographs, or a zip of it; where it has folders such as ``train`` and ``test``, they
            say which photographs are kept for the test. None: six that are always there.
        scale: how many times as high and wide the targets are: 2, 3, 4, or 1 for the same size, with noise.
        noise: standard deviation of what is added to the smaller image, in bytes, 0 to 100; 25 is a usual one.
        patch: side of a patch before it is enlarged, in pixels, 8 to 256.
        patches: how many training patches.
        test_fraction: part of the photographs that is kept for the test, at least one.
        seed: of places, turns, noise, and of which photographs are kept for the test.

    Returns:
        Images uint8 (N, 3, patch, patch), targets uint8 (N, 3, scale * patch, scale * patch).

    Raises:
        InvalidSetting: a setting that makes no sense, or not two photographs that can be used.

    Example:
        >>> photographs(scale=2, patches=8)
        Dataset('photographs x2', 8 + 180 images 3x32x32, 3x64x64 to come out, on cpu)
    """
    _check(scale, noise, patch, patches, test_fraction)
    found, skipped = _found(folder, scale * patch, test_fraction, seed)
    generator = torch.Generator().manual_seed(seed)
    splits: dict[str, Split] = {}
    for name in ("train", "test"):
        wholes, side = list(found[name].values()), scale * patch
        is_train = name == "train"
        cut = (
            list(_random_patches(wholes, patches, side, scale, generator))
            if is_train
            else _tiles(wholes, side, scale)
        )
        small = torch.stack([each[0] for each in cut])
        splits[name] = Split(with_noise(small, noise, generator), torch.stack([each[1] for each in cut]))
    told = " and ".join(
        [*[f"made {scale} times smaller"] * (scale > 1), *[f"with noise of {noise:g}"] * (noise > 0)]
    )
    notes = (
        f"{len(found['train'])} photographs are trained on ({_named(found['train'])}), {len(found['test'])} are kept "
        f"for the test ({_named(found['test'])}); what goes in is the photograph {told}.",
    )
    label = "photographs" if folder is None else Path(folder).stem
    name = label + f" x{scale}" * (scale > 1) + f" noise {noise:g}" * (noise > 0)
    source = _SOURCE if folder is None else f"Photographs of {readable(str(folder))}"
    zeros, ones = (0.0,) * 3, (1.0,) * 3  # so that what goes in and what comes out are counted alike, 0 to 1
    return Dataset(
        name,
        splits["train"],
        splits["test"],
        (),
        zeros,
        ones,
        source,
        tuple(skipped),
        notes=notes,
    )


def whole_photographs(
    folder: str | os.PathLike[str] | None = None, *, test_fraction: float = 0.2, seed: int = 0
) -> dict[str, Tensor]:
    """The whole photographs of which `photographs` keeps tiles for the test, by name, uint8 (3, H, W).

    Args:
        folder: as there.
        test_fraction: as there.
        seed: as there.

    Raises:
        InvalidSetting: not two photographs that can be used.
    """
    return found_photographs(folder, test_fraction, seed)["test"]


def found_photographs(
    folder: str | os.PathLike[str] | None, test_fraction: float, seed: int
) -> dict[str, dict[str, Tensor]]:
    """The photographs of both splits by name."""
    return _found(folder, 1, test_fraction, seed)[0]


def smaller(image: Tensor, scale: int) -> Tensor:
    """Photographs a whole number of times smaller, by bicubic interpolation against aliasing, rounded to bytes.

    Args:
        image: uint8, (..., C, H, W), height and width multiples of ``scale``.
        scale: 1 or more.

    Returns:
        uint8, (..., C, H / scale, W / scale).
    """
    if scale == 1:
        return image
    batch = image.reshape(-1, *image.shape[-3:]).float()
    size = (image.shape[-2] // scale, image.shape[-1] // scale)
    found = functional.interpolate(batch, size, mode="bicubic", antialias=True, align_corners=False)
    return found.round().clamp(0, 255).to(torch.uint8).reshape(*image.shape[:-2], *size)


def enlarged(images: Tensor, scale: int) -> Tensor:
    """Images enlarged by bicubic interpolation: what a network has to be better than.

    Args:
        images: (N, C, H, W), floating.
        scale: 1 or more; 1 gives the images back.
    """
    if scale == 1:
        return images
    # against aliasing, so that the kernel is the papers' and Pillow's (a = -0.5), not PyTorch's usual one (-0.75)
    size = (images.shape[2] * scale, images.shape[3] * scale)
    return functional.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)


def with_noise(images: Tensor, noise: float, generator: torch.Generator | None) -> Tensor:
    """Images with Gaussian noise of so many bytes, rounded to bytes; uint8."""
    if noise == 0:
        return images
    drawn = torch.randn(images.shape, generator=generator)
    return (images + noise * drawn).round().clamp(0, 255).to(torch.uint8)


def fitting(image: Tensor, scale: int) -> Tensor:
    """The photograph without the last rows and columns that do not fill a pixel of the smaller one."""
    height, width = (length - length % scale for length in image.shape[-2:])
    return image[..., :height, :width]


def _check(scale: int, noise: float, patch: int, patches: int, test_fraction: float) -> None:
    if scale not in SCALES or isinstance(scale, bool):
        raise InvalidSetting("scale", f"scale={scale!r}: choose 2, 3 or 4, or 1 with noise")
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise <= MOST_NOISE:
        raise InvalidSetting("noise", f"noise={noise!r} bytes: choose 0 to {MOST_NOISE:g}, such as 25")
    if scale == 1 and noise == 0:
        raise InvalidSetting(
            "noise", "scale=1 and noise=0 leave nothing to learn: choose a scale of 2, 3 or 4, or noise=25"
        )
    if isinstance(patch, bool) or not isinstance(patch, int) or not 8 <= patch <= 256:
        raise InvalidSetting("patch", f"patch={patch!r} pixels: choose 8 to 256, such as 32")
    if isinstance(patches, bool) or not isinstance(patches, int) or not 2 <= patches <= 1_000_000:
        raise InvalidSetting("patches", f"patches={patches!r}: choose 2 to 1,000,000, such as 1,000")
    if not 0 < test_fraction < 1:
        raise InvalidSetting(
            "test_fraction", f"test_fraction={test_fraction}: choose a number between 0 and 1, such as 0.2"
        )


def _found(
    folder: str | os.PathLike[str] | None, least: int, test_fraction: float, seed: int
) -> tuple[dict[str, dict[str, Tensor]], list[Skipped]]:
    """Photographs of both splits by name, and what could not be used."""
    if folder is None:
        own = {
            place.name: place
            for place in sorted(embedded("photographs").glob("*.*"))
            if place.suffix != ".md"
        }
        spec = find_spec("sklearn")
        if spec is not None and spec.origin is not None:
            images = Path(spec.origin).parent / "datasets" / "images"
            own |= {place.name: place for place in sorted(images.glob("*.jpg"))}
        read = {name: _read(place.read_bytes()) for name, place in own.items()}
        splits = {
            "train": {Path(name).stem: image for name, image in read.items() if name in TRAINED_ON},
            "test": {Path(name).stem: image for name, image in read.items() if name not in TRAINED_ON},
        }
        return splits, []
    place = existing(folder)
    if place.is_file() and place.suffix.lower() != ".zip":
        raise InvalidSetting(
            "folder", f"{readable(str(folder))} is one file: give a folder of photographs or a zip"
        )
    files = files_at(place)
    try:
        read, skipped = _all_read(files, least)
    finally:
        files.close()
    if len(read) < 2:
        reasons = "; ".join(str(item) for item in skipped[:3])
        raise InvalidSetting(
            "folder",
            f"{readable(str(folder))} has {len(read)} photograph(s) that can be used, and one to train on and another "
            f"for the test are needed, of at least {least}x{least} pixels"
            + (f" ({reasons})" if reasons else ""),
        )
    return _shared(read, test_fraction, seed), skipped


def _all_read(files: FolderFiles | ZipFiles, least: int) -> tuple[dict[str, Tensor], list[Skipped]]:
    read, skipped = dict[str, Tensor](), list(files.refused)
    for name in files.names:
        if Path(name).suffix.lower() not in EXTENSIONS:
            continue
        try:
            image = _read(files.read(name))
        except (Unreadable, OSError) as error:
            skipped.append(Skipped(readable(name), str(error)))
            continue
        height, width = image.shape[1:]
        if min(height, width) < least:
            skipped.append(Skipped(readable(name), f"{height}x{width} pixels are smaller than a patch"))
        else:
            read[name] = image
    return read, skipped


def _read(content: bytes) -> Tensor:
    """A photograph in its own size, uint8 (3, H, W)."""
    return torch.from_numpy(pixels(content, None, 3).transpose(2, 0, 1).copy())


def _shared(read: Mapping[str, Tensor], test_fraction: float, seed: int) -> dict[str, dict[str, Tensor]]:
    """By the folders' names where both splits have one, else by a choice."""
    roles = {name: next(filter(None, map(role_of, name.split("/")[:-1])), None) for name in read}
    kept = {name for name, role in roles.items() if role in ("test", "val")}
    if not kept or len(kept) == len(read):
        order = np.random.RandomState(seed).permutation(len(read))
        count = min(max(1, round(len(read) * test_fraction)), len(read) - 1)
        names = sorted(read)
        kept = {names[index] for index in order[:count]}
    return {
        "train": {name: image for name, image in read.items() if name not in kept},
        "test": {name: image for name, image in read.items() if name in kept},
    }


def _random_patches(
    wholes: Sequence[Tensor], count: int, side: int, scale: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of small and large patches, of each photograph as many as its area says."""
    pairs = [(smaller(large, scale), large) for large in (fitting(image, scale) for image in wholes)]
    area = torch.tensor([float(large.shape[1] * large.shape[2]) for _, large in pairs])
    chosen = torch.multinomial(area, count, replacement=True, generator=generator)
    inner = side // scale
    for index in chosen.tolist():
        small, large = pairs[index]
        corner = [
            int(torch.randint(0, length - inner + 1, (), generator=generator)) for length in small.shape[1:]
        ]
        way = int(torch.randint(0, 8, (), generator=generator))
        yield (
            _turned(_cut(small, corner, inner), way),
            _turned(_cut(large, [scale * each for each in corner], side), way),
        )


def _tiles(wholes: Sequence[Tensor], side: int, scale: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs of all tiles that lie within each photograph, or of so many evenly chosen ones."""
    found = []
    inner = side // scale
    for image in wholes:
        large = fitting(image, scale)
        small = smaller(large, scale)
        for top in range(0, small.shape[1] - inner + 1, inner):
            for left in range(0, small.shape[2] - inner + 1, inner):
                found.append(
                    (_cut(small, [top, left], inner), _cut(large, [scale * top, scale * left], side))
                )
    count = min(len(found), MOST_TEST_TILES)
    chosen = np.linspace(0, len(found) - 1, count).round().astype(int).tolist()
    return [found[index] for index in chosen]


def _cut(image: Tensor, corner: Sequence[int], side: int) -> Tensor:
    top, left = corner
    return image[:, top : top + side, left : left + side]


def _turned(image: Tensor, way: int) -> Tensor:
    """In one of the eight ways in which a square can lie."""
    turned = torch.rot90(image, way % 4, (1, 2))
    return (turned.flip(2) if way >= 4 else turned).contiguous()


def _named(wholes: Mapping[str, Tensor]) -> str:
    names = [readable(name) for name in wholes]
    return ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
