"""How activations are distributed, over many images, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.capture import Take, watched
from reswork.probes.inputs import Inputs, batches
from reswork.probes.layer_lookup import block_names
from reswork.results.layers import ActivationHistograms

_WIDEST = 6.0  # deviations from the mean that the bins reach


def activation_histograms(
    model: nn.Module,
    images: Inputs,
    *,
    layers: Sequence[str] | None = None,
    bins: int = 60,
    batch_size: int = 128,
) -> ActivationHistograms:
    """How the outputs of each layer are distributed, and how many of them are zero.

    Read from it whether the signal keeps its size over depth. Behind a ReLU about half of the values being
    zero is usual; far more, or channels that are zero on every image, means dead units. In a residual network
    without a norm behind the addition the distributions grow wider inside each stage.

    Args:
        model: any network; while it trains, a snapshot.
        images: (N, C, H, W), normalised as the network wants them; or a tuple or dict of inputs.
        layers: dotted names; None: the blocks.
        bins: of the histograms; the same for all layers.
        batch_size: images at once. The images are looked at twice: first for the range, then to count.

    Raises:
        InvalidSetting: for a layer that is not there.

    Reference:
        Glorot and Bengio 2010, figures 2 and 6; Brock et al. 2021, arXiv 2101.08692, on signal propagation.
    """
    names = tuple(block_names(model) if layers is None else layers)
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise InvalidSetting("bins", f"bins={bins!r} is not accepted; choose a whole number from 1")
    if not names:
        raise InvalidSetting("layers", "there are no layers to look at; name at least one")
    sums = {name: _Sums() for name in names}
    for name, sample in _outputs(model, images, names, _statistics, batch_size):
        sums[name].add(*sample)
    edges = _edges(list(sums.values()), bins)
    counts = {name: np.zeros(bins, np.int64) for name in names}
    for name, count in _outputs(model, images, names, lambda out: _counted(out, edges), batch_size):
        counts[name] += count
    found = [sums[name] for name in names]
    return ActivationHistograms(
        names,
        edges,
        np.stack([counts[name] for name in names]),
        np.array([entry.zeros / max(entry.finite, 1) for entry in found]),
        np.array([entry.dead for entry in found]),
        np.array([entry.mean for entry in found]),
        np.array([entry.deviation for entry in found]),
        np.array([entry.count - entry.finite for entry in found], np.int64),
    )


@dataclass
class _Sums:
    """Running sums of one layer; what is not finite counts in ``count`` alone."""

    count: int = 0
    finite: int = 0
    zeros: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    alive: Tensor | None = None  # (C,) whether the channel was ever other than zero

    def add(self, numbers: Tensor, alive: Tensor) -> None:
        """Take the sums of one batch in."""
        count, finite, zeros, total, squares, low, high = numbers.tolist()
        self.count += int(count)
        self.finite += int(finite)
        self.zeros += int(zeros)
        self.total += total
        self.squares += squares
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.alive = alive if self.alive is None or self.alive.shape != alive.shape else self.alive | alive

    @property
    def mean(self) -> float:
        return self.total / self.finite if self.finite else float("nan")

    @property
    def deviation(self) -> float:
        return max(self.squares / self.finite - self.mean**2, 0.0) ** 0.5 if self.finite else float("nan")

    @property
    def dead(self) -> float:
        return float("nan") if self.alive is None else 1 - float(self.alive.double().mean())


def _outputs(
    model: nn.Module, images: Inputs, names: tuple[str, ...], take: Take, batch_size: int
) -> list[tuple[str, Any]]:
    """Layer and what was taken, for every use in every batch."""
    found: list[tuple[str, Any]] = []
    with watched(model, names, take=take) as seen:
        for part in batches(images, batch_size):
            seen(part)
            found += [(name, use) for name in names for use in seen.uses(name)]
    return found


def _statistics(output: Tensor) -> tuple[Tensor, Tensor]:
    """Count, finite, zeros, sum, sum of squares, lowest, highest; and which channels live."""
    values = output.detach().float()
    wide = torch.float64 if values.device.type != "mps" else torch.float32  # Apple's GPUs have no float64
    finite = _finite(values)
    low, high = map(float, finite.aminmax()) if finite.numel() else (np.inf, -np.inf)
    zeros = finite.numel() - int(finite.count_nonzero())
    total, squares = float(finite.sum(dtype=wide)), float(finite.square().sum(dtype=wide))
    sums = [values.numel(), finite.numel(), zeros, total, squares, low, high]
    over = [axis for axis in range(values.dim()) if axis != 1]
    alive = (values != 0).any(dim=over) if values.dim() > 1 else (values != 0).any()[None]
    return torch.tensor(sums, dtype=torch.float64), alive.cpu()


def _edges(sums: list[_Sums], bins: int) -> np.ndarray:
    """Bins over all layers, but no further than six deviations of the widest one."""
    filled = [entry for entry in sums if entry.finite]
    if not filled:
        return np.linspace(0.0, 1.0, bins + 1)
    low = max(min(e.low for e in filled), min(e.mean - _WIDEST * e.deviation for e in filled))
    high = min(max(e.high for e in filled), max(e.mean + _WIDEST * e.deviation for e in filled))
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def _counted(output: Tensor, edges: np.ndarray) -> np.ndarray:
    values = _finite(output.detach().float()).cpu().double()
    low, high = float(edges[0]), float(edges[-1])
    return torch.histc(values.clamp(low, high), len(edges) - 1, low, high).long().numpy()


def _finite(values: Tensor) -> Tensor:
    """What is finite; the very tensor where all is, which is usual and saves a copy."""
    finite = values.isfinite()
    return values if bool(finite.all()) else values[finite]
