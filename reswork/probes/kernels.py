"""The weights of a convolution."""

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.inputs import numbers
from reswork.probes.layer_lookup import find_layers, layer_names, unwrapped
from reswork.probes.readable import check_readable
from reswork.results.kernels import Filters


def filters(model: nn.Module, *, layer: str, size: int = 32) -> Filters:
    """The filters of one convolution and the frequencies that they let through.

    Read from it whether the layer has learned: fresh filters are noise with a flat spectrum; trained ones in
    the first layer look like edges, blobs and colours. A bright middle of the spectrum means smoothing, bright
    rims mean edges; few large singular values mean that many filters do the same.

    Args:
        model: any network; only weights are read, nothing runs.
        layer: dotted name of a ``Conv2d``.
        size: height and width of the spectrum; the filters are padded with zeros to it.

    Raises:
        InvalidSetting: for a layer that is not there, or is no two-dimensional convolution.

    Reference:
        Krizhevsky et al. 2012, figure 3; Oppenheim and Schafer on the frequency response of a filter.

    Example:
        >>> found = filters(nn.Sequential(nn.Conv2d(3, 16, 3)), layer="0")
        >>> found.kernels.shape, found.spectrum.shape, found.singular_values.shape
        ((16, 3, 3, 3), (16, 32, 32), (16,))
    """
    weight = _weight(model, layer)  # (O, I, h, w)
    if isinstance(size, bool) or not isinstance(size, int) or size < max(weight.shape[2:]):
        raise InvalidSetting(
            "size", f"size={size!r} is too small; choose a whole number from {max(weight.shape[2:])}"
        )
    response = torch.fft.fft2(weight, s=(size, size)).abs()  # (O, I, S, S)
    spectrum = torch.fft.fftshift(response.square().mean(dim=1).sqrt(), dim=(1, 2))
    values = torch.linalg.svdvals(weight.flatten(1))
    return Filters(
        layer, numbers(weight), numbers(weight.flatten(1).norm(dim=1)), numbers(spectrum), numbers(values)
    )


def _weight(model: nn.Module, layer: str) -> Tensor:
    check_readable(model)
    module = unwrapped(find_layers(model, [layer])[layer])
    if not isinstance(module, nn.Conv2d):
        found = find_layers(model, layer_names(model))
        near = [name for name, other in found.items() if isinstance(other, nn.Conv2d)]
        near.sort(key=lambda name: not name.startswith(layer))  # those inside it first
        remedy = f"choose one such as {', '.join(map(repr, near[:3]))}" if near else "the model has none"
        raise InvalidSetting("layer", f"layer={layer!r} is {type(module).__name__}, not a Conv2d; {remedy}")
    return module.weight.detach().double().cpu()
