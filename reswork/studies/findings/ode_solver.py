"""A residual network as a solver: blocks as steps of an ordinary differential equation, and what other steps do."""

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
    from torch import Tensor

KINDS = ("shared", "free")  # one block for all steps, which is told the time; or each step its own
_FACTORS = (0.25, 0.5, 1, 2, 4, 8)
_FINE = 64  # times as many steps as in training stand for the exact solution
_YIELD_EVERY = 20  # steps of training
_GRID, _ALONG, _PATHS = 9, 25, 30


@dataclass(frozen=True)
class OdeSettings(Settings):
    """How many steps the networks are trained with, and how."""

    steps: int = setting(
        8, "Steps", "residual blocks while it is trained, each of size 1 / steps", least=2, most=64
    )
    width: int = setting(32, "Width", "neurons inside of a block", least=2, most=512)
    updates: int = setting(600, "Updates", "of Adam, each with all 400 training points", least=1, most=20_000)
    learning_rate: float = setting(0.01, "Learning rate", "of Adam", least=1e-5, most=1.0)
    noise: float = setting(0.1, "Noise", "of the two half-moons", least=0.0, most=1.0)
    seeds: int = setting(
        3, "Seeds", "trainings of each kind; fewer than three leave it open", least=1, most=50
    )


def counts(settings: OdeSettings) -> tuple[int, ...]:
    """With how many steps a trained network is asked."""
    return tuple(int(settings.steps * factor) for factor in _FACTORS if settings.steps * factor >= 1)


def run(settings: OdeSettings, shelf: Shelf) -> Generator[Partial, None, None]:
    """Training by training; one that is stopped begins anew."""
    asked = len(counts(settings))
    shapes = {
        "error": (asked,),
        "distance": (asked,),
        "grid": (2 * _GRID * _ALONG, 2),
        "paths": (_PATHS, settings.steps + 1, 2),
    }
    numbers = shelf.numbers or {
        f"{kind}/{what}": np.full((settings.seeds, *shape), np.nan)
        for kind in KINDS
        for what, shape in shapes.items()
    }
    total, done = settings.seeds * len(KINDS), 0
    for seed in range(settings.seeds):
        for kind in KINDS:
            if np.isnan(numbers[f"{kind}/error"][seed]).any():
                weights = yield from _trained(settings, kind, seed, numbers, done / total, 1 / total)
                for what, values in _asked(settings, weights, seed).items():
                    numbers[f"{kind}/{what}"][seed] = values
            done += 1
            yield Partial(numbers, done / total, f"{kind}, seed {seed}")


