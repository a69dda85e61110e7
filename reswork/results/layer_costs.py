"""What each layer of a network costs, as measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerCost:
    """One layer in numbers, for the inputs that were given.

    Attributes:
        name: dotted.
        kind: the module's class, such as ``"Conv2d"``.
        uses: how often it ran in one forward pass.
        output_shape: of its last output, with the batch; () where it is no tensor.
        parameters: its own, without those of layers inside it; shared ones count at their first layer.
        macs: multiply-adds of convolutions and matrix products.
        activation_bytes: what it keeps for the backward pass and no earlier layer has kept.
        output_bytes: of its last output.
        seconds: median time of a forward pass spent in it, without layers inside it.
    """

    name: str
    kind: str
    uses: int
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int
    output_bytes: int
    seconds: float


@dataclass(frozen=True)
class LayerTable:
    """Every layer of a network in the order in which they ran, and the sums.

    Attributes:
        layers: those that hold no other layers, or have parameters of their own.
        samples: how many were in the batch.
        elsewhere_macs: outside all of them, in operations that are no module.
        elsewhere_bytes: kept for the backward pass outside all of them.
        elsewhere_seconds: the rest of the forward pass: additions, reshaping, and calling the modules.
        device: on which it was measured.
    """

    layers: tuple[LayerCost, ...]
    samples: int
    elsewhere_macs: int
    elsewhere_bytes: int
    elsewhere_seconds: float
    device: str

    @property
    def parameters(self) -> int:
        """Of the whole network."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass."""
        return sum(layer.macs for layer in self.layers) + self.elsewhere_macs

    @property
    def activation_bytes(self) -> int:
        """What one forward pass keeps for the backward pass."""
        return sum(layer.activation_bytes for layer in self.layers) + self.elsewhere_bytes

    @property
    def seconds(self) -> float:
        """Of one forward pass."""
        return sum(layer.seconds for layer in self.layers) + self.elsewhere_seconds
