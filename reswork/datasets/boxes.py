"""One's own images with boxes around things: COCO's JSON, PASCAL VOC's XML, YOLO's text files."""

import contextlib
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import psutil
import torch
from torch import Tensor

from reswork.datasets.augmentation import LEAST_LEFT
from reswork.datasets.box_records import (
    MOST_ANNOTATION_BYTES,
    BadBox,
    Record,
    Records,
    edges_in_pixels,
    within_view,
)
from reswork.datasets.coco_boxes import looks_like_coco, read_coco
from reswork.datasets.conversion import assembled, check_fraction, held_out
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoder import decoded
from reswork.datasets.files import FolderFiles, ZipFiles, files_at, readable
from reswork.datasets.folder_words import IMAGE_FOLDERS
from reswork.datasets.layout import is_image
from reswork.datasets.places import existing
from reswork.datasets.reading import checked_size, first_problem, surveyed
from reswork.datasets.targets import NO_BOX
from reswork.datasets.voc_boxes import read_voc
from reswork.datasets.yolo_boxes import NAME_FILES, class_names, read_yolo
from reswork.datasets.zip_names import check_encoding
from reswork.errors import InvalidSetting

Format = Literal["coco", "voc", "yolo"]
MEMORY_SHARE = 0.5  # of the memory that is free


