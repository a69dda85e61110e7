"""Only those settings in which runs differ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from reswork.errors import InvalidSetting
from reswork.store.saved_run import SavedRun

_ABSENT = "–"


@dataclass(frozen=True, repr=False)
class SettingDifferences:
    """The settings in which runs differ; printed, or as the last line of a cell, a table.

    Attributes:
        names: of the runs, in the order in which they were given.
        rows: setting, such as ``"recipe: learning_rate"``, to its value in each run, as words.
    """

    names: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]

    def __repr__(self) -> str:
        if not self.rows:
            return _SAME
        lines = [("", *self.names), *((name, *values) for name, values in self.rows.items())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = (zip(line, widths, strict=True) for line in lines)
        return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in padded)

    def _repr_html_(self) -> str:
        """The table with every name escaped."""
        if not self.rows:
            return f"<p>{_SAME}</p>"
        head = "".join(f'<th scope="col">{_cell(name)}</th>' for name in self.names)
        body = "".join(
            f'<tr><th scope="row">{_cell(name)}</th>{"".join(f"<td>{_cell(value)}</td>" for value in values)}</tr>'
            for name, values in self.rows.items()
        )
        return f'<table class="reswork-table"><tr><th scope="col">setting</th>{head}</tr>{body}</table>'


_SAME = "These runs have the same network, recipe and data."


def compare_settings(runs: Sequence[SavedRun]) -> SettingDifferences:
    """In which settings of network, recipe and data some runs differ, and how; the rest is left out.

    What a network leaves automatic is written out before, so that ``width=None`` and the width that it stands
    for are no difference.

    Args:
        runs: two or more from disk, see `runs` and `load_run`.

    Raises:
        InvalidSetting: for fewer than two runs, or one that cannot be read.
    """
    if len(runs) < 2:
        raise InvalidSetting("runs", f"{len(runs)} run has nothing to differ from; give at least two")
    found = [settings_of(run) for run in runs]
    every = {name: None for settings in found for name in settings}  # in order, each once
    rows = {}
    for name in every:
        values = tuple(settings.get(name, _ABSENT) for settings in found)
        if len(set(values)) > 1:
            rows[name] = values
    return SettingDifferences(tuple(run.name for run in runs), rows)


def settings_of(run: SavedRun) -> dict[str, str]:
    """Every setting of a run by name, as words.

    Raises:
        InvalidSetting: if the run cannot be read.
    """
    if run.unreadable is not None:
        raise InvalidSetting("runs", f"run {run.name!r} cannot be read: {run.unreadable}")
    recipe = run.recipe.to_dict()
    augmentation = recipe.pop("augmentation")
    settings: dict[str, Any] = {} if run.config is None else run.config.resolved().to_dict()
    data = {"name": run.dataset_name, "content": run.dataset_hash[:12], "classes": len(run.classes)}
    parts = {
        "task": {"kind": run.task_kind},
        "network": {"kind": run.model_label, **settings},
        "recipe": recipe,
        "augmentation": augmentation,
        "data": data | {"image shape": list(run.input_shape)},
    }
    return {
        f"{part}: {name}": _words(value) for part, values in parts.items() for name, value in values.items()
    }


def _words(value: Any) -> str:
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    """Escaped; a dollar stands in an element of its own, so that no page takes what follows for a formula."""
    return escape(text).replace("$", "<span>&#36;</span>")
