"""One module for each call of an activation, for methods that change what an activation passes back.

Such methods put hooks on modules. They are wrong where a module is called twice (the hooks of one call see the
tensors of another), works in place (input and output are the same memory), or where the net calls a function
and there is no module at all. Here every call, whatever form it has, is led to a module of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from reswork.errors import InvalidSetting

Maker = Callable[[tuple[Any, ...], dict[str, Any]], nn.Module]
_RELUS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_UNTREATED = {F.gelu: "GELU", F.silu: "SiLU", F.hardswish: "Hardswish", F.mish: "Mish", F.relu6: "ReLU6"}

_JUST_RELUS: dict[Callable[..., Any], Maker] = {function: lambda a, k: nn.ReLU() for function in _RELUS}
_ALL: dict[Callable[..., Any], Maker] = {
    **_JUST_RELUS,
    **{
        f: lambda a, k: nn.Sigmoid() for f in (torch.sigmoid, Tensor.sigmoid, torch.sigmoid_, Tensor.sigmoid_)
    },
    **{f: lambda a, k: nn.Tanh() for f in (torch.tanh, Tensor.tanh, torch.tanh_, Tensor.tanh_)},
    F.leaky_relu: lambda a, k: nn.LeakyReLU(_given(a, k, 1, "negative_slope", 0.01)),
    F.elu: lambda a, k: nn.ELU(_given(a, k, 1, "alpha", 1.0)),
    F.softplus: lambda a, k: nn.Softplus(_given(a, k, 1, "beta", 1), _given(a, k, 2, "threshold", 20)),
    F.max_pool2d: lambda a, k: _max_pool(a, k),
    torch.max_pool2d: lambda a, k: _max_pool(a, k),
}
_HIDDEN = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool2d)


class SeparateCalls(nn.Module):
    """A net in which each call of an activation is a module of its own, never in place; the same answers.

    Args:
        net: a private copy; its activation modules are put out of the hooks' sight.
        example: (1, C, H, W) for the one forward in which the calls are counted.
        pools: also take max pools apart, into maxima of pairs, and split sigmoids and the like.

    Raises:
        InvalidSetting: later, when the net does not make the same calls again.
    """

    def __init__(self, net: nn.Module, example: Tensor, *, pools: bool) -> None:
        super().__init__()
        self.net = net
        self.calls = nn.ModuleList()
        self.untreated: set[str] = set()
        self._makers = _ALL if pools else _JUST_RELUS
        _hide(net)
        with torch.no_grad(), _Router(self, self._makers, counting=True):
            net(example)
        self.calls.to(example.device).eval()

    def forward(self, images: Tensor) -> Any:
        """As the net."""
        with _Router(self, self._makers, counting=False):
            return self.net(images)

    def notes(self) -> tuple[str, ...]:
        """Sentences about what could not be treated."""
        if not self.untreated:
            return ()
        names = ", ".join(sorted(self.untreated))
        return (f"The method has no rule for {names}: there it takes the plain gradient.",)


class _Router(TorchFunctionMode):
    """While it is on, the k-th call of a listed function goes to the k-th module."""

    def __init__(
        self, owner: SeparateCalls, makers: Mapping[Callable[..., Any], Maker], *, counting: bool
    ) -> None:
        super().__init__()
        self._owner, self._makers, self._counting = owner, makers, counting
        self._place = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        maker = self._makers.get(func)
        if maker is None:
            if func in _UNTREATED:
                self._owner.untreated.add(_UNTREATED[func])
            return func(*args, **kwargs)
        calls = self._owner.calls
        if self._counting:
            calls.append(maker(args, kwargs))
        elif self._place >= len(calls):
            raise InvalidSetting(
                "model", "the net calls more activations than the first time: choose saliency"
            )
        module = calls[self._place]
        self._place += 1
        return module(args[0] if args else kwargs["input"])


class _Through(nn.Module):
    """A module's function without the module: hooks look for modules, and find none."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._inside = (module,)  # in a tuple, so that it is no child

    def forward(self, *inputs: Any, **more: Any) -> Any:
        return self._inside[0](*inputs, **more)


class PairwiseMaxPool(nn.Module):
    """Max pooling as maxima of pairs, max(a, b) = a + relu(b - a): rules for ReLUs then hold for pools too.

    Of overlapping windows, as in the stem of ResNet-50, captum's own rule loses a part of what passes.

    Args:
        kernel: height and width of the window.
        stride: of the window; None: the kernel.
        padding: cells around the input.
        dilation: cells from one of the window's to the next.
        ceil_mode: whether a last window may begin inside and end outside.
    """

    def __init__(
        self, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.kernel, self.padding, self.dilation = _pair(kernel), _pair(padding), _pair(dilation)
        self.stride = self.kernel if stride is None or stride == [] else _pair(stride)
        self.ceil_mode = ceil_mode
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(sum(self.kernel) - 2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, h, w)."""
        settings = (self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)
        sizes = F.max_pool2d(x[:1, :1].detach(), *settings).shape[2:]
        (top, left), (bottom, right) = self.padding, (self._behind(x, sizes, place) for place in (0, 1))
        x = F.pad(x, (left, right, top, bottom), value=float(x.detach().amin()))  # never above a maximum
        relus = iter(self.relus)
        for place in (0, 1):
            x = self._along(x, place, sizes[place], relus)
        return x

    def _behind(self, x: Tensor, sizes: tuple[int, ...], place: int) -> int:
        """Cells to append so that the last window is whole."""
        reach = (sizes[place] - 1) * self.stride[place] + self.dilation[place] * (self.kernel[place] - 1) + 1
        return max(0, reach - x.shape[2 + place] - self.padding[place])

    def _along(self, x: Tensor, place: int, size: int, relus: Any) -> Tensor:
        step, gap = self.stride[place], self.dilation[place]
        index: list[slice] = [slice(None)] * 4
        highest: Tensor | None = None
        for cell in range(self.kernel[place]):
            index[2 + place] = slice(cell * gap, cell * gap + (size - 1) * step + 1, step)
            other = x[tuple(index)]
            highest = other if highest is None else highest + next(relus)(other - highest)
        assert highest is not None
        return highest


def _hide(net: nn.Module) -> None:
    """Put a stand-in for each activation module that hooks would look for."""
    stand_ins: dict[int, nn.Module] = {}
    for module in list(net.modules()):
        for name, child in list(module._modules.items()):
            if child is not None and isinstance(child, _HIDDEN):
                module._modules[name] = stand_ins.setdefault(id(child), _Through(child))


def _max_pool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> PairwiseMaxPool:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    defaults = (None, None, 0, 1, False)
    return PairwiseMaxPool(
        *(_given(args, kwargs, place, name, default)
          for place, (name, default) in enumerate(zip(names, defaults, strict=True), start=1))
    )  # fmt: skip


def _given(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    values = tuple(value)
    return (values[0], values[-1])
