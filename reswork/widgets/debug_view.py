"""`rw.debug`: a report on a trained model that fills section by section."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import ipywidgets as w
import torch
from threadpoolctl import threadpool_limits

from reswork.causes import Why, why
from reswork.datasets.dataset import Dataset
from reswork.diagnosis import diagnose
from reswork.errors import InvalidSetting
from reswork.reporting.contents import Figures, confused_images, contents, image_of
from reswork.reporting.planned import Planned
from reswork.reporting.report import Report
from reswork.reporting.report import report as new_report
from reswork.reporting.thresholds import THRESHOLDS
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun
from reswork.widgets.findings_view import FindingsView
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.map_view import MapView
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.threshold_row import ThresholdRow
from reswork.widgets.tree import close_tree
from reswork.widgets.why_view import WhyPlace, WhyView

OnImage = Callable[[int, str], None]


class DebugView(w.VBox):
    """A report on the page: what each section costs, then what it found, as soon as it is there.

    A click on a cell of the confusion matrix shows the images that it counts.

    A lasso in the map makes a slice; thresholds are moved by sliders, without asking the model again.

    Args:
        report: what is shown; sections that it has already are there at once.
        doctor: what it says, shown below the list of sections; None: nothing.
        threads: to compute with, asked when the computing begins; one where a training should keep its speed.
        has_assets: whether it brings plotly.js and the style sheet; not where it is a part of what brings them.
        on_image: called with number and split (``test`` or ``train``) of an image that is clicked, wherever it is
            shown; it can be set later, too.
    """

    def __init__(
        self,
        report: Report,
        on_image: OnImage = lambda index, split: None,
        *,
        doctor: FindingsView | None = None,
        threads: Callable[[], int] = torch.get_num_threads,
        has_assets: bool = True,
    ) -> None:
        super().__init__()
        self.report, self.on_image, self._threads = report, on_image, threads
        self.fill = button("Fill", "Compute the sections one after the other", self._fill, "primary")
        self.stop = button("Stop filling", "End the section that is computed, and begin no other", self._stop)
        self.error = ErrorLine()
        self.said = w.HTML()
        self.said.add_class("reswork-note")
        self.sections: dict[str, w.VBox] = {}
        self.map: MapView | None = None  # from when there are embeddings
        self.clicked = w.VBox()  # the images of a cell
        self._worker = LatestJob(self._failed)
        self._asked = False  # to stop
        self._place = w.VBox()
        self.why = WhyPlace(self._why)  # of the image that was clicked last
        buttons = w.HBox([self.fill, self.stop])
        assets = PageAssets() if has_assets else None
        parts = [assets, buttons, self.error, self.said, doctor, self._place, self.why]
        self.children = tuple(part for part in parts if part is not None)
        self.add_class("reswork")
        self._set_busy(False)
        self._worker.submit(self._plan)

    def wait(self, seconds: float = 600) -> bool:
        """Wait until nothing is computed; False after so many seconds."""
        return self._worker.wait(seconds)

    def close(self) -> None:
        """End what is computed, take the view off the page and free its widgets."""
        self._stop()
        self._worker.wait(10)  # what is computed now may still make widgets
        self.why.close()
        if self.comm is not None:
            close_tree(self)

    def _fill(self) -> None:
        self._asked = False
        self.error.tell("")
        self._set_busy(True)
        self._worker.submit(self._filled)

    def _stop(self) -> None:
        self._asked = True
        self.report.stop()

    def _plan(self) -> Iterator[None]:
        """What each section costs; those that are there are shown."""
        with threadpool_limits(self._threads()):
            for planned in self.report.plan():
                if planned.done:
                    self._show(planned.name)
                    yield
            self._tell()

    def _filled(self) -> Iterator[None]:
        try:
            with threadpool_limits(self._threads()):
                self._tell(computing=True)
                for name in () if self._asked else self.report.fill():
                    self._tell(computing=True)
                    self._show(name)
                    yield
        finally:
            self._set_busy(False)
            self._tell()

    def _failed(self, error: Exception) -> None:
        self.error.tell(str(error))

    def _set_busy(self, busy: bool) -> None:
        self.fill.disabled, self.stop.disabled = busy, not busy

    def _tell(self, computing: bool = False) -> None:
        """The list of sections: the first that is not there yet is the one that is computed."""
        rows = []
        for planned in self.report.plan():
            computed = computing and not planned.done and not planned.missing
            rows.append(
                f"<tr><td>{escape(planned.title)}</td><td>{escape(_state(planned, computed))}</td></tr>"
            )
            computing = computing and not computed
        self.said.value = f'<table class="reswork-trust">{"".join(rows)}</table>'

    def _show(self, name: str) -> None:
        if name in self.sections:
            return
        title = next(each.title for each in self.report.plan() if each.name == name)
        parts: list[w.Widget] = [w.HTML(f"<h3>{escape(title)}</h3>")]
        if name == "embedding":
            self.map = MapView(self.report, self._image)
            parts.append(self.map)
        else:
            body = w.VBox(self._parts(name))
            if name in THRESHOLDS:
                parts.append(ThresholdRow(self.report, name, lambda: self._anew(name, body)))
            parts.append(body)
        if name == "scores":
            parts += [_sentence("<p>Click a cell of the matrix for its images.</p>"), self.clicked]
        self.sections[name] = w.VBox(parts)
        self._place.children = (*self._place.children, self.sections[name])

    def _parts(self, name: str) -> list[w.Widget]:
        found = contents(self.report, name)
        return [_sentence(each) if isinstance(each, str) else self._figures(each) for each in found]

    def _anew(self, name: str, body: w.VBox) -> None:
        """Show a section whose threshold was moved."""
        before, body.children = body.children, tuple(self._parts(name))
        for each in before:
            close_tree(each)

    def _figures(self, figures: Figures) -> w.Box:
        made = []
        for title, figure in figures.items():
            if title.startswith("Which classes are confused") and not self.report.is_masks:
                made.append(self._confusion(figure))
            else:
                made.append(self._with_images(figure))
        box = w.Box(made)
        box.add_class("reswork-grid")
        return box

    def _with_images(self, figure: Any) -> LiveFigure:
        """A figure whose images, or points that are images, can be clicked."""
        live = LiveFigure(figure)
        live.on_click(self._image)
        return live

    def _image(self, name: str) -> None:
        image = image_of(name)
        if image is not None:
            self.on_image(*image)
            self.why.show(*image)

    def _why(self, index: int, split: str) -> Why:
        if self.report.model is None or self.report.data is None:
            raise InvalidSetting(
                "model",
                "Why an image is answered so can only be asked of a model: give rw.debug(model, data).",
            )
        return why(self.report.model, self.report.data, index, split)

    def _confusion(self, figure: Any) -> LiveFigure:
        """The confusion matrix, whose cells say which images they count."""
        order = self.report.scores().order.tolist()
        if len(order) == len(figure.data[0].x):  # else neighbours share a row
            figure.data[0]["customdata"] = [[f"{true}/{predicted}" for predicted in order] for true in order]
        live = LiveFigure(figure)
        live.on_click(self._cell)
        return live

    def _cell(self, name: str) -> None:
        true, _, predicted = name.partition("/")
        if not (true.isdigit() and predicted.isdigit()):
            return
        told, grid = confused_images(self.report, int(true), int(predicted))
        before = self.clicked.children
        self.clicked.children = (_sentence(told), *(self._with_images(figure) for figure in grid.values()))
        for each in before:
            close_tree(each)


def debug(
    model: Any = None, data: Dataset | None = None, *, report: Report | None = None, **given: Any
) -> DebugView | WhyView:
    """Show what a trained model gets wrong, section by section; a click on an image shows why.

    Args:
        model: as for `report`; or what `why` gave, which then is all that is shown.
        data: likewise.
        report: one that was made already; then nothing else is given.
        **given: what else `report` takes, such as ``probabilities=`` and ``labels=``.

    Raises:
        InvalidSetting: as `report`.

    Example:
        >>> debug(run, data)                    # doctest: +SKIP
    """
    if isinstance(model, Why):
        return WhyView(model)
    made = report if report is not None else new_report(model, data, **given)
    asked = model if isinstance(model, LiveRun | SavedRun) else made.model
    if asked is None:
        return DebugView(made)
    return DebugView(made, doctor=FindingsView(lambda: diagnose(asked, made.data)))


def _state(planned: Planned, computed: bool) -> str:
    if planned.missing:
        return planned.missing
    if planned.done:
        return f"took {planned.seconds:.1f} s"
    return f"is computed, about {planned.seconds:.0f} s" if computed else f"about {planned.seconds:.0f} s"


def _sentence(html: str) -> w.HTML:
    made = w.HTML(html)
    made.add_class("reswork-note")
    return made
