"""Pictures side by side, drawn as one, so that a hundred cost little more than one."""

import io
import math
import struct
import textwrap
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.errors import InvalidSetting
from reswork.figures.canvas import CLEAR, about, canvas
from reswork.figures.text import escape, shortened

_MOST_PIXELS = 1_024  # width or height of the mosaic; larger pictures are averaged down
_WIDTH = 612  # screen pixels of a narrow panel: titles and height are made for it
_WIDEST = 128  # screen pixels of one picture, where few would be blown up
_MOST_NAMED = 12  # in the sentence below
_LINE, _MORE = 17, 14  # screen pixels of a title's line, and of a second one

_ABOUT = about(
    "Pictures as the network gets them, at their real size in pixels, enlarged for the screen.",
    "They look coarse: 28 or 32 pixels a side are enough for a network to learn from.",
    "Name them yourself without reading the titles; that is the task.",
)


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Equal pictures in rows, as one picture."""

    pixels: np.ndarray  # (height, width, 4) uint8, the gaps transparent
    cell: tuple[int, int]  # height and width of one picture with its gap
    room: int  # rows of pixels above each picture, for its title
    columns: int
    titles: tuple[str, ...]
    count: int
    shrink: int = 1  # pixels of a given picture that share one of the mosaic, in height and in width

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top pixel of a picture inside the mosaic."""
        return index % self.columns * self.cell[1], index // self.columns * self.cell[0] + self.room


def image_grid(
    images: np.ndarray,
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    title: str = "Pictures",
    names: Sequence[str] = (),
) -> go.Figure:
    """Pictures in rows, each under its title; also the strip of augmented versions of one picture.

    Args:
        images: (N, C, H, W) uint8 with one or three channels; further channels are not shown.
        titles: up to N texts; cut to two lines as wide as a picture.
        columns: pictures in a row; None: what suits N.
        title: of the figure, in a few words.
        names: N texts that say which picture is pointed at, and are what a click on one gives.

    Returns:
        Figure with a single picture made of all.

    Raises:
        InvalidSetting: if the images are not of that shape and type.
    """
    array = np.asarray(images)
    if array.ndim != 4 or array.dtype != np.uint8:
        raise InvalidSetting(
            "images", f"images of shape {array.shape} and type {array.dtype}; give (N, C, H, W) uint8"
        )
    info = mosaic_of(array, tuple(titles), columns)
    return mosaic_figure(info, title=title, summary=_summary(info), explained=_ABOUT, names=names)


