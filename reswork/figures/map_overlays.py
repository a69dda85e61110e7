"""Attributions laid over their pictures: what spoke for the answer, and what against it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.errors import InvalidSetting
from reswork.figures.canvas import COLOURS, about
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.text import number
from reswork.results import Attribution

_FOR, _AGAINST = (213, 94, 0), (0, 114, 178)  # Okabe and Ito's vermillion and blue: COLOURS 1 and 0
_STRONGEST = 99.5  # percentile of |map| that gets the full colour: a single pixel does not dim the rest
_MOST_TILES = 60
_GREY = (0.299, 0.587, 0.114)

_ABOUT = about(
    "Orange marks what spoke for the class, blue what spoke against it, over the picture in grey. Each map has "
    "its own scale: no colour is zero, full colour is its strongest half percent.",
    "On a trained network most orange lies on the object, blurred or speckled by the method; maps of different "
    "methods agree on where and differ in detail.",
    "Explain another class, or the difference of two, and see whether the map changes; then look at its trust.",
)


@dataclass(frozen=True, eq=False)
class _Maps:
    tiles: np.ndarray  # (T, 3, H, W) uint8
    titles: tuple[str, ...]  # (T,)
    columns: int
    summary: str


def attribution_maps(
    images: np.ndarray,
    attributions: Sequence[Attribution],
    classes: Sequence[str] = (),
    *,
    columns: int | None = None,
    title: str = "Attributions",
) -> go.Figure:
    """Each map over its picture; a row for each picture and target, a column for each method or layer.

    Read from it where the methods agree; the numbers are in ``Attribution.maps``.

    Args:
        images: (N, C, H, W) uint8, the pictures as people see them.
        attributions: of the same pictures and targets, one for each column.
        classes: names of the classes; without them their numbers.
        columns: tiles in a row, for the maps of a single picture that do not fit into one; None: a column each.
        title: of the figure, in a few words.

    Returns:
        Figure with one picture made of all, and a colour scale centred on zero; at most 60 tiles.

    Raises:
        InvalidSetting: pictures that do not fit the maps.
    """
    info = _maps_info(np.asarray(images), tuple(attributions), tuple(map(str, classes)))
    return _maps_figure(replace(info, columns=columns) if columns and len(info.tiles) else info, title)


def _maps_info(images: np.ndarray, attributions: tuple[Attribution, ...], classes: tuple[str, ...]) -> _Maps:
    if not attributions or not len(attributions[0]):
        return _Maps(np.zeros((0, 3, 1, 1), np.uint8), (), 1, "No attributions to show.")
    first = attributions[0]
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[2:] != first.size:
        raise InvalidSetting(
            "images",
            f"images of shape {images.shape} and type {images.dtype}: give the pictures of these maps, "
            f"(N, C, {first.size[0]}, {first.size[1]}) uint8",
        )
    if any(len(one) != len(first) or one.size != first.size for one in attributions):
        raise InvalidSetting(
            "attributions", "attributions of different pictures or targets: give one figure each"
        )
    columns = 1 + len(attributions)
    rows = min(len(first), max(1, _MOST_TILES // columns))
    pictures = _colour(images[first.images[:rows]])  # (R, 3, H, W)
    laid = [laid_over(images[first.images[:rows]], one.maps[:rows]) for one in attributions]
    tiles = np.stack([pictures, *laid], axis=1).reshape(-1, 3, *first.size)
    titles = [
        title
        for row in range(rows)
        for title in (_target(first.targets[row], classes), *(_column(one, ",\n") for one in attributions))
    ]
    return _Maps(tiles, tuple(titles), columns, _summary(attributions, classes))


def laid_over(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Pictures (R, C, H, W) uint8 under maps (R, H, W): the more a map says, the more colour and the less picture.

    Returns:
        (R, 3, H, W) uint8.
    """
    strength = np.abs(np.nan_to_num(maps, posinf=0, neginf=0))
    top = np.percentile(strength, _STRONGEST, axis=(1, 2), keepdims=True)
    top = np.where(top > 0, top, strength.max(axis=(1, 2), keepdims=True))
    share = np.clip(strength / np.where(top > 0, top, 1), 0, 1)[:, None]  # (R, 1, H, W)
    colour = np.where(maps[:, None] >= 0, _as_planes(_FOR), _as_planes(_AGAINST))
    ground = (64 + grey(images) / 2)[:, None]  # paler than the picture, so that colours stand out
    return (ground * (1 - share) + colour * share).round().astype(np.uint8)


def _as_planes(colour: tuple[int, int, int]) -> np.ndarray:
    return np.array(colour, np.float32).reshape(1, 3, 1, 1)


def _colour(images: np.ndarray) -> np.ndarray:
    return images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)


def grey(images: np.ndarray) -> np.ndarray:
    """Brightness (N, H, W) float32 of images (N, C, H, W), 0 to 255."""
    return np.einsum("c,nchw->nhw", np.array(_GREY, np.float32), _colour(images).astype(np.float32))


def _column(one: Attribution, between: str = ", ") -> str:
    label = one.label or one.method
    return f"{label}{between}{one.layer}" if one.layer else label


def _target(target: str, classes: tuple[str, ...]) -> str:
    """``"3 - 5"`` with the names of the classes."""
    names = [classes[int(part)] if int(part) < len(classes) else part for part in target.split(" - ")]
    return " rather than ".join(names)


def _summary(attributions: tuple[Attribution, ...], classes: tuple[str, ...]) -> str:
    first = attributions[0]
    shown = ", ".join(_column(one) for one in attributions)
    return (
        f"{shown} for {_target(first.targets[0], classes)}, score {number(float(first.scores[0]))}"
        + (f", and {len(first) - 1} more" if len(first) > 1 else "")
        + "."
    )


def _maps_figure(info: _Maps, title: str) -> go.Figure:
    mosaic = mosaic_of(info.tiles, info.titles, info.columns)
    figure = mosaic_figure(mosaic, title=title, summary=info.summary, explained=_ABOUT)
    if len(info.tiles):
        figure.add_trace(_scale())
        figure.layout.margin.r = 74
    return figure


def _scale() -> dict[str, Any]:
    """A colour bar without points."""
    scale = [[0, COLOURS[0]], [0.5, "rgb(160,160,160)"], [1, COLOURS[1]]]
    bar = {
        "title": {"text": "speaks<br>\u00a0", "side": "top", "font": {"size": 12}},
        "tickvals": [-1, 0, 1],
        "ticktext": ["against", "not", "for"],
        "thickness": 10,
        "len": 0.9,
        "outlinewidth": 0,
    }
    marker = {"colorscale": scale, "cmin": -1, "cmax": 1, "color": [0], "showscale": True, "colorbar": bar}
    return {"type": "scatter", "x": [None], "y": [None], "mode": "markers", "marker": marker, "hoverinfo": "skip",
            "showlegend": False}  # fmt: skip


def under_maps(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Images in grey under maps of one scale: the higher, the more orange.

    Args:
        images: (N, C, H, W) uint8.
        maps: (N, H, W), from 0.

    Returns:
        (N, 3, H, W) uint8.
    """
    top = np.percentile(maps, _STRONGEST) or 1.0
    share = np.clip(maps / top, 0, 1)[:, None] ** 0.7  # half of the scale is seen well
    ground = (48 + grey(images) * 0.6)[:, None]
    colour = np.array(_FOR, np.float32).reshape(1, 3, 1, 1)
    return (ground * (1 - share) + colour * share).round().astype(np.uint8)
