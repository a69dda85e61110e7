"""Guesses that are drawn or pointed at: sliders that move the points of a curve, a click on a drawing."""

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import numpy as np

from reswork import figures
from reswork.figures.canvas import about
from reswork.figures.study_lines import study_lines
from reswork.models.sheet import spec_sheet
from reswork.results.study import Line
from reswork.widgets.form import button
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import note

if TYPE_CHECKING:  # studies are above widgets: they are handed in
    from reswork.studies.guesses import GuessBook
    from reswork.studies.study import DrawnGuess, PointedGuess, Study, StudyResult


class ShownGuess(w.VBox):
    """What both have: the question, a button that notes the guess, and what became of it.

    Args:
        study: whose guess it is.
        book: of guesses.
        asked: called when one is noted.
    """

    def __init__(self, study: "Study", book: "GuessBook", asked: Callable[[], None]) -> None:
        super().__init__()
        assert study.shown is not None
        self._study, self._book, self._asked = study, book, asked
        self.figure, self.told = LiveFigure(), note("")
        self.noted = button("Guess", "Note this guess; the first one counts", self._note)
        self.question = note(f"{escape(study.shown.question)} {escape(study.shown.rule.capitalize())}.")

    @property
    def guess(self) -> Any:
        """As it is drawn; None: nothing."""
        raise NotImplementedError

    def renew(self, settings: Any) -> None:
        """Fit what is drawn to other settings, as long as nothing is noted."""
        raise NotImplementedError

    def reveal(self, result: "StudyResult") -> None:
        """Show what came out beside the guess."""
        raise NotImplementedError

    def lock(self) -> None:
        """No further guess."""
        self.noted.disabled = True

    def _note(self) -> None:
        guess = self.guess
        if guess is None:
            self.told.value = "Click a block first."
            return
        self._book.guess(self._study.name, guess, shown=True)
        self.told.value = "Noted. Now run it."
        self.lock()
        self._asked()

    def _judged(self, right: bool | None) -> str:
        if right is None:
            return "This result is of other settings than the guess."
        return "<b>Your guess was right.</b>" if right else "<b>Your guess was not what happened.</b>"


