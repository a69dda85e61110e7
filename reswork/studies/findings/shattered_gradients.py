"""Shattered gradients: in deep plain networks the gradients of neighbouring inputs look like white noise."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reswork.results.initialisation import autocorrelation
from reswork.results.study import UNCHECKED, Compared, Line, Verdict
from reswork.studies.settings import Settings, setting
from reswork.studies.shelf import Shelf
from reswork.studies.study import Estimate, Guess, Partial, Source, Study, StudyResult, Texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

KINDS = ("plain", "residual")
LAG = 15


@dataclass(frozen=True)
class ShatterSettings(Settings):
    """How deep and wide the networks are, and on how many inputs they are asked."""

    depths: tuple[int, ...] = setting((2, 10, 24, 50), "Depths", "hidden layers", least=1, most=500)
    width: int = setting(200, "Width", "neurons in each layer; the paper has 200", least=2, most=2000)
    points: int = setting(256, "Points", "inputs on the line from -2 to 2", least=32, most=1024)
    beta: float = setting(
        0.1, "Beta", "what a residual network's branches are multiplied by", least=0.001, most=10.0
    )
    norm: bool = setting(True, "Batch norm", "in both kinds, before each ReLU, over the points")
    seeds: int = setting(20, "Seeds", "initialisations of each network", least=1, most=500)


def run(settings: ShatterSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Seed by seed, all depths."""
    names = [f"{kind}/{depth}" for kind in KINDS for depth in settings.depths]
    numbers = shelf.numbers or {
        name: np.full((settings.seeds, settings.points), np.nan, np.float32) for name in names
    }
    for seed in range(settings.seeds):
        for place, name in enumerate(names):
            if np.isnan(numbers[name][seed]).any():
                kind, depth = name.split("/")
                numbers[name][seed] = _gradients_of(settings, int(depth), kind == "residual", seed)
                yield Partial(
                    numbers, (seed + (place + 1) / len(names)) / settings.seeds, f"seed {seed}, {name}"
                )


def _gradients_of(settings: ShatterSettings, depth: int, residual: bool, seed: int) -> np.ndarray:
    beta = settings.beta if residual else 1.0
    return input_gradients(
        depth, settings.width, settings.points, residual=residual, beta=beta, norm=settings.norm, seed=seed
    )


def input_gradients(
    depth: int, width: int, points: int, *, residual: bool, beta: float = 1.0, norm: bool = True, seed: int
) -> np.ndarray:
    """The derivative of a fresh network's output by its one input, at places on a line.

    Plain: ``h <- W relu(norm(h))`` with He's initialisation. Residual: ``h <- h + beta W relu(norm(h))``.

    Args:
        depth: hidden layers.
        width: neurons in each.
        points: places from -2 to 2.
        residual: with shortcuts.
        beta: what each branch is multiplied by.
        norm: batch norm over the line.
        seed: of the weights.

    Returns:
        (points,) float32.

    Reference:
        Balduzzi et al. 2017, arXiv:1702.08591, figure 1 and section 2.
    """
    import torch
    import torch.nn.functional as F

    generator = torch.Generator().manual_seed(seed)

    def drawn(outputs: int, inputs: int, scale: float) -> torch.Tensor:
        return torch.randn(outputs, inputs, generator=generator) * (scale / inputs) ** 0.5

    with torch.enable_grad():
        x = torch.linspace(-2, 2, points).unsqueeze(1).requires_grad_()  # (P, 1)
        h = x @ drawn(width, 1, 1.0).T + torch.randn(width, generator=generator)  # kinks all along the line
        for _ in range(depth):
            weight = drawn(width, width, 2.0)
            normed = F.batch_norm(h, None, None, training=True) if norm else h
            h = beta * (normed.relu() @ weight.T) + (h if residual else 0.0)
        output = h @ drawn(1, width, 1.0).T
        (gradient,) = torch.autograd.grad(output.sum(), x)
    return gradient.squeeze(1).numpy()


