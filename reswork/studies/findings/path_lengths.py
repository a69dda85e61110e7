"""Path lengths: of all ways through a residual network, nearly all gradient takes the short ones."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

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

_MOST = 0.95  # share of the gradient that counts as "nearly all"


@dataclass(frozen=True)
class PathSettings(TrainingSettings):
    """Which network, and how many paths of each length are drawn."""

    depth: int = setting(56, "Depth", "weighted layers, 6n+2", least=8, most=1202)
    paths: int = setting(128, "Paths", "drawn of each length, each with another image", least=4, most=5000)


def run(settings: PathSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Seed by seed: train, then length by length the gradient that paths of this length carry to the input."""
    import torch

    from reswork.datasets.augmentation import normalise
    from reswork.studies.trained import trained

    config = settings.config(settings.depth)
    blocks = len(config.block_names)
    numbers = shelf.numbers or {"norm": np.full((settings.seeds, blocks + 1), np.nan)}
    data = settings.dataset()
    for seed in range(settings.seeds):
        if np.isfinite(numbers["norm"][seed]).all():
            continue
        span = (seed / settings.seeds, (seed + 0.9) / settings.seeds)
        (found,) = yield from trained(settings, [config], seed, shelf, numbers, span)
        generator = torch.Generator().manual_seed(seed)
        for length in range(blocks + 1):
            chosen = torch.randint(len(data.test), (settings.paths,), generator=generator)
            images = normalise(
                data.test.images[chosen], data.mean, data.std, torch.float32, torch.contiguous_format
            )
            order = torch.rand(settings.paths, blocks, generator=generator).argsort(dim=1)
            gradients = path_gradients(found.model, images, data.test.labels[chosen], order < length)
            numbers["norm"][seed, length] = float(gradients.flatten(1).norm(dim=1).double().mean())
            share = (seed + 0.9 + 0.1 * (length + 1) / (blocks + 1)) / settings.seeds
            yield Partial(numbers, share, f"paths of {length} blocks, seed {seed}")


