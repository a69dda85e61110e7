"""Wide or deep: networks with the same number of weights, trained for as many steps, and for as much time."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.models.config import ResNetConfig
    from reswork.studies.lock_step import LockStep

CONTESTS = ("steps", "time")
_MEASURED = 7  # steps of each network, by turns
_ALIKE = 0.01  # of error: so much more is taken for as good


@dataclass(frozen=True)
class WideSettings(TrainingSettings):
    """Which depths; the widths follow."""

    width: int = setting(
        8, "Width", "channels of the first stage of the deepest; the others have more", least=1, most=128
    )
    depths: tuple[int, ...] = setting(
        (8, 26, 56), "Depths", "weighted layers, 6n+2, all with about as many weights", least=8, most=1202
    )


@lru_cache(maxsize=64)
def config_of(settings: WideSettings, depth: int) -> "ResNetConfig":
    """The network of a depth, as wide as comes nearest to the number of weights of the deepest."""
    from reswork.models.sheet import spec_sheet

    deepest, shape = max(settings.depths), settings.dataset().input_shape
    wanted = spec_sheet(settings.config(deepest, order="pre"), shape).parameters
    about = int(settings.width * ((deepest - 2) / (depth - 2)) ** 0.5)  # weights grow as depth x width^2
    configs = [
        replace(settings, width=min(width, 128)).config(depth, order="pre")
        for width in range(about, 2 + about * 5 // 4)
    ]
    return min(configs, key=lambda config: abs(spec_sheet(config, shape).parameters - wanted))


def step_seconds(settings: WideSettings) -> Generator[None, None, np.ndarray]:
    """Measure what a step of a single network of each depth takes here.

    Yields:
        After each step.

    Returns:
        (D,) seconds, the median of several steps, taken by turns.
    """
    from reswork.studies.by_turns import training_of

    alone = [
        training_of(settings, config_of(settings, depth), None, "", seeds=[0]) for depth in settings.depths
    ]
    found: list[list[float]] = [[] for _ in alone]
    for _ in range(1 + _MEASURED):
        for training, seconds in zip(alone, found, strict=True):
            before = training.seconds
            if training.done:
                training.step = 0
            training.make_step()
            seconds.append(training.seconds - before)
            yield
    return np.array([np.median(seconds[1:]) for seconds in found])  # the first one prepares things


def trainings_of(
    settings: WideSettings, seconds: np.ndarray, shelf: Shelf | None
) -> "Iterator[tuple[str, LockStep]]":
    """The seeds of each depth, with equal steps and with equal time; the fastest trains once for both."""
    from reswork.studies.by_turns import training_of

    for name, (contest, depth) in _names(settings, seconds).items():
        recipe = settings.recipe()
        if contest == "time":
            recipe = replace(recipe, steps=_steps(settings, seconds)[depth])
        yield name, training_of(settings, config_of(settings, depth), shelf, name, recipe=recipe)


def _steps(settings: WideSettings, seconds: np.ndarray) -> dict[int, int]:
    """So many steps can each network make in the time that the fastest needs for all of its own."""
    from reswork.training.recipe import total_steps

    total = total_steps(settings.recipe(), len(settings.dataset().train))
    shares = seconds.min() / seconds
    return {depth: max(1, round(total * share)) for depth, share in zip(settings.depths, shares, strict=True)}


def _names(settings: WideSettings, seconds: np.ndarray) -> dict[str, tuple[str, int]]:
    fastest = settings.depths[int(seconds.argmin())]
    return {
        f"equal-{contest}-depth-{depth}": (contest, depth)
        for contest in CONTESTS
        for depth in settings.depths
        if not (contest == "time" and depth == fastest)
    }


def run(settings: WideSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """First what a step takes, then all trainings by turns."""
    from reswork.models.sheet import spec_sheet
    from reswork.studies.by_turns import by_turns

    numbers = shelf.numbers
    if not numbers:
        shape = settings.dataset().input_shape
        sheets = [spec_sheet(config_of(settings, depth), shape) for depth in settings.depths]
        numbers = {
            "weights": np.array([sheet.parameters for sheet in sheets]),
            "operations": np.array([sheet.macs for sheet in sheets]),
            "seconds": np.full(len(sheets), np.nan),
        } | {
            f"equal {contest}/{depth}/{part}": np.full((settings.seeds, settings.epochs), np.nan)
            for contest in CONTESTS
            for depth in settings.depths
            for part in ("train", "test")
        }
    if not np.isfinite(numbers["seconds"]).all():
        measuring = step_seconds(settings)
        while True:
            try:
                next(measuring)
            except StopIteration as ended:
                numbers["seconds"] = ended.value
                break
            yield Partial(numbers, 0.0, "measuring what a step takes")
    seconds = numbers["seconds"]
    names, fastest = _names(settings, seconds), settings.depths[int(seconds.argmin())]

    def note(name: str, training: "LockStep") -> None:
        contest, depth = names[name]
        values = {"train": training.epoch_means()[1], "test": training.test()[1]}
        for part, row in values.items():
            for each in CONTESTS if depth == fastest else (contest,):
                numbers[f"equal {each}/{depth}/{part}"][:, training.epoch - 1] = row

    yield Partial(numbers, 0.0, "building networks")
    yield from by_turns(dict(trainings_of(settings, seconds, shelf)), shelf, numbers, note)


def cost(settings: WideSettings) -> Estimate:
    """From three steps of each with equal steps; in the other contest each takes as long as the fastest."""
    from reswork.studies.by_turns import training_cost, training_of

    each = [
        training_cost([training_of(settings, config_of(settings, depth), None, "")])
        for depth in settings.depths
    ]
    times = [one.seconds for one in each]
    return Estimate(sum(times) + (len(times) - 1) * min(times), max(one.bytes for one in each))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Errors in both contests, what a step takes, and the courses over time as the paper's figure 2 has them."""
    from reswork.figures.canvas import about
    from reswork.figures.study_bars import study_bars
    from reswork.figures.study_lines import study_lines

    settings, numbers = result.settings, result.numbers
    places, labels = np.arange(len(settings.depths)), _labels(result)
    errors = [
        Line.over(
            f"for equal {contest}",
            places,
            100 * np.stack([_error(result, contest, depth) for depth in settings.depths], axis=1),
            colour=colour,
        )
        for colour, contest in enumerate(CONTESTS)
    ]
    per_step = Line("a step", places, 1000 * numbers["seconds"], colour=2)
    per_epoch = _per_epoch(settings)
    courses = [
        Line.over(
            f"{label}, {'training' if part == 'train' else 'test'}",
            np.arange(1, settings.epochs + 1) * per_epoch * seconds,
            100 * numbers[f"equal steps/{depth}/{part}"],
            colour=colour,
            dashed=part == "train",
        )
        for colour, (depth, label, seconds) in enumerate(
            zip(settings.depths, labels, numbers["seconds"], strict=True)
        )
        for part in ("train", "test")
    ]
    return {
        "Error, wide to deep": study_bars(
            errors,
            labels,
            title="Error, wide to deep",
            x="layers x channels of the first stage",
            y="test error, %",
            summary=_told(result) + ".",
            explained=about(
                "Test error of networks with about as many weights, from wide and shallow to narrow and deep: "
                "trained for as many steps, and for as much time as the fastest needs.",
                "With equal steps they are about alike; with equal time the deep one makes fewer steps and "
                "falls behind.",
                "Add a depth of 218 (4 channels): when does narrow become too narrow?",
            ),
        ),
        "Time of a step": study_bars(
            [per_step],
            labels,
            title="Time of a step",
            x="layers x channels of the first stage",
            y="milliseconds of processor",
            summary=_time_told(result) + ".",
            explained=about(
                "What one step of a single network takes here: images in, gradients out, weights changed.",
                "As many weights and about as many multiplications, yet the deep one takes longer: its layers "
                "are many and small, and each waits for the one before.",
                "On a graphics card the difference is larger still.",
            ),
        ),
        "Error over time": study_lines(
            courses,
            title="Error over time",
            x="seconds of processor, one network alone",
            y="error, %",
            summary="Errors of the networks with equal steps, over the time that they take.",
            explained=about(
                "The trainings with equal steps, over the time of one network alone; dashed on the images that "
                "are learned from.",
                "All come down about alike over their steps; the wide one is there first.",
                "Where would the deep one have been when the wide one was done?",
            ),
            y_range=(0, 100),
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """A thousand layers against forty."""
    depths, seconds = result.settings.depths, result.numbers["seconds"]
    shallow, deep = int(np.argmin(depths)), int(np.argmax(depths))
    labels = _labels(result)
    pair = f"{labels[shallow]} against {labels[deep]}"
    errors = [percent(_error(result, "steps", depths[place])) for place in (shallow, deep)]
    known = all(errors) and np.isfinite(seconds).all()
    weights = result.numbers["weights"]
    where = "section 3, table 5, from memory"
    return (
        Compared(
            "weights",
            "8.9 million against 10.2 million (WRN-40-4, pre-activation ResNet-1001)",
            where,
            f"{weights[shallow]:,} against {weights[deep]:,} ({pair})",
        ),
        Compared(
            "test error at equal steps",
            "4.53 % against 4.92 % (the same, CIFAR-10)",
            where,
            f"{errors[0]} against {errors[1]}" if known else "",
        ),
        Compared(
            "time of training, deep over wide",
            "8 times",
            where,
            f"{seconds[deep] / seconds[shallow]:.1f} times" if known else "",
        ),
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether the wide one is as good, and faster."""
    tolerance = (
        "repeated: at equal weights and steps the widest network's mean test error is at most "
        f"{100 * _ALIKE:.0f} point above the deepest one's, its steps take less time, and at equal time its test "
        "error is lower with every seed; three seeds at least"
    )
    depths, seconds = result.settings.depths, result.numbers["seconds"]
    wide, deep = min(depths), max(depths)
    told = f"{_told(result)}; {_time_told(result)}"
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    if wide == deep:
        return Verdict("open", "one depth says nothing about depth", tolerance)
    at_steps = _error(result, "steps", wide) - _error(result, "steps", deep)
    at_time = _error(result, "time", wide) - _error(result, "time", deep)
    faster = seconds[depths.index(wide)] < seconds[depths.index(deep)]
    holds = bool(at_steps.mean() <= _ALIKE and faster and (at_time < 0).all())
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _error(result: StudyResult, contest: str, depth: int) -> np.ndarray:
    """(S,) test errors after as many epochs as are computed."""
    return latest(result.numbers[f"equal {contest}/{depth}/test"])


def _per_epoch(settings: WideSettings) -> int:
    from reswork.training.recipe import steps_per_epoch

    return steps_per_epoch(settings.recipe(), len(settings.dataset().train))


def _labels(result: StudyResult) -> list[str]:
    settings = result.settings
    return [f"{depth} layers x {config_of(settings, depth).width}" for depth in settings.depths]


def _told(result: StudyResult) -> str:
    words = []
    for contest in CONTESTS:
        errors = _by_label(result, contest)
        if all(errors.values()):
            words.append(
                f"for equal {contest} {', '.join(f'{label} {told}' for label, told in errors.items())}"
            )
    return f"test error {'; '.join(words)}" if words else "No epoch is over yet"


def _by_label(result: StudyResult, contest: str) -> Mapping[str, str]:
    depths = result.settings.depths
    return {
        label: percent(_error(result, contest, depth))
        for label, depth in zip(_labels(result), depths, strict=True)
    }


def _time_told(result: StudyResult) -> str:
    seconds = 1000 * result.numbers["seconds"]
    if not np.isfinite(seconds).all():
        return "Nothing is measured yet"
    words = [f"{label} {value:.0f} ms" for label, value in zip(_labels(result), seconds, strict=True)]
    return f"a step takes {', '.join(words)}"


def _answer(result: StudyResult) -> str | None:
    depths = result.settings.depths
    wide, deep = min(depths), max(depths)
    if wide == deep:
        return None
    gap = (_error(result, "time", wide) - _error(result, "time", deep)).mean()
    return GUESS.choices[0 if gap < -_ALIKE else 2 if gap > _ALIKE else 1]


GUESS = Guess(
    "8 layers of 27 channels, or 56 layers of 8: as many weights. Both may train for the same time. Which one "
    "names the digits better?",
    ("the wide one", "they are about alike", "the deep one"),
    _answer,
    "As many weights are not as many seconds: the deep one's layers are small and come one after the other, so "
    "that it makes fewer steps in the same time.",
)

STUDY = Study(
    name="wide_or_deep",
    title="Wide or deep",
    question="With as many weights, is a wide and shallow network as good as a narrow and deep one, and faster?",
    source=Source("Zagoruyko and Komodakis 2016", "1605.07146", "section 3, figures 2 and 4, table 5"),
    texts=Texts(
        "Weights can be spent on more layers or on more channels. Deep networks won the contests, but a "
        "thousand thin layers train slowly. Wide residual networks with a tenth of the layers do as well, and "
        "a machine that computes many things at once likes them better.",
        "Pre-activation networks of the CIFAR form; the width is chosen so that the number of weights, and "
        "nearly that of multiplications, stays. Equal steps: the same recipe. Equal time: as many steps as "
        "fit into the time of the fastest, each with a whole one cycle; a step's time is "
        "measured on one network alone, by turns. The paper compares 40 layers with 1001, on a graphics card.",
        "15 minutes. Have the widths computed first: half the depth, 1.4 times the width. Goes wrong: on "
        "another machine the equal time gives other numbers of steps, so numbers differ a little between "
        "learners; that is the point. Answer to 'so depth is useless?': at a few layers the wide one lacks "
        "it too; look at the middle one.",
    ),
    guess=GUESS,
    toy=WideSettings(),
    paper=WideSettings(**{**PAPER, "epochs": 200}, depths=(38, 110, 164), seeds=3),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
