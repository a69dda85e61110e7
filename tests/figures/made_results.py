"""Results of probes as they might be, made by hand: without torch, any size, also empty."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reswork import figures
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
    }


def figures_of(results: dict[str, Any]) -> Iterator[tuple[str, go.Figure]]:
    for name, result in results.items():
        yield name, getattr(figures, name)(result)
