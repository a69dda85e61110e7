"""Debug: what the run at hand gets wrong, while it trains too."""

from collections.abc import Iterator
from html import escape

import ipywidgets as w
import torch

from reswork.datasets import Dataset
from reswork.reporting.report import Report, report
from reswork.store import AnyRun
from reswork.widgets.debug_view import DebugView
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.parts import Part

_NOTHING = "Train a network, or show a run from the table of the page Train: then its report is here."


class DebugPanel:
    """A report on a copy of the network of a run, taken when the page is opened, and again when asked.

    While the run goes on, everything is computed with one thread, as probes do.

    Attributes:
        view: the part of the page.
        shown: the report on the page; None before there is one.
    """

    def __init__(self) -> None:
        self.view = Part(self._made, self._opened)
        self.shown: DebugView | None = None
        self._run: AnyRun | None = None
        self._data: Dataset | None = None
        self._reported: AnyRun | None = None  # the run that `shown` is about
        self._worker = LatestJob(self._failed)

    def watch(self, run: AnyRun, data: Dataset) -> None:
        """Be about another run from when the page is opened next.

        Args:
            run: live or from disk.
            data: the chosen data set: judged where it is the run's, else the run's own.
        """
        self._run, self._data = run, data

    def wait(self, seconds: float = 60) -> bool:
        """Wait until the report that was asked for last is there; False after so many seconds."""
        return self._worker.wait(seconds) and (self.shown is None or self.shown.wait(seconds))

    def close(self) -> None:
        """End what is computed; the widgets are closed with their tree."""
        self._worker.cancel()
        self._worker.wait(10)
        if self.shown is not None:
            self.shown.close()

    def _made(self) -> list[w.Widget]:
        self.again = button("Look again", "Report on the network as it is now", self._look)
        self._told = w.HTML()
        self._told.add_class("reswork-note")
        self._error = ErrorLine()
        self._place = w.VBox()
        return [w.HBox([self.again, self._told]), self._error, self._place]

    def _opened(self) -> None:
        self.again.disabled = self._run is None
        if self._run is None:
            self._told.value = f'<span class="reswork-muted">{_NOTHING}</span>'
        elif self._run is not self._reported:
            self._look()

    def _look(self) -> None:
        self._reported = self._run
        self._error.tell("")
        self._worker.submit(self._looked)

    def _looked(self) -> Iterator[None]:
        run = self._run
        assert run is not None
        steps = run.steps_done
        found = report(run, data_of(run, self._data))
        yield
        self._replace(run, found)
        after = f"after {steps:,} steps" if run.is_live and not run.done else "as it ended"
        of = f"{found.count:,} test images of {escape(found.data.name)}" if found.data is not None else ""
        self._told.value = f"The network of <b>{escape(run.name)}</b> {after}, on {of}."

    def _replace(self, run: AnyRun, found: Report) -> None:
        before = self.shown
        self.shown = DebugView(
            found, has_assets=False,
            threads=lambda: 1 if run.is_live and not run.done else torch.get_num_threads(),
        )  # fmt: skip
        self._place.children = (self.shown,)
        if before is not None:
            before.close()

    def _failed(self, error: Exception) -> None:
        self._error.tell(str(error))


def data_of(run: AnyRun, chosen: Dataset | None) -> Dataset:
    """The chosen data set where it is the run's, else its own."""
    if chosen is not None:
        same = (chosen.name, chosen.classes) == (run.dataset_name, run.classes)
        if same and (run.is_live or chosen.input_shape == run.input_shape):
            return chosen
    return run.data if run.is_live else run.load_data()
