"""A recorder of quantities that each residual block has, measured on a twin of the model."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from reswork.history import History
from reswork.recorders.collector import Collector
from reswork.recorders.shadow_model import ShadowModel
from reswork.tasks import Task
from reswork.training.events import BatchReady, CheckpointDue, EpochDone, Event, RunEnded, RunPaused
from reswork.training.interval import Interval
from reswork.training.recorder import BaseRecorder

View = Callable[[nn.Module, Tensor, Tensor, Task], Tensor]  # model, inputs, targets -> (quantities, blocks)


class BlockSeries(BaseRecorder):
    """Runs the first images of a measured step through a twin and records what each block shows.

    The twin is run before the step's own forward pass, with the weights and images of that pass. The model
    itself is only read. Where there is nothing to measure, the history gets one note that says why.

    Args:
        history: gets one vector for each group, labelled with the blocks' names.
        name: of the recorder.
        groups: names of the quantities.
        view: puts its hooks on a twin and returns what measures it.
        every: steps between two measurements.
        images: at most so many of the step's images.
        shortcuts: whether it needs a block with a shortcut.
    """

    events = (BatchReady, CheckpointDue, EpochDone, RunPaused, RunEnded)

    interval: Interval

    def __init__(
        self,
        history: History,
        name: str,
        groups: tuple[str, ...],
        view: Callable[[ShadowModel], View],
        *,
        every: int,
        images: int,
        shortcuts: bool = False,
    ) -> None:
        self.name, self.interval = name, Interval(every)
        self._history, self._groups, self._make_view = history, groups, view
        self._images, self._shortcuts = images, shortcuts
        self._collector = Collector(self._write)
        self._names: tuple[str, ...] = ()
        self._view: View | None = None
        self._idle = False

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if not isinstance(event, BatchReady):
            self._collector.flush()
        elif not self._idle and self.interval.due(event.step):
            view = self._view or self._prepared(event)
            if view is not None:
                count = self._images
                seen = view(event.model, event.inputs[:count], event.targets[:count], event.task)
                self._collector.add(event.step, seen)

    def _prepared(self, event: BatchReady) -> View | None:
        twin = ShadowModel(event.model)
        missing = self._missing(twin, type(event.model).__name__)
        if missing:
            self._idle = True
            self._history.note(event.step, "nothing to record", recorder=self.name, reason=missing)
            return None
        self._names, self._view = twin.names, self._make_view(twin)
        return self._view

    def _missing(self, twin: ShadowModel, model: str) -> str:
        if not twin.blocks:
            return (
                f"no residual blocks were found in {model}; gradient_norms and update_ratios look at layers"
            )
        if self._shortcuts and not any(block.has_shortcut and block.branch for block in twin.blocks):
            return f"the blocks of {model} have no shortcuts; there is nothing to compare the branches with"
        return ""

    def _write(self, steps: np.ndarray, values: np.ndarray) -> None:  # (n,), (n, quantities, blocks)
        for step, rows in zip(steps.tolist(), values, strict=True):
            for group, row in zip(self._groups, rows, strict=True):
                self._history.record_vector(group, step, self._names, row)


def table(rows: list[list[Tensor | None]], like: Tensor) -> Tensor:
    """(quantities, blocks) float32 on the device of ``like``; NaN where nothing was seen."""
    nothing = torch.full((), torch.nan, device=like.device)
    return torch.stack(
        [torch.stack([nothing if value is None else value.float() for value in row]) for row in rows]
    )
