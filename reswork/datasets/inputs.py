"""What a network takes in: images, volumes, signals, rows of a table or tokens, and what each of them is."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from reswork.datasets.mapped import in_parts
from reswork.errors import InvalidSetting

InputKind = Literal["images", "volumes", "signals", "tables", "tokens"]

# dtype and number of axes of each kind, and how a sentence calls its shape
_FORMS: dict[InputKind, tuple[torch.dtype, int, str]] = {
    "images": (torch.uint8, 4, "(N, C, H, W)"),
    "volumes": (torch.float32, 5, "(N, C, D, H, W)"),
    "signals": (torch.float32, 3, "(N, C, L)"),
    "tables": (torch.float32, 2, "(N, F)"),
    "tokens": (torch.int64, 2, "(N, L)"),
}
ONE: dict[InputKind, str] = {
    "images": "image", "volumes": "volume", "signals": "signal", "tables": "row", "tokens": "text",
}  # fmt: skip


def input_kind(inputs: Tensor) -> InputKind:
    """Which kind of inputs these are.

    =========  ========  ================  ==================================================
    kind       dtype     shape             values
    =========  ========  ================  ==================================================
    images     uint8     (N, C, H, W)      0 to 255
    volumes    float32   (N, C, D, H, W)   any finite number: C channels in D slices
    signals    float32   (N, C, L)         any finite number: C channels at L moments
    tables     float32   (N, F)            any finite number: F columns
    tokens     int64     (N, L)            numbers of signs or words from 0, where 0 is none
    =========  ========  ================  ==================================================

    Raises:
        InvalidSetting: another type or shape.
    """
    for kind, (dtype, axes, _) in _FORMS.items():
        if inputs.dtype == dtype and inputs.dim() == axes:
            return kind
    accepted = ", ".join(f"{kind} {dtype} {shape}" for kind, (dtype, _, shape) in _FORMS.items())
    raise InvalidSetting(
        "images", f"inputs of type {inputs.dtype}, shape {tuple(inputs.shape)}: give one of {accepted}"
    )


_FILLED_BY: dict[InputKind, str] = {
    "volumes": "",
    "signals": ", or let rw.datasets.signals do it",
    "tables": ", or let rw.datasets.table do it",
}


def check_inputs(name: str, kind: InputKind, inputs: Tensor) -> None:
    """Refuse numbers that no network can take in.

    Raises:
        InvalidSetting: a number that is missing or infinite, a token below 0.
    """
    if kind in _FILLED_BY and not bool(torch.isfinite(inputs).all()):
        bad = int((~torch.isfinite(inputs)).sum())
        raise InvalidSetting(
            name, f"{bad:,} numbers of the {name} split are missing or infinite: fill them{_FILLED_BY[kind]}"
        )
    if kind == "tokens" and int(inputs.min()) < 0:
        raise InvalidSetting(
            name, f"the {name} split has tokens below 0: give numbers from 0, where 0 is none"
        )


def input_statistics(inputs: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel or column, never 0; of tokens nothing, which have neither."""
    kind = input_kind(inputs)
    if kind == "images":
        return channel_statistics(inputs)
    if kind == "tokens":
        return (), ()
    axes = [axis for axis in range(inputs.dim()) if axis != 1]
    std, mean = torch.std_mean(inputs.double(), axes, correction=0)
    return tuple(mean.tolist()), tuple(each if each > 1e-12 else 1.0 for each in std.tolist())


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 (N, C, H, W), 0 to 1, exact, from histograms."""
    values = torch.arange(256, dtype=torch.float64)
    means, deviations = [], []
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64, device=images.device)
    for part in in_parts(images):
        counts += torch.stack([torch.bincount(each.flatten(), minlength=256) for each in part.unbind(1)])
    for histogram in counts.cpu().double():
        mean = (histogram * values).sum() / histogram.sum()
        std = ((histogram * (values - mean) ** 2).sum() / histogram.sum()).sqrt()
        means.append(float(mean / 255))
        deviations.append(float(std / 255) or 1.0)  # a constant channel stays constant
    return tuple(means), tuple(deviations)


def standardised(numbers: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Volumes, signals or rows ``(x - mean) / std``, float32; tokens as they are."""
    if input_kind(numbers) == "tokens":
        return numbers
    shape = (1, -1, *(1,) * (numbers.dim() - 2))
    middle, width = (torch.tensor(each, device=numbers.device).view(shape) for each in (mean, std))
    return (numbers - middle) / width
