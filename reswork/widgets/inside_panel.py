"""Inside: the recorders with their prices, and the plots of what they see in layers and blocks."""

import threading
from collections.abc import Callable
from html import escape

import ipywidgets as w

from reswork import figures
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.recorders import CATALOGUE, Price, Quantity
from reswork.recorders.recorder_controls import RecorderControl, RecorderControls
from reswork.store import AnyRun
from reswork.widgets.form import ErrorLine
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part, accordion

_PLACES = [(view.inside, view.figure) for quantity in CATALOGUE for view in quantity.views if view.inside]
PLOTS = tuple(figure for _, figure in sorted(_PLACES, key=lambda place: place[0]))


class InsidePanel:
    """A row for each recorder: a tick that starts and stops it, its price, its interval; below, the plots.

    Attributes:
        view: the part of the page.
        table: the part of it with the rows.
        plots: name of the figure -> its widget; made with the view.
    """

    def __init__(self) -> None:
        self._run: AnyRun | None = None
        self._recorder_controls: RecorderControls | None = None
        self._lock = threading.RLock()
        self._shows = False  # while facts go to the rows; only under the lock
        self._drawn: object = None
        self._moment: int | None = None  # the step that is looked back at
        self.view = Part(self._made, self.refresh)
        self.view.add_class("reswork-note")
        self.view.add_class("reswork-inside")

    def _made(self) -> list[w.Widget]:
        self.plots = {name: LiveFigure(getattr(figures, name)(History())) for name in PLOTS}
        grid = w.Box(list(self.plots.values()))
        grid.add_class("reswork-grid")
        self.table = Part(self._made_table, self._show_rows)
        return [accordion({"Recorders: what is measured, and what it costs": self.table}), grid]

    def _made_table(self) -> list[w.Widget]:
        self._rows = {quantity.name: _Row(quantity, self) for quantity in CATALOGUE}
        self._share = w.BoundedFloatText(
            value=5, min=0.1, max=100, step=1, description="Budget, % of a step", style={"description_width": "130px"},
            layout=w.Layout(width="220px"), tooltip="Together they may take so much; they measure less often to fit",
        )  # fmt: skip
        self._share.observe(
            lambda change: self._steer(lambda controls: controls.limit(change["new"] / 100)), names="value"
        )
        self._shown_share: float | None = None
        self._total = w.HTML()
        self._beside = w.HTML()  # what looks from outside, in the same budget
        self._error = ErrorLine()
        rows = [row.view for row in self._rows.values()]
        budget = w.HBox([self._share, self._total], layout=w.Layout(align_items="center"))
        return [budget, self._error, *rows, self._beside]

    def watch(self, run: AnyRun) -> None:
        """Show another run from now on."""
        with self._lock:
            self._run = run
            self._recorder_controls = run.recorder_controls if run.is_live else None
            self._drawn = self._moment = None
            self._show_rows()

    def turn_to(self, step: int | None) -> None:
        """Show what was recorded up to a step; None: everything. `refresh` draws it."""
        with self._lock:
            self._moment = step

    def refresh(self) -> None:
        """Bring plots and prices up to date."""
        with self._lock:
            run = self._run
            if run is None or not self.view.is_shown:
                return
            self._show_rows()
            mark = (run.history.version, run.state, self._moment)
            if mark != self._drawn:
                self._drawn = mark
                history = run.history if self._moment is None else run.history.until(self._moment)
                for name, plot in self.plots.items():
                    plot.show(getattr(figures, name)(history))

    def switch(self, name: str, on: bool) -> None:
        """Start or stop a recorder of the run that goes on; the tick goes back where that cannot be done."""
        with self._lock:
            if not self._shows:
                self._steer(lambda controls: controls.switch(name, on))
                self._rows[name].forget()
                self._show_rows()

    def pace(self, name: str, every: int) -> None:
        """Let a recorder measure every so many steps."""
        self._steer(lambda controls: controls.pace(name, every))

    @property
    def _is_active(self) -> bool:
        return self._run is not None and self._run.is_live and not self._run.done

    def _steer(self, act: Callable[[RecorderControls], None]) -> None:
        """Do it, or say under the budget why it cannot be done."""
        with self._lock:  # a person may press while another thread brings the rows up to date
            recorder_controls = self._recorder_controls
            if self._shows or recorder_controls is None or not self._is_active:
                return
            try:
                act(recorder_controls)
            except (InvalidSetting, RuntimeError) as error:  # the latter where a process does not answer
                self._error.tell(str(error))
            else:
                self._error.tell("")

    def _show_rows(self) -> None:
        if not (self.view.is_shown and self.table.is_shown):
            return
        recorder_controls, active = self._recorder_controls, self._is_active
        taken = recorder_controls.taken if recorder_controls is not None else {}
        share, total = (
            (recorder_controls.share, recorder_controls.total)
            if recorder_controls is not None
            else (None, None)
        )
        self._shows = True
        try:
            for name, row in self._rows.items():
                row.show(taken.get(name), active=active)
            if share is not None and share != self._shown_share:
                self._shown_share = share
                self._share.value = round(100 * share, 3)
        finally:
            self._shows = False
        words = f"{100 * total:.2f} % of a step now" if total is not None else "no run that goes on"
        self._total.value = f'<span class="reswork-muted">{words}</span>'
        self._beside.value = (
            _observers_html(recorder_controls) if recorder_controls is not None and active else ""
        )


