"""One's own images with masks: the class of every pixel, from a folder of images and a folder of masks."""

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reswork.datasets.cache import IMAGES, MASKS, CacheChoice, write_about
from reswork.datasets.conversion import assembled, check_fraction, held_out
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decode_processes import Decoding, Order, Source, decode_to_file, end_journal
from reswork.datasets.decoder import decoded
from reswork.datasets.files import FolderFiles, ZipFiles, files_at, readable
from reswork.datasets.folder_words import IMAGE_FOLDERS, MASK_FOLDERS
from reswork.datasets.mapped import Rows, rearranged
from reswork.datasets.mask_decoding import decoded_masks
from reswork.datasets.mask_values import MOST_FOUND, Classes, Colour, MaskKey, RawMask, key_of
from reswork.datasets.pairs import Pairs, pairs_of, separated
from reswork.datasets.places import existing
from reswork.datasets.reading import Keeping, Survey, checked_size, file_signature, first_problem, surveyed
from reswork.datasets.targets import MOST_MASK_CLASSES
from reswork.datasets.zip_names import check_encoding
from reswork.errors import InvalidSetting


@dataclass(frozen=True)
class _Wish:
    size: tuple[int, int] | None
    classes: Classes | None
    ignored: int | Colour | None
    suffix: str | None
    follow_links: bool
    encoding: str | None
    test_fraction: float
    seed: int
    instances: bool

    @property
    def most_values(self) -> int:
        """How many different values one mask may hold."""
        return MOST_FOUND if self.classes is None and not self.instances else MOST_MASK_CLASSES


def masks(
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    *,
    classes: Classes | None = None,
    ignored: int | Colour | None = None,
    suffix: str | None = None,
    instances: bool = False,
    follow_links: bool = False,
    encoding: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    cache: CacheChoice = True,
) -> Dataset:
    """A data set for segmentation from a folder of images and a folder of masks.

    A mask is called like its image: ``images/a/1.jpg`` and ``masks/a/1.png``, or with an ending such as
    ``1_mask.png``, which is found. Folders ``train`` and ``test`` (or ``val``) in either are the splits. Masks are
    index, palette, grey or coloured PNGs, or other files without loss; each number, or each colour, is a class.
    What was understood stands in `summary()`; images without mask, masks of another size and files that cannot be
    read are left out and named in `skipped`.

    Args:
        images: folder or zip of the images; or of both, in folders called ``images`` and ``masks`` (or alike).
        masks: folder or zip of the masks.
        size: height and width in pixels, or one number for both; None takes the most common size. Images of
            another size are scaled until they cover it, then cut to it around their centre, masks alike, from
            their nearest pixels.
        classes: names in the order of the numbers 0, 1, ...; or the number or the colour of each class, such as
            ``{"road": (128, 64, 128), "car": "#00008e"}``. None: every value that is found is a class, called by it.
        ignored: number or colour that counts nowhere; None: 255, unless masks hold 0 and 255 only.
        suffix: what masks' names have behind the images', such as ``_mask``; None finds it.
        instances: masks number single objects, such as cells: every number or colour but 0 and black is one, and all
            are one class; pixels where two touch are another, so that ``scipy.ndimage.label(mask == 1)`` tells them
            apart. Each object may have a file of its own, too: ``masks/1/a.png`` and ``masks/1/b.png``, or
            ``masks/1_0.png`` and ``masks/1_1.png``, of the image ``1.jpg``, or all in a folder with the image, as
            ``1/images/1.png`` and ``1/masks/a.png``.
        follow_links: see `folder`.
        encoding: see `folder`.
        test_fraction: part of the images that becomes the test split where there is none.
        seed: of that choice.
        cache: see `folder`.

    Raises:
        InvalidSetting: nothing there, no mask for any image, masks that hold noise, values of no class, more than 255
            classes, or too much for memory.
    """
    check_fraction(test_fraction)
    check_encoding(encoding)
    wish = _Wish(
        checked_size(size), classes, ignored, suffix, follow_links, encoding, test_fraction, seed, instances
    )
    image_place = existing(images).resolve()
    mask_place = image_place if masks is None else existing(masks).resolve()
    with contextlib.ExitStack() as stack:
        image_files = _opened(image_place, wish, stack)
        mask_files = image_files if mask_place == image_place else _opened(mask_place, wish, stack)
        places = [readable(str(place)) for place in (image_place, mask_place)]
        signature = f"{_signature(image_place, image_files)} {_signature(mask_place, mask_files)}"
        keeping = Keeping.of(cache, {"masks": places, "wish": repr(wish)}, signature)
        return keeping.recalled() or _read(image_place, mask_place, image_files, mask_files, wish, keeping)


