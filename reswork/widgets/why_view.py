"""Why one image is answered as it is: the looks of `rw.why` on the page, as they become ready."""

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from reswork.causes import Why, why
from reswork.causes.contents import contents, paragraph_html
from reswork.errors import InvalidSetting
from reswork.reporting.contents import image_of
from reswork.widgets.form import ErrorLine
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import SectionsView, grid, note


class WhyView(SectionsView):
    """One image, what is found about its answer in words, and each look with its figures when it is ready.

    Args:
        why: what is shown; looks that it has already are there at once.
        on_image: called with number and split of an image of the data set that is clicked; None: its view opens below.
    """

    least_s = 1.0

    def __init__(self, why: Why, on_image: Callable[[int, str], None] | None = None) -> None:
        super().__init__(
            why, "Explain", "All looks, one after the other",
            "Stop explaining", "End the look that goes on, and begin no other",
        )  # fmt: skip
        self.why = why
        self.words = note("")
        self.words.add_class("reswork-why-words")
        self.below = WhyPlace(self._of)
        self._on_image = on_image or self.below.show
        parts = (PageAssets(), self._buttons, self.error, self.words, self.said, self._place, self.below)
        self.children = parts
        self.add_class("reswork-why")
        self._show("answer", "The answer")
        self._worker.submit(self._shown)

    def close(self) -> None:
        """As `WorkingView.close`."""
        self._give_up()
        self.below.close()
        super().close()

    def leave(self) -> None:
        """As `WorkingView.leave`."""
        self.below.leave()
        super().leave()

    def _tell(self, computing: bool = False) -> None:
        """The paragraph so far, too."""
        self.words.value = paragraph_html(self.why) if self.why.has_looked else ""
        super()._tell(computing)

    def _section(self, name: str) -> list[w.Widget]:
        return [
            note(content) if isinstance(content, str) else grid(list(map(self._figure, content.values())))
            for content in contents(self.why, name)
        ]

    def _figure(self, figure: Any) -> LiveFigure:
        live = LiveFigure(figure)
        live.on_click(self._click)
        return live

    def _click(self, name: str) -> None:
        image = image_of(name)
        if image is not None:
            self._on_image(*image)

    def _of(self, index: int, split: str) -> Why:
        case = self.why.case
        methods, most = self.why.methods, case.most
        return why(case.net, case.data, index, split, methods=methods, training_images=most)


class WhyPlace(w.VBox):
    """Where the view of an image that was clicked opens, instead of the one before.

    Args:
        make: from number and split of an image to what is shown.
    """

    def __init__(self, make: Callable[[int, str], Why]) -> None:
        super().__init__()
        self._make = make
        self._shown: list[w.Widget] = []

    def show(self, index: int, split: str) -> None:
        """Open the view of an image, and begin."""
        try:
            self.ask(self._make(index, split))
        except InvalidSetting as error:
            line = ErrorLine()
            line.tell(error.message)
            self._replace(line)

    def ask(self, why: Why) -> None:
        """Open the view of one that is made, and begin."""
        view = WhyView(why, self.show)
        self._replace(view)
        view.begin.click()

    def leave(self) -> None:
        """Take what is shown off the page; one that computes is not waited for, and closes itself."""
        self._replace()

    def close(self) -> None:
        """Close what is shown, and the place."""
        for each in self._shown:
            each.close()
        if self.comm is not None:
            close_tree(self)

    def _replace(self, *views: w.Widget) -> None:
        before, self._shown = self._shown, [*views]
        self.children = views
        for each in before:
            each.leave() if isinstance(each, WhyView) else close_tree(each)
