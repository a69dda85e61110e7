"""Block recipes: where batch norm and ReLU stand in a block, at a small and at a great depth."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import PAPER, SmallBatchSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.spread import latest, percent, points
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from reswork.models.network import ResNet
    from reswork.studies.lock_step import LockStep

ORDERS: dict[str, str] = {
    "original": "post",
    "norm after addition": "bn_after_addition",
    "ReLU before addition": "relu_before_addition",
    "ReLU-only pre-activation": "relu_only_pre",
    "full pre-activation": "pre",
    "no ReLU after addition": "post",
}
_BARE = "no ReLU after addition"  # the original's block, which loses its last ReLU
_AFTER, _FULL = "norm after addition", "full pre-activation"
_HE = {  # %, ResNet-110, table 2
    "original": 6.61,
    "norm after addition": 8.17,
    "ReLU before addition": 7.84,
    "ReLU-only pre-activation": 6.71,
    "full pre-activation": 6.37,
}
_REPEATED = {  # %, by depth; README of gcr/torch-residual-networks
    20: {"original": 8.29, "no ReLU after addition": 8.62, "norm after addition": 8.34},
    110: {"original": 6.97, "no ReLU after addition": 6.32, "norm after addition": 13.56},
}
_WORSE = 0.01  # of error: less is taken for luck


@dataclass(frozen=True)
class BlockSettings(SmallBatchSettings):
    """Which orders at which depths."""

    width: int = setting(4, "Width", "channels of the first stage; the paper has 16", least=1, most=128)
    epochs: int = setting(5, "Epochs", "passes over the training images", least=1, most=1000)
    orders: tuple[str, ...] = setting(
        tuple(ORDERS), "Orders", f"of: {', '.join(ORDERS)}", choices=tuple(ORDERS)
    )
    depths: tuple[int, ...] = setting((20, 110), "Depths", "weighted layers, 6n+2", least=8, most=1202)


def trainings_of(settings: BlockSettings, shelf: Shelf | None) -> "Iterator[tuple[str, LockStep]]":
    """The seeds of each order at each depth as one training, with its name, one after the other."""
    from reswork.studies.by_turns import training_of

    for name, (order, depth) in _names(settings).items():
        config = settings.config(depth, order=ORDERS[order])
        yield name, training_of(settings, config, shelf, name, change=bare if order == _BARE else None)


def bare(model: "ResNet") -> None:
    """Take the ReLU behind the addition out of each block of the original order."""
    from torch import nn

    from reswork.models.blocks import ResidualBlock

    for block in model.modules():
        if isinstance(block, ResidualBlock):
            for name in block.plan.after:
                setattr(block, name, nn.Identity())


def run(settings: BlockSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Epoch by epoch, orders and depths by turns."""
    from reswork.studies.by_turns import by_turns

    names = _names(settings)
    numbers = shelf.numbers or {
        f"{order}/{depth}/{part}": np.full((settings.seeds, settings.epochs), np.nan)
        for order, depth in names.values()
        for part in ("train", "test")
    }
    yield Partial(numbers, 0.0, "building networks")

    def note(name: str, training: "LockStep") -> None:
        order, depth = names[name]
        numbers[f"{order}/{depth}/train"][:, training.epoch - 1] = training.epoch_means()[1]
        numbers[f"{order}/{depth}/test"][:, training.epoch - 1] = training.test()[1]

    yield from by_turns(dict(trainings_of(settings, shelf)), shelf, numbers, note)


def _names(settings: BlockSettings) -> dict[str, tuple[str, int]]:
    return {
        f"depth-{depth}-{order.replace(' ', '-')}": (order, depth)
        for depth in settings.depths
        for order in settings.orders
    }


