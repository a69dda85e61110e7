"""The variance of stream and branch over depth."""

import torch
from torch import Tensor, nn

from reswork.history import History
from reswork.recorders.block_series import BlockSeries, table
from reswork.recorders.shadow_model import ShadowModel, Summands
from reswork.tasks import Task
from reswork.training.recorder import Recorder


def signal_variance(history: History, every: int = 50, images: int = 32) -> Recorder:
    """A recorder of ``stream_variance`` and ``branch_variance`` for each residual block.

    The branch is F(x) as it enters the addition, the stream is the sum, before whatever follows it in the
    block; in a plain net both are the same. The variance is taken over images and positions, and averaged
    over channels. With batch norm, at the start, the branch's is about 1 and the stream's grows by about
    that from block to block and starts anew where a normed projection begins a stage; a stream that grows by
    a factor instead explodes.

    Measured on the first images of the step's batch, with the weights of the step, in training mode and single
    precision, on a copy of the model.

    Args:
        history: gets one value for each block, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.
        images: at most so many of the step's images.

    Reference:
        Brock et al. 2021, arXiv:2101.08692, section 3 (signal propagation plots).
    """
    groups = ("stream_variance", "branch_variance")
    return BlockSeries(history, "signal_variance", groups, _SignalVariance, every=every, images=images)


class _SignalVariance:
    def __init__(self, twin: ShadowModel) -> None:
        self._twin = twin
        self._summands = Summands(twin, self._look)
        self._clear()

    @torch.no_grad()
    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor, task: Task) -> Tensor:
        """(2, B)."""
        self._twin.run(model, images)
        found = table([self._streams, self._branches], images)
        self._clear()
        return found

    def _clear(self) -> None:
        self._summands.clear()
        count = len(self._twin.blocks)
        self._streams: list[Tensor | None] = [None] * count
        self._branches: list[Tensor | None] = [None] * count

    def _look(self, index: int, shortcut: Tensor | None, branch: Tensor) -> None:
        self._branches[index] = _variance(branch)
        self._streams[index] = self._branches[index] if shortcut is None else _variance(branch + shortcut)


def _variance(tensor: Tensor) -> Tensor:
    """Over all but the channels, averaged over these: (N, C, ...) -> ()."""
    others = [dimension for dimension in range(tensor.ndim) if dimension != 1]
    return tensor.float().var(others, correction=0).mean()
