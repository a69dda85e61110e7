"""What a drawing needs to know of a network: its blocks, its layers and its shapes."""

from dataclasses import dataclass

from reswork.models.costs import LayerSpec
from reswork.models.sheet import BlockSpec, LevelSpec, Shape


@dataclass(frozen=True, slots=True)
class Outline:
    """A network that was not built here, in the parts that a `SpecSheet` has too.

    Attributes:
        label: what it is called.
        input_shape: ``(C, H, W)`` of one image.
        output_shape: of its answer to one image.
        parameters: learned numbers.
        layers: every layer in the order in which they ran.
        blocks: its residual blocks; empty where none could be read.
        levels: of a decoder; none can be read in a network that was not built here.
    """

    label: str
    input_shape: Shape
    output_shape: Shape
    parameters: int
    layers: tuple[LayerSpec, ...]
    blocks: tuple[BlockSpec, ...]
    levels: tuple[LevelSpec, ...] = ()
