"""Boxes from XML files as PASCAL VOC has them."""

from collections.abc import Mapping
from xml.etree import ElementTree

from reswork.datasets.box_records import Box, Record, Records
from reswork.datasets.coco_boxes import split_of
from reswork.datasets.dataset import Skipped
from reswork.datasets.files import readable
from reswork.datasets.folder_words import Role, role_of

_EDGES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(contents: Mapping[str, bytes], lists: Mapping[str, bytes]) -> Records:
    """What XML files say, one for each image; ``lists``, such as ``ImageSets/Main/val.txt``, name splits.

    VOC counts pixels from 1 and both ends belong to the box: ``xmin`` 1 is the image's left edge. Objects that are
    marked as ``difficult`` are left out, as VOC's own judgement leaves them out.

    Args:
        contents: of the XML files, by name.
        lists: of text files that name images, by name.
    """
    found = Records()
    roles = _roles(lists)
    difficult = 0
    for name, content in contents.items():
        stem = name.rpartition("/")[2].rsplit(".", 1)[0]
        try:
            record, left_out = _record(name, content, roles.get(stem) or split_of(name))
        except ValueError as error:
            found.skipped.append(Skipped(readable(name), str(error)))
        else:
            found.records.append(record)
            difficult += left_out
    if difficult:
        found.notes.append(f"{difficult:,} boxes that are marked as difficult were left out.")
    return found


def _roles(lists: Mapping[str, bytes]) -> dict[str, Role]:
    """The split of each image that a list names; what is in two lists is for the test."""
    found: dict[str, Role] = {}
    for name, content in lists.items():
        role = role_of(name.rpartition("/")[2].rsplit(".", 1)[0])
        for line in content.decode("utf-8", "replace").splitlines() if role else ():
            words = line.split()
            if words and found.get(words[0]) in (None, "train"):
                found[words[0]] = role  # type: ignore[assignment]  # it is one here
    return found


def _record(name: str, content: bytes, role: Role | None) -> tuple[Record, int]:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it defines entities, which files of boxes do not need")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise ValueError(f"no XML that can be read ({error})") from error
    if root.tag != "annotation":
        raise ValueError(f"its outermost part is <{root.tag[:40]}> and not <annotation>")
    boxes, difficult = [], 0
    for number, thing in enumerate(root.iter("object"), start=1):
        if (thing.findtext("difficult") or "0").strip() == "1":
            difficult += 1
            continue
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise ValueError(f"object {number} has no name")
        edges = [_number(thing.find("bndbox"), edge, number) for edge in _EDGES]
        left, top, right, bottom = edges
        boxes.append(Box(label, (left - 1, top - 1, right, bottom)))
    image = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    return Record(image or name.rpartition("/")[2], tuple(boxes), name, _size(root), role=role), difficult


def _number(box: ElementTree.Element | None, edge: str, number: int) -> float:
    text = None if box is None else box.findtext(edge)
    if text is None:
        raise ValueError(f"object {number} has no {'bndbox' if box is None else edge}")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"object {number} has {edge}={text.strip()[:20]!r}, which is no number") from None


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Height and width; some tools write 0 where they do not know."""
    try:
        size = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    except ValueError:
        return None
    return size if min(size) > 0 else None
