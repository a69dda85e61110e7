"""One's own images by identity: a folder for each, and lists of pairs as face verification has them."""

import contextlib
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from reswork.datasets.conversion import assembled, check_fraction
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoder import decoded
from reswork.datasets.files import files_at, readable
from reswork.datasets.folder_words import role_of
from reswork.datasets.layout import is_image, kinds_in_words
from reswork.datasets.places import existing
from reswork.datasets.reading import checked_size, first_problem, surveyed
from reswork.errors import InvalidSetting

Pair = tuple[str, str, bool]
_FORM = "<identity>/<image>, or train/<identity>/<image> and test/<identity>/<image>"
_YES, _NO = ("1", "true", "yes", "same", "match"), ("0", "false", "no", "different", "mismatch")
_MOST_PAIRS = 1_000_000


def identities(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    *,
    pairs: str | os.PathLike[str] | None = None,
    test_fraction: float = 0.3,
    seed: int = 0,
) -> Dataset:
    """A data set for verification from a folder or a zip of images, with a folder for each identity.

    No identity is in both splits: some of them are kept for the test as a whole, those that a list of pairs names, or
    those in a folder ``test``. An identity with one image stays where it is only in the test.

    Args:
        path: the folder or the archive.
        size: height and width in pixels; None: see `folder`.
        pairs: a list of pairs to judge by. LFW's form (``name 1 4`` for the images 1 and 4 of one identity,
            ``name 1 other 3`` for two of two, between tabs or blanks); or a CSV of two images and 1 or 0, for same or
            not. ``extras["test_pairs"]`` has them, int64 (P, 3): two numbers of test images, and 1 for the same.
        test_fraction: part of the identities that is kept for the test where nothing else says which.
        seed: of that choice.

    Raises:
        InvalidSetting: nothing there, no folders of identities, too few of them, or pairs that do not fit.
    """
    place, wanted = existing(path).resolve(), checked_size(size)
    check_fraction(test_fraction)
    with contextlib.closing(files_at(place)) as files:
        names = [name for name in files.names if is_image(name)]
        if not names:
            raise InvalidSetting(
                "path", f"no images are there ({kinds_in_words(files.names)}); they must lie as {_FORM}"
            )
        owners, roles, stray = _owners(names)
        listed = None if pairs is None else _read_pairs(existing(pairs), names, owners)
        survey = surveyed(files, names, wanted)
        pixels, failed = decoded(files, names, survey.decoder)
        for row, reason in failed.items():
            if survey.good[row]:
                survey.fail(row, names[row], reason)
        refused, notes = [*files.refused, *stray], [*files.notes, *survey.notes]
    usable = [row for row, name in enumerate(names) if survey.good[row] and name in owners]
    names_of = Counter(owners[names[row]] for row in usable)
    if len(names_of) < 4:
        raise InvalidSetting(
            "path",
            f"{len(names_of)} identities have images that can be read, and two to learn from and two others for the "
            f"test are needed ({first_problem(survey.skipped) if survey.skipped else 'as ' + _FORM})",
        )
    kept = _kept(names_of, roles, listed, test_fraction, seed)
    known = sorted(name for name in names_of if name not in kept and names_of[name] > 1)
    single = len([name for name in names_of if name not in kept and names_of[name] == 1])
    if single:
        notes.append(
            f"{single:,} identities with a single image are left out: nothing can be learned from one."
        )
    if len(known) < 2:
        raise InvalidSetting(
            "path",
            f"{len(known)} identities with two images or more are left to learn from, and {len(kept)} are kept for "
            "the test: give more, or a smaller test_fraction",
        )
    if max(names_of[name] for name in kept) < 2:
        raise InvalidSetting(
            "path",
            f"none of the {len(kept)} identities of the test has two images: there is nothing to find again",
        )
    classes = [*known, *sorted(kept)]
    number = {name: index for index, name in enumerate(classes)}
    rows = {
        "train": [row for row in usable if owners[names[row]] in set(known)],
        "test": [row for row in usable if owners[names[row]] in kept],
    }
    splits = {
        split: Split(
            torch.from_numpy(pixels[chosen]),
            torch.tensor([number[owners[names[row]]] for row in chosen], dtype=torch.int64),
        )
        for split, chosen in rows.items()
    }
    extras = {}
    if listed is not None:
        at = {names[row]: index for index, row in enumerate(rows["test"])}
        found = [(at[a], at[b], int(same)) for a, b, same in listed if a in at and b in at]
        if len({same for *_, same in found}) < 2:
            raise InvalidSetting(
                "pairs",
                "the pairs whose images can be read are all of one kind: give pairs of one identity and of two",
            )
        extras["test_pairs"] = torch.tensor(found, dtype=torch.int64)
        notes.append(f"{len(found):,} of {len(listed):,} pairs have images that can be read.")
    notes.append(f"{len(known):,} identities are learned from, {len(kept):,} others are in the test.")
    skipped = sorted((readable(each.path), each.reason) for each in [*refused, *survey.skipped])
    return assembled(
        readable(place.name if place.is_dir() else place.stem),
        splits["train"],
        splits["test"],
        [readable(name) for name in classes],
        f"Read from the {'folder' if place.is_dir() else 'archive'} {readable(place.name)}",
        skipped=[Skipped(*each) for each in skipped],
        extras=extras,
        notes=notes,
        value_range=survey.decoder.value_range,
        task="verification",
    )


