"""The table of runs on the page: names are set as text, never as markup; clicks come back as messages."""

from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

from reswork.widgets.page_assets import static_text


class RunsTable(anywidget.AnyWidget):
    """Rows with a tick, cells and buttons, under heads that sort.

    Args:
        columns: key -> what its head says.
        acted: called with what was asked for and whereby: ``("sort", column)``, ``("tick", run)``,
            ``("untick", run)``, ``("show", run)``, ``("note", run)``, ``("delete", run)``.
    """

    _esm = static_text("runs_table.js")
    columns: Any = traitlets.List().tag(sync=True)  # of [key, label]
    rows: Any = traitlets.List().tag(sync=True)  # of {"name", "ticked", "cells"}
    sort = traitlets.List(["created", True]).tag(sync=True)  # column, and whether the largest comes first

    KINDS = ("sort", "tick", "untick", "show", "note", "delete")

    def __init__(self, columns: Mapping[str, str], acted: Callable[[str, str], None]) -> None:
        super().__init__(columns=[list(pair) for pair in columns.items()])
        self._acted = acted
        self.on_msg(self._take)

    def _take(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        kind, name = content.get("kind"), content.get("name")
        if kind in self.KINDS and isinstance(name, str):
            self._acted(kind, name)


def sendable(text: str) -> str:
    """The text as a message to the page can carry it: a folder's name may hold bytes that are no text.

    Example:
        >>> sendable(f"odd {chr(0xDCFF)} name")
        'odd ? name'
    """
    return text.encode("utf-8", "replace").decode()
