"""Several networks beside each other, in numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reswork.models.config import ResNetConfig
from reswork.models.sheet import SpecSheet, spec_sheet

_MIB = 2**20
_TITLES = ("", "parameters", "MACs, M", "training, MiB", "inference, MiB", "sees, pixels")


@dataclass(frozen=True, repr=False)
class SpecTable:
    """The spec sheets of several networks; printed, or as the last line of a cell, a table.

    Attributes:
        names: what each network is called in the table.
        sheets: of each network, for one image, in the same order.
    """

    names: tuple[str, ...]
    sheets: tuple[SpecSheet, ...]

    def __repr__(self) -> str:
        rows = [_TITLES, *(_row(name, sheet) for name, sheet in zip(self.names, self.sheets, strict=True))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])])
            for name, *numbers in rows
        )


def spec_table(
    networks: Mapping[str, ResNetConfig] | Iterable[ResNetConfig],
    input_shape: tuple[int, ...] = (3, 32, 32),
) -> SpecTable:
    """What several networks cost, a row each; builds no weights.

    Use it to see what one setting costs while the others stay. Memory is that of the activations for one image:
    what training keeps, and the most that lives at once in inference.

    Args:
        networks: settings by the name that the row gets, or without names: then their labels.
        input_shape: ``(C, H, W)`` of one image.

    Raises:
        InvalidSetting: when a network does not fit such images.

    Example:
        >>> spec_table([ResNetConfig(depth=20), ResNetConfig(depth=56)])
                   parameters  MACs, M  training, MiB  inference, MiB  sees, pixels
        ResNet-20     269,722     40.6           1.45            0.26            81
        ResNet-56     853,018    125.5           4.07            0.26           249
    """
    named = networks.items() if isinstance(networks, Mapping) else ((each.label, each) for each in networks)
    pairs = [(name, spec_sheet(config, input_shape)) for name, config in named]
    return SpecTable(tuple(name for name, _ in pairs), tuple(sheet for _, sheet in pairs))


def _row(name: str, sheet: SpecSheet) -> tuple[str, ...]:
    return (
        name,
        f"{sheet.parameters:,}",
        f"{sheet.macs / 1e6:,.1f}",
        f"{sheet.activation_bytes / _MIB:,.2f}",
        f"{sheet.inference_bytes / _MIB:,.2f}",
        f"{sheet.receptive_field:,}",
    )
