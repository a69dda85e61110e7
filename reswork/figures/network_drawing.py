"""The drawing of a network: blocks in rows by stage, shortcuts as arcs over them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import CLEAR, COLOURS, INK, about, canvas
from reswork.figures.network_layout import Box, Layout, Row, network_layout
from reswork.figures.text import amount, escape

if TYPE_CHECKING:
    from reswork.models.sheet import Outline, SpecSheet

_BLUE, _RED, _GREEN, _PINK, _ORANGE, _ = COLOURS
_FILL = "rgba(0,114,178,0.22)"
_GREY = "rgba(128,128,128,0.2)"
_HALF = 11.0  # half the height of a box, pixels
_ARC = 23.0  # height of an arc above the middle of the row, pixels
_REACH = 0.43  # of an arc to either side, in slots
_GAP = np.nan
_AROUND_ZERO = [[0, _BLUE], [0.5, "#6e6e6e"], [1, _RED]]  # white is legible on all three

_ABOUT = about(
    "The network from the picture (top left) to the answer (bottom right), in reading order. Boxes are "
    "blocks of two or three convolutions. Arcs are shortcuts: they carry a block's input past it, where "
    "it is added to what the block computed.",
    "At the start of a stage the picture is halved and the channels are doubled, so the first shortcut of "
    "a stage must change the shape: it pads (dashed) or projects (with a square).",
    "Drag the depth: rows get longer. Switch to a plain network: the arcs vanish, all else stays the same.",
)
_ABOUT_U = about(
    "The network from the picture (top left) down to its smallest maps and up again to an answer for each pixel "
    "(top right). Boxes are blocks of two or three convolutions; arcs are shortcuts inside them. Lines from left "
    "to right carry a stage's output to the level of the same size, where it is put beside what comes from below.",
    "To the left sizes are halved, to the right doubled. What a pixel shows is known from the left half, what it "
    "belongs to from below.",
    "Switch to a plain network: the arcs vanish in both halves, the lines across stay.",
)
_LEGEND: dict[str, str] = {
    "identity": "identity shortcut",
    "padding": "shortcut with padding",
    "projection": "shortcut with projection",
}


SHORTCUT = " shortcut"  # behind a block's name: its shortcut was clicked


def network(
    sheet: "SpecSheet | Outline",
    values: Mapping[str, float] | None = None,
    selected: str | None = None,
    *,
    handles: bool = False,
    change_of: str = "",
) -> go.Figure:
    """The network drawn block by block, with its shortcuts.

    Read from it how depth, stages and shortcuts make up a ResNet. A click on a box gives its name: each box
    has the block's name as ``customdata``.

    Args:
        sheet: from ``reswork.spec_sheet``, or from ``probes.outline`` for a network that was not built here.
        values: block name to a number that colours it; other blocks stay grey.
        selected: name of the block with a thick border.
        handles: a point on each arc that can be clicked; its ``customdata`` is the block's name with `SHORTCUT` behind.
        change_of: where the values are changes of something, its title: colours are centred on zero.

    Returns:
        Figure whose height follows the number of rows; always the same traces, some of them empty.
    """
    layout = network_layout(sheet)
    more = [_handles(layout, selected)] if handles else []
    summary = _summary(sheet) + _strongest(values or {}, change_of)
    return _network_figure(
        layout, change_of or sheet.label, summary, values or {}, selected, more, bool(change_of)
    )


def _strongest(values: Mapping[str, float], change_of: str) -> str:
    if not change_of or not values:
        return ""
    name = max(values, key=lambda each: abs(values[each]))
    return f" {change_of}: most at {name}, {values[name]:+.3g}."


def _summary(sheet: "SpecSheet | Outline") -> str:
    stages = len({block.stage for block in sheet.blocks if block.stage})
    shortcuts = [block.shortcut for block in sheet.blocks]
    encoder = len(sheet.blocks) - len(sheet.levels)
    decoder = f" and {len(sheet.levels)} in the decoder" if sheet.levels else ""
    counts = ", ".join(
        f"{shortcuts.count(kind)} {kind}"
        for kind in ("identity", "padding", "projection")
        if kind in shortcuts
    )
    return (
        f"{sheet.label}: {encoder} blocks in {stages} stages{decoder}, shortcuts: {counts or 'none'}"
        f"; {amount(sheet.parameters)} parameters."
    )


def _network_figure(
    layout: Layout,
    title: str,
    summary: str,
    values: Mapping[str, float],
    selected: str | None,
    more: Sequence[dict[str, Any]],
    centred: bool,
) -> go.Figure:
    boxes = [box for row in layout.all_rows for box in row.boxes]
    blocks = [box for box in boxes if box.kind == "block"]
    hidden = {"visible": False, "fixedrange": True}
    return canvas(
        [
            _path(layout),
            _arrows(layout),
            _skips(layout),
            *(_arcs(blocks, kind, layout.dense) for kind in _LEGEND),
            _squares(blocks),
            _additions(blocks, layout.roomy),
            *_block_bars(blocks, values, centred),
            _bars([box for box in boxes if box.kind == "end"], "stem and head", _GREY, INK),
            _frame([box for box in boxes if box.name == selected]),
            *more,
        ],
        title=title,
        summary=summary,
        explained=_ABOUT_U if layout.decoder else _ABOUT,
        x=hidden | {"range": [-0.03, 1.03]},
        y=hidden | {"range": [-layout.height, 0]},
        height=round(layout.height) + 44,
        margin={"l": 108, "r": 8, "t": 40, "b": 4},
        annotations=_titles(layout),
        barmode="overlay",
        hovermode="closest",
        dragmode=False,
        uniformtext={"minsize": 9, "mode": "hide"},
    )


def _titles(layout: Layout) -> list[dict[str, Any]]:
    """What stands before each row, and the texts for input and output."""
    left = {"xref": "paper", "x": 0, "xanchor": "right", "align": "right", "xshift": -8, "showarrow": False}
    titles = [
        left | {"y": row.y, "text": f"<b>{row.title}</b><br>{row.detail}"} for row in layout.rows if row.title
    ]
    words = [
        {"x": box.x, "y": box.y, "text": f"{box.name}<br>{box.text}", "showarrow": False}
        for row in layout.all_rows
        for box in row.boxes
        if box.kind == "text"
    ]
    return titles + words


def _path(layout: Layout) -> dict[str, Any]:
    """The main path: lines in the gaps between boxes, and from each row's end to the next one's start."""
    x: list[float] = []
    y: list[float] = []
    rows = layout.all_rows
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        for box, after in zip(row.boxes, row.boxes[1:], strict=False):
            x += [box.x + box.width / 2, after.x - after.width / 2, _GAP]
            y += [row.y, row.y, _GAP]
        if following is not None and following in layout.decoder:
            xs, ys = _upwards(row, following)
            x += [*xs, _GAP]
            y += [*ys, _GAP]
        elif following is not None and row.boxes and following.boxes:
            last, first = row.boxes[-1], following.boxes[0]
            under = 24 if last.kind == "text" else _HALF + 5
            turn = row.y - under  # between the boxes above and the arcs below
            end, start = last.right, first.left - 0.012
            x += [last.x + last.width / 2, end, end, start, start, first.x - first.width / 2, _GAP]
            y += [row.y, row.y, turn, turn, following.y, following.y, _GAP]
    return _lines(x, y, "path", INK, 1.2) | {"hoverinfo": "skip", "showlegend": False}


def _upwards(row: Row, following: Row) -> tuple[list[float], list[float]]:
    """From a row's end to below the first box of a level; from the deepest stage straight, else round its arcs."""
    last, first = row.boxes[-1], following.boxes[0]
    below = following.y - _HALF
    if last.x < first.x:
        return [last.x + last.width / 2, first.x, first.x], [row.y, row.y, below]
    end, turn = last.right, below - 13
    return [last.x + last.width / 2, end, end, first.x, first.x], [row.y, row.y, turn, turn, below]


