"""Small data: which depth does best with few images, and what augmentation, dropout and weight decay repair."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import Compared, Line, Verdict
from reswork.studies.settings import Settings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from torch import nn

    from reswork.datasets.dataset import Dataset
    from reswork.training.recipe import Recipe

REPAIRS = ("nothing", "augmentation", "dropout", "weight decay", "all three")
_ALIKE = 0.02  # of error: less is taken for luck


@dataclass(frozen=True)
class SmallDataSettings(Settings):
    """How many images, how deep, and what is done against over-fitting."""

    depths: tuple[int, ...] = setting((8, 20, 44), "Depths", "weighted layers, 6n+2", least=8, most=1202)
    images: tuple[int, ...] = setting(
        (50, 200, 1000), "Images", "training images, of all classes together", least=10, most=50_000
    )
    repair_depth: int = setting(
        20, "Depth repaired", "of the network that is trained with each repair", least=8, most=1202
    )
    dropout: float = setting(
        0.3, "Dropout", "chance, in each branch, as in Wide ResNets", least=0.01, most=0.9
    )
    weight_decay: float = setting(5e-4, "Weight decay", "as in Wide ResNets", least=1e-6, most=0.1)
    steps: int = setting(
        80, "Steps", "updates of each training, the same with few images and many", least=1, most=100_000
    )
    width: int = setting(8, "Width", "channels of the first stage; the papers have 16", least=1, most=128)
    data: str = setting("digits", "Data", "what the networks learn", choices=("digits", "fashion", "cifar10"))
    learning_rate: float = setting(0.1, "Learning rate", "its peak", least=1e-6, most=10)
    seeds: int = setting(
        3,
        "Seeds",
        "weights, order and choice of images; fewer than three leave the question open",
        least=1,
        most=50,
    )

    def dataset(self) -> "Dataset":
        """All images of which some are learned from."""
        from reswork.datasets.loading import load

        return load(self.data)

    def some(self, data: "Dataset", images: int, seed: int) -> "Dataset":
        """So many training images, as many of each class; another seed chooses others."""
        return data.subset(train=images, seed=seed)

    def network(self, data: "Dataset", depth: int, repair: str, seed: int) -> "nn.Module":
        """A fresh residual network, with dropout where that is the repair."""
        from reswork.experiment.seed_runs import fresh_network
        from reswork.models.network import resnet

        dropout = self.dropout if repair in ("dropout", "all three") else 0.0
        one = resnet(
            depth=depth,
            width=self.width,
            in_channels=data.input_shape[0],
            num_classes=len(data.classes),
            dropout=dropout,
        )
        return fresh_network(one, seed)

    def recipe(self, repair: str, seed: int, side: int) -> "Recipe":
        """How it is trained; crops are an eighth of the side, as 4 pixels of 32 are."""
        from reswork.datasets.augmentation import Augmentation
        from reswork.training.recipe import Recipe

        moved = Augmentation(crop_padding=max(1, side // 8), flip=self.data != "digits")
        return Recipe(
            steps=self.steps,
            learning_rate=self.learning_rate,
            schedule="one_cycle",
            weight_decay=self.weight_decay if repair in ("weight decay", "all three") else 0.0,
            augmentation=moved if repair in ("augmentation", "all three") else Augmentation(),
            seed=seed,
            precision="fp32",
            compile="off",
            channels_last=False,
        )


def run(settings: SmallDataSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Seed by seed, number by number: each depth without repair, then one depth with each."""
    from reswork.training.alone import error_of, train_alone

    data = settings.dataset()
    depths, images = settings.depths, settings.images
    numbers = shelf.numbers or {
        f"{what}/{part}": np.full((settings.seeds, count, len(images)), np.nan)
        for what, count in (("depth", len(depths)), ("repair", len(REPAIRS)))
        for part in ("train", "test")
    }
    cells = [
        (seed, column, what, row)
        for seed in range(settings.seeds)
        for column in range(len(images))
        for what, count in (("depth", len(depths)), ("repair", len(REPAIRS)))
        for row in range(count)
    ]
    work = [_work(settings, what, row) for _, _, what, row in cells]
    done = 0.0
    for (seed, column, what, row), own in zip(cells, work, strict=True):
        if what == "repair" and row == 0 and settings.repair_depth in depths:  # the same training
            for part in ("train", "test"):
                numbers[f"repair/{part}"][seed, 0, column] = numbers[f"depth/{part}"][
                    seed, depths.index(settings.repair_depth), column
                ]
        if np.isnan(numbers[f"{what}/test"][seed, row, column]):
            depth = depths[row] if what == "depth" else settings.repair_depth
            repair = "nothing" if what == "depth" else REPAIRS[row]
            some = settings.some(data, images[column], seed)
            model = settings.network(data, depth, repair, seed)
            told = f"seed {seed}, {images[column]} images, depth {depth}, {repair}"
            for step, total in train_alone(model, some, settings.recipe(repair, seed, data.input_shape[1])):
                yield Partial(numbers, (done + own * step / total) / sum(work), told)
            for part in ("train", "test"):
                numbers[f"{what}/{part}"][seed, row, column] = error_of(model, some, part)  # type: ignore[arg-type]
        done += own
        yield Partial(numbers, done / sum(work), f"seed {seed}, {images[column]} images")