class DrawnCurve(ShownGuess):
    """A curve whose points are moved by sliders; later the real one beside it.

    Attributes:
        sliders: one for each point, by its word.
    """

    def __init__(self, study: "Study", book: "GuessBook", asked: Callable[[], None], settings: Any) -> None:
        super().__init__(study, book, asked)
        self.sliders: dict[str, w.FloatSlider] = {}
        self._place, self._real = w.VBox(), dict[str, float]()
        self.children = (self.question, self.figure, self._place, self.noted, self.told)
        before = book.of(study.name, shown=True)
        self._make(before if isinstance(before, Mapping) else self._flat(settings))
        if before is not None:
            self.lock()

    @property
    def _shown(self) -> "DrawnGuess":
        assert self._study.shown is not None and self._study.shown.kind == "drawn"
        return self._study.shown

    @property
    def guess(self) -> dict[str, float]:
        """Place to value."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def renew(self, settings: Any) -> None:
        """Other places, other sliders."""
        if not self.noted.disabled and [*self.sliders] != [*self._flat(settings)]:
            self._make(self._flat(settings))

    def lock(self) -> None:
        """No slider moves any more."""
        super().lock()
        for slider in self.sliders.values():
            slider.disabled = True

    def reveal(self, result: "StudyResult") -> None:
        """Draw the real curve beside the guessed one."""
        answer = self._shown.answer(result) if result.is_complete else None
        if answer is None or not self.noted.disabled:
            return
        right = self._shown.is_right(self.guess, answer)
        self.told.value = self._judged(right)
        if right is not None:
            self._real = answer
            self._draw()

    def _flat(self, settings: Any) -> dict[str, float]:
        """Where all points begin."""
        return dict.fromkeys(self._shown.places(settings), self._shown.most / 2)

    def _make(self, values: Mapping[str, float]) -> None:
        before = self._place.children
        self.sliders = {
            name: w.FloatSlider(
                value=value,
                min=0,
                max=self._shown.most,
                step=1,
                description=name,
                readout_format=".0f",
                layout=w.Layout(width="100%"),
            )
            for name, value in values.items()
        }
        for slider in self.sliders.values():
            slider.observe(lambda change: self._draw(), names="value")
        self._place.children = tuple(self.sliders.values())
        for each in before:
            close_tree(each)
        self._draw()

    def _draw(self) -> None:
        shown, names = self._shown, [*self.sliders]
        at = np.arange(len(names))
        lines = [Line("your guess", at, np.array([*self.guess.values()], float), colour=1, dashed=True)]
        told = "Your guess: " + ", ".join(f"{name} {value:.0f}" for name, value in self.guess.items())
        if self._real:
            lines.append(Line("what came out", at, np.array([*self._real.values()]), colour=0))
            told += "; what came out: " + ", ".join(
                f"{name} {value:.0f}" for name, value in self._real.items()
            )
        words = about(
            "The curve that you expect, and when the study is done the real one beside it, the mean over the seeds.",
            "The sliders below move its points, until the guess is noted.",
            "Draw it before you run the study: what would surprise you?",
        )
        self.figure.show(
            study_lines(
                lines, title="Your guess", x=shown.x, y=shown.y, summary=told + ".", explained=words,
                y_range=(0, shown.most), ticks=(at.tolist(), names), height=200,
            )
        )  # fmt: skip


class PointedBlock(ShownGuess):
    """A network that is drawn; a click chooses a block, and later each block has the colour of its number.

    Attributes:
        chosen: the block; None: none yet.
    """

    def __init__(self, study: "Study", book: "GuessBook", asked: Callable[[], None], settings: Any) -> None:
        super().__init__(study, book, asked)
        self.chosen: str | None = book.of(study.name, shown=True)
        self._settings, self._values = settings, dict[str, float]()
        self.figure.add_class("reswork-network")
        self.figure.on_click(self.click)
        self.children = (self.question, self.figure, self.noted, self.told)
        if self.chosen is not None:
            self.lock()
        self._draw()

    @property
    def _shown(self) -> "PointedGuess":
        assert self._study.shown is not None and self._study.shown.kind == "pointed"
        return self._study.shown

    @property
    def guess(self) -> str | None:
        """Name of the block."""
        return self.chosen

    def click(self, name: str) -> None:
        """Choose a block; what is none is left alone."""
        if not self.noted.disabled and name in self._shown.network(self._settings)[0].block_names:
            self.chosen = name
            self.told.value = f"You point at {escape(name)}."
            self._draw()

    def renew(self, settings: Any) -> None:
        """Draw the network of other settings."""
        if not self.noted.disabled and settings != self._settings:
            self._settings = settings
            if self.chosen not in self._shown.network(settings)[0].block_names:
                self.chosen = None
            self._draw()

    def reveal(self, result: "StudyResult") -> None:
        """Colour the blocks, and name those that count."""
        answer = self._shown.answer(result) if result.is_complete else None
        if answer is None or not self.noted.disabled or self.chosen is None:
            return
        most = ", ".join(
            f"{name} {answer[name]:.1f}{self._shown.unit}" for name in [*answer][: self._shown.counts]
        )
        own = (
            f"; yours, {self.chosen}, {answer[self.chosen]:.1f}{self._shown.unit}"
            if self.chosen in answer
            else ""
        )
        right = self._shown.is_right(self.chosen, answer)
        self.told.value = f"{self._judged(right)} Most: {escape(most + own)}."
        self._settings, self._values = result.settings, answer
        self._draw()

    def _draw(self) -> None:
        sheet = spec_sheet(*self._shown.network(self._settings))
        self.figure.show(figures.network(sheet, self._values or None, self.chosen))


def shown_guess(study: "Study", book: "GuessBook", asked: Callable[[], None], settings: Any) -> ShownGuess:
    """The widget for what a study lets people draw, or point at."""
    assert study.shown is not None
    kind = DrawnCurve if study.shown.kind == "drawn" else PointedBlock
    return kind(study, book, asked, settings)
