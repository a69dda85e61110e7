"""One run on the page: its buttons, its progress, and its plots, live or from disk."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np

from reswork import figures
from reswork.diagnosis import Finding
from reswork.errors import InvalidSetting
from reswork.experiment.worlds import WORLDS, world_of
from reswork.history import History
from reswork.results.metrics import Metric
from reswork.store import AnyRun, SavedRun
from reswork.store.run_figures import figures_of_table
from reswork.tasks import CLASSIFICATION, metrics_of
from reswork.training.live_run import LiveRun, RunState, problems_of
from reswork.training.remarks import remarks_of, waiting_for
from reswork.widgets.doctor_line import DoctorLine
from reswork.widgets.form import ErrorLine
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.refresh import Refresher

_WEIGHTED = (
    "Class weights are in use: the training loss counts each class by its weight, the test loss counts all alike so "
    "that it compares with other runs, and the two curves are not on one scale."
)

_MOST_ARE_ONE = 0.6  # of the test are of one class, from which on that is told beside an accuracy


class RunView:
    """Buttons, progress line and plots of one run.

    Args:
        run: the run to show; None for an empty view that shows one later (`watch`).
        start: what the Start button does; None for a view without a Start button.
        go_on: what the Resume button does with a run from disk that ended early; None: it is for live runs alone.
        try_fix: trains a new run with the fix of a finding about a run, and shows it; None: here.
        refreshed: called after each refresh, from the refreshing thread.

    Attributes:
        bar: the widget with buttons, progress and the error sentence.
        plots: the part with the plots, to be shown by whoever puts it on a page.
    """

    def __init__(
        self,
        run: AnyRun | None = None,
        *,
        start: Callable[[], None] | None = None,
        go_on: Callable[[SavedRun], None] | None = None,
        try_fix: Callable[[Finding, AnyRun], LiveRun] | None = None,
        refreshed: Callable[[], None] = lambda: None,
    ) -> None:
        self.run: AnyRun | None = None
        self._refreshed, self._go_on_with = refreshed, go_on
        self.doctor = DoctorLine(try_fix or self._try_fix)
        self._can_go_on = False
        self._beside: Mapping[str, History | Sequence[History]] = {}
        self._moment: int | None = None  # the step that is looked back at
        self._counted: np.ndarray | None = None  # its confusion matrix
        self._metrics, self._world = metrics_of(CLASSIFICATION), WORLDS[0]
        self._lock = threading.RLock()
        self._drawn_version: Any = None
        self._asked_version: Any = None  # of the record that the doctor looked at
        self._shown: tuple[RunState, int] | None = None  # state and step that the page tells
        self._asked = ""  # what was asked for and has not happened yet
        self.tables: dict[str, LiveFigure] = {}  # by title
        self.weighted: w.HTML | None = None  # above the curves, where class weights are in use
        self._make_bar(start)
        self.plots = Part(self._made_plots, self._redraw)
        self.plots.add_class("reswork-grid")
        self.refresher = Refresher(self.refresh, self._wait_for_news)
        if run is not None:
            self.watch(run)

    def watch(self, run: AnyRun) -> None:
        """Show another run from now on."""
        with self._lock:
            self.run = run
            self._asked = ""
            self._moment = self._counted = None
            self._drawn_version = self._asked_version = None
            self._metrics, self._world = run.metrics or self._metrics, world_of(run)
            self._can_go_on = self._go_on_with is not None and not run.is_live and run.can_be_resumed
            if run.is_live:
                self.rate.value = run.recipe.learning_rate
        self.refresh()
        if run.is_live and not run.done:
            self.refresher.start()

    def draw_beside(self, histories: Mapping[str, History | Sequence[History]]) -> None:
        """Draw other runs' curves over this one's; several histories under one name as mean and band."""
        with self._lock:
            self._beside = dict(histories)
        if self.plots.is_shown:
            self._redraw()

    def turn_to(self, step: int | None, confusion: np.ndarray | None = None) -> None:
        """Show the run as it was at a step; None: as it is now.

        Args:
            step: updates made.
            confusion: (K, K) the answers of that moment; None: not known yet.
        """
        with self._lock:
            self._moment, self._counted = step, confusion
            self._drawn_version = None
        self.refresh()

    def refresh(self) -> bool:
        """Bring everything on the page up to date; True while the run may still change."""
        with self._lock:
            run = self.run
            if run is None:
                return False
            going_on = run.is_live and not run.done
            history = run.history
            mark = (history.version, run.state)
            self._show_state(run)
            if mark != self._asked_version:
                self._asked_version = mark
                self.doctor.look_at(run)
            if mark != self._drawn_version and self.plots.is_shown:
                self._drawn_version = mark
                self._draw(run, history)
        self._refreshed()
        return going_on

    def _make_bar(self, start: Callable[[], None] | None) -> None:
        def button(label: str, tip: str, act: Callable[[], Any], style: str = "") -> w.Button:
            made = w.Button(description=label, tooltip=tip, button_style=style, layout=w.Layout(width="auto"))
            made.on_click(lambda _button: self._do(act))
            return made

        self.start = None
        if start is not None:
            self.start = button(
                "Start", "Train the network as the form says, from new weights", start, "primary"
            )
        self.pause = button(
            "Pause",
            "Hold the training after the step that it is in",
            lambda: self._ask("pausing", self._live.pause),
        )
        self.one_step = button("Step", "Do one single step, then hold", lambda: self._live.step())
        self.resume = button(
            "Resume",
            "Go on after a pause, or with a run from disk that ended before its last step",
            self._go_on,
        )
        self.stop = button(
            "Stop", "End the run; what it learned is kept", lambda: self._ask("stopping", self._live.stop)
        )
        self.kill = button(
            "Kill",
            "End the process of this run at once; what it has not saved is lost",
            lambda: self._live.kill(),
        )
        self.rate = w.FloatText(
            value=0.1, step=0.01, description="Learning rate", layout=w.Layout(width="190px"),
            style={"description_width": "88px"}, tooltip="The rate to train with from the next step on",
        )  # fmt: skip
        self.set_rate = button("Set", "Use this learning rate from the next step on", self._set_rate)
        self.divide_rate = button(
            "÷ 3", "A third of the present learning rate", lambda: self._scale_rate(1 / 3)
        )
        self.multiply_rate = button(
            "× 3", "Three times the present learning rate", lambda: self._scale_rate(3.0)
        )
        buttons = [self.start] if self.start else []
        buttons += [self.pause, self.one_step, self.resume, self.stop, self.kill]
        self.row = w.Box([*buttons, self.rate, self.set_rate, self.divide_rate, self.multiply_rate])
        self.row.add_class("reswork-bar")
        self.status = w.HTML(_status_html(None))
        self.error = ErrorLine()
        self.unsaved = ErrorLine()
        self.remarks = w.HTML()
        self.bar = w.VBox([self.row, self.status, self.doctor.view, self.remarks, self.unsaved, self.error])
        self.bar.add_class("reswork-note")
        self._enable(None)

    def _made_plots(self) -> list[w.Widget]:
        empty = History()
        self.loss = LiveFigure(figures.loss_curves({}))
        self.score = LiveFigure(figures.metric_curves({}, self._metrics))
        self.heat = LiveFigure(figures.gradient_norms(empty))
        self.profile = LiveFigure(figures.gradient_profile(empty))
        self.rates = LiveFigure(figures.learning_rate(empty))
        self.speed = LiveFigure(figures.throughput(empty))
        return [self.loss, self.score, self.heat, self.profile, self.rates, self.speed]

    def _redraw(self) -> None:
        """Draw all plots, also where nothing has changed."""
        with self._lock:
            self._drawn_version = None
            if self.run is None:
                self.loss.show(figures.loss_curves(self._beside))
                self.score.show(figures.metric_curves(self._beside, self._metrics))
        self.refresh()

    @property
    def _live(self) -> LiveRun:
        if self.run is None or not self.run.is_live:
            raise InvalidSetting("run", "No run is going on in this kernel; press Start to begin one.")
        return self.run

    def _do(self, act: Callable[[], Any]) -> None:
        """What every button does: act, show the error if there is one, and bring the page up to date."""
        try:
            act()
        except Exception as error:
            self.error.tell(str(error))
        else:
            self.error.tell("")
        self.refresh()

    def _try_fix(self, finding: Finding, run: AnyRun) -> LiveRun:
        """Train with the fix, and show that beside the old run."""
        assert finding.fix is not None
        new = finding.fix.branch(run)
        self.watch(new)
        self.draw_beside({run.name: run.history})
        return new

    def _ask(self, word: str, act: Callable[[], None]) -> None:
        """Ask the run for something that lands after its present step, and say so until then."""
        self._asked = word
        act()

    def _go_on(self) -> None:
        run = self.run
        if run is not None and not run.is_live and self._can_go_on and self._go_on_with is not None:
            self._go_on_with(run)
        else:
            self._ask("", self._live.resume)

    def _wait_for_news(self, seconds: float) -> bool:
        """Wait until the run's state is another one than the page tells."""
        run, shown = self.run, self._shown
        if run is None or not run.is_live or shown is None or run.done:
            time.sleep(seconds)
            return False
        return run.wait_for_change(*shown, seconds)

    def _set_rate(self) -> None:
        self._live.set(learning_rate=self.rate.value)

    def _scale_rate(self, factor: float) -> None:
        present = self._live.history.last("learning_rate")
        self.rate.value = float(f"{(present if present is not None else self.rate.value) * factor:.3g}")
        self._set_rate()

    def _enable(self, run: AnyRun | None) -> None:
        state = run.state if run is not None and run.is_live else None
        active = state in (RunState.RUNNING, RunState.PAUSED)
        if self.start:
            self.start.disabled = active
        self.pause.disabled = state is not RunState.RUNNING
        self.one_step.disabled = state is not RunState.PAUSED
        self.resume.disabled = state is not RunState.PAUSED and not self._can_go_on
        self.stop.disabled = not active
        has_process = run is not None and run.pid is not None
        waits_for_end = active and self._asked == "stopping" and has_process
        self.kill.layout.display = None if waits_for_end else "none"
        for control in (self.rate, self.set_rate, self.divide_rate, self.multiply_rate):
            control.disabled = not active

    def _show_state(self, run: AnyRun) -> None:
        self._shown = (run.state, run.steps_done) if run.is_live else None
        if run.state is not RunState.RUNNING:
            self._asked = ""
        self._enable(run)
        self.status.value = _status_html(run, self._asked, self._world.unit)
        self.unsaved.tell(problems_of(run.history))
        remarks = remarks_of(run.history)
        self.remarks.value = f'<div class="reswork-muted">{escape(remarks)}</div>' if remarks else ""
        if run.error and run.state is RunState.FAILED:
            self.error.tell(str(run.error))

    def _draw(self, run: AnyRun, history: History) -> None:
        self._tell_of_weights(run)
        beside = {name: other for name, other in self._beside.items() if name != run.name}
        step = self._moment
        now = self._over_steps(run.name, history, beside)
        if step is None:
            for plot, figure in now:
                plot.show(figure)
            self.profile.show(figures.gradient_profile(history))
        else:
            past = history.until(step)
            then = self._over_steps(
                run.name, past, {name: _until(each, step) for name, each in beside.items()}
            )
            for (plot, figure), (_, told) in zip(now, then, strict=True):
                plot.show(figures.with_cursor(figure, step, told=told))
            self.profile.show(figures.gradient_profile(past))
        kept = (
            history.array("confusion/test")
            if step is None or self._counted is None
            else (step, self._counted)
        )
        if kept is not None:
            self._show_tables(figures_of_table(kept[1], run.classes, run.task_kind, self._world.many))

    def _tell_of_weights(self, run: AnyRun) -> None:
        """Say why both losses are not alike, where classes count unequally in the one that is trained on."""
        if (self.weighted is not None) == (run.recipe.class_weights is not None):
            return
        if self.weighted is None:
            self.weighted = w.HTML(f'<span class="reswork-muted">{_WEIGHTED}</span>')
            self.weighted.add_class("reswork-note")
            self.weighted.add_class("reswork-across")
            self.plots.children = (self.weighted, *self.plots.children)
        else:
            self.plots.children = self.plots.children[1:]
            self.weighted.close()
            self.weighted = None

    def _over_steps(
        self, name: str, history: History, beside: Mapping[str, History | Sequence[History]]
    ) -> tuple[tuple[LiveFigure, Any], ...]:
        """The plots whose x axis counts steps, with their figures."""
        curves = {name: history, **beside} if beside else history
        return (
            (self.loss, figures.loss_curves(curves)),
            (self.score, figures.metric_curves(curves, self._metrics)),
            (self.heat, figures.gradient_norms(history)),
            (self.rates, figures.learning_rate(history)),
            (self.speed, figures.throughput(history, of=self._world.unit)),
        )

    def _show_tables(self, drawn: Mapping[str, Any]) -> None:
        """Figures of the last evaluation's table, each with a place of its own from when there is one."""
        for title, figure in drawn.items():
            if title in self.tables:
                self.tables[title].show(figure)
            else:
                self.tables[title] = LiveFigure(figure)
        shown = [self.tables[title] for title in drawn]
        others = [plot for plot in self.plots.children if plot not in self.tables.values()]
        if [*others, *shown] != list(self.plots.children):
            self.plots.children = (*others, *shown)


