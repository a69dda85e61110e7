"""The residual as a difference: how small what a block adds is, and what happens when one decodes early."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.findings.degradation import training_cost
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from torch import Tensor

    from reswork.models.network import ResNet

_STATE = "training"


@dataclass(frozen=True)
class DifferenceSettings(TrainingSettings):
    """Which network is looked at while it trains."""

    depth: int = setting(56, "Depth", "weighted layers, 6n+2", least=14, most=1202)
    images: int = setting(256, "Images", "test images that the sizes are measured on", least=2, most=10_000)


def run(settings: DifferenceSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Networks of all seeds in lock step; before the first and after each epoch the sizes at each block."""
    import torch

    from reswork.datasets.augmentation import normalise
    from reswork.experiment.seed_runs import fresh_network
    from reswork.models.network import resnet
    from reswork.studies.lock_step import LockStep

    config, data = settings.config(settings.depth), settings.dataset()
    blocks = len(config.block_names)
    numbers = shelf.numbers or {
        "ratio": np.full((settings.seeds, settings.epochs + 1, blocks), np.nan),
        "cosine": np.full((settings.seeds, settings.epochs + 1, blocks), np.nan),
        "early": np.full((settings.seeds, blocks // 3), np.nan),
    }
    yield Partial(numbers, 0.0, "building networks")
    test = data.test.take(slice(0, settings.images))
    images = normalise(test.images, data.mean, data.std, torch.float32, torch.contiguous_format)
    one = resnet(config, input_shape=data.input_shape)
    models = [fresh_network(one, seed) for seed in range(settings.seeds)]
    training = LockStep(models, data, settings.recipe(), [*range(settings.seeds)], start=shelf.kept(_STATE))  # type: ignore[arg-type]

    def measure(epoch: int) -> None:
        for seed, state in enumerate(training.net.states()):
            one.load_state_dict(state)
            numbers["ratio"][seed, epoch], numbers["cosine"][seed, epoch] = summand_sizes(one, images)

    try:
        if training.step == 0:
            measure(0)
        while not training.done:
            training.make_step()
            if training.ends_epoch:
                measure(training.epoch)
            yield Partial(
                numbers, training.step / training.total, f"epoch {training.epoch} of {settings.epochs}"
            )
        for seed, state in enumerate(training.net.states()):
            one.load_state_dict(state)
            numbers["early"][seed] = early_answers(one, images, test.labels)
            yield Partial(numbers, 1.0, "decoding early")
    finally:
        if training.done:
            shelf.drop(_STATE)
        else:
            shelf.keep(_STATE, training.state())


def summand_sizes(model: "ResNet", images: "Tensor") -> tuple[np.ndarray, np.ndarray]:
    """At each block, y = F(x) + s(x), in evaluation mode.

    Args:
        model: a residual network that was built here.
        images: (N, C, H, W), normalised.

    Returns:
        Root mean square of F(x) over that of s(x), and their cosine, (B,) each.
    """
    import torch

    from reswork.models.anatomy import residual_blocks

    met: dict[str, Tensor] = {}
    ratios, cosines, hooks = [], [], []

    def at_end(name: str) -> None:
        branch, shortcut = met.pop("branch").double().flatten(), met.pop("shortcut").double().flatten()
        sizes = float(branch.norm()), float(shortcut.norm())
        ratios.append(sizes[0] / max(sizes[1], 1e-30))
        cosines.append(float(branch @ shortcut) / max(sizes[0] * sizes[1], 1e-30))

    for block in residual_blocks(model):
        assert block.branch_module is not None
        hooks.append(block.branch_module.register_forward_hook(lambda _m, _i, out: met.update(branch=out)))
        if block.shortcut is not None:
            hooks.append(block.shortcut.register_forward_hook(lambda _m, _i, out: met.update(shortcut=out)))
        else:
            hooks.append(
                block.module.register_forward_pre_hook(lambda _m, given: met.update(shortcut=given[0]))
            )
        hooks.append(block.module.register_forward_hook(lambda _m, _i, _out, name=block.name: at_end(name)))
    try:
        with torch.no_grad():
            model.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    return np.array(ratios), np.array(cosines)


def early_answers(model: "ResNet", images: "Tensor", labels: "Tensor") -> np.ndarray:
    """The network's own last layers put behind each block of the last stage in turn.

    Args:
        model: a classifier of the original order, in evaluation mode.
        images: (N, C, H, W), normalised.
        labels: (N,).

    Returns:
        (blocks of the last stage,) share of right answers; the last is the network's own.
    """
    import torch

    right = []
    with torch.no_grad():
        model.eval()
        x = model.maxpool(model.relu(model.bn1(model.conv1(images))))
        for name in model.stage_names[:-1]:
            x = model.get_submodule(name)(x)
        for block in model.get_submodule(model.stage_names[-1]).children():
            x = block(x)
            answers = model.fc(model.avgpool(x).flatten(1)).argmax(dim=1)
            right.append(float((answers == labels).double().mean()))
    return np.array(right)


def cost(settings: DifferenceSettings) -> Estimate:
    """Half of a race of plain and residual networks."""
    both = training_cost(settings, (settings.depth,))
    return Estimate(both.seconds / 2, both.bytes / 2)


def groups(result: StudyResult) -> tuple[np.ndarray, np.ndarray]:
    """(B,) bool: the first block of each stage; all others."""
    blocks = result.numbers["ratio"].shape[2]
    first = np.arange(blocks) % (blocks // 3) == 0
    return first, ~first


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Size of the branch by block and over training, and decoding after each block of the last stage."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    ratio, early = result.numbers["ratio"], result.numbers["early"]
    epochs = np.flatnonzero(np.isfinite(ratio).all(axis=(0, 2)))
    places = np.arange(1, ratio.shape[2] + 1)
    last = int(epochs[-1]) if len(epochs) else 0
    first, others = groups(result)
    shown = [(0, "fresh", 1)] + ([(last, f"after {last} epoch{'s' if last > 1 else ''}", 0)] if last else [])
    return {
        "Branch over shortcut": study_lines(
            [
                Line.over(name, places, ratio[:, epoch], colour=colour, dashed=epoch == 0)
                for epoch, name, colour in shown
            ],
            title="Branch over shortcut",
            x="block, from input to output",
            y="|F(x)| / |x|",
            summary=_told(result) + ".",
            explained=about(
                "How large what a block adds is, against what comes over its shortcut.",
                "Fresh: the branch is about as large as the stream at first. Trained: the blocks in "
                "the middle of a stage add "
                "little, the first of a stage add more.",
                "Blocks below 0.1 hardly do anything: delete them in the study of lesions.",
            ),
        ),
        "Branch over training": study_lines(
            [
                Line.over(
                    "first blocks of the stages",
                    np.arange(ratio.shape[1]),
                    _mean(ratio[:, :, first]),
                    colour=1,
                ),
                Line.over("all others", np.arange(ratio.shape[1]), _mean(ratio[:, :, others]), colour=0),
            ],
            title="Branch over training",
            x="epoch",
            y="|F(x)| / |x|, mean",
            summary="The mean ratio of branch to shortcut over the epochs, first blocks of the stages and all others.",
            explained=about(
                "The same ratio while the network trains, from before the first step on.",
                "The two groups part: new features at the beginning of a stage, small corrections behind it.",
                "Train longer, or deeper: do the corrections get smaller still?",
            ),
        ),
        "Decoding early": study_lines(
            [Line.over("right answers", np.arange(1, early.shape[1] + 1), 100 * early, colour=0)],
            title="Decoding early",
            x="block of the last stage",
            y="right answers, %",
            summary="Right answers when the last layer reads each block of the last stage in turn.",
            explained=about(
                "The network's own classifier, which learned to read the last block, put behind "
                "earlier blocks of its stage.",
                "It rises block by block: each one corrects the answer of those before it, which is "
                "called iterative refinement.",
                "A jump at one block: that one does the work, the others hand on.",
            ),
        ),
    }


def _mean(values: np.ndarray) -> np.ndarray:
    """(S, E) over blocks; NaN where an epoch is not measured."""
    return values.mean(axis=2)


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """The papers say it in words and curves."""
    ratio, early = result.numbers["ratio"][:, -1], result.numbers["early"]
    known = np.isfinite(ratio).all() and np.isfinite(early).all()
    first, others = groups(result)
    return (
        Compared(
            "|F(x)| / |x|, first blocks of the stages",
            "large in the network's first blocks, up to 2 where all have one size; less so in ResNet-110",
            "Jastrzebski 2018, section 4.2, figure 2",
            f"{ratio[:, first].mean():.2f}" if known else "",
        ),
        Compared(
            "|F(x)| / |x|, later blocks",
            "much smaller",
            "Jastrzebski 2018, section 4.2, figure 2",
            f"{np.median(ratio[:, others]):.2f} in the median" if known else "",
        ),
        Compared(
            "accuracy when decoding after each block of the last stage",
            "rises very gradually",
            "Jastrzebski 2018, section 4.2, figure 5",
            " ".join(f"{100 * value:.0f}" for value in early.mean(axis=0)) + " %" if known else "",
        ),
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether later blocks add small differences that refine the answer."""
    tolerance = (
        "repeated: with every seed the median of |F(x)| / |x| over the blocks behind the first of "
        "each stage is below 0.5 and below "
        "the mean of the first ones, and decoding rises from the first to the last block of the last "
        "stage; three seeds at least"
    )
    told = _told(result)
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    ratio, early = result.numbers["ratio"][:, -1], result.numbers["early"]
    first, others = groups(result)
    middle = np.median(ratio[:, others], axis=1)
    holds = (middle < 0.5) & (middle < ratio[:, first].mean(axis=1)) & (early[:, 0] < early[:, -1])
    return Verdict("repeated" if holds.all() else "not repeated", told, tolerance)


def _told(result: StudyResult) -> str:
    ratio, early = result.numbers["ratio"], result.numbers["early"]
    epochs = np.flatnonzero(np.isfinite(ratio).all(axis=(0, 2)))
    if not len(epochs):
        return "Nothing is measured yet"
    now = ratio[:, epochs[-1]]
    first, others = groups(result)
    told = (
        f"after {epochs[-1]} epochs |F(x)| / |x| is {now[:, first].mean():.2f} in the first blocks of "
        f"the stages (mean) and "
        f"{np.median(now[:, others]):.2f} in the others (median)"
    )
    if np.isfinite(early).all():
        ends = 100 * early[:, [0, -1]].mean(axis=0)
        told += f"; decoding after the blocks of the last stage gives {ends[0]:.0f} to {ends[1]:.0f} %"
    return told


def _answer(result: StudyResult) -> str | None:
    middle = float(np.median(result.numbers["ratio"][:, -1][:, groups(result)[1]]))
    return GUESS.choices[0 if middle < 0.5 else 1 if middle < 1.5 else 2]


GUESS = Guess(
    "In a trained ResNet-56, how large is what a block in the middle of a stage adds, against what "
    "comes over its shortcut?",
    ("smaller than half", "about as large", "larger"),
    _answer,
    "The shortcut carries what is known already; the branch has to learn the difference only, and "
    "with many blocks each one's "
    "share is small.",
)

STUDY = Study(
    name="residual_as_difference",
    title="The residual as a difference",
    question="How much does a block change, and do later blocks refine what earlier ones said?",
    source=Source(
        "Greff et al. 2017, Jastrzebski et al. 2018", "1710.04773", "section 4.2 (and arXiv:1612.07771)"
    ),
    texts=Texts(
        "A block adds something to what it gets. How much? And if one asks the network for its "
        "answer some blocks early, is it "
        "already right?",
        "Ratio of the root mean squares of F(x) and s(x) as they enter the addition, on test images "
        "in evaluation mode, before the "
        "first and after each epoch; early decoding puts pooling and classifier, unchanged, behind "
        "each block of the last stage.",
        "10 minutes. Ask why decoding works early at all: the shortcut keeps the meaning of channels "
        "within a stage. Goes wrong: across "
        "stages it cannot work, the shapes differ.",
    ),
    guess=GUESS,
    toy=DifferenceSettings(),
    paper=DifferenceSettings(depth=110, **PAPER),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
