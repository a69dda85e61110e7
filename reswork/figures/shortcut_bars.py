"""Shortcut against branch: over which of them a stage's attribution came."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.errors import InvalidSetting
from reswork.figures.canvas import COLOURS, PATTERNS, about, axis, canvas
from reswork.figures.smoothing import Floats
from reswork.figures.text import distinct, number
from reswork.results import ShortcutShares

_MOST_BARS = 200  # blocks
_ABOUT = about(
    "What each stage handed on for this answer, in points of its score, and where it had that from: over the "
    "shortcuts untouched, or added by its branches. The two bars of a stage add up to what it handed on.",
    "In early stages most comes over the shortcuts; in the last stage the branches make the answer. Parts may "
    "have opposite signs: then one corrects the other.",
    "Look at one class after the other, and at a network just made: untrained branches add next to nothing.",
)


@dataclass(frozen=True, eq=False)
class _Bars:
    names: tuple[str, ...]  # (B,)
    series: tuple[tuple[str, Floats], ...]  # name, (B,)
    per_bar: int
    summary: str


def shortcut_attributions(
    shares: Sequence[ShortcutShares], *, image: int = 0, blocks: bool = False
) -> go.Figure:
    """For each stage what came over its shortcuts and what its branches added.

    Args:
        shares: from ``probes.shortcut_shares``, from the input on.
        image: which of the maps.
        blocks: instead of stages, what each block's branch added.

    Returns:
        Figure with stacked bars, in points of the score; over 200 blocks neighbours share a bar.

    Raises:
        InvalidSetting: for an image that there is not.
    """
    if shares and not 0 <= image < len(shares[0].whole):
        raise InvalidSetting("image", f"image={image}: there are 0 to {len(shares[0].whole) - 1}")
    return _bars_figure(_block_info(shares, image) if blocks else _stage_info(shares, image), blocks)


def _stage_info(shares: Sequence[ShortcutShares], image: int) -> _Bars:
    over = np.array([share.over_shortcuts[image] for share in shares], np.float32)
    through = np.array([share.through_branches[image].sum() for share in shares], np.float32)
    series = (("over the shortcuts", over), ("through the branches", through))
    return _Bars(tuple(share.stage for share in shares), series, 1, _summary(shares, image))


def _block_info(shares: Sequence[ShortcutShares], image: int) -> _Bars:
    names = [name for share in shares for name in share.blocks]
    values = np.concatenate([np.empty(0), *(share.through_branches[image] for share in shares)])
    per_bar = -(-len(names) // _MOST_BARS) or 1
    if per_bar > 1:
        values = np.add.reduceat(values, np.arange(0, len(names), per_bar))
    series = (("through the branch", values.astype(np.float32)),)
    return _Bars(tuple(names[::per_bar]), series, per_bar, _summary(shares, image))


def _summary(shares: Sequence[ShortcutShares], image: int) -> str:
    if not shares:
        return "No stages to share out."
    parts = []
    for share in shares:
        over, through = abs(share.over_shortcuts[image]), abs(share.through_branches[image].sum())
        part = 100 * over / (over + through) if over + through else 0.0
        parts.append(f"{share.stage} {part:.0f} %")
    score = number(float(shares[-1].whole[image]))
    return f"Of what each stage hands on, so much came over the shortcuts: {', '.join(parts)}; in all {score} points."


def _bars_figure(info: _Bars, blocks: bool) -> go.Figure:
    names = distinct(info.names, 24)
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": names,
            "y": values,
            "name": name,
            "marker": {"color": COLOURS[row], "pattern": {"shape": PATTERNS[row]}},
            "hovertemplate": "%{x}: %{y:.3g} points",
        }
        for row, (name, values) in enumerate(info.series)
    ]
    note = f" (a bar: {info.per_bar} neighbours)" if info.per_bar > 1 else ""
    return canvas(
        traces,
        title="What each block's branch added" if blocks else "Shortcuts against branches",
        summary=info.summary,
        explained=_ABOUT,
        x=axis(
            ("block" if blocks else "stage") + ", from input to output" + note,
            type="category",
            showgrid=False,
        ),
        y=axis("points of the score", zeroline=True),
        barmode="relative",
        bargap=0.25,
    )
