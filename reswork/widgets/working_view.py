"""Views that compute beside the page: one with a background thread, and one that fills section by section."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as w

from reswork.reporting.planned import Planned
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.tree import close_tree

if TYPE_CHECKING:
    from reswork.causes import Why
    from reswork.reporting.report import Report


class WorkingView(w.VBox):
    """A view whose jobs run in a thread; what fails is told in `error`, which a subclass puts on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.error = ErrorLine()
        self._worker = LatestJob(lambda error: self.error.tell(str(error)))

    def wait(self, seconds: float = 600) -> bool:
        """Wait until nothing is computed; False after so many seconds."""
        return self._worker.wait(seconds)

    def close(self) -> None:
        """End what is computed, take the view off the page and free its widgets."""
        self._give_up()
        self._worker.wait(10)  # what is computed now may still make widgets
        if self.comm is not None:
            close_tree(self)

    def leave(self) -> None:
        """As `close`, but not waited for: it is done as soon as what is computed has ended."""
        self._give_up()
        self._worker.submit(self._left)

    def _left(self) -> Iterator[None]:
        if self.comm is not None:
            close_tree(self)
        yield

    def _give_up(self) -> None:
        self._worker.cancel()


class SectionsView(WorkingView):
    """What each section costs, a button to compute them, one to stop, and each section when it is ready.

    Args:
        computed: what is shown; a subclass says what a section looks like in `_section`, and submits `_shown` when
            it is made, for the sections that are there already.
        begin: label of the first button.
        begins: its tooltip.
        stop: label of the other.
        stops: its tooltip.
    """

    least_s = 0.0  # seconds that a section is said to take beforehand

    def __init__(self, computed: "Report | Why", begin: str, begins: str, stop: str, stops: str) -> None:
        super().__init__()
        self._computed = computed
        self.begin = button(begin, begins, self._begin, "primary")
        self.stop = button(stop, stops, self._give_up)
        self.said = note("")
        self.sections: dict[str, w.VBox] = {}
        self._asked = False  # to stop
        self._place = w.VBox()
        self._buttons = w.HBox([self.begin, self.stop])
        self.add_class("reswork")
        self._set_busy(False)

    def _section(self, name: str) -> list[w.Widget]:
        """What a section that is computed looks like, below its heading."""
        raise NotImplementedError

    def _computing(self) -> AbstractContextManager[object]:
        """In which everything is computed."""
        return nullcontext()

    def _begin(self) -> None:
        self._asked = False
        self.error.tell("")
        self._set_busy(True)
        self._worker.submit(self._filled)

    def _give_up(self) -> None:
        self._asked = True
        self._computed.stop()

    def _shown(self) -> Iterator[None]:
        """The sections that are there, and what the others cost."""
        with self._computing():
            for planned in self._computed.plan():
                if planned.done:
                    self._show(planned.name)
                    yield
            self._tell()

    def _filled(self) -> Iterator[None]:
        try:
            with self._computing():
                self._tell(computing=True)
                yield
                for name in () if self._asked else self._computed.fill():
                    self._tell(computing=True)
                    self._show(name)
                    yield
        finally:
            self._set_busy(False)
            self._tell()

    def _set_busy(self, busy: bool) -> None:
        self.begin.disabled, self.stop.disabled = busy, not busy

    def _tell(self, computing: bool = False) -> None:
        """The list of sections: the first that is not there yet is the one that is computed."""
        rows = []
        for planned in self._computed.plan():
            goes_on = computing and not planned.done and not planned.missing
            computing = computing and not goes_on
            state = _state(planned, goes_on, self.least_s)
            rows.append(f"<tr><td>{escape(planned.title)}</td><td>{escape(state)}</td></tr>")
        self.said.value = f'<table class="reswork-trust">{"".join(rows)}</table>'

    def _show(self, name: str, title: str | None = None) -> None:
        """Put a section on the page; what is no section of the plan brings its title."""
        if name not in self.sections:
            title = title or next(each.title for each in self._computed.plan() if each.name == name)
            self.sections[name] = w.VBox([w.HTML(f"<h3>{escape(title)}</h3>"), *self._section(name)])
            self._place.children = (*self._place.children, self.sections[name])


def note(html: str) -> w.HTML:
    """Words in the form of the page's notes."""
    made = w.HTML(html)
    made.add_class("reswork-note")
    return made


def grid(figures: Sequence[w.Widget]) -> w.Box:
    """Figures beside each other, as many in a row as there is room."""
    made = w.Box(list(figures))
    made.add_class("reswork-grid")
    return made


def _state(planned: Planned, goes_on: bool, least_s: float) -> str:
    if planned.missing:
        return planned.missing
    if planned.done:
        return f"took {planned.seconds:.1f} s"
    return f"{'is computed, ' if goes_on else ''}about {max(planned.seconds, least_s):.0f} s"
