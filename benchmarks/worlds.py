"""What networks reach in each world beside simple methods: ``python -m benchmarks.worlds [NAME ...] --write``.

Each world is a function that gives a `Report`, listed in `TABLES`; ``--write`` puts its table into its place in
``docs/worlds.md`` and leaves those of other worlds alone.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import reswork as rw
from benchmarks.report import Report, write_section
from reswork.datasets import Dataset
from reswork.experiment.worlds import world_of
from reswork.models.layout import EMBEDDED
from reswork.tasks.baselines import seasonal_naive
from reswork.training.recipe import Recipe

PAGE = Path(__file__).parent.parent / "docs" / "worlds.md"
COLUMNS = (
    "data",
    "told",
    "network, weights",
    "result, each start",
    "simple methods, same split",
    "processor s a start",
)


@dataclass(frozen=True)
class Trained:
    """One network after one training.

    Attributes:
        model: in evaluation mode.
        output: (N, ...) of the test split.
        weights: how many it has.
        seconds: of the processor, for the training.
    """

    model: torch.nn.Module
    output: np.ndarray
    weights: int
    seconds: float


def trained(data: Dataset, recipe: Recipe, seed: int, **settings: object) -> Trained:
    """Train what `World.config` gives, from one start."""
    torch.manual_seed(seed)
    model = rw.resnet(world_of(data).config(data, **settings))
    whole = Recipe.from_dict({**recipe.to_dict(), "seed": seed, "compile": "off"})
    begin = time.process_time()
    rw.train(model, data, whole, moments_bytes=0).wait()
    seconds = time.process_time() - begin
    model.eval()
    with torch.no_grad():
        parts = [
            model(rw.datasets.normalise(part, data.mean, data.std)) for part in data.test.inputs.split(500)
        ]
    output = torch.cat([part.float() for part in parts]).cpu().numpy()
    return Trained(model, output, sum(weight.numel() for weight in model.parameters()), seconds)


def row(
    data: Dataset,
    told: str,
    score: Callable[[Dataset, np.ndarray], float],
    seeds: int,
    *,
    name: str,
    form: str = ".3f",
    arms: Mapping[str, Mapping[str, object]] = {"": {}},
    recipe: Recipe | None = None,
    season: int = 24,
) -> list[str]:
    """A line of a table: a network and its twins, beside simple methods.

    Args:
        data: to be learned.
        told: what comes out, in words.
        score: of test outputs.
        seeds: how many starts.
        name: of the score.
        form: of its numbers.
        arms: words -> settings of networks; the first without words is the usual one.
        recipe: None: the world's first preset.
        season: moments, for next steps.
    """
    world = world_of(data)
    used = recipe or next(iter(world.recipes.values())).recipe
    used = Recipe.from_dict(
        {**used.to_dict(), "augmentation": used.augmentation.fitting(data.input_kind).to_dict()}
    )
    results, network, seconds = [], "", 0.0
    for words, settings in arms.items():
        found = [trained(data, used, seed, **settings) for seed in range(seeds)]
        numbers = ", ".join(f"{score(data, each.output):{form}}" for each in found)
        results.append(f"{words} {numbers}".strip())
        if not network:
            label = world.config(data, **settings).label
            network, seconds = f"{label}, {found[0].weights:,}", sum(each.seconds for each in found) / seeds
    simple = [
        f"{each.name} {score(data, each.output):{form}}" for each in rw.tasks.baselines(data, season=season)
    ]
    return [f"`{data.name}`, {len(data.train):,} + {len(data.test):,}", told, network,
            f"{name} {'; '.join(results)}", "; ".join(simple), f"{seconds:.0f}"]  # fmt: skip


def _top1(data: Dataset, output: np.ndarray) -> float:
    return rw.tasks.judged(data, output)["top1"]


def _average_precision(data: Dataset, output: np.ndarray) -> float:
    return rw.tasks.judged(data, output)["average_precision"]


def _rmse(data: Dataset, output: np.ndarray) -> float:
    return rw.tasks.judged(data, output)["rmse"]


TWINS: Mapping[str, Mapping[str, object]] = {"": {}, "plain twin": {"residual": False}}


def signals(seeds: int) -> Report:
    pulses, traffic = rw.datasets.pulses(), rw.datasets.traffic()
    steps = rw.worlds()["signals"].recipes["next steps"].recipe
    held = []
    for seed in range(seeds):
        output = trained(traffic, steps, seed).output
        held.append([rw.tasks.intervals(traffic, output, follow=follow).coverage for follow in (False, True)])
    fixed, followed = (", ".join(f"{each:.0%}" for each in part) for part in zip(*held, strict=True))
    others = [rw.datasets.traffic(seed=seed) for seed in range(1, 41)]
    usual = np.array([rw.tasks.intervals(each, seasonal_naive(each, 168)).coverage for each in others])
    return Report(
        "Signals",
        COLUMNS,
        [
            row(pulses, "four classes", _top1, seeds, name="accuracy", arms=TWINS),
            row(traffic, "next 24 hours, as the difference to a week ago",
                lambda data, output: rw.tasks.mase(data, output, 168), seeds, name="MASE", recipe=steps, season=168),
        ],
        [
            "Both are simulated: no real series comes with the package. A MASE below 1 is better than a week ago was "
            "in the training weeks; the test weeks are wetter.",
            f"Intervals of 90 %, calibrated on the first half of the test weeks, hold {fixed} of the second half with "
            f"widths that stay, and {followed} with widths that follow what came true "
            "(`rw.tasks.intervals`; arXiv:2307.16895). Over 40 other simulated series, answered by a week ago, those "
            f"that follow hold {usual.mean():.1%} (standard deviation {usual.std():.1%}, {usual.min():.0%} to "
            f"{usual.max():.0%}).",
        ],
    )  # fmt: skip


def tables(seeds: int) -> Report:
    from sklearn.datasets import load_diabetes

    found = load_diabetes()
    diabetes = rw.datasets.table(found.data, found.target, name="diabetes")
    dropped: Mapping[str, Mapping[str, object]] = {"": {"depth": 6, "dropout": 0.2}}
    return Report(
        "Tables",
        COLUMNS,
        [
            row(rw.datasets.cancer(), "two classes", _average_precision, seeds, name="average precision", arms=dropped),
            row(rw.datasets.fraud(), "two classes, 2.8 % frauds", _average_precision, seeds,
                name="average precision", arms=dropped),
            row(diabetes, "a value", _rmse, seeds, name="RMSE", form=".1f", arms=dropped),
        ],
        [
            "`fraud` is simulated, the others are scikit-learn's. Networks of Gorishniy et al. 2021 (arXiv:2106.11959) "
            "as they come, simple methods at scikit-learn's own settings.",
        ],
    )  # fmt: skip


def text(seeds: int) -> Report:
    return Report(
        "Texts",
        COLUMNS,
        [row(rw.datasets.load("languages"), "16 classes", _top1, seeds, name="accuracy")],
        ["Names of languages, countries and currencies from the Unicode CLDR, as Babel has them (Unicode licence)."],
    )  # fmt: skip


def faces(seeds: int) -> Report:
    data = rw.datasets.drawn_faces()
    recipe = rw.worlds()["verification"].recipes["look-alikes"].recipe
    rows = [
        [each.name, *_likeness([each.metrics]), f"{each.seconds:.0f}"] for each in rw.tasks.baselines(data)
    ]
    for words, settings in {"": {}, ", plain twin": {"residual": False}}.items():
        found = [trained(data, recipe, seed, depth=8, **settings) for seed in range(seeds)]
        metrics = [
            rw.tasks.verification_metrics(torch.from_numpy(each.output[:, :EMBEDDED]), data.test.labels)
            for each in found
        ]
        seconds = sum(each.seconds for each in found) / seeds
        rows.append([f"ResNet-8{words}, {found[0].weights:,} weights", *_likeness(metrics), f"{seconds:.0f}"])
    return Report(
        "Faces and other look-alikes",
        ("what", "TAR at 1 % FAR", "equal error rate", "found first", "processor s a start"),
        rows,
        ["A number for each start. The seconds of the simple methods are those of the clock."],
    )


def _likeness(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    return [", ".join(f"{each[name]:.1%}" for each in metrics) for name in ("tar", "eer", "rank1")]


def anomalies(seeds: int) -> Report:
    rows: list[list[str]] = []

    def found(data: Dataset, what: str, metrics: Sequence[Mapping[str, float]], seconds: float) -> None:
        rows.append([f"`{data.name}`", what, *_oddness(metrics), f"{seconds:.0f}"])
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)  # all of it takes minutes

    clothes = rw.datasets.fashion()
    nine = clothes.of_classes([name for name in clothes.classes if name != "Bag"])
    for data, classes in ((rw.datasets.defects(), clothes), (rw.datasets.odd_fashion(), nine)):
        for each in rw.tasks.baselines(data):
            found(data, each.name, [each.metrics], each.seconds)
        recipe = rw.worlds()["anomalies"].recipes["good alone"].recipe
        coders = [trained(data, recipe, seed, depth=8) for seed in range(seeds)]
        told = [
            rw.tasks.anomaly_metrics(torch.from_numpy(_maps(data, each.output)), data.test.masks)
            for each in coders
        ]
        seconds = sum(each.seconds for each in coders) / seeds
        found(data, f"autoencoder, {coders[0].weights:,} weights", told, seconds)
        quick = Recipe(epochs=3, batch_size=64, learning_rate=0.05, schedule="one_cycle")
        namers = [trained(classes.subset(train=4_000), quick, seed, depth=8) for seed in range(seeds)]
        whose = {"its encoder": coders, f"a classifier of {len(classes.classes)} clothes": namers}
        for name, models in whose.items():
            for method in ("padim", "nearest"):
                begin = time.process_time()
                told = [
                    rw.feature_distances(each.model, data, method=method, seed=seed).metrics  # type: ignore[arg-type]
                    for seed, each in enumerate(models)
                ]
                seconds = (time.process_time() - begin) / seeds
                found(data, f"features of {name}: {method}", told, seconds)
    return Report(
        "Anomalies",
        (
            "data",
            "what",
            "AUROC by image",
            "by pixel",
            "found at 5 % wished",
            "false alarms",
            "processor s a start",
        ),
        rows,
        [
            "A number for each start. Distances in features need no training but that of the network whose features "
            "they are, which is not in their seconds: ResNet-8, three passes over 4,000 images, for `odd-fashion` "
            "without the bags. The seconds of the simple methods are those of the clock.",
        ],
    )


def _maps(data: Dataset, output: np.ndarray) -> np.ndarray:
    inputs = rw.datasets.normalise(data.test.images, data.mean, data.std)
    return rw.tasks.Anomalies().answers(torch.cat((torch.from_numpy(output), inputs), dim=1)).maps


def _oddness(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    forms = {"auroc": ".3f", "auroc_pixel": ".3f", "found": ".0%", "false_alarms": ".0%"}
    return [
        ", ".join(f"{each[name]:{form}}" if name in each else "" for each in metrics).strip(", ")
        for name, form in forms.items()
    ]


# Each gives the table of a world for a number of starts.
TABLES: dict[str, Callable[[int], Report]] = {
    "signals": signals,
    "tables": tables,
    "text": text,
    "faces": faces,
    "anomalies": anomalies,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables of some worlds, or of all, and write them into the page if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worlds", description=__doc__)
    parser.add_argument("worlds", nargs="*", metavar="NAME", help=f"{', '.join(TABLES)}; none means all")
    parser.add_argument("--seeds", type=int, default=3, help="starts of each network (3)")
    parser.add_argument("--write", action="store_true", help=f"put them into {PAGE.name}")
    options = parser.parse_args(arguments)
    for name in options.worlds or TABLES:
        if name not in TABLES:
            parser.error(f"there is no table of {name!r}; choose {', '.join(TABLES)}")
        seeds = "" if options.seeds == 3 else f" --seeds {options.seeds}"
        section = TABLES[name](options.seeds).markdown(f"python -m benchmarks.worlds {name}{seeds}")
        print(section, flush=True)
        if options.write:
            write_section(PAGE, name, section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
