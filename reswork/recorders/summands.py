"""The shortcut against the branch: how large both are, whether they agree, and who carries the gradient."""

from functools import partial

import torch
from torch import Tensor, nn

from reswork.history import History
from reswork.recorders.block_series import BlockSeries, table
from reswork.recorders.shadow_model import ShadowModel, Summands
from reswork.tasks import Task
from reswork.training.recipe import Recipe
from reswork.training.recorder import Recorder

_PLAIN = Recipe()  # its loss: no smoothing, no weights of classes
_GROUPS = ("shortcut_size", "branch_size", "shortcut_branch_cosine", "shortcut_gradient", "branch_gradient")


def shortcut_and_branch(history: History, every: int = 50, images: int = 32) -> Recorder:
    """A recorder of the two summands of each residual block, y = F(x) + s(x).

    ``shortcut_size`` and ``branch_size`` are the root mean squares of s(x) and F(x) as they enter the addition
    (s(x) is x itself, or what the projection makes of it), ``shortcut_branch_cosine`` is the cosine between
    the two, each taken as one long vector. ``shortcut_gradient`` and ``branch_gradient`` are the 2-norms of
    the two parts of the loss's gradient with respect to x: with g the gradient at the addition, the first part
    is g carried back through s, the second is g carried back through F; their sum is all that x gets.

    In a trained ResNet the branch is the smaller one except where a stage begins, the cosine lies between -0.5
    and 0.5, and most of the gradient comes over the shortcuts.

    Measured on the first images of the step's batch, with the weights of the step and the plain mean
    loss, in training mode and single precision, on a copy of the model. Not a number where a block has
    no shortcut or no branch.

    Args:
        history: gets one value for each block, labelled with its name.
        every: steps between two measurements; the first step that it sees is always measured.
        images: at most so many of the step's images.

    Reference:
        He et al. 2016, arXiv:1603.05027, equations 4 and 5.
    """
    return BlockSeries(
        history,
        "shortcut_and_branch",
        _GROUPS,
        _ShortcutAndBranch,
        every=every,
        images=images,
        shortcuts=True,
    )


class _ShortcutAndBranch:
    def __init__(self, twin: ShadowModel) -> None:
        self._twin = twin
        twin.hook(entered=self._enter)
        self._summands = Summands(twin, self._look, handing_on_copies=True)
        self._clear()

    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor, task: Task) -> Tensor:
        """(5, B)."""
        try:
            with torch.enable_grad():
                output = task.call(partial(self._twin.run, model), images)
                loss = task.loss(output, targets, _PLAIN)
            self._split_gradients(loss)
            return table(self._rows, images)
        finally:
            self._clear()

    def _clear(self) -> None:
        self._summands.clear()
        self._entered: dict[int, Tensor] = {}
        self._met: dict[int, tuple[Tensor, Tensor]] = {}
        self._rows: list[list[Tensor | None]] = [[None] * len(self._twin.blocks) for _ in _GROUPS]

    def _enter(self, index: int, tensor: Tensor) -> Tensor:
        """Keep x, from where the gradients are wanted, and hand a copy on: the block may change it in place."""
        self._entered[index] = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        return self._entered[index].clone()

    def _look(self, index: int, shortcut: Tensor | None, branch: Tensor) -> None:
        if shortcut is None:
            return
        self._met[index] = shortcut, branch
        with torch.no_grad():
            one, other = shortcut.float(), branch.float()
            values = _size(one), _size(other), (one * other).mean() / (_size(one) * _size(other))
        for row, value in zip(self._rows, values, strict=False):
            row[index] = value

    def _split_gradients(self, loss: Tensor) -> None:
        """With g at the addition: g through the shortcut, and what else x gets, which came through the branch."""
        indices = list(self._met)
        entered = [self._entered[index] for index in indices]
        branches = [self._met[index][1] for index in indices]
        found = torch.autograd.grad(loss, [*entered, *branches], retain_graph=True)
        wholes, at_additions = found[: len(indices)], found[len(indices) :]
        for index, x, whole, gradient in zip(indices, entered, wholes, at_additions, strict=True):
            shortcut = self._met[index][0]
            (over,) = torch.autograd.grad(shortcut, x, gradient.to(shortcut.dtype), retain_graph=True)
            self._rows[3][index], self._rows[4][index] = over.norm(), (whole - over).norm()


def _size(tensor: Tensor) -> Tensor:
    """Root mean square."""
    return tensor.square().mean().sqrt()
