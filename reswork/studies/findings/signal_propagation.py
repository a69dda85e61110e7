"""Signal propagation: how large the stream and the branches are at each block, before anything is trained."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.results.study import UNCHECKED, Compared, Line, Verdict
from reswork.studies.settings import Settings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.models.config import ResNetConfig

RECIPES: dict[str, dict[str, Any]] = {
    "pre-activation": {"order": "pre"},
    "original": {"order": "post"},
    "norm after addition": {"order": "bn_after_addition"},
    "ReLU before addition": {"order": "relu_before_addition"},
    "ReLU-only pre-activation": {"order": "relu_only_pre"},
    "no norm": {"order": "pre", "norm": "none"},
    "group norm": {"order": "pre", "norm": "group"},
    "SkipInit": {"order": "pre", "norm": "none", "residual_scaling": "skipinit"},
    "plain": {"order": "post", "residual": False},
}
_BRANCH = 1 - 1 / np.pi  # variance of He-initialised convolutions over the ReLU of normal numbers


@dataclass(frozen=True)
class SignalSettings(Settings):
    """Which block recipes are looked at, how deep."""

    recipes: tuple[str, ...] = setting(
        ("pre-activation", "original", "ReLU before addition", "no norm", "SkipInit", "plain"),
        "Recipes",
        f"of: {', '.join(RECIPES)}",
        choices=tuple(RECIPES),
    )
    depth: int = setting(56, "Depth", "weighted layers, 6n+2", least=8, most=1202)
    width: int = setting(16, "Width", "channels of the first stage", least=1, most=256)
    size: int = setting(32, "Size", "pixels of the images of noise, in height and width", least=8, most=224)
    images: int = setting(32, "Images", "of normal noise, as in the paper", least=2, most=1024)
    seeds: int = setting(3, "Seeds", "initialisations of each", least=1, most=50)


def config_of(settings: SignalSettings, recipe: str) -> "ResNetConfig":
    """The network of a recipe; shortcuts project where the shape changes, as the paper's do."""
    from reswork.models.config import ResNetConfig

    more: dict[str, Any] = {"shortcut": "B"} if RECIPES[recipe].get("residual", True) else {}
    return ResNetConfig(depth=settings.depth, width=settings.width, **more, **RECIPES[recipe])


