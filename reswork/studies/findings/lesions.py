"""Lesions: a trained residual network does without single blocks, and with some in the wrong order; a plain one not."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reswork.errors import InvalidSetting
from reswork.results.study import UNCHECKED, Compared, Line, Verdict
from reswork.studies.findings.degradation import training_cost
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, PointedGuess, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.datasets.dataset import Dataset
    from reswork.models.config import ResNetConfig
    from reswork.models.network import ResNet
    from reswork.surgery import Operation

_NEAR, _RUINED = 0.05, 0.5  # of error: hardly hurt, and ruined


@dataclass(frozen=True)
class LesionSettings(TrainingSettings):
    """Which networks are hurt, and how."""

    depth: int = setting(56, "Depth", "of the residual network, 6n+2", least=14, most=1202)
    plain_depth: int = setting(
        20, "Plain depth", "of a plain network that still trains, 6n+2", least=14, most=1202
    )
    deleted: tuple[int, ...] = setting(
        (1, 3, 5, 10, 15), "Deleted", "blocks deleted at once", least=1, most=600
    )
    swapped: tuple[int, ...] = setting(
        (1, 3, 6, 12), "Swapped", "pairs of blocks of a stage swapped", least=1, most=600
    )
    draws: int = setting(6, "Draws", "of which blocks, for each number", least=1, most=100)
    reestimate: bool = setting(False, "Re-estimate norms", "give batch norm new statistics after each lesion")


def configs_of(settings: LesionSettings) -> "dict[str, ResNetConfig]":
    """The two networks.

    Raises:
        InvalidSetting: where more blocks shall be deleted than there are.
    """
    found = {
        "residual": settings.config(settings.depth),
        "plain": settings.config(settings.plain_depth, residual=False),
    }
    blocks = len(found["residual"].block_names)
    if max(settings.deleted) > blocks:
        raise InvalidSetting(
            "deleted",
            f"deleted={settings.deleted}: a ResNet-{settings.depth} has {blocks} blocks; "
            "delete at most so many",
        )
    return found


def run(settings: LesionSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Seed by seed: train both, then lesion by lesion."""
    from reswork.studies.trained import trained

    configs, data = configs_of(settings), settings.dataset()
    shapes = {"deleted": len(settings.deleted), "swapped": len(settings.swapped)}
    numbers = shelf.numbers or {
        **{f"{kind}/whole": np.full(settings.seeds, np.nan) for kind in configs},
        **{
            f"{kind}/one": np.full((settings.seeds, len(each.block_names)), np.nan)
            for kind, each in configs.items()
        },
        **{
            f"residual/{what}": np.full((settings.seeds, count, settings.draws), np.nan)
            for what, count in shapes.items()
        },
        "complete": np.zeros(settings.seeds, np.int64),
    }
    for seed in range(settings.seeds):
        if numbers["complete"][seed]:
            continue
        begin, whole = seed / settings.seeds, 1 / settings.seeds
        found = yield from trained(
            settings, [*configs.values()], seed, shelf, numbers, (begin, begin + 0.6 * whole)
        )
        models = dict(zip(configs, (each.model for each in found), strict=True))
        lesions = [*lesions_of(settings, configs, seed)]
        for place, (key, index, operations) in enumerate(lesions):
            row = numbers[key][seed : seed + 1] if index == () else numbers[key][seed]
            at = 0 if index == () else index
            if np.isnan(row[at]):
                kind = key.partition("/")[0]
                row[at] = error_after(models[kind], operations, data, reestimate=settings.reestimate)
            share = begin + (0.6 + 0.4 * place / len(lesions)) * whole
            yield Partial(numbers, share, f"seed {seed}, {operations[0].sentence if operations else 'whole'}")
        numbers["complete"][seed] = 1


def lesions_of(
    settings: LesionSettings, configs: "dict[str, ResNetConfig]", seed: int
) -> "Iterator[tuple[str, tuple[int, ...], list[Operation]]]":
    """What is done to which network, and where its error belongs."""
    from reswork.surgery import Delete, Swap

    random = np.random.default_rng(seed)
    for kind, config in configs.items():
        yield f"{kind}/whole", (), []
        for index, name in enumerate(config.block_names):
            if kind == "residual" or not changes_shape(config, index):
                yield f"{kind}/one", (index,), [Delete(name)]
    names = configs["residual"].block_names
    for row, count in enumerate(settings.deleted):
        for draw in range(settings.draws):
            chosen = random.choice(len(names), count, replace=False)
            yield "residual/deleted", (row, draw), [Delete(names[index]) for index in chosen]
    inside = [index for index in range(len(names)) if not changes_shape(configs["residual"], index)]
    for row, count in enumerate(settings.swapped):
        for draw in range(settings.draws):
            yield (
                "residual/swapped",
                (row, draw),
                [Swap(*pair) for pair in _pairs(names, inside, count, random)],
            )


def changes_shape(config: "ResNetConfig", index: int) -> bool:
    """Whether a block makes another shape than it gets: the first one of each stage but the first."""
    each = len(config.block_names) // 3
    return index % each == 0 and index > 0


