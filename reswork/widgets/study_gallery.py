"""Studies on the page: a card for each, which runs, draws itself, is compared with the paper, and asks first."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from reswork.errors import InvalidSetting
from reswork.widgets.form import (
    ErrorLine,
    Field,
    Form,
    button,
    listed_numbers,
    menu_field,
    number_or_none,
    text_of,
)
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.lesion_view import LesionView
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.parts import Part, accordion
from reswork.widgets.shown_guess import ShownGuess, shown_guess
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import note

if TYPE_CHECKING:  # studies are above widgets: the gallery gets them handed in
    from reswork.studies.guesses import GuessBook
    from reswork.studies.study import Study, StudyResult

_WORDS_S, _FIGURES_S, _SHARE = (
    0.3,
    0.7,
    0.1,
)  # between two updates of words, of figures; largest share of the time


class StudyGallery(w.VBox):
    """All studies as cards; several may run side by side.

    Args:
        studies: by name.
        book: of guesses.
        folder: where results are kept; None: the studies' own place.
    """

    def __init__(
        self, studies: "Mapping[str, Study]", book: "GuessBook", folder: str | Path | None = None
    ) -> None:
        super().__init__()
        self._book = book
        self.score = w.HTML()
        self.score.add_class("reswork-note")
        self.cards = {
            name: StudyCard(study, book, folder, self.tell_score) for name, study in studies.items()
        }
        place = w.Box(list(self.cards.values()))
        place.add_class("reswork-cards")
        self.children = (PageAssets(), self.score, place)
        self.add_class("reswork")
        self.tell_score()

    def tell_score(self) -> None:
        """Say how many guesses were right."""
        right, settled = self._book.score
        told = (
            f"{right} of {settled} guesses right so far."
            if settled
            else "Guess before you run: the score is kept."
        )
        self.score.value = f"{len(self.cards)} studies. {told}"

    def close(self) -> None:
        """Stop what runs (it is kept), take the gallery off the page and free its widgets."""
        for card in self.cards.values():
            card.stop()
        for card in self.cards.values():
            card.wait(10)
        if self.comm is not None:
            close_tree(self)


class StudyCard(w.VBox):
    """One study: what it asks, a guess, its settings, its figures while it runs, the paper's numbers, the verdict.

    Args:
        study: what is shown.
        book: of guesses.
        folder: where results are kept.
        guessed: called when a guess is settled.
    """

    def __init__(self, study: "Study", book: "GuessBook", folder: str | Path | None, guessed: Any) -> None:
        super().__init__()
        self.study, self._book, self._folder, self._guessed = study, book, folder, guessed
        self.result: StudyResult | None = None
        self.form = Form({each.name: _field(each) for each in fields(study.toy)}, lambda: self._changed())
        self.run = button(
            "Run", "Compute it; what was computed before is shown, or gone on with", self._run, "primary"
        )
        self.halt = button("Stop", "Stop at once and keep what is there", self.stop)
        self.again = button(
            "Again", "Forget what was computed with these settings, and compute it anew", self._anew
        )
        self.cost = button(
            "Cost?", "Measure on a few steps how long these settings will take here", self._ask_cost
        )
        self.save = button(
            "Save", "Write figures, numbers and verdict into one page beside the notebook", self._save
        )
        self.error, self.said, self.progress, self.found = ErrorLine(), w.HTML(), w.HTML(), w.HTML()
        self.figures: dict[str, LiveFigure] = {}
        self._place = w.VBox()
        self._worker = LatestJob(self._failed)
        self._patient, self._opened = w.VBox(), False
        self._patient_of: Any = None  # settings of the network that is drawn
        self.choices = w.RadioButtons(
            options=study.guess.choices, value=book.of(study.name), layout=w.Layout(width="auto")
        )
        self.noted = button("Guess", "Note this guess; the first one counts", self._guess)
        self.told = w.HTML()
        self.shown: ShownGuess | None = None  # made when its section is opened
        for each in (self.said, self.found, self.told):
            each.add_class("reswork-note")
        bar = w.HBox([self.run, self.halt, self.again, self.cost, self.save])
        bar.add_class("reswork-bar")
        sections = accordion(
            {
                "Guess first": Part(self._guess_view),
                "Settings": Part(self._settings_view),
                **({"Take blocks out": Part(self._patient_view)} if study.patient is not None else {}),
                "About this study": Part(lambda: [w.HTML(_about(study))]),
            }
        )
        self.children = (
            w.HTML(_head(study)),
            sections,
            bar,
            self.error,
            self.progress,
            self.said,
            self._place,
            self.found,
        )
        self.add_class("reswork-card")
        self._set_busy(False)
        self._changed()

    def stop(self) -> None:
        """Stop at once; what is there is kept."""
        self._worker.submit(
            self._stopped
        )  # also where the last job had not begun, and frees no button itself

    def _stopped(self) -> Iterator[None]:
        self._set_busy(False)
        yield

    def wait(self, seconds: float = 600) -> bool:
        """Wait until nothing is computed; False after so many seconds."""
        return self._worker.wait(seconds)

    def _settings(self) -> Any:
        """As the form says; None where they are refused, with the sentence under the field."""
        self.form.clear_errors()
        self.error.tell("")
        try:
            return self.study.settings(**self.form.values)
        except InvalidSetting as refused:
            self.form.show_error(refused.field, str(refused), next(iter(self.form.fields)))
            return None

    def _changed(self) -> None:
        """Show what was computed before with the settings of the form."""
        settings = self._settings()
        if settings is None:
            return
        if self.shown is not None:
            self.shown.renew(settings)
        kept = self.study.kept(settings, folder=self._folder)
        if kept is not None:
            self._show(kept, computing=False)
        elif self.result is None or self.result.settings != settings:
            below = " Below is the result of other ones." if self.result is not None else ""
            self.said.value = f"Not computed yet with these settings.{below}"

    def _run(self) -> None:
        self._start(again=False)

    def _anew(self) -> None:
        self._start(again=True)

    def _start(self, *, again: bool) -> None:
        settings = self._settings()
        if settings is None:
            self.error.tell("A setting is not accepted; see Settings.")
            return
        self._set_busy(True)
        self.said.value = "Getting ready ..."
        self._worker.submit(lambda: self._computed(settings, again))

    def _computed(self, settings: Any, again: bool) -> Iterator[None]:
        begun, words, drawn, pause = time.monotonic(), 0.0, 0.0, _FIGURES_S
        result, first = None, None
        try:
            # It brings pandas, which plotly looks at: half imported by another card's thread it fails. One waits here
            # for the other.
            import sklearn.datasets  # noqa: F401

            with closing(self.study.results(settings, again=again, folder=self._folder)) as results:  # type: ignore[type-var]
                for result in results:
                    now = time.monotonic()
                    first = result.share if first is None else first
                    if now - words > _WORDS_S:
                        words = now
                        self._tell(result, now - begun, result.share - first)
                    if result.is_complete or now - drawn > pause:
                        self._show(result, computing=not result.is_complete)
                        drawn = time.monotonic()
                        pause = max(_FIGURES_S, (drawn - now) / _SHARE)
                    yield
        finally:
            if result is not None and not result.is_complete:
                self._show(result, computing=False)
            self._set_busy(False)

    def _tell(self, result: "StudyResult", seconds: float, gained: float) -> None:
        left = seconds * (1 - result.share) / gained if gained > 0.02 else None
        told = f"{result.doing}, {result.share:.0%}" + (
            f", about {left:.0f} s left" if left is not None else ""
        )
        bar = f'<div class="reswork-progress"><div style="width:{100 * result.share:.1f}%"></div></div>'
        self.progress.value = bar + escape(told)
        self.said.value = ""

    def _show(self, result: "StudyResult", *, computing: bool) -> None:
        self.result = result
        figures = result.figures
        for title, figure in figures.items():
            if title in self.figures:
                self.figures[title].show(figure)
            else:
                self.figures[title] = LiveFigure(figure)
        gone = [self.figures.pop(title) for title in [*self.figures] if title not in figures]
        self._place.children = tuple(self.figures.values())
        for each in gone:
            close_tree(each)
        if computing:
            return
        self.progress.value = ""
        state = "Complete" if result.is_complete else f"{result.share:.0%} of it; Run goes on from there"
        self.said.value = (
            f"{state}. Computed in {result.seconds:.0f} s ({result.processor_seconds:.0f} s of processor), "
            f"begun {escape(result.begun)}."
        )
        self.found.value = _found(result)
        self._fill_patient()
        self._settle()

    def _settle(self) -> None:
        if self.result is None:
            return
        if self._book.settle_shown(self.result) is not None:
            self._guessed()
        if self.shown is not None:
            self.shown.reveal(self.result)
        right = self._book.settle(self.result)
        if right is not None:
            verdict = "<b>Your guess was right.</b>" if right else "<b>Your guess was not what happened.</b>"
            self.told.value = f"{verdict} {escape(self.study.guess.explained)}"
            self._guessed()

    def _guess_view(self) -> list[w.Widget]:
        question = w.HTML(escape(self.study.guess.question))
        question.add_class("reswork-note")
        if self._book.of(self.study.name) is not None:
            self._lock()
        views: list[w.Widget] = [question, self.choices, self.noted, self.told]
        if self.study.shown is not None:
            self.shown = shown_guess(self.study, self._book, self._settle, self._settings() or self.study.toy)
            if self.result is not None:
                self.shown.reveal(self.result)
            views.append(self.shown)
        return views

    def _guess(self) -> None:
        if self.choices.value is None:
            self.told.value = "Choose one first."
            return
        self._book.guess(self.study.name, self.choices.value)
        self.told.value = "Noted. Now run it."
        self._lock()
        self._settle()

    def _lock(self) -> None:
        self.choices.disabled = self.noted.disabled = True

    def _patient_view(self) -> list[w.Widget]:
        self._opened = True
        self._fill_patient()
        return [self._patient]

    def _fill_patient(self) -> None:
        """Show the network that was trained with these settings, for blocks to be clicked away."""
        settings = self._settings()
        if not self._opened or settings is None or settings == self._patient_of:
            return
        found = self.study.network(settings, folder=self._folder)
        before = self._patient.children
        if found is None:
            self._patient.children = (note("Run it first: then the trained network is drawn here."),)
        else:
            self._patient.children, self._patient_of = (LesionView(*found),), settings
        for each in before:
            close_tree(each)

    def _settings_view(self) -> list[w.Widget]:
        toy = button("Toy", "Settings that take seconds", lambda: self._set(self.study.toy))
        paper = button(
            "The paper's",
            "For who has the data, the hardware and the time",
            lambda: self._set(self.study.paper),
        )
        return [w.HBox([toy, paper]), *self.form.views(*self.form.fields)]

    def _set(self, settings: Any) -> None:
        self.form.set(**{each.name: getattr(settings, each.name) for each in fields(settings)})

    def _ask_cost(self) -> None:
        settings = self._settings()
        if settings is not None:
            self._set_busy(True)
            self._worker.submit(lambda: self._costed(settings))

    def _costed(self, settings: Any) -> Iterator[None]:
        try:
            self.said.value = "Measuring a few steps ..."
            yield
            self.said.value = f"These settings will take {self.study.estimate(settings)} here."
        finally:
            self._set_busy(False)

    def _save(self) -> None:
        if self.result is None:
            self.error.tell("There is nothing to save yet; press Run.")
            return
        try:
            path = self.result.save(f"{self.study.name}.html")
        except OSError as error:
            self.error.tell(f"It could not be saved: {error}")
            return
        self.said.value = f"Saved as {escape(str(path))}."

    def _failed(self, error: Exception) -> None:
        self.error.tell(str(error))
        self.said.value = self.progress.value = ""  # what it was doing

    def _set_busy(self, busy: bool) -> None:
        for each in (self.run, self.again, self.cost, self.save):
            each.disabled = busy
        self.halt.disabled = not busy


def _field(each: Any) -> Field:
    """The control of one setting."""
    about, default = each.metadata, each.default
    label, tip = about["label"], about["what"]
    if isinstance(default, bool):
        return Field(label, w.Checkbox, tip, value=default, indent=True)
    if about["choices"] and not isinstance(default, tuple):
        return menu_field(label, tip, *about["choices"], value=str(default))
    if isinstance(default, tuple):
        return Field(
            label,
            w.Text,
            tip,
            value=_joined(default),
            read=listed_numbers,
            write=_joined,
            continuous_update=False,
        )
    return Field(
        label,
        w.Text,
        tip,
        value=text_of(default),
        read=number_or_none,
        write=text_of,
        continuous_update=False,
    )


def _joined(values: Any) -> str:
    return ", ".join(map(text_of, values))


def _head(study: "Study") -> str:
    source = study.source
    return (
        f"<h3>{escape(study.title)}</h3><p>{escape(study.question)}</p>"
        f'<p class="reswork-muted"><a href="{escape(source.link)}" target="_blank" '
        f'rel="noopener">{escape(source.paper)}</a>, '
        f"{escape(source.where)}</p>"
    )


def _about(study: "Study") -> str:
    parts = (
        ("In short", study.texts.beginner),
        ("For who knows the field", study.texts.expert),
        ("For the teacher", study.texts.teacher),
    )
    return "".join(f"<p><b>{title}.</b> {escape(text)}</p>" for title, text in parts if text)


def _found(result: "StudyResult") -> str:
    """Verdict and the paper's numbers beside these."""
    verdict = result.verdict
    kind = {"repeated": "passed", "not repeated": "failed", "open": "doubtful"}[verdict.state]
    rows = "".join(
        f"<tr><td>{escape(row.what)}</td><td>{escape(row.published)} <span "
        f"class='reswork-muted'>{escape(row.where)}</span></td>"
        f"<td>{escape(row.ours) or 'not computed'}</td></tr>"
        for row in result.compared
    )
    table = (
        f'<table class="reswork-trust"><tr><th></th><th>published</th><th>here</th></tr>{rows}</table>'
        if rows
        else ""
    )
    counts = verdict.tolerance
    counts = f"Counts as {counts}" if counts.startswith("repeated") else counts[:1].upper() + counts[1:]
    sentence = verdict.sentence[:1].upper() + verdict.sentence[1:]
    return (
        f'<p><b class="reswork-trust"><span '
        f'class="reswork-{kind}">{escape(verdict.state.capitalize())}.</span></b> '
        f"{escape(sentence.rstrip('.'))}. <span "
        f'class="reswork-muted">{escape(counts)}.</span></p>{table}'
    )