def mask_parents(place: Path) -> tuple[str, ...] | None:
    """The folders in which a folder of images and one of masks lie, at most two folders deep; None: there are no two.

    They may lie apart, as in ``train/images`` and ``annotations``; then no folder holds both.
    """
    if place.is_dir():
        names = [path.relative_to(place).as_posix() for glob in ("*/", "*/*/") for path in place.glob(glob)]
    else:
        files = ZipFiles(place)
        files.close()
        names = sorted({"/".join(name.split("/")[:-1][:3]) for name in files.names})
    parents: dict[bool, set[str]] = {True: set(), False: set()}
    for name in names:
        way = name.split("/")
        for index, part in enumerate(way[:3]):
            if part.lower() in IMAGE_FOLDERS | MASK_FOLDERS:
                parents[part.lower() in MASK_FOLDERS].add("/".join(way[:index]))
    return tuple(sorted(parents[True] & parents[False])) if parents[True] and parents[False] else None


def _opened(place: Path, wish: _Wish, stack: contextlib.ExitStack) -> FolderFiles | ZipFiles:
    return stack.enter_context(contextlib.closing(files_at(place, wish.follow_links, wish.encoding)))


def _signature(place: Path, files: FolderFiles | ZipFiles) -> str:
    return files.signature if isinstance(files, FolderFiles) else file_signature(place)


def _pairs(image_files: FolderFiles | ZipFiles, mask_files: FolderFiles | ZipFiles, wish: _Wish) -> Pairs:
    if mask_files is not image_files:
        images, masks = ({name: name for name in files.names} for files in (image_files, mask_files))
        return pairs_of(images, masks, wish.suffix, several=wish.instances)
    images, masks = separated(image_files.names)
    if not images or not masks:
        raise InvalidSetting(
            "masks",
            "no folder of images and folder of masks are there: call them images and masks, or give the masks' "
            "folder as masks=",
        )
    return pairs_of(images, masks, wish.suffix, several=wish.instances)


def _read(
    image_place: Path,
    mask_place: Path,
    image_files: FolderFiles | ZipFiles,
    mask_files: FolderFiles | ZipFiles,
    wish: _Wish,
    keeping: Keeping,
) -> Dataset:
    """The data set from its files, and into the cache."""
    pairs = _pairs(image_files, mask_files, wish)
    both = pairs.train + pairs.test
    survey = surveyed(image_files, [image for image, _ in both], wish.size)
    places = np.flatnonzero(survey.good)  # of the pairs that are decoded, one a row
    decoder, most = survey.decoder, wish.most_values
    names = [both[place] for place in places]
    sizes = [survey.sizes[place] for place in places]
    refused = image_files.refused + (mask_files.refused if mask_files is not image_files else [])
    make = _Making(image_place, mask_place, image_files, pairs, survey, wish, refused)
    if keeping.why_in_file(len(places) * (math.prod(decoder.shape) + math.prod(decoder.size))) is None:
        pixels, failed = decoded(image_files, [image for image, _ in names], decoder)
        for row, reason in failed.items():
            survey.fail(places[row], names[row][0], reason)
        rows = [row for row in range(len(names)) if row not in failed]
        found = decoded_masks(
            mask_files, [names[row][1] for row in rows], [sizes[row] for row in rows], decoder.size, most
        )
        raw = {row: mask for row, mask in zip(rows, found, strict=True) if isinstance(mask, RawMask)}
        for row, mask in zip(rows, found, strict=True):
            if isinstance(mask, str):
                survey.fail(places[row], names[row][1][0], mask)
        key = make.key(raw, len(found))
        usable = np.array(list(raw))
        targets = torch.from_numpy(np.stack([key.applied(mask) for mask in raw.values()]))
        order = make.order(places[usable], targets)
        chosen = torch.from_numpy(pixels[usable[order.rows]])
        return keeping.kept(make.data(key, order, chosen, targets[torch.from_numpy(order.rows)]))
    with keeping.entry.locked():
        if (known := keeping.recalled()) is not None:
            return known  # another process has made it meanwhile
        decoding = Decoding(
            Source(str(image_place), wish.encoding),
            decoder,
            [Order(*pair, size) for pair, size in zip(names, sizes, strict=True)],
            Source(str(mask_place), wish.encoding),
            most,
        )
        result = decode_to_file(keeping.entry, keeping.signature, decoding)
        for row, (name, reason) in sorted(result.failed.items()):
            survey.fail(places[row], name, reason)
        raw = result.raw_masks([readable(masks[0]) for _, masks in names])
        key = make.key(raw, len(names))
        end_journal(keeping.entry)
        assert result.masks is not None
        for row, mask in raw.items():
            result.masks[row] = key.applied(mask)
        usable = np.array(list(raw))
        for array in (result.images, result.masks):
            rearranged(array, usable)
        folder, count = keeping.entry.folder, len(usable)
        masks = Rows(str(folder / MASKS), decoder.size, 0, count)
        order = make.order(places[usable], masks.tensor())
        for array in (result.images, result.masks):
            rearranged(array[:count], order.rows)
            array.flush()
        images = Rows(str(folder / IMAGES), decoder.shape, 0, count)
        write_about(folder, make.data(key, order, images.tensor(), masks.tensor()), keeping.signature)
    kept = keeping.entry.recalled(keeping.signature)
    if kept is None:
        raise InvalidSetting("cache", f"{keeping.entry.folder} was changed by something else: read it again")
    return keeping.mapped(kept)


