"""What each layer costs in a real forward pass: parameters, multiply-adds, memory, time."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reswork.errors import InvalidSetting
from reswork.probes.inputs import Inputs, answer, first_tensor, length, placed
from reswork.probes.isolation import OwnRandomness, at_rest
from reswork.results.layer_costs import LayerCost, LayerTable

_SKIPPED = ("Identity",)


def layer_table(model: nn.Module, inputs: Inputs, *, repeats: int = 5) -> LayerTable:
    """Parameters, multiply-adds, memory and measured time of every layer of any network.

    Read from it where the time goes: early layers with few parameters are often the slowest, because their
    maps are large; norms and ReLUs cost no multiply-adds and still take time.

    Args:
        model: any network; while it trains, a snapshot.
        inputs: what it takes: a tensor, a tuple or a dict. The numbers are for this batch; give one image to
            compare with ``spec_sheet``.
        repeats: timed forward passes, after one that is not counted; the median is kept.

    Returns:
        One row for each layer, in the order in which they ran. Multiply-adds count convolutions and matrix
        products, half of what PyTorch's counter calls flops. Memory is what the network as it is would keep
        for a backward pass, in evaluation mode: frozen parts keep less.

    Raises:
        InvalidSetting: if the model cannot take the inputs.

    Reference:
        ``torch.utils.flop_counter`` for the operations; saved-tensor hooks of autograd for the memory.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise InvalidSetting("repeats", f"repeats={repeats!r} is not accepted; choose a whole number from 1")
    with at_rest(model) as bare:
        batch = placed(bare, inputs)
        pass_ = _Pass(bare)
        with OwnRandomness() as randomness, pass_.watching(), _Macs(pass_), torch.no_grad():
            answer(bare, placed(bare, batch))
        with OwnRandomness(), pass_.watching(), pass_.keeping(), torch.enable_grad():
            answer(bare, placed(bare, batch))
        with torch.no_grad(), randomness.if_drawn():
            times = [_timed(bare, batch) for _ in range(repeats + 1)][1:]
        return _table(bare, pass_, times, batch)


def _table(model: nn.Module, pass_: "_Pass", times: list[dict[str, float]], batch: Inputs) -> LayerTable:
    own = _own_parameters(model)
    modules = dict(model.named_modules())
    leaves = {
        name
        for name, module in modules.items()
        if next(module.children(), None) is None and type(module).__name__ not in _SKIPPED
    }
    shown = [name for name in pass_.order if name and (name in leaves or own[name])]
    shown += [name for name in own if own[name] and name not in pass_.order]  # did not run, yet is there
    seconds = {name: statistics.median(one.get(name, 0.0) for one in times) for name in pass_.order}
    rows = tuple(
        LayerCost(
            name,
            type(modules[name]).__name__,
            pass_.uses[name],
            pass_.shapes.get(name, ()),
            own[name],
            pass_.macs[name],
            pass_.kept[name],
            pass_.output_bytes.get(name, 0),
            seconds.get(name, 0.0),
        )
        for name in shown
    )
    rest = [name for name in pass_.order if name not in set(shown)]
    return LayerTable(
        rows,
        length(batch),
        sum(pass_.macs[name] for name in rest),
        sum(pass_.kept[name] for name in rest),
        sum(seconds[name] for name in rest),
        str(next((leaf.device for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)), "cpu")),
    )


def _own_parameters(model: nn.Module) -> dict[str, int]:
    """Of each module those that no earlier one has and no module inside it."""
    seen: set[int] = set()
    found = {}
    for name, module in model.named_modules():
        fresh = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in seen}
        seen |= set(fresh)
        found[name] = sum(fresh.values())
    return found


class _Pass:
    """What is counted while the layers run; the innermost running layer gets it."""

    def __init__(self, model: nn.Module) -> None:
        self.running: list[str] = []
        self.order: dict[str, None] = {}  # names as they began to run
        self.uses: dict[str, int] = defaultdict(int)
        self.macs: dict[str, int] = defaultdict(int)
        self.kept: dict[str, int] = defaultdict(int)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.output_bytes: dict[str, int] = {}
        self._model = model
        weights = (*model.parameters(), *model.buffers())
        self._known = {tensor.untyped_storage().data_ptr() for tensor in weights}

    @property
    def layer(self) -> str:
        """The innermost layer that runs."""
        return self.running[-1] if self.running else ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Know which layer runs."""
        self.uses.clear()
        self.running.clear()
        with hooked(self._model, self._begin, self._end):
            yield

    def _begin(self, name: str) -> None:
        self.running.append(name)
        self.order[name] = None
        self.uses[name] += 1

    def _end(self, name: str, output: Any) -> None:
        self.running.pop()
        tensor = first_tensor(output)
        if tensor is not None:
            self.shapes[name] = tuple(tensor.shape)
            self.output_bytes[name] = tensor.numel() * tensor.element_size()

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Count what autograd keeps: each piece of memory once, the weights not at all."""
        held: list[Tensor] = []  # alive until the end, so that no address is used twice

        def keep(tensor: Tensor) -> Tensor:
            address = tensor.untyped_storage().data_ptr()
            if address not in self._known:
                self._known.add(address)
                held.append(tensor.detach())
                self.kept[self.layer] += tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            yield


class _Macs(TorchDispatchMode):
    """Multiply-adds of each operation, by PyTorch's own formulas."""

    def __init__(self, pass_: _Pass) -> None:
        super().__init__()
        self._pass = pass_

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation and count it."""
        from torch.utils.flop_counter import flop_registry  # brings triton along: a tenth of a second

        output = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self._pass.macs[self._pass.layer] += count(*args, **(kwargs or {}), out_val=output) // 2
        return output


def _timed(model: nn.Module, batch: Inputs) -> dict[str, float]:
    """Seconds spent in each module itself, without the modules inside it, in one forward pass."""
    spent: dict[str, float] = defaultdict(float)
    running: list[str] = []
    inputs = placed(model, batch)
    device = next((leaf.device for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)), None)
    last = [0.0]

    def tick() -> float:
        if device is not None and device.type != "cpu":
            torch.accelerator.synchronize(device)  # until it has done what it was told
        now = time.perf_counter()
        passed, last[0] = now - last[0], now
        return passed

    def begin(name: str) -> None:
        passed = tick()
        if running:
            spent[running[-1]] += passed
        running.append(name)

    def end(name: str, output: Any) -> None:
        spent[running.pop()] += tick()

    with hooked(model, begin, end):
        tick()
        answer(model, inputs)
    return spent


@contextmanager
def hooked(model: nn.Module, begin: Callable[[str], None], end: Callable[[str, Any], None]) -> Iterator[None]:
    """Calls at the beginning and the end of every module, the model itself ("") included."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            before = module.register_forward_pre_hook(lambda _module, _args, name=name: begin(name))
            stack.callback(before.remove)
            after = module.register_forward_hook(lambda _module, _args, output, name=name: end(name, output))
            stack.callback(after.remove)
        yield
