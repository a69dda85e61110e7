"""The axis over a network's layers, marked with its stages."""

from collections.abc import Sequence
from typing import Any

from reswork.figures.canvas import GRID, axis
from reswork.figures.text import escape

Group = tuple[str, float, float]  # first part of the names; first and last place, counted from 1

_MOST_GROUPS = 12


def depth_groups(labels: Sequence[str]) -> tuple[Group, ...]:
    """Neighbours whose names begin alike, from the input on.

    Args:
        labels: dotted layer names, from input to output.

    Example:
        >>> depth_groups(["conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"])
        (('conv1', 1, 1), ('layer1', 2, 3), ('fc', 4, 4))
    """
    found: list[Group] = []
    for index, label in enumerate(labels, start=1):
        name = label.partition(".")[0]
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], index)
        else:
            found.append((name, index, index))
    return tuple(found)


def depth_axis(
    groups: Sequence[Group], per_point: int, *, of: str = "layer"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The x axis over layers or blocks, and dotted lines between groups where there are 2 to 12 of them.

    Args:
        groups: from `depth_groups`.
        per_point: how many neighbours share a point; said in the title.
        of: what stands at each place, "layer" or "block".

    Returns:
        Axis and shapes for the layout.
    """
    title = f"{of}, from input to output"
    if per_point > 1:
        title += f" (a point: {per_point} neighbours)"
    if not 2 <= len(groups) <= _MOST_GROUPS:
        return axis(title, rangemode="nonnegative"), []
    most = groups[-1][2]
    wide = [
        group for group in groups if group[2] - group[1] + 1 > most / 20 or group in (groups[0], groups[-1])
    ]
    marked = axis(
        title,
        tickmode="array",
        tickvals=[(first + last) / 2 for _, first, last in wide],
        ticktext=[escape(name, 12) for name, _, _ in wide],
        showgrid=False,
    )
    line = {"color": GRID, "width": 1, "dash": "dot"}
    border = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": line}
    return marked, [border | {"x0": last + 0.5, "x1": last + 0.5} for _, _, last in groups[:-1]]