def _skips(layout: Layout) -> dict[str, Any]:
    """What goes from the encoder straight to a level of the decoder: past what stands between them, if anything."""
    x: list[float] = []
    y: list[float] = []
    last = {row.boxes[-1].name for row in layout.rows if row.boxes}
    for source, target in layout.skips:
        to = target.x - target.width / 2
        if source.name in last:
            x += [source.right, to, _GAP]
            y += [source.y, target.y, _GAP]
        else:
            turn = to - 0.02
            x += [source.x, source.x, turn, turn, to, _GAP]
            y += [source.y + _HALF, source.y + _ARC, source.y + _ARC, target.y, target.y, _GAP]
    line = {"color": _PINK, "width": 2.2, "dash": "9px,4px"}
    return _lines(x, y, "skip connection", _PINK, 2.2) | {
        "line": line,
        "showlegend": bool(layout.skips),
        "hoverinfo": "skip",
    }


def _arrows(layout: Layout) -> dict[str, Any]:
    """Arrow heads before the boxes; without room only before a row's first, and below those of a decoder."""
    heads = [
        (box.x - box.width / 2, row.y)
        for number, row in enumerate(layout.rows)
        for index, box in enumerate(row.boxes)
        if (index or number) and (index == 0 or not (box.kind == "block" and not layout.roomy))
    ]
    heads += [(box.x - box.width / 2, row.y) for row in layout.decoder for box in row.boxes[1:]]
    heads += [(target.x - target.width / 2, target.y) for _, target in layout.skips]
    upwards = [(row.boxes[0].x, row.y - _HALF) for row in layout.decoder]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.array([x for x, _ in heads + upwards], np.float32),
        "y": np.array([y for _, y in heads + upwards], np.float32),
        "marker": {
            "symbol": "arrow",
            "angle": [90.0] * len(heads) + [0.0] * len(upwards),
            "size": 8,
            "color": INK,
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _arcs(blocks: Sequence[Box], kind: str, dense: bool) -> dict[str, Any]:
    """All shortcuts of one kind as one line with gaps: flat arches from before the box to behind it."""
    chosen = [box for box in blocks if box.shortcut == kind]
    turns = np.linspace(np.pi, 0, 7 if dense else 17)
    across = np.sign(np.cos(turns)) * np.sqrt(np.abs(np.cos(turns)))  # -1 to 1
    above = np.sqrt(np.sin(turns).clip(0))  # 0 to 1 and back
    middle = np.array([[box.x, box.y] for box in chosen]).reshape(-1, 2)
    reach = np.array([_REACH * box.slot for box in chosen]).reshape(-1, 1)
    x = np.pad(middle[:, :1] + reach * across, ((0, 0), (0, 1)), constant_values=_GAP)
    y = np.pad(middle[:, 1:] + _ARC * above, ((0, 0), (0, 1)), constant_values=_GAP)
    colour = _RED if kind == "projection" else _GREEN
    return _lines(x.ravel(), y.ravel(), _LEGEND[kind], colour, 1.4 if dense else 2.2) | {
        "line": {
            "color": colour,
            "width": 1.4 if dense else 2.2,
            "dash": "4px,3px" if kind == "padding" else "solid",
        },
        "showlegend": bool(chosen),
        "hoverinfo": "skip",
    }


def _squares(blocks: Sequence[Box]) -> dict[str, Any]:
    chosen = [box for box in blocks if box.shortcut == "projection"]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.array([box.x for box in chosen], np.float32),
        "y": np.array([box.y + _ARC for box in chosen], np.float32),
        "marker": {"symbol": "square", "size": 8, "color": _RED},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _handles(layout: Layout, selected: str | None) -> dict[str, Any]:
    """What is clicked to choose a shortcut: a point on top of each arc, large where it is chosen."""
    boxes = [
        box for row in layout.all_rows for box in row.boxes if box.kind == "block" and box.shortcut != "none"
    ]
    names = [f"{box.name}{SHORTCUT}" for box in boxes]
    size = 5 if layout.dense else 9
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.array([box.x for box in boxes], np.float32),
        "y": np.array([box.y + _ARC for box in boxes], np.float32),
        "name": "choose a shortcut",
        "customdata": names,
        "hovertext": [f"shortcut of <b>{escape(box.name)}</b>" for box in boxes],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
        "marker": {
            "symbol": "circle",
            "size": [size + 6 if name == selected else size for name in names],
            "color": [_ORANGE if name == selected else INK for name in names],
        },
    }


