"""Without normalisation: He's initialisation, Fixup and SkipInit at growing depth, beside batch norm."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import PAPER, SmallBatchSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent
from reswork.studies.study import DrawnGuess, Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.studies.lock_step import LockStep

KINDS: dict[str, dict[str, Any]] = {
    "He initialisation": {"norm": "none"},
    "Fixup": {"norm": "none", "residual_scaling": "fixup"},
    "SkipInit": {"norm": "none", "residual_scaling": "skipinit"},
    "batch norm": {},
}
_SCALED = ("Fixup", "SkipInit")
_LEARNED = 0.5  # of error: below it a network has learned something


@dataclass(frozen=True)
class WithoutNormSettings(SmallBatchSettings):
    """Which depths are trained."""

    epochs: int = setting(3, "Epochs", "passes over the training images", least=1, most=1000)
    kinds: tuple[str, ...] = setting(tuple(KINDS), "Kinds", f"of: {', '.join(KINDS)}", choices=tuple(KINDS))
    depths: tuple[int, ...] = setting((8, 20, 56, 110), "Depths", "weighted layers, 6n+2", least=8, most=1202)


def trainings_of(settings: WithoutNormSettings, shelf: Shelf | None) -> "Iterator[tuple[str, LockStep]]":
    """The seeds of each kind at each depth as one training, with its name, one after the other."""
    from reswork.studies.by_turns import training_of

    for name, (kind, depth) in _names(settings).items():
        config = settings.config(depth, order="pre", **KINDS[kind])
        yield name, training_of(settings, config, shelf, name)


def run(settings: WithoutNormSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Epoch by epoch, kinds and depths by turns; networks whose loss is not finite go on like the others."""
    from reswork.studies.by_turns import by_turns

    names = _names(settings)
    numbers = shelf.numbers or {
        f"{kind}/{depth}/{part}": np.full((settings.seeds, settings.epochs), np.nan)
        for kind, depth in names.values()
        for part in ("loss", "test")
    }
    yield Partial(numbers, 0.0, "building networks")

    def note(name: str, training: "LockStep") -> None:
        kind, depth = names[name]
        numbers[f"{kind}/{depth}/loss"][:, training.epoch - 1] = training.epoch_means()[0]
        numbers[f"{kind}/{depth}/test"][:, training.epoch - 1] = training.test()[1]

    yield from by_turns(dict(trainings_of(settings, shelf)), shelf, numbers, note)


def _names(settings: WithoutNormSettings) -> dict[str, tuple[str, int]]:
    return {
        f"depth-{depth}-{kind.replace(' ', '-')}": (kind, depth)
        for depth in settings.depths
        for kind in settings.kinds
    }


