"""Where along a signal or within a volume a network looked: Grad-CAM with one axis or three."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.errors import InvalidSetting


def curve_map(
    model: nn.Module, signals: Tensor, target: int | list[int] | None = None, *, layer: str | None = None
) -> np.ndarray:
    """How much each moment of a signal spoke for an answer, (N, L) float32, from 0; the largest of each signal is 1.

    Args:
        model: takes (N, C, L), or tokens (N, L), and gives (N, K); not changed.
        signals: as the model takes them in, such as ``normalise(data.test.inputs[:4], data.mean, data.std)``.
        target: the class or value that is explained, of all or of each; None: the largest answer.
        layer: dotted name; None: the last stage.

    Raises:
        InvalidSetting: no such layer, or one whose output has no axis of moments.

    Reference:
        Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2, with one axis instead of two.
    """
    return _looked_at(model, signals, target, layer, "moments", "linear")


def volume_map(
    model: nn.Module, volumes: Tensor, target: int | list[int] | None = None, *, layer: str | None = None
) -> np.ndarray:
    """How much each point of a volume spoke for an answer, (N, D, H, W) float32, from 0; the largest of each is 1.

    Args:
        model: takes (N, C, D, H, W) and gives (N, K); not changed. Of a network for masks give
            ``rw.tasks.explained_model(model, task, volumes)``.
        volumes: as the model takes them in, see `curve_map`.
        target: the class that is explained, of all or of each; None: the largest answer.
        layer: dotted name; None: the last stage.

    Raises:
        InvalidSetting: no such layer, or one whose output has no points.

    Reference:
        Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2, with three axes instead of two.
    """
    return _looked_at(model, volumes, target, layer, "points", "trilinear")


def _looked_at(
    model: nn.Module, inputs: Tensor, target: int | list[int] | None, layer: str | None, what: str, mode: str
) -> np.ndarray:
    axes = {"linear": 1, "trilinear": 3}[mode]
    copied = copy.deepcopy(model).eval()
    layers = dict(copied.named_modules())
    name = layer or next(
        (each for each in reversed(layers) if each.startswith("layer") and "." not in each), ""
    )
    if name not in layers or not name:
        raise InvalidSetting(
            "layer", f"layer={layer!r} is not there; choose one of named_modules(), such as 'layer3'"
        )
    kept: list[Tensor] = []
    handle = layers[name].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        with torch.enable_grad():
            output = copied(inputs)
            seen = kept[0]
            if seen.dim() != 2 + axes:
                raise InvalidSetting(
                    "layer", f"the output of {name} has the shape {tuple(seen.shape)}: no {what}"
                )
            chosen = (
                output.argmax(1)
                if target is None
                else torch.as_tensor(target, device=output.device).expand(len(output))
            )
            total = output.gather(1, chosen.view(-1, 1)).sum()
            slopes = torch.autograd.grad(total, seen)[0]
    finally:
        handle.remove()
    weights = slopes.mean(
        tuple(range(2, slopes.dim())), keepdim=True
    )  # (N, channels, 1) or (N, channels, 1, 1, 1)
    found = (weights * seen.detach()).sum(1, keepdim=True).relu()
    found = F.interpolate(found, size=inputs.shape[-axes:], mode=mode, align_corners=False)[:, 0]
    found = found / found.amax(tuple(range(1, found.dim())), keepdim=True).clamp(
        min=torch.finfo(torch.float32).tiny
    )
    array: np.ndarray = found.detach().cpu().numpy()
    return array
