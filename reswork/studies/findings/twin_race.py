"""The twin race: two networks with the same weights, seed and batches, one of them with shortcuts, step by step."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.findings.degradation import KINDS, lock_steps, training_cost
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class RaceSettings(TrainingSettings):
    """How deep the twins are."""

    depth: int = setting(56, "Depth", "weighted layers of both twins, 6n+2", least=8, most=1202)


def run(settings: RaceSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Step by step: loss, and gradient norms of the first and the last convolution, of both at each step."""
    from reswork.training.recipe import total_steps

    steps = total_steps(settings.recipe(), len(settings.dataset().train))
    seeds, epochs = settings.seeds, settings.epochs
    shapes = {
        "loss": (seeds, steps),
        "first": (seeds, steps),
        "last": (seeds, steps),
        "test": (seeds, epochs),
    }
    numbers = shelf.numbers or {
        f"{kind}/{what}": np.full(shape, np.nan) for kind in KINDS for what, shape in shapes.items()
    }
    yield Partial(numbers, 0.0, "building networks")
    (training,) = lock_steps(settings, (settings.depth,), shelf, with_gradients=True).values()
    try:
        while not training.done:
            made = training.make_step()
            values = {"loss": made.losses, "first": made.gradients[:, 0], "last": made.gradients[:, -1]}
            if training.ends_epoch:
                values["test"] = training.test()[1]
            for what, both in values.items():
                place = training.epoch - 1 if what == "test" else training.step - 1
                for kind, row in zip(KINDS, both.reshape(2, -1), strict=True):
                    numbers[f"{kind}/{what}"][:, place] = row
            yield Partial(
                numbers, training.step / training.total, f"step {training.step} of {training.total}"
            )
    finally:
        if training.done:
            shelf.drop(f"depth-{settings.depth}")
        else:
            shelf.keep(f"depth-{settings.depth}", training.state())


