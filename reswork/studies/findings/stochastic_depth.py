"""Stochastic depth: blocks are left out at random while a network trains; what that does to error and time."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from reswork.experiment.seed_runs import fresh_network
from reswork.models.blocks import ResidualBlock
from reswork.models.network import resnet
from reswork.results.study import Compared, Line, Verdict
from reswork.studies.by_turns import by_turns, training_cost
from reswork.studies.lock_step import LockStep, Made
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent, points, standard_error
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts
from reswork.training.randomness import derived_seed

if TYPE_CHECKING:
    import plotly.graph_objects as go

KINDS = ("constant", "stochastic")
_SAVED = 0.15  # of the time; a quarter of the blocks is left out


@dataclass(frozen=True)
class DepthSettings(TrainingSettings):
    """How deep, and how often blocks are left out."""

    depth: int = setting(56, "Depth", "weighted layers, 6n+2", least=8, most=1202)
    drop: float = setting(
        0.5,
        "Drop",
        "chance of the last block to be left out; falls to 0 towards the input",
        least=0,
        most=0.95,
    )


class _Survival(nn.Module):
    """Times the chance that a block is there, where all blocks are: in evaluation mode (equation 5)."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return x if self.training else x * self.chance


class DroppingSteps(LockStep):
    """A training in which each step leaves out other blocks: they are not computed, and their weights stand still.

    Args:
        chances: (B,) of each block to be left out.
        *args: as for `LockStep`.
        **more: likewise.
    """

    def __init__(self, chances: np.ndarray, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._blocks = [module for module in self.net.modules() if isinstance(module, ResidualBlock)]
        self._chances = chances
        for block, chance in zip(self._blocks, chances, strict=True):
            block.add_module("survival", _Survival(1 - chance).train(block.training))
            block.plan = replace(block.plan, branch=(*block.plan.branch, "survival"))

    def left_out(self, step: int) -> np.ndarray:
        """(B,) bool, which blocks a step leaves out; the same for the same seeds and step."""
        random = np.random.default_rng(derived_seed(self.seeds[0], "blocks left out", step))
        return random.random(len(self._chances)) < self._chances

    def make_step(self) -> Made:
        """One step without the blocks that it leaves out."""
        plans = [block.plan for block in self._blocks]
        for block, leave in zip(self._blocks, self.left_out(self.step + 1), strict=True):
            if leave:
                block.plan = replace(block.plan, branch=())
        try:
            return super().make_step()
        finally:
            for block, plan in zip(self._blocks, plans, strict=True):
                block.plan = plan


def chances_of(settings: DepthSettings) -> np.ndarray:
    """(B,) of each block to be left out, growing in a straight line (equation 4)."""
    blocks = (settings.depth - 2) // 2
    return settings.drop * np.arange(1, blocks + 1) / blocks


def trainings_of(settings: DepthSettings, shelf: Shelf | None) -> Iterator[tuple[str, LockStep]]:
    """Each seed of each kind for itself, because each leaves out blocks of its own."""
    data, chances = settings.dataset(), chances_of(settings)
    one = resnet(settings.config(settings.depth), input_shape=data.input_shape)
    for seed in range(settings.seeds):
        for kind in KINDS:
            name = f"{kind}-{seed}"
            start = shelf.kept(name) if shelf is not None else None
            given = ([fresh_network(one, seed)], data, settings.recipe(), [seed])
            yield (
                name,
                DroppingSteps(chances if kind == "stochastic" else 0 * chances, *given, start=start),
            )


def run(settings: DepthSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Epoch by epoch, both kinds and all seeds by turns, with the time that their steps took."""
    numbers = shelf.numbers or {
        f"{kind}/{what}": np.full((settings.seeds, settings.epochs), np.nan)
        for kind in KINDS
        for what in ("train", "test", "seconds")
    }
    yield Partial(numbers, 0.0, "building networks")

    def note(name: str, training: LockStep) -> None:
        kind, seed = name.split("-")
        values = {
            "train": training.epoch_means()[1][0],
            "test": training.test()[1][0],
            "seconds": training.seconds,
        }
        for what, value in values.items():
            numbers[f"{kind}/{what}"][int(seed), training.epoch - 1] = value

    yield from by_turns(dict(trainings_of(settings, shelf)), shelf, numbers, note)


def cost(settings: DepthSettings) -> Estimate:
    """From three steps of a network of each kind."""
    one = training_cost(training for _, training in trainings_of(replace(settings, seeds=1), None))
    return Estimate(one.seconds * settings.seeds, one.bytes)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Errors over the epochs as the paper's figure 3 has them, and over the time."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    numbers = result.numbers
    epochs = np.arange(1, result.settings.epochs + 1)
    courses = [
        Line.over(
            f"{kind} depth, {'training' if part == 'train' else 'test'}",
            epochs,
            100 * numbers[f"{kind}/{part}"],
            colour=colour,
            dashed=part == "train",
        )
        for colour, kind in enumerate(KINDS)
        for part in ("train", "test")
    ]
    over_time = []
    for colour, kind in enumerate(KINDS):
        seconds = Line.over(kind, epochs, numbers[f"{kind}/seconds"], colour=colour).y
        over_time.append(
            Line.over(f"{kind} depth, test", seconds, 100 * numbers[f"{kind}/test"], colour=colour)
        )
    known = [
        100 * np.nanmax(numbers[f"{kind}/{part}"])
        for kind in KINDS
        for part in ("train", "test")
        if np.isfinite(numbers[f"{kind}/{part}"]).any()
    ]
    return {
        "Error over the epochs": study_lines(
            courses,
            title="Error over the epochs",
            x="epoch",
            y="error, %",
            summary=_told(result) + ".",
            explained=about(
                "Errors while the networks train, dashed on the images that are learned from (with the blocks "
                "that are left out), solid on others (with all blocks). Bars: smallest and largest.",
                "With stochastic depth the dashed line stays higher: each step trains a shorter network. In "
                "long trainings the solid line ends lower.",
                "Raise the number of epochs: where the constant network over-fits, leaving out can help.",
            ),
            y_range=(0, min(100.0, 1.05 * max(known, default=100.0))),
        ),
        "Test error over time": study_lines(
            over_time,
            title="Test error over time",
            x="seconds of processor, steps only",
            y="test error, %",
            summary=_time_told(result) + ".",
            explained=about(
                "The same test errors over what the steps cost: seconds of this process, evaluations apart.",
                "A quarter of the blocks is left out in the mean, so that training is nearly a quarter cheaper.",
                "Set the chance to 0.8: how much time is saved, and what does it do to the error?",
            ),
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Errors, and the time."""
    published = {"constant": "6.41 %", "stochastic": "5.25 %"}
    depth = result.settings.depth
    rows = [
        Compared(
            f"test error, {kind} depth",
            f"{told} (ResNet-110, CIFAR-10)",
            "table 1",
            f"{ours}, ResNet-{depth}" if (ours := percent(latest(result.numbers[f"{kind}/test"]))) else "",
        )
        for kind, told in published.items()
    ]
    saved = _saved_told(result)
    where = "README of the authors' code, yueatsprograms/Stochastic_Depth"
    rows.append(
        Compared(
            "time of an epoch", "60 s instead of 75 s: 20 % less", where, f"less by {saved}" if saved else ""
        )
    )
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether it is both better and faster."""
    tolerance = (
        "repeated: with stochastic depth the mean test error is lower by more than one standard error of the "
        f"differences between equal seeds, and with every seed the steps take at least {100 * _SAVED:.0f} % less "
        "time; three seeds at least"
    )
    told = f"{_told(result)}; {_time_told(result)}"
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    gaps = _gaps(result)
    better, faster = gaps.mean() < -standard_error(gaps), bool((_saved(result) >= _SAVED).all())
    if better and faster:
        return Verdict("repeated", told, tolerance)
    missing = [
        *(
            []
            if better
            else ["probably so short a training over-fits too little for leaving out to mend anything"]
        ),
        *([] if faster else ["the time saved is less than the rule asks for"]),
    ]
    return Verdict("not repeated", f"{told}; {'; '.join(missing)}", tolerance)


def _gaps(result: StudyResult) -> np.ndarray:
    """(S,) test error with stochastic depth, less that of the same seed without."""
    return latest(result.numbers["stochastic/test"]) - latest(result.numbers["constant/test"])


def _saved(result: StudyResult) -> np.ndarray:
    """(S,) share of the time that stochastic depth saves."""
    return 1 - latest(result.numbers["stochastic/seconds"]) / latest(result.numbers["constant/seconds"])


def _saved_told(result: StudyResult) -> str:
    saved = 100 * _saved(result)
    known = saved[np.isfinite(saved)]
    return f"{known.mean():.0f} % ({known.min():.0f} to {known.max():.0f})" if len(known) else ""


def _time_told(result: StudyResult) -> str:
    saved = _saved_told(result)
    return f"its steps save {saved} of the time" if saved else "No epoch is over yet"


def _told(result: StudyResult) -> str:
    gaps = _gaps(result)
    if not np.isfinite(gaps).all():
        return "No epoch is over yet"
    return (
        f"stochastic depth changes the test error by {points(gaps)} points at {result.settings.depth} layers"
    )


def _answer(result: StudyResult) -> str | None:
    gaps = _gaps(result)
    if result.settings.seeds < 2:
        return None
    error = standard_error(gaps)
    return GUESS.choices[0 if gaps.mean() < -error else 2 if gaps.mean() > error else 1]


GUESS = Guess(
    "Each step of a training leaves out a quarter of the blocks, other ones each time. The trained network is "
    "used with all of them. What happens to its test error, in this short training?",
    ("it falls", "it stays about the same", "it rises"),
    _answer,
    "A residual network does not need each of its blocks (see the lesions), so it trains well without some. In "
    "the paper's 500 epochs that keeps it from over-fitting; in a short training there is little to keep from.",
)

STUDY = Study(
    name="stochastic_depth",
    title="Stochastic depth",
    question="Can blocks be left out while a network trains, and what is gained?",
    source=Source("Huang et al. 2016", "1603.09382", "table 1, figure 3, equations 4 and 5"),
    texts=Texts(
        "A deep network is slow to train and may learn its images by heart. So in each step a quarter of its "
        "blocks is left out by lot; only their shortcuts are left. That saves their time, and the network "
        "cannot lean on any single block.",
        "The chance to be left out grows in a straight line from the input to 0.5 at the last block; blocks "
        "that are left out are not computed, and their weights and momentum stand still in that step; in "
        "evaluation each branch counts times its chance to be there. Each seed leaves out blocks of its own. "
        "Time is that of the process, by turns, evaluations apart. The toy has 56 layers, digits and 12 "
        "epochs; the paper 110 layers, CIFAR-10 and 500 epochs, where the gain is one of over-fitting.",
        "10 minutes. After the lesions. Let them compute the share that is left out (a quarter) before they "
        "see the time. Goes wrong: with 500 test images a difference of half a point is three images; look "
        "at the bars. Answer to 'why is it not a quarter faster?': stem, optimizer and data cost as before.",
    ),
    guess=GUESS,
    toy=DepthSettings(),
    paper=DepthSettings(depth=110, seeds=3, **{**PAPER, "epochs": 500}),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