def cost(settings: WithoutNormSettings) -> Estimate:
    """From three steps of each."""
    from reswork.studies.by_turns import training_cost

    return training_cost(training for _, training in trainings_of(settings, None))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Error over depth, at the end and after one epoch as Fixup's figure 3 has it, and losses of the deepest."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    settings, numbers, deep = result.settings, result.numbers, max(result.settings.depths)

    def over_depth(epoch: int | None) -> list[Line]:
        return [
            Line.over(
                kind,
                settings.depths,
                100
                * np.stack(
                    [
                        _error(result, kind, depth)
                        if epoch is None
                        else numbers[f"{kind}/{depth}/test"][:, epoch]
                        for depth in settings.depths
                    ],
                    axis=1,
                ),
                colour=colour,
                dashed=kind == "batch norm",
            )
            for colour, kind in enumerate(settings.kinds)
        ]

    ticks = (settings.depths, [str(depth) for depth in settings.depths])
    losses = [
        Line.over(
            kind,
            np.arange(1, settings.epochs + 1),
            numbers[f"{kind}/{deep}/loss"],
            colour=colour,
            dashed=kind == "batch norm",
        )
        for colour, kind in enumerate(settings.kinds)
    ]
    return {
        "Error over depth": study_lines(
            over_depth(None),
            title="Error over depth",
            x="weighted layers",
            y="test error, %",
            summary=_told(result) + ".",
            explained=about(
                "Share of test images that are named wrong, after as many epochs as are computed so far; 90 % "
                "is guessing. Bars: the smallest and the largest over the seeds.",
                "He's initialisation without a norm learns while the network is shallow and guesses beyond; "
                "Fixup and SkipInit go on learning, not far behind batch norm.",
                "Lower the learning rate to 0.01: how much deeper does He's initialisation get?",
            ),
            ticks=ticks,
            y_range=(0, 100),
        ),
        "Error after one epoch": study_lines(
            over_depth(0),
            title="Error after one epoch",
            x="weighted layers",
            y="test error, %",
            summary="Test error after the first epoch, over the depth.",
            explained=about(
                "The form of Fixup's figure 3, which has accuracies up to 10,000 layers: how far a network gets "
                "in its first epoch.",
                "It tells whether a network starts at all; a short training is enough for that.",
                "Compare with the figure above: what starts late is not lost.",
            ),
            ticks=ticks,
            y_range=(0, 100),
        ),
        f"Losses at {deep} layers": study_lines(
            losses,
            title=f"Losses at {deep} layers",
            x="epoch",
            y="training loss",
            summary=f"Training loss at {deep} layers; {_diverged(result, deep)}.",
            explained=about(
                "Mean training loss of each epoch. A line that is not there is a loss that was not finite.",
                "2.3 is guessing among ten classes.",
                "Look at the study of signals at initialisation: the same networks, before the first step.",
            ),
            y_scale="log",
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """What the papers trained, at what depth."""
    published = {
        "He initialisation": (
            "not trainable at 100 (Wide ResNet, CIFAR-10)",
            "De and Smith 2020, table 1, from memory",
        ),
        "Fixup": ("10,000", "Zhang et al. 2019, abstract"),
        "SkipInit": ("1000 (Wide ResNet, CIFAR-10)", "De and Smith 2020, table 1, from memory"),
    }
    rows = [
        Compared(f"layers that still learn, {kind}", *told, _reach(result, kind))
        for kind, told in published.items()
        if kind in result.settings.kinds
    ]
    errors = {"Fixup": "7.24 %", "batch norm": "6.61 %"}
    rows += [
        Compared(
            f"test error, {kind}, 110 layers",
            f"{told} (CIFAR-10)",
            "Zhang et al. 2019, table 1, from memory",
            percent(_error(result, kind, 110)),
        )
        for kind, told in errors.items()
        if kind in result.settings.kinds and 110 in result.settings.depths
    ]
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether scaled branches learn where He's initialisation does not."""
    tolerance = (
        "repeated: with every seed He's initialisation without a norm has a test error below "
        f"{100 * _LEARNED:.0f} % at the smallest depth and above it at the greatest, where Fixup and SkipInit "
        "are below it; three seeds at least"
    )
    settings = result.settings
    shallow, deep = min(settings.depths), max(settings.depths)
    if not {"He initialisation", *_SCALED} <= set(settings.kinds):
        return Verdict("open", "the rule needs He initialisation, Fixup and SkipInit", tolerance)
    told = f"{_told(result)}; {_diverged(result, deep)}"
    if settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    if shallow == deep:
        return Verdict("open", "one depth says nothing about depth", tolerance)
    he = "He initialisation"
    holds = (
        (_error(result, he, shallow) < _LEARNED).all()
        and (_error(result, he, deep) > _LEARNED).all()
        and all((_error(result, kind, deep) < _LEARNED).all() for kind in _SCALED)
    )
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _error(result: StudyResult, kind: str, depth: int) -> np.ndarray:
    """(S,) test errors after as many epochs as are computed."""
    return latest(result.numbers[f"{kind}/{depth}/test"])


def _reach(result: StudyResult, kind: str) -> str:
    """The deepest network of a kind that learned with every seed."""
    learned = [depth for depth in result.settings.depths if (_error(result, kind, depth) < _LEARNED).all()]
    tried = max(result.settings.depths)
    return f"{max(learned)} of at most {tried}" if learned else f"none of at most {tried}"


def _diverged(result: StudyResult, depth: int) -> str:
    counts = []
    for kind in result.settings.kinds:
        known = np.isfinite(result.numbers[f"{kind}/{depth}/test"])
        finite = np.isfinite(result.numbers[f"{kind}/{depth}/loss"])
        count = int((known & ~finite).any(axis=1).sum())
        if count:
            counts.append(f"{kind} with {count} of {len(known)} seeds")
    return (
        f"at {depth} layers the loss was not finite for {', '.join(counts)}" if counts else "no loss diverged"
    )


def _told(result: StudyResult) -> str:
    deep = max(result.settings.depths)
    words = [
        f"{kind} {told}" for kind in result.settings.kinds if (told := percent(_error(result, kind, deep)))
    ]
    return (
        f"test error at {deep} layers: {', '.join(words)}"
        if words
        else "No network has an epoch behind it yet"
    )


def _answer(result: StudyResult) -> str | None:
    if "He initialisation" not in result.settings.kinds:
        return None
    learned = [
        depth
        for depth in result.settings.depths
        if (_error(result, "He initialisation", depth) < _LEARNED).all()
    ]
    if not learned:
        return GUESS.choices[0]
    deepest = max(learned)
    return GUESS.choices[0 if deepest < 20 else 1 if deepest < 56 else 2 if deepest < 110 else 3]


GUESS = Guess(
    "A residual network without any norm, with He's initialisation and a learning rate of 0.1. How deep may it "
    "be and still learn?",
    ("not even 20 layers", "20, not 56", "56, not 110", "110 and more"),
    _answer,
    "Without a norm each block doubles the variance of the stream: after 54 blocks it is 2^54 times as large. "
    "Fixup and SkipInit start each branch at zero, so that the network begins as its shortcuts alone.",
)


def _breaks(errors: np.ndarray) -> int:
    """The first place of (P,) errors in percent at which a network does not learn; P: it always does."""
    return int(np.argmax(np.append(errors, 100.0) >= 100 * _LEARNED))


SHOWN = DrawnGuess(
    "He's initialisation and no norm: which test error has each depth? Where does it break? Draw it with the sliders.",
    "weighted layers",
    "test error, %",
    100,
    lambda settings: tuple(f"depth {depth}" for depth in settings.depths),
    lambda result: np.array(
        [
            100 * _error(result, "He initialisation", depth).mean()
            if "He initialisation" in result.settings.kinds
            else np.nan
            for depth in result.settings.depths
        ]
    ),
    lambda drawn, real: _breaks(drawn) == _breaks(real),
    f"right is a curve that comes above {100 * _LEARNED:.0f} % at the same depth as the real one",
)

STUDY = Study(
    name="without_norm",
    title="Without normalisation",
    question="Does a deep residual network need batch norm, or only a start with small branches?",
    source=Source(
        "Zhang et al. 2019, De and Smith 2020",
        "1901.09321",
        "figure 3, table 1 (and arXiv:2002.10444, table 1)",
    ),
    texts=Texts(
        "Batch norm was thought to be what makes deep networks trainable. Leave it out, and a deep residual "
        "network explodes at its first step. But start each branch at zero, so that the network begins as "
        "nothing but shortcuts, and it learns without any norm.",
        "Pre-activation networks of the CIFAR form: no norm with He's initialisation (fan in), Fixup (branches "
        "scaled by L^(-1/2), last layers zero, scalars and biases), SkipInit (a scalar from 0 on each branch), "
        "and batch norm; the same rate of 0.1 for all, no clipping, no warm-up but one cycle's own. The toy "
        "trains 3 epochs of digits in batches of 32; the papers train for 200 epochs, and find small losses of "
        "accuracy against batch norm that a toy cannot resolve.",
        "10 minutes. Ask for the doubling first: 2^54, does float32 hold that (yes: 10^16), does its gradient? "
        "Then guess and run. Goes wrong: SkipInit is slow at 110 layers with some seeds (errors of 9 to 20 % "
        "after three epochs), and somebody calls that a failure; give it more epochs. Answer to 'so is batch "
        "norm useless?': it also lets larger rates work, and it regularises.",
    ),
    guess=GUESS,
    shown=SHOWN,
    toy=WithoutNormSettings(),
    paper=WithoutNormSettings(**{**PAPER, "batch_size": 128}, depths=(20, 56, 110, 1202), seeds=3),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
