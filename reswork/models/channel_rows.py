"""Single channels of a layer: how they are named, and which rows of its weights belong to them."""

import re

from torch import Tensor, nn

from reswork.errors import InvalidSetting

_NAMED = re.compile(r"(?P<layer>[^\[\]]+)\[(?P<channels>[^\[\]]*)\]")


def split_channels(name: str) -> tuple[str, tuple[int, ...]]:
    """A layer's name and the channels that stand behind it in brackets; none for the whole layer.

    Raises:
        InvalidSetting: for brackets that hold anything but numbers from 0.

    Example:
        >>> split_channels("layer1.0.conv1[3, 7]")
        ('layer1.0.conv1', (3, 7))
        >>> split_channels("layer1")
        ('layer1', ())
    """
    if "[" not in name and "]" not in name:
        return name, ()
    found = _NAMED.fullmatch(name.strip())
    numbers = [one.strip() for one in found["channels"].split(",")] if found else []
    if found is None or not all(one.isascii() and one.isdigit() for one in numbers):
        raise InvalidSetting(
            "channels",
            f"{name!r} names no channels; write their numbers from 0, such as 'layer1.0.conv1[3, 7]'",
        )
    return found["layer"].strip(), tuple(map(int, numbers))


def with_channels(layer: str, channels: tuple[int, ...]) -> str:
    """The other way round; the layer's own name where there are none.

    Example:
        >>> with_channels("layer1.0.conv1", (3, 7))
        'layer1.0.conv1[3, 7]'
    """
    return f"{layer}[{', '.join(map(str, channels))}]" if channels else layer


def channel_count(layer: nn.Module) -> int | None:
    """Of its output, where its settings tell."""
    for name in ("num_features", "out_channels", "num_channels", "out_features"):
        if isinstance(value := getattr(layer, name, None), int):
            return value
    return None


def channel_rows(layer: nn.Module, name: str, channels: tuple[int, ...]) -> dict[str, Tensor]:
    """Weights and statistics of a convolution, linear layer or norm, whose rows belong to its channels.

    Args:
        layer: has them.
        name: of it, for the error.
        channels: numbers that shall be there.

    Returns:
        Tensors in use, of which row k is channel k's, by the name that they have in the layer; counts are left out.

    Raises:
        InvalidSetting: for another layer, and for a channel that it has not.
    """
    width = channel_count(layer)
    rows = {key: values for key, values in layer.state_dict(keep_vars=True).items() if values.dim()}
    turned = isinstance(layer, nn.modules.conv._ConvTransposeNd)  # its rows are those of the input
    if turned or width is None or not rows or any(len(values) != width for values in rows.values()):
        raise InvalidSetting(
            "channels",
            f"{name!r} is no layer whose weights belong to its channels; choose a convolution, a linear layer or a "
            "norm, such as 'layer1.0.conv1', or leave the channels out",
        )
    if missing := [one for one in channels if one >= width]:
        raise InvalidSetting(
            "channels", f"channel {missing[0]} of {name!r} is not there; it has 0 to {width - 1}"
        )
    return rows
