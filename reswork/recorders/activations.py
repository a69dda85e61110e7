"""Mean, deviation and dead units of each block's output."""

import torch
from torch import Tensor, nn

from reswork.history import History
from reswork.recorders.block_series import BlockSeries, table
from reswork.recorders.shadow_model import ShadowModel, see_output
from reswork.tasks import Task
from reswork.training.recorder import Recorder


def activations(history: History, every: int = 50, images: int = 32) -> Recorder:
    """A recorder of ``activation_mean``, ``activation_std`` and ``dead_share`` for each residual block.

    Mean and standard deviation are over all numbers of the block's output. A unit is a channel of a ReLU in
    the block (of the block's output where it has no ReLU module); it is dead if it gives nothing above 0
    at any position of any of the images. A few per cent of dead units are normal; half means that the
    block lost its width, usually to a learning rate that was too high.

    Measured on the first images of the step's batch, with the weights of the step, in training mode and single
    precision, on a copy of the model.

    Args:
        history: gets one value for each block, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.
        images: at most so many of the step's images.
    """
    groups = ("activation_mean", "activation_std", "dead_share")
    return BlockSeries(history, "activations", groups, _Activations, every=every, images=images)


class _Activations:
    def __init__(self, twin: ShadowModel) -> None:
        self._twin = twin
        self._clear()
        twin.hook(output=self._output)
        for index, block in enumerate(twin.blocks):
            parts = list(block.module.modules())
            relus = [part for part in parts if isinstance(part, nn.ReLU | nn.ReLU6)]
            for relu in relus or parts[:1]:
                see_output(relu, self._units, index)

    @torch.no_grad()
    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor, task: Task) -> Tensor:
        """(3, B)."""
        self._twin.run(model, images)
        shares: list[Tensor | None] = [
            torch.cat(units).float().mean() if units else None for units in self._dead
        ]
        found = table([self._means, self._deviations, shares], images)
        self._clear()
        return found

    def _clear(self) -> None:
        count = len(self._twin.blocks)
        self._means: list[Tensor | None] = [None] * count
        self._deviations: list[Tensor | None] = [None] * count
        self._dead: list[list[Tensor]] = [[] for _ in range(count)]

    def _output(self, index: int, tensor: Tensor) -> None:
        self._deviations[index], self._means[index] = torch.std_mean(tensor.float(), correction=0)

    def _units(self, index: int, tensor: Tensor) -> None:
        others = [dimension for dimension in range(tensor.ndim) if dimension != 1]
        self._dead[index].append(tensor.amax(others) <= 0)  # (C,)
