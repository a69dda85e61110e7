"""What a server does: requests, times, and how far its inputs are from those it learned from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, INK, PATTERNS, about, axis, canvas
from reswork.figures.text import number
from reswork.results.serving import ServerLoad

_OUTCOMES = (("answered", "answered"), ("refused", "refused (4xx)"), ("failed", "failed (5xx)"))

_ABOUT_LOAD = about(
    "Requests a second between two looks at the server: those that got an answer, those that were refused for what "
    "they asked or because too much waited, and those that the server owed an answer.",
    "Answered follows what is asked; refused stays near zero unless somebody sends what is no picture; failed is zero.",
    "Refused with 429: more is asked than the machine answers; a smaller network, more threads or another server. "
    "Failed: the log of the server says why.",
)
_ABOUT_TIMES = about(
    "Milliseconds from a request to its answer between two looks: half of them took less than p50, 19 of 20 less than "
    "p95. Told from counts in buckets, so that only the order of size is exact.",
    "Two flat lines; p95 a few times p50. Both rise together where more is asked than is answered: requests wait.",
    "p95 alone rises: something else computes on this machine now and then, or single pictures are large.",
)
_ABOUT_DRIFT = about(
    "How far the latest 1,000 images are from the training images in brightness and contrast, and how far the "
    "confidence of the answers is from that on test images: population stability index. The mark: what chance alone "
    "stays below in 95 of 100 cases.",
    "Bars below their marks. A rule of thumb takes 0.1 for a change and 0.25 for a large one.",
    "A bar far above its mark: other pictures come than those it learned from (another camera, another light), and its "
    "accuracy on test images no longer tells much. Look at some, and label them.",
)


def server_load(found: ServerLoad) -> go.Figure:
    """Requests a second by what became of them, over time.

    Args:
        found: from ``rw.live(server)``, or `reswork.shipping.watching.ServerWatch`.
    """
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": label, "x": found.seconds.astype(np.float32),
            "y": getattr(found, name).astype(np.float32),
            "line": {"color": COLOURS[k], "dash": DASHES[k], "width": 2},
        }
        for k, (name, label) in enumerate(_OUTCOMES)
    ]  # fmt: skip
    now = (
        [f"{number(getattr(found, name)[-1])} {label}" for name, label in _OUTCOMES]
        if len(found.seconds)
        else []
    )
    return canvas(
        traces,
        title="Requests",
        summary=f"Requests a second: {', '.join(now)}." if now else "No requests yet.",
        explained=_ABOUT_LOAD,
        x=axis("seconds since you looked first"),
        y=axis("requests a second", rangemode="tozero"),
        height=220,
    )


def server_times(found: ServerLoad) -> go.Figure:
    """Milliseconds from request to answer over time, p50 and p95.

    Args:
        found: as for `server_load`.
    """
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": label, "x": found.seconds.astype(np.float32),
            "y": values.astype(np.float32), "line": {"color": COLOURS[k], "dash": DASHES[k], "width": 2},
        }
        for k, (label, values) in enumerate((("p50", found.p50_ms), ("p95", found.p95_ms)))
    ]  # fmt: skip
    known = np.flatnonzero(np.isfinite(found.p95_ms))
    told = (
        f"Half of the requests took less than {number(found.p50_ms[known[-1]])} ms, 19 of 20 less than "
        f"{number(found.p95_ms[known[-1]])} ms."
        if len(known)
        else "No requests yet."
    )
    return canvas(
        traces,
        title="Time to the answer",
        summary=told,
        explained=_ABOUT_TIMES,
        x=axis("seconds since you looked first"),
        y=axis("ms", rangemode="tozero"),
        height=220,
    )


def server_drift(drift: Mapping[str, tuple[float, float]]) -> go.Figure:
    """How far what comes is from what a network learned from, as bars with what chance alone would give.

    Args:
        drift: name of a quantity -> its index and what that stays below by chance; NaN where that is not known yet.
    """
    known = {name: each for name, each in drift.items() if np.isfinite(each[0])}
    names = list(known)
    indices, chances = (np.array([each[k] for each in known.values()], np.float32) for k in (0, 1))
    traces: list[dict[str, Any]] = [
        {
            "type": "bar", "name": "now", "x": names, "y": indices,
            "marker": {"color": COLOURS[0], "pattern": {"shape": PATTERNS[0]}}, "width": 0.5,
        },
        {
            "type": "scatter", "mode": "markers", "name": "by chance", "x": names, "y": chances,
            "marker": {"symbol": "line-ew", "size": 44, "line": {"width": 3, "color": INK}},
        },
    ]  # fmt: skip
    words = [
        f"{name} {number(index)}, {'more' if index > chance else 'no more'} than chance ({number(chance)})"
        for name, (index, chance) in known.items()
    ]
    return canvas(
        traces,
        title="Drift",
        summary=f"{'; '.join(words)}." if words else "Told once 100 images have come.",
        explained=_ABOUT_DRIFT,
        x=axis("what is compared"),
        y=axis("stability index", rangemode="tozero"),
        height=220,
    )
