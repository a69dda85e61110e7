"""What a network costs, part by part."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, PATTERNS, about, axis, canvas
from reswork.figures.depth_axis import Group, depth_axis, depth_groups
from reswork.figures.text import amount, distinct, size

if TYPE_CHECKING:
    from reswork.models.sheet import SpecSheet

_ABOUT = about(
    "Where the network's cost sits, from the input (stem) to the answer (head). Parameters are the "
    "numbers it learns, MACs the multiplications for one input, memory what training keeps for it.",
    "Parameters grow towards the end, where there are many channels; memory is largest at the start, "
    "where the picture is large; multiplications are spread evenly.",
    "Double the width, then double the depth, and watch which of the three grows fourfold.",
)


@dataclass(frozen=True, eq=False)
class _Costs:
    """Costs of consecutive parts of the net, from input to output."""

    parts: tuple[str, ...]  # (P,) stages, or blocks
    values: np.ndarray  # (3, P): parameters, MACs, bytes of activations
    groups: tuple[Group, ...]  # of blocks; empty for stages
    per_point: int
    summary: str


def cost_by_layer(sheet: "SpecSheet", *, by: Literal["stage", "block"] = "stage") -> go.Figure:
    """Parameters, operations and memory along the network, each as a share of the whole.

    Args:
        sheet: from ``reswork.spec_sheet``.
        by: "stage" gives bars for stem, stages and head or decoder; "block" lines over all blocks.

    Returns:
        Figure with three traces; the numbers themselves are in the hover texts.
    """
    if by == "stage":
        return _stage_figure(_stage_info(sheet))
    return _block_figure(_block_info(sheet))


def _stage_info(sheet: "SpecSheet") -> _Costs:
    parts, values = _summed(sheet, _stage)
    return _Costs(parts, values, (), 1, _summary(sheet))


def _block_info(sheet: "SpecSheet") -> _Costs:
    names, values = _summed(sheet, _block)
    per_point = -(-len(names) // _MOST_DEPTHS) or 1
    if per_point > 1:
        values = np.add.reduceat(values, np.arange(0, len(names), per_point), axis=1)
    return _Costs(names[::per_point], values, depth_groups(names), per_point, _summary(sheet))


def _summed(sheet: "SpecSheet", part_of: Callable[[str], str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of parts in order, and of each the sums over its layers, (3, P)."""
    totals: dict[str, np.ndarray] = {}
    part = "stem"
    for layer in sheet.layers:
        inside = part_of(layer.name)
        part = inside or ("stem" if part == "stem" else "head")  # what follows the stages is the head
        costs = np.array([layer.parameters, layer.macs, layer.activation_bytes], np.float64)
        totals[part] = totals.get(part, np.zeros(3)) + costs
    values = np.stack(list(totals.values()), axis=1) if totals else np.zeros((3, 0))
    return tuple(totals), values


def _stage(name: str) -> str:
    """The stage of a layer by its name, or the decoder; empty outside both."""
    top = name.partition(".")[0]
    number = top.removeprefix("layer")
    return f"stage {number}" if top != number and number.isdigit() else "decoder" * (top == "decoder")


def _block(name: str) -> str:
    """The block of a layer by its name, in a decoder a part of its level; empty outside both."""
    return ".".join(name.split(".")[:2]) if _stage(name) else ""


def _summary(sheet: "SpecSheet") -> str:
    return (
        f"{amount(sheet.parameters)} parameters, {amount(sheet.macs)} multiplications and "
        f"{size(sheet.activation_bytes)} of memory for each input."
    )


def _stage_figure(info: _Costs) -> go.Figure:
    traces = [
        common
        | {
            "type": "bar",
            "x": list(info.parts),
            "marker": {"color": COLOURS[row], "pattern": {"shape": PATTERNS[row]}},
            "hovertemplate": "%{x}: %{hovertext}, %{y:.1f} %",
        }
        for row, common in enumerate(_shares(info))
    ]
    return canvas(
        traces,
        title="Cost of each stage",
        summary=info.summary,
        explained=_ABOUT,
        x=axis("from input to answer", type="category", showgrid=False),
        y=axis("share of the whole, %", rangemode="tozero"),
        height=260,
        bargap=0.25,
    )


def _block_figure(info: _Costs) -> go.Figure:
    positions = np.arange(len(info.parts), dtype=np.float32) * info.per_point + 1
    names = distinct(info.parts, 40)
    traces = [
        common
        | {
            "type": "scatter",
            "mode": "lines",
            "x": positions,
            "line": {"color": COLOURS[row], "width": 2, "dash": DASHES[row], "shape": "hvh"},
            "customdata": names,
            "hovertemplate": "%{customdata}: %{hovertext}, %{y:.1f} %",
        }
        for row, common in enumerate(_shares(info))
    ]
    x, borders = depth_axis(info.groups, info.per_point, of="block")
    y = axis("share of the whole, %", rangemode="tozero")
    return canvas(
        traces, title="Cost of each block", summary=info.summary, explained=_ABOUT, x=x, y=y, shapes=borders
    )


def _shares(info: _Costs) -> list[dict[str, Any]]:
    """What bars and lines have in common: percent of the sum, and the numbers for the hover texts."""
    sums = info.values.sum(axis=1, keepdims=True)
    shares = 100 * info.values / np.where(sums > 0, sums, 1)
    return [
        {
            "y": shares[row].astype(np.float32),
            "name": kind,
            "hovertext": [wording(float(value)) for value in info.values[row]],
        }
        for row, (kind, wording) in enumerate(_KINDS)
    ]


_KINDS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("parameters", amount),
    ("MACs (operations)", lambda count: amount(count, "MACs")),
    ("memory (training)", size),
)
_MOST_DEPTHS = 300  # points of a line
