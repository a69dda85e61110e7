"""What simple methods reach on the same split, tried beside a network when somebody asks."""

from collections.abc import Callable
from html import escape

import ipywidgets as w

from reswork.datasets import Dataset
from reswork.experiment.worlds import world_of
from reswork.store import AnyRun
from reswork.tasks import task_for
from reswork.tasks.baselines import Baseline, baselines
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.parts import Part
from reswork.widgets.refresh import in_background

_SEASON = 24


class SimpleMethods:
    """A button, and a table of what simple methods and the present run reach on the test split.

    Args:
        data: gives the present data set.
        run: gives the present run.

    Attributes:
        view: the part of the page.
    """

    def __init__(self, data: Callable[[], Dataset], run: Callable[[], AnyRun | None]) -> None:
        self._data, self._run = data, run
        self._tried: tuple[Dataset, list[Baseline]] | None = None
        self.view = Part(self._made, self._draw)
        self.view.add_class("reswork-note")

    def _made(self) -> list[w.Widget]:
        self.button = button(
            "Try simple methods",
            "Train what the field would take first on the same split, and show what it reaches",
            self._try,
        )
        self._table, self._error = w.HTML(), ErrorLine()
        return [w.HBox([self.button]), self._error, self._table]

    def _try(self) -> None:
        data = self._data()
        self._error.tell("")
        self.button.disabled = True
        self._table.value = f'<span class="reswork-muted">Trying {escape(world_of(data).baseline)} ...</span>'
        in_background(lambda: self._try_now(data))

    def _try_now(self, data: Dataset) -> None:
        try:
            season = min(_SEASON, data.input_shape[-1])
            self._tried = data, baselines(data, season=season)
        except Exception as error:
            self._table.value = ""
            self._error.tell(str(error))
        finally:
            self.button.disabled = False
            self._draw()

    def _draw(self) -> None:
        if self._tried is None or not self.view.is_shown:
            return
        data, found = self._tried
        if data is not self._data():
            self._table.value = ""
            return
        metric, run = task_for(data).metrics[0], self._run()
        rows = [
            (each.name, metric.told(each.metrics.get(metric.name)), f"{each.seconds:.1f} s") for each in found
        ]
        if run is not None and (run.dataset_name, run.classes) == (data.name, data.classes):
            seconds = float(run.history.series("seconds/epoch").values.sum())
            reached = metric.told(run.history.last(metric.test))
            rows.append((f"the network, {run.steps_done:,} steps", reached, f"{seconds:.1f} s"))
        lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        self._table.value = (
            f'<table class="reswork-rows"><thead><tr><th>method</th><th>{escape(metric.label)}, test</th>'
            f"<th>took</th></tr></thead><tbody>{lines}</tbody></table>"
        )