def _additions(blocks: Sequence[Box], roomy: bool) -> dict[str, Any]:
    """A plus where a shortcut meets what its block computed, as long as there is room for it."""
    chosen = [box for box in blocks if roomy and box.branch and box.shortcut != "none"]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": np.array([box.x + _REACH * box.slot for box in chosen], np.float32),
        "y": np.array([box.y for box in chosen], np.float32),
        "name": "addition",
        "marker": {"symbol": "circle-cross-open", "size": 11, "color": INK, "line": {"width": 1.5}},
        "hoverinfo": "skip",
        "showlegend": bool(chosen),
    }


def _block_bars(blocks: Sequence[Box], values: Mapping[str, float], centred: bool) -> list[dict[str, Any]]:
    """Blocks with a value, blocks without, and those whose branch is off: one trace each."""
    known = {name: value for name, value in values.items() if np.isfinite(value)}
    working = [box for box in blocks if box.branch]
    valued = [box for box in working if box.name in known]
    plain = [box for box in working if box.name not in known]
    hollow = [box for box in blocks if not box.branch]
    coloured = _bars(valued, "block", _FILL, INK)
    if valued:
        numbers = [known[box.name] for box in valued]
        middle = (min(numbers) + max(numbers)) / 2  # viridis is dark below it and bright above
        coloured["marker"] |= {
            "color": np.array(numbers, np.float32),
            "colorscale": "Viridis",
            "colorbar": {"thickness": 10, "outlinewidth": 0},
        }
        coloured["showlegend"] = False
        coloured["textfont"] = {"color": ["#222222" if each >= middle else "#ffffff" for each in numbers]}
        if centred:
            most = max(map(abs, numbers)) or 1.0
            coloured["marker"] |= {"colorscale": _AROUND_ZERO, "cmin": -most, "cmax": most}
            coloured["textfont"] = {"color": "#ffffff"}
        coloured["hovertext"] = [f"{box.hover}<br>value {known[box.name]:.4g}" for box in valued]
    return [
        coloured,
        _bars(
            plain,
            "no value" if known else "block",
            _GREY if known else _FILL,
            INK if known else _BLUE,
        ),
        _bars(hollow, "block, branch off", CLEAR, INK),
    ]


