"""The time machine: a slider over a run's steps that turns the panels back, a film, two moments side by side."""

import threading
from collections.abc import Callable, Iterator, Sequence
from html import escape

import ipywidgets as w
from torch import nn

from reswork import figures, store
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.branching import branch, config_of, relatives, settings_between, told_changes
from reswork.experiment.film import first_of_each_class
from reswork.experiment.looking_back import Look, first_look, what_changed, with_judgement
from reswork.store.moments import Moments, moments
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun
from reswork.widgets.block_values import QUANTITIES
from reswork.widgets.branch_form import BranchForm
from reswork.widgets.form import error_html, menu_field, number_or_none
from reswork.widgets.latest import Latest
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.moment_column import MomentColumn
from reswork.widgets.refresh import Refresher
from reswork.widgets.run_view import AnyRun, last_step
from reswork.widgets.tree import close_tree

FRAME_S = 0.5
SECTIONS = ("At this moment", "Branch here", "The tree of runs")
_OTHER_RUNS = 12


class TimeMachine:
    """Scrubber and panel.

    Args:
        data: whose test pictures a moment answers.
        turned: called with the step that everything shall show, None for now, from a thread of its own.
        seen: called with each look at a moment, quick and slow, from that thread.
        open_run: called with a run that shall be shown: a new branch, or one from the tree.

    Attributes:
        bar: the widget with the slider.
        view: the widget with the panel.
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
        self._quiet = False
        self._playing = False
        self._drawn: int | None = None  # the step whose picture is on the page
        self._lock = threading.RLock()
        self._worker = Latest(self._failed)
        self._others: dict[str, SavedRun] = {}
        self.beside: MomentColumn | None = None
        self._make_bar()
        self._make_panel()
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
            self._offer()
            self._marked = ()
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
            self.bar.layout.display = None if steps else "none"
            self.view.layout.display = None if steps else "none"
            if run is None or found is None or not steps:
                return
            last = max(last_step(run), steps[-1])
            mark = (steps, last, self.step, run.state)
            if mark == self._marked:
                return
            self._marked = mark
            self._span(last)
            self._marks.value = marks_html(steps, last)
            near = None if self.step is None else found.nearest(self.step)
            self.branch_form.show_place(run.name, near)
            self._told.value = told_html(self.step, steps, found.bytes, found.most_bytes)

    def turn(self, step: int | None) -> None:
        """Show a step everywhere; None: now."""
        with self._lock:
            self.step = step
            if step is None:
                self.hold()
                self._drawn = None
            self._tell("")
            if step is not None and self.slider.value != step:
                self._set_slider(step)
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
        self.film.description = "Hold"
        self.player.start()

    def hold(self) -> None:
        """Stop the film where it is."""
        self._playing = False
        self.film.description = "Play"

    def close(self) -> None:
        """End what is computed and the film; the widgets are closed with their tree."""
        self._playing = False
        self.player.stop()
        self._worker.cancel()
        self._worker.wait(10)
        if self.beside is not None and self.beside.view not in self._columns.children:
            close_tree(self.beside.view)  # nobody else would

    @property
    def is_idle(self) -> bool:
        """Whether everything that was asked for is drawn."""
        return self._worker.wait(0)

    # --- the page ----------------------------------------------------------------------------------

    def _make_bar(self) -> None:
        def button(label: str, tip: str, act: Callable[[], object]) -> w.Button:
            made = w.Button(description=label, tooltip=tip, layout=w.Layout(width="auto"))
            made.on_click(lambda _button: act())
            return made

        self.slider = w.IntSlider(
            min=0, max=1, value=0, readout=False, layout=w.Layout(width="100%", margin="0"),
            tooltip="Drag to any step: every panel shows the training as it was then",
        )  # fmt: skip
        self.slider.observe(self._slid, names="value")
        self._marks = w.HTML()
        track = w.VBox([self.slider, self._marks], layout=w.Layout(flex="1 1 320px", min_width="0"))
        self.film = button("Play", "Show one kept moment after another, as a film", self._toggle)
        self.back = button("Earlier", "The kept moment before this one", lambda: self._move(-1))
        self.on = button("Later", "The kept moment after this one", lambda: self._move(1))
        self.now = button("Now", "Back to the training as it is now", lambda: self.turn(None))
        row = w.Box([w.HTML("<b>Look back</b>"), self.film, self.back, track, self.on, self.now])
        row.add_class("reswork-scrubber")
        self._told = w.HTML()
        self._error = w.HTML(layout=w.Layout(display="none"))
        self.bar = w.VBox([row, self._told, self._error], layout=w.Layout(display="none"))
        self.bar.add_class("reswork-note")

    def _make_panel(self) -> None:
        self.column = MomentColumn()
        self.branch_form = BranchForm(self._branch)
        self.tree = LiveFigure(figures.run_tree([]))
        self.tree.on_click(self._open_from_tree)
        self._columns = w.Box([self.column.view])
        self.sections = w.Accordion(
            [w.VBox([self._choices(), self._difference, self._columns]), self.branch_form.view, self.tree],
            titles=SECTIONS,
        )
        self.sections.observe(lambda _change: self._opened(), names="selected_index")
        self.view = w.VBox([self.sections], layout=w.Layout(display="none"))
        self.view.add_class("reswork-note")
        self.view.add_class("reswork-past")

    def _choices(self) -> w.VBox:
        self._pictures = w.Text(
            value=", ".join(map(str, first_of_each_class(self._data))), description="Test pictures",
            continuous_update=False, layout=w.Layout(width="240px"), style={"description_width": "90px"},
            tooltip="Numbers of up to six test pictures",
        )  # fmt: skip
        self._layer = w.Dropdown(
            description="Layer", layout=w.Layout(width="230px"), style={"description_width": "50px"}
        )
        self._quantity = menu_field(
            "Blocks show", "What the colour of each block says.", *((label, name) for name, label in QUANTITIES.items())
        )  # fmt: skip
        self._quantity.value = "size"
        self._quantity.view.layout.width = "300px"
        self._budget = w.BoundedFloatText(
            value=120, min=0, max=1e6, step=10, description="Disk for moments (MB)", layout=w.Layout(width="260px"),
            style={"description_width": "150px"}, tooltip="All moments of this run together; 1 MB is a million bytes",
        )  # fmt: skip
        self._compare = w.Checkbox(
            value=False, description="beside another moment", indent=False, layout=w.Layout(width="200px")
        )
        self._other_run = w.Dropdown(
            description="of", layout=w.Layout(width="320px"), style={"description_width": "20px"}
        )
        self._other_step = w.SelectionSlider(
            options=[0],
            description="at step",
            layout=w.Layout(width="420px"),
            style={"description_width": "50px"},
        )
        self._beside_row = w.HBox(
            [self._other_run, self._other_step], layout=w.Layout(display="none", flex_flow="row wrap")
        )
        self._difference = w.HTML()
        for control in (self._pictures, self._layer, self._quantity.control):
            control.observe(lambda _change: self._again(), names="value")
        self._budget.observe(lambda change: self._limit(change["new"]), names="value")
        self._compare.observe(lambda change: self._switch_beside(change["new"]), names="value")
        self._other_run.observe(lambda _change: self._offer_other_steps(), names="value")
        self._other_step.observe(lambda _change: self._again(), names="value")
        wrapped = w.Layout(flex_flow="row wrap", align_items="center")
        first = w.HBox([self._pictures, self._layer, self._quantity.view, self._budget], layout=wrapped)
        second = w.HBox([self._compare, self._beside_row], layout=wrapped)
        return w.VBox([first, second])

    def _offer(self) -> None:
        """Layers, blocks, other runs and the budget of the run that is watched."""
        run = self._run
        config = config_of(run)
        self._quiet = True
        try:
            self.branch_form.offer(config)
            self.branch_form.clear()
            self._layer.options = ()
            self._compare.value = False
            most = self._moments.most_bytes if self._moments is not None else None
            self._budget.layout.display = None if most is not None else "none"
            if most is not None:
                self._budget.value = most / 1e6
        finally:
            self._quiet = False
        self._switch_beside(False)

    def _opened(self) -> None:
        if self.sections.selected_index == 2:
            self._draw_tree()
        elif (
            self.sections.selected_index == 0
            and self.step is None
            and self._moments is not None
            and len(self._moments)
        ):
            self.turn(self._moments.steps[-1])
        else:
            self._again()

    def _span(self, last: int) -> None:
        """Let the slider end at the last step; at "now" its handle stands there."""
        if self.slider.max != max(last, 1) or (self.step is None and self.slider.value != last):
            self._quiet = True
            try:
                self.slider.max = max(last, 1)
                if self.step is None:
                    self.slider.value = last
            finally:
                self._quiet = False

    def _set_slider(self, step: int) -> None:
        self._quiet = True
        try:
            self.slider.max = max(self.slider.max, step)
            self.slider.value = step
        finally:
            self._quiet = False

    def _slid(self, change: dict[str, int]) -> None:
        if not self._quiet:
            self.hold()
            self.turn(change["new"])

    def _toggle(self) -> None:
        if self._playing:
            self.hold()
        else:
            self.play()

    def _move(self, by: int) -> None:
        """To the kept moment before or after the one that is shown."""
        steps = self._moments.steps if self._moments is not None else ()
        here = self.slider.value
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
        if not self._quiet and self.step is not None:
            self._tell("")
            self._worker.submit(self._turn)

    # --- jobs, in the background -------------------------------------------------------------------

    def _turn(self) -> Iterator[None]:
        step, run, found = self.step, self._run, self._moments
        self._turned(step)
        if step is None or run is None or found is None:
            return
        look = first_look(found, run.name, step, self._data, self._chosen_pictures())
        self.column.show_answers(look, self._data)
        self._drawn = step
        self._seen(look)
        yield
        if self.sections.selected_index == 0:
            yield from self._inside(self.column, look)
        look = with_judgement(look, self._data, stopped=lambda: self._worker.is_outdated)
        if look.found is None:
            return
        self.column.show_judgement(look)
        self._seen(look)
        yield
        if self.beside is not None and self.sections.selected_index == 0:
            yield from self._compared(self.beside, look)

    def _inside(self, column: MomentColumn, look: Look) -> Iterator[None]:
        if not self._layer.options:
            self._offer_layers(look)
        if self._layer.value is not None:  # a network without convolutions has no maps
            column.show_inside(look, self._data, self._layer.value, self._quantity.value)
        yield

    def _compared(self, column: MomentColumn, look: Look) -> Iterator[None]:
        run = self._other()
        if run is None:
            return
        other = first_look(moments(run), run.name, self._other_step.value, self._data, look.pictures)
        column.show_answers(other, self._data)
        yield
        yield from self._inside(column, other)
        other = with_judgement(other, self._data, stopped=lambda: self._worker.is_outdated)
        if other.found is not None:
            column.show_judgement(other)
            self._difference.value = difference_html(
                [*told_changes(settings_between(self._run, run)), *what_changed(look, other)]
            )

    def _offer_layers(self, look: Look) -> None:
        names = [name for name, module in look.model.named_modules() if isinstance(module, nn.Conv2d)]
        self._quiet = True
        try:
            self._layer.options = names
            self._layer.value = names[0] if names else None  # a menu that was empty chooses nothing by itself
        finally:
            self._quiet = False

    def _chosen_pictures(self) -> Sequence[int]:
        numbers = [number_or_none(part) for part in self._pictures.value.split(",") if part.strip()]
        if not 1 <= len(numbers) <= 6 or not all(isinstance(number, int) for number in numbers):
            raise InvalidSetting(
                "pictures", f"{self._pictures.value!r} are no pictures; give one to six whole numbers"
            )
        return numbers

    # --- two moments -------------------------------------------------------------------------------

    def _switch_beside(self, on: bool) -> None:
        if self._quiet:
            return
        self._beside_row.layout.display = None if on else "none"
        self._difference.value = ""
        if on and self.beside is None:
            self.beside = MomentColumn()
        if on and self.beside is not None:
            self._columns.children = (self.column.view, self.beside.view)
            self._columns.add_class("reswork-pair")
            self._offer_runs()
        else:
            self._columns.children = (self.column.view,)
            self._columns.remove_class("reswork-pair")

    def _offer_runs(self) -> None:
        """This run first, then the others on disk that learned the same task."""
        run = self._run
        saved = [other for other in store.runs() if other.unreadable is None and other.config is not None]
        self._others = {
            other.name: other
            for other in saved
            if run is not None and other.name != run.name and other.classes == tuple(run.classes)
            and len(moments(other))
        }  # fmt: skip
        names = list(self._others)[:_OTHER_RUNS]
        self._quiet = True
        try:
            self._other_run.options = [("this run", ""), *((name, name) for name in names)]
            self._other_run.value = ""
        finally:
            self._quiet = False
        self._offer_other_steps()

    def _other(self) -> AnyRun | None:
        return self._others.get(self._other_run.value) if self._other_run.value else self._run

    def _offer_other_steps(self) -> None:
        run = self._other()
        if self._quiet or run is None:
            return
        steps = moments(run).steps or (0,)
        self._quiet = True
        try:
            self._other_step.options = steps
            self._other_step.value = steps[-1]
        finally:
            self._quiet = False
        self._again()

    # --- branching ---------------------------------------------------------------------------------

    def _branch(self) -> None:
        run = self._run
        try:
            if run is None or self.step is None:
                raise InvalidSetting(
                    "step", "Move the slider to the moment from which the new run shall begin."
                )
            if isinstance(run, LiveRun) and not run.done:
                raise InvalidSetting(
                    "run",
                    f"{run.name} still goes on; press Stop first, so that the two don't share the processor.",
                )
            recipe, network = self.branch_form.changes(config_of(run))
            new = branch(run, self.step, recipe, network, data=self._data)
        except InvalidSetting as error:
            self.branch_form.form.show_error(error.field, error.message, otherwise="learning_rate")
        else:
            self.branch_form.form.clear_errors()
            self._open(new)

    def _draw_tree(self) -> None:
        if self._run is not None:
            self.tree.show(figures.run_tree(relatives(self._run), self._run.name))

    def _open_from_tree(self, name: str) -> None:
        if self._run is not None and name != self._run.name:
            try:
                self._open(store.load_run(name))
            except InvalidSetting as error:
                self._tell(error.message)

    def _limit(self, megabytes: float) -> None:
        if not self._quiet and self._moments is not None and self._moments.most_bytes is not None:
            self._moments.most_bytes = int(megabytes * 1e6)
            self._marked = ()
            self.refresh()

    def _failed(self, error: Exception) -> None:
        self._tell(str(error))

    def _tell(self, message: str) -> None:
        self._error.value = error_html(message) if message else ""
        self._error.layout.display = None if message else "none"


def marks_html(steps: Sequence[int], last: int) -> str:
    """A stroke under the slider for each kept moment, and the first and last step in figures."""
    strokes = "".join(f'<i style="left:{100 * step / max(last, 1):.2f}%"></i>' for step in steps)
    words = f"{len(steps)} kept moments, from step {steps[0]:,} to {steps[-1]:,}" if steps else "none"
    return f'<div class="reswork-marks" role="img" aria-label="{words}">{strokes}</div>'


def told_html(step: int | None, steps: Sequence[int], count: int, most: int | None) -> str:
    """Which step is shown, and what the moments take on disk."""
    if step is None:
        place = "Everything shows <b>now</b>."
    elif step in steps:
        place = f"Everything shows <b>step {step:,}</b>."
    else:
        near = min(steps, key=lambda kept: (abs(kept - step), kept))
        place = f"<b>Step {step:,}</b>; its weights were not kept, so networks are those of step {near:,}."
    room = f" of at most {most / 1e6:,.0f} MB" if most is not None else " MB"
    size = f"{count / 1e6:,.1f}{room}"
    return f'<span class="reswork-muted">{place} {len(steps)} moments are kept, {size} on disk.</span>'


def difference_html(sentences: Sequence[str]) -> str:
    """What changed, as a list."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<div><b>What is different on the right</b><ul>{items}</ul></div>"