def _pairs(
    names: tuple[str, ...], inside: list[int], count: int, random: np.random.Generator
) -> Iterator[tuple[str, str]]:
    """Pairs of blocks of one stage, drawn one after the other."""
    stages: dict[str, list[str]] = {}
    for index in inside:
        stages.setdefault(names[index].partition(".")[0], []).append(names[index])
    large = [own for own in stages.values() if len(own) > 1]
    for _ in range(count if large else 0):
        own = large[int(random.integers(len(large)))]
        first, second = random.choice(len(own), 2, replace=False)
        yield own[first], own[second]


def error_after(
    model: object, operations: "list[Operation]", data: "Dataset", *, reestimate: bool = False
) -> float:
    """The share of test images that are named wrong after some operations; the model stays."""
    from reswork.surgery import Reestimate, operated
    from reswork.training.evaluation import evaluate

    more = [Reestimate()] if reestimate and operations else []
    found = evaluate(operated(model, [*operations, *more], data=data), data)
    assert found is not None  # these sets have test images
    return 1 - found.metrics["top1"]


def patient(settings: LesionSettings, root: "Path") -> "tuple[ResNet, Dataset] | None":
    """The residual network of seed 0, if it is trained."""
    from reswork.studies.trained import kept_network

    found = kept_network(settings, configs_of(settings)["residual"], 0, root)
    return (found, settings.dataset()) if found is not None else None


