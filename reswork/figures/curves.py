"""Learning curves: loss and score over the steps of one run, or of several drawn over each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import COLOURS, DASHES, SYMBOLS, about, axis, canvas
from reswork.figures.seed_bands import Band, band_trace, curve_band, point_band, spread_bars
from reswork.figures.smoothing import Floats, finite, smoothed
from reswork.figures.text import escape, number
from reswork.results.metrics import Metric

if TYPE_CHECKING:
    from reswork.history import History

_MOST_POINTS = 2_400  # of all curves of one kind together: keeps a refresh under 60 kB
_RAW_RUNS = 3  # more runs than this are drawn without their noise

_BANDS = (
    " Where several runs stand under one name, the line and the markers are their mean, the pale band and the "
    "bars reach from the smallest to the largest of them."
)
_LOSS = about(
    "The loss says how wrong the network is; training pushes it down. Pale: each step. Strong: the "
    "average of the last steps. Markers: pictures that it never trained on, after each pass over the "
    "data.",
    "It falls fast at first, then slowly, and trembles all the time. The test markers end a little above "
    "the training curve.",
    "If it rises or stays flat, lower the learning rate. If training falls on while the test markers "
    "rise, the network learns by heart: add augmentation or weight decay.",
)


@dataclass(frozen=True, eq=False)
class _Points:
    """Steps and values ready to draw, float32, of the same length."""

    x: Floats
    y: Floats


@dataclass(frozen=True, eq=False)
class _Run:
    """What is drawn of one run."""

    name: str
    raw: _Points
    calm: _Points
    test: _Points
    more: _Points  # a second metric; empty for the loss
    group: "_Group | None" = None  # of several runs under one name


@dataclass(frozen=True, eq=False)
class _Group:
    """The spread of several runs."""

    size: int
    calm: Band
    test: Band


def loss_curves(
    runs: "History | Mapping[str, History | Sequence[History]]",
    *,
    y_scale: Literal["linear", "log"] = "linear",
    show: Literal["both", "train"] = "both",
) -> go.Figure:
    """Training and test loss over steps.

    Read from it whether training still improves, and whether the test pictures improve with it.

    Args:
        runs: one history, or several by name; from four runs on the single steps are left out. Several
            histories under one name, such as those of one training with three seeds, are drawn as their mean
            and a band from the smallest to the largest.
        y_scale: "log" shows late, small improvements.
        show: "train" leaves the test loss out, which in a deep plain net is at times a million times larger.

    Returns:
        Figure with the traces of each run in the order: every step, smoothed, test (empty where left out);
        bands come before all of them.

    Example:
        >>> from reswork.history import History
        >>> history = History()
        >>> history.record(1, {"loss/train": 2.3})
        >>> loss_curves(history).layout.meta["summary"]
        'At step 1 the training loss is 2.3; no test loss yet.'
    """
    return _loss_figure(_runs_info(runs, "loss"), y_scale, show)


def metric_curves(
    runs: "History | Mapping[str, History | Sequence[History]]", metrics: Sequence[Metric]
) -> go.Figure:
    """A task's headline metric over steps: of the training batches (smoothed), and of the test split.

    Args:
        runs: one history, or several by name, or groups as in `loss_curves`.
        metrics: of the task, such as ``run.metrics``, the headline first; the second one is drawn too where there is
            one run only and both are counted alike (shares, or both in one unit).

    Returns:
        Figure with the traces of each run in the order: every step, smoothed, test, and the second metric; bands
        come before all of them. Shares are in percent.

    Example:
        >>> from reswork.history import History
        >>> history = History()
        >>> history.record(5, {"iou/test": 0.25})
        >>> iou = Metric("iou", "mean IoU", ".1%", True, "The overlap of mask and truth over their union.")
        >>> metric_curves(history, [iou]).layout.meta["summary"]
        'Test mean IoU 25 % at step 5.'
    """
    headline, more = metrics[0], [each for each in metrics[1:2] if _alike(each, metrics[0])]
    factor = 100.0 if headline.is_share else 1.0
    info = _runs_info(runs, headline.name, more=more[0].test if more else None, factor=factor)
    return _metric_figure([_with_numbers(run) for run in info], headline, more[0].label if more else "")


def _alike(one: Metric, other: Metric) -> bool:
    return (one.form, one.unit) == (other.form, other.unit)


def _with_numbers(run: _Run) -> _Run:
    """A run without the curve of its training batches where these have no such number, as those of good images."""
    if run.group is not None or np.isfinite(run.calm.y).any():
        return run
    return replace(run, raw=_points([], []), calm=_points([], []))


def _runs_info(
    runs: "History | Mapping[str, History | Sequence[History]]",
    kind: str,
    more: str | None = None,
    factor: float = 1.0,
) -> list[_Run]:
    named = runs if isinstance(runs, Mapping) else {"": runs}
    budget = min(1_000, _MOST_POINTS // max(len(named), 1))
    found = []
    for name, history in named.items():
        if isinstance(history, Sequence):
            found.append(_group_info(name, history, kind, budget // 3, factor))  # a band has three lines
            continue
        raw = history.series(f"{kind}/train" if len(named) <= _RAW_RUNS else "", max_points=budget)
        test = history.series(f"{kind}/test", max_points=min(budget, 400))
        extra = history.series(more, max_points=400) if more and len(named) == 1 else None
        steps, calm = smoothed(history.means(f"{kind}/train", budget))
        found.append(
            _Run(
                name,
                _points(raw.steps, raw.values * factor),
                _points(steps, calm * factor),
                _points(test.steps, test.values * factor),
                _points(extra.steps, extra.values * factor) if extra else _points([], []),
            )
        )
    return found


def _group_info(name: str, histories: "Sequence[History]", kind: str, budget: int, factor: float) -> _Run:
    calm = curve_band(histories, f"{kind}/train", budget, factor)
    test = point_band([each.series(f"{kind}/test", max_points=budget) for each in histories], factor)
    means = _points(calm.steps, calm.mean), _points(test.steps, test.mean)
    group = _Group(len(histories), calm, test)
    return _Run(name, _points([], []), *means, _points([], []), group)


def _points(steps: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> _Points:
    return _Points(np.asarray(steps, np.float32), finite(values))


def _loss_figure(
    info: list[_Run], y_scale: Literal["linear", "log"], show: Literal["both", "train"] = "both"
) -> go.Figure:
    title = "loss" if _is_single(info) or not info else "loss<br>(lines train, markers test)"
    drawn = info
    if show == "train":
        title = "training loss"
        drawn = [
            replace(run, test=_points([], []), group=run.group and replace(run.group, test=point_band([])))
            for run in info
        ]
    traces = _one_run(drawn[0], "") if _is_single(drawn) else _many_runs(drawn, "")
    more = {"type": "log"} if y_scale == "log" else {"rangemode": "nonnegative"}
    return canvas(
        traces,
        title="Training loss" if show == "train" else "Loss",
        summary=_summary(info, "loss", ""),
        explained=_explained(_LOSS, info),
        x=_steps_axis(),
        y=axis(title, **more),
    )


def _metric_figure(info: list[_Run], metric: Metric, second: str) -> go.Figure:
    unit = " %" if metric.is_share else f" {metric.unit}".rstrip()
    if second and metric.is_share and _is_single(info) and (info[0].more.y >= 100).all():
        info = [
            replace(info[0], more=_points([], []))
        ]  # top-5 of four classes: it says nothing, and takes the room
    title = f"{metric.label},{unit}" if unit else metric.label
    limits = {"rangemode": "nonnegative", "autorangeoptions": {"clipmin": 0, "clipmax": 102}}
    return canvas(
        _one_run(info[0], unit, second) if _is_single(info) else _many_runs(info, unit),
        title=metric.label
        if metric.label[1:2].isupper()
        else metric.label[:1].upper() + metric.label[1:],  # mAP
        summary=_summary(info, metric.label, unit),
        explained=_explained(_about_metric(metric), info),
        x=_steps_axis(),
        y=axis(
            title if _is_single(info) or not info else f"{title}<br>(lines train, markers test)",
            **(limits if metric.is_share else {}),
        ),
    )


def _about_metric(metric: Metric) -> Mapping[str, str]:
    way = "climbs" if metric.higher_is_better else "falls"
    return about(
        f"{metric.explained} Line: training pictures. Markers: test pictures, which it never trained on.",
        f"It {way} steeply, then levels off; test ends somewhat worse than training.",
        "A wide gap between training and test: add augmentation. Both poor: train longer, or use a deeper network.",
    )


def _is_single(info: list[_Run]) -> bool:
    return len(info) == 1 and info[0].group is None


def _explained(words: Mapping[str, str], info: list[_Run]) -> Mapping[str, str]:
    return {**words, "what": words["what"] + _BANDS} if any(run.group for run in info) else words


def _steps_axis() -> dict[str, Any]:
    return axis("step", rangemode="nonnegative")


def _one_run(run: _Run, unit: str, second: str = "") -> list[dict[str, Any]]:
    blue, orange, green = COLOURS[:3]
    traces = [
        _line(run.raw, "each step", blue, unit, opacity=0.3, width=1, legend=False),
        _line(run.calm, "train", blue, unit, width=2.5)
        | {"showlegend": len(run.calm.x) > 0 or len(run.test.x) == 0},
        _marks(run.test, "test", orange, "circle", "dash", unit),
    ]
    if second:
        more = _marks(run.more, f"test, {second}", green, "diamond", "dot", unit)
        traces.append(more | {"showlegend": len(run.more.x) > 0})
    return traces


def _many_runs(info: list[_Run], unit: str) -> list[dict[str, Any]]:
    layers: tuple[list[dict[str, Any]], ...] = ([], [], [])
    bands: list[dict[str, Any]] = []
    for index, run in enumerate(info):
        colour, name = COLOURS[index % len(COLOURS)], escape(run.name, 40)
        dash = DASHES[(index + index // len(COLOURS)) % len(DASHES)]
        symbol = SYMBOLS[index % len(SYMBOLS)]
        group = {"legendgroup": str(index)}
        if run.group is not None:
            name = f"{name} ({run.group.size} runs)"
        layers[0].append(_line(run.raw, name, colour, unit, opacity=0.2, width=1, legend=False) | group)
        layers[1].append(_line(run.calm, name, colour, unit, width=2.5, dash=dash) | group)
        mark = _marks(run.test, f"{name}, test", colour, symbol, "dot", unit)
        if run.group is not None:
            bands.append(band_trace(run.group.calm, colour) | group)
            mark["error_y"] = spread_bars(run.group.test)
        layers[2].append(mark | group | {"showlegend": False})
    return [trace for layer in (bands, *layers) for trace in layer]


def _line(
    points: _Points,
    name: str,
    colour: str,
    unit: str,
    *,
    width: float,
    opacity: float = 1.0,
    dash: str = "solid",
    legend: bool = True,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(points.x) > 2 else "lines+markers",
        "x": points.x,
        "y": points.y,
        "name": name,
        "line": {"color": colour, "width": width, "dash": dash},
        "opacity": opacity,
        "showlegend": legend,
        "hoverinfo": "skip" if not legend else "all",
        "hovertemplate": None if not legend else f"step %{{x}}: %{{y:.4g}}{unit}",
    }


def _marks(points: _Points, name: str, colour: str, symbol: str, dash: str, unit: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": points.x,
        "y": points.y,
        "name": name,
        "line": {"color": colour, "width": 1.5, "dash": dash},
        "marker": {"symbol": symbol, "size": 8},
        "cliponaxis": False,
        "hovertemplate": f"step %{{x}}: %{{y:.4g}}{unit}",
    }


def _summary(info: list[_Run], what: str, unit: str) -> str:
    if not info or all(len(run.calm.x) == 0 and len(run.test.x) == 0 for run in info):
        return f"No {what} recorded yet."
    return " ".join(_sentence(run, what, unit) for run in info[:8])


def _sentence(run: _Run, what: str, unit: str) -> str:
    if run.group is not None:
        return _group_sentence(run.name, run.group, what, unit)
    parts = []
    if len(run.calm.x):
        last = f"{number(_last(run.calm.y))}{unit}"
        parts.append(f"at step {_last(run.calm.x):.0f} the training {what} is {last}")
    if len(run.test.x):
        parts.append(f"test {what} {number(_last(run.test.y))}{unit} at step {_last(run.test.x):.0f}")
    else:
        parts.append(f"no test {what} yet")
    text = "; ".join(parts) + "."
    return f"{run.name}: {text}" if run.name else text[0].upper() + text[1:]


def _group_sentence(name: str, group: _Group, what: str, unit: str) -> str:
    parts = []
    for band, kind in ((group.calm, "training"), (group.test, "test")):
        if len(band):
            count = int(band.counts[-1])
            told = f"{number(_last(band.mean))}{unit} on average"
            span = f"{number(_last(band.low))} to {number(_last(band.high))}"
            so_far = "" if count == group.size else f" ({count} of them so far)"
            parts.append(f"at step {_last(band.steps):.0f} the {kind} {what} is {told}, {span}{so_far}")
        else:
            parts.append(f"no {kind} {what} yet")
    return f"{name} ({group.size} runs): {'; '.join(parts)}."


def _last(values: Floats) -> float:
    return float(values[-1]) if len(values) else float("nan")