def _work(settings: SmallDataSettings, what: str, row: int) -> int:
    return settings.depths[row] if what == "depth" else settings.repair_depth


def cost(settings: SmallDataSettings) -> Estimate:
    """From three steps of the shallowest network with most images; the others by depth and batch."""
    from itertools import islice

    from reswork.models.sheet import spec_sheet
    from reswork.training.alone import train_alone

    data, depth = settings.dataset(), min(settings.depths)
    some = settings.some(data, max(settings.images), 0)
    model = settings.network(data, depth, "nothing", 0)
    steps = train_alone(model, some, settings.recipe("nothing", 0, data.input_shape[1]))
    next(steps)
    begun = time.perf_counter()
    made = len([*islice(steps, 2)])
    each = (time.perf_counter() - begun) / max(made, 1)
    steps.close()
    layers = sum(settings.depths) + len(REPAIRS) * settings.repair_depth
    batches = sum(0.3 + 0.7 * min(count, 128) / 128 for count in settings.images)  # a third does not shrink
    sheet = spec_sheet(model.config, data.input_shape)  # type: ignore[arg-type]
    deepest = max(*settings.depths, settings.repair_depth) / depth
    size = deepest * (128 * sheet.activation_bytes + 16 * sheet.parameters)
    return Estimate(each * settings.steps * settings.seeds * layers / depth * batches, size)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Errors over the number of images: by depth, and with each repair."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    settings, numbers = result.settings, result.numbers
    images = settings.images
    ticks = (images, [f"{count:,}" for count in images])
    by_depth = [
        Line.over(
            f"depth {depth}, {'training' if part == 'train' else 'test'}",
            images,
            100 * numbers[f"depth/{part}"][:, row],
            colour=row,
            dashed=part == "train",
        )
        for row, depth in enumerate(settings.depths)
        for part in ("train", "test")
    ]
    by_repair = [
        Line.over(repair, images, 100 * numbers["repair/test"][:, row], colour=row)
        for row, repair in enumerate(REPAIRS)
    ]
    shared = {"x": "training images", "y": "error, %", "x_scale": "log", "ticks": ticks}
    return {
        "Depth and number of images": study_lines(
            by_depth,
            title="Depth and number of images",
            summary=f"T{_told(result)[1:]}.",
            explained=about(
                "Errors after the same number of steps, with few training images and with many; dashed: on "
                "the images that are learned from, in evaluation mode; solid: on others. Bars: smallest and "
                "largest over the seeds.",
                "Training errors of zero everywhere; test errors fall with more images, and with few they rise with "
                "depth. The gap is over-fitting, and more images close it for every depth.",
                "Halve the images once more: is the shallowest still the best?",
            ),
            **shared,  # type: ignore[arg-type]
        ),
        "What repairs it": study_lines(
            by_repair,
            title="What repairs it",
            summary=f"Test errors at depth {settings.repair_depth} with each repair, {_repairs_told(result)}.",
            explained=about(
                f"Test errors of a network of {settings.repair_depth} layers, trained as it is and with what "
                "is done against over-fitting.",
                "With few images augmentation and dropout help most; weight decay does nothing in so short a "
                "training. With many images the repairs cost more than they mend, and all three together leave "
                "even the training images unlearned.",
                "More steps: do the repairs pay with many images then?",
            ),
            **shared,  # type: ignore[arg-type]
        ),
    }


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """The paper's abstract beside these."""
    fewest = int(np.argmin(result.settings.images))
    depths = result.settings.depths
    by_depth = result.numbers["depth/test"][:, :, fewest]
    repairs = result.numbers["repair/test"][:, :, fewest]
    known = np.isfinite(by_depth).all() and np.isfinite(repairs).all()
    shallow, deep = int(np.argmin(depths)), int(np.argmax(depths))

    def changed(name: str) -> str:
        row = REPAIRS.index(name)
        return f"error {_percent(repairs[:, 0])} to {_percent(repairs[:, row])}" if known else ""

    return (
        Compared(
            "few images, no augmentation: networks of low complexity",
            "perform comparably well or better (CIFAR-10, Fashion-MNIST, SVHN, cut down)",
            "abstract",
            f"error {_percent(by_depth[:, shallow])} at depth {depths[shallow]}, "
            f"{_percent(by_depth[:, deep])} at depth {depths[deep]}"
            if known
            else "",
        ),
        Compared(
            "few images, standard augmentation",
            "can boost recognition performance by large margins",
            "abstract",
            changed("augmentation"),
        ),
        Compared(
            "few images, dropout",
            "maintains its role as a good regularizer",
            "abstract",
            changed("dropout"),
        ),
        Compared("few images, weight decay", "not in the abstract", "", changed("weight decay")),
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether a shallow network does as well with few images, and augmentation and dropout help it."""
    tolerance = (
        "repeated: with the fewest images the shallowest network's mean test error is at most "
        f"{100 * _ALIKE:.0f} points above the deepest's; augmentation lowers the mean test error by "
        f"{100 * _ALIKE:.0f} points at least, and with every seed; dropout lowers the mean; three seeds at least"
    )
    settings = result.settings
    told = f"{_told(result)}; {_repairs_told(result)}"
    if len(settings.depths) < 2:
        return Verdict("open", f"{told}; one depth says nothing about depth", tolerance)
    if settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    holds = parts(result)
    missing = [words for words, held in holds.items() if not held]
    if missing:
        told += f"; what did not show: {', '.join(missing)}"
    return Verdict("not repeated" if missing else "repeated", told, tolerance)


def parts(result: StudyResult) -> dict[str, bool]:
    """The three things that the paper says, each with whether it shows with the fewest images."""
    fewest, depths = int(np.argmin(result.settings.images)), result.settings.depths
    by_depth = result.numbers["depth/test"][:, :, fewest].mean(axis=0)
    repairs = result.numbers["repair/test"][:, :, fewest]
    gained = repairs[:, :1] - repairs  # (S, R)
    augmented, dropped = (gained[:, REPAIRS.index(name)] for name in ("augmentation", "dropout"))
    return {
        "shallow as good as deep": bool(
            by_depth[int(np.argmin(depths))] <= by_depth[int(np.argmax(depths))] + _ALIKE
        ),
        "augmentation helps": bool(augmented.mean() >= _ALIKE and (augmented > 0).all()),
        "dropout helps": bool(dropped.mean() > 0),
    }


def _told(result: StudyResult) -> str:
    fewest, most = int(np.argmin(result.settings.images)), int(np.argmax(result.settings.images))
    images = result.settings.images
    words = [
        f"{_percent(result.numbers['depth/test'][:, row, fewest])} and "
        f"{_percent(result.numbers['depth/test'][:, row, most])} at depth {depth}"
        for row, depth in enumerate(result.settings.depths)
    ]
    return f"test error with {images[fewest]:,} and with {images[most]:,} images: {', '.join(words)}"


def _repairs_told(result: StudyResult) -> str:
    fewest = int(np.argmin(result.settings.images))
    words = [
        f"{name} {_percent(result.numbers['repair/test'][:, row, fewest])}"
        for row, name in enumerate(REPAIRS)
    ]
    return (
        f"with {result.settings.images[fewest]:,} images and depth {result.settings.repair_depth}: "
        f"{', '.join(words)}"
    )


def _percent(values: np.ndarray) -> str:
    known = 100 * values[np.isfinite(values)]
    if not len(known):
        return "not known yet"
    spread = f" ({known.min():.1f} to {known.max():.1f})" if len(known) > 1 else ""
    return f"{known.mean():.1f} %{spread}"


def _answer(result: StudyResult) -> str | None:
    fewest, depths = int(np.argmin(result.settings.images)), result.settings.depths
    if len(depths) < 2:
        return None
    errors = result.numbers["depth/test"][:, :, fewest].mean(axis=0)
    gap = float(errors[int(np.argmax(depths))] - errors[int(np.argmin(depths))])
    return GUESS.choices[0 if gap > _ALIKE else 2 if gap < -_ALIKE else 1]


GUESS = Guess(
    "You have 50 images, five of each digit. Which network names other images best?",
    ("the shallowest", "all about alike (within 2 points)", "the deepest"),
    _answer,
    "All of them fit 50 images without an error, so the training error cannot choose. The deeper ones have more "
    "ways to do it, and so few images do not tell which is right. What helps is what one knows beforehand, such as "
    "that a digit moved by a pixel is the same digit.",
)

STUDY = Study(
    name="small_data",
    title="Small data",
    question="How deep should a network be when images are few, and what helps against over-fitting?",
    source=Source("Brigato and Iocchi 2020", "2003.12843", "abstract"),
    texts=Texts(
        "A network that has seen few images can learn them by heart. Is a deeper one worse at that? And what "
        "helps: moving the images about, switching parts off at random, keeping weights small?",
        "Residual networks of the CIFAR form on subsets with as many images of each class; the same number of "
        "steps for each, one cycle, no weight decay unless it is the repair. Each seed has its own subset, the "
        "same for all depths and repairs. The paper compares several architectures on CIFAR-10, Fashion-MNIST "
        "and SVHN; only its abstract was at hand here.",
        "10 minutes. Let everybody guess the best depth for 50 images. Ask why the training error is no help "
        "in choosing. Goes wrong: one seed, whose luck with the subset is larger than what is looked for.",
    ),
    guess=GUESS,
    toy=SmallDataSettings(),
    paper=SmallDataSettings(
        depths=(20, 56, 110), images=(100, 500, 1000, 5000), steps=8000, width=16, data="cifar10"
    ),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
