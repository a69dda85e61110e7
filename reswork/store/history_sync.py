"""How a history follows another one in another process: what is new there, as the lines of `metrics_log`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reswork.history import History
from reswork.store.metrics_log import Written, new_lines


class HistoryDelta:
    """What is new in a history since it was last asked.

    Args:
        history: the record, which may grow in the meantime.
        marks: what is known already, from `marks` of the history that follows; None: nothing.
    """

    def __init__(self, history: History, marks: Mapping[str, Any] | None = None) -> None:
        self._history = history
        self._known = Written({}, {}, {})
        if marks is not None:
            self._known.series = {str(name): (int(a), int(b)) for name, (a, b) in marks["series"].items()}
            self._known.groups = {str(name): (int(a), int(b)) for name, (a, b) in marks["groups"].items()}
            self._known.arrays = {str(name): int(step) for name, step in marks["arrays"].items()}
            self._known.notes = int(marks["notes"])

    def lines(self) -> list[dict[str, Any]]:
        """The new lines, each a mapping of JSON values; none where nothing is new."""
        version = self._history.version
        if version == self._known.version:
            return []
        lines = list(new_lines(self._history, self._known))
        self._known.version = version
        return lines


def marks(history: History) -> dict[str, Any]:
    """How far a history goes, as JSON values for `HistoryDelta`."""
    known = Written({}, {}, {})
    for _ in new_lines(history, known):
        pass
    return {
        "series": known.series,
        "groups": known.groups,
        "arrays": known.arrays,
        "notes": known.notes,
    }


class HistoryFollower:
    """Takes the lines of another history into this one.

    Args:
        history: it may hold the beginning already.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._labels = {group: history.vectors(group).labels for group in history.groups}

    def take(self, line: Mapping[str, Any]) -> None:
        """Take one line.

        Raises:
            ValueError: or KeyError, TypeError, for what is no such line.
        """
        if "labels" in line:
            self._labels[line["group"]] = tuple(line["labels"])
        elif "values" in line:
            self._history.record(line["step"], line["values"])  # float() understands "NaN" and "Infinity"
        elif "row" in line:
            group = line["group"]
            row = [float(value) for value in line["row"]]
            self._history.record_vector(group, line["step"], self._labels[group], row)
        elif "array" in line:
            items = np.array([float(item) for item in line["items"]])
            array = items.astype(line["dtype"]).reshape(line["shape"])
            self._history.keep(line["array"], line["step"], array)
        else:
            self._history.note(line["step"], line["note"], **line["details"])
