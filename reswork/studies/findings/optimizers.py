"""Optimizers and schedules: SGD, Adam and AdamW with four courses of the learning rate, on the same network."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import PAPER, NetworkSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent, points
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.studies.lock_step import LockStep
    from reswork.training.recipe import Recipe

DECAYS = {"sgd": 1e-4, "adam": 1e-4, "adamw": 1e-2}  # He 2015; torch's own for AdamW, which decays apart
LABELS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
SCHEDULES = {"constant": "constant", "step": "step", "cosine": "cosine", "one_cycle": "one cycle"}
_RANGE = (1e-5, 10.0)
_APART = 0.01  # of training loss: less is no sign of weights that are still on their way
_BELOW = 10.0  # the rate that is used is so much below the one with the lowest loss
_SMOOTHED = 5  # steps of the range test whose losses are averaged


@dataclass(frozen=True)
class OptimizerSettings(NetworkSettings):
    """Which optimizers with which schedules; their peak rates come from a range test."""

    epochs: int = setting(8, "Epochs", "passes over the training images", least=1, most=1000)
    depth: int = setting(20, "Depth", "weighted layers, 6n+2", least=8, most=1202)
    optimizers: tuple[str, ...] = setting(
        tuple(DECAYS), "Optimizers", f"of: {', '.join(DECAYS)}", choices=tuple(DECAYS)
    )
    schedules: tuple[str, ...] = setting(
        tuple(SCHEDULES), "Schedules", f"of: {', '.join(SCHEDULES)}", choices=tuple(SCHEDULES)
    )
    range_steps: int = setting(
        100, "Range test", "steps of the learning-rate range test", least=10, most=10_000
    )


def range_rates(settings: OptimizerSettings) -> np.ndarray:
    """(R,) learning rates of the range test, each step larger than the one before by the same factor."""
    return np.geomspace(*_RANGE, settings.range_steps)


def peak_rate(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate to train with: a tenth of that at which the loss of a range test is lowest.

    Args:
        rates: (R,).
        losses: (S, R) of the steps with these rates; what is not finite counts as the highest.
    """
    known = np.where(np.isfinite(losses), losses, np.inf).mean(axis=0)
    width = min(_SMOOTHED, len(known))
    smooth = np.array([known[max(0, end - width) : end].mean() for end in range(1, len(known) + 1)])
    return float(rates[int(np.argmin(smooth))] / _BELOW)


def range_tests(settings: OptimizerSettings, shelf: Shelf | None) -> "Iterator[tuple[str, LockStep]]":
    """The range test of each optimizer, all seeds as one."""
    from reswork.studies.by_turns import training_of

    config, rates = settings.config(settings.depth), range_rates(settings).tolist()
    for optimizer in settings.optimizers:
        name, recipe = f"range-test-{optimizer}", _recipe(settings, optimizer, "constant", 1.0)
        yield name, training_of(settings, config, shelf, name, recipe=recipe, rates=rates)


def trainings_of(
    settings: OptimizerSettings, peaks: dict[str, float], shelf: Shelf | None
) -> "Iterator[tuple[str, LockStep]]":
    """Each optimizer with each schedule, all seeds as one."""
    from reswork.studies.by_turns import training_of

    config = settings.config(settings.depth)
    for name, (optimizer, schedule) in _names(settings).items():
        recipe = _recipe(settings, optimizer, schedule, peaks[optimizer])
        yield name, training_of(settings, config, shelf, name, recipe=recipe)


def _recipe(settings: OptimizerSettings, optimizer: str, schedule: str, rate: float) -> "Recipe":
    return settings.recipe(
        optimizer=optimizer, schedule=schedule, learning_rate=rate, weight_decay=DECAYS[optimizer]
    )


def _names(settings: OptimizerSettings) -> dict[str, tuple[str, str]]:
    return {
        f"{optimizer}-{schedule}": (optimizer, schedule)
        for optimizer, schedule in product(settings.optimizers, settings.schedules)
    }


