"""Fewer operations to an accuracy: a training that is made to be short, and what each of its ingredients is worth."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import NetworkSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from torch import Tensor

    from reswork.datasets.dataset import Dataset
    from reswork.models.config import ResNetConfig
    from reswork.studies.whole_recipe import WholeRecipe
    from reswork.training.recipe import Recipe

SHORT = "the short one"
# Passes of each recipe as a share of the paper's: 16,000 steps of CIFAR-10 are 41 passes, Quick look has 5, Fast 7.
LENGTHS = {"the paper's": 1.0, "Quick look": 5 / 41, "Fast": 7 / 41}
EARLY = ("conv1", "bn1", "layer1")  # what stops to learn first
_PASSES = 3  # forward, and two products for each of its in the backward pass
_SHARE = 0.2  # of the operations of the paper's recipe


@dataclass(frozen=True)
class Way:
    """How a network is trained: a recipe, and what none can say.

    Attributes:
        recipe: of the training.
        whitened: whether the first convolution begins with what the images vary in.
        stop_at: fraction of the run from which on `EARLY` stands still; 1: never.
    """

    recipe: "Recipe"
    whitened: bool = False
    stop_at: float = 1.0


def _recipe_with(**changes: Any) -> Callable[[Way], Way]:
    return lambda way: replace(way, recipe=replace(way.recipe, **changes))


_SGD: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.2, "nesterov": True, "weight_decay": 5e-4}
WITHOUT: dict[str, Callable[[Way], Way]] = {
    "Muon": _recipe_with(**_SGD),
    "one cycle": _recipe_with(schedule="step", learning_rate=0.005),
    "norms without decay": _recipe_with(decay_norm_and_bias=True),
    "smoothed labels": _recipe_with(label_smoothing=0.0),
    "averaged weights": _recipe_with(ema=None),
    "small images first": _recipe_with(image_scale=1.0),
    "whitened stem": lambda way: replace(way, whitened=False),
    "early layers frozen late": lambda way: replace(way, stop_at=1.0),
}


@dataclass(frozen=True)
class FewerSettings(NetworkSettings):
    """The paper's recipe in so many passes, and how the short one is made."""

    data: str = setting(
        "fashion", "Data", "what the networks learn", choices=("digits", "fashion", "cifar10")
    )
    epochs: int = setting(
        12, "Epochs", "passes of the paper's recipe; the others have shares of it", least=1, most=1000
    )
    augment: bool = setting(True, "Augment", "crops and mirror images, as in the paper, for all recipes")
    depth: int = setting(8, "Depth", "weighted layers, 6n+2", least=8, most=1202)
    images: int = setting(800, "Images", "that are learned from", least=20, most=60_000)
    tests: int = setting(2000, "Test images", "that are judged", least=10, most=60_000)
    batch_size: int = setting(32, "Batch", "images of a step; the paper has 128", least=8, most=1024)
    share: float = setting(
        0.3, "Length", "passes of the short recipe, as a share of the paper's", least=0.01, most=1
    )
    image_scale: float = setting(
        0.5,
        "First images",
        "side of the short recipe's first images, as a share of their own",
        least=0.1,
        most=1,
    )
    full_size_at: float = setting(
        0.9, "Full size at", "fraction of it from which on they have their own size", least=0.05, most=1
    )
    ema: float = setting(
        0.98, "Average", "what each step keeps of its averaged weights", least=0.01, most=0.9999
    )
    whitened: bool = setting(
        True, "Whitened", "the short recipe's first convolution begins with what the images vary in"
    )
    stop_at: float = setting(
        0.8,
        "Early layers stop",
        "fraction of it from which on its first convolution and stage stand still; 1: never",
        least=0.05,
        most=1,
    )
    target: float = setting(
        0.0, "Target", "test accuracy to be reached; 0: what the paper's recipe ends with", least=0, most=1
    )

    def dataset(self) -> "Dataset":
        """Some images of the data set."""
        data = super().dataset()
        return data.subset(train=min(self.images, len(data.train)), test=min(self.tests, len(data.test)))

    def network(self) -> "ResNetConfig":
        """The one network that all recipes train."""
        return self.config(self.depth)

    def passes(self, share: float) -> int:
        """As many as are such a share of the paper's, at least one."""
        return max(1, round(share * self.epochs))


