"""A button that hands a file from the kernel to the browser, wherever the notebook runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from reswork.widgets.page_assets import static_text
from reswork.widgets.runs_table import sendable

MOST_BYTES = 100 * 1024**2


class Download(anywidget.AnyWidget):
    """Shows a button for one file that was written, or can be; hidden while there is none.

    The file's bytes go to the page only when somebody presses the button.
    """

    _esm = static_text("download.js")
    name = traitlets.Unicode().tag(sync=True)  # of the file; "" hides the button

    def __init__(self) -> None:
        super().__init__()
        self._read: Callable[[], bytes | None] = lambda: None
        self.on_msg(self._take)

    def offer(self, path: Path) -> None:
        """Let this file be downloaded."""
        self._read = lambda: path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
        self.name = sendable(path.name)

    def offer_text(self, name: str, text: Callable[[], str]) -> None:
        """Let a text be downloaded as a file; it is made when somebody asks for it."""
        self._read = lambda: text().encode("utf-8", "replace")
        self.name = sendable(name)

    def _take(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not self.name or not isinstance(content, dict) or content.get("kind") != "fetch":
            return
        try:
            data = self._read()
        except OSError:
            data = None
        told = {"kind": "file" if data is not None else "gone", "ticket": str(content.get("ticket"))}
        self.send(told, buffers=[data] if data is not None else None)