def path_gradients(model: "ResNet", images: "Tensor", labels: "Tensor", through: "Tensor") -> "Tensor":
    """The gradient of each image's loss with respect to it, along one path each.

    Over all 2^B paths these add up to the whole gradient.

    Args:
        model: a residual network in evaluation mode; unchanged.
        images: (N, C, H, W), normalised.
        labels: (N,).
        through: (N, B) bool: whether image n's path goes through block b's branch, else over its shortcut.

    Returns:
        (N, C, H, W).
    """
    import copy

    import torch
    import torch.nn.functional as F

    with torch.enable_grad():
        own = copy.deepcopy(model).eval()
        leaf = images.detach().clone().requires_grad_()
        with _one_path(own, through):
            loss = F.cross_entropy(own(leaf), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


@contextmanager
def _one_path(model: "ResNet", through: "Tensor") -> Iterator[None]:
    """The network computes as ever, but gradients go one way at each addition."""
    from torch import Tensor, nn

    from reswork.models.anatomy import residual_blocks

    class Gate(nn.Module):
        def __init__(self, inside: nn.Module | None, passes: Tensor) -> None:
            super().__init__()
            self.inside, self.passes = inside, passes

        def forward(self, x: Tensor) -> Tensor:
            return _passed(x if self.inside is None else self.inside(x), self.passes)

    hooks = []
    for block, own in zip(residual_blocks(model), through.T, strict=True):
        opened = own.float().view(-1, 1, 1, 1)  # (N, 1, 1, 1)
        module: Any = block.module
        module.downsample = Gate(module.downsample, 1 - opened)
        branch = block.branch_module
        assert branch is not None  # none is switched off in these networks
        hooks.append(
            branch.register_forward_hook(lambda _m, _i, output, opened=opened: _passed(output, opened))
        )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _passed(values: "Tensor", passes: "Tensor") -> "Tensor":
    """The same values, with a gradient only where ``passes`` is 1."""
    return values * passes + (values * (1 - passes)).detach()


def cost(settings: PathSettings) -> Estimate:
    """Mostly the training, of half as many networks as a race between plain and residual ones has."""
    both = training_cost(settings, (settings.depth,))
    return Estimate(both.seconds / 2, both.bytes / 2)


def shares(result: StudyResult) -> np.ndarray:
    """(S, B + 1) share of the gradient that comes over all paths of each length."""
    norms = result.numbers["norm"]
    counts = np.array([float(comb(norms.shape[1] - 1, length)) for length in range(norms.shape[1])])
    whole = norms * counts
    return whole / whole.sum(axis=1, keepdims=True)


def span(result: StudyResult) -> tuple[int, int]:
    """Shortest and longest of the lengths that carry 95 % of the gradient, 2.5 % cut off at each end, mean of seeds."""
    added = np.nanmean(shares(result), axis=0).cumsum()
    low = int(np.searchsorted(added, (1 - _MOST) / 2))
    return low, int(np.searchsorted(added, 1 - (1 - _MOST) / 2))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """The three parts of the paper's figure 6."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    norms = result.numbers["norm"]
    blocks = norms.shape[1] - 1
    lengths = np.arange(blocks + 1)
    counts = np.array([comb(blocks, int(length)) / 2**blocks for length in lengths])
    rows = 100 * shares(result)
    return {
        "Gradient by path length": study_lines(
            [
                Line.over("share of the gradient", lengths, rows, colour=0),
                Line("share of all paths", lengths, 100 * counts, colour=1, dashed=True),
            ],
            title="Gradient by path length",
            x="blocks on the path",
            y="share, %",
            summary=_told(result) + ".",
            explained=about(
                "A network of B residual blocks has 2^B paths from input to output: at each block "
                "through the branch or over "
                "the shortcut. Dashed: how many paths have each length. Solid: how much of the "
                "gradient they carry to the input, "
                "their number times what one of them carries.",
                "Most paths are about B/2 long, but the gradient comes over much shorter ones.",
                "Deepen the network: does the length of the paths that matter grow as fast?",
            ),
        ),
        "One path's gradient": study_lines(
            [Line.over("norm at the input", lengths, norms, colour=0)],
            title="One path's gradient",
            x="blocks on the path",
            y="mean norm",
            summary="The mean gradient norm at the input along one path of each length.",
            explained=about(
                "The norm of the gradient that reaches the input over a single path, by how many "
                "branches it goes through.",
                "It falls about exponentially: a straight line on this scale.",
                "A level line would mean that long paths matter as much as short ones.",
            ),
            y_scale="log",
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Section 4.2 and figure 6, for a ResNet-110 of 54 blocks."""
    norms = result.numbers["norm"]
    if not np.isfinite(norms).all():
        ours, part = "", ""
    else:
        low, high = span(result)
        blocks = norms.shape[1] - 1
        ours = f"{low} to {high} of {blocks} blocks carry 95 % ({len(norms)} seed{'s' * (len(norms) > 1)})"
        part = f"{100 * sum(comb(blocks, length) for length in range(low, high + 1)) / 2**blocks:.2g} %"
    return (
        Compared(
            "lengths that carry nearly all gradient",
            "5 to 17 of 54 blocks (ResNet-110, CIFAR-10)",
            "section 5",
            ours,
        ),
        Compared("share of all paths that have these lengths", "0.45 %", "section 5", part),
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether the gradient comes over paths much shorter than the typical one."""
    half = (result.numbers["norm"].shape[1] - 1) / 2
    tolerance = (
        "repeated: with every seed, 95 % of the gradient comes over paths shorter than half of the blocks "
        f"({half:g}); three seeds at least"
    )
    if result.settings.seeds < 3:
        return Verdict("open", f"{_told(result)}; not enough seeds", tolerance)
    short = shares(result)[:, : int(np.ceil(half))].sum(axis=1)
    return Verdict("repeated" if (short >= _MOST).all() else "not repeated", _told(result), tolerance)


def _told(result: StudyResult) -> str:
    known = np.isfinite(result.numbers["norm"]).all(axis=1)
    if not known.any():
        return "No gradient is measured yet"
    rows = shares(result)[known]
    mean = float((rows * np.arange(rows.shape[1])).sum(axis=1).mean())
    low, high = span(result)
    return (
        f"of {rows.shape[1] - 1} blocks, paths through {low} to {high} carry 95 % of the gradient; "
        f"the mean length is "
        f"{mean:.1f} blocks, as deep as a network of {2 * mean + 2:.0f} layers"
    )


def _answer(result: StudyResult) -> str | None:
    rows = shares(result).mean(axis=0)
    middle = (rows * np.arange(len(rows))).sum() / (len(rows) - 1)
    return GUESS.choices[0 if middle < 1 / 3 else 1 if middle < 2 / 3 else 2]


GUESS = Guess(
    "A ResNet-56 has 27 blocks. Through how many branches does a typical piece of the gradient come "
    "on its way to the input?",
    ("fewer than 9", "9 to 18, about half", "more than 18, nearly all"),
    _answer,
    "There are many more paths of medium length than short ones, but each branch on the way makes a "
    "path's gradient smaller, and "
    "that outweighs the number of paths.",
)

STUDY = Study(
    name="path_lengths",
    title="Path lengths",
    question="Is a deep residual network deep, or an ensemble of shallow ones?",
    source=Source("Veit et al. 2016", "1605.06431", "section 5, figure 6"),
    texts=Texts(
        "At each block a signal can go through the layers or around them. Of all these ways through "
        "the network, which ones does "
        "the gradient take when the network learns?",
        "For each image of a batch one path is drawn: at each addition the gradient goes either "
        "through the branch or over the "
        "shortcut, while the values stay those of the whole network; over all paths these gradients "
        "add up to the whole one, "
        "which a test holds. Times the binomial count. Veit et al. draw paths in a trained "
        "ResNet-110 on CIFAR-10.",
        "10 minutes. Ask for the number of paths first (2^27), then for the typical length. Goes "
        "wrong: 'short paths have larger "
        "gradients' and 'there are more long paths' are both true; only the product answers.",
    ),
    guess=GUESS,
    toy=PathSettings(),
    paper=PathSettings(depth=110, **PAPER),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
