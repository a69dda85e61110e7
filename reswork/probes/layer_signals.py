"""A layer's output and the score's gradient there, of one forward and a backward that stops at the layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import find_layers
from reswork.probes.scalar_model import ScalarModel, first_answer, without_slope


@dataclass(eq=False)
class Signals:
    """What one forward left behind.

    Args:
        outputs: layer name to its output, (N, C, h, w), in order of computation.
        calls: how often each layer was called; of several calls the last one counts.
        logits: (N, K).
        parts: of a net that gets one picture at a time, one for each.
    """

    outputs: dict[str, Tensor] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    parts: tuple["Signals", ...] = ()

    def gradient(self, layers: Sequence[str], weights: Tensor) -> list[Tensor]:
        """The score's gradient at each layer's output; the graph stays for another target."""
        if self.parts:
            each = [
                part.gradient(layers, own) for part, own in zip(self.parts, weights.split(1), strict=True)
            ]
            return [torch.cat(found) for found in zip(*each, strict=True)]
        score = (self.logits * weights).sum()
        if not score.requires_grad:
            raise without_slope()
        outputs = [self.outputs[layer] for layer in layers]
        found = torch.autograd.grad(score, outputs, retain_graph=True, allow_unused=True)
        for layer, gradient in zip(layers, found, strict=True):
            if gradient is None:
                raise InvalidSetting(
                    "layer", f"layer={layer!r}: the score does not depend on it; choose another"
                )
        return [gradient for gradient in found if gradient is not None]


def signals(scalar_model: ScalarModel, images: Tensor, layers: Sequence[str] | None) -> Signals:
    """One forward that keeps what the layers gave.

    Args:
        scalar_model: the net.
        images: (N, C, H, W).
        layers: names; None: at each size of the signal the last module, from the input on.

    Raises:
        InvalidSetting: for a layer that there is not, that gives no map, or that was not called.
    """
    if scalar_model.alone and len(images) > 1:
        parts = tuple(signals(scalar_model, image, layers) for image in images.split(1))
        names = list(parts[0].outputs)
        outputs = {name: torch.cat([part.outputs[name] for part in parts]) for name in names}
        return Signals(outputs, parts[0].calls, torch.cat([part.logits for part in parts]), parts)
    kept = Signals()
    versions: dict[str, int] = {}
    by_size: dict[tuple[int, ...], str] = {}
    modules = (
        dict(scalar_model.net.named_modules()) if layers is None else find_layers(scalar_model.net, layers)
    )
    modules.pop("", None)

    def keep(name: str, output: object) -> Tensor | None:
        if not isinstance(output, Tensor) or output.dim() != 4:
            return None
        size = tuple(output.shape[2:])
        if layers is None:
            if size == (1, 1):
                return None
            kept.outputs.pop(by_size.get(size, ""), None)
            by_size[size] = name
        kept.outputs.pop(name, None)
        kept.outputs[name] = output
        kept.calls[name] = kept.calls.get(name, 0) + 1
        versions[name] = output._version
        return output.clone() if layers is not None else None  # what comes next may work in place

    def called(module: nn.Module, inputs: tuple[object, ...], output: object, name: str) -> Tensor | None:
        if layers is None and next(module.parameters(), None) is None:
            shape = getattr(inputs[0], "shape", None) if inputs else None
            if shape == images.shape:
                return None  # it hands the image itself on, as around all layers of a network that gives pictures
        return keep(name, output)

    hooks = [module.register_forward_hook(partial(called, name=name)) for name, module in modules.items()]
    try:
        with torch.enable_grad():
            kept.logits = first_answer(scalar_model, images.detach().clone().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    _check(kept, layers)
    if layers is None and any(output._version != versions[name] for name, output in kept.outputs.items()):
        return signals(
            scalar_model, images, tuple(kept.outputs)
        )  # what came next worked in place: copies, then
    return kept


def _check(kept: Signals, layers: Sequence[str] | None) -> None:
    if layers is None and not kept.outputs:
        raise InvalidSetting(
            "layer", "no layer of this net gives maps (N, C, h, w): choose a method without layer"
        )
    for layer in layers or ():
        if layer not in kept.outputs:
            raise InvalidSetting(
                "layer",
                f"layer={layer!r} gives no map (N, C, h, w) or was not called; choose a convolution or block",
            )


Weighing = Callable[[Tensor, Tensor], Tensor]


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channels weighted by their mean gradient, negative cells cut, (N, 1, h, w).

    Reference:
        Selvaraju 2016, arXiv:1610.02391, equations 1 and 2.
    """
    weights = gradients.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
    return (weights * activations).sum(dim=1, keepdim=True).relu()


def layer_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Each cell weighted by its own positive gradient, negative cells cut, (N, 1, h, w).

    Reference:
        Jiang 2021, doi:10.1109/TIP.2021.3089943, equation 8.
    """
    return (gradients.relu() * activations).sum(dim=1, keepdim=True).relu()
