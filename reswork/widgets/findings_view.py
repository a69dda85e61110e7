"""What the doctor says about a network or a run, when asked: each finding with its evidence."""

from collections.abc import Callable, Iterator
from html import escape

import ipywidgets as w

from reswork.diagnosis import Diagnosis, Finding
from reswork.widgets.doctor_line import FindingRow
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.tree import close_tree


class FindingsView(w.VBox):
    """A button that asks the doctor, and below it what was found.

    Args:
        ask: looks; it may take seconds, and runs in the background.
        take: given a finding whose fix can be tried, tries it; None: fixes are only told.
    """

    def __init__(self, ask: Callable[[], Diagnosis], take: Callable[[Finding], object] | None = None) -> None:
        super().__init__()
        self._ask, self._take = ask, take
        self.ask = button(
            "Ask the doctor",
            "Look for what is wrong with network, data and training; takes seconds",
            self._asked,
        )
        self.error = ErrorLine()
        self.found = w.VBox()
        self._worker = LatestJob(self._failed)
        self.children = (self.ask, self.error, self.found)

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is looked at; False after so many seconds."""
        return self._worker.wait(seconds)

    def _asked(self) -> None:
        self.error.tell("")
        self.ask.disabled = True
        self._worker.submit(self._looked)

    def _looked(self) -> Iterator[None]:
        try:
            self._show(self._ask())
            yield
        finally:
            self.ask.disabled = False

    def _failed(self, error: Exception) -> None:
        self.error.tell(str(error))

    def _show(self, found: Diagnosis) -> None:
        before = self.found.children
        rows: list[w.Widget] = [self._row(each) for each in found]
        if not rows:
            rows.append(w.HTML(f"<p>Nothing was found; {len(found.asked)} rules were asked.</p>"))
        if found.not_asked:
            reasons: dict[str, list[str]] = {}
            for kind, why in found.not_asked.items():
                reasons.setdefault(why, []).append(kind.replace("_", " "))
            told = "".join(
                f"<li>{escape(why)}: {escape(', '.join(kinds))}</li>" for why, kinds in reasons.items()
            )
            rows.append(w.HTML(f"<details><summary>{len(found.not_asked)} rules could not be asked</summary>"
                               f"<ul>{told}</ul></details>"))  # fmt: skip
        for each in rows:
            each.add_class("reswork-note")
        self.found.children = rows
        for each in before:
            close_tree(each)

    def _row(self, finding: Finding) -> w.Widget:
        row = FindingRow(finding, lambda finding: None)
        row.take.layout.display = "none"  # a fix is told here, and taken in the workbench
        return row.view
