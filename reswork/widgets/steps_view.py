"""Comparisons of many short trainings on the page: begun and stopped by buttons, drawn as they come."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from html import escape
from typing import Any, Protocol

import ipywidgets as w

from reswork import figures
from reswork.datasets.dataset import Dataset
from reswork.transfer.arrivals import ARRIVALS, forgetting_steps
from reswork.transfer.ways import Way
from reswork.transfer.worth import WAYS, worth_steps
from reswork.widgets.form import button
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.working_view import WorkingView, note

_EVERY_S = 0.5  # between two words on how far it is


class Part(Protocol):
    """How far a comparison is."""

    @property
    def found(self) -> Any:
        """What is known so far, which shows itself as a table."""

    @property
    def share(self) -> float:
        """0 to 1."""

    @property
    def told(self) -> str:
        """What is computed now."""


class StepsView(WorkingView):
    """A comparison with its buttons, its table and its figure.

    Args:
        steps: begins it anew.
        draw: the figure of what is known so far.
        begins: tooltip of the button.

    Attributes:
        found: what is known so far; None before anything is.
    """

    def __init__(
        self, steps: Callable[[], Generator[Part, None, None]], draw: Callable[[Any], Any], begins: str
    ) -> None:
        super().__init__()
        self._steps, self._draw = steps, draw
        self.found: Any = None
        self.begin = button("Compare", begins, self._begin, "primary")
        self.stop = button("Stop", "Keep what is there", self._give_up)
        self.stop.disabled = True
        self.said, self.table = note(""), note("")
        self.figure = w.VBox()
        self.children: tuple[w.Widget, ...] = (
            w.HBox([self.begin, self.stop]),
            self.error,
            self.said,
            self.table,
            self.figure,
        )

    def _begin(self) -> None:
        self.error.tell("")
        self.begin.disabled, self.stop.disabled = True, False
        self._worker.submit(self._work)

    def _work(self) -> Iterator[None]:
        told_at, known = 0.0, ""
        try:
            for part in self._steps():
                table = part.found._repr_html_()
                if table != known:
                    known, self.found = table, part.found
                    self._show(table)
                if time.monotonic() - told_at > _EVERY_S:
                    told_at = time.monotonic()
                    self.said.value = (
                        f'<progress max="1" value="{part.share:.3f}" aria-label="compared"></progress> '
                        f'<span class="reswork-muted">{escape(part.told)}</span>'
                    )
                yield
            self.said.value = "" if self.found is None else f"<p>{escape(self.found.sentence)}</p>"
        finally:
            self.begin.disabled, self.stop.disabled = False, True

    def _show(self, table: str) -> None:
        self.table.value = f'<div class="reswork-table reswork-wide">{table}</div>'
        drawn = self._draw(self.found)
        if self.figure.children:
            self.figure.children[0].show(drawn)
        else:
            self.figure.children = (LiveFigure(drawn),)


def worth_steps_view(
    source: Any,
    data: Dataset,
    *,
    images: Sequence[int] = (20, 100, 500),
    seeds: int = 3,
    ways: Sequence[Way] = WAYS,
) -> StepsView:
    """The view of `worth_view` without what a page needs once."""
    return StepsView(
        lambda: worth_steps(source, data, images=images, seeds=seeds, ways=ways),
        figures.transfer_worth,
        "Train from nothing and from the trained weights, with few images and with more, several seeds each",
    )


def forgetting_steps_view(
    source: Any, old: Dataset, new: Dataset, *, seeds: int = 3, ways: Sequence[Way] = ARRIVALS
) -> StepsView:
    """The view of `forgetting_view` without what a page needs once."""
    return StepsView(
        lambda: forgetting_steps(source, old, new, seeds=seeds, ways=ways),
        figures.forgetting,
        "Let the network learn the new in several ways, and ask for the old after each epoch",
    )


def worth_view(source: Any, data: Dataset, **how: Any) -> StepsView:
    """Show what trained weights are worth against training from nothing, as it is computed.

    Args:
        source: as `reswork.transfer.worth` takes it.
        data: likewise.
        **how: ``images``, ``seeds``, ``ways``, likewise.

    Example:
        >>> worth_view("six", data.of_classes(data.classes[6:]))                    # doctest: +SKIP
    """
    return _alone(worth_steps_view(source, data, **how))


def forgetting_view(
    source: Any, old: Dataset, new: Dataset, *, seeds: int = 3, ways: Sequence[Way] = ARRIVALS
) -> StepsView:
    """Show what is forgotten while new classes or data are learned, as it is computed.

    Args:
        source: as `reswork.transfer.forgetting` takes it.
        old: likewise.
        new: likewise.
        seeds: likewise.
        ways: likewise.

    Example:
        >>> forgetting_view("six", six, four)                                       # doctest: +SKIP
    """
    return _alone(forgetting_steps_view(source, old, new, seeds=seeds, ways=ways))


def _alone(view: StepsView) -> StepsView:
    view.children = (PageAssets(), *view.children)
    view.add_class("reswork")
    return view