def _frame(chosen: Sequence[Box]) -> dict[str, Any]:
    """A thick border on top of the chosen box: a trace of its own, so that the legend keeps the blocks' border."""
    frame = _bars(chosen, "chosen", CLEAR, _ORANGE)
    frame["marker"]["line"]["width"] = 4
    return frame | {"showlegend": False, "text": None}


def _bars(boxes: Sequence[Box], name: str, fill: str, border: str) -> dict[str, Any]:
    def column(value: Callable[[Box], float]) -> np.ndarray:
        return np.array([value(box) for box in boxes], np.float32)

    return {
        "type": "bar",
        "x": column(lambda box: box.x),
        "y": np.full(len(boxes), 2 * _HALF, np.float32),
        "base": column(lambda box: box.y - _HALF),
        "width": column(lambda box: box.width),
        "name": name,
        "customdata": [box.name for box in boxes],
        "text": [box.text for box in boxes],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": INK},
        "hovertext": [box.hover for box in boxes],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": bool(boxes),
        "marker": {
            "color": fill,
            "cornerradius": 3,
            "line": {"color": border, "width": 1},
        },
    }


def _lines(x: Any, y: Any, name: str, colour: str, width: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": np.asarray(x, np.float32),
        "y": np.asarray(y, np.float32),
        "name": name,
        "line": {"color": colour, "width": width},
    }