def boxes(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    *,
    format: Format | None = None,
    follow_links: bool = False,
    encoding: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A data set for detection from a folder or a zip of images with boxes around things.

    - COCO: a JSON file with ``images``, ``annotations`` and ``categories``, or one for each split.
    - VOC: an XML file for each image; ``ImageSets/Main/train.txt`` and ``val.txt`` are the splits, where they are.
    - YOLO: a text file for each image, called like it, beside it or in ``labels`` where the images lie in ``images``;
      ``data.yaml`` or ``classes.txt`` names the classes. An empty file says that an image shows none of them.

    Folders or files called ``train``, ``val``, ``test`` or alike are the splits. An image with a box that cannot be (of
    negative width, of an unknown class, outside of the image) is left out whole and named in `skipped`, as a thing
    without its box would teach that it is none; a box that reaches over the edge is cut there, and `notes` say so.

    Args:
        path: the folder or the archive.
        size: height and width in pixels, or one number for both; None takes the most common size, or 96x96 where that
            has more than 128x128 pixels. Images of another size are scaled until they cover it, then cut to it around
            their centre, boxes alike; a box of which less than 0.3 is left goes.
        format: ``"coco"``, ``"voc"`` or ``"yolo"``; None finds it.
        follow_links: see `folder`.
        encoding: see `folder`.
        test_fraction: part of the images that becomes the test split where there is none.
        seed: of that choice.

    Raises:
        InvalidSetting: nothing there, files of boxes that cannot be read or of several formats, no image that can be
            used, or too much for memory.
    """
    check_fraction(test_fraction)
    check_encoding(encoding)
    wanted = checked_size(size)
    if format not in (None, *get_args(Format)):
        raise InvalidSetting("format", f"format={format!r}: choose 'coco', 'voc', 'yolo' or None")
    place = existing(path).resolve()
    if place.is_file() and place.suffix.lower() != ".zip":
        raise InvalidSetting(
            "path",
            f"{readable(str(path))} is one file: give the folder or the zip in which it lies beside the images",
        )
    with contextlib.closing(files_at(place, follow_links, encoding)) as files:
        found = _records(files, format or _found_format(files, place))
        pairs = _paired(files, found)
        return _read(place, files, found, pairs, wanted, test_fraction, seed)


def box_format(place: Path) -> Format | None:
    """Which format a folder has whose names say it plainly, for `load`; None where they do not, or for a zip."""
    if not place.is_dir():
        return None
    if any(place.glob("Annotations/*.xml")) or any(place.glob("annotations/*.xml")):
        return "voc"
    if any((place / name).is_file() for name in NAME_FILES) and any(
        [*place.glob("labels/"), *place.glob("*/labels/")]
    ):
        return "yolo"
    named = [*place.glob("_annotations.coco.json"), *place.glob("*/_annotations.coco.json")]
    return "coco" if named or any(place.glob("annotations/instances*.json")) else None


def _named(files: FolderFiles | ZipFiles, *endings: str) -> list[str]:
    return [name for name in files.names if name.lower().endswith(endings)]


def _read_file(files: FolderFiles | ZipFiles, name: str) -> bytes:
    try:
        with files.open(name) as file:
            content = file.read(MOST_ANNOTATION_BYTES + 1)
    except OSError as error:
        raise InvalidSetting("annotations", f"{readable(name)} cannot be read ({error})") from error
    if len(content) > MOST_ANNOTATION_BYTES:
        raise InvalidSetting(
            "annotations",
            f"{readable(name)} is larger than {MOST_ANNOTATION_BYTES // 1024**2} MiB: no file of boxes",
        )
    return content


def _yolo_texts(files: FolderFiles | ZipFiles) -> list[str]:
    """Text files that are called like an image."""
    images = {_stem(name) for name in files.names if is_image(name)}
    return [name for name in _named(files, ".txt") if _stem(name) in images]


def _found_format(files: FolderFiles | ZipFiles, place: Path) -> Format:
    texts = _yolo_texts(files)
    is_there: dict[Format, bool] = {
        "coco": bool(_named(files, ".json")),
        "voc": bool(_named(files, ".xml")),
        "yolo": bool(texts),
    }
    there = [each for each, is_so in is_there.items() if is_so]
    if not there:
        raise InvalidSetting(
            "path",
            f"no boxes lie in {readable(place.name)}: give COCO's JSON, VOC's XML, or YOLO's text files called like "
            "their images",
        )
    if len(there) > 1:
        raise InvalidSetting(
            "format",
            f"{readable(place.name)} holds files of {' and '.join(there)}: say which with format={there[0]!r}",
        )
    return there[0]


def _records(files: FolderFiles | ZipFiles, format: Format) -> Records:
    if format == "coco":
        contents = {name: _read_file(files, name) for name in _named(files, ".json")}
        chosen = {name: content for name, content in contents.items() if looks_like_coco(content)} or contents
        if not chosen:
            raise InvalidSetting(
                "format", "format='coco' needs a JSON file beside the images, and there is none"
            )
        return read_coco(chosen)
    if format == "voc":
        names = _named(files, ".xml")
        if not names:
            raise InvalidSetting(
                "format", "format='voc' needs XML files beside the images, and there are none"
            )
        lists = [name for name in _named(files, ".txt") if "imagesets/" in name.lower()]
        return read_voc(*({name: _read_file(files, name) for name in each} for each in (names, lists)))
    texts = _yolo_texts(files)
    if not texts:
        raise InvalidSetting(
            "format", "format='yolo' needs text files called like the images, and there are none"
        )
    tables = sorted(
        (name for name in files.names if name.rpartition("/")[2].lower() in NAME_FILES),
        key=lambda name: (name.count("/"), NAME_FILES.index(name.rpartition("/")[2].lower())),
    )
    classes = class_names(tables[0], _read_file(files, tables[0])) if tables else []
    if tables and not classes:
        raise InvalidSetting(
            "classes", f"{readable(tables[0])} names no class: give names: [cat, dog], or a name in each line"
        )
    return read_yolo({name: _read_file(files, name) for name in texts}, classes)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rsplit(".", 1)[0]


@dataclass(frozen=True)
class _Pair:
    image: str
    record: Record


def _paired(files: FolderFiles | ZipFiles, found: Records) -> list[_Pair]:
    """Which image each record means, each only once; what finds none is named in the records' `skipped`."""
    by_name, by_stem = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for name in files.names:
        if is_image(name):
            by_name[name.rpartition("/")[2].lower()].append(name)
            by_stem[_stem(name).lower()].append(name)
    pairs: list[_Pair] = []
    used: dict[str, str] = {}
    for record in found.records:
        wanted = record.image.replace("\\", "/")
        candidates = by_name.get(wanted.rpartition("/")[2].lower(), [])
        if not candidates and not record.is_relative:  # the file may be called .jpeg where .jpg is told
            candidates = by_stem.get(_stem(record.origin).lower(), [])
        if record.is_relative:
            candidates = by_stem.get(_stem(wanted).lower(), [])
        near = _nearest(candidates, wanted, record.origin)
        shown = readable(wanted)
        if not near:
            found.skipped.append(Skipped(shown, "the image is missing"))
        elif len(near) > 1:
            found.skipped.append(Skipped(shown, f"{len(near)} images are called so"))
        elif near[0] in used:
            found.skipped.append(
                Skipped(
                    readable(record.origin),
                    f"{readable(near[0])} has boxes in {readable(used[near[0]])} already",
                )
            )
        else:
            used[near[0]] = record.origin
            pairs.append(_Pair(near[0], record))
    if without := sum(len(names) for names in by_stem.values()) - len(used):
        found.notes.append(f"{without:,} images without boxes in any file were not used.")
    return pairs


def _nearest(candidates: Sequence[str], wanted: str, origin: str) -> Sequence[str]:
    """Those whose folders are most alike to those of the name as told and of the file that tells it."""
    if len(candidates) < 2:
        return candidates
    told = {part.lower() for part in (*wanted.split("/")[:-1], *origin.split("/")[:-1])} - IMAGE_FOLDERS
    scores = [
        (name.lower().endswith("/" + wanted.lower()) or name == wanted)
        + sum(part.lower() in told for part in name.split("/")[:-1])
        for name in candidates
    ]
    return [name for name, score in zip(candidates, scores, strict=True) if score == max(scores)]


def _read(
    place: Path,
    files: FolderFiles | ZipFiles,
    found: Records,
    pairs: Sequence[_Pair],
    wanted: tuple[int, int] | None,
    test_fraction: float,
    seed: int,
) -> Dataset:
    if not pairs:
        raise InvalidSetting("path", f"no image has boxes that can be used; {first_problem(found.skipped)}")
    survey = surveyed(files, [pair.image for pair in pairs], wanted)
    drawn, cut = dict[int, list[tuple[float, ...]]](), 0
    for index, pair in enumerate(pairs):
        if survey.good[index]:
            try:
                drawn[index], over = edges_in_pixels(pair.record, survey.sizes[index])
                cut += over
            except BadBox as error:
                survey.fail(index, pair.image, str(error))
    kept: list[int] = np.flatnonzero(survey.good).tolist()
    if not kept:
        raise InvalidSetting(
            "path", f"none of the {len(pairs):,} images can be used; {first_problem(survey.skipped)}"
        )
    needed = len(kept) * math.prod(survey.decoder.shape)
    if needed > MEMORY_SHARE * (free := psutil.virtual_memory().available):
        raise InvalidSetting(
            "size",
            f"the images need {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} are free: give a smaller size",
        )
    pixels, failed = decoded(files, [pairs[index].image for index in kept], survey.decoder)
    for row, reason in failed.items():
        survey.fail(kept[row], pairs[kept[row]].image, reason)
    rows = [row for row in range(len(kept)) if row not in failed]
    notes = [f"{cut:,} boxes reached over the edge of their image and were cut there."] if cut else []
    views: list[list[tuple[str, tuple[float, ...]]]] = []
    lost = 0
    for row in rows:
        index = kept[row]
        seen = _seen(drawn[index], pairs[index].record, survey.sizes[index], survey.decoder.size)
        lost += len(drawn[index]) - len(seen)
        views.append(seen)
    if lost:
        notes.append(f"{lost:,} boxes lie outside of what is left of images that were cut to size.")
    roles = [pairs[kept[row]].record.role for row in rows]
    train, test, classes, told = _shared(views, roles, found.classes, test_fraction, seed)
    targets = _targets(views, classes)
    skipped = [*files.refused, *found.skipped, *survey.skipped]
    images = torch.from_numpy(pixels)
    train_split, test_split = (
        Split(images[[rows[at] for at in part]], targets[part]) for part in (train, test)
    )
    return assembled(
        readable(place.name if place.is_dir() else place.stem),
        train_split,
        test_split,
        [readable(name) for name in classes],
        f"Images with boxes read from {readable(place.name)}",
        skipped=[Skipped(*pair) for pair in sorted((readable(each.path), each.reason) for each in skipped)],
        notes=[*files.notes, *survey.notes, *found.notes, *notes, *told],
        value_range=survey.decoder.value_range,
    )


def _seen(
    edges: Sequence[Sequence[float]], record: Record, size: tuple[int, int], target: tuple[int, int]
) -> list[tuple[str, tuple[float, ...]]]:
    """Class and edges in pixels of the data set's images, of boxes of which enough is left."""
    scale = target[0] * target[1] / _covered_area(size, target)
    found = list[tuple[str, tuple[float, ...]]]()
    for box, each in zip(record.boxes, edges, strict=True):
        left, top, right, bottom = within_view(each, size, target)
        before = (each[2] - each[0]) * (each[3] - each[1]) * scale
        if (right - left) * (bottom - top) >= LEAST_LEFT * before:
            found.append((box.label, (left, top, right, bottom)))
    return found


def _covered_area(size: tuple[int, int], target: tuple[int, int]) -> float:
    """Pixels of an image that are left of it when it is cut to the shape of the target."""
    (height, width), ratio = size, target[1] / target[0]
    return ratio * height * height if width / height >= ratio else width * width / ratio


def _shared(
    views: Sequence[Sequence[tuple[str, Sequence[float]]]],
    roles: Sequence[str | None],
    names: Sequence[str],
    test_fraction: float,
    seed: int,
) -> tuple[list[int], list[int], list[str], list[str]]:
    """Rows of both splits, the classes of the training split, and sentences about it."""
    told = []
    is_test = np.array([role in ("test", "val") for role in roles])
    every = sorted({label for view in views for label, _ in view})
    if not is_test.any() or is_test.all():
        with_boxes, without = (
            np.flatnonzero([bool(view) is wanted for view in views]) for wanted in (True, False)
        )
        is_test = np.zeros(len(views), bool)
        if len(with_boxes):
            chosen = _targets([views[row] for row in with_boxes.tolist()], every)
            is_test[with_boxes] = held_out("boxes", chosen, test_fraction, seed)
        order = np.random.RandomState(seed).permutation(without)
        is_test[order[: round(len(order) * test_fraction)]] = True
        told.append(f"Set aside for the test: {int(is_test.sum()):,} of {len(views):,} images.")
    train, test = np.flatnonzero(~is_test).tolist(), np.flatnonzero(is_test).tolist()
    counts = Counter(label for row in train for label, _ in views[row])
    if not counts:
        raise InvalidSetting("path", "no training image has a box: give some")
    if not test:
        raise InvalidSetting("path", f"{len(views)} image(s) with boxes: give at least two, one to test by")
    classes = [name for name in names if name in counts] if names else sorted(counts)
    others = sorted({label for row in test for label, _ in views[row]} - {*classes})
    if others:
        named = ", ".join(repr(readable(name)) for name in others[:5]) + (" ..." if len(others) > 5 else "")
        told.append(f"Without a training box, and left out of the test: {named}.")
    return train, test, classes, told


def _targets(views: Sequence[Sequence[tuple[str, Sequence[float]]]], classes: Sequence[str]) -> Tensor:
    """Float32, (N, M, 5), boxes of other classes left out."""
    number: Mapping[str, int] = {name: index for index, name in enumerate(classes)}
    of_images = [[(*edges, number[label]) for label, edges in view if label in number] for view in views]
    found = torch.zeros(len(views), max(1, max(map(len, of_images), default=1)), 5)
    found[..., 4] = NO_BOX
    for row, of_image in enumerate(of_images):
        if of_image:
            found[row, : len(of_image)] = torch.tensor(of_image, dtype=torch.float32)
    return found
