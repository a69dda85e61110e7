"""The bar with the slider over a run's steps: which of them were kept, a film, back to now."""

from collections.abc import Callable, Sequence

import ipywidgets as w

from reswork.widgets.by_code import ByCode
from reswork.widgets.form import ErrorLine, button
from reswork.widgets.parts import Part


class Scrubber:
    """The slider, its buttons, and the lines below them; it knows no run.

    Args:
        turned: called with the step when a person moves the slider.
        toggle: called when the film shall be played or held.
        move: called with -1 or 1: one kept moment back or on.
        now: called when everything shall show now.

    Attributes:
        view: the part of the page; all others are made with it.
        slider: over the steps.
        told: the line that says what is shown.
        error: the line for what went wrong.
    """

    def __init__(
        self,
        turned: Callable[[int], None],
        toggle: Callable[[], None],
        move: Callable[[int], None],
        now: Callable[[], None],
    ) -> None:
        self._turned, self._toggle, self._move, self._now = turned, toggle, move, now
        self._by_code = ByCode()
        self.view = Part(self._made)
        self.view.add_class("reswork-note")

    def _made(self) -> list[w.Widget]:
        self.slider = w.IntSlider(
            min=0, max=1, value=0, readout=False, layout=w.Layout(width="100%", margin="0"),
            tooltip="Drag to any step: every panel shows the training as it was then",
        )  # fmt: skip
        self.slider.observe(self._slid, names="value")
        self._marks = w.HTML()
        track = w.VBox([self.slider, self._marks], layout=w.Layout(flex="1 1 320px", min_width="0"))
        self.film = button("Play", "Show one kept moment after another, as a film", self._toggle)
        self.back = button("Earlier", "The kept moment before this one", lambda: self._move(-1))
        self.on = button("Later", "The kept moment after this one", lambda: self._move(1))
        self.now = button("Now", "Back to the training as it is now", self._now)
        row = w.Box([w.HTML("<b>Look back</b>"), self.film, self.back, track, self.on, self.now])
        row.add_class("reswork-scrubber")
        self.told = w.HTML()
        self.error = ErrorLine()
        return [row, self.told, self.error]

    def show(self, step: int | None, steps: Sequence[int], last: int, count: int, most: int | None) -> None:
        """Bring everything up to date.

        Args:
            step: that is shown; None: now, and the handle stands at the last one.
            steps: of the kept moments, growing.
            last: step of the run.
            count: bytes of all moments.
            most: that they may have; None: no longer known.
        """
        self._set(max(last, 1), last if step is None else self.slider.value)
        self._marks.value = marks_html(steps, last)
        self.told.value = told_html(step, steps, count, most)

    def set_step(self, step: int) -> None:
        """Put the handle there; nobody is called."""
        if self.slider.value != step:
            self._set(max(self.slider.max, step), step)

    def set_playing(self, playing: bool) -> None:
        """What the film's button says."""
        if self.view.is_made:
            self.film.description = "Hold" if playing else "Play"

    def _set(self, most: int, value: int) -> None:
        if (self.slider.max, self.slider.value) == (most, value):
            return
        with self._by_code:
            self.slider.max = most
            self.slider.value = value

    def _slid(self, change: dict[str, int]) -> None:
        if not self._by_code:
            self._turned(change["new"])


def marks_html(steps: Sequence[int], last: int) -> str:
    """A stroke under the slider for each kept moment, and the first and last step in figures."""
    strokes = "".join(f'<i style="left:{100 * step / max(last, 1):.2f}%"></i>' for step in steps)
    words = f"{len(steps)} kept moments, from step {steps[0]:,} to {steps[-1]:,}" if steps else "none"
    return f'<div class="reswork-marks" role="img" aria-label="{words}">{strokes}</div>'


def told_html(step: int | None, steps: Sequence[int], count: int, most: int | None) -> str:
    """Which step is shown, and what the moments take on disk."""
    if step is None:
        where = "Everything shows <b>now</b>."
    elif step in steps:
        where = f"Everything shows <b>step {step:,}</b>."
    else:
        near = min(steps, key=lambda kept: (abs(kept - step), kept))
        where = f"<b>Step {step:,}</b>; its weights were not kept, so networks are those of step {near:,}."
    room = f" of at most {most / 1e6:,.0f} MB" if most is not None else " MB"
    size = f"{count / 1e6:,.1f}{room}"
    return f'<span class="reswork-muted">{where} {len(steps)} moments are kept, {size} on disk.</span>'