def ways(settings: FewerSettings, seed: int = 0) -> dict[str, Way]:
    """The paper's recipe, the presets, the short one, and that one without each of its ingredients."""
    from reswork.datasets.augmentation import Augmentation
    from reswork.experiment.presets import FAST, PAPERS, QUICK_LOOK

    plain = settings.recipe(seed, batch_size=settings.batch_size)
    here: dict[str, Any] = {
        name: getattr(plain, name) for name in ("batch_size", "seed", "precision", "compile", "channels_last")
    }
    made = {
        name: replace(preset.recipe, steps=None, epochs=settings.passes(LENGTHS[name]), **here)
        for name, preset in (("the paper's", PAPERS), ("Quick look", QUICK_LOOK), ("Fast", FAST))
    }
    if not settings.augment:
        made = {name: replace(recipe, augmentation=Augmentation()) for name, recipe in made.items()}
    short = Way(
        replace(
            made["Fast"],
            epochs=settings.passes(settings.share),
            augmentation=plain.augmentation,
            ema=settings.ema,
            image_scale=settings.image_scale,
            full_size_at=settings.full_size_at,
        ),
        settings.whitened,
        settings.stop_at,
    )
    found = {name: Way(recipe) for name, recipe in made.items()} | {SHORT: short}
    return found | {f"without {name}": change(short) for name, change in WITHOUT.items()}


def operations(network: "ResNetConfig", way: Way, images: int, shape: tuple[int, ...]) -> np.ndarray:
    """(T,) additions and products of the training until the end of each step, in 10^9; evaluations apart.

    Layers that stand still answer and learn nothing: of three passes they make one. What Muon computes to make steps
    orthogonal counts, too; that of other optimizers is next to nothing.

    Args:
        network: that is trained.
        way: of the training.
        images: that it has.
        shape: of one, (C, H, W).
    """
    import torch

    from reswork.models.network import ResNet
    from reswork.models.sheet import spec_sheet
    from reswork.training.image_sizes import size_at
    from reswork.training.muon import muon_operations
    from reswork.training.recipe import innermost, total_steps

    @cache
    def products(height: int, width: int) -> tuple[int, int]:
        """Of one image forward: of all layers, and of the early ones."""
        layers = spec_sheet(network, (shape[0], height, width)).layers
        early = [layer.macs for layer in layers if innermost(layer.name, EARLY) is not None]
        return sum(layer.macs for layer in layers), sum(early)

    recipe = way.recipe
    total, batch = total_steps(recipe, images), min(recipe.batch_size, images)
    more = 0
    if recipe.optimizer == "muon":
        with torch.device("meta"):
            more = muon_operations(ResNet(network))
    steps = []
    for done in range(total):
        whole, early = products(*size_at(recipe, (shape[1], shape[2]), done, total))
        saved = (_PASSES - 1) * early if done + 1 > way.stop_at * total else 0
        steps.append((2 * (_PASSES * whole - saved) * batch + more) / 1e9)
    return np.cumsum(steps)


def training(
    network: "ResNetConfig", data: "Dataset", way: Way, start: "dict[str, Tensor] | None" = None
) -> "WholeRecipe":
    """A training of one network that the seed of its recipe has made.

    Args:
        network: that is trained.
        data: what it learns.
        way: how.
        start: state of an earlier one, to go on from there.
    """
    from reswork.experiment.seed_runs import fresh_network
    from reswork.models.network import ResNet, resnet
    from reswork.studies.whitened_stem import whiten_stem
    from reswork.studies.whole_recipe import WholeRecipe

    one = fresh_network(resnet(network, input_shape=data.input_shape), way.recipe.seed)
    assert isinstance(one, ResNet)
    if way.whitened:
        whiten_stem(one, data)
    return WholeRecipe(one, data, way.recipe, start, stops=dict.fromkeys(EARLY, way.stop_at))


