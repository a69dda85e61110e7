"""`rw.compare_view`: two trained models beside each other on the page."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np

from reswork import figures
from reswork.contrast.comparison import ModelComparison, compare_models
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.tasks import task_for
from reswork.widgets.form import button
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import WorkingView


class CompareView(WorkingView):
    """What two models answer and are, as soon as each part is computed.

    Args:
        comparison: what is shown.
        has_assets: whether it brings plotly.js and the style sheet; not where it is a part of what brings them.
    """

    def __init__(self, comparison: ModelComparison, *, has_assets: bool = True) -> None:
        super().__init__()
        self.comparison = comparison
        self.said = w.HTML('<span class="reswork-muted">Both answer the test images ...</span>')
        self.said.add_class("reswork-note")
        self.drawn, self.line = _grid(), _grid()
        self.draw_line = button(
            "Line between both", "Loss and accuracy of eleven networks between the two", self._ask_line
        )
        self.index = w.BoundedIntText(
            value=0, min=0, max=len(comparison.data.test) - 1, description="Test picture",
            layout=w.Layout(width="200px"),
        )  # fmt: skip
        self.index.observe(lambda _change: self._renew(self._parted), names="value")
        step = button("Next changed", "The next picture that both answer differently", self._next_changed)
        self.parting = w.HTML()
        self.parting.add_class("reswork-note")
        self.picture = LiveFigure(figures.image_grid(np.zeros((0, 1, 1, 1), np.uint8), title="The picture"))
        self.apart = LiveFigure(figures.image_grid(np.zeros((0, 1, 1, 1), np.uint8), title="Features apart"))
        self.features = LiveFigure(figures.image_grid(np.zeros((0, 1, 1, 1), np.uint8), title="Its features"))
        one = w.Box([w.VBox([w.HBox([self.index, step]), self.picture]), w.VBox([self.parting, self.apart])])
        one.add_class("reswork-columns")
        line = w.HBox([self.draw_line])
        assets = (PageAssets(),) if has_assets else ()
        self.children = (*assets, self.said, self.error, self.drawn, one, self.features, line, self.line)
        self.add_class("reswork")
        self._due: list[Callable[[], Iterator[None]]] = []
        self._renew(self._whole, self._parted)

    def _renew(self, *parts: Callable[[], Iterator[None]]) -> None:
        """Compute some parts; what a click ends half done is still due for the next job."""
        self._due += [part for part in parts if part not in self._due]
        self._worker.submit(self._work)

    def _work(self) -> Iterator[None]:
        while self._due:
            part = self._due.pop(0)
            try:
                yield from part()
            except GeneratorExit:  # something newer is asked for
                self._due.append(part)
                raise
            yield

    def _whole(self) -> Iterator[None]:
        """Answers first, then what is inside; what was computed once is kept by the comparison."""
        self.said.value = f'<div class="reswork-wide">{self.comparison._repr_html_()}</div>'
        yield
        before = self.drawn.children
        self.drawn.children = tuple(LiveFigure(figure) for figure in self.comparison.figures().values())
        for each in before:
            close_tree(each)

    def _parted(self) -> Iterator[None]:
        found = self.comparison.parting(self.index.value)
        image = self.comparison.data.test.images[self.index.value].cpu().numpy()
        self.picture.show(figures.image_grid(image[None], title="The picture"))
        self.parting.value = f"<p>{escape(found.sentence)}</p>"
        self.apart.show(figures.distances(found.distances))
        yield
        self.features.show(figures.feature_pairs(self.comparison.features_of(self.index.value)))
        yield

    def _ask_line(self) -> None:
        self.error.tell("")
        self.draw_line.disabled = True
        self._renew(self._lined)

    def _lined(self) -> Iterator[None]:
        try:
            found = self.comparison.path()
        except InvalidSetting as error:
            self.error.tell(error.message)
            return
        finally:
            self.draw_line.disabled = False
        yield
        names = ("loss", task_for(self.comparison.data).metrics[0].name)
        before = self.line.children
        self.line.children = tuple(LiveFigure(figures.weight_path(found, name)) for name in names)
        for each in before:
            close_tree(each)

    def _next_changed(self) -> None:
        rows = np.sort(self.comparison.changed.changed)
        if not len(rows):
            self.error.tell("Both answer all images alike.")
            return
        later = rows[rows > self.index.value]
        self.index.value = int(later[0] if len(later) else rows[0])


def compare_view(
    first: Any,
    second: Any,
    data: Dataset,
    *,
    images: int | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> CompareView:
    """Show two trained models beside each other: answers, distances, likeness, and where they part on one image.

    Args:
        first: as for `compare_models`.
        second: likewise.
        data: likewise.
        images: likewise.
        names: likewise.

    Raises:
        InvalidSetting: as `compare_models`.

    Example:
        >>> compare_view(run, other, data)                    # doctest: +SKIP
    """
    return CompareView(compare_models(first, second, data, images=images, names=names))


def _grid() -> w.Box:
    made = w.Box()
    made.add_class("reswork-grid")
    return made