def cost(settings: BlockSettings) -> Estimate:
    """From three steps of each."""
    from reswork.studies.by_turns import training_cost

    return training_cost(training for _, training in trainings_of(settings, None))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Error by order and depth, and the courses of the deepest networks as the paper's figure 6 has them."""
    from reswork.figures.canvas import about
    from reswork.figures.study_bars import study_bars
    from reswork.figures.study_lines import study_lines

    settings, numbers = result.settings, result.numbers
    deep, places = max(settings.depths), np.arange(len(settings.orders))
    groups = [
        Line.over(
            f"{depth} layers",
            places,
            100 * np.stack([_error(result, order, depth) for order in settings.orders], axis=1),
            colour=colour,
        )
        for colour, depth in enumerate(settings.depths)
    ]
    courses = [
        Line.over(
            f"{order}, {'training' if part == 'train' else 'test'}",
            np.arange(1, settings.epochs + 1),
            100 * numbers[f"{order}/{deep}/{part}"],
            colour=colour,
            dashed=part == "train",
        )
        for colour, order in enumerate(settings.orders)
        for part in ("train", "test")
    ]
    return {
        "Error by order": study_bars(
            groups,
            settings.orders,
            title="Error by order",
            x="order",
            y="test error, %",
            summary=_told(result) + ".",
            explained=about(
                "Share of test images that are named wrong, for each place of batch norm and ReLU, as the "
                "paper's table 2 has it. Thin lines: smallest and largest over the seeds.",
                "At 20 layers the bars are nearly alike; at 110 the norm behind the addition stands out, "
                "because the signal on the shortcut is changed at each block.",
                "Add a depth between the two: at which one does the difference begin?",
            ),
        ),
        f"Courses at {deep} layers": study_lines(
            courses,
            title=f"Courses at {deep} layers",
            x="epoch",
            y="error, %",
            summary=f"Training and test error of the orders at {deep} layers while they train.",
            explained=about(
                "Errors while the networks train, dashed on the images that are learned from, solid on others.",
                "What hinders the signal on the shortcut shows in the dashed line first: it is harder to "
                "train, it does not over-fit.",
                "Give it more epochs: does the worst order catch up?",
            ),
            y_range=(0, 100),
            height=400,
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """Table 2, and a repetition by others that has small depths too."""
    rows = []
    for depth in result.settings.depths:
        for order in result.settings.orders:
            ours, told = percent(_error(result, order, depth)), []
            if depth == 110 and order in _HE:
                told.append((f"{_HE[order]:.2f} % (CIFAR-10)", "table 2, from memory"))
            if order in _REPEATED.get(depth, {}):
                told.append(
                    (f"{_REPEATED[depth][order]:.2f} % (CIFAR-10)", "gcr/torch-residual-networks, README")
                )
            rows += [Compared(f"test error, {order}, {depth} layers", *each, ours) for each in told]
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether the norm behind the addition hurts, and more so at depth."""
    tolerance = (
        "repeated: at the greatest depth the norm after the addition has with every seed a test error more "
        f"than {100 * _WORSE:.0f} point above full pre-activation, and at the smallest depth the mean "
        "difference is less than half of that; three seeds at least"
    )
    settings = result.settings
    shallow, deep = min(settings.depths), max(settings.depths)
    if not {_AFTER, _FULL} <= set(settings.orders):
        return Verdict(
            "open", f"{_AFTER} and {_FULL}, which the rule compares, were not both trained", tolerance
        )
    gaps = {depth: _error(result, _AFTER, depth) - _error(result, _FULL, depth) for depth in (shallow, deep)}
    told = (
        f"{_AFTER} over {_FULL}: {points(gaps[shallow])} points of test error at {shallow} layers, "
        f"{points(gaps[deep])} at {deep}, with {settings.seeds} seed{'s' if settings.seeds > 1 else ''}"
    )
    if settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    if shallow == deep:
        return Verdict("open", "one depth says nothing about depth", tolerance)
    holds = bool((gaps[deep] > _WORSE).all() and gaps[shallow].mean() < gaps[deep].mean() / 2)
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _error(result: StudyResult, order: str, depth: int) -> np.ndarray:
    """(S,) test errors after as many epochs as are computed."""
    return latest(result.numbers[f"{order}/{depth}/test"])


def _told(result: StudyResult) -> str:
    words: list[Any] = []
    for depth in result.settings.depths:
        errors = {order: _error(result, order, depth) for order in result.settings.orders}
        known = {order: values.mean() for order, values in errors.items() if np.isfinite(values).all()}
        if known:
            worst, best = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
            words.append(
                f"at {depth} layers {worst} has the highest test error, {100 * known[worst]:.1f} %, "
                f"{best} the lowest, {100 * known[best]:.1f} %"
            )
    return "; ".join(words) or "No network has an epoch behind it yet"


def _answer(result: StudyResult) -> str | None:
    deep = max(result.settings.depths)
    means = {order: float(_error(result, order, deep).mean()) for order in result.settings.orders}
    worst = sorted(means, key=means.__getitem__)[-1]
    if max(means.values()) - min(means.values()) <= _WORSE:
        return GUESS.choices[4]
    places = {_AFTER: 0, "ReLU before addition": 1, _FULL: 2}
    return GUESS.choices[places.get(worst, 3)]


GUESS = Guess(
    "The same layers in six orders, 110 layers deep. Which order does worst?",
    (
        "batch norm behind the addition",
        "ReLU before the addition, so that a block can only add",
        "norm and ReLU before each convolution",
        "another one",
        "they are all about alike",
    ),
    _answer,
    "What stands behind the addition changes the signal on the shortcut at each block, 54 times in a row. "
    "A norm there scales it down again and again; norm and ReLU inside the branch leave it alone.",
)

STUDY = Study(
    name="block_recipes",
    title="Block recipes",
    question="Where in a block should batch norm and ReLU stand, and does it matter?",
    source=Source("He et al. 2016", "1603.05027", "table 2, figures 4 and 6"),
    texts=Texts(
        "A block has convolutions, norms and ReLUs, and an addition. Their order can be changed without "
        "changing what is learned: the number of weights stays. In a shallow network hardly anybody would notice; "
        "in a deep one some orders spoil the road that the shortcut keeps open.",
        "The paper's five orders (figure 4), and the original without its last ReLU (as tried by Gross and "
        "Wilber, and gcr, 2016), the same initial weights and batches in all; shortcut A. The toy has 4 "
        "channels, 8x8 digits, batches of 32 and one cycle of 5 epochs instead of 16 channels and 64,000 "
        "steps of 128 CIFAR-10 images. So what is slow to begin at 110 layers is caught here half-way, where the "
        "paper has a point more of error at the end.",
        "15 minutes. Draw the six blocks first and let everybody trace the shortcut with a finger: what does "
        "the signal meet? Then guess, then run. Goes wrong: somebody reads a ranking out of the bars at 20 "
        "layers; the thin lines overlap. Answer to 'why not the norm behind the addition?': it is on the road "
        "of the shortcut.",
    ),
    guess=GUESS,
    toy=BlockSettings(),
    paper=BlockSettings(**{**PAPER, "batch_size": 128}, depths=(110,), seeds=5),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
