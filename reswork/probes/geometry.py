"""Which pixels a position of a layer can see, by following the operations of one forward pass."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

_aten = torch.ops.aten
_MIXING = (_aten.permute, _aten.transpose, _aten.roll, _aten.flip)  # same size, other places


@dataclass(frozen=True)
class Span:
    """Along one axis position p sees pixels ``p * jump + low`` to ``p * jump + high``."""

    jump: int = 1
    low: int = 0
    high: int = 0

    @property
    def size(self) -> int:
        """Pixels, the image's edge left aside."""
        return self.high - self.low + 1

    def pixels(self, position: int, length: int) -> tuple[int, int]:
        """First pixel and the one after the last, inside an image of this length."""
        start, stop = position * self.jump + self.low, position * self.jump + self.high + 1
        return min(max(start, 0), length), min(max(stop, 0), length)

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> "Span":
        """After a window that slides over it."""
        low = self.low - padding * self.jump
        return Span(
            self.jump * stride, low, low + (self.high - self.low) + dilation * (kernel - 1) * self.jump
        )

    def joined(self, other: "Span") -> "Span | None":
        """What either sees; None if they move at different speeds."""
        if self.jump != other.jump:
            return None
        return Span(self.jump, min(self.low, other.low), max(self.high, other.high))


Field = tuple[Span, Span]  # rows, columns


class FieldTracer(TorchDispatchMode):
    """Follows receptive fields through whatever operations a network is made of.

    Convolutions, pooling, padding and slices move and widen the field; operations that keep the size join the
    fields of their inputs. After any other operation a position counts as seeing the whole image. Means over
    the whole image that only scale channels (squeeze-and-excitation, group norm) are left out.

    Args:
        image: (N, C, H, W), the tensor that the network is then called with.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._fields = WeakTensorKeyDictionary()
        self._fields[image] = (Span(), Span())

    def field(self, tensor: Tensor) -> Field | None:
        """The field of a tensor's positions; None: the whole image."""
        found: Field | None = self._fields.get(tensor)
        return found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation and write down what its output sees."""
        sources = [
            leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf in self._fields
        ]
        before = {id(leaf): self.field(leaf) for leaf in sources}
        output = func(*args, **(kwargs or {}))
        if sources:
            for leaf in tree_leaves(output):
                if isinstance(leaf, Tensor):
                    self._fields[leaf] = _output_field(func.overloadpacket, args, sources, before, leaf)
        return output


def _output_field(
    operation: Any,
    args: tuple[Any, ...],
    sources: list[Tensor],
    before: dict[int, Field | None],
    output: Tensor,
) -> Field | None:
    if output.dim() != 4 or operation in _MIXING:
        return None
    first = before[id(sources[0])]
    window = _WINDOWS.get(operation)
    if window is not None:
        return None if first is None or sources[0] is not args[0] else window(first, *args[1:])
    size = output.shape[2:]
    wide = [source for source in sources if source.dim() != 4 or source.shape[2:] != (1, 1) or size == (1, 1)]
    if not wide or any(source.dim() != 4 or source.shape[2:] != size for source in wide):
        return None
    return _joined([before[id(source)] for source in wide])


def _joined(fields: list[Field | None]) -> Field | None:
    result = fields[0]
    for field in fields[1:]:
        if result is None or field is None:
            return None
        rows, columns = result[0].joined(field[0]), result[1].joined(field[1])
        result = None if rows is None or columns is None else (rows, columns)
    return result


def _convolved(field: Field, weight: Tensor, *settings: Any) -> Field | None:
    stride, padding, dilation, transposed = settings[1:5]
    return None if transposed else _slid(field, weight.shape[2:], stride, padding, dilation)


def _padded(field: Field, pad: list[int], *_: Any) -> Field:
    left, top = pad[0], pad[2] if len(pad) > 2 else 0
    return field[0].through(1, 1, top, 1), field[1].through(1, 1, left, 1)


def _sliced(
    field: Field, dim: int = 0, start: int | None = None, _: Any = None, step: int = 1
) -> Field | None:
    if start is not None and start < 0:
        return None
    spans = list(field)
    axis = dim - 2 if dim >= 0 else dim + 2
    if axis >= 0:
        spans[axis] = spans[axis].through(1, step, -(start or 0), 1)
    return spans[0], spans[1]


def _slid(field: Field, *settings: Any) -> Field:
    """Both axes after a window; settings are numbers or pairs: kernel, stride, padding, dilation."""
    pairs = [[value] * 2 if isinstance(value, int) else list(value) * (2 // len(value)) for value in settings]
    rows, columns = zip(*pairs, strict=True)
    return field[0].through(*rows), field[1].through(*columns)


_WINDOWS: dict[Any, Any] = {
    _aten.convolution: _convolved,
    _aten.max_pool2d_with_indices: lambda field, kernel, stride=(), padding=0, dilation=1, *_: _slid(
        field, kernel, stride or kernel, padding, dilation
    ),
    _aten.avg_pool2d: lambda field, kernel, stride=(), padding=0, *_: _slid(
        field, kernel, stride or kernel, padding, 1
    ),
    _aten.constant_pad_nd: _padded,
    _aten.slice: _sliced,
}
