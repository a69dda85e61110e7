"""The second moment beside the first: of the same run or of another one, with what is different in words."""

from collections.abc import Callable, Sequence
from html import escape

import ipywidgets as w

from reswork import store
from reswork.experiment.branching import settings_between, told_changes
from reswork.experiment.looking_back import Look, what_changed
from reswork.store import AnyRun
from reswork.store.moments import moments
from reswork.store.saved_run import SavedRun
from reswork.widgets.by_code import ByCode
from reswork.widgets.moment_column import MomentColumn
from reswork.widgets.tree import close_tree

_OTHER_RUNS = 12


class MomentComparison:
    """A tick, a menu of runs and one of steps, and the column that shows the choice.

    Args:
        changed: called when another moment shall be shown here.
        switched: called when the column comes or goes.

    Attributes:
        view: the widget with the choices.
        column: the moment; None before it was first wanted.
        difference: the widget with the differences in words.
    """

    def __init__(self, changed: Callable[[], None], switched: Callable[[], None]) -> None:
        self._changed, self._switched = changed, switched
        self._run: AnyRun | None = None
        self._others: dict[str, SavedRun] = {}
        self._by_code = ByCode()
        self.column: MomentColumn | None = None
        self.tick = w.Checkbox(
            value=False, description="beside another moment", indent=False, layout=w.Layout(width="200px")
        )
        self.run_menu = w.Dropdown(
            description="of", layout=w.Layout(width="320px"), style={"description_width": "20px"}
        )
        self.step_menu = w.SelectionSlider(
            options=[0],
            description="at step",
            layout=w.Layout(width="420px"),
            style={"description_width": "50px"},
        )
        self._row = w.HBox(
            [self.run_menu, self.step_menu], layout=w.Layout(display="none", flex_flow="row wrap")
        )
        self.difference = w.HTML()
        self.tick.observe(lambda _change: self._switch(), names="value")
        self.run_menu.observe(lambda _change: self._offer_steps(), names="value")
        self.step_menu.observe(lambda _change: self._step_chosen(), names="value")
        self.view = w.HBox(
            [self.tick, self._row], layout=w.Layout(flex_flow="row wrap", align_items="center")
        )

    @property
    def is_on(self) -> bool:
        """Whether two moments are wanted."""
        return bool(self.tick.value)

    @property
    def run(self) -> AnyRun | None:
        """The run that is chosen."""
        return self._others.get(self.run_menu.value) if self.run_menu.value else self._run

    @property
    def step(self) -> int:
        """The step that is chosen."""
        return int(self.step_menu.value)

    def watch(self, run: AnyRun) -> None:
        """Compare another run from now on; one moment alone, to begin with."""
        self._run = run
        self.tick.value = False

    def show_difference(self, here: Look, there: Look) -> None:
        """Say what is different there."""
        run = self.run
        if run is not None:
            changes = [*told_changes(settings_between(self._run, run)), *what_changed(here, there)]
            self.difference.value = difference_html(changes)

    def close(self, on_page: Sequence[w.Widget]) -> None:
        """Free a column that is not on the page, and which nobody else would."""
        if self.column is not None and self.column.view not in on_page:
            close_tree(self.column.view)

    def _switch(self) -> None:
        self._row.layout.display = None if self.is_on else "none"
        self.difference.value = ""
        if self.is_on and self.column is None:
            self.column = MomentColumn()
        self._switched()
        if self.is_on:
            self._offer_runs()

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
        with self._by_code:
            self.run_menu.options = [("this run", ""), *((name, name) for name in names)]
            self.run_menu.value = ""
        self._offer_steps()

    def _offer_steps(self) -> None:
        run = self.run
        if self._by_code or run is None:
            return
        steps = moments(run).steps or (0,)
        with self._by_code:
            self.step_menu.options = steps
            self.step_menu.value = steps[-1]
        self._changed()

    def _step_chosen(self) -> None:
        if not self._by_code:
            self._changed()


def difference_html(sentences: Sequence[str]) -> str:
    """What changed, as a list."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<div><b>What is different on the right</b><ul>{items}</ul></div>"