def _until(record: History | Sequence[History], step: int) -> History | list[History]:
    return record.until(step) if isinstance(record, History) else [each.until(step) for each in record]


def _status_html(run: AnyRun | None, asked: str = "", unit: str = "images") -> str:
    if run is None:
        return '<span class="reswork-muted">Nothing has been trained yet. Press Start.</span>'
    facts = [f"<b>{escape(run.name)}</b>"]
    history = run.history
    last = history.last
    steps = run.steps_done
    total = run.total_steps
    facts.append(f"step {steps:,} of {total:,}" if total else f"step {steps:,}")
    if (loss := last("loss/train")) is not None:
        facts.append(f"loss {loss:.3f}")
    if (metric := run.headline) is not None and (score := last(metric.test)) is not None:
        facts.append(f"test {metric.label} {metric.told(score)}{_of_one_class(metric, history)}")
    if (rate := last("learning_rate")) is not None:
        facts.append(f"learning rate {rate:.3g}")
    if (speed := last("images_per_second")) is not None:
        facts.append(f"{speed:,.0f} {unit}/s")
    if (memory := last("memory/bytes")) is not None:
        facts.append(f"{memory / 2**30:.2f} GiB in use")
    if run.is_live and run.state is RunState.RUNNING and run.seconds_left is not None:
        facts.append(f"{_duration(run.seconds_left)} left")
    if run.is_live and run.state is RunState.RUNNING and (waits := waiting_for(history)):
        facts.append(escape(waits))
    if run.pid is not None and not run.done:
        facts.append(
            f"process {run.pid}" if run.mode else f"process {run.pid} begins, which takes some seconds"
        )
    done = min(1.0, steps / total) if total else 0.0
    return (
        f'<div><span class="reswork-state">{asked or run.state.value}</span> {" · ".join(facts)}</div>'
        f'<div class="reswork-progress" role="progressbar" aria-label="steps done" aria-valuenow="{100 * done:.0f}">'
        f'<div style="width:{done:.1%}"></div></div>'
        + (f'<div class="reswork-muted">{escape(str(run.mode))}</div>' if run.mode else "")
    )


def _of_one_class(metric: Metric, history: History) -> str:
    """Beside an accuracy that of one answer to everything, where most of the test is of one class."""
    confusion = history.array("confusion/test")
    if metric.name != "top1" or confusion is None:
        return ""
    counts = confusion[1].sum(axis=1)
    share = float(counts.max() / max(counts.sum(), 1))
    return f" (one class for all: {metric.told(share)})" if share >= _MOST_ARE_ONE else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
