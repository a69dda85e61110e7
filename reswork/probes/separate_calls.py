"""One module for each call of an activation, for methods that change what an activation passes back.

Such methods put hooks on modules. They are wrong where a module is called twice (the hooks of one call see the
tensors of another), works in place (input and output are the same memory), or where the net calls a function
and there is no module at all. Here every call, whatever form it has, is led to a module of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from reswork.errors import InvalidSetting

Arguments = tuple[Any, ...]


class Elementwise(nn.Module):
    """A function of each number by itself, whatever it is: the rescale rule needs no more than its two values.

    Args:
        function: of a tensor, not in place.
        args: what else it is given.
        kwargs: by name.
    """

    def __init__(self, function: Callable[..., Tensor], args: Arguments, kwargs: dict[str, Any]) -> None:
        super().__init__()
        self._call = (function, args, kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """Like x."""
        function, args, kwargs = self._call
        return function(x, *args, **kwargs)


@dataclass(frozen=True)
class _Kind:
    """How the call of a function becomes a module."""

    make: Callable[[Arguments, dict[str, Any]], nn.Module]
    fits: Callable[[Arguments, dict[str, Any]], bool] = lambda args, kwargs: True
    may_be_in_place: bool = True


def _variants(name: str) -> Iterator[tuple[Callable[..., Any], Callable[..., Tensor]]]:
    """Each function of that name, and the one that does the same and leaves its input alone."""
    for owner in (F, torch, Tensor):
        plain = getattr(owner, name, None)
        if plain is None:
            continue
        for function in (plain, getattr(owner, f"{name}_", None)):
            if function is not None:
                yield function, plain


def _elementwise(plain: Callable[..., Tensor]) -> _Kind:
    def make(args: Arguments, kwargs: dict[str, Any]) -> nn.Module:
        settings = tuple(False if value is True else value for value in args[1:])  # F.selu(x, inplace)
        named = {name: value for name, value in kwargs.items() if name not in ("inplace", "input")}
        return Elementwise(plain, settings, named)

    def fits(args: Arguments, kwargs: dict[str, Any]) -> bool:
        others = [*args[1:], *kwargs.values()]
        return args[:1] != () and not any(isinstance(each, Tensor) and each.requires_grad for each in others)

    return _Kind(make, fits)


def _cuts_below_zero(args: Arguments, kwargs: dict[str, Any]) -> bool:
    """Whether a clamp is a ReLU."""
    low, high = _given(args, kwargs, 1, "min", None), _given(args, kwargs, 2, "max", None)
    return isinstance(low, int | float) and low == 0 and high is None


_SMOOTH = {
    "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish", "mish": "Mish", "relu6": "ReLU6", "selu": "SELU",
    "celu": "CELU", "elu": "ELU", "hardtanh": "Hardtanh", "hardsigmoid": "Hardsigmoid", "logsigmoid": "LogSigmoid",
    "leaky_relu": "LeakyReLU", "prelu": "PReLU", "rrelu": "RReLU", "softplus": "Softplus", "softsign": "Softsign",
    "tanhshrink": "Tanhshrink", "softshrink": "Softshrink", "hardshrink": "Hardshrink", "threshold": "Threshold",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "clamp": "clamp", "clip": "clamp", "clamp_min": "clamp", "clamp_max": "clamp",
}  # fmt: skip
_FUNCTIONS = (
    *_SMOOTH, "abs", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "pow", "sin", "cos", "erf", "atan",
    "reciprocal",
)  # fmt: skip
_MIXED = {  # of several numbers at once: no rule is known
    "group_norm": "GroupNorm", "layer_norm": "LayerNorm", "instance_norm": "InstanceNorm", "rms_norm": "RMSNorm",
    "local_response_norm": "LocalResponseNorm", "normalize": "normalize", "softmax": "softmax",
    "log_softmax": "log_softmax", "glu": "GLU", "scaled_dot_product_attention": "attention",
    "multi_head_attention_forward": "attention", "max_pool1d": "MaxPool1d", "max_pool3d": "MaxPool3d",
    "adaptive_max_pool2d": "AdaptiveMaxPool2d", "lp_pool2d": "LPPool2d", "amax": "maxima", "max": "maxima",
    "maximum": "maxima", "amin": "minima", "min": "minima", "minimum": "minima", "std": "std", "var": "var",
    "norm": "norm",
}  # fmt: skip
_RELUS = {function: _Kind(lambda a, k: nn.ReLU()) for function, _ in _variants("relu")} | {
    function: _Kind(lambda a, k: nn.ReLU(), _cuts_below_zero)
    for name in ("clamp", "clip", "clamp_min")
    for function, _ in _variants(name)
}
_ELEMENTWISE = {
    function: _elementwise(plain) for name in _FUNCTIONS for function, plain in _variants(name)
} | {function: kind for function, kind in _RELUS.items() if "relu" in function.__name__}
_POOLS = {function: _Kind(lambda a, k: _max_pool(a, k), may_be_in_place=False)
          for function in (F.max_pool2d, torch.max_pool2d)}  # fmt: skip
_ACTIVATIONS = {function: word for name, word in _SMOOTH.items() for function, _ in _variants(name)}
_WITHOUT_RULE = {function: word for name, word in _MIXED.items() for function, _ in _variants(name)}
_PRODUCTS = {function for name in ("mul", "multiply", "__mul__", "__rmul__", "__imul__", "div", "__truediv__",
             "matmul", "__matmul__", "bmm", "einsum") for function, _ in _variants(name)}  # fmt: skip
_HIDDEN = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax, nn.MaxPool1d, nn.MaxPool2d,
    nn.MaxPool3d,
)  # fmt: skip


class SeparateCalls(nn.Module):
    """A net in which each call of an activation is a module of its own, never in place; the same answers.

    Args:
        net: a private copy; its activation modules are put out of the hooks' sight.
        example: (1, C, H, W) for the one forward in which the calls are counted.
        pools: also take max pools apart, into maxima of pairs, and every function of single numbers.

    Raises:
        InvalidSetting: later, when the net does not make the same calls again.
    """

    def __init__(self, model: nn.Module, example: Tensor, *, pools: bool) -> None:
        super().__init__()
        self.net = model
        self.calls = nn.ModuleList()
        self.untreated: set[str] = set()
        self._kinds = _ELEMENTWISE | _POOLS if pools else _RELUS
        self._named = _WITHOUT_RULE if pools else _ACTIVATIONS
        _hide(model)
        with torch.enable_grad(), self._router(counting=True):
            model(example.detach().clone().requires_grad_() * 1)  # no leaf: nets may work in place on it
        self.calls.to(example.device).eval()

    def forward(self, images: Tensor) -> Any:
        """As the net."""
        with self._router(counting=False):
            return self.net(images)

    def _router(self, *, counting: bool) -> "_Router":
        return _Router(self, self._kinds, self._named, counting=counting)


class _Router(TorchFunctionMode):
    """While it is on, the k-th call of a listed function on what depends on the images goes to the k-th module."""

    def __init__(
        self,
        owner: SeparateCalls,
        kinds: Mapping[Callable[..., Any], _Kind],
        named: Mapping[Callable[..., Any], str],
        *,
        counting: bool,
    ) -> None:
        super().__init__()
        self._owner, self._kinds, self._named, self._counting = owner, kinds, named, counting
        self._place = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        x = args[0] if args else kwargs.get("input")
        if not (torch.is_grad_enabled() and isinstance(x, Tensor) and x.requires_grad and x.dim() > 1):
            return func(*args, **kwargs)
        kind = self._kinds.get(func)
        if kind is None or not kind.fits(args or (x,), kwargs):
            self._note(func, args)
            return func(*args, **kwargs)
        calls = self._owner.calls
        if self._counting:
            calls.append(kind.make(args, kwargs))
        elif self._place >= len(calls):
            raise InvalidSetting(
                "model", "the net calls more activations than the first time: choose saliency"
            )
        module = calls[self._place]
        self._place += 1
        if not (kind.may_be_in_place and _is_in_place(func, args, kwargs)):
            return module(x)
        return x.copy_(module(x.clone()))  # whoever has x, too, sees the change

    def _note(self, func: Callable[..., Any], args: Arguments) -> None:
        if func in self._named:
            self._owner.untreated.add(self._named[func])
        signals = sum(isinstance(each, Tensor) and each.requires_grad for each in args)
        if func in _PRODUCTS and signals > 1 and self._named is _WITHOUT_RULE:
            self._owner.untreated.add("products of two signals")


def _is_in_place(func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> bool:
    name = func.__name__
    if name.endswith("_") and not name.endswith("__"):
        return True
    return bool(kwargs.get("inplace")) or any(each is True for each in args[1:])


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
        (top, left), (bottom, right) = self.padding, (self._behind(x, sizes, index) for index in (0, 1))
        x = F.pad(x, (left, right, top, bottom), value=float(x.detach().amin()))  # never above a maximum
        relus = iter(self.relus)
        for index in (0, 1):
            x = self._along(x, index, sizes[index], relus)
        return x

    def _behind(self, x: Tensor, sizes: tuple[int, ...], index: int) -> int:
        """Cells to append so that the last window is whole."""
        reach = (sizes[index] - 1) * self.stride[index] + self.dilation[index] * (self.kernel[index] - 1) + 1
        return max(0, reach - x.shape[2 + index] - self.padding[index])

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


def _hide(model: nn.Module) -> None:
    """Put a stand-in for each activation module that hooks would look for."""
    stand_ins: dict[int, nn.Module] = {}
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if child is not None and isinstance(child, _HIDDEN):
                module._modules[name] = stand_ins.setdefault(id(child), _Through(child))


def _max_pool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> PairwiseMaxPool:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    defaults = (None, None, 0, 1, False)
    return PairwiseMaxPool(
        *(_given(args, kwargs, index, name, default)
          for index, (name, default) in enumerate(zip(names, defaults, strict=True), start=1))
    )  # fmt: skip


def _given(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str, default: Any) -> Any:
    return args[index] if len(args) > index else kwargs.get(name, default)


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    values = tuple(value)
    return (values[0], values[-1])
