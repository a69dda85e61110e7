"""What one layer costs: a walk along the layers that counts instead of computing.

Memory is counted as PyTorch uses it: a convolution keeps its input for the backward pass, a norm its input,
a ReLU its output; a tensor that several layers keep is counted once, at the first of them. Dropout's mask counts
as on the processor, four bytes a number; work space inside a layer is left out.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from reswork.models.config import ResNetConfig
from reswork.models.plan import BlockPlan, Conv, norm_groups, squeezed

FLOAT_BYTES = 4  # float32
INDEX_BYTES = 8  # max pooling keeps int64 positions


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer in numbers, for one float32 image; names are those of ``named_modules()``.

    Attributes:
        kind: ``"conv"``, ``"norm"``, ``"relu"``, ``"pool"``, ``"linear"``, ``"dropout"``, ``"scale"``,
            ``"bias"``, ``"squeeze_excitation"``, ``"stochastic_depth"``, ``"upsample"``, ``"shuffle"``, ``"embedding"``
            or ``"padding"`` (of shortcut A).
        output_shape: ``(C, H, W)``, with as many axes as the network has, or ``(num_classes,)``.
        activation_bytes: what it keeps for the backward pass and no earlier layer has kept.
        inference_bytes: what lives while it runs without a backward pass.
        receptive_field: pixels of the image, in height and width, that one of its outputs sees; behind an
            upsampling, where neighbours see different numbers of pixels, the most.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int
    inference_bytes: int
    receptive_field: int


class Reach(NamedTuple):
    """How far the positions of an upsampled signal see, in pixels of the image; repeats along the positions.

    Attributes:
        before: ``(period,)``, from the position's own place to the first pixel that it sees.
        behind: ``(period,)``, to the last one.
    """

    before: np.ndarray
    behind: np.ndarray

    @property
    def most(self) -> int:
        """Pixels that the position sees that sees most."""
        return int((self.before + self.behind).max()) + 1

    def upsampled(self, jump: int) -> Self:
        """Each position twice; the second lies ``jump`` pixels further than what it repeats."""
        shift = np.tile([0, jump], len(self.before))
        return type(self)(np.repeat(self.before, 2) + shift, np.repeat(self.behind, 2) - shift)

    def widened(self, kernel: int, jump: int) -> Self:
        """Through a convolution: the union over the positions under the kernel."""
        steps = range(-(kernel // 2), kernel // 2 + 1)
        before = [np.roll(self.before, -step) - step * jump for step in steps]
        behind = [np.roll(self.behind, -step) + step * jump for step in steps]
        return type(self)(np.max(before, axis=0), np.max(behind, axis=0))

    def joined(self, other: Self) -> Self:
        """The union of both."""
        return type(self)(np.maximum(self.before, other.before), np.maximum(self.behind, other.behind))


class Signal:
    """A tensor between two layers, as sizes: channels, and height and width (or other axes) of one image.

    Attributes:
        receptive_field: pixels of the image that one position sees.
        jump: pixels of the image between two neighbouring positions.
        reach: the same position by position, behind an upsampling; else None, as all positions are alike.
        kept: whether the backward pass needs it.
        storage: the signal whose memory it uses.
    """

    __slots__ = (
        "bytes",
        "channels",
        "jump",
        "kept",
        "reach",
        "receptive_field",
        "size",
        "storage",
    )

    def __init__(
        self,
        channels: int,
        size: tuple[int, ...],
        receptive_field: int = 1,
        jump: int = 1,
        reach: Reach | None = None,
    ) -> None:
        self.channels, self.size = channels, size
        self.receptive_field, self.jump, self.reach = receptive_field, jump, reach
        if reach is not None:
            self.receptive_field = reach.most
        self.bytes = FLOAT_BYTES * channels * math.prod(size)
        self.kept = False
        self.storage = self

    @property
    def shape(self) -> tuple[int, ...]:
        """``(C, H, W)``, or with other axes."""
        return self.channels, *self.size

    def like(self) -> "Signal":
        """A new tensor of the same sizes."""
        return Signal(self.channels, self.size, self.receptive_field, self.jump, self.reach)

    def reaches(self) -> Reach:
        """``reach``, also where all positions are alike: then to both sides equally far."""
        side = np.array([self.receptive_field // 2])
        return self.reach or Reach(side, side)


class Walk:
    """Goes from layer to layer and writes down what each costs.

    Attributes:
        layers: what has been written down.
        held: signals that somebody still needs while the next layers run.
        features: signals that a decoder needs when all stages have run.
        peak_bytes: most that lived at once.
    """

    def __init__(self, config: ResNetConfig, image: Signal) -> None:
        self.config = config
        self.image = image
        self.layers: list[LayerSpec] = []
        self.held: tuple[Signal, ...] = ()
        self.features: tuple[Signal, ...] = ()
        self.peak_bytes = 0
        self._fixup = config.residual_scaling == "fixup"

    def conv(
        self, name: str, conv: Conv, x: Signal, *, in_block: bool = True, always_bias: bool = False
    ) -> Signal:
        """A convolution: keeps its input; Fixup's adds a number first, which makes another tensor."""
        shifted = self._fixup and in_block
        kept = x.like() if shifted else x
        out = Signal(
            conv.channels,
            tuple(conv.size(length) for length in x.size),
            x.receptive_field + (conv.kernel - 1) * x.jump,
            x.jump * conv.stride,
            x.reach and x.reach.widened(conv.kernel, x.jump),
        )
        weights = conv.kernel ** len(x.size) * conv.in_channels // conv.groups * conv.channels
        has_bias = always_bias or (self.config.norm == "none" and not self._fixup)
        parameters = weights + conv.channels * has_bias + shifted
        extra = kept.bytes if shifted else 0
        return self._write(
            name, "conv", x, out, parameters, weights * math.prod(out.size), _keep(kept), extra
        )

    def embedding(self, name: str, tokens: Signal) -> Signal:
        """A row of a table for each token: keeps the tokens."""
        channels, words = self.config.in_channels, self.config.vocabulary or 0
        out = Signal(channels, tokens.size)
        return self._write(name, "embedding", tokens, out, parameters=channels * words, keeps=_keep(tokens))

    def dense(self, name: str, conv: Conv, x: Signal) -> Signal:
        """A linear layer within a block or in front of them: keeps its input."""
        macs = conv.in_channels * conv.channels
        out = Signal(conv.channels, (), x.receptive_field, x.jump)
        return self._write(name, "linear", x, out, macs + conv.channels, macs, _keep(x))

    def layer(self, name: str, kind: str, x: Signal) -> Signal:
        """A layer that keeps the shape."""
        out = x.like()
        if kind == "relu":
            return self._write(name, "relu", x, out, keeps=_keep(out))
        if kind == "bn":
            return self._norm(name, x, out)
        if kind == "scale":
            return self._write(name, "scale", x, out, parameters=1, keeps=_keep(x))
        if kind == "se":
            return self._squeeze_excitation(name, x, out)
        # Dropout and stochastic depth hand on the very tensor when nothing is trained.
        out.storage = x.storage
        return self._write(name, kind, x, out, keeps=x.bytes if kind == "dropout" else 0)

    def _norm(self, name: str, x: Signal, out: Signal) -> Signal:
        if self.config.norm == "none":
            return self._write(name, "bias", x, out, parameters=1) if self._fixup else x
        means = (
            2 * FLOAT_BYTES * norm_groups(x.channels) if self.config.norm == "group" else 0
        )  # one pair a group
        return self._write(
            name, "norm", x, out, parameters=2 * x.channels, keeps=_keep(x) + means, extra=means
        )

    def _squeeze_excitation(self, name: str, x: Signal, out: Signal) -> Signal:
        inner = squeezed(x.channels)
        means = FLOAT_BYTES * x.channels
        return self._write(
            name,
            "squeeze_excitation",
            x,
            out,
            parameters=2 * x.channels * inner + inner + x.channels,
            macs=2 * x.channels * inner,
            keeps=_keep(x) + means + FLOAT_BYTES * inner + means,  # input, means, hidden, weights
            extra=means,
        )

    def padding(self, name: str, plan: BlockPlan, x: Signal) -> Signal:
        """Shortcut A: a view of every second pixel, copied into a larger tensor."""
        stride = plan.stride
        size = tuple(-(-length // stride) for length in x.size)
        out = Signal(plan.channels, size, x.receptive_field, x.jump * stride)
        return self._write(name, "padding", x, out)

    def add(self, branch: Signal, shortcut: Signal) -> Signal:
        """The addition: no layer, but a new tensor that sees what either has seen."""
        out = branch.like()
        out.receptive_field = max(branch.receptive_field, shortcut.receptive_field)
        if branch.reach or shortcut.reach:
            out.reach = branch.reaches().joined(shortcut.reaches())
            out.receptive_field = out.reach.most
        self._live(branch, shortcut, out)
        return out

    def upsample(self, name: str, x: Signal, size: tuple[int, ...]) -> Signal:
        """To twice the size, or one less: keeps nothing."""
        jump = x.jump // 2
        out = Signal(x.channels, size, jump=jump, reach=x.reaches().upsampled(jump))
        return self._write(name, "upsample", x, out)

    def enlarge(self, name: str, x: Signal, scale: int) -> Signal:
        """By bicubic interpolation of four by four pixels: keeps nothing; positions are counted as the new pixels."""
        return self._write(
            name, "upsample", x, Signal(x.channels, tuple(scale * length for length in x.size))
        )

    def shuffle(self, name: str, x: Signal, scale: int) -> Signal:
        """Channels into pixels: another order of the same numbers."""
        size = tuple(scale * length for length in x.size)
        out = Signal(x.channels // scale ** len(size), size, x.receptive_field, x.jump)
        return self._write(name, "shuffle", x, out)

    def concatenate(self, skip: Signal, x: Signal) -> Signal:
        """One behind the other along the channels: no layer, but a new tensor."""
        reach = skip.reaches().joined(x.reaches())
        out = Signal(skip.channels + x.channels, x.size, jump=x.jump, reach=reach)
        self._live(skip, x, out)
        return out

    def max_pool(self, name: str, x: Signal) -> Signal:
        """3x3 with stride 2: keeps its input and where the largest was."""
        size = tuple(-(-length // 2) for length in x.size)
        out = Signal(x.channels, size, x.receptive_field + 2 * x.jump, 2 * x.jump)
        positions = out.bytes // FLOAT_BYTES * INDEX_BYTES
        return self._write(name, "pool", x, out, keeps=_keep(x) + positions, extra=positions)

    def average_pool(self, name: str, x: Signal) -> Signal:
        """The mean over all positions."""
        seen = x.receptive_field + (max(x.size) - 1) * x.jump
        return self._write(name, "pool", x, Signal(x.channels, (1,) * len(x.size), seen, x.jump))

    def linear(self, name: str, x: Signal, classes: int) -> Signal:
        """The classifier, or the layer before an embedding."""
        kept = x.like() if self._fixup else x
        out = Signal(classes, (1,) * len(x.size), x.receptive_field, x.jump)
        macs = x.channels * classes
        parameters = macs + classes + self._fixup
        extra = kept.bytes if self._fixup else 0
        return self._write(name, "linear", x, out, parameters, macs, _keep(kept), extra, shape=(classes,))

    def identities(self, name: str, x: Signal, count: int) -> None:
        """The embedding at length 1 and its cosines: keeps what goes in, the embedding and the weights at length 1."""
        weights = x.channels * count
        out = Signal(x.channels + count, x.size, x.receptive_field, x.jump)
        more = x.bytes + FLOAT_BYTES * weights
        self._write(name, "linear", x, out, weights, weights, _keep(x) + more, more, shape=(out.channels,))

    def _write(
        self,
        name: str,
        kind: str,
        x: Signal,
        out: Signal,
        parameters: int = 0,
        macs: int = 0,
        keeps: int = 0,
        extra: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Signal:
        live = self._live(x, out, extra=extra)
        spec = LayerSpec(name, kind, shape or out.shape, parameters, macs, keeps, live, out.receptive_field)
        self.layers.append(spec)
        return out

    def _live(self, *signals: Signal, extra: int = 0) -> int:
        storages = {signal.storage for signal in (self.image, *self.features, *self.held, *signals)}
        live = sum(storage.bytes for storage in storages) + extra
        self.peak_bytes = max(self.peak_bytes, live)
        return live


def _keep(signal: Signal) -> int:
    """Bytes that keeping this signal adds: none where it is kept already."""
    if signal.kept:
        return 0
    signal.kept = True
    return signal.bytes
