"""Smaller forms of a network: what they cost against what they are worth, and what its blocks are worth."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, INK, about, axis, canvas
from reswork.figures.network_drawing import network
from reswork.figures.trade_off import front, trade_off
from reswork.results.smaller import BlockWorth, Sized, SizedTable
from reswork.results.study import Line

if TYPE_CHECKING:
    from reswork.models.sheet import Outline, SpecSheet

Cost = Literal["megabytes", "ms", "macs"]
_TITLES: dict[Cost, tuple[str, str]] = {
    "megabytes": ("Worth and size", "file, MB"),
    "ms": ("Worth and time", "call with one image, p50, ms"),
    "macs": ("Worth and operations", "multiply-adds of one image, millions"),
}
_COLOURS = {"fp32": 0, "int8": 1, "fp16": 2, "bf16": 3}

_ABOUT = about(
    "Each mark is one form of the same network, by what it costs (to the right, by factors) and what it is worth (up), "
    "with the interval of 95 %. No form beats those on the dotted line in both.",
    "A long flat part on the right: much can be taken away for little. Then a cliff: below some size each further step "
    "costs many points.",
    "Take the form at the cliff's edge, or the one left of your limit. Marks whose intervals overlap may change places "
    "with other test images.",
)
_ABOUT_ORDER = about(
    "How good the network is when blocks are taken out one after the other, the one that is missed least first, "
    "without training in between.",
    "Flat at first: a residual network has blocks that others can do without. Then it falls faster with each.",
    "Take out as many as are flat, then train a little: most of the loss comes back. A plain network falls at once.",
)


def pareto(table: SizedTable, cost: Cost = "megabytes") -> go.Figure:
    """Everything that was tried, what it costs against what it is worth, with the line that nothing beats.

    Args:
        table: ``.table`` of what `reswork.smaller` returned.
        cost: ``"megabytes"`` of the file, ``"ms"`` of a call, or ``"macs"``.

    Returns:
        Figure with a logarithmic x axis; a limit that was asked for is a dashed line.
    """
    title, x = _TITLES[cost]
    points = [
        Line(
            each.name,
            np.array([_cost(each, cost)]),
            np.array([100 * each.value]),
            None if np.isnan(each.low) else np.array([100 * each.low]),
            None if np.isnan(each.high) else np.array([100 * each.high]),
            colour=number % len(COLOURS),
            dashed=each.precision != "fp32",
        )
        for number, each in _numbered(table)
    ]
    costs = np.array([_cost(each, cost) for each in table.forms])
    worth = np.array([each.value for each in table.forms])
    names = [table.forms[k].name for k in front(costs, worth)]
    figure = trade_off(
        points,
        title=title,
        x=x,
        y=f"{table.forms[0].metric if table.forms else 'worth'}, %",
        summary=f"Not beaten in both: {'; '.join(names)}." if names else "Nothing was tried yet.",
        explained=_ABOUT,
        height=380,
    )
    limit = {"megabytes": table.max_megabytes, "ms": table.max_ms}.get(cost)
    if limit is not None:
        figure.add_shape(type="line", yref="paper", y0=0, y1=1, x0=limit, x1=limit,
                         line={"color": INK, "dash": "dash", "width": 1})  # fmt: skip
    return figure


def _numbered(table: SizedTable) -> list[tuple[int, Sized]]:
    """Each form with the number of its shape, so that one in 8 bits has the colour of the same in 32."""
    shapes: dict[tuple[int, int, tuple[str, ...]], int] = {}
    return [
        (shapes.setdefault((each.parameters, each.nonzero, each.made), len(shapes)), each)
        for each in table.forms
    ]


def _cost(form: Sized, cost: Cost) -> float:
    return {"megabytes": form.megabytes, "ms": form.p50_ms, "macs": form.macs / 1e6}[cost]


def block_worth(worth: BlockWorth, sheet: "SpecSheet | Outline") -> go.Figure:
    """The drawing of a network whose blocks have the colour of what is lost without them, in points.

    Args:
        worth: from `reswork.compression.block_worth`.
        sheet: from `reswork.spec_sheet`, or `probes.outline` for a network that was not built here.
    """
    lost = {
        name: 100 * float(value - worth.whole) for name, value in zip(worth.names, worth.alone, strict=True)
    }
    return network(sheet, lost, change_of=f"Change of {worth.metric}, points"[:31])


def deletions(worth: BlockWorth) -> go.Figure:
    """How good a network is with more and more blocks taken out, untrained.

    Args:
        worth: from `reswork.compression.block_worth`.
    """
    y = 100 * np.array([worth.whole, *worth.after])
    names = ["whole", *worth.order]
    return canvas(
        [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": worth.metric,
                "x": np.arange(len(y)).astype(np.float32),
                "y": y.astype(np.float32),
                "text": names,
                "hovertemplate": "%{x} out, last %{text}: %{y:.1f} %<extra></extra>",
                "line": {"color": COLOURS[0], "width": 2},
            }
        ],
        title="Blocks taken out",
        summary=f"{worth.metric.capitalize()} on {worth.images:,} training images: whole {y[0]:.1f} %"
        + "".join(
            f", without {name} too {value:.1f} %" for name, value in zip(names[1:4], y[1:4], strict=False)
        )
        + ".",
        explained=_ABOUT_ORDER,
        x=axis("blocks taken out", dtick=max(1, len(y) // 8)),
        y=axis(f"{worth.metric}, %"),
    )
