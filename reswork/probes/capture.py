"""A watched forward pass: outputs of named layers, by hooks that are sure to go away."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.inputs import Inputs, answer, first_tensor, placed
from reswork.probes.isolation import undisturbed
from reswork.probes.layer_lookup import find_layers

Take = Callable[[Tensor], Any]


class Watch:
    """The watched network: call it with inputs, then ask for what layers gave.

    Attributes:
        model: the network itself, in evaluation mode.
        names: of the watched layers.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        self.model = model
        self.names = names
        self._seen: dict[str, list[Any]] = {}

    def __call__(self, inputs: Inputs) -> Any:
        """The model's answer; forgets what earlier calls have shown.

        Raises:
            InvalidSetting: if the model cannot take the inputs, or a watched layer did not run.
        """
        return self.run(placed(self.model, inputs))

    def run(self, inputs: Inputs) -> Any:
        """As a call, with the very tensors given: on the right device, and the model may change them."""
        self._seen = {}
        output = answer(self.model, inputs)
        for name in self.names:
            if name not in self._seen:
                raise InvalidSetting(
                    "layer", f"layer={name!r} gave no tensor in this forward pass; choose a layer that runs"
                )
        return output

    def __getitem__(self, name: str) -> Any:
        """What was taken from a layer's latest use."""
        return self._seen[name][-1]

    def uses(self, name: str) -> list[Any]:
        """What was taken from each use: a shared ReLU is used several times."""
        return list(self._seen[name])

    def hook(self, name: str, take: Take) -> Callable[..., None]:
        """The hook for one layer."""

        def hook(module: nn.Module, args: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                self._seen.setdefault(name, []).append(take(tensor))

        return hook


def copied(output: Tensor) -> Tensor:
    """A copy, before an operation in place can change it."""
    return output.detach().clone()


def pooled(output: Tensor) -> Tensor:
    """Means over positions: (N, C, h, w) or (N, tokens, C) -> (N, C)."""
    if output.dim() == 4:
        return output.mean(dim=(2, 3))
    return output.mean(dim=1) if output.dim() == 3 else output.flatten(1)


@contextmanager
def watched(model: nn.Module, layers: Sequence[str], *, take: Take = copied) -> Iterator[Watch]:
    """Any network, watched at some layers; nothing about it is changed afterwards, whatever happens inside.

    Within it there are no gradients; ``torch.enable_grad()`` brings them back.

    Args:
        model: any ``nn.Module``: with several inputs, dict or tuple outputs, half precision, frozen,
            compiled (it runs uncompiled meanwhile) or wrapped in ``DataParallel``.
        layers: dotted names. Of a tuple or dict, a layer's first tensor counts.
        take: applied to each output at once; what it returns is kept. By default a copy.

    Raises:
        InvalidSetting: for a name that is not there, with the nearest three.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> with watched(net, ["1"]) as seen:
        ...     output = seen(torch.ones(4, 3))
        >>> torch.equal(seen["1"], output)
        True
    """
    with ExitStack() as stack:
        bare = stack.enter_context(undisturbed(model))
        stack.enter_context(torch.no_grad())
        found = find_layers(bare, layers)
        watch = Watch(bare, tuple(found))
        for name, module in found.items():
            stack.callback(module.register_forward_hook(watch.hook(name, take)).remove)
        yield watch