def moons(count: int, noise: float, seed: int) -> "tuple[Tensor, Tensor]":
    """Two half-moons: points (N, 2) and classes (N,).

    Args:
        count: of points, half of them of each class.
        noise: standard deviation.
        seed: of angles and noise.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(count, generator=generator) * torch.pi
    upper = torch.arange(count) % 2 == 0
    x = torch.where(upper, angle.cos(), 1 - angle.cos()) - 0.5
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin()) - 0.25
    points = torch.stack([x, y], 1) + noise * torch.randn(count, 2, generator=generator)
    return points, upper.long()


def solve(weights: "list[Tensor]", points: "Tensor", steps: int) -> "Tensor":
    """Where points are after each step from time 0 to 1: ``h <- h + F(h, t) / steps``, forward Euler.

    Args:
        weights: of a block for each time: (S, 3, width), (S, width), (S, width, 2), (S, 2); S is 1 where steps share.
        points: (N, 2).
        steps: how many; at time t the block ``floor(t S)`` acts.

    Returns:
        (steps + 1, N, 2).

    Reference:
        Chen et al. 2018, arXiv:1806.07366, equations 1 and 2; Lu et al. 2018, arXiv:1710.10121.
    """
    import torch

    inner, bias, outer, shift = weights
    path = [points]
    for step in range(steps):
        block, h = step * len(inner) // steps, path[-1]
        timed = torch.cat([h, h.new_full((len(h), 1), step / steps)], 1)  # (N, 3)
        branch = torch.tanh(timed @ inner[block] + bias[block]) @ outer[block] + shift[block]
        path.append(h + branch / steps)
    return torch.stack(path)


def _trained(
    settings: OdeSettings, kind: str, seed: int, numbers: dict[str, np.ndarray], begun: float, share: float
) -> "Generator[Partial, None, list[Tensor]]":
    """Weights of the blocks, and those of the linear layer that reads the answer off the last place."""
    import torch
    import torch.nn.functional as F

    points, classes = moons(400, settings.noise, 2 * seed)
    generator = torch.Generator().manual_seed(seed)
    blocks, width = 1 if kind == "shared" else settings.steps, settings.width
    shapes = ((blocks, 3, width), (blocks, width), (blocks, width, 2), (blocks, 2), (2, 2), (2,))
    sizes = (3**-0.5, 0.0, width**-0.5, 0.0, 2**-0.5, 0.0)
    with torch.enable_grad():
        weights = [
            (size * torch.randn(shape, generator=generator)).requires_grad_()
            for shape, size in zip(shapes, sizes, strict=True)
        ]
        optimizer = torch.optim.Adam(weights, settings.learning_rate)
    for update in range(settings.updates):
        with torch.enable_grad():
            end = solve(weights[:4], points, settings.steps)[-1]
            loss = F.cross_entropy(end @ weights[4] + weights[5], classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if update % _YIELD_EVERY == 0:
            at = begun + share * update / settings.updates
            yield Partial(numbers, at, f"{kind}, seed {seed}, loss {float(loss.detach()):.3f}")
    return [weight.detach() for weight in weights]


def _asked(settings: OdeSettings, weights: "list[Tensor]", seed: int) -> dict[str, np.ndarray]:
    """Errors and distances by number of steps, and pictures of the map."""
    import torch

    points, classes = moons(400, settings.noise, 2 * seed + 1)
    blocks, fine = weights[:4], settings.steps * _FINE
    exact = solve(blocks, points, fine)[-1]
    ends = [solve(blocks, points, steps)[-1] for steps in counts(settings)]
    errors = [float(((end @ weights[4] + weights[5]).argmax(1) != classes).double().mean()) for end in ends]
    lines = torch.cartesian_prod(torch.linspace(-2, 2, _GRID), torch.linspace(-2, 2, _ALONG))
    grid = torch.cat([lines, lines.flip(1)])
    return {
        "error": np.array(errors),
        "distance": np.array([float((end - exact).norm(dim=1).mean()) for end in ends]),
        "grid": solve(blocks, grid, settings.steps)[-1].numpy(),
        "paths": solve(blocks, points[:_PATHS], settings.steps).transpose(0, 1).numpy(),
    }


def cost(settings: OdeSettings) -> Estimate:
    """From a few updates."""
    import time
    from dataclasses import replace

    few = replace(settings, updates=_YIELD_EVERY, seeds=1)
    for _ in _trained(few, KINDS[0], 0, {}, 0.0, 1.0):  # the first one is slower
        pass
    begun = time.perf_counter()
    for kind in KINDS:
        for _ in _trained(few, kind, 0, {}, 0.0, 1.0):
            pass
    each = (time.perf_counter() - begun) / _YIELD_EVERY
    return Estimate(each * settings.updates * settings.seeds, 400.0 * settings.steps * settings.width * 16)


def figures(result: StudyResult) -> "dict[str, go.Figure]":
    """Error and distance from the exact solution by number of steps, and the map of the plane."""
    from reswork.figures.canvas import about
    from reswork.figures.study_lines import study_lines

    settings, steps = result.settings, counts(result.settings)

    def lines(what: str, scale: float = 1.0) -> list[Line]:
        return [
            Line.over(kind, steps, scale * result.numbers[f"{kind}/{what}"], colour=colour)
            for colour, kind in enumerate(KINDS)
        ]

    found = {
        "Error by steps": study_lines(
            lines("error", 100.0),
            title="Error by steps",
            x="steps from time 0 to 1",
            y="test error, %",
            summary=_told(result) + ".",
            explained=about(
                f"The trained networks, asked with fewer and more blocks than the {settings.steps} of their "
                "training, each as much smaller; mean, smallest and largest of the seeds.",
                "Level to the right: what was learned is a flow, and its steps may be as small as one likes. Where "
                "it rises on both sides, the network works with its own steps alone.",
                "Train with 32 steps: is it more of a flow?",
            ),
            x_scale="log",
        ),
        "Distance from the flow": study_lines(
            lines("distance"),
            title="Distance from the flow",
            x="steps from time 0 to 1",
            y="mean distance",
            summary=f"Where points end, compared with {_FINE} times as many steps.",
            explained=about(
                f"How far the ends are from where {settings.steps * _FINE} steps lead.",
                "A straight line that falls by half when the steps double: that is Euler's method, of first order.",
                "Raise the noise: the field gets rougher, the line higher.",
            ),
            x_scale="log",
            y_scale="log",
        ),
    }
    for kind in KINDS:
        grid, paths = (result.numbers[f"{kind}/{what}"][0] for what in ("grid", "paths"))
        if np.isfinite(grid).all():
            title = f"The plane, {kind}"
            found[title] = study_lines(
                _plane(grid, paths, settings),
                title=title,
                x="first number",
                y="second number",
                summary=f"Where the {kind} network of seed 0 takes a grid, and {_PATHS} test points step by step.",
                explained=about(
                    "A grid after all blocks, and the paths of test points of both classes through them.",
                    "Lines bend and do not cross: a flow can't tear the plane. Crossings: too large steps.",
                    "Compare the two kinds.",
                ),
                height=340,
            )
    return found


def _plane(grid: np.ndarray, paths: np.ndarray, settings: OdeSettings) -> list[Line]:
    classes = np.asarray(moons(400, settings.noise, 1)[1])[: len(paths)]
    whole = _apart(grid.reshape(2 * _GRID, _ALONG, 2))
    lines = [Line("grid", whole[:, 0], whole[:, 1], colour=3, dashed=True)]
    for each in (0, 1):
        way = _apart(paths[classes == each])
        lines.append(Line(f"class {each}", way[:, 0], way[:, 1], colour=each))
    return lines


def _apart(ways: np.ndarray) -> np.ndarray:
    """Several ways (W, P, 2) as one (W (P + 1), 2), with a hole behind each."""
    holes = ways[:, -1:].copy()
    holes[:, :, 1] = np.nan
    return np.concatenate([ways, holes], axis=1).reshape(-1, 2)


def orders(result: StudyResult, kind: str) -> np.ndarray:
    """(S,) by which power of the step the distance falls, from the steps of the training to eight times as many."""
    steps = np.array(counts(result.settings))
    distance = result.numbers[f"{kind}/distance"]
    first, last = int(np.flatnonzero(steps == result.settings.steps)[0]), len(steps) - 1
    with np.errstate(all="ignore"):
        return np.asarray(
            np.log2(distance[:, first] / distance[:, last]) / np.log2(steps[last] / steps[first])
        )


def extrapolated(result: StudyResult, kind: str) -> np.ndarray:
    """(S,) largest change of the test error, in points, with two, four and eight times as many steps."""
    error = 100 * result.numbers[f"{kind}/error"]
    first = counts(result.settings).index(result.settings.steps)
    return np.asarray(np.abs(error[:, first + 1 :] - error[:, first : first + 1]).max(axis=1))


def compared(result: StudyResult) -> tuple[Compared, ...]:
    """What the papers say of steps, and what was measured."""
    order, change = orders(result, "shared"), extrapolated(result, "shared")
    known, error = np.isfinite(order).any(), 100 * result.numbers["shared/error"]
    first = counts(result.settings).index(result.settings.steps)
    return (
        Compared(
            "a residual block",
            "a step of Euler's method",
            "Chen 2018, equations 1 and 2; Lu 2018, section 1",
            f"distance falls with the step to the power {np.nanmean(order):.2f} (Euler: 1)" if known else "",
        ),
        Compared(
            "other steps than in training",
            "accuracy can be traded for time at test time",
            "Chen 2018, section 3, figure 3",
            f"at most {np.nanmax(change):.1f} points with up to 8 times as many; "
            f"{np.nanmean(error[:, 0]):.1f} % instead of {np.nanmean(error[:, first]):.1f} % with the fewest"
            if known
            else "",
        ),
    )


def verdict(result: StudyResult) -> Verdict:
    """Whether the network with shared weights is a flow that Euler's method follows."""
    tolerance = (
        "repeated: with every seed the network that shares its weights changes its test error by less than 2 points "
        "with two, four and eight times as many steps, and its distance from the fine solution falls with a power of "
        "the step between 0.7 and 1.3; three seeds at least. Networks with free weights are shown, not judged"
    )
    told = _told(result)
    if result.settings.seeds < 3:
        return Verdict("open", f"{told}; not enough seeds", tolerance)
    order, change = orders(result, "shared"), extrapolated(result, "shared")
    holds = bool((change < 2).all() and (order > 0.7).all() and (order < 1.3).all())
    if not holds:
        told += "; steps so coarse let it learn what works with them alone, and nothing in the training forbids that"
    return Verdict("repeated" if holds else "not repeated", told, tolerance)


