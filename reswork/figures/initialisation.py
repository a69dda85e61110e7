"""What the initialisation microscope shows: signals and gradients by depth, shattering, the Jacobian."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.study_lines import study_lines
from reswork.figures.text import number
from reswork.results.initialisation import Initialisation
from reswork.results.study import Line


def initialisation(found: Initialisation, before: Initialisation | None = None) -> dict[str, go.Figure]:
    """Five figures of a fresh network.

    Args:
        found: what `probes.initialisation` gave.
        before: an earlier look, drawn with a dash for comparison.

    Returns:
        Figures by title: signal, likeness of images, gradients, gradients of neighbouring inputs, the Jacobian.
    """
    looks = [(found, False)] + ([(before, True)] if before is not None else [])

    def lines(what: dict[str, str]) -> list[Line]:
        made = []
        for look, dashed in looks:
            for colour, (name, field) in enumerate(what.items()):
                values = np.atleast_1d(getattr(look, field))
                values = _mean(values) if values.ndim == 2 else values
                start = 0 if field == "autocorrelation" else 1
                places = np.arange(start, start + len(values), dtype=float)
                shown = f"{name}, before" if dashed else name
                made.append(Line(shown, places, values, colour=colour, dashed=dashed))
        return made

    first, last = float(found.stream[0]), float(found.stream[-1])
    known = found.gradients[np.isfinite(found.gradients)]
    return {
        "Signal by block": study_lines(
            lines({"stream": "stream", "branch F(x)": "branch"}),
            title="Signal by block",
            x="block, from input to output",
            y="average channel variance",
            summary=f"The stream's variance goes from {number(first)} behind the first block to {number(last)}.",
            explained=about(
                "How large the numbers are that leave each block, and those that its branch adds.",
                "Level, or a staircase that begins anew at each stage. A straight slope is a factor at each block: "
                "the signal explodes or vanishes.",
                "Take the norm away, then add SkipInit.",
            ),
            y_scale="log",
        ),
        "Gradient by layer": study_lines(
            lines({"gradient": "gradients", "first update": "updates"}),
            title="Gradient by layer",
            x="layer, from input to output",
            y="norm; share of the weight",
            summary=f"Gradients of the layers lie between {number(known.min()) if len(known) else 'NaN'} "
            f"and {number(known.max()) if len(known) else 'NaN'}.",
            explained=about(
                "The length of each layer's gradient, and how far a first step of plain gradient descent would "
                "move the layer, as a share of its weights.",
                "Gradients within a factor of ten; updates below 0.1. Layers without any gradient leave a hole.",
                "Raise the learning rate until the forecast turns.",
            ),
            y_scale="log",
        ),
        "Likeness of images": study_lines(
            lines({"cosine": "likeness"}),
            title="Likeness of images",
            x="block, from input to output",
            y="mean cosine",
            summary=f"Two different images have a cosine of {found.likeness[-1]:.3f} behind the last block.",
            explained=about(
                "How alike two different images are behind each block, on average.",
                "Well below 1. At 1 the network has forgotten which image it saw, and cannot learn to tell them apart.",
                "Go deep without shortcuts and without a norm.",
            ),
            y_range=(-0.1, 1.05),
        ),
        "Gradients of neighbours": study_lines(
            lines({"autocorrelation": "autocorrelation"}),
            title="Gradients of neighbours",
            x=f"places apart, of {len(found.autocorrelation) * 4 - 4} between two images",
            y="correlation",
            summary=f"One place apart the gradients' correlation is {found.autocorrelation[1]:.2f}.",
            explained=about(
                "How alike the gradients by the input are at two places on the line from one image to another.",
                "Falls slowly. Where it falls to 0 at once gradients are shattered: each image asks for "
                "something else.",
                "Compare a plain network of 56 layers with a residual one.",
            ),
            y_range=(-0.6, 1.05),
        ),
        "The Jacobian": study_lines(
            lines({"singular value": "jacobian"}),
            title="The Jacobian",
            x="number, from the largest",
            y="singular value",
            summary=f"The largest singular value is {number(found.condition)} times the smallest.",
            explained=about(
                "How strongly the outputs answer to a change of the input, in the direction of the strongest "
                "answer and in those at right angles to it; the mean of some images.",
                "A factor of 3 to 30 from first to last. Much more: nearly all inputs move the outputs in one "
                "direction.",
                "Watch it while you go deeper without shortcuts.",
            ),
            y_scale="log",
        ),
    }  # fmt: skip


def _mean(rows: np.ndarray) -> np.ndarray:
    """Geometric mean of the rows, NaN where one is not positive."""
    with np.errstate(all="ignore"):
        logs = np.log(np.where(rows > 0, rows, np.nan))
        return np.asarray(np.exp(logs.mean(axis=0)))
