"""The map of the images: by layer, layout and colour, and a slice of what somebody draws around."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.reporting.contents import SPLIT, colourings, mapped, slice_images, slice_told, thumbnails
from reswork.reporting.report import Report
from reswork.reporting.slices import chosen_slice
from reswork.results.embedding_map import METHODS
from reswork.results.slices import Slice
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.tree import close_tree

_HINT = (
    "Point at a point for its image. Draw around some, with the lasso at the top right, to make them a slice."
)


class MapView(w.VBox):
    """Where a model puts the images; a lasso around some of them makes them a slice of the report.

    Args:
        report: with embeddings.
        clicked: called with the name of a point or an image that is clicked.

    Attributes:
        plot: the map.
        drawn: what the lasso is around; None before.
    """

    def __init__(self, report: Report, clicked: Callable[[str], None]) -> None:
        super().__init__()
        self.report, self._clicked = report, clicked
        self._worker = LatestJob(self._failed)
        self._found = report.embedding()
        ways = list(colourings(report))
        self.layer = _menu("Layer", report.layers, report.layers[-1])
        self.method = _menu("Layout", [(title, name) for name, title in METHODS.items()], "pca")
        self.colour = _menu("Colour", ways, ways[0])
        self.plot = LiveFigure(mapped(report, self._found, ways[0]))
        self.plot.thumbnails = thumbnails(report)
        self.plot.on_click(clicked)
        self.plot.on_select(self._select)
        self.drawn: Slice | None = None
        self.name = w.Text(placeholder="what they have in common", description="Name")
        self.keep = button(
            "Keep as a slice", "A part of the report from now on, and of its files", self._keep
        )
        self.error = ErrorLine()
        self.told, self.kept = w.HTML(f"<p>{_HINT}</p>"), w.HTML()
        self._naming = w.HBox([self.name, self.keep], layout=w.Layout(display="none"))
        self._images = w.VBox()
        for each in (self.told, self.kept):
            each.add_class("reswork-note")
        for menu in (self.layer, self.method, self.colour):
            menu.observe(lambda change: self._worker.submit(self._laid_out), names="value")
        menus = w.HBox([self.layer, self.method, self.colour], layout=w.Layout(flex_flow="row wrap"))
        self.children = (menus, self.error, self.plot, self.told, self._naming, self._images, self.kept)
        self._list_kept()

    def wait(self, seconds: float = 60) -> bool:
        """Wait until the map is laid out; False after so many seconds."""
        return self._worker.wait(seconds)

    def _laid_out(self) -> Iterator[None]:
        self.error.tell("")
        title = dict(self.method.options)
        said = next(name for name, value in title.items() if value == self.method.value)
        if self.method.value != "pca":
            self.told.value = f"<p>{said} lays the images out, which takes up to a minute ...</p>"
        try:
            training = self.colour.value == SPLIT
            self._found = self.report.embedding(self.layer.value, self.method.value, training=training)
            yield
            self.plot.show(mapped(self.report, self._found, self.colour.value))
        finally:
            self.told.value = f"<p>{_HINT}</p>"

    def _failed(self, error: Exception) -> None:
        self.error.tell(str(error))

    def _select(self, x: list[float], y: list[float]) -> None:
        """Make what lies inside an outline a slice, and show it."""
        rows = self._found.inside(x, y)
        if len(rows):
            self.drawn = chosen_slice("Images that were drawn around", rows, self.report.right)
            self.told.value = f"<p>{escape(slice_told(self.drawn))}</p>"
            self._show_images(slice_images(self.report, self.drawn))
        self._naming.layout.display = None if len(rows) else "none"

    def _keep(self) -> None:
        if self.drawn is None:
            return
        try:
            self.report.keep_slice(self.name.value, self.drawn.images)
        except InvalidSetting as error:
            self.error.tell(error.message)
            return
        self.error.tell("")
        self.name.value = ""
        self._list_kept()

    def _list_kept(self) -> None:
        rows = [
            f"<li><b>{escape(each.name)}</b>: {escape(slice_told(each))}</li>"
            for each in self.report.kept_slices
        ]
        self.kept.value = f"<p>Kept slices:</p><ul>{''.join(rows)}</ul>" if rows else ""

    def _show_images(self, grids: dict[str, Any]) -> None:
        before = self._images.children
        made = [LiveFigure(figure) for figure in grids.values()]
        for each in made:
            each.on_click(self._clicked)
        self._images.children = made
        for each in before:
            close_tree(each)


def _menu(label: str, options: Sequence[Any], value: Any) -> w.Dropdown:
    return w.Dropdown(
        options=options, value=value, description=label, style={"description_width": "60px"},
        layout=w.Layout(width="250px"),
    )  # fmt: skip
