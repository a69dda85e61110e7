"""The time machine: a slider over a run's steps that turns the panels back, a film, two moments side by side."""

import threading
from collections.abc import Callable, Iterator

import ipywidgets as w
from torch import nn

from reswork import figures, store
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.branching import branch, relatives
from reswork.experiment.looking_back import Look, first_look, with_judgement
from reswork.experiment.pinned_examples import first_of_each_class
from reswork.store import AnyRun
from reswork.store.moments import Moments, moments
from reswork.widgets.block_values import QUANTITIES
from reswork.widgets.branch_form import BranchForm
from reswork.widgets.by_code import ByCode
from reswork.widgets.compare_moments import MomentComparison
from reswork.widgets.form import Field, menu_field, picture_numbers
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.moment_column import MomentColumn
from reswork.widgets.parts import Part, accordion
from reswork.widgets.refresh import Refresher
from reswork.widgets.scrubber import Scrubber

FRAME_S = 0.5
SECTIONS = ("At this moment", "Branch here", "The tree of runs")


class TimeMachine:
    """Scrubber and panel.

    Args:
        data: whose test pictures a moment answers.
        turned: called with the step that everything shall show, None for now, from a thread of its own.
        seen: called with each look at a moment, quick and slow, from that thread.
        open_run: called with a run that shall be shown: a new branch, or one from the tree.

    Attributes:
        scrubber: the bar with the slider.
        view: the part of the page with the panel.
        step: what is shown; None: now.
    """

    def __init__(
        self,
        data: Dataset,
        turned: Callable[[int | None], None] = lambda step: None,
        seen: Callable[[Look], None] = lambda look: None,
        open_run: Callable[[AnyRun], None] = lambda run: None,
    ) -> None:
        self.step: int | None = None
        self._data = data
        self._turned, self._seen, self._open = turned, seen, open_run
        self._run: AnyRun | None = None
        self._moments: Moments | None = None
        self._marked: tuple[object, ...] = ()
        self._by_code = ByCode()
        self._playing = False
        self._drawn: int | None = None  # the step whose picture is on the page
        self._lock = threading.RLock()
        self._worker = LatestJob(lambda error: self.scrubber.error.tell(str(error)))
        self.scrubber = Scrubber(self._slid, self._toggle, self._move, lambda: self.turn(None))
        self.branch_form = BranchForm(self._branch)
        self._pictures = Field(
            "Test pictures", w.Text, "Numbers of up to six test pictures", continuous_update=False,
            value=", ".join(map(str, first_of_each_class(data))),
            layout={"width": "240px"}, style={"description_width": "90px"},
        )  # fmt: skip
        self._pictures.changed = self._again
        self._past = Part(self._made_past, self._show_past)
        parts = (self._past, self.branch_form.view, Part(self._made_tree, self._show_tree))
        self.sections = accordion(dict(zip(SECTIONS, parts, strict=True)))
        self.view = w.VBox([self.sections], layout=w.Layout(display="none"))
        self.view.add_class("reswork-note")
        self.view.add_class("reswork-past")
        self.player = Refresher(self._next_frame, interval_s=FRAME_S, share=0.5)

    # --- what is shown -----------------------------------------------------------------------------

    def watch(self, run: AnyRun) -> None:
        """Look back through another run from now on."""
        with self._lock:
            self.hold()
            self._run, self.step, self._drawn = run, None, None
            try:
                self._moments = moments(run)
            except InvalidSetting:  # built elsewhere
                self._moments = None
            self._offer(run)
            self._marked = ()
        self.refresh()

    def leave(self) -> None:
        """Look back through no run until there is another one."""
        with self._lock:
            self.hold()
            self._run, self._moments, self.step, self._drawn, self._marked = None, None, None, None, ()
        self._worker.cancel()
        self.refresh()

    def set_data(self, data: Dataset) -> None:
        """Take test pictures from another data set."""
        self._data = data
        self._pictures.value = ", ".join(map(str, first_of_each_class(data)))

    def refresh(self) -> None:
        """Bring slider and marks up to date while the run goes on."""
        with self._lock:
            run, found = self._run, self._moments
            steps = found.steps if found is not None else ()
            if run is None or found is None or not steps:
                self.scrubber.view.hide()
                self.view.layout.display = "none"
                return
            self.scrubber.view.show()
            self.view.layout.display = None
            last = max(run.steps_done, steps[-1])
            mark = (steps, last, self.step, run.state)
            if mark == self._marked:
                return
            self._marked = mark
            near = None if self.step is None else found.nearest(self.step)
            self.branch_form.show_place(run.name, near)
            self.scrubber.show(self.step, steps, last, found.bytes, found.most_bytes)

    def turn(self, step: int | None) -> None:
        """Show a step everywhere; None: now."""
        with self._lock:
            self.step = step
            if step is None:
                self.hold()
                self._drawn = None
            self.scrubber.error.tell("")
            if step is not None:
                self.scrubber.set_step(step)
        self._worker.submit(self._turn)
        self.refresh()

    def play(self) -> None:
        """Show one moment after another, from the one that is shown to the last."""
        steps = self._moments.steps if self._moments is not None else ()
        if not steps:
            return
        if self.step is None or self.step >= steps[-1]:
            self.turn(steps[0])
        self._playing = True
        self.scrubber.set_playing(True)
        self.player.start()

    def hold(self) -> None:
        """Stop the film where it is."""
        self._playing = False
        self.scrubber.set_playing(False)

    def close(self) -> None:
        """End what is computed and the film; the widgets are closed with their tree."""
        self._playing = False
        self.player.stop()
        self._worker.cancel()
        self._worker.wait(10)
        if self._past.is_made:
            self.beside.close(self._columns.children)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was asked for is drawn."""
        return self._worker.wait(0)

    # --- the page ----------------------------------------------------------------------------------

    def _made_past(self) -> list[w.Widget]:
        self._layer = w.Dropdown(
            description="Layer", layout=w.Layout(width="230px"), style={"description_width": "50px"}
        )
        self._layer.observe(lambda _change: self._again(), names="value")
        self._quantity = menu_field(
            "Blocks show", "What the colour of each block says.", *((label, name) for name, label in QUANTITIES.items())
        )  # fmt: skip
        self._quantity.value = "size"
        self._quantity.changed = self._again
        self._quantity.view.layout.width = "300px"
        self._budget = w.BoundedFloatText(
            value=120, min=0, max=1e6, step=10, description="Disk for moments (MB)", layout=w.Layout(width="260px"),
            style={"description_width": "150px"}, tooltip="All moments of this run together; 1 MB is a million bytes",
        )  # fmt: skip
        self._budget.observe(lambda change: self._limit(change["new"]), names="value")
        self.beside = MomentComparison(self._again, self._arrange)
        self.column = MomentColumn()
        self._columns = w.Box([self.column.view])
        self._offer_past()
        wrapped = w.Layout(flex_flow="row wrap", align_items="center")
        first = w.HBox(
            [self._pictures.control, self._layer, self._quantity.view, self._budget], layout=wrapped
        )
        return [first, self.beside.view, self.beside.difference, self._columns]

    def _made_tree(self) -> list[w.Widget]:
        self.tree = LiveFigure(figures.run_tree([]))
        self.tree.on_click(self._open_from_tree)
        return [self.tree]

    def _offer(self, run: AnyRun) -> None:
        """Blocks, layers, other runs and the budget of the run that is watched."""
        self.branch_form.offer(run.config)
        self.branch_form.clear()
        if self._past.is_made:
            self._offer_past()

    def _offer_past(self) -> None:
        with self._by_code:
            self._layer.options = ()
            if self._run is not None:
                self.beside.watch(self._run)
            most = self._moments.most_bytes if self._moments is not None else None
            self._budget.layout.display = None if most is not None else "none"
            if most is not None:
                self._budget.value = most / 1e6

    def _show_past(self) -> None:
        if self.step is None and self._moments is not None and len(self._moments):
            self.turn(self._moments.steps[-1])
        else:
            self._again()

    def _show_tree(self) -> None:
        if self._run is not None:
            self.tree.show(figures.run_tree(relatives(self._run), self._run.name))

    def _slid(self, step: int) -> None:
        self.hold()
        self.turn(step)

    def _toggle(self) -> None:
        if self._playing:
            self.hold()
        else:
            self.play()

    def _move(self, by: int) -> None:
        """To the kept moment before or after the one that is shown."""
        steps = self._moments.steps if self._moments is not None else ()
        here = self.scrubber.slider.value
        others = [step for step in steps if (step > here if by > 0 else step < here)]
        if others:
            self.hold()
            self.turn(others[0] if by > 0 else others[-1])

    def _next_frame(self) -> bool:
        if not self._playing or self._moments is None:
            return False
        if self.step is not None and self._drawn != self.step:
            return True  # the last one is still being drawn
        later = [step for step in self._moments.steps if self.step is None or step > self.step]
        if later:
            self.turn(later[0])
        else:
            self.hold()
        return self._playing

    def _again(self) -> None:
        """Something else shall be shown of the same moment."""
        if not self._by_code and self.step is not None:
            self.scrubber.error.tell("")
            self._worker.submit(self._turn)

    # --- jobs, in the background -------------------------------------------------------------------

    def _turn(self) -> Iterator[None]:
        step, run, found = self.step, self._run, self._moments
        self._turned(step)
        if step is None or run is None or found is None:
            return
        look = first_look(found, run.name, step, self._data, picture_numbers(self._pictures.value))
        if self._past.is_shown:
            self.column.show_answers(look, self._data)
        self._drawn = step
        self._seen(look)
        yield
        if self._past.is_shown:
            yield from self._inside(self.column, look)
        look = with_judgement(look, self._data, stopped=lambda: self._worker.is_outdated)
        if look.found is None:
            return
        if self._past.is_shown:
            self.column.show_judgement(look)
        self._seen(look)
        yield
        if self._past.is_shown and self.beside.is_on:
            yield from self._compared(look)

    def _inside(self, column: MomentColumn, look: Look) -> Iterator[None]:
        if not self._layer.options:
            names = [name for name, module in look.model.named_modules() if isinstance(module, nn.Conv2d)]
            with self._by_code:
                self._layer.options = names
                self._layer.value = names[0] if names else None  # an empty menu chooses nothing by itself
        if self._layer.value is not None:  # a network without convolutions has no maps
            column.show_inside(look, self._data, self._layer.value, self._quantity.value)
        yield

    def _compared(self, look: Look) -> Iterator[None]:
        run, column = self.beside.run, self.beside.column
        if run is None or column is None:
            return
        other = first_look(moments(run), run.name, self.beside.step, self._data, look.pictures)
        column.show_answers(other, self._data)
        yield
        yield from self._inside(column, other)
        other = with_judgement(other, self._data, stopped=lambda: self._worker.is_outdated)
        if other.found is not None:
            column.show_judgement(other)
            self.beside.show_difference(look, other)

    def _arrange(self) -> None:
        """One column or two."""
        second = self.beside.column
        if self.beside.is_on and second is not None:
            self._columns.children = (self.column.view, second.view)
            self._columns.add_class("reswork-pair")
        else:
            self._columns.children = (self.column.view,)
            self._columns.remove_class("reswork-pair")

    # --- branching ---------------------------------------------------------------------------------

    def _branch(self) -> None:
        run = self._run
        try:
            if run is None or self.step is None:
                raise InvalidSetting(
                    "step", "Move the slider to the moment from which the new run shall begin."
                )
            if run.is_live and not run.done:
                raise InvalidSetting(
                    "run",
                    f"{run.name} still goes on; press Stop first, so that the two don't share the processor.",
                )
            recipe, network = self.branch_form.changes(run.config)
            new = branch(run, self.step, recipe, network, data=self._data)
        except InvalidSetting as error:
            self.branch_form.form.show_error(error.field, error.message, otherwise="learning_rate")
        else:
            self.branch_form.form.clear_errors()
            self._open(new)

    def _open_from_tree(self, name: str) -> None:
        if self._run is not None and name != self._run.name:
            try:
                self._open(store.load_run(name))
            except InvalidSetting as error:
                self.scrubber.error.tell(error.message)

    def _limit(self, megabytes: float) -> None:
        if not self._by_code and self._moments is not None and self._moments.most_bytes is not None:
            self._moments.most_bytes = int(megabytes * 1e6)
            self._marked = ()
            self.refresh()
