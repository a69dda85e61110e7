"""Why one image is answered as it is: the looks of `rw.why` on the page, as they become ready."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import ipywidgets as w

from reswork.causes import Why, why
from reswork.causes.contents import contents, paragraph_html
from reswork.errors import InvalidSetting
from reswork.reporting.contents import image_of
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.tree import close_tree


class WhyView(w.VBox):
    """One image, what is found about its answer in words, and each look with its figures when it is ready.

    Args:
        why: what is shown; looks that it has already are there at once.
        on_image: called with number and split of an image of the data set that is clicked; None: its view opens below.
    """

    def __init__(self, why: Why, on_image: Callable[[int, str], None] | None = None) -> None:
        super().__init__()
        self.why = why
        self.explain = button("Explain", "All looks, one after the other", self._fill, "primary")
        self.stop = button("Stop explaining", "End the look that goes on, and begin no other", self._stop)
        self.error = ErrorLine()
        self.words, self.said = w.HTML(), w.HTML()
        self.words.add_class("reswork-why-words")
        for each in (self.words, self.said):
            each.add_class("reswork-note")
        self.looks: dict[str, w.VBox] = {}
        self.below = WhyPlace(self._of)
        self._on_image = on_image or self.below.show
        self._worker = LatestJob(lambda error: self.error.tell(str(error)))
        self._asked = False  # to stop
        self._place = w.VBox()
        top = w.HBox([self.explain, self.stop])
        self.children = (PageAssets(), top, self.error, self.words, self.said, self._place, self.below)
        self.add_class("reswork")
        self.add_class("reswork-why")
        self._set_busy(False)
        self._show("answer", "The answer")
        self._worker.submit(self._shown)

    def wait(self, seconds: float = 600) -> bool:
        """Wait until nothing is computed; False after so many seconds."""
        return self._worker.wait(seconds)

    def close(self) -> None:
        """End what is computed, take the view off the page and free its widgets."""
        self._stop()
        self._worker.wait(10)  # what is computed now may still make widgets
        self.below.close()
        if self.comm is not None:
            close_tree(self)

    def _fill(self) -> None:
        self._asked = False
        self.error.tell("")
        self._set_busy(True)
        self._worker.submit(self._filled)

    def _stop(self) -> None:
        self._asked = True
        self.why.stop()

    def _shown(self) -> Iterator[None]:
        for planned in self.why.plan():
            if planned.done:
                self._show(planned.name, planned.title)
                yield
        self._tell()

    def _filled(self) -> Iterator[None]:
        try:
            self._tell(computing=True)
            yield
            for name in () if self._asked else self.why.fill():
                self._tell(computing=True)
                self._show(name, next(each.title for each in self.why.plan() if each.name == name))
                yield
        finally:
            self._set_busy(False)
            self._tell()

    def _set_busy(self, busy: bool) -> None:
        self.explain.disabled, self.stop.disabled = busy, not busy

    def _tell(self, computing: bool = False) -> None:
        """The paragraph so far, and what each look costs: the first that is not there yet is the one that goes on."""
        self.words.value = paragraph_html(self.why) if self.why.has_looked else ""
        rows = []
        for planned in self.why.plan():
            goes_on = computing and not planned.done and not planned.missing
            computing = computing and not goes_on
            state = planned.missing or (
                f"took {planned.seconds:.1f} s" if planned.done
                else f"{'is computed, ' if goes_on else ''}about {max(planned.seconds, 1):.0f} s"
            )  # fmt: skip
            rows.append(f"<tr><td>{escape(planned.title)}</td><td>{escape(state)}</td></tr>")
        self.said.value = f'<table class="reswork-trust">{"".join(rows)}</table>'

    def _show(self, name: str, title: str) -> None:
        if name in self.looks:
            return
        parts: list[w.Widget] = [w.HTML(f"<h3>{escape(title)}</h3>")]
        for content in contents(self.why, name):
            parts.append(_note(content) if isinstance(content, str) else self._figures(content))
        self.looks[name] = w.VBox(parts)
        self._place.children = (*self._place.children, self.looks[name])

    def _figures(self, shown: dict[str, Any]) -> w.Box:
        made = []
        for figure in shown.values():
            live = LiveFigure(figure)
            live.on_click(self._click)
            made.append(live)
        box = w.Box(made)
        box.add_class("reswork-grid")
        return box

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
        view.explain.click()

    def close(self) -> None:
        """Close what is shown, and the place."""
        for each in self._shown:
            each.close()
        if self.comm is not None:
            close_tree(self)

    def _replace(self, view: w.Widget) -> None:
        before: tuple[w.Widget, ...] = tuple(self._shown)
        self._shown = [view]
        self.children = (view,)
        for each in before:
            each.close() if isinstance(each, WhyView) else close_tree(each)


def _note(html: str) -> w.HTML:
    made = w.HTML(html)
    made.add_class("reswork-note")
    return made
