"""From settings to layers: which blocks there are, and which layers each one runs, in order.

The network, its spec sheet and its exported code are all read from this one plan.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple

from reswork.models.config import ResNetConfig
from reswork.models.layout import CONVS, EXPANSION, PICTURE_HEADS, BlockKind, Order, box_stage, decoder_places

ShortcutKind = Literal["identity", "padding", "projection", "none"]

# He 2016, figure 4: unit before each further convolution | last unit of the branch | behind the addition
ORDERS: dict[Order, tuple[str, str, str]] = {
    "post": ("conv bn relu", "conv bn", "relu"),  # (a) original
    "bn_after_addition": ("conv bn relu", "conv", "bn relu"),  # (b)
    "relu_before_addition": ("conv bn relu", "conv bn relu", ""),  # (c)
    "relu_only_pre": ("relu conv bn", "relu conv bn", ""),  # (d)
    "pre": ("bn relu conv", "bn relu conv", ""),  # (e) full pre-activation
}
# What stands before the last layer: the activation that no later block brings (He 2016, section 3).
LAST_ACTIVATION: dict[Order, tuple[str, ...]] = {
    "pre": ("bn_last", "relu_last"),
    "relu_only_pre": ("relu_last",),
}


class Conv(NamedTuple):
    """One convolution; padding keeps the size, stride divides it and rounds up."""

    in_channels: int
    channels: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    def size(self, pixels: int) -> int:
        """Output height or width for this input height or width."""
        return -(-pixels // self.stride)


@dataclass(frozen=True)
class BlockPlan:
    """One block: names of its layers in the order in which they run, and the shapes of its convolutions.

    Attributes:
        shared: layers that branch and projection both read from (pre-activation before a projection).
        branch: layers of F(x), up to the addition; empty where the branch is switched off.
        after: layers behind the addition.
        convs: name -> convolution, ``"downsample"`` for the projection.
        norm_channels: name -> channels, for each norm layer.
        normed_projection: whether a norm follows the projection, as it does at the end of the branch.
        drop_chance: stochastic depth, 0 to 1.
    """

    name: str
    stage: int
    kind: BlockKind
    in_channels: int
    channels: int
    stride: int
    shortcut: ShortcutKind
    shared: tuple[str, ...]
    branch: tuple[str, ...]
    after: tuple[str, ...]
    convs: dict[str, Conv]
    norm_channels: dict[str, int]
    normed_projection: bool
    drop_chance: float

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers but the shortcut's, in the order in which they run."""
        return self.shared + self.branch + self.after


@dataclass(frozen=True)
class StemPlan:
    """The layers before the first stage: its convolutions, then a norm, a ReLU and perhaps max pooling."""

    convs: tuple[Conv, ...]
    pooling: bool


@dataclass(frozen=True)
class LevelPlan:
    """One level of a decoder: upsampling, the encoder's output of that size beside it, a convolution, a block.

    Attributes:
        place: of `decoder_places`.
        skip_channels: channels of what comes from the encoder; 0 where nothing does: at the size of the image, and in
            an autoencoder.
        merge: layers between the concatenation and the block: a convolution with norm and ReLU, in the order of
            the network's own blocks.
        norm_channels: of the norm among them.
    """

    place: str
    skip_channels: int
    merge: tuple[str, ...]
    conv: Conv
    norm_channels: int
    block: BlockPlan

    @property
    def merge_name(self) -> str:
        """Dotted name of the part before the block."""
        return f"decoder.merge{self.place}"


