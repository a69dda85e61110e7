"""Residual networks against other learners on the same images: accuracy, time, size, and what new classes do."""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import UNCHECKED, Compared, Line, Verdict
from reswork.studies.settings import Settings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.datasets.dataset import Dataset
    from reswork.studies.learners import Kind, Learner

NAMES = (
    "logistic regression",
    "random forest",
    "gradient boosting",
    "perceptron",
    "plain CNN",
    "vision transformer",
    "residual network",
)
ROWS = NAMES[:4]  # that take an image as a row of numbers
STATES = ("before", "new ones alone", "some old, too", "all anew")
_RESIDUAL = NAMES.index("residual network")
_COLOURS = dict(zip(NAMES, (4, 5, 2, 3, 1, 2, 0), strict=True))  # the first four have open marks
_PUBLISHED = {  # on all 60,000 images
    "logistic regression": ("0.842", f"Xiao 2017, table 3{UNCHECKED}"),
    "random forest": ("0.873", f"Xiao 2017, table 3{UNCHECKED}"),
    "gradient boosting": ("0.898 (XGBoost)", "table in the README of the data"),
    "perceptron": ("0.900 (256-128-64)", "table in the README of the data"),
    "plain CNN": ("0.925 (2 layers, below 100,000 weights)", "table in the README of the data"),
    "vision transformer": (
        "a few points below ResNets of its size (ImageNet, no strong regularization)",
        "arXiv:2010.11929, introduction",
    ),
    "residual network": ("0.949 (ResNet-18), 0.967 (WRN-40-4)", "table in the README of the data"),
}
_ASKED = 20  # single images, for the latency


@dataclass(frozen=True)
class LearnerSettings(Settings):
    """Which images, and how large the learners are."""

    data: str = setting("fashion", "Data", "what is learned", choices=("fashion", "digits", "cifar10"))
    images: int = setting(1000, "Images", "training images, of all classes together", least=50, most=60_000)
    tests: int = setting(1000, "Test images", "that all are judged by", least=50, most=10_000)
    epochs: int = setting(6, "Epochs", "of the networks; the others learn at once", least=1, most=1000)
    depth: int = setting(8, "Depth", "of the residual network, 6n+2", least=8, most=1202)
    width: int = setting(8, "Width", "channels of its first stage", least=1, most=128)
    trees: int = setting(100, "Trees", "of the random forest", least=1, most=10_000)
    rounds: int = setting(20, "Rounds", "of gradient boosting", least=1, most=10_000)
    old: int = setting(6, "Old classes", "known before the others arrive", least=2, most=9)
    kept: float = setting(
        0.1, "Kept", "share of the old images that is learned along with the new", least=0.01, most=1
    )
    seeds: int = setting(
        3, "Seeds", "turns of all learners; fewer than three leave the question open", least=1, most=50
    )

    def dataset(self) -> "Dataset":
        """What all learn; of each class as many."""
        from reswork.datasets.loading import load

        data = load(self.data)
        return data.subset(train=min(self.images, len(data.train)), test=min(self.tests, len(data.test)))

    def kinds(self) -> "tuple[Kind, ...]":
        """The learners."""
        from reswork.studies.learners import kinds

        return kinds(self.depth, self.width, self.trees, self.rounds)


