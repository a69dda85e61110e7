"""The evidence of a finding: the values that it rests on, or the measure beside its limit."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, PATTERNS, about, axis, canvas
from reswork.figures.text import distinct, number
from reswork.results import Evidence

_MOST_BARS = 200
_WIDE = 1e5  # largest over smallest value, from which a line needs a logarithmic axis
_ABOUT = about(
    "What the doctor measured: a value for each layer, block, class or step, or the measure and its limit.",
    "A finding is made where the measure reaches its limit; the sentence of the finding says which way is bad.",
    "Take the fix, train again, and look at the same figure of the new run.",
)


def evidence(evidence: Evidence) -> go.Figure:
    """Bars over names, a line over steps, or, where there is one number only, the measure beside its limit.

    Args:
        evidence: ``finding.evidence``.

    Returns:
        A figure of at most 200 bars: the first ones.
    """
    labels, values = evidence.labels[:_MOST_BARS], np.asarray(evidence.values, np.float64)[:_MOST_BARS]
    steps = evidence.along == "steps" and bool(labels)
    if steps:
        labels, values = evidence.labels, np.asarray(evidence.values, np.float64)
        trace: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": np.asarray(labels), "y": values,
                                 "line": {"color": COLOURS[0]}, "name": evidence.title}  # fmt: skip
    else:
        names = distinct([str(each) for each in labels], 24) or ["measured", "limit"]
        values = values if labels else np.array([evidence.value, evidence.limit])
        trace = {"type": "bar", "x": names, "y": values, "name": evidence.title or evidence.measure,
                 "marker": {"color": COLOURS[0], "pattern": {"shape": PATTERNS[0]}}}  # fmt: skip
    known = values[np.isfinite(values)]
    wide = steps and len(known) > 0 and known.min() > 0 and known.max() > _WIDE * known.min()
    summary = f"{evidence.measure}: {number(evidence.value)}, the limit is {number(evidence.limit)}."
    return canvas(
        [trace],
        title=evidence.title or evidence.measure,
        summary=summary,
        explained=_ABOUT,
        x=axis("step") if steps else axis("", type="category", showgrid=False),
        y=axis(evidence.title or evidence.measure, zeroline=True, **({"type": "log"} if wide else {})),
        height=240,
    )
