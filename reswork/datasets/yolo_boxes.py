"""Boxes from text files as YOLO has them."""

import re
from collections.abc import Mapping

from reswork.datasets.box_records import Box, Record, Records
from reswork.datasets.coco_boxes import split_of
from reswork.datasets.dataset import Skipped
from reswork.datasets.files import readable

NAME_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "obj.names")
_JUST_OVER = 1e-3  # of width or height, by which rounded numbers may reach over 0 and 1


def read_yolo(contents: Mapping[str, bytes], classes: list[str]) -> Records:
    """What text files say, one for each image, a box in each line: class, centre x and y, width and height.

    All but the class are parts of the image's width and height, 0 to 1. A line of a class and three or more points is
    an outline, and the box around it is taken.

    Args:
        contents: of the text files, by name.
        classes: names in the order of their numbers; empty: they are called by their numbers.
    """
    found = Records(classes=list(classes))
    for name, content in contents.items():
        try:
            boxes = [
                _box(number, line.split(), classes)
                for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), start=1)
                if line.strip()
            ]
        except ValueError as error:
            found.skipped.append(Skipped(readable(name), str(error)))
        else:
            found.records.append(Record(name, tuple(boxes), name, is_relative=True, role=split_of(name)))
    if not classes:
        found.notes.append("No data.yaml or classes.txt names the classes: they are called by their numbers.")
    return found


def class_names(name: str, content: bytes) -> list[str]:
    """The names in a ``data.yaml`` (under ``names``, a list or numbers with names) or in a list, one a line."""
    text = content.decode("utf-8-sig", "replace")
    if not name.lower().endswith((".yaml", ".yml")):
        return [line.strip() for line in text.splitlines() if line.strip()]
    found = re.search(r"^names\s*:\s*([\[{].*?[\]}])", text, re.MULTILINE | re.DOTALL)
    if found:
        inner = found.group(1)[1:-1]
        parts = [part.strip() for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^,]+", inner)]
        numbered = found.group(1)[0] == "{"
        return [_unquoted(part.split(":", 1)[1] if numbered else part) for part in parts if part]
    block = re.search(r"^names\s*:[^\S\n]*\n((?:[ \t]*(?:-|\d+\s*:).*\n?)+)", text, re.MULTILINE)
    lines = block.group(1).splitlines() if block else []
    return [_unquoted(re.sub(r"^\s*(?:-|\d+\s*:)", "", line)) for line in lines if line.strip()]


def _unquoted(text: str) -> str:
    return text.split(" #")[0].strip().strip("'\"")


def _box(number: int, words: list[str], classes: list[str]) -> Box:
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        raise ValueError(
            f"line {number} has {len(words)} numbers, and a box has five: class, x, y, width, height"
        )
    try:
        label, *numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"line {number} has {' '.join(words)[:40]!r}, which are no numbers") from None
    if not label.is_integer() or label < 0 or (classes and label >= len(classes)):
        accepted = f"0 to {len(classes) - 1} have names" if classes else "give a whole number from 0"
        raise ValueError(f"line {number} has the unknown class {words[0]}: {accepted}")
    if not all(-_JUST_OVER <= each <= 1 + _JUST_OVER for each in numbers):
        raise ValueError(
            f"line {number} has {' '.join(words[1:5])}: YOLO's numbers are parts of width and height, 0 to 1"
        )
    named = classes[int(label)] if classes else str(int(label))
    if len(numbers) > 4:
        across, down = numbers[::2], numbers[1::2]
        return Box(named, (min(across), min(down), max(across), max(down)))
    x, y, width, height = numbers
    return Box(named, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
