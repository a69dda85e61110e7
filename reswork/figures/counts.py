"""How many pictures of each class a data set holds, or pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from reswork.errors import InvalidSetting
from reswork.figures.canvas import COLOURS, PATTERNS, about, axis, canvas
from reswork.figures.text import distinct

_MOST_CLASSES = 200

_ABOUT = about(
    "How many pictures there are of each class: those to learn from and those kept back for the test.",
    "Bars of one height: no class can be preferred for being frequent.",
    "If one bar towers, a network that always answers with that class already looks good; then compare "
    "recall, not accuracy.",
)


@dataclass(frozen=True, eq=False)
class _Counts:
    names: tuple[str, ...]
    splits: tuple[tuple[str, np.ndarray], ...]  # name, (K,) counts
    per_bar: int
    summary: str


def class_counts(
    counts: Mapping[str, ArrayLike], classes: Sequence[str], *, of: str = "pictures"
) -> go.Figure:
    """Pictures of each class in each split, or pixels where each has one.

    Read from it whether the classes are balanced.

    Args:
        counts: split name ("train", "test") to (K,) counts.
        classes: (K,) names.
        of: what was counted, in the plural.

    Returns:
        Figure with one bar a class and split; over 200 classes neighbours share a bar.

    Raises:
        InvalidSetting: if a split has not one count for each class.
    """
    return _counts_figure(_counts_info(counts, tuple(map(str, classes)), of), of)


def _counts_info(counts: Mapping[str, ArrayLike], classes: tuple[str, ...], of: str = "pictures") -> _Counts:
    per_bar = -(-len(classes) // _MOST_CLASSES) or 1
    starts = np.arange(0, len(classes), per_bar)
    splits = []
    for name, values in counts.items():
        array = np.asarray(values, np.float64)
        if array.shape != (len(classes),):
            raise InvalidSetting(
                "counts",
                f"{name} has counts of shape {array.shape} for {len(classes)} classes; give one each",
            )
        pooled = np.add.reduceat(array, starts) if len(classes) else array
        splits.append((str(name), pooled.astype(np.float32)))
    return _Counts(classes[::per_bar], tuple(splits), per_bar, _counts_summary(counts, classes, of))


def _counts_summary(counts: Mapping[str, ArrayLike], classes: tuple[str, ...], of: str) -> str:
    if not classes or not counts:
        return "No classes to count."
    parts = []
    for name, values in counts.items():
        array = np.asarray(values)
        low, high = int(array.argmin()), int(array.argmax())
        spread = (
            f"{array[low]:,.0f} of each class"
            if array[low] == array[high]
            else f"from {array[low]:,.0f} ({classes[low]}) to {array[high]:,.0f} ({classes[high]}) a class"
        )
        parts.append(f"{name}: {array.sum():,.0f} {of}, {spread}")
    return f"{len(classes)} classes; " + "; ".join(parts) + "."


def _counts_figure(info: _Counts, of: str = "pictures") -> go.Figure:
    names = distinct(info.names, 18)
    traces = [
        {
            "type": "bar",
            "x": names,
            "y": values,
            "name": split,
            "marker": {"color": COLOURS[index % len(COLOURS)], "pattern": {"shape": PATTERNS[index % 4]}},
            "hovertemplate": f"%{{x}}: %{{y:,.0f}} {of}",
        }
        for index, (split, values) in enumerate(info.splits)
    ]
    note = f" ({info.per_bar} a bar)" if info.per_bar > 1 else ""
    return canvas(
        traces,
        title=f"{of.capitalize()} of each class",
        summary=info.summary,
        explained=_ABOUT,
        x=axis("class" + note, type="category", showgrid=False),
        y=axis(of, rangemode="tozero"),
        bargap=0.25,
    )
