"""Degradation: plain networks get worse with depth, on the images that they learn from too; residual ones do not."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import UNCHECKED, Compared, Line, Verdict
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent, points
from reswork.studies.study import DrawnGuess, Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.studies.lock_step import LockStep

KINDS = ("plain", "residual")
_PUBLISHED = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}  # %, table 6
_OFF = 15  # points of error, of a curve that was guessed
_WORSE = 0.02  # of error: less is taken for luck, not for degradation


@dataclass(frozen=True)
class DegradationSettings(TrainingSettings):
    """Which depths are trained, and how."""

    depths: tuple[int, ...] = setting((20, 32, 44, 56), "Depths", "weighted layers, 6n+2", least=8, most=1202)


def lock_steps(
    settings: TrainingSettings,
    depths: tuple[int, ...],
    shelf: Shelf | None = None,
    *,
    with_gradients: bool = False,
) -> "dict[int, LockStep]":
    """For each depth plain and residual networks of all seeds, which begin with the same weights, plain ones first."""
    from reswork.experiment.seed_runs import fresh_network
    from reswork.models.network import resnet
    from reswork.studies.lock_step import LockStep

    data, found, seeds = settings.dataset(), {}, range(settings.seeds)
    for depth in depths:
        models = []
        for kind in KINDS:
            one = resnet(settings.config(depth, residual=kind == "residual"), input_shape=data.input_shape)
            models += [fresh_network(one, seed) for seed in seeds]
        start = shelf.kept(f"depth-{depth}") if shelf is not None else None
        found[depth] = LockStep(
            models,  # type: ignore[arg-type]  # fresh networks are of the same class
            data,
            settings.recipe(),
            [*seeds] * 2,
            start=start,
            with_gradients=with_gradients,
        )
    return found


def run(settings: DegradationSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Epoch by epoch, the depths by turns, so that all curves grow together."""
    from reswork.studies.by_turns import by_turns

    numbers = shelf.numbers or {
        f"{kind}/{depth}/{part}": np.full((settings.seeds, settings.epochs), np.nan)
        for depth in settings.depths
        for kind in KINDS
        for part in ("train", "test")
    }
    yield Partial(numbers, 0.0, "building networks")
    trainings = lock_steps(settings, settings.depths, shelf)
    named = {f"depth-{depth}": training for depth, training in trainings.items()}
    yield from by_turns(named, shelf, numbers, lambda name, training: _note(numbers, name, training))


def _note(numbers: dict[str, np.ndarray], name: str, training: "LockStep") -> None:
    """Errors of an epoch that has just ended."""
    place, depth = training.epoch - 1, name.removeprefix("depth-")
    _, test = training.test()
    _, train = training.epoch_means()
    for part, values in (("train", train), ("test", test)):
        for kind, row in zip(KINDS, values.reshape(2, -1), strict=True):
            numbers[f"{kind}/{depth}/{part}"][:, place] = row


def cost(settings: DegradationSettings) -> Estimate:
    """From three steps of each depth."""
    return training_cost(settings, settings.depths)


def training_cost(settings: TrainingSettings, depths: tuple[int, ...]) -> Estimate:
    """What plain and residual networks of these depths cost, from three steps of each."""
    from reswork.studies import by_turns

    return by_turns.training_cost(lock_steps(settings, (depth,))[depth] for depth in depths)


