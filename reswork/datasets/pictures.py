"""One's own images: a folder or a zip of them, with a folder for each class."""

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reswork.datasets.cache import IMAGES, CacheChoice, write_about
from reswork.datasets.conversion import assembled, check_fraction, held_out
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decode_processes import Decoding, Order, Source, decode_to_file, end_journal
from reswork.datasets.decoder import decoded
from reswork.datasets.files import FolderFiles, ZipFiles, files_at, readable
from reswork.datasets.label_table import Columns, Table, layout_of_table, read_table
from reswork.datasets.layout import Layout, Splits, layout_of
from reswork.datasets.mapped import Rows, rearranged
from reswork.datasets.places import existing
from reswork.datasets.reading import (
    Keeping,
    Survey,
    checked_size,
    file_signature,
    first_problem,
    surveyed,
)
from reswork.datasets.zip_names import check_encoding
from reswork.errors import InvalidSetting

MOST_TABLE_BYTES = 512 * 1024**2


def folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    *,
    splits: Splits | None = None,
    classes: Sequence[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    columns: Columns | None = None,
    masks: str | os.PathLike[str] | None = None,
    follow_links: bool = False,
    encoding: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    cache: CacheChoice = True,
) -> Dataset:
    """A data set from a folder or a zip of images, with a folder for each class.

    The classes lie in ``train/<class>/...`` and ``test/<class>/...``, or only in ``<class>/...``; splits may be
    called ``training_set`` and ``test_set``, ``seg_train`` and ``seg_test``, ``train`` and ``dev`` or alike.
    Masks, thumbnails and what systems leave behind are left out. `folder_layout` tells what is understood, without
    reading an image.

    Files that cannot be read are skipped and named in `skipped`; what was done to the images stands in
    `notes`, and both in `summary()`. Read are JPEG, PNG, GIF (first frame), BMP, WebP, TIFF and PPM, upright
    as their exif says. Grey images stay grey if all are grey. Transparent ones are laid on white. Numbers of 16 bits,
    signed ones and floats become bytes by the range of the whole set, which `notes` and `value_range` tell.

    Args:
        path: the folder or the archive, which is never unpacked to disk.
        size: height and width in pixels, or one number for both; None takes the most common size, or 96x96 where
            that has more than 128x128 pixels. Images of another size are scaled until they cover it, then cut to it
            around their centre.
        splits: the folders of the splits, such as ``{"train": "2019", "test": ["2020", "2021"]}``; None finds them.
        classes: the names of the folders that are classes, at any depth; None takes the outermost ones.
        labels: a table of files and classes, such as ``labels.csv``, in the folder or the archive or elsewhere; its
            columns are found by what they hold and how they are called, which `notes` tell. Cells between commas,
            semicolons, tabs, bars or blanks; a column of classes, or one of zeros and ones for each class.
        columns: of that table, such as ``{"file": "image_id", "label": "breed", "split": "fold"}``, by name or number
            from 0; what is not told is found. ``splits`` are then values of the column of splits.
        masks: a folder or a zip of masks, in the folder or elsewhere: the class of every pixel is learned, see
            `reswork.datasets.masks`.
        follow_links: also through links to folders and links that leave the folder.
        encoding: of names in a zip that are not marked as UTF-8, such as ``gbk``; None finds it.
        test_fraction: part of each class that becomes the test split where there is none.
        seed: of that choice.
        cache: True keeps the decoded images under ``RESWORK_CACHE`` or ``~/.cache/reswork``, so that the second
            time takes a moment; a changed file is noticed by its size and time. Images that would need more than a
            quarter of the free memory stay there and are read batch by batch, the same to the last bit. ``"disk"`` asks
            for that, a folder too, and keeps them in it without a limit. False keeps nothing. See
            `reswork.datasets.cached` and `clear_cache`.

    Raises:
        InvalidSetting: nothing there, no images, no class folders, one class only, or too much for memory.
    """
    place = existing(path).resolve()
    check_fraction(test_fraction)
    check_encoding(encoding)
    if masks is not None:
        from reswork.datasets.mask_folders import masks as with_masks  # which reads its images here

        for name, given in (("splits", splits), ("labels", labels), ("columns", columns)):
            if given is not None:
                raise InvalidSetting(
                    name, f"{name}= goes with classes of images, and masks= was given: leave one out"
                )
        return with_masks(
            place, _beside(place, masks), size, classes=classes, follow_links=follow_links, encoding=encoding,
            test_fraction=test_fraction, seed=seed, cache=cache,
        )  # fmt: skip
    with contextlib.closing(files_at(place, follow_links, encoding)) as files:
        table = _table(files, place, labels, columns)
        wish = _Wish(
            checked_size(size), splits, classes, follow_links, encoding, test_fraction, seed, table, columns
        )
        signature = files.signature if isinstance(files, FolderFiles) else file_signature(place)
        keeping = Keeping.of(cache, {"path": readable(str(place)), "wish": repr(wish)}, signature)
        return keeping.recalled() or _read(place, files, wish, keeping)


