"""`rw.debug`: a report on a trained model that fills section by section."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import ipywidgets as w
import torch
from threadpoolctl import threadpool_limits

from reswork.causes import Why, why
from reswork.datasets.dataset import Dataset
from reswork.diagnosis import diagnose
from reswork.errors import InvalidSetting
from reswork.reporting.contents import Figures, confused_images, contents, image_of
from reswork.reporting.report import Report
from reswork.reporting.report import report as new_report
from reswork.reporting.thresholds import THRESHOLDS
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun
from reswork.widgets.findings_view import FindingsView
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.map_view import MapView
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.threshold_row import ThresholdRow
from reswork.widgets.tree import close_tree
from reswork.widgets.why_view import WhyPlace, WhyView
from reswork.widgets.working_view import SectionsView, grid, note

OnImage = Callable[[int, str], None]


class DebugView(SectionsView):
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
        super().__init__(
            report, "Fill", "Compute the sections one after the other",
            "Stop filling", "End the section that is computed, and begin no other",
        )  # fmt: skip
        self.report, self.on_image, self._threads = report, on_image, threads
        self.map: MapView | None = None  # from when there are embeddings
        self.clicked = w.VBox()  # the images of a cell
        self.why = WhyPlace(self._why)  # of the image that was clicked last
        assets = PageAssets() if has_assets else None
        parts = [assets, self._buttons, self.error, self.said, doctor, self._place, self.why]
        self.children = tuple(part for part in parts if part is not None)
        self._worker.submit(self._shown)

    def close(self) -> None:
        """As `WorkingView.close`."""
        self._give_up()
        self.why.close()
        super().close()

    def _computing(self) -> AbstractContextManager[object]:
        limits: AbstractContextManager[object] = threadpool_limits(self._threads())
        return limits

    def _section(self, name: str) -> list[w.Widget]:
        if name == "embedding":
            self.map = MapView(self.report, self._image)
            return [self.map]
        body = w.VBox(self._parts(name))
        parts: list[w.Widget] = [body]
        if name in THRESHOLDS:
            parts.insert(0, ThresholdRow(self.report, name, lambda: self._anew(name, body)))
        if name == "scores":
            parts += [note("<p>Click a cell of the matrix for its images.</p>"), self.clicked]
        return parts

    def _parts(self, name: str) -> list[w.Widget]:
        found = contents(self.report, name)
        return [note(each) if isinstance(each, str) else self._figures(each) for each in found]

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
        return grid(made)

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
        told, shown = confused_images(self.report, int(true), int(predicted))
        before = self.clicked.children
        self.clicked.children = (note(told), *(self._with_images(figure) for figure in shown.values()))
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