def run(settings: OptimizerSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """First the range tests, which give the rates; then all trainings by turns."""
    from reswork.studies.by_turns import by_turns

    names, rates = _names(settings), range_rates(settings)
    numbers = shelf.numbers or {
        f"{optimizer}/{schedule}/{part}": np.full((settings.seeds, settings.epochs), np.nan)
        for optimizer, schedule in names.values()
        for part in ("loss", "test")
    } | {
        f"range/{optimizer}": np.full((settings.seeds, len(rates)), np.nan)
        for optimizer in settings.optimizers
    } | {f"peak/{optimizer}": np.full(1, np.nan) for optimizer in settings.optimizers}
    yield Partial(numbers, 0.0, "building networks")
    before = 0.2
    missing = [each for each in settings.optimizers if not np.isfinite(numbers[f"peak/{each}"]).all()]
    for place, (name, test) in enumerate(
        (name, test) for name, test in range_tests(settings, shelf) if name.rpartition("-")[2] in missing
    ):
        optimizer = name.rpartition("-")[2]
        try:
            while not test.done:
                made = test.make_step()
                numbers[f"range/{optimizer}"][:, test.step - 1] = made.losses
                share = before * (len(settings.optimizers) - len(missing) + place + test.step / test.total)
                yield Partial(
                    numbers,
                    share / len(settings.optimizers),
                    f"range test of {LABELS[optimizer]}, step {test.step} of {test.total}",
                )
            numbers[f"peak/{optimizer}"][0] = peak_rate(rates, numbers[f"range/{optimizer}"])
        finally:
            if test.done:
                shelf.drop(name)
            else:
                shelf.keep(name, test.state())

    def note(name: str, training: "LockStep") -> None:
        optimizer, schedule = names[name]
        numbers[f"{optimizer}/{schedule}/loss"][:, training.epoch - 1] = training.epoch_means()[0]
        numbers[f"{optimizer}/{schedule}/test"][:, training.epoch - 1] = training.test()[1]

    peaks = {each: float(numbers[f"peak/{each}"][0]) for each in settings.optimizers}
    yield from by_turns(dict(trainings_of(settings, peaks, shelf)), shelf, numbers, note, span=(before, 1.0))


def cost(settings: OptimizerSettings) -> Estimate:
    """From three steps of each optimizer."""
    from reswork.studies.by_turns import training_cost

    each = [
        training_cost([training])
        for name, training in trainings_of(settings, dict.fromkeys(settings.optimizers, 1e-3), None)
        if name.endswith(f"-{settings.schedules[0]}")
    ]
    steps = settings.epochs * max(1, len(settings.dataset().train) // settings.recipe().batch_size)
    seconds = sum(one.seconds for one in each) * (len(settings.schedules) + settings.range_steps / steps)
    return Estimate(seconds, max(one.bytes for one in each))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Errors by schedule and optimizer, the range tests, and the courses of each optimizer."""
    from reswork.figures.canvas import about
    from reswork.figures.study_bars import study_bars
    from reswork.figures.study_lines import study_lines

    settings, numbers = result.settings, result.numbers
    places = np.arange(len(settings.schedules))
    groups = [
        Line.over(
            LABELS[optimizer],
            places,
            100 * np.stack([_error(result, optimizer, each) for each in settings.schedules], axis=1),
            colour=colour,
        )
        for colour, optimizer in enumerate(settings.optimizers)
    ]
    epochs = np.arange(1, settings.epochs + 1)
    ranges = [
        Line.over(LABELS[optimizer], range_rates(settings), numbers[f"range/{optimizer}"], colour=colour)
        for colour, optimizer in enumerate(settings.optimizers)
    ]
    found = {
        "Error by schedule": study_bars(
            groups,
            [SCHEDULES[each] for each in settings.schedules],
            title="Error by schedule",
            x="course of the learning rate",
            y="test error, %",
            summary=_told(result) + ".",
            explained=about(
                "Test error after the last epoch, for each course of the learning rate and each optimizer, all "
                "on the same network with the same initial weights and batches. Thin lines: smallest and "
                "largest over the seeds.",
                "In long trainings courses that end low do better than a constant rate. In eight epochs of "
                "digits a constant rate is ahead: the weights are still on their way, and a low rate stops them.",
                "Set 30 epochs: is the constant rate still ahead?",
            ),
        ),
        "Learning-rate range test": study_lines(
            ranges,
            title="Learning-rate range test",
            x="learning rate",
            y="loss of the step",
            summary=_rates_told(result) + ".",
            explained=about(
                "One short training in which each step has a larger rate than the one before. Loss over rate.",
                "Flat while the rate is too small to learn, then down, then up where it is too large. A tenth "
                "of the rate at the lowest point is what the trainings here use.",
                "Adam's valley lies about ten times further to the left than SGD's: never compare rates of "
                "different optimizers as numbers.",
            ),
            x_scale="log",
            y_range=(0, 5),
        ),
    }
    for optimizer in settings.optimizers:
        title = f"Courses of {LABELS[optimizer]}"
        found[title] = study_lines(
            [
                Line.over(SCHEDULES[each], epochs, 100 * numbers[f"{optimizer}/{each}/test"], colour=colour)
                for colour, each in enumerate(settings.schedules)
            ],
            title=title,
            x="epoch",
            y="test error, %",
            summary=f"Test error of {LABELS[optimizer]} with each schedule while it trains.",
            explained=about(
                "Test error over the epochs, one line for each course of the learning rate.",
                "Lines jump while the rate is high, and calm down and fall where it gets low.",
                "Look where the step schedule lowers its rate: at half and at three quarters.",
            ),
            y_scale="log",
        )
    return found


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Schedules, then optimizers."""
    settings = result.settings
    rows: list[Compared] = []

    def ours(optimizer: str, schedule: str) -> str:
        has = optimizer in settings.optimizers and schedule in settings.schedules
        return percent(_error(result, optimizer, schedule)) if has else ""

    told = {
        "one_cycle": ("7.6 % after 10,000 steps, rates up to 3", "one cycle"),
        "step": ("8.8 % after 80,000 steps", "steps"),
    }
    for schedule, (published, name) in told.items():
        if mine := ours("sgd", schedule):
            rows.append(
                Compared(
                    f"test error, SGD, {name}",
                    f"{published} (ResNet-56, CIFAR-10)",
                    "Smith and Topin 2018, figure 1, from memory",
                    f"{mine}, ResNet-{settings.depth}, as many steps for all",
                )
            )
    others = {"sgd": "8.29 % (SGD)", "adam": "9.45 % (RMSprop, the best of its rates)"}
    for optimizer, published in others.items():
        if mine := ours(optimizer, "step"):
            rows.append(
                Compared(
                    f"test error, {LABELS[optimizer]}, steps",
                    f"{published} (ResNet-20, CIFAR-10)",
                    "gcr/torch-residual-networks, README",
                    mine,
                )
            )
    for optimizer in settings.optimizers:
        peak = float(result.numbers[f"peak/{optimizer}"][0])
        if np.isfinite(peak):
            usual = {
                "sgd": "0.1 (He 2015)",
                "adam": "0.001 (Kingma 2015)",
                "adamw": "0.001 (Loshchilov 2019)",
            }
            rows.append(
                Compared(
                    f"peak learning rate, {LABELS[optimizer]}", usual[optimizer], "defaults", f"{peak:.2g}"
                )
            )
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether one cycle beats a constant rate in as many steps."""
    tolerance = (
        "repeated: with SGD, one cycle ends with every seed with a lower test error and a lower training loss "
        "than a constant rate of the same height; three seeds at least. Optimizers are shown, not judged"
    )
    settings, numbers = result.settings, result.numbers
    if "sgd" not in settings.optimizers or not {"constant", "one_cycle"} <= set(settings.schedules):
        return Verdict("open", "the rule needs SGD with a constant rate and with one cycle", tolerance)
    gaps = _error(result, "sgd", "one_cycle") - _error(result, "sgd", "constant")
    losses = latest(numbers["sgd/one_cycle/loss"]) - latest(numbers["sgd/constant/loss"])
    told = (
        f"one cycle over a constant rate changes SGD's test error by {points(gaps)} points, the training loss by "
        f"{losses.mean():+.3f}; {_told(result)}"
    )
    if settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    if (gaps < 0).all() and (losses < 0).all():
        return Verdict("repeated", told, tolerance)
    why = (
        "; the training loss says why: in so short a training the weights are still on their way, and a rate that "
        "falls stops them there"
        if losses.mean() > _APART
        else ""
    )
    return Verdict("not repeated", told + why, tolerance)


def _error(result: StudyResult, optimizer: str, schedule: str) -> np.ndarray:
    """(S,) test errors after as many epochs as are computed."""
    return latest(result.numbers[f"{optimizer}/{schedule}/test"])


def _told(result: StudyResult) -> str:
    words = []
    for optimizer in result.settings.optimizers:
        means = {each: _error(result, optimizer, each).mean() for each in result.settings.schedules}
        if all(map(np.isfinite, means.values())):
            each = ", ".join(f"{SCHEDULES[name]} {100 * value:.1f} %" for name, value in means.items())
            words.append(f"{LABELS[optimizer]}: {each}")
    return f"mean test error with {'; '.join(words)}" if words else "No epoch is over yet"


def _rates_told(result: StudyResult) -> str:
    peaks = {each: float(result.numbers[f"peak/{each}"][0]) for each in result.settings.optimizers}
    known = [f"{LABELS[each]} {peak:.2g}" for each, peak in peaks.items() if np.isfinite(peak)]
    return f"rates that follow from it: {', '.join(known)}" if known else "No range test is done yet"


def _answer(result: StudyResult) -> str | None:
    schedules: dict[str, Any] = {
        each: float(
            np.mean([_error(result, optimizer, each).mean() for optimizer in result.settings.optimizers])
        )
        for each in result.settings.schedules
    }
    if len(schedules) < len(SCHEDULES):
        return None
    return GUESS.choices[[*SCHEDULES].index(min(schedules, key=schedules.__getitem__))]


GUESS = Guess(
    "The same network, the same number of steps, three optimizers. Which course of the learning rate ends with "
    "the lowest test error, in the mean over the optimizers?",
    ("constant", "down in two steps", "down along half a cosine", "one cycle: up, then down to nothing"),
    _answer,
    "A high rate makes way and keeps the weights shaking; a low one lets them settle. In a long training all have "
    "made their way, and what ends low wins. In a short one making way counts: a constant rate makes most.",
)

STUDY = Study(
    name="optimizers",
    title="Optimizers and schedules",
    question="What matters more, the optimizer or the course of the learning rate, and how is the rate found?",
    source=Source(
        "Smith and Topin 2018, Wilson et al. 2017", "1708.07120", "figure 1 (and arXiv:1705.08292, section 4)"
    ),
    texts=Texts(
        "An optimizer says how weights follow their gradients, a schedule how far, step by step. Much is "
        "written about the first, but the second often matters as much: a high rate makes way, a rate that "
        "ends near zero lets the weights settle.",
        "SGD with momentum 0.9, Adam and AdamW (decay 1e-4, 1e-4, and 0.01 apart from the gradient), each with "
        "four schedules of the same peak. The peak is not tuned: a range test (Smith 2015, 1506.01186) raises "
        "the rate from 1e-5 to 10 step by step; a tenth of the rate at the lowest loss, smoothed over five "
        "steps and averaged over the seeds, is used. Wilson et al. find that adaptive methods generalise worse; "
        "500 test digits cannot decide that, so it is shown and not judged.",
        "15 minutes. Begin with the range test: where would they train? Then the bars. Goes wrong: somebody "
        "compares SGD's 0.1 with Adam's 0.001 as if the unit were the same. Answer to 'which one shall I "
        "use?': SGD or AdamW with one cycle or a cosine, the rate from a range test.",
    ),
    guess=GUESS,
    toy=OptimizerSettings(),
    paper=OptimizerSettings(
        **{name: value for name, value in PAPER.items() if name != "schedule"},
        depth=56,
        seeds=3,
        range_steps=1000,
    ),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
