"""Which networks can be looked at: those whose layers, numbers and slopes are there."""

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from reswork.errors import InvalidSetting

_QUANTISED = ("torch.ao.nn.quantized", "torch.nn.quantized", "torch.ao.nn.intrinsic.quantized")


def check_readable(model: Any) -> None:
    """Refuse a network of which a probe would say something wrong, or that torch would refuse without a reason.

    Raises:
        InvalidSetting: for what is no module, and where it or a part of it is TorchScript, is quantised, has weights
            without numbers (on the device "meta"), or lazy ones without a shape; the sentence says what to give.
    """
    if not isinstance(model, nn.Module):
        raise InvalidSetting(
            "model", f"model is a {type(model).__name__}, not a network; give a torch.nn.Module"
        )
    named = list(model.named_modules())
    for name, module in named:
        part = f"its layer {name!r}" if name else f"this {type(model).__name__}"
        if isinstance(module, torch.jit.ScriptModule):
            raise InvalidSetting(
                "model",
                f"{part} is a TorchScript module, whose inside cannot be watched; give the nn.Module that it was "
                "made from",
            )
        if type(module).__module__.startswith(_QUANTISED):
            raise InvalidSetting("model", f"{part} is {_quantised()}")
    tensors = [*model.parameters(), *model.buffers()]
    if any(isinstance(tensor, UninitializedParameter | UninitializedBuffer) for tensor in tensors):
        raise InvalidSetting("model", "the model has lazy parameters without a shape; call it once first")
    if any(tensor.is_quantized for tensor in tensors):
        raise InvalidSetting("model", f"this {type(model).__name__} is {_quantised()}")
    if any(tensor.is_meta for tensor in tensors):
        raise InvalidSetting(
            "model",
            f'this {type(model).__name__} has weights on the device "meta", which are shapes without numbers; fill it '
            "first: model.to_empty(device='cpu'), then model.load_state_dict(...)",
        )


def _quantised() -> str:
    return "quantised: it computes in whole numbers, which have no slopes; give the float network that it was made from"
