"""Results of probes as they might be, made by hand: without torch, any size, also empty."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork import figures
from reswork.figures.canvas import about
from reswork.results import (
    ActivationHistograms,
    ChannelExamples,
    FeatureMaps,
    Filters,
    LayerCost,
    LayerTable,
    LinearProbe,
    ReceptiveField,
    Similarity,
)
from reswork.results.causes import Carriers, LookAlike, Neighbours, TopAnswers, Turning
from reswork.results.confidence import Calibration, Coverage, Reliability
from reswork.results.contrast import Distances, WeightPath
from reswork.results.embedding_map import EmbeddingMap
from reswork.results.latency import CallTimes, Latency, Load
from reswork.results.robustness import Robustness
from reswork.results.scores import ClassScores
from reswork.results.serving import ServerLoad
from reswork.results.slices import Slice, Slices
from reswork.results.study import Line


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"layer{1 + 3 * index // count}.{index}" for index in range(count))


def feature_maps(images: int = 2, count: int = 5, size: int = 8) -> FeatureMaps:
    rng = np.random.default_rng(0)
    return FeatureMaps(
        "layer2.0",
        "mean_abs",
        rng.normal(size=(images, 3, 16, 16)).astype(np.float32),
        np.argsort(rng.random((images, 20)), axis=1)[:, :count],
        rng.normal(size=(images, count, size, size)).astype(np.float32),
        -np.sort(-rng.random((images, count)).astype(np.float32)),
        20,
    )


def channel_examples(count: int = 4) -> ChannelExamples:
    rng = np.random.default_rng(0)
    boxes = np.array([[0, 2, 7, 9]] * count, np.int64).reshape(count, 4)
    images = rng.normal(size=(count, 3, 16, 16)).astype(np.float32)
    places = np.zeros((count, 2), np.int64)
    values = np.arange(count, 0, -1).astype(np.float32)
    return ChannelExamples("layer1.0", 3, images, np.arange(count) * 7, values, places, boxes, 0.5, 100)


def filters(count: int = 6, inputs: int = 3) -> Filters:
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(count, inputs, 3, 3)).astype(np.float32)
    norms = np.sqrt((kernels**2).sum(axis=(1, 2, 3)))
    spectrum = np.abs(np.fft.fft2(kernels[:, 0], s=(16, 16))).astype(np.float32)
    return Filters("conv1", kernels, norms, spectrum, np.arange(count, 0, -1).astype(np.float32))


def histograms(layers: int = 8, bins: int = 20) -> ActivationHistograms:
    counts = np.random.default_rng(0).integers(0, 99, (layers, bins))
    halves = np.full(layers, 0.5)
    return ActivationHistograms(
        _names(layers),
        np.linspace(-1, 1, bins + 1),
        counts,
        halves,
        halves / 10,
        halves,
        halves,
        np.zeros(layers, np.int64),
    )


def field(size: int = 32) -> ReceptiveField:
    far = np.square(np.indices((size, size)) - size // 2).sum(axis=0)
    influence = np.exp(-far / 40)
    middle = size // 2
    box = (0, 0, size, size) if size else (0, 0, 0, 0)
    return ReceptiveField(
        "layer2.1", (middle, middle), influence / influence.sum() if size else far * 0.0, box, (33, 33), 4
    )


def probe(layers: int = 8) -> LinearProbe:
    rise = np.linspace(0.3, 0.9, layers)
    return LinearProbe(_names(layers), rise + 0.05, rise, np.full(layers, 16), 0.92, 0.1, 100, 50, "ridge")


def similarity(rows: int = 8, columns: int = 8) -> Similarity:
    far = np.abs(np.subtract.outer(np.arange(rows), np.arange(columns)))
    return Similarity(_names(rows), _names(columns), np.exp(-far / 5), 64, rows == columns)


def table(layers: int = 8) -> LayerTable:
    rows = tuple(
        LayerCost(name, "Conv2d", 1, (1, 16, 8, 8), 1000 + index, 5000, 4096, 4096, 0.001 * (1 + index))
        for index, name in enumerate(_names(layers))
    )
    return LayerTable(rows, 1, 0, 0, 0.002 if layers else 0.0, "cpu")


def reliability(temperature: float = 1.7) -> Calibration:
    edges, counts = np.linspace(0, 1, 16), np.arange(15)
    middles = np.where(counts > 0, (edges[1:] + edges[:-1]) / 2, np.nan)
    bins = Reliability(edges, counts, middles, 0.8 * middles, 0.1, 0.2, 0.3, 0.02)
    return Calibration(bins, temperature, bins, bins, 50)


def coverage(points: int = 50) -> Coverage:
    share = np.linspace(0.02, 1, points)
    return Coverage(share, 1 - share / 4, 0.1, 0.9, np.linspace(0, 1, 21), np.arange(20), np.arange(20)[::-1])


def class_scores(classes: int = 3) -> ClassScores:
    values = np.linspace(0.5, 1, classes)
    values[-1] = np.nan  # a class without images
    counts = np.full(classes, 7)
    return ClassScores({}, values, values, values, counts, np.diag(counts), np.arange(classes))


def server_load(looks: int = 20) -> ServerLoad:
    """A server that refuses some requests and has a pause in the middle."""
    at = np.arange(looks, dtype=float)
    p95 = np.where(at == looks // 2, np.nan, 20.0 + at)
    return ServerLoad(at + 1, 50 + at, at % 3, 0 * at, p95 / 4, p95, at % 5)


def latency(calls: int = 200) -> Latency:
    rng = np.random.default_rng(0)
    times = tuple(
        CallTimes(name, size, size**0.5 * 1e-3 * (k + 1) * (1 + rng.exponential(0.1, calls)))
        for k, name in enumerate(("torch", "a <b>"))
        for size in (1, 32)
    )
    return Latency(times, (), (Load("torch", 1, 2 * times[0].seconds, 50.0),), (3, 32, 32), "made", 2e-3)


def robustness() -> Robustness:
    scores = np.linspace(0.9, 0.1, 35).reshape(7, 5)
    names = ("noise", "blur", "contrast", "brightness", "shift", "rotation", "JPEG")
    return Robustness(names, 10 * scores, ("std",) * 7, scores, scores - 0.05, scores + 0.05, 0.95,
                      np.arange(500), "accuracy")  # fmt: skip


def slices(count: int = 40) -> Slices:
    rows = np.arange(50)
    found = (Slice(f"<b>{k}</b>: $x$", ("one",), rows, 20, 0.4, 0.3, 0.5, 0.1, 0.001) for k in range(count))
    return Slices(tuple(found), 300, 0.15)


def distances(parts: int = 8) -> Distances:
    return Distances("weights", _names(parts), np.linspace(0, 1.4, parts))


def weight_path(points: int = 11) -> WeightPath:
    shares = np.linspace(0, 1, points)
    table = {"loss": 1 + shares * (1 - shares), "top1": 0.9 - shares * (1 - shares)}
    return WeightPath(shares, table, "top1", 500, {name: values / 2 for name, values in table.items()})


def embedding_map(count: int = 5000) -> EmbeddingMap:
    points = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    return EmbeddingMap("layer3.2", "pca", points, np.arange(count), np.array([0.6, 0.2]))


def top_answers() -> TopAnswers:
    return TopAnswers(np.array([2, 0, 1]), np.array([0.6, 0.3, 0.1], np.float32), 2, 0, 0, -0.7)


def votes(stages: int = 3) -> Neighbours:
    share = (
        np.linspace(0, 1, stages, dtype=np.float32)[:, None] * np.array([[0.2, 0.1, 0.7]], np.float32) + 0.0
    )
    share[:, 1] += 1 - share.sum(axis=1)
    rows, seen = np.zeros((stages, 4), np.int64), np.zeros((stages, 4), np.float32)
    return Neighbours(_names(stages), rows, seen, rows, share, np.linspace(0.4, 0.9, stages), 0.34, 200)


def turning(blocks: int = 6) -> Turning:
    margin = np.linspace(2, -1, blocks, dtype=np.float32)
    head = np.where(np.arange(blocks) < 2, np.nan, margin)
    said, right = np.full(blocks, 2), np.linspace(0.2, 0.9, blocks)
    return Turning(_names(blocks), 2, 0, head, said, right, margin, said, right, 0.34, 48, 60, 140)


def carriers(blocks: int = 12) -> Carriers:
    names = _names(blocks)
    kinds = ("block",) * blocks + ("shortcut",) * blocks + ("channel",) * blocks
    change = np.concatenate([np.linspace(-1, 2, blocks)] * 3).astype(np.float32)
    channels = np.concatenate([np.full(2 * blocks, -1), np.arange(blocks)])
    kept = np.where(channels < 0, 0.8, np.nan)
    return Carriers(
        kinds, names * 3, channels, change, np.zeros(3 * blocks, int), kept, -0.7, 2, 0, (), 48, blocks
    )


def parting(blocks: int = 6) -> LookAlike:
    away = np.linspace(0.1, 0.9, blocks, dtype=np.float32)
    flat = np.full(blocks, 0.3, np.float32)
    return LookAlike(17, 0, _names(blocks), away, flat / 2, flat, 80)


def report_figures() -> Iterator[tuple[str, go.Figure]]:
    yield "reliability", figures.reliability(reliability())
    yield "coverage", figures.coverage(coverage())
    yield "confidence_counts", figures.confidence_counts(coverage())
    yield "class_scores", figures.class_scores(class_scores(), ("<b>cat</b>", "dog", "cow"))
    yield "robustness", figures.robustness(robustness())
    yield "distances", figures.distances(distances())
    yield "weight_path", figures.weight_path(weight_path())
    yield "slices", figures.slices(slices())
    classes = ("<b>cat</b>", "dog", "cow")
    for made in (top_answers, votes, turning, carriers, parting):
        yield made.__name__, getattr(figures, made.__name__)(made(), classes)
    yield "embedding_map", figures.embedding_map(embedding_map(), [f"class {k % 15}" for k in range(5000)])
    yield "changes", _changes(80)


def _changes(count: int) -> go.Figure:
    middle = np.linspace(-0.2, 0.2, count)
    names = [f"<b>{k}</b>" for k in range(count)]
    return figures.changes(names, middle, middle - 0.05, middle + 0.05)


def empty_report_figures() -> Iterator[tuple[str, go.Figure]]:
    for name in (
        "reliability",
        "coverage",
        "confidence_counts",
        "class_scores",
        "robustness",
        "slices",
        "embedding_map",
        "top_answers",
        "votes",
        "turning",
        "carriers",
        "parting",
    ):
        yield name, getattr(figures, name)(None)
    yield "distances of nothing", figures.distances(distances(0))
    yield "slices, none found", figures.slices(slices(0))
    yield "changes", _changes(0)


def filled(layers: int = 8) -> dict[str, Any]:
    return {
        "feature_maps": feature_maps(),
        "channel_examples": channel_examples(),
        "filters": filters(),
        "filter_spectra": filters(),
        "activation_histograms": histograms(layers),
        "receptive_field": field(),
        "linear_probe": probe(layers),
        "cka": similarity(layers, layers),
        "layer_table": table(layers),
        "latency": latency(),
        "latency_tail": latency(),
        "server_load": server_load(),
        "server_times": server_load(),
        "server_drift": {"brightness": (0.4, 0.02), "contrast": (0.01, 0.02), "confidence": (np.nan, np.nan)},
    }


def empty() -> dict[str, Any]:
    return {
        "feature_maps": feature_maps(0),
        "channel_examples": channel_examples(0),
        "filters": filters(0),
        "filter_spectra": filters(0),
        "activation_histograms": histograms(0, 0),
        "receptive_field": field(0),
        "linear_probe": probe(0),
        "cka": similarity(0, 0),
        "layer_table": table(0),
        "latency": Latency((), (), (), (3, 32, 32), "made"),
        "server_load": server_load(0),
        "server_times": server_load(0),
        "server_drift": {"brightness": (np.nan, np.nan)},
        "latency_tail": Latency((), (), (), (3, 32, 32), "made"),
    }


def figures_of(results: dict[str, Any]) -> Iterator[tuple[str, go.Figure]]:
    for name, result in results.items():
        yield name, getattr(figures, name)(result)


def study_figures(points: int = 30) -> Iterator[tuple[str, go.Figure]]:
    """Figures of studies, with so many points; none for 0."""
    x = np.arange(float(points))
    rows = np.stack([x, x + 1.0, x + 2.0])
    lines = (
        [Line.over("plain <b>", x, rows, colour=1), Line("paths", x, x, colour=0, dashed=True)]
        if points
        else []
    )
    words = about(
        "What is drawn here, for the tests.",
        "As it should be, of course, in tests.",
        "Nothing at all can be tried here.",
    )
    given = {"title": "Some lines", "x": "place", "y": "value", "summary": "Lines.", "explained": words}
    yield "study_lines", figures.study_lines(lines, **given)
    yield "study_lines, log", figures.study_lines(lines, y_scale="log", ticks=(x[:2], ["a", "b"]), **given)
    bars = {"title": "Some bars", "x": "thing", "y": "value", "summary": "Bars.", "explained": words}
    yield "study_bars", figures.study_bars(lines, [f"name {place} <b>" for place in range(points)], **bars)
    priced = [Line.over("a <b>", [0.1], rows[:, -1:], colour=0)] if points else []
    yield "trade_off", figures.trade_off(priced, **given)
    few = x[:40]
    cells = np.add.outer(few, few) + 1.0
    span = (0.1, 100.0)
    yield "loss_contours", figures.loss_contours(few, few, cells, title="Loss around here", span=span)
    yield "loss_surface", figures.loss_surface(few, few, cells, title="A surface of loss", span=span)
    path = np.stack([few, few], axis=1)
    yield (
        "training_path",
        figures.training_path(few, few, cells, path, (0.5, 0.25), title="A path", span=span),
    )
    yield "gradient_covariance", figures.gradient_covariance(few, np.eye(len(few)), title="Covariance here")
