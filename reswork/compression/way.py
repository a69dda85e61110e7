"""`Way`: one way to make a network smaller, as a frozen record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.layout import CONVS
from reswork.shipping.export import Precision


@dataclass(frozen=True)
class Way:
    """What is taken from a network, in this order; then it is tuned, and written in some precision.

    Args:
        blocks: how many are taken out, those that are missed least.
        channels: share of the channels inside of blocks that go, 0 to below 1.
        trunk: share of the channels that shortcuts carry.
        weights: share of single weights that become zero.
        depth: of a new, shallower network that learns from the answers of the given one, instead of all of these.
        precision: of the file: ``"fp32"``, ``"fp16"``, ``"bf16"`` (in torch only), ``"int8"``.

    Example:
        >>> Way(blocks=2, channels=0.5, precision="int8").name
        '2 blocks less, channels 50 % less, int8'
    """

    blocks: int = 0
    channels: float = 0.0
    trunk: float = 0.0
    weights: float = 0.0
    depth: int | None = None
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        for field in ("channels", "trunk", "weights"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise InvalidSetting(
                    field, f"{field}={value!r} is no share; choose a number from 0 to below 1"
                )
        if isinstance(self.blocks, bool) or not isinstance(self.blocks, int) or self.blocks < 0:
            raise InvalidSetting(
                "blocks", f"blocks={self.blocks!r} is no number of blocks; choose 0, 1, 2, ..."
            )
        if self.precision not in get_args(Precision):
            words = ", ".join(map(repr, get_args(Precision)))
            raise InvalidSetting(
                "precision", f"precision={self.precision!r} is not known; choose one of {words}"
            )
        if self.depth is not None and (self.blocks or self.channels or self.trunk or self.weights):
            raise InvalidSetting(
                "depth", "depth= is a new network, from which nothing is taken; give it alone"
            )

    @property
    def shape(self) -> "Way":
        """The same in single precision."""
        return replace(self, precision="fp32")

    @property
    def changes(self) -> bool:
        """Whether the network is another, and not only its precision."""
        return self.shape != Way()

    @property
    def name(self) -> str:
        """In a few words."""
        parts = []
        if self.depth is not None:
            parts.append(f"depth {self.depth}, taught")
        if self.blocks:
            parts.append(f"{self.blocks} block{'s' * (self.blocks > 1)} less")
        parts += [f"{what} {100 * share:.0f} % less" for what, share in (("channels", self.channels),
                  ("trunk", self.trunk), ("weights", self.weights)) if share]  # fmt: skip
        if self.precision != "fp32" or not parts:
            parts.append(self.precision)
        return ", ".join(parts)


def usual_ways(config: ResNetConfig | None, blocks: int) -> tuple[Way, ...]:
    """Ways that are worth a try, from mild to strong, each in single precision and in 8 bits.

    Args:
        config: of a network that was built here; None: another one.
        blocks: that could be taken out.

    Example:
        >>> [way.name for way in usual_ways(None, 0)]
        ['int8', 'channels 50 % less', 'channels 50 % less, int8', 'channels 75 % less', 'channels 75 % less, int8']
    """
    shapes = [Way()]
    third = blocks // 3
    if config is not None and third:
        shapes.append(Way(blocks=third))
    shapes += [Way(channels=0.5), Way(channels=0.75)]
    if config is not None and third:
        shapes.append(Way(blocks=third, channels=0.5))
    if config is not None and config.head == "classifier" and config.dims:
        shapes.append(Way(channels=0.5, trunk=0.5))
        full = config.resolved()
        assert full.stage_blocks is not None
        if max(full.stage_blocks) > 1:
            shallow = CONVS[full.block or "basic"] * len(full.stage_blocks) + 2
            shapes.append(Way(depth=shallow))
    return tuple(way for shape in shapes for way in (shape, replace(shape, precision="int8")) if way != Way())


def checked_ways(ways: Sequence[Way]) -> tuple[Way, ...]:
    """The given ones without repetition.

    Raises:
        InvalidSetting: none, or something else.
    """
    if isinstance(ways, Way) or not ways or not all(isinstance(each, Way) for each in ways):
        raise InvalidSetting(
            "ways", "ways must be one or more of reswork.compression.Way, such as (Way(channels=0.5),)"
        )
    return tuple(dict.fromkeys(each for each in ways if each != Way()))
