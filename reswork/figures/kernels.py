"""The filters of a convolution, as pictures and as frequencies."""

import numpy as np
import plotly.graph_objects as go

from reswork.figures.canvas import about
from reswork.figures.colouring import coloured, enlarged
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.text import number
from reswork.results.kernels import Filters

_MOST = 64  # filters
_SIDE = 24  # pixels of a filter's picture

_FILTERS = about(
    "The weights of the layer's filters, the largest first; above each stands its length. Behind a colour image "
    "they are shown as colours with grey for zero, otherwise red is above zero and blue below, for the input "
    "channel that counts most.",
    "In a trained first layer: edges, blobs and colours. Fresh ones look like noise.",
    "Compare the first layer before and after training. Filters that are still noise after it, or all grey, are "
    "not used.",
)
_SPECTRA = about(
    "Which patterns each filter lets through: the middle stands for plain areas, the rim for fine stripes, the "
    "direction for their direction. Yellow is much, dark blue little.",
    "First layers hold some bright in the middle (they smooth) and some dark there (they find edges).",
    "Find a filter that is bright on two opposite sides only: it looks for edges of one direction. Turn back to "
    "the filters and check it.",
)


def filters(found: Filters) -> go.Figure:
    """The filters of one convolution, the largest first.

    Args:
        found: from ``probes.filters``.

    Returns:
        Figure with one picture of at most 64 filters.
    """
    order = _order(found)
    images = _colours(found.kernels[order]) if len(order) else np.zeros((0, 3, 1, 1), np.uint8)
    return _figure(found, order, images, f"Filters of {found.layer}", _FILTERS)


def filter_spectra(found: Filters) -> go.Figure:
    """What frequencies each filter lets through, in the order of `filters`.

    Args:
        found: from ``probes.filters``.

    Returns:
        Figure with one picture of at most 64 spectra, all on one scale from zero.
    """
    order = _order(found)
    spectra = found.spectrum[order]
    images = coloured(spectra, 0, float(spectra.max())) if len(order) else np.zeros((0, 3, 1, 1), np.uint8)
    return _figure(found, order, images, f"Frequencies of {found.layer}", _SPECTRA)


def _order(found: Filters) -> np.ndarray:
    return np.argsort(-found.norms, kind="stable")[:_MOST]


def _colours(kernels: np.ndarray) -> np.ndarray:
    """(O, I, h, w) -> (O, 3, side, side) uint8, zero in the middle of the scale."""
    most = float(np.abs(kernels).max()) or 1.0
    if kernels.shape[1] == 3:
        pixels = ((kernels / most + 1) * 127.5).round().astype(np.uint8)
    else:
        strongest = np.square(kernels).sum(axis=(2, 3)).argmax(axis=1)  # (O,) input channels
        pixels = coloured(kernels[np.arange(len(kernels)), strongest], -most, most, "RdBu_r")
    scale = max(_SIDE // max(pixels.shape[2:]), 1)
    return enlarged(pixels, pixels.shape[2] * scale, pixels.shape[3] * scale)


def _figure(
    found: Filters, order: np.ndarray, images: np.ndarray, title: str, explained: dict[str, str]
) -> go.Figure:
    titles = tuple(f"{index}: {number(float(found.norms[index]))}" for index in order)
    mosaic = mosaic_of(images, titles)
    return mosaic_figure(mosaic, title=title, summary=_summary(found), explained=explained)


def _summary(found: Filters) -> str:
    if not len(found.kernels):
        return "No filters to show."
    count, inputs, height, width = found.kernels.shape
    return (
        f"{count} filters of {height}x{width} over {inputs} channels in {found.layer}; their lengths reach from "
        f"{number(float(found.norms.min()))} to {number(float(found.norms.max()))}, and they span about "
        f"{number(found.effective_rank)} directions of {len(found.singular_values)}."
    )