def final(result: StudyResult, kind: str, depth: int, part: str) -> np.ndarray:
    """(S,) errors after the last epoch, 0 to 1."""
    return result.numbers[f"{kind}/{depth}/{part}"][:, -1]


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Errors over depth, and the courses of training as the paper's figure 6 has them."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    depths, numbers = result.settings.depths, result.numbers
    epochs = np.arange(1, result.settings.epochs + 1)
    known = [100 * np.nanmax(values) for values in numbers.values() if np.isfinite(values).any()]
    highest = min(100.0, 1.05 * max(known, default=100.0))
    now = {key: latest(values) for key, values in numbers.items()}
    sums = [
        Line.over(
            f"{kind}, {'training' if part == 'train' else 'test'}",
            depths,
            100 * np.stack([now[f"{kind}/{depth}/{part}"] for depth in depths], axis=1),
            colour=colour,
            dashed=part == "train",
        )
        for colour, kind in ((1, "plain"), (0, "residual"))
        for part in ("train", "test")
    ]
    found = {
        "Error over depth": study_lines(
            sums,
            title="Error over depth",
            x="weighted layers",
            y="error, %",
            summary=_summary(result),
            explained=about(
                "Share of images that are named wrong, after as many epochs as are computed so far; "
                "dashed: images that "
                "are learned from, solid: others. Bars: the smallest and the largest over the seeds.",
                "Plain networks rise with depth, dashed line and solid line alike; residual ones "
                "stay level or fall.",
                "Add a depth of 110, or more epochs: does the plain network catch up?",
            ),
            ticks=(depths, [str(depth) for depth in depths]),
        )
    }
    for kind in KINDS:
        lines = [
            Line.over(
                f"{depth}, {'training' if part == 'train' else 'test'}",
                epochs,
                100 * numbers[f"{kind}/{depth}/{part}"],
                colour=colour,
                dashed=part == "train",
            )
            for colour, depth in enumerate(depths)
            for part in ("train", "test")
        ]
        title = f"{kind.capitalize()} networks"
        found[title] = study_lines(
            lines,
            title=title,
            x="epoch",
            y="error, %",
            summary=f"{title} of depth {', '.join(map(str, depths))} while they train.",
            explained=about(
                "The form of He et al.'s figure 6: errors while the networks train, dashed on the "
                "images that are learned "
                "from, solid on others.",
                "Plain: the deeper, the higher. Residual: all about alike, the deeper ones a little lower.",
                "Compare the dashed lines: a network that fits its own training images worse does "
                "not over-fit.",
            ),
            y_range=(0, highest),
        )
    return found


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Table 6 for the residual networks; of the plain ones the paper has curves only."""
    rows = []
    for depth in result.settings.depths:
        if depth in _PUBLISHED:
            ours = percent(latest(result.numbers[f"residual/{depth}/test"]))
            rows.append(
                Compared(
                    f"test error, ResNet-{depth}", f"{_PUBLISHED[depth]:.2f} % (CIFAR-10)", "table 6", ours
                )
            )
    for depth in result.settings.depths:
        told, where = {
            20: ("about 9 %", f"figure 6, read off it{UNCHECKED}"),
            56: ("about 13 %", f"figure 6, read off it{UNCHECKED}"),
            110: ("above 60 %", "caption of figure 6"),
        }.get(depth, ("", ""))
        if told:
            ours = percent(latest(result.numbers[f"plain/{depth}/test"]))
            rows.append(Compared(f"test error, plain-{depth}", f"{told} (CIFAR-10)", where, ours))
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether plain networks train worse with depth, and residual ones do not."""
    shallow, deep = min(result.settings.depths), max(result.settings.depths)
    tolerance = (
        f"repeated: with every seed the deepest plain network has a training error more than "
        f"{100 * _WORSE:.0f} points "
        "above the shallowest, and with none the residual one; three seeds at least"
    )
    gaps = {
        kind: final(result, kind, deep, "train") - final(result, kind, shallow, "train") for kind in KINDS
    }
    told = (
        f"from depth {shallow} to {deep} the training error changes by {points(gaps['plain'])} "
        f"points in plain networks, "
        f"by {points(gaps['residual'])} in residual ones, with {result.settings.seeds} seed"
        f"{'s' if result.settings.seeds > 1 else ''}"
    )
    if shallow == deep:
        return Verdict("open", "one depth says nothing about depth", tolerance)
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    holds = bool((gaps["plain"] > _WORSE).all() and (gaps["residual"] <= _WORSE).all())
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _answer(result: StudyResult) -> str | None:
    shallow, deep = min(result.settings.depths), max(result.settings.depths)
    gap = (final(result, "plain", deep, "train") - final(result, "plain", shallow, "train")).mean()
    if shallow == deep:
        return None
    return GUESS.choices[0 if gap < -_WORSE else 2 if gap > _WORSE else 1]


def _summary(result: StudyResult) -> str:
    deep = max(result.settings.depths)
    words = [
        f"{kind} {deep}: test error "
        f"{percent(latest(result.numbers[f'{kind}/{deep}/test'])) or 'not known yet'}"
        for kind in KINDS
    ]
    return "; ".join(words) + "."


GUESS = Guess(
    "You make a plain network (no shortcuts) deeper, from 20 to 56 layers, and train it as long. "
    "What happens to its error on "
    "the images that it learns from?",
    ("it falls: more layers can fit more", "it stays about the same", "it rises: the deeper one fits worse"),
    _answer,
    "A deeper plain network could copy the shallower one and pass on what it gets, so it need not be "
    "worse; but gradient "
    "descent does not find that. It is not over-fitting: the images that it learns from are fitted worse.",
)

SHOWN = DrawnGuess(
    "Plain networks, without shortcuts: which test error has each depth after the training? Draw it with the sliders.",
    "weighted layers",
    "test error, %",
    100,
    lambda settings: tuple(f"depth {depth}" for depth in settings.depths),
    lambda result: np.array(
        [100 * latest(result.numbers[f"plain/{depth}/test"]).mean() for depth in result.settings.depths]
    ),
    lambda drawn, real: np.abs(drawn - real).mean() <= _OFF,
    f"right is a curve that is off by at most {_OFF} points in the mean",
)

STUDY = Study(
    name="degradation",
    title="Degradation",
    question="Do networks get worse when they get deeper, and do shortcuts mend it?",
    source=Source("He et al. 2015", "1512.03385", "figures 1 and 6, table 6"),
    texts=Texts(
        "Deeper networks can say more. Yet when layers are simply stacked, beyond some depth the "
        "network does worse even on "
        "the images that it has in front of it. With shortcuts around every two layers it does not.",
        "Plain and residual networks of the CIFAR form (shortcut A), the same initial weights and "
        "batches in both; training "
        "error is the running one over an epoch, in training mode, as in the paper. The toy has 8 "
        "channels, 8x8 digits and 12 "
        "epochs of one cycle instead of 16 channels, CIFAR-10 and 64,000 steps: expect the pattern, "
        "not the number.",
        "10 minutes. Let everybody guess first, then run it and watch the dashed lines. Usual "
        "objection: 'the deep net "
        "over-fits'; answer with the dashed line. Goes wrong: fewer than 6 epochs leave all depths high.",
    ),
    guess=GUESS,
    shown=SHOWN,
    toy=DegradationSettings(),
    paper=DegradationSettings(depths=(20, 32, 44, 56, 110), seeds=5, **PAPER),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