def cost(settings: ShatterSettings) -> Estimate:
    """From the deepest network."""
    import time

    deepest = max(settings.depths)
    begun = time.perf_counter()
    for residual in (False, True):
        _gradients_of(settings, deepest, residual, 0)
    each = (time.perf_counter() - begun) * sum(settings.depths) / deepest
    return Estimate(each * settings.seeds, 4.0 * deepest * settings.points * settings.width * 3)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Autocorrelation by depth, one seed's gradients along the line, and the covariance of both kinds when deep."""
    from reswork.figures.canvas import about
    from reswork.figures.covariance import gradient_covariance
    from reswork.figures.study_lines import study_lines

    settings = result.settings
    lags, deep = np.arange(LAG * 2 + 1), max(settings.depths)
    line = np.linspace(-2, 2, settings.points)
    at = np.linspace(0, settings.points - 1, min(60, settings.points)).round().astype(int)
    curves = [
        Line.over(
            f"{kind} {depth}",
            lags,
            autocorrelation(result.numbers[f"{kind}/{depth}"], LAG * 2),
            colour=colour,
            dashed=kind == "plain",
        )
        for colour, depth in enumerate(settings.depths)
        for kind in KINDS
    ]
    for index, curve in enumerate(curves):  # the mean alone: twenty seeds of bars would hide it
        curves[index] = Line(curve.name, curve.x, curve.y, colour=curve.colour, dashed=curve.dashed)
    found = {
        "Autocorrelation of gradients": study_lines(
            curves,
            title="Autocorrelation of gradients",
            x="places apart",
            y="correlation",
            summary=_told(result) + ".",
            explained=about(
                "How alike the gradients of two inputs are that lie so many places apart on the "
                "line; mean over the seeds.",
                "Plain networks (dashed): the deeper, the faster it falls to 0, where gradients are "
                "white noise. Residual ones "
                "(solid) lose it much more slowly.",
                "Go to a depth of 200: what is left of the residual network's?",
            ),
            y_range=(
                min(
                    [-0.1, *(float(np.nanmin(each.y)) - 0.05 for each in curves if np.isfinite(each.y).any())]
                ),
                1.05,
            ),
        ),
        "Gradients along the line": study_lines(
            [
                Line(
                    f"{kind} {deep}",
                    line,
                    _scaled(result.numbers[f"{kind}/{deep}"][0]),
                    colour=colour,
                    dashed=kind == "plain",
                )
                for colour, kind in ((1, "plain"), (0, "residual"))
            ],
            title="Gradients along the line",
            x="input",
            y="gradient, in std from its mean",
            summary=f"The gradients of one seed at depth {deep}, with their mean taken off, divided by their standard "
            "deviation.",
            explained=about(
                "The derivative of the output by the input, at each place of the line; one seed.",
                "Plain and deep: jumps at every place. Residual: goes on for a while before it turns.",
                "Set the depth to 2: both look alike.",
            ),
        ),
    }
    for kind in KINDS:
        rows = result.numbers[f"{kind}/{deep}"]
        rows = rows[np.isfinite(rows).all(axis=1)][:, at].astype(np.float64)
        if len(rows) < 2:  # a number is like itself everywhere
            continue
        title = f"Covariance, {kind} {deep}"
        found[title] = gradient_covariance(line[at], _correlations(rows), title=title)
    return found


def _scaled(row: np.ndarray) -> np.ndarray:
    return (row - row.mean()) / (row.std() or 1.0)


def _correlations(rows: np.ndarray) -> np.ndarray:
    """(P, P) cosines between places over the seeds; the mean gradient is zero by the symmetry of the weights."""
    sizes = np.sqrt((rows**2).sum(axis=0))
    return (rows.T @ rows) / np.maximum(np.outer(sizes, sizes), 1e-30)


