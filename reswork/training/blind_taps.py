"""Taps of a convolution that see nothing but padding, whose gradients a processor leaves undefined in bf16."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from reswork.tasks import Task
from reswork.training.batches import Batch
from reswork.training.evaluation import evaluating
from reswork.training.modes import Mode

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CALLS = (torch.conv1d, torch.conv2d, torch.conv3d)


class BlindTaps:
    """Keeps the weights' gradients right where a kernel is larger than what it sees.

    All of a 3x3 kernel but its middle sees padding where the image has come down to one pixel, so the gradient there is
    0. Torch computes that in fp32; in bf16 on a processor it gives back memory that nobody has filled, NaN among it.
    The answers do not use these weights, but the norm of the gradients, clipping, decay and the saved weights do. So
    such a convolution computes with weights that are 0 there, and their gradient is 0.

    Args:
        model: that is trained.
        task: that calls it.
        mode: how it computes; another one than bf16 on a processor needs none of this.

    Attributes:
        are_met: some of the batches so far have convolutions with such taps.
    """

    def __init__(self, model: nn.Module, task: Task, mode: Mode) -> None:
        self._model, self._task, self._mode = model, task, mode
        kernels = [layer.kernel_size for layer in model.modules() if isinstance(layer, _LAYERS)]
        self._may_be = (
            mode.precision == "bf16"
            and torch.device(mode.device).type == "cpu"
            and any(size > 1 for kernel in kernels for size in kernel)
        )
        self._met: dict[tuple[int, ...], bool] = {}  # shape of one input: whether it has any

    @property
    def are_met(self) -> bool:
        """Whether there were any."""
        return any(self._met.values())

    def look(self, batch: Batch) -> None:
        """See what a batch of a new shape meets: one pass of two inputs in evaluation mode, which changes nothing."""
        shape = tuple(batch.inputs.shape[1:])
        if not self._may_be or shape in self._met:
            return
        first = batch.rows(slice(2))
        watch = _SeeingWeights()
        with evaluating(self._model), torch.no_grad(), self._mode.autocast(), watch:
            self._task.call(self._model, first.inputs, first.targets)
        self._met[shape] = watch.found

    def left_out(self, batch: Batch) -> AbstractContextManager[object]:
        """In which a batch's forward pass is made."""
        return _SeeingWeights() if self._met.get(tuple(batch.inputs.shape[1:])) else nullcontext()


class _SeeingWeights(TorchFunctionMode):
    """Convolutions use 0 for weights that see nothing; ``found`` once there was one."""

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _CALLS:
            args, kwargs = self._masked(*args, **kwargs)
        return func(*args, **kwargs)

    def _masked(
        self,
        input: Tensor,  # as torch names it
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        blind = blind_taps(
            tuple(input.shape[-weight.dim() + 2 :]), tuple(weight.shape[2:]), stride, padding, dilation
        )
        if blind is not None:
            self.found = True
            weight = weight.masked_fill(blind.to(weight.device), 0.0)
        return (input, weight, bias, stride, padding, dilation, groups), {}


def blind_taps(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: int | Sequence[int],
    padding: int | str | Sequence[int],
    dilation: int | Sequence[int],
) -> Tensor | None:
    """Which taps of a convolution's kernel see padding only, wherever the kernel stands.

    Args:
        size: pixels of the input along each axis.
        kernel: taps along each axis.
        stride: of the convolution, one number or one for each axis, as the next two.
        padding: in pixels, or ``"same"`` or ``"valid"``.
        dilation: pixels from one tap to the next.

    Returns:
        (*kernel,) bool; None where each tap sees a pixel.
    """
    strides, dilations = _for_each(stride, len(kernel)), _for_each(dilation, len(kernel))
    if isinstance(padding, str):
        spans = [apart * (taps - 1) for taps, apart in zip(kernel, dilations, strict=True)]
        pads = [(span // 2, span - span // 2) if padding == "same" else (0, 0) for span in spans]
    else:
        pads = [(pad, pad) for pad in _for_each(padding, len(kernel))]
    sees = torch.ones(tuple(kernel), dtype=torch.bool)
    for axis, taps in enumerate(kernel):
        before, after = pads[axis]
        last = size[axis] + before + after - dilations[axis] * (taps - 1) - 1  # where the kernel stands last
        places = torch.arange(0, last + 1, strides[axis]) - before
        seen = places + dilations[axis] * torch.arange(taps)[:, None]  # (taps, places)
        along = ((seen >= 0) & (seen < size[axis])).any(1)
        sees &= along.reshape([-1 if each == axis else 1 for each in range(len(kernel))])
    return None if bool(sees.all()) else ~sees


def _for_each(value: int | Sequence[int], axes: int) -> list[int]:
    if isinstance(value, int):
        return [value] * axes
    return list(value) * axes if len(value) == 1 else list(value)