def mosaic_of(images: np.ndarray, titles: tuple[str, ...] = (), columns: int | None = None) -> Mosaic:
    """Pictures (N, C, H, W) uint8 as one, each under its title."""
    count = len(images)
    columns = max(columns or (count if count <= 8 else max(6, math.ceil(math.sqrt(count)))), 1)
    if 0 in images.shape:
        return Mosaic(np.zeros((1, 1, 4), np.uint8), (1, 1), 0, columns, (), 0)
    rows = -(-count // columns)
    longest = max(images.shape[3] * columns, images.shape[2] * rows)
    shrink = min(max(math.ceil(longest / _MOST_PIXELS), 1), *images.shape[2:])
    small = _reduced(images, shrink)
    height, width = small.shape[2:]
    gap = max(1, round(width / 16))
    lines = max((len(_lines(title, columns)) for title in titles[:count]), default=0)
    high = _LINE + _MORE * (lines - 1) if lines else 0
    room = math.ceil(high * (width + gap) / _cell_width(columns))
    cell = (room + height + gap, width + gap)
    pixels = np.zeros((rows * cell[0], columns * cell[1], 4), np.uint8)
    colour = small[:, :3] if small.shape[1] >= 3 else np.repeat(small[:, :1], 3, axis=1)  # (N, 3, h, w)
    for index, image in enumerate(colour):
        top, left = index // columns * cell[0] + room, index % columns * cell[1]  # as Mosaic.corner
        pixels[top : top + height, left : left + width, :3] = image.transpose(1, 2, 0)  # (h, w, 3)
        pixels[top : top + height, left : left + width, 3] = 255
    return Mosaic(pixels, cell, room, columns, titles[:count], count, shrink)


def _cell_width(columns: int) -> float:
    """Pixels on a narrow screen for one picture and its gap."""
    return min(_WIDTH / columns, _WIDEST)


def _lines(title: str, columns: int) -> list[str]:
    """A title in at most two lines as wide as a picture."""
    letters = max(int(_cell_width(columns) / 6.5), 4)
    lines = title.split("\n")[:2]  # as it is given, or else where it fits
    if len(lines) == 1:
        lines = textwrap.wrap(title, letters, max_lines=2, placeholder=" …", break_long_words=False)
    return [shortened(line, letters) for line in lines] or [""]


def _reduced(images: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of ``factor`` x ``factor`` pixels; what does not fill a square is cut off."""
    count, channels, height, width = images.shape
    if factor == 1:
        return images
    height, width = height // factor, width // factor
    cut = images[:, :, : height * factor, : width * factor]
    squares = cut.reshape(count, channels, height, factor, width, factor)
    return squares.mean(axis=(3, 5), dtype=np.float32).astype(np.uint8)


def mosaic_figure(
    info: Mosaic,
    *,
    title: str,
    summary: str,
    explained: Mapping[str, str],
    shapes: Sequence[Mapping[str, Any]] = (),
    names: Sequence[str] = (),
) -> go.Figure:
    """The figure of a mosaic, with shapes in its pixels drawn on top.

    Args:
        info: the pictures.
        title: of the figure.
        summary: for those who do not see it.
        explained: the texts of `about`.
        shapes: as plotly takes them.
        names: N texts: what a picture says when pointed at, and what a click on it gives.
    """
    height, width = info.pixels.shape[:2]
    hidden: dict[str, Any] = {"visible": False, "fixedrange": True, "constrain": "domain"}
    shown = _cell_width(info.columns) * info.columns * height / width
    picture = {"type": "image", "source": _png(info.pixels), "hoverinfo": "skip"}
    figure = canvas(
        [picture, *_pointed(info, names)] if info.count else [],
        title=title,
        summary=summary,
        explained=explained,
        x=hidden | {"range": [-0.5, width - 0.5], "constraintoward": "left"},
        y=hidden | {"range": [height - 0.5, -0.5], "scaleanchor": "x", "constraintoward": "top"},
        height=int(np.clip(shown + 8, 60, 640)) if info.count else 60,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        annotations=_annotations(info),
        shapes=list(shapes),
        dragmode=False,
    )
    if info.count:
        figure.layout.meta = {**figure.layout.meta, "ratio": height / width}  # a narrow page makes it lower
    return figure


def _pointed(info: Mosaic, names: Sequence[str]) -> list[dict[str, Any]]:
    """One clear cell over each picture, as a picture alone says nothing when pointed at or clicked."""
    if not names:
        return []
    shape = (-(-info.count // info.columns), info.columns)
    known = [*names[: info.count], *[""] * (shape[0] * shape[1] - info.count)]
    z = np.where(np.arange(len(known)) < info.count, 0, np.nan).reshape(shape).astype(np.float32)
    return [
        {
            "type": "heatmap",
            "z": z,
            "x": ((np.arange(shape[1]) + 0.5) * info.cell[1] - 0.5).astype(np.float32),
            "y": ((np.arange(shape[0]) + 0.5) * info.cell[0] - 0.5).astype(np.float32),
            "customdata": [known[row * shape[1] : (row + 1) * shape[1]] for row in range(shape[0])],
            "colorscale": [[0, CLEAR], [1, CLEAR]],
            "showscale": False,
            "hoverongaps": False,
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    ]


def _annotations(info: Mosaic) -> list[dict[str, Any]]:
    if not info.count:
        paper = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
        return [paper | {"text": "no pictures"}]
    return [
        {
            "text": "<br>".join(escape(line) for line in _lines(title, info.columns)),
            "align": "left",
            "x": info.corner(index)[0] - 0.5,
            "y": info.corner(index)[1] - 0.5,
            "xanchor": "left",
            "yanchor": "bottom",
            "showarrow": False,
            "borderpad": 0,
            "font": {"size": 11},
        }
        for index, title in enumerate(info.titles)
    ]


def _summary(info: Mosaic) -> str:
    if not info.count:
        return "No pictures to show."
    counts = Counter(str(title).replace("\n", ", ") for title in info.titles)
    between = "; " if any("," in title for title in counts) else ", "
    named = between.join(
        f"{title} ({count} times)" if count > 1 else title for title, count in [*counts.items()][:_MOST_NAMED]
    )
    more = f" and {len(counts) - _MOST_NAMED} more" if len(counts) > _MOST_NAMED else ""
    many = "s" if info.count > 1 else ""
    return f"{info.count} picture{many}" + (f": {named}{more}." if named else ".")


def thumbnail_sheet(images: np.ndarray, names: Sequence[str], *, quality: int = 80) -> dict[str, Any]:
    """Small pictures in one JPEG, for a page that shows one of them where a point is pointed at.

    Args:
        images: (N, C, h, w) uint8.
        names: N texts, as the points say in their ``customdata``.
        quality: of the JPEG.

    Returns:
        ``source``, a data URI; ``cell``, height and width of one in pixels; ``columns``; ``place``, by name. As
        ``layout.meta["thumbnails"]`` of a figure the page finds it.
    """
    from PIL import Image

    if not len(images):
        return {}
    count, (height, width) = len(images), images.shape[2:]
    columns = math.ceil(math.sqrt(count * height / width))
    rows = -(-count // columns)
    colour = images[:, :3] if images.shape[1] >= 3 else images[:, :1]
    sheet = np.zeros((rows * columns, colour.shape[1], height, width), np.uint8)
    sheet[:count] = colour
    pixels = sheet.reshape(rows, columns, -1, height, width).transpose(0, 3, 1, 4, 2)
    pixels = pixels.reshape(rows * height, columns * width, -1)
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, "JPEG", quality=quality)
    return {
        "source": "data:image/jpeg;base64," + b64encode(stream.getvalue()).decode(),
        "cell": [height, width],
        "columns": columns,
        "place": {name: place for place, name in enumerate(names)},
    }


def _png(pixels: np.ndarray) -> str:
    """The pixels (h, w, 4) uint8 as a PNG in a data URI: a twentieth of the array as text."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width * 4), np.uint8)  # each row begins with its filter, 0: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()