def cost(settings: RaceSettings) -> Estimate:
    """From three steps."""
    return training_cost(settings, (settings.depth,))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Loss of both over the steps, test error, and how unequal their gradients are."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    numbers, depth = result.numbers, result.settings.depth
    steps = np.arange(1, numbers["plain/loss"].shape[1] + 1)
    epochs = np.arange(1, numbers["plain/test"].shape[1] + 1)
    colours = {"plain": 1, "residual": 0}

    def lines(what: str, x: np.ndarray, factor: float = 1.0) -> list[Line]:
        return [
            Line.over(f"{kind}-{depth}", x, factor * numbers[f"{kind}/{what}"], colour=colours[kind])
            for kind in KINDS
        ]

    ratios = [
        Line.over(
            f"{kind}-{depth}", steps, numbers[f"{kind}/first"] / numbers[f"{kind}/last"], colour=colours[kind]
        )
        for kind in KINDS
    ]
    return {
        "Training loss": study_lines(
            lines("loss", steps),
            title="Training loss",
            x="step",
            y="loss",
            summary=_told(result) + ".",
            explained=about(
                "The loss of each step's batch, the mean over the seeds. Both networks began with "
                "the same weights and see "
                "the same images in the same order.",
                "The residual one falls within the first steps; the deep plain one lags behind or "
                "stands still.",
                "Lower the depth to 20: the race is nearly even. So it is the depth, not the network as such.",
            ),
        ),
        "Test error": study_lines(
            lines("test", epochs, 100),
            title="Test error",
            x="epoch",
            y="error, %",
            summary=f"Test errors of the twins of depth {depth} after each epoch.",
            explained=about(
                "Share of images that are named wrong, of those that are not learned from. Bars: all seeds.",
                "The residual twin is ahead throughout.",
                "Train longer: does the plain twin catch up?",
            ),
        ),
        "First over last gradient": study_lines(
            ratios,
            title="First over last gradient",
            x="step",
            y="ratio of norms",
            summary="The gradient norm of the first convolution over that of the last, at each step.",
            explained=about(
                "How much longer the gradient of the convolution next to the input is than that of "
                "the last one.",
                "Residual: within a factor of ten or so. Deep and plain with batch norm: a thousand "
                "at the start, as "
                "gradients explode towards the input rather than vanish.",
                "He et al. say that vanishing gradients are not the cause of degradation. Does this "
                "figure agree?",
            ),
            y_scale="log",
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Table 2 has the same comparison on ImageNet."""
    last = {kind: 100 * result.numbers[f"{kind}/test"][:, -1] for kind in KINDS}
    published = {
        "plain": "28.54 % (plain-34, ImageNet, top-1)",
        "residual": "25.03 % (ResNet-34, ImageNet, top-1)",
    }
    return tuple(
        Compared(
            f"test error, {kind}",
            published[kind],
            "table 2",
            f"{last[kind].mean():.1f} % ({last[kind].min():.1f} to {last[kind].max():.1f}), depth "
            f"{result.settings.depth}"
            if np.isfinite(last[kind]).all()
            else "",
        )
        for kind in KINDS
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether the residual twin was ahead at the end of every race."""
    tolerance = (
        "repeated: over the last tenth of the steps the residual twin's training loss is lower with "
        "every seed, and so is its "
        "test error; three seeds at least"
    )
    told = _told(result)
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    ends = {kind: _end(result, kind) for kind in KINDS}
    ahead = (ends["residual"] < ends["plain"]).all()
    better = (result.numbers["residual/test"][:, -1] < result.numbers["plain/test"][:, -1]).all()
    return Verdict("repeated" if ahead and better else "not repeated", told, tolerance)


def _end(result: StudyResult, kind: str) -> np.ndarray:
    """(S,) mean loss of the last tenth of the steps; infinite where it was lost."""
    losses = result.numbers[f"{kind}/loss"]
    end = losses[:, -max(1, losses.shape[1] // 10) :].mean(axis=1)
    return np.where(np.isfinite(end), end, np.inf)


def _told(result: StudyResult) -> str:
    losses = {kind: result.numbers[f"{kind}/loss"] for kind in KINDS}
    known = np.flatnonzero(np.isfinite(losses["residual"]).any(axis=0))
    if not len(known):
        return "No step is made yet"
    window = known[-max(1, losses["residual"].shape[1] // 10) :]
    means = {
        kind: float(np.nanmean(values[:, window])) if np.isfinite(values[:, window]).any() else np.nan
        for kind, values in losses.items()
    }
    return (
        f"at depth {result.settings.depth}, after {known[-1] + 1} steps, the plain twin's training loss is "
        f"{means['plain']:.3g}, the residual one's {means['residual']:.3g} (seeds: {result.settings.seeds})"
    )


def _answer(result: StudyResult) -> str | None:
    ends = {kind: _end(result, kind).mean() for kind in KINDS}
    ratio = ends["plain"] / ends["residual"]
    return GUESS.choices[0 if ratio > 1.5 else 2 if ratio < 1 / 1.5 else 1]


GUESS = Guess(
    "Two networks of 56 layers begin with the very same weights and see the same images. One adds a "
    "shortcut around every two "
    "layers. Whose training loss is lower at the end?",
    ("the one with shortcuts, clearly", "about the same", "the one without, clearly"),
    _answer,
    "Shortcuts add no weights, so both can express much the same. What differs is how well gradient "
    "descent finds it.",
)

STUDY = Study(
    name="twin_race",
    title="The twin race",
    question="Is it the shortcuts, when all else is equal to the last weight?",
    source=Source("He et al. 2015", "1512.03385", "figure 4, table 2"),
    texts=Texts(
        "Two networks, the same in every weight at the start, learn from the same images in the same "
        "order. One of them has "
        "shortcuts. Watch which one gets ahead, and from which step on.",
        "Lock step: both twins of all seeds are one computation with grouped convolutions; a plain "
        "twin is one whose shortcuts "
        "are multiplied by zero, so that the initial weights are equal. Gradient norms are those of "
        "the convolutions' weights.",
        "5 minutes. Set the depth to 20 first (nearly even), then to 56. Ask from which step on the "
        "curves part. Goes wrong: "
        "with one seed a learner may see a lucky race; the verdict stays open then.",
    ),
    guess=GUESS,
    toy=RaceSettings(),
    paper=RaceSettings(depth=56, seeds=3, **PAPER),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
