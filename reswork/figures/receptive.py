"""What part of the image a position sees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, about, axis, canvas
from reswork.figures.smoothing import Floats
from reswork.figures.text import number
from reswork.results.receptive import ReceptiveField

_MOST_PIXELS = 128

_ABOUT = about(
    "How much each pixel of the image counts for one position of a layer: yellow most, dark blue nothing. The "
    "frame holds all that the position could see by its layout.",
    "A blob in the middle, much smaller than the frame, that fades outwards.",
    "Go one stage deeper: the blob grows. Compare it before and after training, and with the size of the things "
    "that are to be told apart.",
)


@dataclass(frozen=True, eq=False)
class _Map:
    layer: str
    shares: Floats  # (h, w) percent of the strongest pixel
    step: int  # pixels of the image in one of the map
    box: tuple[int, int, int, int]
    summary: str


def receptive_field(found: ReceptiveField) -> go.Figure:
    """The field that is really used, in the frame of the field that could be.

    Args:
        found: from ``probes.receptive_field``.

    Returns:
        Figure with one map of at most 128 x 128 and one frame.
    """
    return _figure(_info(found))


def _info(found: ReceptiveField) -> _Map:
    step = -(-max(found.influence.shape) // _MOST_PIXELS) or 1
    influence = found.influence
    for side in (0, 1):
        if step > 1:
            starts = np.arange(0, influence.shape[side], step)
            influence = np.add.reduceat(influence, starts, axis=side)
    most = float(influence.max()) if influence.size else 0.0
    shares = 100 * influence / (most if most > 0 else 1.0)
    return _Map(found.layer, shares.astype(np.float32), step, found.box, _summary(found))


def _summary(found: ReceptiveField) -> str:
    if not found.influence.any():
        return f"No pixel counts for position {found.position} of {found.layer}."
    could = "the whole image" if found.size is None else f"{found.size[0]}x{found.size[1]} pixels"
    return (
        f"Position {found.position} of {found.layer} could see {could}; what counts at least 4.55 % of the "
        f"strongest pixel is as large as a square of {number(found.effective_size)} pixels a side, and half of "
        f"all lies within {found.width_holding_half} pixels around the middle."
    )


def _figure(info: _Map) -> go.Figure:
    height, width = info.shares.shape
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": (np.arange(width, dtype=np.float32) + 0.5) * info.step - 0.5,
        "y": (np.arange(height, dtype=np.float32) + 0.5) * info.step - 0.5,
        "z": info.shares,
        "zmin": 0,
        "zmax": 100,
        "colorscale": "Viridis",
        "hovertemplate": "row %{y}, column %{x}: %{z:.1f} % of the strongest<extra></extra>",
        "colorbar": {
            "title": {"text": "% of the strongest pixel", "side": "right", "font": {"size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    top, left, bottom, right = info.box
    index = {"x0": left - 0.5, "x1": right - 0.5, "y0": top - 0.5, "y1": bottom - 0.5}
    frame = {"type": "rect", **index, "line": {"color": COLOURS[1], "width": 2, "dash": "dash"}}
    return canvas(
        [trace],
        title=f"Seen by {info.layer}",
        summary=info.summary,
        explained=_ABOUT,
        x=axis("column of the image, pixels", showgrid=False, constrain="domain"),
        y=axis("row, pixels", showgrid=False, autorange="reversed", scaleanchor="x", constrain="domain"),
        height=360,
        shapes=[frame] if info.shares.size else [],
    )
