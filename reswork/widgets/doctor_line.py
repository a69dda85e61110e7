"""What the doctor says of a run, under its progress: findings, why, and a button that takes the fix."""

import threading
from collections.abc import Callable, Iterator, Sequence
from html import escape

import ipywidgets as w

from reswork.diagnosis import Finding, at_a_glance, diagnose, outcome
from reswork.errors import InvalidSetting
from reswork.store import AnyRun
from reswork.training.live_run import LiveRun
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.tree import close_tree


class FindingRow:
    """One finding: its sentence, a button for its evidence, and one that takes its fix.

    Args:
        finding: the first to show; later ones of the same kind come by `show`.
        take: called with the finding whose fix shall be tried.

    Attributes:
        view: the widget.
        words: the sentence, as HTML.
        why: draws the evidence, or takes it away.
        take: tries the fix; hidden where there is nothing to change.
        figure: the evidence, where it is shown.
    """

    def __init__(self, finding: Finding, take: Callable[[Finding], None]) -> None:
        self.words = w.HTML()
        self.why = button("Show why", "Draw what was measured, beside the limit", self._turn)
        self.take = button("Take the fix", "", lambda: take(self.finding), "primary")
        self.figure: LiveFigure | None = None
        self._place = w.VBox([])
        self.view = w.VBox([self.words, w.HBox([self.why, self.take]), self._place])
        self.show(finding)

    def show(self, finding: Finding) -> None:
        """The newest state of it."""
        self.finding = finding
        changes = "" if finding.fix is None else finding.fix.told_changes
        self.take.layout.display = None if changes else "none"
        self.take.tooltip = f"Train again from the first step on, beside this run, with {changes}"
        self.words.value = (
            f'<div class="reswork-finding" role="status"><b>Doctor:</b> {escape(str(finding))}'
            + (f' <span class="reswork-muted">The fix: {escape(changes)}.</span>' if changes else "")
            + "</div>"
        )
        if self.figure is not None:
            self.figure.show(finding.figure())

    def _turn(self) -> None:
        if self.figure is None:
            self.figure = LiveFigure(self.finding.figure())
            self._place.children = (self.figure,)
            self.why.description = "Hide why"
        else:
            self._place.children = ()
            close_tree(self.figure)
            self.figure = None
            self.why.description = "Show why"


class DoctorLine:
    """The findings of a run: those of its record while it trains, nothing where all is well; when asked, all of them.

    Args:
        try_fix: trains a new run with the fix of a finding about a run, and shows it.

    Attributes:
        view: the widget.
        rows: the findings that are shown.
        ask: asks the network and the data too.
        told: what a fix brought.
    """

    def __init__(self, try_fix: Callable[[Finding, AnyRun], LiveRun]) -> None:
        self._try_fix = try_fix
        self._run: AnyRun | None = None
        self._taken: tuple[Finding, AnyRun, LiveRun] | None = None
        self._whole: Sequence[Finding] | None = None  # what was found when everything was asked
        self.rows: dict[str, FindingRow] = {}
        self._lock = threading.RLock()  # a refreshing thread, the worker and buttons change it
        self._worker = LatestJob(self._failed)
        self.ask = button(
            "Ask the doctor",
            "Let the doctor look at the network and the data too: a second or two",
            self._ask,
        )
        self._list = w.VBox([])
        self.told = w.HTML()
        self.error = ErrorLine()
        self.view = w.VBox(
            [self.told, self._list, self.error, w.HBox([self.ask])], layout=w.Layout(display="none")
        )

    def look_at(self, run: AnyRun) -> None:
        """Show what the record of a run says now; call it whenever the run has news."""
        with self._lock:
            if run is not self._run:
                self._run, self._whole = run, None
                self.error.tell("")
                self.told.value = ""
            self._show(at_a_glance(run) if self._whole is None else self._whole)
            if self._taken is not None and self._taken[2] is run and self._taken[2].done:
                taken, self._taken = self._taken, None
                self._worker.submit(lambda: self._judge(*taken))

    def wait(self, seconds: float) -> bool:
        """Wait until what was asked is answered; False after a time-out."""
        return self._worker.wait(seconds)

    def _show(self, found: Sequence[Finding]) -> None:
        kinds = [finding.kind for finding in found]
        if kinds == [*self.rows]:
            for finding in found:
                self.rows[finding.kind].show(finding)
        else:
            old, self.rows = self.rows, {}
            for finding in found:
                kept = old.pop(finding.kind) if finding.kind in old else FindingRow(finding, self._take)
                kept.show(finding)
                self.rows[finding.kind] = kept
            self._list.children = tuple(row.view for row in self.rows.values())
            for row in old.values():
                close_tree(row.view)
        can_ask = self._whole is None and (bool(found) or self._is_over)
        self.ask.layout.display = None if can_ask else "none"
        self.view.layout.display = None if found or self.told.value or can_ask else "none"

    @property
    def _is_over(self) -> bool:
        """Whether nothing more is to come, so that a look at everything is worth it."""
        return self._run is not None and (not self._run.is_live or self._run.done)

    def _ask(self) -> None:
        run = self._run
        if run is not None:
            self._worker.submit(lambda: self._asked(run))

    def _asked(self, run: AnyRun) -> Iterator[None]:
        found = diagnose(run)
        with self._lock:
            if run is self._run:
                self._whole = found
                if not found:
                    self.told.value = _told(
                        f"Nothing was found; {len(found.asked)} rules were asked.", "reswork-fine"
                    )
                self._show(found)
        yield

    def _take(self, finding: Finding) -> None:
        run = self._run
        if run is None:
            return
        try:
            if run.is_live and not run.done:
                raise InvalidSetting(
                    "run",
                    f"{run.name} still goes on; press Stop first, so that the two don't share the processor.",
                )
            new = self._try_fix(finding, run)
        except InvalidSetting as error:
            self.error.tell(error.message)
            return
        with self._lock:
            self._run, self._whole, self._taken = new, None, (finding, run, new)
            self.told.value = _told(f"{new.name} tries the fix of {finding.kind}, beside {run.name}.")
        self.look_at(new)

    def _judge(self, finding: Finding, run: AnyRun, new: LiveRun) -> Iterator[None]:
        found = outcome(finding, run, new)
        with self._lock:
            if self._run is new:
                self.told.value = _told(found.sentence)
        yield

    def _failed(self, error: Exception) -> None:
        self.error.tell(str(error))


def _told(sentence: str, how: str = "") -> str:
    return f'<div class="reswork-finding {how}" role="status"><b>Doctor:</b> {escape(sentence)}</div>'
