"""A study: a published finding, computed again, with its figure, the paper's numbers and a verdict."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from reswork.errors import InvalidSetting
from reswork.results.study import Compared, Verdict
from reswork.studies.settings import Settings
from reswork.studies.shelf import Shelf, studies_folder
from reswork.training.cores import CORES

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from torch import nn

    from reswork.datasets.dataset import Dataset
    from reswork.models.config import ResNetConfig

_WRITE_EVERY_S = 5.0


class Source(NamedTuple):
    """Where a finding was published."""

    paper: str  # authors and year
    arxiv: str  # its number there
    where: str  # figure, table, section

    @property
    def link(self) -> str:
        """Address of the paper."""
        return f"https://arxiv.org/abs/{self.arxiv}"

    def __str__(self) -> str:
        return f"{self.paper}, arXiv:{self.arxiv}, {self.where}"


class Texts(NamedTuple):
    """What a study says to whom."""

    beginner: str  # what is asked, in plain words
    expert: str  # what is computed, and how it differs from the paper
    teacher: str  # minutes, what to say, what goes wrong


@dataclass(frozen=True, eq=False)
class Guess:
    """What a learner says before seeing it.

    Attributes:
        question: to be answered beforehand.
        choices: to pick from.
        answer: of a result, one of the choices; None where it does not tell.
        explained: why it is so.
    """

    question: str
    choices: tuple[str, ...]
    answer: "Callable[[StudyResult], str | None]"
    explained: str


@dataclass(frozen=True, eq=False)
class DrawnGuess:
    """A curve that a learner draws before seeing the real one.

    Attributes:
        question: to be answered beforehand.
        x: title of the axis of the places.
        y: title of the values' axis.
        most: largest value that can be drawn; the smallest is 0.
        places: of some settings, the words under the points.
        real: of a result, a value for each place; NaN where it does not tell.
        right: of drawn and real values, (P,) each, whether the guess counts as right.
        rule: what counts as right, in words.
    """

    question: str
    x: str
    y: str
    most: float
    places: Callable[[Any], tuple[str, ...]]
    real: "Callable[[StudyResult], np.ndarray]"
    right: Callable[[np.ndarray, np.ndarray], bool]
    rule: str
    kind: Literal["drawn"] = "drawn"

    def answer(self, result: "StudyResult") -> dict[str, float] | None:
        """Place to value; None where the result does not tell all of them."""
        values = self.real(result)
        names = self.places(result.settings)
        return dict(zip(names, map(float, values), strict=True)) if np.isfinite(values).all() else None

    def is_right(self, guess: Mapping[str, float], answer: Mapping[str, float]) -> bool | None:
        """Whether a guess counts as right; None where it is of other places."""
        if [*guess] != [*answer]:
            return None
        return bool(self.right(np.array([*guess.values()], float), np.array([*answer.values()], float)))


@dataclass(frozen=True, eq=False)
class PointedGuess:
    """A block of a network that a learner points at before seeing which one it is.

    Attributes:
        question: to be answered beforehand.
        network: of some settings, the network that is drawn and the shape of its images.
        values: of a result, block name to a number, the larger the more it is asked for; None where it does not tell.
        counts: so many of the largest count as right.
        unit: of the numbers, behind them.
    """

    question: str
    network: "Callable[[Any], tuple[ResNetConfig, tuple[int, int, int]]]"
    values: "Callable[[StudyResult], dict[str, float] | None]"
    counts: int
    unit: str
    kind: Literal["pointed"] = "pointed"

    @property
    def rule(self) -> str:
        """What counts as right, in words."""
        return f"right is one of the {self.counts} that are most so"

    def answer(self, result: "StudyResult") -> dict[str, float] | None:
        """Block name to its number, the largest first."""
        values = self.values(result)
        return values and dict(sorted(values.items(), key=lambda each: -each[1]))

    def is_right(self, guess: str, answer: Mapping[str, float]) -> bool | None:
        """Whether a guess counts as right; None where the network has no such block."""
        return guess in [*answer][: self.counts] if guess in answer else None


class Estimate(NamedTuple):
    """What a study will cost on this machine, measured on a few steps."""

    seconds: float
    bytes: float

    def __str__(self) -> str:
        seconds, size = self.seconds, self.bytes / 2**20
        time_ = (
            f"{seconds:.0f} s"
            if seconds < 100
            else f"{seconds / 60:.0f} min"
            if seconds < 6000
            else f"{seconds / 3600:.0f} h"
        )
        return f"about {time_}, {size:.0f} MiB" if size < 1000 else f"about {time_}, {size / 1024:.1f} GiB"


class Partial(NamedTuple):
    """What a study has so far."""

    numbers: dict[str, np.ndarray]
    share: float  # of the work, 0 to 1
    doing: str  # in a few words


Run = Callable[[Any, Shelf], Generator[Partial, None, None]]


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found, or has found so far.

    Attributes:
        study: of which.
        settings: it was computed with.
        numbers: name to array.
        share: of the work that is done.
        doing: what it is at.
        seconds: of computing.
        processor_seconds: of the whole process meanwhile, all threads together.
        machine: processor, threads, version of torch.
        begun: date and time.
    """

    study: "Study"
    settings: Any
    numbers: Mapping[str, np.ndarray]
    share: float
    doing: str
    seconds: float
    processor_seconds: float
    machine: str
    begun: str

    @property
    def is_complete(self) -> bool:
        """Whether all of it was computed."""
        return self.share >= 1

    @property
    def figures(self) -> "dict[str, go.Figure]":
        """All figures by title, the first one in the paper's form or the sum of all."""
        return self.study.figures(self)

    @property
    def figure(self) -> "go.Figure":
        """The first figure."""
        return next(iter(self.figures.values()))

    @property
    def compared(self) -> tuple[Compared, ...]:
        """The paper's numbers beside these."""
        return self.study.compared(self)

    @property
    def verdict(self) -> Verdict:
        """Whether the finding was repeated."""
        if not self.is_complete:
            told = f"{self.share:.0%} of it is computed so far."
            return Verdict("open", told, "a verdict needs the whole study")
        return self.study.verdict(self)

    def save(self, path: str | Path) -> Path:
        """Write it into a file: ``.html`` is one page with the figures, ``.json`` the numbers.

        Raises:
            InvalidSetting: another ending.
        """
        from reswork.studies.page import save_result

        return save_result(self, path)

    def __repr__(self) -> str:
        return f"{self.study.title}: {self.verdict}"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(row.what)}</td><td>{escape(row.published)} "
            f"({escape(row.where)})</td><td>{escape(row.ours)}</td></tr>"
            for row in self.compared
        )
        return (
            f"<b>{escape(self.study.title)}</b><br>{escape(str(self.verdict))}"
            f"<table><tr><th></th><th>{escape(self.study.source.paper)}</th><th>here</th></tr>{rows}</table>"
        )


