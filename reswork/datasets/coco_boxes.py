"""Boxes from JSON files as COCO has them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reswork.datasets.box_records import Box, Record, Records
from reswork.datasets.dataset import Skipped
from reswork.datasets.files import readable
from reswork.datasets.folder_words import Role, role_of
from reswork.errors import InvalidSetting

_PARTS = ("images", "annotations", "categories")


def read_coco(contents: Mapping[str, bytes]) -> Records:
    """What some JSON files of COCO's form say; each may be of one split, by its own name or its folder's.

    ``bbox`` is left, top, width and height in pixels. Boxes around crowds (``iscrowd``) are left out.

    Args:
        contents: of the files, by name.

    Raises:
        InvalidSetting: no JSON, or one of another form.
    """
    found = Records()
    names: dict[int, str] = {}
    crowds = 0
    for name, content in contents.items():
        told = _parsed(name, content)
        for category in told["categories"]:
            number, label = _entry(name, category, "categories", "id"), category.get("name")
            if not isinstance(label, str) or not label:
                raise InvalidSetting("annotations", f"{readable(name)}: category {number} has no name")
            if names.setdefault(number, label) != label:
                raise InvalidSetting(
                    "annotations",
                    f"category {number} is called {label!r} in {readable(name)} and {names[number]!r} elsewhere",
                )
        by_image: dict[int, list[Mapping[str, Any]]] = {}
        for each in told["annotations"]:
            if each.get("iscrowd"):
                crowds += 1
            else:
                by_image.setdefault(_entry(name, each, "annotations", "image_id"), []).append(each)
        known = set[int]()
        for image in told["images"]:
            number = _entry(name, image, "images", "id")
            known.add(number)
            record = _record(name, image, by_image.get(number, ()), names)
            if isinstance(record, Record):
                found.records.append(record)
            else:
                found.skipped.append(record)
        if homeless := sum(len(each) for number, each in by_image.items() if number not in known):
            found.notes.append(
                f"{homeless:,} boxes of {readable(name)} belong to no image in it and were left out."
            )
    if crowds:
        found.notes.append(f"{crowds:,} boxes around crowds (iscrowd) were left out.")
    found.classes = [names[number] for number in sorted(names)]
    return found


def looks_like_coco(content: bytes) -> bool:
    """Whether a JSON file may hold boxes, by the words in it."""
    return b'"annotations"' in content and b'"images"' in content


def _parsed(name: str, content: bytes) -> dict[str, list[Mapping[str, Any]]]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(
            "annotations", f"{readable(name)} is no JSON that can be read ({error})"
        ) from error
    if not isinstance(told, dict):
        raise InvalidSetting(
            "annotations", f"{readable(name)} holds a {type(told).__name__}: give an object as COCO has it"
        )
    for part in _PARTS:
        entries = told.get(part)
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise InvalidSetting(
                "annotations",
                f"{readable(name)} has no list of objects called {part!r}: COCO's form has "
                f"{', '.join(map(repr, _PARTS))}",
            )
    return {part: told[part] for part in _PARTS}


def _entry(name: str, entry: Mapping[str, Any], part: str, key: str) -> int:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSetting(
            "annotations", f"{readable(name)}: an entry of {part!r} has {key}={value!r}; give a whole number"
        )
    return value


def _record(
    name: str, image: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]], names: Mapping[int, str]
) -> Record | Skipped:
    file = image.get("file_name")
    if not isinstance(file, str) or not file:
        return Skipped(readable(name), f"image {image['id']} has no file_name")
    boxes = []
    for number, each in enumerate(drawn, start=1):
        label, bbox = each.get("category_id"), each.get("bbox")
        bbox = bbox if isinstance(bbox, list) else [bbox]
        if not isinstance(label, int) or label not in names:
            return Skipped(readable(file), f"box {number} has the unknown category_id {label!r}")
        numbers = [v for v in bbox if type(v) in (int, float)]
        if len(numbers) != 4 or len(bbox) != 4:
            return Skipped(
                readable(file), f"box {number} is {bbox!r}; four numbers are needed: left, top, width, height"
            )
        left, top, width, height = map(float, numbers)
        boxes.append(Box(names[label], (left, top, left + width, top + height)))
    size = image.get("height"), image.get("width")
    known = size if all(isinstance(side, int) and side > 0 for side in size) else None
    return Record(file, tuple(boxes), name, known, role=split_of(name))  # type: ignore[arg-type]  # both are int


def split_of(name: str) -> Role | None:
    """The split that a file's name tells, else the nearest of its folders that tells one."""
    way = name.split("/")
    told = (role_of(part) for part in (way[-1].rsplit(".", 1)[0], *reversed(way[:-1])))
    return next((role for role in told if role), None)
