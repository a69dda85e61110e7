"""The gradient noise scale: how many images a batch needs before its gradient is more signal than noise."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reswork.history import History
from reswork.recorders.collector import Collector
from reswork.training.events import (
    CheckpointDue,
    EpochDone,
    Event,
    GradientsReady,
    RunEnded,
    RunPaused,
    StepDone,
)
from reswork.training.interval import Interval
from reswork.training.recorder import BaseRecorder, Recorder

_KEEP = 0.9  # of the running means at each measurement


def noise_scale(history: History, every: int = 20) -> Recorder:
    """A recorder of ``noise_scale``, in images: ``tr(S) / |G|^2``, the "simple" noise scale.

    Batches far smaller than it give noisy gradients, and doubling them nearly halves the steps needed; far
    larger ones waste images. It usually grows, from tens to thousands, while the loss falls.

    Two consecutive steps are two independent batches of B images with gradients g1 and g2, so that
    ``|g1 - g2|^2 / 2 * B`` estimates tr(S), the summed variance of one image's gradient, and ``g1 . g2``
    estimates ``|G|^2``, the squared length of the true gradient, both without bias as long as the weights
    hardly move between the two. (It is the paper's estimator with the batch sizes B and 2 B.) Each is averaged
    over measurements before they are divided; they are recorded too, unaveraged, as ``noise_scale/noise`` and
    ``noise_scale/signal``. Not a number where the signal is not yet told from zero.

    Args:
        history: gets the series.
        every: steps between two measurements; each needs this step and the next one.

    Reference:
        McCandlish et al. 2018, arXiv:1812.06162, equation 2.9 and appendix A.1.
    """
    return _NoiseScale(history, every)


class _NoiseScale(BaseRecorder):
    name = "noise_scale"
    interval: Interval
    events = (GradientsReady, StepDone, CheckpointDue, EpochDone, RunPaused, RunEnded)

    def __init__(self, history: History, every: int) -> None:
        self.interval = Interval(max(2, every))  # a measurement takes two steps
        self._history = history
        self._collector = Collector(self._write)
        self._first: tuple[int, list[Tensor]] | None = None  # step and gradients of the first of two steps
        self._pair: Tensor | None = None
        self._means = np.zeros(2)
        self._weight = 0.0

    def state(self) -> dict[str, Any]:
        """The running means, and the first gradients of a measurement that has begun."""
        step, gradients = self._first if self._first is not None else (None, [])
        first = {f"first{index}": gradient for index, gradient in enumerate(gradients)}
        return {"means": self._means.tolist(), "weight": self._weight, "first_step": step, **first}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as one with this state would have."""
        self._means, self._weight = np.array(state["means"], float), float(state["weight"])
        if state["first_step"] is not None:
            count = sum(isinstance(value, Tensor) for value in state.values())
            self._first = state["first_step"], [state[f"first{index}"] for index in range(count)]

    def __call__(self, event: Event) -> None:
        match event:
            case GradientsReady():
                self._look(event)
            case StepDone():
                if self._pair is not None:  # (2,): |g1 - g2|^2 / 2 and g1 . g2
                    self._collector.add(
                        event.step, torch.stack([self._pair[0] * event.examples, self._pair[1]])
                    )
                    self._pair = None
            case _:
                self._collector.flush()

    @torch.no_grad()
    def _look(self, event: GradientsReady) -> None:
        first, self._first = self._first, None
        if first is not None and first[0] == event.step - 1:
            gradients = _gradients(event)
            if len(gradients) == len(first[1]):
                self._pair = _noise_and_signal(_laid_out_like(gradients, first[1]), gradients)
        elif self.interval.due(event.step):
            self._first = event.step, [gradient.clone() for gradient in _gradients(event)]

    def _write(self, steps: np.ndarray, values: np.ndarray) -> None:  # (n,), (n, 2)
        for step, pair in zip(steps.tolist(), values, strict=True):
            if np.isfinite(pair).all():
                self._means += (1 - _KEEP) * (pair - self._means)
                self._weight += (1 - _KEEP) * (1 - self._weight)
            noise, signal = (self._means / self._weight).tolist() if self._weight else (math.nan, math.nan)
            scale = noise / signal if signal > 0 else math.nan
            self._history.record(
                step, {"noise_scale": scale, "noise_scale/noise": pair[0], "noise_scale/signal": pair[1]}
            )


def _gradients(event: GradientsReady) -> list[Tensor]:
    return [weight.grad for weight in event.model.parameters() if weight.grad is not None]


def _laid_out_like(gradients: list[Tensor], kept: list[Tensor]) -> list[Tensor]:
    """The kept ones in the memory format and on the device of the new; sums then have the same order."""
    return [
        old if old.stride() == new.stride() and old.device == new.device else torch.empty_like(new).copy_(old)
        for old, new in zip(kept, gradients, strict=True)
    ]


def _noise_and_signal(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """(2,): half the squared distance of two gradients, and their product; the first ones are used up."""
    lengths = _squared_length(first) + _squared_length(second)
    torch._foreach_sub_(first, second)
    distance = _squared_length(first)
    return torch.stack([distance / 2, (lengths - distance) / 2])


def _squared_length(tensors: list[Tensor]) -> Tensor:
    """() float32."""
    return torch.stack(torch._foreach_norm(tensors)).float().square().sum()
