"""A list of layers, computed slowly by torch with channels last: what any library should get out of it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reswork.shipping.layer_list import INPUT_NAME, Layer


def computed(layers: list[Layer], images: np.ndarray) -> np.ndarray:
    """Output for (N, H, W, C) float32, channels last."""
    values = {INPUT_NAME: torch.from_numpy(images)}
    for layer in layers:
        values[layer.name] = _one(layer, *(values[name] for name in layer.inputs))
    return values[layers[-1].name].numpy()


def _first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _one(layer: Layer, x: Tensor, *others: Tensor) -> Tensor:
    settings, held = layer.settings, {name: torch.from_numpy(value) for name, value in layer.weights.items()}
    if layer.kind == "conv":
        height, width = settings["padding"]
        x = F.pad(x, (0, 0, width, width, height, height))
        kernel = held["kernel"].permute(3, 2, 0, 1)
        return _last(
            F.conv2d(
                _first(x),
                kernel,
                held.get("bias"),
                settings["strides"],
                0,
                settings["dilation"],
                settings["groups"],
            )
        )
    if layer.kind == "linear":
        return x @ held["kernel"] + held.get("bias", torch.zeros(1))
    if layer.kind == "batch_norm":
        normed = (x - held["mean"]) / (held["variance"] + settings["epsilon"]).sqrt()
        return normed * held.get("gamma", torch.ones(1)) + held.get("beta", torch.zeros(1))
    if layer.kind == "group_norm":
        shape = x.shape
        parts = x.reshape(shape[0], -1, settings["groups"], shape[-1] // settings["groups"])
        variance, mean = torch.var_mean(parts, dim=(1, 3), keepdim=True, correction=0)
        return ((parts - mean) / (variance + settings["epsilon"]).sqrt()).reshape(shape) * held[
            "gamma"
        ] + held["beta"]
    if layer.kind == "activation":
        return getattr(F, settings["function"])(x)
    if layer.kind == "rescale":
        return x * settings["scale"] + settings["offset"]
    if layer.kind in ("add", "multiply"):
        return x + others[0] if layer.kind == "add" else x * others[0]
    if layer.kind == "join":
        return torch.cat((x, *others), -1)
    if layer.kind == "max_pool":
        height, width = settings["padding"]
        x = F.pad(x, (0, 0, width, width, height, height))
        return _last(F.max_pool2d(_first(x), settings["size"], settings["strides"]))
    if layer.kind == "mean":
        return x.mean((1, 2), keepdim=settings["keep"])
    if layer.kind == "flatten":
        return (_first(x) if settings["permute"] else x).flatten(1)
    if layer.kind == "every":
        return x[:, :: settings["strides"][0], :: settings["strides"][1]]
    if layer.kind == "pad":
        return F.pad(x, (*settings["channels"], *settings["width"], *settings["height"]))
    assert layer.kind == "enlarge"
    height, width = settings["size"]
    times = settings["times"]
    return x.repeat_interleave(times[0], 1).repeat_interleave(times[1], 2)[:, :height, :width]
