"""How long a model takes to answer."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, INK, SYMBOLS, about, axis, canvas
from reswork.figures.text import escape, number
from reswork.results.latency import CallTimes, Latency, Load

_MOST = 400  # points of a line

_ABOUT = about(
    "Marks: the middle time of a call, p50, by the number of images in it. The whisker ends at p99: one call in a "
    "hundred takes longer. Both axes grow by factors.",
    "A call takes longer with more images, but less than as many times: the engine's own cost is shared. The line is "
    "flat as long as that cost is most of it.",
    "Long whiskers come from the machine, not from the model: close other programs. Where p50 is far below the "
    "deadline and p99 above it, look at the share of late answers.",
)
_ABOUT_TAIL = about(
    "For each time on the x axis the share of calls that take longer. The lower the line, the fewer answers are late; "
    "it ends at the slowest call.",
    "A steep fall, then a thin tail: most calls take the same time, and few are held up by something else.",
    "Read the share of late answers where a line crosses the deadline. Requests that come by chance wait for each "
    "other, so that their line lies to the right: a faster model or fewer requests move it back.",
)


def latency(found: Latency) -> go.Figure:
    """Time of a call by batch size: p50 with a whisker to p99, a line for each engine.

    Args:
        found: from `reswork.latency`.

    Returns:
        Figure with logarithmic axes; the deadline, if one was asked for, is a dashed line.
    """
    traces, words = [], []
    for k, name in enumerate(dict.fromkeys(each.name for each in found.times)):
        calls = [each for each in found.times if each.name == name]
        middles, tails = (
            np.array([1e3 * float(np.quantile(each.seconds, q)) for each in calls]) for q in (0.5, 0.99)
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(name),
                "x": np.array([each.batch_size for each in calls], np.float32),
                "y": middles.astype(np.float32),
                "error_y": {"type": "data", "symmetric": False, "array": (tails - middles).astype(np.float32),
                            "arrayminus": np.zeros(len(calls), np.float32), "color": COLOURS[k % len(COLOURS)]},
                "text": [_told(each) for each in calls],
                "hovertemplate": "%{text}<extra></extra>",
                "line": {"color": COLOURS[k % len(COLOURS)], "dash": DASHES[k % len(DASHES)], "width": 2},
                "marker": {"symbol": SYMBOLS[k % len(SYMBOLS)], "size": 8},
            }
        )  # fmt: skip
        words.append(
            f"{name} takes {number(middles[0])} ms for {_images(calls[0].batch_size)}, p99 {number(tails[0])}"
        )
    sizes = sorted({each.batch_size for each in found.times})
    return canvas(
        traces,
        title="Time of a call",
        summary=f"{'; '.join(words)}." if words else "No calls to show.",
        explained=_ABOUT,
        x=axis("images in a call", type="log", tickvals=sizes, ticktext=[str(size) for size in sizes]),
        y=axis("ms (p50, whisker to p99)", type="log"),
        shapes=_deadline(found, "y"),
    )


def latency_tail(found: Latency, batch_size: int = 1) -> go.Figure:
    """Share of calls that take longer than a time, a line for each engine and for each load.

    Args:
        found: from `reswork.latency`.
        batch_size: of the calls that are shown.

    Returns:
        Figure with logarithmic axes; the deadline, if one was asked for, is a dashed line.
    """
    shown = [each for each in (*found.times, *found.loads) if each.batch_size == batch_size]
    traces: list[dict[str, Any]] = []
    words = []
    for k, each in enumerate(shown):
        label = f"{each.name} at {each.rate:g}/s" if isinstance(each, Load) else each.name
        x, y = _survival(each.seconds)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": escape(label),
                "x": x,
                "y": y,
                "hovertemplate": "%{y:.3g} % take longer than %{x:.3g} ms<extra>"
                + escape(label)
                + "</extra>",
                "line": {
                    "color": COLOURS[k % len(COLOURS)],
                    "dash": DASHES[k % len(DASHES)],
                    "width": 2,
                    "shape": "hv",
                },
            }
        )
        if found.deadline_s is not None:
            words.append(
                f"{label}: {each.missed(found.deadline_s)[0]:.1%} later than {1e3 * found.deadline_s:g} ms"
            )
        else:
            words.append(
                f"{label}: one in a hundred takes longer than {number(1e3 * np.quantile(each.seconds, 0.99))} ms"
            )
    return canvas(
        traces,
        title="Late answers",
        summary=f"{'; '.join(words)}." if words else "No calls to show.",
        explained=_ABOUT_TAIL,
        x=axis("ms", type="log"),
        y=axis("answers that take longer, %", type="log"),
        shapes=_deadline(found, "x"),
    )


def _survival(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms, ascending, and after each the share in percent that takes longer; the last one is left out."""
    times = np.sort(seconds)
    shares = 100 * (1 - np.arange(1, len(times) + 1) / len(times))
    chosen = np.unique(np.round(np.geomspace(1, len(times), min(_MOST, len(times)))).astype(int))
    chosen = np.unique(np.concatenate([len(times) - chosen, [0]]))  # dense in the tail
    chosen = chosen[shares[chosen] > 0]
    return (1e3 * times[chosen]).astype(np.float32), shares[chosen].astype(np.float32)


def _deadline(found: Latency, along: str) -> list[dict[str, Any]]:
    if found.deadline_s is None:
        return []
    value, line = 1e3 * found.deadline_s, {"color": INK, "dash": "dash", "width": 1}
    if along == "y":
        return [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}]
    return [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": value, "x1": value, "line": line}]


def _told(each: CallTimes) -> str:
    p50, p95, p99 = (number(1e3 * each.quantile(q).value) for q in (0.5, 0.95, 0.99))
    speed = f"{each.images_per_second:,.0f} images a second"
    return f"{escape(each.name)}, {_images(each.batch_size)}: p50 {p50}, p95 {p95}, p99 {p99} ms; {speed}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
