"""The loss surface: smooth around a residual network's weights, chaotic around a deep plain one's."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.study import UNCHECKED, Compared, Verdict
from reswork.studies.findings.degradation import KINDS, training_cost
from reswork.studies.settings import PAPER, TrainingSettings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from torch import Tensor

    from reswork.models.network import ResNet

_UNLEARNED = 0.5  # of loss: above it a network of ten classes is far from its end
_TIMES = 10.0  # the plain plane's median loss over the residual one's


@dataclass(frozen=True)
class SurfaceSettings(TrainingSettings):
    """Which networks, and how much of the plane."""

    depth: int = setting(56, "Depth", "weighted layers of both networks, 6n+2", least=8, most=1202)
    points: int = setting(21, "Points", "of the plane in each direction", least=3, most=101)
    extent: float = setting(
        1.0,
        "Extent",
        "how far to go along the directions; 1 is as long as the weights",
        least=0.01,
        most=10.0,
    )
    images: int = setting(128, "Images", "training images that the loss is of", least=2, most=50_000)


def coarse_to_fine(points: int) -> list[tuple[int, int]]:
    """All cells of a square, a coarse grid first, then those between, until none is left.

    Example:
        >>> coarse_to_fine(5)[:4]
        [(0, 0), (0, 2), (0, 4), (2, 0)]
    """
    found: dict[tuple[int, int], None] = {}
    step = 1
    while 4 * step < points:
        step *= 2
    while step:
        found |= dict.fromkeys(
            (row, column) for row in range(0, points, step) for column in range(0, points, step)
        )
        step //= 2
    return list(found)


def run(settings: SurfaceSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Seed by seed: train both, then both planes by turns, coarse first; of the first seed also the paths."""
    import torch

    from reswork.datasets.augmentation import normalise
    from reswork.studies.trained import flat_weights, trained

    points = settings.points
    numbers = shelf.numbers or _empty(settings)
    data = settings.dataset()
    images = normalise(
        data.train.images[: settings.images], data.mean, data.std, torch.float32, torch.contiguous_format
    )
    labels = data.train.labels[: settings.images]
    configs = [settings.config(settings.depth, residual=kind == "residual") for kind in KINDS]
    cells = coarse_to_fine(points)
    steps = np.linspace(-settings.extent, settings.extent, points)
    for seed in range(settings.seeds):
        begin, whole = seed / settings.seeds, 1 / settings.seeds
        planes = [numbers[f"{kind}/plane"][seed] for kind in KINDS]
        if not np.isnan(planes).any() and (seed or not np.isnan(numbers["residual/path_plane"]).any()):
            continue
        span = (begin, begin + 0.5 * whole)
        both = yield from trained(settings, configs, seed, shelf, numbers, span, courses=seed == 0)
        directions = [filter_normalised(each.model, seed) for each in both]
        for place, (row, column) in enumerate(cells):
            for each, plane, pair in zip(both, planes, directions, strict=True):
                if np.isnan(plane[row, column]):
                    plane[row, column] = loss_at(
                        each.model, images, labels, pair, (steps[column], steps[row])
                    )
            if place % 4 == 3:
                yield Partial(
                    numbers, begin + (0.5 + 0.4 * place / len(cells)) * whole, f"plane, seed {seed}"
                )
        if seed == 0:
            for kind, each in zip(KINDS, both, strict=True):
                yield Partial(numbers, begin + 0.9 * whole, f"path of the {kind} network")
                path, main, explained = main_directions(each.course)
                numbers[f"{kind}/path"], numbers[f"{kind}/explained"] = path, explained
                xs, ys = _around(path, points // 2 + 1)
                numbers[f"{kind}/path_x"], numbers[f"{kind}/path_y"] = xs, ys
                parts = [_as_weights(vector, each.model) for vector in main]
                assert len(flat_weights(each.model)) == each.course.shape[1]
                plane = numbers[f"{kind}/path_plane"]
                for row, column in coarse_to_fine(len(xs)):
                    if np.isnan(plane[row, column]):
                        plane[row, column] = loss_at(each.model, images, labels, parts, (xs[column], ys[row]))
                        yield Partial(numbers, begin + 0.95 * whole, f"path of the {kind} network")


def _empty(settings: SurfaceSettings) -> dict[str, np.ndarray]:
    points, fewer = settings.points, settings.points // 2 + 1
    found: dict[str, np.ndarray] = {}
    for kind in KINDS:
        found[f"{kind}/plane"] = np.full((settings.seeds, points, points), np.nan)
        found[f"{kind}/path"] = np.empty((0, 2))
        found[f"{kind}/explained"] = np.zeros(2)
        found[f"{kind}/path_x"], found[f"{kind}/path_y"] = np.arange(float(fewer)), np.arange(float(fewer))
        found[f"{kind}/path_plane"] = np.full((fewer, fewer), np.nan)
    return found


def filter_normalised(model: "ResNet", seed: int) -> list[list["Tensor"]]:
    """Two random directions, each filter of which is as long as the network's; norms and biases stand still.

    Args:
        model: whose weights are in the middle.
        seed: of the directions.

    Returns:
        Two lists of tensors, one for each weight of more than one dimension.

    Reference:
        Li et al. 2018, arXiv:1712.09913, section 4.
    """
    import torch

    from reswork.studies.trained import weights

    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(2):
        parts = []
        for weight in weights(model):
            drawn = torch.randn(weight.shape, generator=generator).flatten(1)  # (filters, numbers)
            sizes = weight.detach().flatten(1).norm(dim=1, keepdim=True)
            parts.append((drawn * sizes / (drawn.norm(dim=1, keepdim=True) + 1e-10)).view_as(weight))
        found.append(parts)
    return found


def loss_at(
    model: "ResNet",
    images: "Tensor",
    labels: "Tensor",
    directions: Sequence[Sequence["Tensor"]],
    at: Sequence[float],
) -> float:
    """The mean loss with the weights moved; afterwards they are as they were.

    Args:
        model: in evaluation mode.
        images: (N, C, H, W).
        labels: (N,).
        directions: tensors for each weight of more than one dimension.
        at: how far along each direction.

    Returns:
        Infinite where it is not a number.
    """
    import torch
    import torch.nn.functional as F

    from reswork.studies.trained import weights

    own = weights(model)
    with torch.no_grad():
        before = [weight.clone() for weight in own]
        try:
            for far, direction in zip(at, directions, strict=True):
                torch._foreach_add_(own, list(direction), alpha=float(far))
            loss = float(F.cross_entropy(model(images), labels))
        finally:
            torch._foreach_copy_(own, before)
    return loss if np.isfinite(loss) else float("inf")


def main_directions(course: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two directions in which a training moved most, seen from its end.

    Args:
        course: (E, P) weights, the last row those at the end.

    Returns:
        Path (E, 2), directions (2, P) of length 1, shares of the movement (2,).

    Reference:
        Li et al. 2018, section 7.2.
    """
    moved = np.asarray(course, np.float64) - course[-1]
    _, sizes, directions = np.linalg.svd(moved[:-1], full_matrices=False)
    shares = sizes**2 / max((sizes**2).sum(), 1e-30)
    pair = np.zeros((2, course.shape[1]))
    pair[: min(2, len(directions))] = directions[:2]
    return moved @ pair.T, pair, np.pad(shares[:2], (0, max(0, 2 - len(shares))))


def _around(path: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame with some air around a path, along both directions."""
    low, high = path.min(axis=0), path.max(axis=0)
    air = 0.2 * np.maximum(high - low, 1e-3)
    return np.linspace(low[0] - air[0], high[0] + air[0], points), np.linspace(
        low[1] - air[1], high[1] + air[1], points
    )


def _as_weights(vector: np.ndarray, model: "ResNet") -> list["Tensor"]:
    import torch

    from reswork.studies.trained import weights

    own = weights(model)
    parts = torch.from_numpy(vector).float().split([weight.numel() for weight in own])
    return [part.view_as(weight) for part, weight in zip(parts, own, strict=True)]


def cost(settings: SurfaceSettings) -> Estimate:
    """The training, and one point of a plane."""
    import time

    import torch

    from reswork.models.network import resnet
    from reswork.models.sheet import spec_sheet

    training = training_cost(settings, (settings.depth,))
    data, config = settings.dataset(), settings.config(settings.depth)
    model, images = resnet(config).eval(), torch.zeros(settings.images, *data.input_shape)
    directions = filter_normalised(model, 0)
    begun = time.perf_counter()
    loss_at(model, images, torch.zeros(settings.images, dtype=torch.int64), directions, (0.1, 0.1))
    each = time.perf_counter() - begun
    points = 2 * settings.seeds * settings.points**2 + 2 * (settings.points // 2 + 1) ** 2
    memory = settings.images * spec_sheet(config, data.input_shape).inference_bytes
    return Estimate(training.seconds + each * points, max(training.bytes, memory))


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Contours of both, surfaces of both, on one scale; and the ways of their trainings; of the first seed."""
    from reswork.figures.loss_planes import loss_contours, loss_surface, training_path

    numbers, depth = result.numbers, result.settings.depth
    steps = np.linspace(-result.settings.extent, result.settings.extent, result.settings.points)
    values = np.concatenate([numbers[f"{kind}/plane"][0].ravel() for kind in KINDS])
    values = values[np.isfinite(values)]
    span = (max(float(values.min()), 1e-4), max(float(values.max()), 1e-3)) if len(values) else (0.1, 10.0)
    span = (span[0], max(span[1], 1.01 * span[0]))
    found = {}
    for kind in KINDS:
        title = f"Loss around {kind} {depth}"
        found[title] = loss_contours(steps, steps, numbers[f"{kind}/plane"][0], title=title, span=span)
    for kind in KINDS:
        title = f"Surface, {kind} {depth}"
        found[title] = loss_surface(steps, steps, numbers[f"{kind}/plane"][0], title=title, span=span)
    for kind in KINDS:
        if len(numbers[f"{kind}/path"]):
            title = f"Path of {kind} {depth}"
            shares = numbers[f"{kind}/explained"]
            found[title] = training_path(
                numbers[f"{kind}/path_x"],
                numbers[f"{kind}/path_y"],
                numbers[f"{kind}/path_plane"],
                numbers[f"{kind}/path"],
                (float(shares[0]), float(shares[1])),
                title=title,
                span=span,
            )
    return found


def medians(result: StudyResult, kind: str) -> np.ndarray:
    """(S,) median loss over the plane of each seed; NaN where it is not computed."""
    planes = result.numbers[f"{kind}/plane"]
    return np.array([np.nan if np.isnan(plane).all() else np.nanmedian(plane) for plane in planes])


def middles(result: StudyResult, kind: str) -> np.ndarray:
    """(S,) loss in the middle of the plane, where each training ended; beside it where no point lies there."""
    planes = result.numbers[f"{kind}/plane"]
    return planes[:, planes.shape[1] // 2, planes.shape[2] // 2]


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """The paper has pictures, and test errors of the networks in them."""
    rows = []
    published = {"plain": "chaotic, not convex, steep walls", "residual": "smooth, convex around the minimum"}
    for kind in KINDS:
        values = medians(result, kind)
        known = values[np.isfinite(values)]
        told = ", ".join(f"{value:.3g}" for value in known)
        rows.append(
            Compared(
                f"surface, {kind}-56",
                f"{published[kind]} (CIFAR-10)",
                f"figures 1 and 5; the walls{UNCHECKED}" if kind == "plain" else "figures 1 and 5",
                f"median loss {told}" if told else "",
            )
        )
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether the plain surface is much higher around its minimum."""
    tolerance = (
        f"repeated: with every seed the median loss over the plain network's plane is more than "
        f"{_TIMES:.0f} times that over the "
        "residual one's; three seeds at least. Height stands in for chaos, which a coarse plane cannot measure"
    )
    values = {kind: medians(result, kind) for kind in KINDS}
    told = "median loss over the plane: " + ", ".join(
        f"{kind} {' '.join(f'{value:.3g}' for value in each)}" for kind, each in values.items()
    )
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    holds = bool((values["plain"] > _TIMES * values["residual"]).all())
    if holds:
        return Verdict("repeated", told, tolerance)
    return Verdict("not repeated", f"{told}; {_why(result)}", tolerance)


def _why(result: StudyResult) -> str:
    """Why the finding does not show, for a learner."""
    ends = {kind: middles(result, kind) for kind in KINDS}
    lost = " and ".join(f"{values.mean():.2g} ({kind})" for kind, values in ends.items())
    if ends["plain"].mean() > _UNLEARNED:
        return (
            f"where the trainings ended the loss is {lost}, and guessing costs 2.3: the plain network has hardly "
            "learned. The paper looks around a good place that training has found; here there is none around which "
            "walls could be steep. A shallower plain network, or a longer training, gets to one"
        )
    both = "both have learned, and the seeds differ by more than the kinds do"
    return f"where the trainings ended the loss is {lost}: {both}"


def _answer(result: StudyResult) -> str | None:
    ratio = np.nanmedian(medians(result, "plain")) / np.nanmedian(medians(result, "residual"))
    return GUESS.choices[0 if ratio < 2 else 1 if ratio < _TIMES else 2]


GUESS = Guess(
    "Move the weights of two trained networks of 56 layers in a random direction, as far as the "
    "weights are long. How much higher "
    "does the plain network's loss rise than the residual one's?",
    ("not even twice as high", "2 to 10 times", "more than 10 times"),
    _answer,
    "In a deep plain network a change in one layer is handed through all later ones, each of which "
    "can magnify it. A shortcut "
    "bounds what a single layer does to the whole.",
)

STUDY = Study(
    name="loss_surface",
    title="The loss surface",
    question="What does the loss look like around the weights that were found?",
    source=Source("Li et al. 2018", "1712.09913", "figures 1 and 5, section 4"),
    texts=Texts(
        "Training looks for a low place in a landscape of very many dimensions. This cuts a plane "
        "through it at the place that was "
        "found, and draws the loss as a map and as mountains.",
        "Two random directions, normalised filter by filter, norms and biases left alone, norms in "
        "evaluation mode; plain and "
        "residual on one logarithmic scale. Paths: principal components of the weights after each "
        "epoch, seen from the end. "
        "Coarse points come first.",
        "15 minutes. Let them turn the surface. Ask what a random direction cannot show: most of the "
        "dimensions. Goes wrong: without "
        "filter normalisation networks with small weights look sharper, which is scale and nothing else.",
    ),
    guess=GUESS,
    toy=SurfaceSettings(),
    paper=SurfaceSettings(depth=56, points=51, images=10_000, seeds=3, **PAPER),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