def at_lag(result: StudyResult, kind: str, depth: int) -> np.ndarray:
    """(S,) autocorrelation 15 places apart."""
    return autocorrelation(result.numbers[f"{kind}/{depth}"], LAG)[:, LAG]


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """The theorems of section 3: how correlations go with depth L."""
    deep, shallow = max(result.settings.depths), min(result.settings.depths)
    words = {
        "plain": ("exponential decay, like 1 / 2^L", f"abstract; theorem 1{UNCHECKED}"),
        "residual": ("sublinear decay, like 1 / sqrt(L) with batch norm", "theorem 3"),
    }
    rows = []
    for kind, (told, where) in words.items():
        values = {depth: at_lag(result, kind, depth) for depth in (shallow, deep)}
        known = all(np.isfinite(each).any() for each in values.values())
        ours = " to ".join(f"{np.nanmean(each):.2f}" for each in values.values()) if known else ""
        ours = f"{ours} at lag {LAG}, depth {shallow} to {deep}" if ours else ""
        rows.append(Compared(f"correlation of gradients, {kind}", told, where, ours))
    return tuple(rows)


def verdict(result: StudyResult) -> Verdict:
    """Whether plain gradients shatter with depth and residual ones do less."""
    deep, shallow = max(result.settings.depths), min(result.settings.depths)
    tolerance = (
        f"repeated: at depth {deep} the residual networks' mean autocorrelation {LAG} places apart is "
        f"at least twice the plain "
        f"ones', by more than two standard errors, and the plain ones' is less than half of that at "
        f"depth {shallow}; five seeds "
        "at least"
    )
    told = _told(result)
    if result.settings.seeds < 5 or deep == shallow:
        return Verdict("open", f"{told}; not enough seeds or depths", tolerance)
    plain, residual, flat = (
        at_lag(result, "plain", deep),
        at_lag(result, "residual", deep),
        at_lag(result, "plain", shallow),
    )
    error = np.sqrt((plain.var(ddof=1) + residual.var(ddof=1)) / len(plain))
    holds = (
        residual.mean() >= 2 * plain.mean()
        and residual.mean() - plain.mean() > 2 * error
        and plain.mean() < flat.mean() / 2
    )
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _told(result: StudyResult) -> str:
    deep = max(result.settings.depths)
    values = {kind: at_lag(result, kind, deep) for kind in KINDS}
    if not all(np.isfinite(each).any() for each in values.values()):
        return "No gradients are computed yet"
    words = [f"{kind} {np.nanmean(each):.2f} (std {np.nanstd(each):.2f})" for kind, each in values.items()]
    seeds = result.settings.seeds
    return f"autocorrelation {LAG} places apart at depth {deep}: {', '.join(words)}, {seeds} seed{'s' * (seeds > 1)}"


def _answer(result: StudyResult) -> str | None:
    values = {kind: at_lag(result, kind, max(result.settings.depths)).mean() for kind in KINDS}
    gap = values["residual"] - values["plain"]
    return GUESS.choices[0 if gap > 0.15 else 1 if gap > -0.15 else 2]


GUESS = Guess(
    "Move the input of a fresh network of 50 layers a little. In which kind of network does the "
    "gradient stay more alike?",
    ("in the one with shortcuts", "in both about the same", "in the plain one"),
    _answer,
    "Each ReLU layer of a plain network cuts what two inputs have in common by about half; over the "
    "shortcut it is handed on.",
)

STUDY = Study(
    name="shattered_gradients",
    title="Shattered gradients",
    question="Do the gradients of neighbouring inputs ask for the same change?",
    source=Source("Balduzzi et al. 2017", "1702.08591", "figures 1 and 2, theorems 1 to 3"),
    texts=Texts(
        "Gradient descent hopes that a small step helps many inputs at once. If the gradient of each "
        "input points somewhere else, "
        "it cannot. This looks at how alike the gradients of neighbouring inputs are, before any training.",
        "Fully connected ReLU networks with one input and 200 neurons a layer, as in the paper, He's initialisation, "
        "batch norm over the points in both kinds, branches times beta. It depends on both: with beta 1 and batch norm "
        "residual networks shatter too at this distance; without norm plain ones keep more likeness, as most of "
        "their neurons fire at all points or at none. Autocorrelation with the mean taken off.",
        "10 minutes. Show 'Gradients along the line' first: white noise and brown noise are seen "
        "without a formula. Goes wrong: "
        "people take it for vanishing; the gradients are divided by their size here, only their "
        "likeness counts.",
    ),
    guess=GUESS,
    toy=ShatterSettings(),
    paper=ShatterSettings(depths=(2, 4, 10, 24, 50), seeds=100),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
    version=2,
)
