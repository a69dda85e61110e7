"""Why one image is answered as it is: best answers, votes of near images, readings over the depth, parts taken out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, PATTERNS, SYMBOLS, about, axis, canvas
from reswork.figures.depth_axis import depth_axis, depth_groups
from reswork.figures.text import distinct, escape, number
from reswork.results.causes import Carriers, LookAlike, Neighbours, TopAnswers, Turning

_MOST_PARTS = 24
_SHOWN_CLASSES = 5

_ABOUT_ANSWERS = about(
    "How the model's confidence in this image is shared out: its best five answers.",
    "A right answer has most of it; a mistake that is nearly even is of another kind than a sure one.",
    "Compare with the confidence that a picture deserves: would you be sure?",
)
_ABOUT_VOTES = about(
    "At each stage the training images that are nearest in the network's features, and how much they "
    "speak for each class: "
    "near ones weigh more.",
    "Early stages gather images of like colours and edges, of all classes; the last one images of one class.",
    "Look at the images themselves: do they share what you would call the cause? Are their labels right?",
)
_ABOUT_TURNING = about(
    "After each block: how far the other class is ahead of the answer (above zero) or behind it (below), "
    "as the network's own "
    "head would read it, and as a linear probe reads it. Each has its own scale; only the sign compares.",
    "Early blocks know nothing: there both lie near zero or have a believed mark nowhere. Filled marks: "
    "the reader is better "
    "than chance by three standard errors; open ones say nothing.",
    "Find the block at which a filled line crosses zero from above, and look at its maps in rw.inspect.",
)
_ABOUT_CARRIERS = about(
    "How much of the margin comes back to the other class when a part is taken out: a block deleted, a "
    "shortcut cut, a channel "
    "set to its mean. The dashed line is what turns the answer.",
    "Most parts do little. Early blocks and shortcuts do much for every image: those do not carry this mistake.",
    "Look for a part beyond the line without which other right answers stay (the number in the hover).",
)
_ABOUT_PARTING = about(
    "How far the image is from one of its class that is answered rightly, after each block, and how far "
    "two such images usually "
    "are from each other.",
    "Within the band of the class up to some block, and beyond it from there on.",
    "Compare the two images: what does the one have that the other has not?",
)


def top_answers(found: TopAnswers | None, classes: Sequence[str] = ()) -> go.Figure:
    """The best answers as bars; the true class has another colour and pattern.

    Args:
        found: None: an empty figure.
        classes: (K,) names.
    """
    rows = np.zeros(0, int) if found is None else np.arange(len(found.best))[::-1]
    best = np.zeros(0, int) if found is None else found.best[rows]
    names = distinct([classes[k] for k in best], 30)
    true = np.zeros(0, bool) if found is None or found.label is None else best == found.label
    shares = np.zeros(0, np.float32) if found is None else 100 * found.probabilities[rows]
    traces = []
    for row, (name, chosen) in enumerate((("the true class", true), ("other classes", ~true))):
        if found is not None and not len(true):
            chosen = np.full(len(best), row == 1)
        traces.append(
            {
                "type": "bar", "orientation": "h", "name": name,
                "x": shares[chosen].astype(np.float32),
                "y": [each for each, use in zip(names, chosen, strict=True) if use],
                "marker": {"color": COLOURS[(2, 0)[row]], "pattern": {"shape": PATTERNS[(1, 0)[row]]}},
                "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
            }
        )  # fmt: skip
    if found is None:
        summary = "No answer yet."
    else:
        summary = f"{classes[found.predicted]} with {100 * found.probabilities[0]:.1f} %"
        summary += "." if found.label is None else f"; it is {classes[found.label]}."
    return canvas(
        traces, title="Best answers", summary=summary, explained=_ABOUT_ANSWERS, x=axis("%", range=[0, 101]),
        y=axis("class", type="category", categoryorder="array", categoryarray=names), height=200, barmode="overlay",
    )  # fmt: skip


def votes(found: Neighbours | None, classes: Sequence[str] = (), shown: Sequence[int] = ()) -> go.Figure:
    """How much the nearest training images speak for each class, stage by stage.

    Args:
        found: None: an empty figure.
        classes: (K,) names.
        shown: classes that are named in any case, in this order; the strongest others follow, up to five.
    """
    layers = [] if found is None else distinct(found.layers, 30)
    traces: list[dict[str, Any]] = []
    if found is not None and len(found.layers):
        rest = [int(k) for k in np.argsort(-found.votes.max(axis=0), kind="stable") if k not in shown]
        chosen = [*dict.fromkeys(map(int, shown)), *rest][:_SHOWN_CLASSES]
        for row, k in enumerate(chosen):
            traces.append(_votes(row, escape(classes[k], 30), layers, found.votes[:, k]))
        others = 1 - found.votes[:, chosen].sum(axis=1)
        if len(chosen) < found.votes.shape[1]:
            traces.append(_votes(len(chosen), "all others", layers, np.clip(others, 0, 1)))
    summary = "No neighbours yet."
    if found is not None and len(found.layers):
        best = found.votes[-1].argmax()
        summary = (
            f"At {found.layers[-1]} the nearest of {found.sample:,} training images give "
            f"{100 * found.votes[-1, best]:.0f} % of "
            f"their votes to {classes[best]}; such votes are right for {100 * found.accuracy[-1]:.0f} %."
        )
    return canvas(
        traces, title="What near images speak for", summary=summary, explained=_ABOUT_VOTES,
        x=axis("stage", type="category", showgrid=False), y=axis("votes, %", range=[0, 101]), height=260,
        barmode="stack",
    )  # fmt: skip


def _votes(row: int, name: str, layers: list[str], shares: np.ndarray) -> dict[str, Any]:
    colour = COLOURS[row % len(COLOURS)]
    return {
        "type": "bar", "name": name, "x": layers, "y": (100 * shares).astype(np.float32),
        "marker": {"color": colour, "pattern": {"shape": PATTERNS[row % len(PATTERNS)]}},
        "hovertemplate": "%{x}: " + name + " %{y:.0f} %<extra></extra>",
    }  # fmt: skip


def turning(found: Turning | None, classes: Sequence[str] = ()) -> go.Figure:
    """How far the other class is ahead after each block, by both readers, each in parts of its own largest margin.

    Args:
        found: None: an empty figure.
        classes: (K,) names.
    """
    blocks = () if found is None else found.blocks
    places, names = np.arange(1, len(blocks) + 1, dtype=np.float32), distinct(blocks, 40)
    traces = []
    for row, (reader, label) in enumerate((("head", "the network's head"), ("probe", "a linear probe"))):
        values: np.ndarray = np.zeros(0, np.float32)
        believed = np.zeros(0, bool)
        if found is not None:
            raw = found.head_margin if reader == "head" else found.probe_margin
            finite = np.abs(raw[np.isfinite(raw)])
            values = raw / max(float(finite.max(initial=0.0)), 1e-9)
            believed = found.believed(reader)  # type: ignore[arg-type]
            accuracy = found.head_accuracy if reader == "head" else found.probe_accuracy
            names_here = [f"{name}<br>margin {number(float(m))}, right for {100 * a:.0f} "
                          f"%" if np.isfinite(m) else f"{name}: cannot be read"
                          for name, m, a in zip(names, raw, np.nan_to_num(accuracy), strict=True)]  # fmt: skip
        else:
            names_here = []
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": label, "x": places, "y": values.astype(np.float32),
                "text": names_here, "hovertemplate": "%{text}<extra></extra>",
                "line": {"color": COLOURS[row], "width": 2, "dash": DASHES[row]},
                "marker": {"size": 9, "symbol": [SYMBOLS[row] + ("" if sure else "-open") for sure in believed]},
            }
        )  # fmt: skip
    x, borders = depth_axis(depth_groups(blocks), 1, of="block")
    zero = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 0,
        "y1": 0,
        "line": {"color": "#787878", "width": 1},
    }
    other = "the other class" if found is None else escape(classes[found.other], 20)
    return canvas(
        traces, title="Where the answer turned", summary=_turning_summary(found, classes), explained=_ABOUT_TURNING,
        x=x, y=axis(f"{other} is ahead", range=[-1.1, 1.1]), shapes=[*borders, zero],
    )  # fmt: skip


def _turning_summary(found: Turning | None, classes: Sequence[str]) -> str:
    if found is None or not found.blocks:
        return "No readings yet."
    said, other = classes[found.predicted], classes[found.other]
    parts = []
    for reader, label in (("head", "the head"), ("probe", "a probe")):
        place = found.turned(reader)  # type: ignore[arg-type]
        parts.append(
            f"by {label} it turns at {found.blocks[place]}"
            if place is not None
            else f"by {label} it turns nowhere"
        )
    return f"From {other} to {said}: {', '.join(parts)}."


def carriers(found: Carriers | None, classes: Sequence[str] = ()) -> go.Figure:
    """The margin's change without each part, the strongest first: blocks, shortcuts and channels.

    Args:
        found: None: an empty figure.
        classes: (K,) names.

    Returns:
        Figure of at most 24 bars, at least eight of each kind where there are so many.
    """
    rows: list[int] = []
    if found is not None:
        share = _MOST_PARTS // 3
        rows = [int(row) for kind in ("block", "shortcut", "channel") for row in found.rows(kind)[:share]]
        rows.sort(key=lambda row: float(found.change[row]))
    labels = [] if found is None else distinct([found.label(row) for row in rows], 34)
    traces = []
    for place, kind in enumerate(("block", "shortcut", "channel")):
        chosen = [at for at, row in enumerate(rows) if found is not None and found.kinds[row] == kind]
        texts = [] if found is None else [_without(found, rows[at], classes) for at in chosen]
        changes = [] if found is None else [float(found.change[rows[at]]) for at in chosen]
        traces.append(
            {
                "type": "bar", "orientation": "h", "name": kind, "x": np.array(changes, np.float32),
                "y": [labels[at] for at in chosen], "text": texts, "textposition": "none",
                "hovertemplate": "%{y}<br>%{text}<extra></extra>",
                "marker": {"color": COLOURS[place], "pattern": {"shape": PATTERNS[place]}},
            }
        )  # fmt: skip
    limit = [] if found is None else [
        {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": -found.margin, "x1": -found.margin,
         "line": {"color": "#787878", "width": 1.5, "dash": "dash"}}
    ]  # fmt: skip
    summary = "No part taken out yet."
    if found is not None and rows:
        best = rows[-1]
        summary = (
            f"Without {found.label(best)} {classes[found.other]} gains {number(float(found.change[best]))}; "
            f"{number(-found.margin)} would turn the answer."
        )
    other = "the other class" if found is None else escape(classes[found.other], 20)
    return canvas(
        traces, title="Parts taken out", summary=summary, explained=_ABOUT_CARRIERS,
        x=axis(f"{other} gains, logits", zeroline=True), 
        y=axis("part", type="category", categoryorder="array", categoryarray=labels),
        height=120 + 17 * len(rows), shapes=limit, barmode="overlay",
    )  # fmt: skip


def _without(found: Carriers, row: int, classes: Sequence[str]) -> str:
    kept = found.kept[row]
    stays = "" if not np.isfinite(kept) else f"<br>{100 * kept:.0f} % of other right answers stay"
    return (
        f"{number(float(found.change[row]))}: the answer is {escape(classes[found.answers[row]], 30)}{stays}"
    )


def parting(found: LookAlike | None, classes: Sequence[str] = ()) -> go.Figure:
    """The distance from a look-alike over the blocks, with what is usual within the class.

    Args:
        found: None: an empty figure.
        classes: (K,) names.
    """
    blocks = () if found is None else found.blocks
    places, names = np.arange(1, len(blocks) + 1, dtype=np.float32), distinct(blocks, 40)
    empty = np.zeros(0, np.float32)
    lines = (
        ("from the look-alike", empty if found is None else found.distance),
        ("usual in the class", empty if found is None else found.usual),
        ("95 % of the class", empty if found is None else found.limit),
    )
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": label, "x": places,
            "y": values.astype(np.float32), "text": names,
            "line": {"color": COLOURS[row], "width": 2, "dash": DASHES[row]},
            "marker": {"symbol": SYMBOLS[row], "size": 6},
            "hovertemplate": "%{text}: %{y:.3f}<extra></extra>",
        }
        for row, (label, values) in enumerate(lines)
    ]  # fmt: skip
    if found is None or not blocks:
        summary = "No look-alike yet."
    else:
        where = "they do not part" if found.parted is None else f"they part at {found.blocks[found.parted]}"
        summary = f"The image and training image {found.image}, a {classes[found.label]}: {where}."
    x, borders = depth_axis(depth_groups(blocks), 1, of="block")
    return canvas(
        traces, title="Where the two part", summary=summary, explained=_ABOUT_PARTING, x=x,
        y=axis("cosine distance", rangemode="tozero"), shapes=borders,
    )  # fmt: skip