def _owners(names: Sequence[str]) -> tuple[dict[str, str], dict[str, str], list[Skipped]]:
    """Whose image each is, the split of each identity where folders say it, and images that belong to nobody."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    if (
        len(tops) == 1
        and not any("/" not in name for name in names)
        and all(name.count("/") > 1 for name in names)
    ):
        top = f"{next(iter(tops))}/"  # a folder around all others
        found, roles, stray = _owners([name.removeprefix(top) for name in names])
        return {top + name: owner for name, owner in found.items()}, roles, stray
    splits = {top: role for top in tops if (role := role_of(top)) is not None}
    is_split = "train" in splits.values() and len({role == "train" for role in splits.values()}) == 2
    owners, roles, stray = dict[str, str](), dict[str, str](), list[Skipped]()
    for name in names:
        way = name.split("/")[1 if is_split and name.split("/")[0] in splits else 0 :]
        if len(way) < 2 or (is_split and name.split("/")[0] not in splits):
            stray.append(Skipped(readable(name), "lies in no folder of an identity"))
            continue
        owner = owners[name] = way[0]
        role = "train" if not is_split or splits[name.split("/")[0]] == "train" else "test"
        if is_split and roles.setdefault(owner, role) != role:
            raise InvalidSetting(
                "path",
                f"{readable(owner)} has images to learn from and images in the test: an identity must be in one of "
                "both, or the test would ask for what is known by heart",
            )
    if not owners:
        raise InvalidSetting("path", f"the {len(names):,} images lie in no folders: put them as {_FORM}")
    return owners, roles, stray


def _kept(
    counts: Mapping[str, int],
    roles: Mapping[str, str],
    listed: Sequence[Pair] | None,
    test_fraction: float,
    seed: int,
) -> set[str]:
    """The identities of the test."""
    if listed is not None:
        named = {PurePosixPath(name).parent.name for pair in listed for name in pair[:2]}
        return named & set(counts)
    if roles:
        return {name for name in counts if roles[name] == "test"}
    order = np.random.RandomState(seed).permutation(len(counts))
    names = sorted(counts)
    count = min(max(2, round(len(counts) * test_fraction)), len(counts) - 2)
    chosen = {names[index] for index in order[:count]}
    if max(counts[name] for name in chosen) < 2:  # one that can be found again
        several = [name for name in names if counts[name] > 1]
        chosen |= set(several[:1])
    return chosen


def _read_pairs(place: Path, names: Sequence[str], owners: Mapping[str, str]) -> list[Pair]:
    """The pairs of a list by the names of their images."""
    try:
        text = place.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            "pairs", f"{readable(place.name)} cannot be read as text ({error}): give a list of pairs"
        ) from error
    by_end = {name: name for name in names}
    by_end |= {"/".join(name.split("/")[-2:]): name for name in names if name in owners}
    numbered: dict[tuple[str, int], str] = {}
    for name in names:
        end = re.search(r"(\d+)$", PurePosixPath(name).stem)
        if end and name in owners:
            numbered[owners[name], int(end[1])] = name
    found = []
    for at, line in enumerate(text.splitlines(), start=1):
        cells = next(csv.reader(io.StringIO(line)), []) if "," in line else re.split(r"\t|\s+", line.strip())
        cells = [cell.strip() for cell in cells if cell.strip()]
        if not cells or (at == 1 and (all(cell.isdigit() for cell in cells) or _is_header(cells, by_end))):
            continue
        found.append(_pair(place, at, cells, by_end, numbered, owners))
        if len(found) > _MOST_PAIRS:
            raise InvalidSetting(
                "pairs", f"{readable(place.name)} has more than {_MOST_PAIRS:,} pairs: give fewer"
            )
    if not found:
        raise InvalidSetting("pairs", f"{readable(place.name)} has no pairs: give a line for each")
    return found


def _is_header(cells: Sequence[str], names: Mapping[str, str]) -> bool:
    """Three words of which none is an image or a number."""
    return len(cells) == 3 and not any(cell in names or cell.isdigit() or "." in cell for cell in cells)


def _pair(
    place: Path,
    at: int,
    cells: Sequence[str],
    names: Mapping[str, str],
    numbered: Mapping[tuple[str, int], str],
    owners: Mapping[str, str],
) -> Pair:
    """One line."""
    where = f"line {at} of {readable(place.name)}"
    told = None
    if len(cells) == 3 and cells[1].isdigit() and cells[2].isdigit() and cells[0] not in names:
        wanted = [(cells[0], int(cells[1])), (cells[0], int(cells[2]))]
        images = [numbered.get(each) for each in wanted]
        asked = [f"{name} {number}" for name, number in wanted]
    elif len(cells) == 4 and cells[1].isdigit() and cells[3].isdigit():
        wanted = [(cells[0], int(cells[1])), (cells[2], int(cells[3]))]
        images = [numbered.get(each) for each in wanted]
        asked = [f"{name} {number}" for name, number in wanted]
    elif len(cells) == 3 and cells[2].lower() in (*_YES, *_NO):
        asked, told = list(cells[:2]), cells[2].lower() in _YES
        images = [names.get(each) for each in asked]
    else:
        raise InvalidSetting(
            "pairs",
            f"{where} is {' '.join(cells)[:60]!r}: give two images and 1 or 0 between commas, or LFW's name, number, "
            "number",
        )
    for image, name in zip(images, asked, strict=True):
        if image is None or image not in owners:
            raise InvalidSetting("pairs", f"{where} names {name!r}, and no such image is there")
    first, second = (str(image) for image in images)
    same = owners[first] == owners[second]
    if told is not None and told != same:
        raise InvalidSetting(
            "pairs",
            f"{where} says that {asked[0]} and {asked[1]} are {'the same' if told else 'different'}, and their folders "
            f"{owners[first]} and {owners[second]} say the opposite: mend one of both",
        )
    return first, second, same