def run(settings: FewerSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Seed by seed, all recipes by turns."""
    from reswork.studies.by_turns import by_turns
    from reswork.training.recipe import steps_per_epoch

    data, numbers = settings.dataset(), shelf.numbers
    if not numbers:
        numbers = {}
        for name, way in ways(settings).items():
            for what in (f"{name}/train", f"{name}/test", f"measured/{name}/seconds"):
                numbers[what] = np.full((settings.seeds, way.recipe.epochs), np.nan)
            steps = operations(settings.network(), way, len(data.train), data.input_shape)
            every = steps_per_epoch(way.recipe, len(data.train))
            numbers[f"{name}/operations"] = steps[every - 1 :: every]
    yield Partial(numbers, 0.0, "building networks")

    def note(name: str, training: "WholeRecipe") -> None:
        recipe, _, seed = name.rpartition("-")
        place = int(seed), training.epoch - 1
        numbers[f"{recipe}/train"][place] = training.train_error()
        numbers[f"{recipe}/test"][place] = training.test_error()
        numbers[f"measured/{recipe}/seconds"][place] = training.seconds

    for seed in range(settings.seeds):
        chosen = ways(settings, seed)
        if all(np.isfinite(numbers[f"{name}/test"][seed, -1]) for name in chosen):
            continue
        trainings = {
            f"{name}-{seed}": training(settings.network(), data, way, shelf.kept(f"{name}-{seed}"))
            for name, way in chosen.items()
        }
        span = (seed / settings.seeds, (seed + 1) / settings.seeds)
        yield from by_turns(trainings, shelf, numbers, note, span)


def cost(settings: FewerSettings) -> Estimate:
    """From some steps of the paper's recipe, and the operations of all."""
    from reswork.models.sheet import spec_sheet
    from reswork.studies.lock_step import working_seconds

    data, chosen = settings.dataset(), ways(settings)
    paper = training(settings.network(), data, chosen["the paper's"])
    steps = min(4, paper.total)
    for _ in range(steps):
        paper.make_step()
    begun = working_seconds(paper.device)
    paper.test_error()
    evaluation = working_seconds(paper.device) - begun
    work = {
        name: operations(settings.network(), way, len(data.train), data.input_shape)
        for name, way in chosen.items()
    }
    seconds = sum(each[-1] for each in work.values()) / work["the paper's"][0] * paper.seconds / steps
    seconds += evaluation * sum(way.recipe.epochs for way in chosen.values())
    sheet, count = spec_sheet(settings.network(), data.input_shape), len(chosen)
    size = settings.batch_size * sheet.activation_bytes + count * (
        16 * sheet.parameters + data.train.inputs.numel() * data.train.inputs.element_size()
    )
    return Estimate(float(seconds) * settings.seeds, size)


def target_of(result: StudyResult) -> float:
    """The accuracy to be reached, 0 to 1; NaN where the paper's recipe is not at its end."""
    chosen: float = result.settings.target
    if chosen:
        return chosen
    ends = 1 - result.numbers["the paper's/test"][:, -1]
    known = ends[np.isfinite(ends)]
    return float(known.mean()) if len(known) else np.nan


def needed(result: StudyResult, name: str, what: str = "operations") -> np.ndarray:
    """(S,) operations in 10^9, or seconds, until a recipe has the target first; NaN where it never has.

    Args:
        result: of the study.
        name: of the recipe.
        what: ``"operations"`` or ``"seconds"``.
    """
    numbers = result.numbers
    test = numbers[f"{name}/test"]
    spent = (
        numbers[f"measured/{name}/seconds"]
        if what == "seconds"
        else np.broadcast_to(numbers[f"{name}/operations"], test.shape)
    )
    there = 1 - test >= target_of(result)
    return np.where(there.any(axis=1), spent[np.arange(len(test)), there.argmax(axis=1)], np.nan)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Accuracy over operations, what each ingredient is worth, and what the target costs."""
    from reswork.figures.canvas import about
    from reswork.figures.study_bars import study_bars
    from reswork.figures.study_lines import study_lines

    numbers, whole = result.numbers, [*LENGTHS, SHORT]
    target = target_of(result)
    lines = [
        Line.over(name, numbers[f"{name}/operations"], 100 * (1 - numbers[f"{name}/test"]), colour=colour)
        for colour, name in enumerate(whole)
    ]
    if np.isfinite(target):
        ends = np.array([min(line.x[0] for line in lines), max(line.x[-1] for line in lines)])
        lines.append(Line("target", ends, np.full(2, 100 * target), colour=len(lines), dashed=True))
    names = [SHORT, *(f"without {name}" for name in WITHOUT)]
    places = np.arange(len(names))

    def bars(values: list[np.ndarray], name: str, colour: int) -> Line:
        return Line.over(name, places[: len(values)], np.stack(values, axis=1), colour=colour)

    last = [100 * latest(numbers[f"{name}/test"]) for name in names]
    spent = [needed(result, name) for name in (*whole, *names[1:])]
    return {
        "Accuracy over operations": study_lines(
            lines,
            title="Accuracy over operations",
            x="additions and products, 10^9",
            y="test accuracy, %",
            summary=_told(result) + ".",
            explained=about(
                "Test accuracy after each epoch over what the steps until then had to compute, counted from the "
                "network's layers. Bars: smallest and largest over the seeds. Dashed: the accuracy to be reached.",
                "Further to the left is cheaper. A recipe is worth only what it has where its line ends: its "
                "learning rate gets small there, and with smaller images first its line begins low.",
                "Set the length to 0.15: does the short recipe still come as high?",
            ),
            x_scale="log",
            y_range=_range(lines),
        ),
        "What each ingredient is worth": study_bars(
            [bars(last, "test error", 3)],
            ["all", *WITHOUT],
            title="What each ingredient is worth",
            x="switched off",
            y="test error, %",
            summary=_worth_told(result) + ".",
            explained=about(
                "Test error of the short recipe, and of the same without one of its ingredients. Thin lines: smallest "
                "and largest over the seeds.",
                "A bar that is higher than the first one: this ingredient was worth so much. One that is lower: it "
                "was in the way. Without small images first a training costs half as much again.",
                "Set 10 seeds: which differences stay?",
            ),
        ),
        "What the target costs": study_bars(
            [bars(spent, "operations", 0)],
            [*whole, *(f"no {name}" for name in WITHOUT)],
            title="What the target costs",
            x="recipe",
            y="additions and products, 10^9",
            summary=_cost_told(result) + ".",
            explained=about(
                "Operations until the test accuracy to be reached was there first, the mean over seeds that had it.",
                "No bar: no seed had it. A recipe with a short schedule has it near its end, or never.",
                "Set a target of your own, such as 0.7.",
            ),
        ),
    }


def _range(lines: list[Line]) -> tuple[float, float]:
    known = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    return (float(known.min()) - 2, min(100.0, float(known.max()) + 2)) if len(known) else (0.0, 100.0)


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Accuracy and operations, and how many times fewer."""
    numbers = result.numbers
    published = {
        "the paper's": ("96.0 % with 32.3 PFLOPs, standard training", "README of the authors' code, KellerJordan/"
                        "cifar10-airbench"),
        SHORT: ("96.05 % with 7.2 PFLOPs, airbench96", "section 1"),
    }  # fmt: skip
    rows = []
    for name, (told, where) in published.items():
        ours = percent(1 - numbers[f"{name}/test"][:, -1])
        work = f"{ours} with {numbers[f'{name}/operations'][-1]:.0f} GFLOPs" if ours else ""
        rows.append(Compared(f"accuracy and operations, {name}", f"{told} (CIFAR-10)", where, work))
    times = _total(result, "the paper's") / _total(result, SHORT)
    rows.append(
        Compared("operations, standard over short", "4.5 times", "follows from both", f"{times:.1f} times")
    )
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether the short one comes as high with a fifth of the operations."""
    tolerance = (
        "repeated: with every seed the short recipe ends with at least the target's test accuracy, which unless one "
        "is chosen is the mean of the paper's recipe after its last step, with at most a fifth of its operations; "
        "three seeds at least"
    )
    told = f"{_told(result)}; {_worth_told(result)}"
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    ends = 1 - result.numbers[f"{SHORT}/test"][:, -1]
    share = _total(result, SHORT) / _total(result, "the paper's")
    if (ends >= target_of(result)).all() and share <= _SHARE:
        return Verdict("repeated", told, tolerance)
    missing = [
        *([] if share <= _SHARE else [f"the short recipe has {share:.0%} of the operations"]),
        *([] if (ends >= target_of(result)).all() else [_too_short(result)]),
    ]
    return Verdict("not repeated", f"{told}; {'; '.join(missing)}", tolerance)


def _too_short(result: StudyResult) -> str:
    """What the errors on the images that are learned from say about passes that are too few."""
    short, long = (100 * result.numbers[f"{name}/train"][:, -1].mean() for name in (SHORT, "the paper's"))
    told = f"of the training images the short recipe names {short:.0f} % wrong in its last pass, the paper's "
    why = ": so few steps of so few images leave it on its way" if short > long else ""
    return f"not every seed comes so high; {told}{long:.0f} %{why}"


def _total(result: StudyResult, name: str) -> float:
    return float(result.numbers[f"{name}/operations"][-1])


def _told(result: StudyResult) -> str:
    target, ours = target_of(result), percent(1 - latest(result.numbers[f"{SHORT}/test"]))
    if not np.isfinite(target) or not ours:
        return "No recipe is at its end yet"
    share = _total(result, SHORT) / _total(result, "the paper's")
    return (
        f"target {100 * target:.1f} % test accuracy; the short recipe ends with {ours} and {share:.0%} of the "
        "operations of the paper's"
    )


def _worth_told(result: StudyResult) -> str:
    whole = latest(result.numbers[f"{SHORT}/test"])
    found = {name: latest(result.numbers[f"without {name}/test"]) - whole for name in WITHOUT}
    if not all(np.isfinite(each).all() for each in found.values()):
        return "Not all recipes have begun yet"
    told = ", ".join(
        f"{name} {100 * gaps.mean():+.1f} ({100 * gaps.min():+.1f} to {100 * gaps.max():+.1f})"
        for name, gaps in found.items()
    )
    return f"points of test error more without {told}"


def _cost_told(result: StudyResult) -> str:
    words = []
    for name in (*LENGTHS, SHORT):
        work, seconds = needed(result, name), needed(result, name, "seconds")
        known = np.isfinite(work)
        if known.any():
            words.append(
                f"{name} {work[known].mean():.0f} GFLOPs, {seconds[known].mean():.0f} s of processor "
                f"({known.sum()} of {len(known)} seeds)"
            )
    return (
        f"the target was reached by {'; '.join(words)}" if words else "No recipe has reached the target yet"
    )


def _answer(result: StudyResult) -> str | None:
    whole = latest(result.numbers[f"{SHORT}/test"])
    worth = {name: (latest(result.numbers[f"without {name}/test"]) - whole).mean() for name in WITHOUT}
    return max(worth, key=worth.__getitem__)


GUESS = Guess(
    "A recipe that is made to be short has eight ingredients. Which of them is worth most: without which one does the "
    "test error rise most?",
    tuple(WITHOUT),
    _answer,
    "In a short training counts what makes way: steps that leave no direction behind, and the course of the learning "
    "rate, high soon and small at the end. Averaged weights can even be in the way, as they remember the beginning. "
    "Small images first save operations, and need not cost errors.",
)

STUDY = Study(
    name="fewer_operations",
    title="Fewer operations",
    question="How few operations does an accuracy need, and what is each ingredient of a short recipe worth?",
    source=Source("Jordan 2024", "2404.00498", "section 1"),
    texts=Texts(
        "A step cannot be made much faster on a processor, but a training can need fewer and cheaper ones. The "
        "paper's recipe of 2015 is compared with shorter ones: a learning rate that rises and falls once, steps that "
        "are as long in the directions of small gradients as in those of large ones (Muon), small images in the first "
        "passes, a first layer that begins with what the images vary in, early layers that stop to "
        "learn before the end. Each ingredient is switched off in turn, to see what it was worth.",
        "All recipes train the same network from the same weights. Operations are counted from the layers, two for "
        "each multiply-add, three passes, at the size that the images of a step have, one pass of what stands still; "
        "evaluations apart. The short recipe is the preset Fast (Muon: momentum made orthogonal, for weights within "
        "the network; what that computes is counted) with smaller images first (progressive resizing, as in entries to "
        "DAWNBench), an exponential average of the weights, a "
        "first convolution whose filters are the main directions of the images' patches, divided by their standard "
        "deviations, and their negatives (Jordan 2024; it learns on, as it has fewer channels than there are "
        "directions), and a first stage that stands still in the last part (as in FreezeOut, arXiv:1706.04983). "
        "Jordan's recipe has other ingredients besides (alternating flips, Lookahead, other networks), so only the "
        "kind of finding is compared. The toy has 8 layers and 800 pictures; the paper's settings here are ResNet-20 "
        "on CIFAR-10, 16,000 steps.",
        "15 minutes. Ask what can be saved before they see the list: steps, the cost of a step, steps that are "
        "wasted. Goes wrong: accuracies in the middle of a short schedule are compared with ends of others; only "
        "ends count. Answer to 'why not always small images?': the last passes must see what the test will show.",
    ),
    guess=GUESS,
    toy=FewerSettings(),
    paper=FewerSettings(
        width=16, data="cifar10", epochs=41, depth=20, images=50_000, tests=10_000, batch_size=128, ema=0.999
    ),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
    version=2,
)