def run(settings: SignalSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Network by network."""
    import torch

    from reswork.experiment.seed_runs import fresh_network
    from reswork.models.network import resnet
    from reswork.probes.initialisation import signal_sizes

    blocks = len(config_of(settings, settings.recipes[0]).block_names)
    numbers = shelf.numbers or {
        f"{recipe}/{what}": np.full((settings.seeds, blocks), np.nan)
        for recipe in settings.recipes
        for what in ("stream", "branch", "mean")
    }
    total, done = len(settings.recipes) * settings.seeds, 0
    for recipe in settings.recipes:
        one = resnet(config_of(settings, recipe))
        for seed in range(settings.seeds):
            if not np.isfinite(numbers[f"{recipe}/stream"][seed]).any():
                yield Partial(numbers, done / total, f"{recipe}, seed {seed}")
                generator = torch.Generator().manual_seed(seed)
                noise = torch.randn(settings.images, 3, settings.size, settings.size, generator=generator)
                found = signal_sizes(fresh_network(one, seed), noise)
                for what in ("stream", "branch", "mean"):
                    numbers[f"{recipe}/{what}"][seed] = found[what]
            done += 1
    yield Partial(numbers, 1.0, "done")


def cost(settings: SignalSettings) -> Estimate:
    """From one network."""
    import time

    import torch

    from reswork.models.network import resnet
    from reswork.models.sheet import spec_sheet
    from reswork.probes.initialisation import signal_sizes

    config = config_of(settings, settings.recipes[0])
    begun = time.perf_counter()
    signal_sizes(resnet(config), torch.randn(settings.images, 3, settings.size, settings.size))
    each = time.perf_counter() - begun
    sheet = spec_sheet(config, (3, settings.size, settings.size))
    return Estimate(each * len(settings.recipes) * settings.seeds, settings.images * sheet.inference_bytes)


def stages(result: StudyResult) -> list[slice]:
    """Which blocks each stage has."""
    blocks = next(iter(result.numbers.values())).shape[1]
    each = blocks // 3
    return [slice(start, start + each) for start in range(0, blocks, each)]


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Signal propagation plots: variance of the stream and of the branches, over the blocks."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    places = np.arange(1, next(iter(result.numbers.values())).shape[1] + 1)

    def lines(what: str) -> list[Line]:
        return [
            Line.over(recipe, places, result.numbers[f"{recipe}/{what}"], colour=index, dashed=index >= 6)
            for index, recipe in enumerate(result.settings.recipes)
        ]

    return {
        "Variance of the stream": study_lines(
            lines("stream"),
            title="Variance of the stream",
            x="block, from input to output",
            y="average channel variance",
            summary=_told(result) + ".",
            explained=about(
                "The variance of what leaves each block, before anything is trained, for images of noise.",
                "Pre-activation with batch norm: rises by about the same amount at each block, and "
                "begins anew at each stage. "
                "Without a norm it doubles at each block; SkipInit stays level.",
                "Look for lines that run off the scale: those networks need another initialisation or a norm.",
            ),
            y_scale="log",
        ),
        "Variance of the branches": study_lines(
            lines("branch"),
            title="Variance of the branches",
            x="block, from input to output",
            y="average channel variance",
            summary="The variance of F(x) at each block, before the addition.",
            explained=about(
                "The variance of what each branch adds to the stream.",
                "With batch norm level: about 0.68 where the branch ends with a convolution after a "
                "ReLU, 1 where it ends with "
                "a norm. So late blocks change the stream less and less.",
                "SkipInit's branches are zero at the start and leave a hole on this scale.",
            ),
            y_scale="log",
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Of pre-activation networks with batch norm: section 3."""
    if "pre-activation" not in result.settings.recipes:
        return ()
    branch, stream = (result.numbers[f"pre-activation/{what}"] for what in ("branch", "stream"))
    known = np.isfinite(branch).any()
    growth = np.concatenate([np.diff(stream[:, stage], axis=1).ravel() for stage in stages(result)])
    resets = [
        stream[:, after.start] / stream[:, before.stop - 1] for before, after in pairwise(stages(result))
    ]
    return (
        Compared(
            "variance of a branch",
            f"1, and {_BRANCH:.2f} with ReLUs (1 - 1/pi)",
            f"section 3; the second{UNCHECKED}",
            f"{np.nanmean(branch):.2f} ({np.nanmin(branch):.2f} to {np.nanmax(branch):.2f})" if known else "",
        ),
        Compared(
            "growth of the stream from block to block",
            "linear, by the branch's variance",
            "section 3, figure 1",
            f"{np.nanmean(growth):.2f} a block" if known else "",
        ),
        Compared(
            "stream at a new stage, over the end of the one before",
            "begins anew",
            "section 3, figure 1",
            f"{np.nanmean(resets):.2f}" if known else "",
        ),
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether a normalised pre-activation network behaves as the paper says."""
    tolerance = (
        "repeated: with every seed of the pre-activation network all branches have a variance of 0.5 "
        "to 1.2, the stream's "
        "variance over a stage follows a straight line (r above 0.98), and falls by more than half "
        "where a stage begins; three "
        "seeds at least"
    )
    if "pre-activation" not in result.settings.recipes:
        return Verdict(
            "open", "the pre-activation network, of which the paper speaks, was not looked at", tolerance
        )
    told = _told(result)
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    branch, stream = (result.numbers[f"pre-activation/{what}"] for what in ("branch", "stream"))
    parts = stages(result)
    straight = all(
        np.corrcoef(np.arange(part.stop - part.start), row[part])[0, 1] > 0.98
        for row in stream
        for part in parts
    )
    anew = all(
        row[after.start] < row[before.stop - 1] / 2 for row in stream for before, after in pairwise(parts)
    )
    level = bool(((branch > 0.5) & (branch < 1.2)).all())
    return Verdict("repeated" if straight and anew and level else "not repeated", told, tolerance)


def _told(result: StudyResult) -> str:
    words = []
    for recipe in result.settings.recipes:
        stream = result.numbers[f"{recipe}/stream"]
        if np.isfinite(stream).any():
            words.append(f"{recipe} {np.nanmean(stream[:, 0]):.2g} to {np.nanmean(stream[:, -1]):.2g}")
    return (
        "variance of the stream from the first block to the last: " + ", ".join(words)
        if words
        else "Nothing is measured yet"
    )


def _answer(result: StudyResult) -> str | None:
    if "pre-activation" not in result.settings.recipes:
        return None
    stream = result.numbers["pre-activation/stream"].mean(axis=0)
    stage = stream[stages(result)[0]]
    ratio = stage[-1] / stage[0]
    each = ratio ** (1 / (len(stage) - 1))
    return GUESS.choices[0 if ratio < 1.5 else 1 if each < 1.7 else 2]


GUESS = Guess(
    "A fresh pre-activation network with batch norm: each block adds its branch to the stream. How "
    "does the stream's variance "
    "go over the nine blocks of a stage?",
    ("it stays level, batch norm sees to that", "it grows in a straight line", "it doubles at each block"),
    _answer,
    "The branch begins with a norm, so what it adds has the same variance at each block, whatever "
    "the stream's is; the sum "
    "grows by that much. Without a norm the branch is as large as the stream, and the variance doubles.",
)

STUDY = Study(
    name="signal_propagation",
    title="Signal propagation",
    question="How large are the numbers in a fresh network, block by block, and why do deep ones start at all?",
    source=Source("Brock et al. 2021", "2101.08692", "section 3, figure 1"),
    texts=Texts(
        "Before the first step of training one can already see whether a network can learn: send "
        "noise through it and look how "
        "large the numbers become from block to block.",
        "Average channel variance of the block's output and of the branch, in training mode, on "
        "normal noise, in the CIFAR form "
        "with projections where the shape changes; the paper has a ResNet-V2-600 and ImageNet's shapes.",
        "10 minutes. Have the doubling computed by hand: 2^27 for 27 blocks without a norm. Goes "
        "wrong: with shortcut A the "
        "stream is not normalised where a stage begins, so it does not begin anew.",
    ),
    guess=GUESS,
    toy=SignalSettings(),
    paper=SignalSettings(recipes=tuple(RECIPES), depth=602, width=16, images=64),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
