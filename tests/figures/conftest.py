from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from reswork import figures
from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.models.sheet import SpecSheet, spec_sheet
from reswork.recorders import CATALOGUE
from reswork.results import Attribution, Check, ShortcutShares, Trust
from reswork.tasks import Classification
from tests.figures import made_results

VIEWS = [view for quantity in CATALOGUE for view in quantity.views]
RECORDED = [view.figure for view in VIEWS]


METRICS = Classification.metrics


def _history(steps: int = 60, layers: int = 8, epochs: int = 3) -> History:
    """A run as it would be recorded, without running one."""
    rng = np.random.default_rng(0)
    history = History()
    at = np.arange(1, steps + 1)
    history.extend("loss/train", at, 2.3 / np.sqrt(at) + 0.01 * rng.random(steps))
    history.extend("top1/train", at, at / (at + 50.0))
    ends = np.unique(np.linspace(steps / epochs, steps, epochs).astype(int))
    for name, value in (("loss/test", 0.5), ("top1/test", 0.75), ("top5/test", 0.95)):
        history.extend(name, ends, np.full(len(ends), value))
    history.extend("learning_rate", at, 0.1 * (1 - at / (steps + 1)))
    history.extend("images_per_second", at, 1000 + rng.random(steps))
    names = ["conv1", *(f"layer{1 + index % 3}.{index}.conv1" for index in range(layers - 2)), "fc"]
    for step in range(10, steps + 1, max(10, steps // 500)):
        history.record_vector("grad_norm", step, names, np.geomspace(1e-3, 10.0, layers))
        history.record_vector("update_ratio", step, names, np.geomspace(1e-2, 1e-4, layers))
        _record_blocks(history, step, [name.removesuffix(".conv1") for name in names[1:-1]])
        history.record(step, {"noise_scale": 10.0 * step})
    for group in {view.needs for view in VIEWS} - {
        *history.names,
        *history.groups,
    }:  # whatever else there is of layers
        for step in range(10, steps + 1, max(10, steps // 500)):
            history.record_vector(group, step, names, np.geomspace(1.0, 10.0 * step, layers))
    return history


def _record_blocks(history: History, step: int, blocks: list[str]) -> None:
    places = np.arange(len(blocks)) + 1.0
    values = {
        "activation_mean": places / 10,
        "activation_std": places,
        "dead_share": places / 1000,
        "shortcut_size": places * step,
        "branch_size": np.full(len(blocks), 2.0),
        "shortcut_branch_cosine": np.linspace(-0.5, 0.5, len(blocks)),
        "shortcut_gradient": 1 / places,
        "branch_gradient": 0.1 / places,
        "stream_variance": places * step,
        "branch_variance": np.ones(len(blocks)),
    }
    for group, row in values.items():
        history.record_vector(group, step, blocks, row)


def _attribution(count: int = 2, method: str = "grad_cam", side: int = 8) -> Attribution:
    """Maps that rise from -1 to 1, as they would come out of a probe."""
    values = np.linspace(-1, 1, count * 16, dtype=np.float32).reshape(count, 1, 4, 4)
    scores = np.arange(1, count + 1, dtype=np.float32)
    return Attribution(
        method, values, (side, side), np.arange(count), ("1",) * count, scores, np.full(count, np.nan, np.float32),
        layer="layer3", label={"grad_cam": "Grad-CAM", "occlusion": "Occlusion"}.get(method, ""),
    )  # fmt: skip


def _trust(layers: int = 6) -> Trust:
    at = np.linspace(0, 1, 11, dtype=np.float32)
    check = Check("randomisation", 0.9, "failed", "It stays alike by 0.90.")
    names = tuple(f"layer1.{index}.conv1" for index in range(layers))
    fall = np.linspace(0.9, 0, layers, dtype=np.float32)
    return Trust(
        "saliency",
        0,
        "1",
        (check,),
        at,
        1 - at,
        at,
        np.stack([1 - at] * 3),
        np.stack([at] * 3),
        names,
        fall,
        label="Saliency",
    )


def _shares(stages: int = 3, blocks: int = 3) -> tuple[ShortcutShares, ...]:
    two, maps = np.array([3.0, 4.0], np.float32), np.zeros((2, 4, 4), np.float32)
    return tuple(
        ShortcutShares(
            f"layer{stage}", tuple(f"layer{stage}.{block}" for block in range(blocks)), two, two / 3,
            np.full((2, blocks), 0.5, np.float32), two * 0, maps, maps, np.arange(2), ("1", "1"),
        )
        for stage in range(1, stages + 1)
    )  # fmt: skip


@pytest.fixture
def make_attribution() -> Callable[..., Attribution]:
    return _attribution


@pytest.fixture
def make_trust() -> Callable[..., Trust]:
    return _trust


@pytest.fixture
def make_shares() -> Callable[..., tuple[ShortcutShares, ...]]:
    return _shares


@pytest.fixture
def make_history() -> Callable[..., History]:
    return _history


@pytest.fixture
def make_sheet() -> Callable[..., SpecSheet]:
    def sheet(shape: tuple[int, int, int] = (3, 32, 32), **fields: Any) -> SpecSheet:
        return spec_sheet(ResNetConfig(**fields), shape)

    return sheet


def _all_figures(steps: int, layers: int) -> Iterator[tuple[str, go.Figure]]:
    history = _history(steps, layers)
    sheet = spec_sheet(ResNetConfig(depth=20))
    yield "loss_curves", figures.loss_curves(history)
    yield "loss_curves of three", figures.loss_curves({name: history for name in "abc"}, y_scale="log")
    yield "metric_curves", figures.metric_curves(history, METRICS)
    yield "metric_curves of five", figures.metric_curves({name: history for name in "abcde"}, METRICS)
    yield "schedule", figures.schedule(np.arange(steps), np.full(steps, 0.1), steps // 2)
    yield "gradient_profile of two", figures.gradient_profile({"a": history, "b": history})
    yield "over_depth", figures.over_depth({"a": [1.0, 0.5, 0.1], "b": [0.0, float("nan")]}, of="signal")
    for name in RECORDED:
        yield name, getattr(figures, name)(history)
    yield "noise_scale with batch size", figures.noise_scale(history, 128)
    yield "confusion_matrix", figures.confusion_matrix(np.eye(3), ["cat", "dog", "cow"])
    yield "image_grid", figures.image_grid(np.zeros((3, 3, 8, 8), np.uint8), ["a", "b", "c"])
    yield "class_counts", figures.class_counts({"train": [3, 4], "test": [1, 1]}, ["cat", "dog"])
    yield "cost_by_layer", figures.cost_by_layer(sheet)
    yield "cost_by_layer, blocks", figures.cost_by_layer(sheet, by="block")
    yield from made_results.figures_of(made_results.filled(min(layers, 40)))
    yield from made_results.report_figures()
    yield from made_results.study_figures(min(steps, 1_000))
    yield "attribution_maps", figures.attribution_maps(np.zeros((2, 3, 8, 8), np.uint8), [_attribution()])
    yield "trust_curves", figures.trust_curves(_trust(layers))
    yield "randomisation_curve", figures.randomisation_curve(_trust(layers))
    yield "shortcut_attributions", figures.shortcut_attributions(_shares())
    yield "shortcut_attributions by block", figures.shortcut_attributions(_shares(3, layers), blocks=True)
    yield "network", figures.network(sheet)
    yield "network with values", figures.network(sheet, {"layer1.0": 1.0}, "layer2.1")


@pytest.fixture
def all_figures() -> Callable[[int, int], dict[str, go.Figure]]:
    return lambda steps=60, layers=8: dict(_all_figures(steps, layers))


@pytest.fixture
def empty_figures() -> dict[str, go.Figure]:
    nothing = History()
    return {
        "loss_curves": figures.loss_curves(nothing),
        "loss_curves of none": figures.loss_curves({}),
        "metric_curves": figures.metric_curves(nothing, METRICS),
        "schedule": figures.schedule([], []),
        "gradient_profile of two": figures.gradient_profile({"a": nothing, "b": nothing}),
        "gradient_profile of none": figures.gradient_profile({}),
        "over_depth": figures.over_depth({"a": []}, of="signal"),
        "over_depth of none": figures.over_depth({}, of="signal"),
        **{name: getattr(figures, name)(nothing) for name in RECORDED},
        "noise_scale with batch size": figures.noise_scale(nothing, 128),
        "confusion_matrix": figures.confusion_matrix([], []),
        "class_counts": figures.class_counts({}, []),
        **dict(made_results.figures_of(made_results.empty())),
        **dict(made_results.empty_report_figures()),
        **dict(made_results.study_figures(0)),
        "attribution_maps": figures.attribution_maps(np.zeros((0, 3, 8, 8), np.uint8), []),
        "trust_curves": figures.trust_curves(None),
        "randomisation_curve": figures.randomisation_curve(None),
        "shortcut_attributions": figures.shortcut_attributions([]),
    }