def cost(settings: LesionSettings) -> Estimate:
    """The training of both, and one lesion."""
    import time

    from reswork.models.network import resnet

    configs = configs_of(settings)
    trainings = [training_cost(settings, (depth,)) for depth in (settings.depth, settings.plain_depth)]
    data = settings.dataset()
    begun = time.perf_counter()
    error_after(resnet(configs["residual"]).eval(), [], data)
    each = time.perf_counter() - begun
    lesions = sum(len(config.block_names) + 1 for config in configs.values())
    lesions += settings.draws * (len(settings.deleted) + len(settings.swapped))
    seconds = sum(each.seconds for each in trainings) / 2 + each * lesions * settings.seeds
    return Estimate(seconds, max(each.bytes for each in trainings) / 2)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """The paper's figures 3 to 5: one block deleted, several, and pairs swapped."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    numbers, settings = result.numbers, result.settings

    def several(what: str, counts: tuple[int, ...]) -> Line:
        draws = numbers[f"residual/{what}"]
        rows = 100 * draws.transpose(0, 2, 1).reshape(-1, len(counts))
        return Line.over(f"ResNet-{settings.depth}", counts, rows, colour=0)

    return {
        "One block deleted": study_lines(
            [
                Line.over(
                    f"{'ResNet' if kind == 'residual' else 'plain'}-{depth}",
                    np.arange(1, numbers[f"{kind}/one"].shape[1] + 1),
                    100 * numbers[f"{kind}/one"],
                    colour=colour,
                )
                for kind, depth, colour in (
                    ("residual", settings.depth, 0),
                    ("plain", settings.plain_depth, 1),
                )
            ],
            title="One block deleted",
            x="block that is deleted, from the input",
            y="test error, %",
            summary=_told(result) + ".",
            explained=about(
                "The test error of a trained network when one of its blocks is taken out, so that "
                "its input goes straight on. "
                "Nothing is trained afterwards. Bars: all seeds.",
                "Residual: hardly changed, but for a block or two near the input or where the shape "
                "changes. Plain: ruined, "
                "whichever block it is; blocks that change the shape cannot be taken out there.",
                "Re-estimate the norms: how much of the damage was only their statistics?",
            ),
            y_range=(0, 100),
        ),
        "Several blocks deleted": study_lines(
            [several("deleted", settings.deleted)],
            title="Several blocks deleted",
            x="blocks deleted at once",
            y="test error, %",
            summary="Mean error over random choices of the blocks; bars from the smallest to the largest.",
            explained=about(
                "The same with several blocks at once, chosen at random several times.",
                "The error rises smoothly with the number, as that of an ensemble does that loses members.",
                "At which number is half of the answers wrong?",
            ),
            y_range=(0, 100),
        ),
        "Pairs swapped": study_lines(
            [several("swapped", settings.swapped)],
            title="Pairs swapped",
            x="pairs of blocks swapped",
            y="test error, %",
            summary="Mean error over random choices of the pairs; bars from the smallest to the largest.",
            explained=about(
                "Blocks of one stage change places: the same operations in another order.",
                "Few swaps hardly matter; the error rises smoothly.",
                "What would swapping mean in a plain network, where each layer reads what the one "
                "before writes?",
            ),
            y_range=(0, 100),
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """The paper's figures have curves, its text says what they show."""
    numbers = result.numbers
    ours = {}
    for kind in ("residual", "plain"):
        one, whole = numbers[f"{kind}/one"], numbers[f"{kind}/whole"]
        told = f"{100 * np.nanmedian(one):.1f} % in the median, whole {100 * whole.mean():.1f} %"
        ours[kind] = told if np.isfinite(whole).all() else ""
    rows = [
        Compared(
            "error, one block of a residual network deleted",
            "no noticeable change, but for the first block of a stage (ResNet-110)",
            "section 4.1, figure 3",
            ours["residual"],
        ),
        Compared(
            "error, one layer of a plain network deleted",
            "chance, that is 90 % (VGG)",
            "section 4.1, figure 3",
            ours["plain"],
        ),
    ]
    for what, counts, where in (
        ("deleted", result.settings.deleted, f"figure 5 a{UNCHECKED}"),
        ("swapped", result.settings.swapped, f"figure 5 b{UNCHECKED}"),
    ):
        means = 100 * numbers[f"residual/{what}"].mean(axis=(0, 2))
        told = ", ".join(f"{count}: {mean:.1f} %" for count, mean in zip(counts, means, strict=True))
        known = np.isfinite(means).all()
        rows.append(Compared(f"error by number {what}", "rises smoothly", where, told if known else ""))
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether one block hardly matters to a residual network and ruins a plain one."""
    tolerance = (
        f"repeated: with every seed the median error after deleting one block is within "
        f"{100 * _NEAR:.0f} points of the whole "
        f"residual network's and above {100 * _RUINED:.0f} % in the plain one, and the mean error "
        f"rises with the number that is "
        "deleted; three seeds at least"
    )
    told = _told(result)
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    numbers = result.numbers
    hurt = {kind: np.nanmedian(numbers[f"{kind}/one"], axis=1) for kind in ("residual", "plain")}
    rises = bool((np.diff(numbers["residual/deleted"].mean(axis=(0, 2))) > 0).all())
    near = (hurt["residual"] - numbers["residual/whole"] <= _NEAR).all()
    holds = near and (hurt["plain"] > _RUINED).all() and rises
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _told(result: StudyResult) -> str:
    words = []
    for kind, depth in (("residual", result.settings.depth), ("plain", result.settings.plain_depth)):
        one, whole = result.numbers[f"{kind}/one"], result.numbers[f"{kind}/whole"]
        if np.isfinite(one).any() and np.isfinite(whole).any():
            words.append(
                f"{kind} {depth} has an error of {100 * np.nanmean(whole):.1f} %, and of "
                f"{100 * np.nanmedian(one):.1f} % in the "
                "median with one block deleted"
            )
    return "; ".join(words) or "No block is deleted yet"


def _answer(result: StudyResult) -> str | None:
    one = result.numbers["residual/one"].mean(axis=0)
    each, worst = len(one) // 3, int(one.argmax())
    return GUESS.choices[
        0 if worst < each // 2 else 1 if worst in (each, 2 * each) else 2 if worst >= 2 * each else 3
    ]


GUESS = Guess(
    "One block of a trained ResNet-56 is taken out. Which one hurts most?",
    (
        "one of the first, next to the input",
        "one where the shape changes",
        "one in the last stage",
        "another one",
    ),
    _answer,
    "Veit et al. found the blocks that change the shape to stand out. In toys like this one it is "
    "mostly the first blocks: what "
    "they make is read by all that follow.",
)

_SHAPES = {"digits": (1, 8, 8), "fashion": (1, 28, 28), "cifar10": (3, 32, 32)}


def _by_block(result: StudyResult) -> dict[str, float] | None:
    """Block name to the mean test error without it, in percent."""
    means = 100 * result.numbers["residual/one"].mean(axis=0)
    names = configs_of(result.settings)["residual"].block_names
    return dict(zip(names, map(float, means), strict=True)) if np.isfinite(means).all() else None


SHOWN = PointedGuess(
    "This network will be trained, and then lose one block. Which one hurts most? Click on it.",
    lambda settings: (settings.config(settings.depth), _SHAPES[settings.data]),
    _by_block,
    3,
    " % error without it",
)

STUDY = Study(
    name="lesions",
    title="Lesions",
    question="Does a trained network need each of its blocks?",
    source=Source("Veit et al. 2016", "1605.06431", "section 4, figures 3 to 5"),
    texts=Texts(
        "Take a layer out of a trained network and see what is left. A chain of layers breaks; a "
        "network with shortcuts goes on as "
        "if little had happened.",
        "Branches switched off one by one (a plain network's blocks are passed by), random sets of "
        "them, and blocks of a stage "
        "exchanged; no training afterwards, norms' statistics as they were unless asked. The plain "
        "network is shallower because a "
        "deep one does not train. The paper has VGG-15 and ResNet-110.",
        "10 minutes. Ask first what happens to a chain when a link is taken out. `rw.debug` has the "
        "same for a network of your "
        "own, by clicking on its drawing. Goes wrong: people conclude that blocks are useless; delete ten.",
    ),
    guess=GUESS,
    shown=SHOWN,
    toy=LesionSettings(),
    paper=LesionSettings(
        depth=110, plain_depth=20, deleted=(1, 2, 5, 10, 15, 20), swapped=(1, 3, 6, 12, 24), **PAPER
    ),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
    patient=patient,
)
