"""What a file of boxes says about one image, whatever its format."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reswork.datasets.dataset import Skipped
from reswork.datasets.folder_words import Role

MOST_ANNOTATION_BYTES = 512 * 1024**2
LEAST_INSIDE = 0.5  # of a box; one that lies further out was drawn on another image, or in other units


class BadBox(ValueError):
    """Why an image is left out: a few words about one of its boxes."""


@dataclass(frozen=True)
class Box:
    """One box as its file has it.

    Args:
        label: name of the class.
        edges: left, top, right, bottom; in pixels, or in parts of width and height.
    """

    label: str
    edges: tuple[float, float, float, float]


@dataclass(frozen=True)
class Record:
    """One image's boxes.

    Args:
        image: name of the image as the file of boxes has it, or as it follows from that file's own name.
        boxes: may be none.
        origin: the file of boxes.
        size: height and width on which the boxes were drawn, where that is told.
        is_relative: whether edges are parts of width and height.
        role: the split, where that is told.
    """

    image: str
    boxes: tuple[Box, ...]
    origin: str
    size: tuple[int, int] | None = None
    is_relative: bool = False
    role: Role | None = None


@dataclass
class Records:
    """All that files of boxes say.

    Args:
        records: one for each image.
        classes: names in the order of the files' own numbers; empty where they have none.
        skipped: images and files that are left out.
        notes: sentences about what was understood.
    """

    records: list[Record] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def edges_in_pixels(record: Record, size: tuple[int, int]) -> tuple[list[tuple[float, ...]], int]:
    """Edges of a record's boxes within its image, and how many reached over its edge and were cut there.

    Args:
        record: of the image.
        size: its height and width in pixels.

    Raises:
        BadBox: a box that lies outside, is empty, or was drawn on an image of another size.
    """
    if record.size is not None and record.size != size:
        raise BadBox(
            f"its boxes were drawn on {record.size[0]}x{record.size[1]} pixels, and it has {size[0]}x{size[1]}"
        )
    height, width = size
    found: list[tuple[float, ...]] = []
    cut = 0
    for number, box in enumerate(record.boxes, start=1):
        left, top, right, bottom = _whole_edges(box, number)
        if record.is_relative:
            left, top, right, bottom = left * width, top * height, right * width, bottom * height
        inside = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
        area = max(inside[2] - inside[0], 0.0) * max(inside[3] - inside[1], 0.0)
        if area < LEAST_INSIDE * (right - left) * (bottom - top):
            raise BadBox(
                f"box {number} ({left:g}, {top:g}, {right:g}, {bottom:g}) lies outside of its {width}x{height} pixels"
            )
        cut += inside != (left, top, right, bottom)
        found.append(inside)
    return found, cut


def _whole_edges(box: Box, number: int) -> Sequence[float]:
    left, top, right, bottom = box.edges
    if not all(abs(edge) < 1e9 for edge in box.edges):  # NaN is not
        raise BadBox(f"box {number} has an edge that is no finite number")
    if right <= left or bottom <= top:
        raise BadBox(f"box {number} is {right - left:g} wide and {bottom - top:g} high")
    return box.edges


def within_view(
    edges: Sequence[float], size: tuple[int, int], target: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Where a box lies after its image was scaled until it covers a size and cut to it around its centre.

    Args:
        edges: left, top, right, bottom in pixels of the image.
        size: height and width of the image.
        target: height and width of the cut.

    Returns:
        Left, top, right, bottom in pixels of the cut, within it; empty where the box lies outside.
    """
    (height, width), (rows, columns) = size, target
    ratio = columns / rows
    seen_width, seen_height = (ratio * height, height) if width / height >= ratio else (width, width / ratio)
    left, top = (width - seen_width) / 2, (height - seen_height) / 2  # as Pillow's ImageOps.fit
    x = [min(max((edge - left) * columns / seen_width, 0.0), float(columns)) for edge in (edges[0], edges[2])]
    y = [min(max((edge - top) * rows / seen_height, 0.0), float(rows)) for edge in (edges[1], edges[3])]
    return x[0], y[0], x[1], y[1]