class _Row:
    """One recorder."""

    def __init__(self, quantity: Quantity, panel: InsidePanel) -> None:
        self._thinned = quantity.every > 1
        self.tick = w.Checkbox(
            value=False, description=quantity.label, indent=False, layout=w.Layout(width="330px")
        )
        self.tick.observe(lambda change: panel.switch(quantity.name, change["new"]), names="value")
        self.every = w.BoundedIntText(
            value=quantity.every, min=1, max=100_000, description="every", layout=w.Layout(width="130px"),
            style={"description_width": "38px"}, tooltip="Steps between two measurements",
        )  # fmt: skip
        self.every.observe(lambda change: panel.pace(quantity.name, change["new"]), names="value")
        self.every.layout.visibility = None if self._thinned else "hidden"
        self.price = w.HTML(layout=w.Layout(width="150px"))
        words = w.HTML(f'<span class="reswork-muted">{escape(quantity.normal)}</span>')
        self.view = w.HBox(
            [self.tick, self.every, self.price, words],
            layout=w.Layout(flex_flow="row wrap", align_items="center"),
        )
        self.forget()

    def forget(self) -> None:
        """The next `show` sets tick and interval whatever was shown before."""
        self._shown: tuple[bool | None, int | None] = (None, None)

    def show(self, control: RecorderControl | None, *, active: bool) -> None:
        """Bring the row up to date; tick and interval only where the facts changed, as a person may be at them."""
        on, every = control is not None, control.every if control is not None and self._thinned else None
        was_on, was_every = self._shown
        self._shown = on, every
        if on != was_on:
            self.tick.value = on
        if every is not None and every != was_every:
            self.every.value = every
        self.tick.disabled = self.every.disabled = not active
        self.price.value = _price_html(control.price if control is not None else None)


def _observers_html(recorder_controls: RecorderControls) -> str:
    """Rows like the recorders', without ticks."""
    return "".join(
        f'<div class="reswork-observers"><span>{escape(each.name)}</span><span>every {each.interval_s:.1f} s</span>'
        f'<span>{_price_html(price)}</span><span class="reswork-muted">{escape(each.words)}</span></div>'
        for each, price in recorder_controls.observers
    )


def _price_html(price: Price | None) -> str:
    if price is None or price.ms is None:
        return ""
    share = "" if price.share is None else f" · {100 * price.share:.2f} %"
    return f'<span class="reswork-muted">{price.ms:.2f} ms{share}</span>'