@dataclass(frozen=True)
class _Order:
    """Which usable pairs become which row: training images first, then test images."""

    rows: np.ndarray
    train: int
    note: str = ""


@dataclass(frozen=True)
class _Making:
    """What a data set with masks is made of, besides its pixels."""

    image_place: Path
    mask_place: Path
    image_files: FolderFiles | ZipFiles
    pairs: Pairs
    survey: Survey
    wish: _Wish
    refused: list[Skipped]

    def key(self, raw: Mapping[int, RawMask], count: int) -> MaskKey:
        """What the values of the masks mean."""
        if not raw:
            raise InvalidSetting(
                "masks", f"none of the {count:,} masks can be used; {first_problem(self.survey.skipped)}"
            )
        return key_of(list(raw.values()), self.wish.classes, self.wish.ignored, instances=self.wish.instances)

    def order(self, pairs: np.ndarray, targets: torch.Tensor) -> _Order:
        """The splits of these pairs, with masks (N, H, W)."""
        is_test = pairs >= len(self.pairs.train)
        note = ""
        if not is_test.any():
            is_test = held_out("masks", targets, self.wish.test_fraction, self.wish.seed)
            note = f"Set aside for the test: {int(is_test.sum()):,} of {len(pairs):,} images."
        return _Order(
            np.concatenate([np.flatnonzero(~is_test), np.flatnonzero(is_test)]), int((~is_test).sum()), note
        )

    def data(self, key: MaskKey, order: _Order, images: torch.Tensor, targets: torch.Tensor) -> Dataset:
        """The data set with these images and masks, in this order."""
        shown = self.image_place
        if shown.name.lower() in IMAGE_FOLDERS and shown.parent.name:
            shown = shown.parent  # pets/images: pets
        where = readable(self.image_place.name)
        if self.mask_place != self.image_place:
            where += f" and masks from {readable(self.mask_place.name)}"
        skipped = [*self.refused, *self.pairs.skipped, *self.survey.skipped]
        told = [order.note] if order.note else []
        pairs = self.pairs
        return assembled(
            readable(shown.name if shown.is_dir() else shown.stem),
            Split(images[: order.train], targets[: order.train]),
            Split(images[order.train :], targets[order.train :]),
            [readable(name) for name in key.names],
            f"Images read from {where}",
            skipped=[
                Skipped(*pair) for pair in sorted((readable(each.path), each.reason) for each in skipped)
            ],
            notes=[*self.image_files.notes, *self.survey.notes, *pairs.notes, *key.notes, *told],
            value_range=self.survey.decoder.value_range,
            layout=f"{len(pairs.train):,} images with masks to train on, "
            + (
                f"{len(pairs.test):,} to test."
                if pairs.test
                else "none to test, so that a part is split off."
            ),
        )