@dataclass(frozen=True, eq=False)
class Study:
    """A published finding that can be computed again; call it for a result.

    Attributes:
        name: as in ``rw.studies.NAME``.
        title: for people.
        question: that it answers.
        source: where the finding was published.
        texts: for a beginner, for who knows the field, for a teacher.
        guess: what to ask beforehand.
        toy: settings that take seconds.
        paper: the paper's own settings.
        run: computes; a generator of what it has so far, which yields several times a second.
        cost: what settings will cost, measured.
        figures: of a result, by title.
        compared: the paper's numbers beside a result's.
        verdict: of a complete result.
        patient: for some settings and the folder of all studies, a trained network to take blocks out of, and its
            data, or None where it is not trained yet.
        shown: what to draw or to point at beforehand, besides the guess.
        version: raised where the computation changes, so that old numbers are not taken for new ones.

    Example:
        >>> import reswork as rw
        >>> rw.studies.degradation.source.arxiv
        '1512.03385'
    """

    name: str
    title: str
    question: str
    source: Source
    texts: Texts
    guess: Guess
    toy: Settings
    paper: Settings
    run: Run
    cost: Callable[[Any], Estimate]
    figures: "Callable[[StudyResult], dict[str, go.Figure]]"
    compared: Callable[[StudyResult], tuple[Compared, ...]]
    verdict: Callable[[StudyResult], Verdict]
    patient: "Callable[[Any, Path], tuple[nn.Module, Dataset] | None] | None" = None
    shown: DrawnGuess | PointedGuess | None = None
    version: int = 1

    def __call__(
        self,
        settings: Settings | None = None,
        *,
        again: bool = False,
        folder: str | Path | None = None,
        **changes: Any,
    ) -> StudyResult:
        """Compute it to its end; what was computed before is shown again.

        Ctrl+C ends it; the next call goes on from there.

        Args:
            settings: None: the toy; `paper` are the paper's.
            again: forget what was computed before.
            folder: of all studies; None: ``.studies`` in the folder of the runs.
            **changes: single settings, such as ``depths=(20, 56), seeds=5``.

        Raises:
            InvalidSetting: for settings that cannot work.
        """
        found = deque(self.results(settings, again=again, folder=folder, **changes), maxlen=1)
        return found.pop()

    def settings(self, settings: Settings | None = None, **changes: Any) -> Settings:
        """Checked settings: the toy's or the given ones, with changes.

        Raises:
            InvalidSetting: for a setting that there is not, or a value that is not accepted.
        """
        given = settings if settings is not None else self.toy
        if not isinstance(given, type(self.toy)):
            raise InvalidSetting(
                "settings",
                f"settings={given!r} are not those of {self.name}; give rw.studies.{self.name}.toy or .paper",
            )
        type(self.toy).from_dict(changes)  # says which settings there are
        return replace(given, **changes)

    def kept(
        self, settings: Settings | None = None, *, folder: str | Path | None = None
    ) -> StudyResult | None:
        """What was computed before with these settings, as far as it came; None: nothing."""
        settings = self.settings(settings)
        shelf = self._shelf(settings, folder)
        return self._result(settings, shelf, "") if shelf.numbers else None

    def network(
        self, settings: Settings | None = None, *, folder: str | Path | None = None
    ) -> "tuple[nn.Module, Dataset] | None":
        """A network that it trained with these settings, and its data; None: it has none, or none yet."""
        return (
            self.patient(self.settings(settings), studies_folder(folder))
            if self.patient is not None
            else None
        )

    def estimate(self, settings: Settings | None = None, **changes: Any) -> Estimate:
        """Seconds and memory that it will need here, measured on a few steps."""
        return self.cost(self.settings(settings, **changes))

    def results(
        self,
        settings: Settings | None = None,
        *,
        again: bool = False,
        folder: str | Path | None = None,
        **changes: Any,
    ) -> Iterator[StudyResult]:
        """Compute it and see it grow: a generator; not pulling, or closing, is stopping, and nothing is lost.

        Args:
            settings: as for a call.
            again: likewise.
            folder: likewise.
            **changes: likewise.
        """
        settings = self.settings(settings, **changes)
        return self._results(settings, self._shelf(settings, folder), again)

    def _results(self, settings: Settings, shelf: Shelf, again: bool) -> Iterator[StudyResult]:
        if again:
            shelf.clear()
        if shelf.is_complete:
            yield self._result(settings, shelf, "computed before")
            return
        with CORES.taken():
            run, written = self.run(settings, shelf), time.monotonic()
            try:
                while True:
                    wall, processor = time.perf_counter(), time.process_time()
                    partial = next(run, None)
                    shelf.facts["seconds"] += time.perf_counter() - wall
                    shelf.facts["processor_seconds"] += time.process_time() - processor
                    if partial is None:
                        break
                    shelf.numbers, shelf.facts["share"] = partial.numbers, min(partial.share, 0.999)
                    if time.monotonic() - written > _WRITE_EVERY_S:
                        shelf.write()
                        written = time.monotonic()
                    yield self._result(settings, shelf, partial.doing)
                shelf.facts.update(complete=True, share=1.0)
            finally:
                run.close()  # puts the state of its trainings on the shelf
                shelf.write()
        yield self._result(settings, shelf, "done")

    def _shelf(self, settings: Settings, folder: str | Path | None) -> Shelf:
        return Shelf(studies_folder(folder), self.name, settings.to_dict(), self.version)

    def _result(self, settings: Settings, shelf: Shelf, doing: str) -> StudyResult:
        facts = shelf.facts
        share = 1.0 if shelf.is_complete else float(facts["share"])
        return StudyResult(
            self,
            settings,
            dict(shelf.numbers),
            share,
            doing,
            float(facts["seconds"]),
            float(facts["processor_seconds"]),
            str(facts["machine"]),
            str(facts["begun"]),
        )