def folder_layout(
    path: str | os.PathLike[str],
    *,
    splits: Splits | None = None,
    classes: Sequence[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    columns: Columns | None = None,
    follow_links: bool = False,
    encoding: str | None = None,
) -> Layout:
    """What `folder` understands of a folder or a zip, from its names alone: print it before a long reading.

    Args:
        path: see `folder`.
        splits: see `folder`.
        classes: see `folder`.
        labels: see `folder`.
        columns: see `folder`.
        follow_links: see `folder`.
        encoding: see `folder`.

    Raises:
        InvalidSetting: as `folder` does.
    """
    place = existing(path).resolve()
    with contextlib.closing(files_at(place, follow_links, encoding)) as files:
        return _understood(files, splits, classes, _table(files, place, labels, columns), columns)


def _beside(place: Path, name: str | os.PathLike[str]) -> Path:
    """A file or folder that is named from a folder, or else from here."""
    inner = place / Path(name).expanduser()
    return existing(inner if place.is_dir() and inner.exists() else name)


def _table(
    files: FolderFiles | ZipFiles,
    place: Path,
    labels: str | os.PathLike[str] | None,
    columns: Columns | None,
) -> Table | None:
    """The table of labels, from the archive or the disk."""
    if labels is None:
        if columns is not None:
            raise InvalidSetting("columns", "columns= are those of a table: name it with labels='labels.csv'")
        return None
    name = os.fspath(labels)
    if isinstance(files, ZipFiles) and name in files.names:
        return read_table(files.read(name), name)
    found = _beside(place, labels)
    if found.is_dir():
        raise InvalidSetting(
            "labels", f"{name!r} is a folder: give a table of files and classes, such as a CSV file"
        )
    if found.stat().st_size > MOST_TABLE_BYTES:
        raise InvalidSetting(
            "labels", f"{name!r} is larger than {MOST_TABLE_BYTES // 1024**2} MiB: no table of labels"
        )
    return read_table(found.read_bytes(), readable(found.name))


def _understood(
    files: FolderFiles | ZipFiles,
    splits: Splits | None,
    classes: Sequence[str] | None,
    table: Table | None = None,
    columns: Columns | None = None,
) -> Layout:
    links = [item for item in files.refused if item.reason.startswith("a link")]
    hint = (
        f"{len(links):,} links (such as {links[0].path}) that lead out of the folder or to other folders were not "
        "followed; rw.datasets.folder(path, follow_links=True) follows them"
        if links and isinstance(files, FolderFiles)
        else ""
    )
    try:
        if table is not None:
            layout = layout_of_table(table, files.names, columns, splits)
        else:
            layout = layout_of(files.names, files.folders, splits, classes)
    except InvalidSetting as error:
        if not hint:
            raise
        raise InvalidSetting(error.field, f"{error.message}; {hint}") from error
    layout.notes += [*files.notes, *([f"{hint}."] if hint else [])]
    return layout


@dataclass(frozen=True)
class _Wish:
    size: tuple[int, int] | None
    splits: Splits | None
    classes: Sequence[str] | None
    follow_links: bool
    encoding: str | None
    test_fraction: float
    seed: int
    table: Table | None = None
    columns: Columns | None = None


@dataclass(frozen=True)
class _Sharing:
    """Which files become which row: training images first, then test images."""

    classes: list[str]
    labels: np.ndarray  # int64, (N,), of all files
    train: np.ndarray  # int64, indices of files, ascending
    test: np.ndarray
    notes: list[str]

    @property
    def order(self) -> np.ndarray:
        return np.concatenate([self.train, self.test])


def _shared(layout: Layout, survey: Survey, wish: _Wish) -> _Sharing:
    """Classes and splits of the files that are good so far."""
    found, good = layout.train + layout.test, survey.good
    is_train = np.arange(len(found)) < len(layout.train)
    usable = {label for (_, label), ok, train in zip(found, good, is_train, strict=True) if ok and train}
    classes = sorted(usable, key=layout.classes.index) if wish.table else sorted(usable)
    if len(classes) < 2:
        raise InvalidSetting(
            "path", f"only {len(classes)} class has images that can be read; {first_problem(survey.skipped)}"
        )
    number = {label: index for index, label in enumerate(classes)}
    labels = np.array([number.get(label, -1) for _, label in found])
    notes = _class_notes(layout.classes, classes, labels, good)
    train, test = (np.flatnonzero(good & (labels >= 0) & part) for part in (is_train, ~is_train))
    if not len(test):
        is_test = held_out("labels", torch.from_numpy(labels[train]), wish.test_fraction, wish.seed)
        train, test = train[~is_test], train[is_test]
        notes.append(
            f"{len(test):,} images, about {wish.test_fraction:.0%} of each class, were set aside for the test."
        )
    return _Sharing(classes, labels, train, test, notes)


def _read(place: Path, files: FolderFiles | ZipFiles, wish: _Wish, keeping: Keeping) -> Dataset:
    """The data set from its files, and into the cache."""
    layout = _understood(files, wish.splits, wish.classes, wish.table, wish.columns)
    found = layout.train + layout.test
    survey = surveyed(files, [name for name, _ in found], wish.size)
    sharing = _shared(layout, survey, wish)
    order = sharing.order
    if keeping.why_in_file(len(order) * math.prod(survey.decoder.shape)) is None:
        pixels, failed = decoded(files, [survey.names[index] for index in order], survey.decoder)
        sharing = _without(failed, order, layout, survey, sharing, wish)
        rows = _rows(order, sharing.order)
        pixels = pixels if np.array_equal(rows, np.arange(len(pixels))) else pixels[rows]
        return keeping.kept(_dataset(place, files, layout, survey, sharing, torch.from_numpy(pixels)))
    with keeping.entry.locked():
        if (known := keeping.recalled()) is not None:
            return known  # another process has made it meanwhile
        orders = [Order(survey.names[index]) for index in order]
        source = Source(str(place), wish.encoding)
        result = decode_to_file(keeping.entry, keeping.signature, Decoding(source, survey.decoder, orders))
        failed = {row: reason for row, (_, reason) in result.failed.items()}
        sharing = _without(failed, order, layout, survey, sharing, wish)
        end_journal(keeping.entry)
        rearranged(result.images, _rows(order, sharing.order))
        result.images.flush()
        images = Rows(
            str(keeping.entry.folder / IMAGES), survey.decoder.shape, 0, len(sharing.order)
        ).tensor()
        data = _dataset(place, files, layout, survey, sharing, images)
        write_about(keeping.entry.folder, data, keeping.signature)
    kept = keeping.entry.recalled(keeping.signature)
    if kept is None:
        raise InvalidSetting("cache", f"{keeping.entry.folder} was changed by something else: read it again")
    return keeping.mapped(kept)


def _without(
    failed: Mapping[int, str],
    order: np.ndarray,
    layout: Layout,
    survey: Survey,
    sharing: _Sharing,
    wish: _Wish,
) -> _Sharing:
    """Classes and splits without the rows that could not be decoded."""
    for row, reason in sorted(failed.items()):
        survey.fail(order[row], survey.names[order[row]], reason)
    return _shared(layout, survey, wish) if failed else sharing


def _rows(order: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where in an order each of the wanted files is."""
    row_of = np.full(max(order.max(), wanted.max()) + 1, -1)
    row_of[order] = np.arange(len(order))
    return row_of[wanted]


def _dataset(
    place: Path,
    files: FolderFiles | ZipFiles,
    layout: Layout,
    survey: Survey,
    sharing: _Sharing,
    images: torch.Tensor,
) -> Dataset:
    """The data set with these images, (N, C, H, W), in the order of the sharing."""
    labels = torch.from_numpy(sharing.labels[sharing.order].astype(np.int64))
    count = len(sharing.train)
    skipped = [*files.refused, *layout.skipped, *survey.skipped]
    return assembled(
        readable(place.name if place.is_dir() else place.stem),
        Split(images[:count], labels[:count]),
        Split(images[count:], labels[count:]),
        [readable(label) for label in sharing.classes],
        f"Read from the {'folder' if place.is_dir() else 'archive'} {readable(place.name)}",
        skipped=[Skipped(*pair) for pair in sorted((readable(item.path), item.reason) for item in skipped)],
        notes=[*survey.notes, *layout.notes, *sharing.notes],
        value_range=survey.decoder.value_range,
        layout=str(layout),
    )


def _class_notes(
    folders: Sequence[str], classes: Sequence[str], labels: np.ndarray, good: np.ndarray
) -> list[str]:
    notes = []
    empty = [label for label in folders if label not in classes]
    if empty:
        named = ", ".join(repr(readable(label)) for label in empty[:5]) + (" ..." if len(empty) > 5 else "")
        notes.append(f"Without a readable training image and left out: {named}.")
    unused = int((good & (labels < 0)).sum())
    if unused:
        notes.append(f"{unused:,} test images of classes without training images were not used.")
    return notes