def run(settings: LearnerSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Turn by turn, learner by learner: all classes at once, then old classes and new ones."""
    shape = (settings.seeds, len(NAMES))
    numbers = shelf.numbers or {
        "accuracy": np.full(shape, np.nan),
        "bytes": np.full(shape, np.nan),
        "later/old": np.full((*shape, len(STATES)), np.nan),
        "later/new": np.full((*shape, len(STATES)), np.nan),
        "measured/seconds": np.full(shape, np.nan),
        "measured/latency": np.full(shape, np.nan),
        "measured/going_on": np.full((*shape, 2), np.nan),
        "measured/load": np.full(shape, np.nan),
    }
    yield Partial(numbers, 0.0, "reading images")
    data, kinds = settings.dataset(), settings.kinds()
    cells = shape[0] * shape[1]
    for seed in range(settings.seeds):
        for place, kind in enumerate(kinds):
            cell = seed, place
            begin = (seed * len(kinds) + place) / cells
            if np.isfinite(numbers["measured/latency"][cell]) and (
                not kind.goes_on or np.isfinite(numbers["later/new"][cell]).all()
            ):
                continue
            told = f"turn {seed + 1} of {settings.seeds}, {kind.name}"
            learner = kind.make(data, seed)
            seconds = yield from _learn(learner, data, settings.epochs, seed, numbers, begin, told)
            old = data.test.labels < settings.old
            right = _right(learner, data)
            numbers["accuracy"][cell] = right.mean()
            numbers["later/old"][(*cell, 3)], numbers["later/new"][(*cell, 3)] = _by_age(right, old.numpy())
            numbers["bytes"][cell], numbers["measured/seconds"][cell] = learner.bytes, seconds
            if kind.goes_on:
                yield from _new_classes(settings, kind, data, cell, numbers, begin, told)
            numbers["measured/load"][cell] = _load()
            numbers["measured/latency"][cell] = _latency(learner, data)
            yield Partial(numbers, (seed * len(kinds) + place + 1) / cells, told)


def _learn(
    learner: "Learner",
    data: "Dataset",
    epochs: int,
    seed: int,
    numbers: dict[str, np.ndarray],
    share: float,
    told: str,
) -> Generator[Partial, None, float]:
    """Let it learn to the end; seconds of the processor, without those between two steps."""
    steps = learner.learn(data, epochs=epochs, seed=seed)
    seconds = 0.0
    while True:
        begun = time.process_time()
        made = next(steps, None)
        seconds += time.process_time() - begun
        if made is None:
            return seconds
        yield Partial(numbers, share, told)


def _new_classes(
    settings: LearnerSettings,
    kind: "Kind",
    data: "Dataset",
    cell: tuple[int, int],
    numbers: dict[str, np.ndarray],
    share: float,
    told: str,
) -> Generator[Partial, None, None]:
    """Old classes first; then a copy goes on with the new ones alone, another with some of the old among them."""
    import copy
    from dataclasses import replace

    import torch

    labels, old = data.train.labels, data.test.labels.numpy() < settings.old
    known, fresh = (labels < settings.old).nonzero()[:, 0], (labels >= settings.old).nonzero()[:, 0]
    kept = known[:: max(1, round(1 / settings.kept))]
    first = kind.make(data, cell[0])
    yield from _learn(
        first, replace(data, train=data.train.take(known)), settings.epochs, cell[0], numbers, share, told
    )
    before = _by_age(_right(first, data), old)
    numbers["later/old"][(*cell, 0)], numbers["later/new"][(*cell, 0)] = before
    for column, chosen in enumerate((fresh, torch.cat([fresh, kept])), start=1):
        learner = copy.deepcopy(first)
        some = replace(data, train=data.train.take(chosen))
        seconds = yield from _learn(
            learner, some, max(1, settings.epochs // 2), cell[0], numbers, share, told
        )
        numbers["measured/going_on"][(*cell, column - 1)] = seconds
        after = _by_age(_right(learner, data), old)
        numbers["later/old"][(*cell, column)], numbers["later/new"][(*cell, column)] = after


def _right(learner: "Learner", data: "Dataset") -> np.ndarray:
    """(N,) whether each test image is named rightly."""
    return (learner.named(data.test.images) == data.test.labels).numpy()


def _by_age(right: np.ndarray, old: np.ndarray) -> tuple[float, float]:
    """Shares of right answers among old classes and among new ones."""
    return tuple(float(right[which].mean()) if which.any() else np.nan for which in (old, ~old))  # type: ignore[return-value]


def _latency(learner: "Learner", data: "Dataset") -> float:
    """Seconds of the clock for one image, the median of several."""
    found = []
    for place in range(_ASKED):
        image = data.test.images[place % len(data.test)].unsqueeze(0)
        begun = time.perf_counter()
        learner.named(image)
        found.append(time.perf_counter() - begun)
    return float(np.median(found))


def _load() -> float:
    """Processes that wanted a core over the last minute, on all cores; NaN where the system does not say."""
    import os

    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def cost(settings: LearnerSettings) -> Estimate:
    """From a few images with each learner; trees are taken to grow with images and classes."""
    from dataclasses import replace
    from itertools import islice

    data, seconds, size = settings.dataset(), 0.0, 0.0
    for kind in settings.kinds():
        learner = kind.make(data, 0)
        begun = time.perf_counter()
        if kind.goes_on:
            steps = learner.learn(data, epochs=settings.epochs, seed=0)
            _, total = next(steps)
            begun = time.perf_counter()
            made = len([*islice(steps, 2)])
            steps.close()
            once = (time.perf_counter() - begun) / max(made, 1) * total
            seconds += 2.1 * once  # all at once, the old ones, and half as long with the new ones, twice
        else:
            few = replace(data, train=data.train.take(slice(0, max(50, len(data.train) // 5))))
            for _ in learner.learn(few, epochs=1, seed=0):
                pass
            seconds += (time.perf_counter() - begun) * len(data.train) / len(few.train)
        size = max(size, learner.bytes)
    return Estimate(seconds * settings.seeds, 10 * size)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Accuracy against training time and against latency, and what new classes do."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines
    from reswork.figures.trade_off import trade_off

    numbers = result.numbers
    accuracy = 100 * numbers["accuracy"]
    found = {}
    for title, key, factor, x, told in (
        (
            "Accuracy and training time",
            "measured/seconds",
            1.0,
            "seconds of processor to learn",
            "What a learner needs to learn all classes, and how often it is right afterwards.",
        ),
        (
            "Accuracy and latency",
            "measured/latency",
            1000.0,
            "milliseconds for one image, median",
            "How long one waits for the answer to one image, and how often it is right.",
        ),
    ):
        points = [
            _point(name, factor * numbers[key][:, place], accuracy[:, place])
            for place, name in enumerate(NAMES)
        ]
        found[title] = trade_off(
            points,
            title=title,
            x=x,
            y="accuracy, %",
            summary=f"A{_told(result)[1:]}.",
            explained=about(
                f"{told} Up and to the left is better; the dotted line joins those that none beats in both. "
                "Bars: the smallest and the largest over the turns; the cost is the middle one.",
                "With a thousand small grey images trees are quick and good; a residual network has to be paid "
                "for, and pays back with more images.",
                "Ten times the images, or three times the epochs: who moves up?",
            ),
        )
    places = [*range(len(STATES))]
    lines = [
        Line.over(
            f"{NAMES[place]}, {age}",
            places,
            100 * numbers[f"later/{age}"][:, place],
            colour=_COLOURS[NAMES[place]],
            dashed=age == "new",
        )
        for place in (_RESIDUAL, 4, 5, 3)
        for age in ("old", "new")
    ]
    old = result.settings.old
    found["New classes arrive"] = study_lines(
        lines,
        title="New classes arrive",
        x="what was learned",
        y="accuracy, %",
        summary=f"In short, {_later_told(result)}.",
        explained=about(
            f"Networks that know {old} classes get the others: the new images alone, the new ones with "
            f"{100 * result.settings.kept:.0f} % of the old, or all of it anew. Solid: accuracy on the old classes, "
            "dashed: on the new.",
            "With the new images alone the old classes are forgotten within one short training, convolutional "
            "networks first, and a tenth of the old images among them does not save them. Trees and logistic "
            "regression are not here: they learn anew each time.",
            "Keep half of the old images: how many are enough, and what is then still saved?",
        ),
        ticks=(places, STATES),
        height=340,
    )
    return found


def _point(name: str, costs: np.ndarray, worth: np.ndarray) -> Line:
    known = np.isfinite(costs) & np.isfinite(worth)
    colour, is_row = _COLOURS[name], name in ROWS
    if not known.any():
        nothing = np.array([np.nan])
        return Line(name, nothing, nothing, None, None, colour, is_row)
    line = Line.over(
        name, [float(np.median(costs[known]))], worth[known].reshape(-1, 1), colour=colour, dashed=is_row
    )
    return line


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """The table: accuracy, training time, latency and size of each, beside published accuracies."""
    numbers, on_fashion = result.numbers, result.settings.data == "fashion"
    rows = []
    for place, name in enumerate(NAMES):
        told, where = _PUBLISHED[name]
        if not on_fashion and name != "vision transformer":
            told, where = "not known for this data", ""
        rows.append(Compared(f"accuracy, {name}", told, where, _priced(numbers, place)))
    rows.append(
        Compared(
            "residual network, old classes after learning new ones alone",
            'many models "forget" the first task when trained on a second',
            "arXiv:1312.6211, abstract",
            _later_told(result) if np.isfinite(numbers["later/old"][:, _RESIDUAL]).all() else "",
        )
    )
    return tuple(rows)


def _priced(numbers: Mapping[str, np.ndarray], place: int) -> str:
    """Accuracy with its spread; time and latency as multiples of the residual network's of the same turn."""
    accuracy = numbers["accuracy"][:, place]
    known = np.isfinite(accuracy)
    if not known.any():
        return ""
    spread = f" ({accuracy[known].min():.3f} to {accuracy[known].max():.3f})" if known.sum() > 1 else ""
    words = [f"{accuracy[known].mean():.3f}{spread}"]
    for what, key in (("training", "measured/seconds"), ("latency", "measured/latency")):
        ratios = numbers[key][:, place] / numbers[key][:, _RESIDUAL]
        if place == _RESIDUAL:
            seconds = float(np.nanmedian(numbers[key][:, place]))
            words.append(f"{what} {1000 * seconds:.2g} ms" if seconds < 1 else f"{what} {seconds:.1f} s")
        elif np.isfinite(ratios).any():
            words.append(f"{what} {np.nanmedian(ratios):.2g} times")
    size = float(np.nanmedian(numbers["bytes"][:, place])) / 1024
    words.append(f"{size:,.0f} KiB")
    return ", ".join(words)


def parts(result: StudyResult) -> dict[str, bool]:
    """The three things that were published, each with whether it shows with every seed."""
    accuracy, old = result.numbers["accuracy"], result.numbers["later/old"][:, _RESIDUAL]
    residual = accuracy[:, _RESIDUAL]
    rows = accuracy[:, [NAMES.index(name) for name in ROWS]]
    transformer = accuracy[:, NAMES.index("vision transformer")]
    return {
        "the residual network above all that take an image as a row of numbers": bool(
            (residual[:, None] > rows).all()
        ),
        "the vision transformer below the residual network": bool((transformer < residual).all()),
        "the residual network forgets": bool((old[:, 1] < old[:, 0] / 2).all()),
    }


def verdict(result: StudyResult) -> Verdict:
    """Whether the order of accuracies is the published one, and new classes make a network forget."""
    tolerance = (
        "repeated: with every seed the residual network's accuracy is above those of logistic regression, forest, "
        "boosting and perceptron, the vision transformer's is below it, and after learning new classes alone the "
        "residual network's accuracy on the old ones is less than half of what it was; three seeds at least"
    )
    told = f"{_told(result)}; {_later_told(result)}"
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    missing = [words for words, held in parts(result).items() if not held]
    if missing:
        told += (
            f"; what did not show: {'; '.join(missing)}: networks learned for {result.settings.epochs} epochs of "
            f"{result.settings.images:,} images here, published accuracies are of 60,000 images and long trainings"
        )
    return Verdict("not repeated" if missing else "repeated", told, tolerance)


def _told(result: StudyResult) -> str:
    accuracy = result.numbers["accuracy"]
    known = [
        f"{name} {np.nanmean(accuracy[:, place]):.3f}"
        for place, name in enumerate(NAMES)
        if np.isfinite(accuracy[:, place]).any()
    ]
    told = f"accuracy with {result.settings.images:,} images: {', '.join(known) or 'not known yet'}"
    load = result.numbers["measured/load"]
    if np.isfinite(load).any():
        told += f"; load of the machine meanwhile {np.nanmin(load):.1f} to {np.nanmax(load):.1f}"
    return told


def _later_told(result: StudyResult) -> str:
    old = 100 * result.numbers["later/old"][:, _RESIDUAL]
    if not np.isfinite(old).all(axis=1).any():
        return "what new classes do is not known yet"
    middle = np.nanmean(old, axis=0)
    return (
        f"the residual network names {middle[0]:.0f} % of the old classes' images rightly before new ones arrive, "
        f"{middle[1]:.0f} % after learning those alone, {middle[2]:.0f} % with "
        f"{100 * result.settings.kept:.0f} % of the old images among them, {middle[3]:.0f} % when it learns all anew"
    )


def _answer(result: StudyResult) -> str | None:
    accuracy = np.nanmean(result.numbers["accuracy"], axis=0)
    if not np.isfinite(accuracy).all():
        return None
    best = NAMES[int(np.argmax(accuracy))]
    return GUESS.choices[
        0 if best == "residual network" else 1 if best in ("random forest", "gradient boosting") else 2
    ]


GUESS = Guess(
    "A thousand small grey pictures of clothes, ten kinds. Who names others best, each in its usual form?",
    ("a residual network", "trees: a random forest or gradient boosting", "another one"),
    _answer,
    "With few images and a short training the shortcuts have nothing to mend, and a network has to learn from "
    "images what trees get from sorting pixels. With all 60,000 images residual networks lead by five points.",
)

STUDY = Study(
    name="other_learners",
    title="Other learners",
    question="When is a residual network the wrong tool, and what happens when new classes arrive?",
    source=Source("Xiao et al. 2017", "1708.07747", "table 3, and the table of results in its README"),
    texts=Texts(
        "Seven ways to learn the same pictures: a line, trees, a perceptron, a plain and a residual network, a small "
        "transformer. Which is right most often, which is quick, which is small, and which can learn more later "
        "without forgetting?",
        "Each learner in its usual form, none searched for: scikit-learn's logistic regression, random forest and "
        "histogram boosting (rate 0.3, few rounds), and networks with one cycle, AdamW at 0.001 or SGD at 0.1 (the "
        "residual one). Time is of the processor, all threads, by turns; ratios are to the residual network of the "
        "same turn; latency is one image through Python, the median of 20. The transformer has patches of a seventh "
        "of the side, 48 numbers a token, 3 layers.",
        "15 minutes. Let everybody name the tool before they see the table. Ask what 'better' means to whoever has to "
        "run it: the dotted line is a choice, not a winner. Goes wrong: reading the times as the learners' own; they "
        "are those of these programs on this machine.",
    ),
    guess=GUESS,
    toy=LearnerSettings(),
    paper=LearnerSettings(
        images=10_000, tests=2_000, epochs=30, depth=20, width=16, trees=100, rounds=100, seeds=5
    ),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