def stem_plan(config: ResNetConfig) -> StemPlan:
    """The stem of a resolved config."""
    assert config.width is not None
    channels, width = config.in_channels, config.width
    if config.stem == "cifar":
        return StemPlan((Conv(channels, width),), pooling=False)
    if config.stem == "imagenet":
        return StemPlan((Conv(channels, width, kernel=7, stride=2),), pooling=True)
    half = max(1, width // 2)  # ResNet-D (He 2018, figure 2b): 32, 32, 64
    return StemPlan((Conv(channels, half, stride=2), Conv(half, half), Conv(half, width)), pooling=True)


def block_plans(config: ResNetConfig) -> tuple[BlockPlan, ...]:
    """Every block of a resolved config's stages, from input to output."""
    assert config.width is not None and config.stage_blocks is not None and config.block is not None
    plans: list[BlockPlan] = []
    in_channels = config.width
    for stage, count in enumerate(config.stage_blocks, start=1):
        channels = stage_width(config, stage) * EXPANSION[config.block]
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 and config.head not in PICTURE_HEADS else 1
            name = f"layer{stage}.{index}"
            plans.append(_block_plan(config, name, stage, in_channels, channels, stride, len(plans) + 1))
            in_channels = channels
    return tuple(plans)


def decoder_plans(config: ResNetConfig) -> tuple[LevelPlan, ...]:
    """Every level of a resolved config's decoder, deepest first; none for a classifier.

    A level has the channels of its stage before the bottleneck's expansion; at the image's size, where a stem
    that shrinks leaves nothing to be put beside it, half of the stem's.
    """
    indices = decoder_places(config)
    if not indices:
        return ()
    assert config.width is not None and config.stage_blocks is not None and config.block is not None
    names = ORDERS[config.order][0].split()
    plans: list[LevelPlan] = []
    joins = config.head != "autoencoder"
    below = stage_width(config, len(config.stage_blocks)) * EXPANSION[config.block] if joins else config.code
    for index, place in enumerate(indices, start=sum(config.stage_blocks) + 1):
        stage = int(place) if place.isdigit() else 0
        channels = stage_width(config, stage) if stage else config.width
        skip = channels * EXPANSION[config.block] if stage else channels
        if place == "_image":
            channels, skip = max(1, config.width // 2), 0
        skip *= joins
        conv = Conv(below + skip, channels)
        normed = conv.in_channels if names.index("bn") < names.index("conv") else channels
        block = _block_plan(config, f"decoder.layer{place}.0", stage, channels, channels, 1, index)
        plans.append(LevelPlan(place, skip, tuple(names), conv, normed, block))
        below = channels
    return tuple(plans)


def score_plans(config: ResNetConfig) -> dict[str, Conv]:
    """The 1x1 convolutions of a resolved config's FCN head, the deepest stage's first, called ``last``.

    The others, ``score2``, ``score1`` and perhaps ``score_stem``, read the stages before it; a stem's output only where
    the stem pools.
    """
    if config.head != "fcn":
        return {}
    assert config.width is not None and config.stage_blocks is not None and config.block is not None
    channels = {
        f"score{stage}": stage_width(config, stage) * EXPANSION[config.block]
        for stage in range(len(config.stage_blocks) - 1, 0, -1)
    }
    if stem_plan(config).pooling:
        channels["score_stem"] = config.width
    deepest = stage_width(config, len(config.stage_blocks)) * EXPANSION[config.block]
    return {
        name: Conv(each, config.num_classes, kernel=1) for name, each in {"last": deepest, **channels}.items()
    }


BOX_NUMBERS = 5  # besides the classes: distances to left, top, right, bottom, and nearness to the middle


def tower_convs(config: ResNetConfig) -> tuple[Conv, ...]:
    """The 3x3 convolutions between a resolved config's last level and its boxes; none with another head."""
    if config.head != "boxes":
        return ()
    levels = decoder_plans(config)
    channels = levels[-1].block.channels if levels else block_plans(config)[-1].channels
    return (Conv(channels, channels), Conv(channels, channels))


ANCHORS = 9  # at each place of a RetinaNet: three sizes, each in three shapes
ANCHOR_NUMBERS = (
    12  # besides the classes: the box that is meant, the anchor, and how they differ; four numbers each
)


def pyramid_stages(config: ResNetConfig) -> tuple[int, ...]:
    """The stages of a resolved config that a RetinaNet's pyramid reads, from a quarter of the image's size on."""
    return tuple(range(box_stage(config), len(config.stage_blocks or ()) + 1))


def pyramid_channels(config: ResNetConfig) -> int:
    """Of each level of a resolved config's pyramid: 256, as in the paper, with the width of ImageNet's networks."""
    assert config.width is not None
    return 4 * config.width * config.widen_factor


def answered_channels(config: ResNetConfig) -> int:
    """Of what a U-Net's decoder gives for each pixel, or the head "boxes" for every fourth one."""
    return config.num_classes + (BOX_NUMBERS if config.head == "boxes" else 0)


def shuffled_conv(config: ResNetConfig) -> Conv:
    """The last convolution of a resolved config that gives another picture: a channel for each pixel of it."""
    enlarged = config.scale if config.head == "edsr" else 1
    return Conv(block_plans(config)[-1].channels, config.num_classes * enlarged**2)


def stage_width(config: ResNetConfig, stage: int) -> int:
    """Channels of a stage of a resolved config, before the bottleneck's expansion; stages count from 1."""
    assert config.width is not None
    doubled = 1 if config.head in PICTURE_HEADS else 2 ** (stage - 1)
    return config.width * doubled * config.widen_factor


def _block_plan(
    config: ResNetConfig, name: str, stage: int, in_channels: int, channels: int, stride: int, number: int
) -> BlockPlan:
    kind = config.block or "basic"
    total = sum(config.stage_blocks or ()) + len(decoder_places(config))
    drop = config.stochastic_depth * number / total  # linear, 1603.09382 eq. 4
    shortcut = _shortcut(config, name, changes=stride > 1 or in_channels != channels)
    inner = None
    if config.inner_channels is not None and not name.startswith("decoder."):
        inner = config.inner_channels[number - 1]
    if config.dims == 0:
        return _table_block(config, name, channels, shortcut, drop, inner or 2 * channels)
    convs = _convs(config, kind, in_channels, channels, stride, inner)
    branch, after = _layer_names(config.order, kind)
    if name == "layer1.0" and config.order in LAST_ACTIVATION:
        branch = branch[branch.index("conv1") :]  # the stem's norm and ReLU are this block's pre-activation
    norm_channels = _norm_channels(branch + after, convs, in_channels)
    first = branch.index("conv1") if shortcut == "projection" else 0
    shared, branch = branch[:first], branch[first:]
    if name in config.branches_off:
        branch, convs = (), {}
    else:
        branch = _with_extras(config, branch, f"conv{CONVS[kind]}", dropped=shortcut != "none" and drop > 0)
    if shortcut == "projection":
        convs["downsample"] = Conv(in_channels, channels, kernel=1, stride=stride)
    return BlockPlan(
        name, stage, kind, in_channels, channels, stride, shortcut,
        shared, branch, after, convs, norm_channels,
        normed_projection=config.norm != "none" and not ORDERS[config.order][1].endswith("conv"),
        drop_chance=drop,
    )  # fmt: skip


def _table_block(
    config: ResNetConfig, name: str, channels: int, shortcut: ShortcutKind, drop: float, inner: int
) -> BlockPlan:
    """Norm, linear, ReLU, dropout, linear, dropout, added (arXiv 2106.11959, section 3.2)."""
    dropped = config.dropout > 0
    branch = ("bn1", "linear1", "relu1", *["dropout1"] * dropped, "linear2", *["dropout2"] * dropped)
    branch += ("stochastic_depth",) * (shortcut != "none" and drop > 0)
    convs = {
        "linear1": Conv(channels, inner, kernel=1),
        "linear2": Conv(inner, channels, kernel=1),
    }
    if name in config.branches_off:
        branch, convs = (), {}
    return BlockPlan(
        name, 1, "basic", channels, channels, 1, shortcut, (), branch, (), convs, {"bn1": channels},
        normed_projection=False, drop_chance=drop,
    )  # fmt: skip


def _shortcut(config: ResNetConfig, name: str, *, changes: bool) -> ShortcutKind:
    if not config.residual or name in config.shortcuts_off:
        return "none"
    if config.shortcut == "C" or (config.shortcut == "B" and changes):
        return "projection"
    return "padding" if changes else "identity"


def _convs(
    config: ResNetConfig, kind: BlockKind, in_channels: int, channels: int, stride: int, inner: int | None
) -> dict[str, Conv]:
    if kind == "basic":
        inner = inner or channels
        return {"conv1": Conv(in_channels, inner, stride=stride), "conv2": Conv(inner, channels)}
    per_group = max(1, int(channels // EXPANSION[kind] * (config.bottleneck_width / 64)))
    inner = inner or per_group * config.groups  # torchvision's formula
    return {
        "conv1": Conv(in_channels, inner, kernel=1),
        "conv2": Conv(
            inner, inner, stride=stride, groups=config.groups
        ),  # stride here, as torchvision ("v1.5")
        "conv3": Conv(inner, channels, kernel=1),
    }


def _layer_names(order: Order, kind: BlockKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Branch and rest of a block, each layer numbered by its kind: conv1 bn1 relu1 conv2 bn2 | relu2."""
    unit, last, after = ORDERS[order]
    words = " ".join([unit] * (CONVS[kind] - 1) + [last]).split()
    seen: Counter[str] = Counter()
    names = []
    for word in words + after.split():
        seen[word] += 1
        names.append(f"{word}{seen[word]}")
    return tuple(names[: len(words)]), tuple(names[len(words) :])


def _norm_channels(names: tuple[str, ...], convs: dict[str, Conv], in_channels: int) -> dict[str, int]:
    channels, found = in_channels, {}
    for name in names:
        if name in convs:
            channels = convs[name].channels
        elif name.startswith("bn"):
            found[name] = channels
    return found


def _with_extras(
    config: ResNetConfig, branch: tuple[str, ...], last_conv: str, *, dropped: bool
) -> tuple[str, ...]:
    """The branch with what the settings put into it."""
    names = list(branch)
    if config.residual_scaling == "fixup":
        names.insert(names.index(last_conv) + 1, "scale")  # Fixup, section 3: times a scalar, then plus one
    if config.dropout > 0:
        names.insert(names.index(last_conv), "dropout")  # Wide ResNets, section 2.4: between the convolutions
    if config.squeeze_excitation:
        names.append("se")
    if config.residual_scaling == "skipinit":
        names.append("scale")
    if dropped:
        names.append("stochastic_depth")
    return tuple(names)


def squeezed(channels: int) -> int:
    """Hidden units of a squeeze-and-excitation: a sixteenth (1709.01507, table 10), yet enough to live."""
    return max(8, channels // 16)


def norm_groups(channels: int) -> int:
    """Groups of 16 channels, or the next number above that divides them; one group for few channels.

    Example:
        >>> [norm_groups(channels) for channels in (8, 16, 64, 48, 40, 17)]
        [1, 1, 4, 3, 2, 1]
    """
    return next((channels // size for size in range(16, channels) if channels % size == 0), 1)