def _told(result: StudyResult) -> str:
    parts = []
    for kind in KINDS:
        change, order = extrapolated(result, kind), orders(result, kind)
        if np.isfinite(change).any():
            parts.append(
                f"{kind} weights: up to {np.nanmax(change):.1f} points with more steps than the "
                f"{result.settings.steps} of the training, order {np.nanmean(order):.2f}"
            )
    seeds = result.settings.seeds
    return f"{'; '.join(parts)}; {seeds} seed{'s' * (seeds > 1)}" if parts else "Nothing is trained yet"


def _answer(result: StudyResult) -> str | None:
    change = float(extrapolated(result, "shared").mean())
    if np.isnan(change):
        return None
    return GUESS.choices[0 if change < 2 else 1 if change < 20 else 2]


GUESS = Guess(
    "A network of 8 equal blocks was trained. Now it gets 64, each an eighth as strong. What does its test error do?",
    ("hardly anything", "it rises by some points", "it guesses"),
    _answer,
    "What it learned is a direction for each place and time. Where that changes little along a step, small steps lead "
    "to the same place; where it learned to jump, which nothing forbade, they lead elsewhere.",
)

STUDY = Study(
    name="ode_solver",
    title="A network as a solver",
    question="Are residual blocks steps along a flow, so that their number can be changed after the training?",
    source=Source("Chen et al. 2018", "1806.07366", "section 1, equations 1 and 2 (and arXiv:1710.10121)"),
    texts=Texts(
        "y = x + F(x) moves each point a little. If the blocks are small steps along one flow, one can take more and "
        "smaller steps, or fewer and larger ones, and arrive at the same place.",
        "Two half-moons in the plane, tanh blocks of one hidden layer that know the time, forward Euler in "
        "training, no adaptive solver and no adjoint as in the paper. With free weights each block acts for its "
        "share of the time (Haber and Ruthotto 2017, arXiv:1705.03341, section 2; Chang et al. 2018, "
        "arXiv:1710.10348, double the depth so).",
        "15 minutes. Draw a flow on the board, let the class walk it in 2 and in 8 steps. Goes wrong: people take "
        "every residual network for a flow; with 8 steps it is none, with 32 see for yourself. "
        "Compare 'The residual as a difference'.",
    ),
    guess=GUESS,
    toy=OdeSettings(),
    paper=OdeSettings(steps=64, width=64, updates=5000, seeds=5),
    run=run,
    cost=cost,
    figures=figures,
    compared=compared,
    verdict=verdict,
)
