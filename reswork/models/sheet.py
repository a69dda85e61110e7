"""What a network costs and sees, layer by layer, from its settings alone."""

import math
from dataclasses import dataclass, replace

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.costs import LayerSpec, Signal, Walk
from reswork.models.layout import BOX_HEADS, EMBEDDED, MASK_HEADS, PICTURE_HEADS, BlockKind
from reswork.models.plan import (
    ANCHOR_NUMBERS,
    ANCHORS,
    LAST_ACTIVATION,
    BlockPlan,
    Conv,
    LevelPlan,
    ShortcutKind,
    StemPlan,
    answered_channels,
    block_plans,
    decoder_plans,
    pyramid_channels,
    pyramid_stages,
    score_plans,
    shuffled_conv,
    stem_plan,
    tower_convs,
)

Shape = tuple[int, ...]
_SHAPES = {
    0: "(columns,), such as (12,)",
    1: "(channels, moments), such as (1, 96)",
    2: "(channels, height, width), such as (3, 32, 32)",
    3: "(channels, depth, height, width), such as (1, 32, 32, 32)",
}


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One block in numbers; ``branch`` is False where only the shortcut is left."""

    name: str
    stage: int
    kind: BlockKind
    channels: int
    stride: int
    output_shape: Shape
    shortcut: ShortcutKind
    branch: bool
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class LevelSpec:
    """One level of a decoder.

    Attributes:
        merge: dotted name of the part that upsamples, and mixes in what comes from the encoder.
        skip: the part of the encoder whose output has that size, ``"layer2"`` or ``"stem"``; empty where none has.
        block: name of the block behind it.
        output_shape: ``(C, H, W)``.
        joins: whether that output comes over; in an autoencoder it does not.
    """

    merge: str
    skip: str
    block: str
    output_shape: Shape
    joins: bool = True


@dataclass(frozen=True, slots=True)
class SpecSheet:
    """A network in numbers, for one float32 image.

    Attributes:
        config: the settings as they were given.
        input_shape: ``(C, H, W)``.
        parameters: learned numbers.
        macs: multiply-adds of convolutions and linear layers (half of what PyTorch's counter calls flops).
        activation_bytes: what the forward pass keeps for the backward pass; times the batch for a batch.
        inference_bytes: most that lives at once without a backward pass, the image included.
        receptive_field: pixels, in height and width, that one position before the last pooling sees through
            convolutions and pooling windows; may be larger than the image. Means over the whole image (group
            norm, squeeze-and-excitation) are left out. With a decoder what one pixel of the answer sees, of a picture
            that is enlarged first in pixels of the larger one.
        output_shape: ``(num_classes,)``, or ``(num_classes, H, W)`` with a decoder, enlarged where it enlarges; of
            boxes ``(5 + num_classes, H / 4, W / 4)``, of a RetinaNet ``(anchors, 12 + num_classes)``.
        layers: every layer in the order in which they run, the projection behind its branch; one that runs on several
            levels of a pyramid once, with the sum of its costs and its largest output.
        blocks: every block, those of a decoder behind those of the stages.
        levels: of a decoder, deepest first; empty for a classifier.
        notes: sentences about what works but deserves a look, such as a stage that halves an odd size.
    """

    config: ResNetConfig
    input_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int
    inference_bytes: int
    receptive_field: int
    output_shape: Shape
    layers: tuple[LayerSpec, ...]
    blocks: tuple[BlockSpec, ...]
    levels: tuple[LevelSpec, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The network's name."""
        return self.config.label


@dataclass(frozen=True, slots=True)
class Outline:
    """What a drawing needs to know of a network that was not built here: the parts that a `SpecSheet` has too.

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


def spec_sheet(config: ResNetConfig, input_shape: tuple[int, ...] = (3, 32, 32)) -> SpecSheet:
    """Parameters, multiply-adds, memory, receptive field and shapes of a network; builds no weights.

    Quick enough to follow a slider: it walks over the plan of the layers, not over tensors.

    Args:
        config: the network.
        input_shape: ``(C, H, W)`` of one image.

    Raises:
        InvalidSetting: when the network does not fit such images.

    Example:
        >>> sheet = spec_sheet(ResNetConfig(depth=20))
        >>> sheet.parameters, sheet.macs, sheet.receptive_field
        (269722, 40551040, 81)
    """
    full = config.resolved()
    notes = check_fit(config, input_shape)
    walk = Walk(full, _input_signal(full, input_shape))
    given = walk.image
    if full.head == "vdsr" and full.scale > 1:
        given = walk.enlarge("enlarge", given, full.scale)
        walk.features = (given,)
    x = _walk_stem(walk, stem_plan(full), given)
    blocks, levels = [], []
    for plan in block_plans(full):
        if plan.name.endswith(".0"):
            if full.head in (*MASK_HEADS, "autoencoder", *BOX_HEADS) and plan.stage > 1:
                walk.features = (*walk.features, x)
            stage_input = x
        x, block = _walk_block(walk, plan, x, stage_input)
        blocks.append(block)
    if full.head in ("classifier", "embedding"):
        receptive_field = x.receptive_field
        output_shape: Shape = (full.num_classes,)
        x = _walk_last_activation(walk, "", x)
        x = walk.average_pool("avgpool", x) if full.dims else x
        x = walk.linear("fc", x, full.num_classes if full.head == "classifier" else EMBEDDED)
        if full.head == "embedding":
            walk.identities("identities", x, full.num_classes)
            output_shape = (EMBEDDED + full.num_classes,)
    elif full.head in PICTURE_HEADS:
        before, walk.features = walk.features, (*walk.features, x)
        x = _walk_last_activation(walk, "decoder.", x)
        walk.held = (x,)
        x = walk.conv("decoder.last", shuffled_conv(full), x, in_block=False, always_bias=True)
        if full.head == "edsr":
            x = walk.shuffle("decoder.shuffle", x, full.scale)
            walk.features, walk.held = before, (x,)
            if full.add_input and full.scale > 1:
                given = walk.enlarge("enlarge", given, full.scale)
        walk.held = ()
        if full.add_input:
            x = walk.add(x, given)
        receptive_field, output_shape = x.receptive_field, x.shape
    elif full.head == "fcn":
        x = _walk_scores(walk, x)
        receptive_field, output_shape = x.receptive_field, x.shape
    elif full.head == "retinanet":
        receptive_field, output_shape = _walk_pyramid(walk, x)
    else:
        skips, walk.features = [*walk.features], (*walk.features, x)
        if full.head == "autoencoder":
            x = walk.conv("decoder.code", Conv(x.channels, full.code, 1), x, in_block=False, always_bias=True)
        for level_plan in decoder_plans(full):
            x, block, level = _walk_level(walk, level_plan, x, skips.pop() if skips else None)
            blocks.append(block)
            levels.append(level)
        x = _walk_last_activation(walk, "decoder.", x)
        for index, conv in enumerate(tower_convs(full)):
            x = walk.conv(f"decoder.tower.{3 * index}", conv, x, in_block=False)
            x = walk.layer(f"decoder.tower.{3 * index + 1}", "bn", x)
            x = walk.layer(f"decoder.tower.{3 * index + 2}", "relu", x)
        x = walk.conv(
            "decoder.last", Conv(x.channels, answered_channels(full), 1), x, in_block=False, always_bias=True
        )
        receptive_field, output_shape = x.receptive_field, x.shape
    return SpecSheet(
        config,
        input_shape,
        parameters=sum(layer.parameters for layer in walk.layers),
        macs=sum(layer.macs for layer in walk.layers),
        activation_bytes=sum(layer.activation_bytes for layer in walk.layers),
        inference_bytes=walk.peak_bytes,
        receptive_field=receptive_field,
        output_shape=output_shape,
        layers=tuple(walk.layers),
        blocks=tuple(blocks),
        levels=tuple(levels),
        notes=notes,
    )


def check_fit(config: ResNetConfig, input_shape: tuple[int, ...]) -> tuple[str, ...]:
    """Refuse a network whose stages would shrink these images below one pixel; looks at sizes only.

    Args:
        config: the network.
        input_shape: ``(C, H, W)`` of one image.

    Returns:
        Sentences about odd sizes, which fit by rounding up.

    Raises:
        InvalidSetting: when the network does not fit.
    """
    _check_shape(config, input_shape)
    full = config.resolved()
    stem, stages = stem_plan(full), full.stage_blocks or ()
    strides = [("the stem", conv.stride) for conv in stem.convs] + [("the stem's pooling", 2)] * stem.pooling
    if full.head not in PICTURE_HEADS:
        strides += [(f"layer{stage}", 2) for stage in range(2, len(stages) + 1)]
    halvings = [where for where, stride in strides if stride == 2]
    size = input_shape if full.vocabulary is not None else input_shape[1:]
    notes = []
    for where in halvings if full.dims else ():
        if min(size) < 2:
            raise InvalidSetting(
                "input_shape",
                f"{_what(full)}s of {_by(input_shape if full.vocabulary else input_shape[1:])} are too small for "
                f"{config.label}: {where} would halve {_by(size)}; use at least {2 ** (len(halvings) - 1) + 1} "
                f"{'pixels a side' if full.dims > 1 else 'moments'}, fewer stages, or stem='cifar'",
            )
        half = tuple(-(-length // 2) for length in size)
        if any(length % 2 for length in size):
            notes.append(f"{where} halves an odd size, {_by(size)}, and rounds up to {_by(half)}.")
        size = half
    return tuple(notes)


def _by(size: Shape) -> str:
    return "x".join(map(str, size))


def _what(config: ResNetConfig) -> str:
    return (
        {0: "row", 1: "signal", 2: "image", 3: "volume"}[config.dims] if config.vocabulary is None else "text"
    )


def _input_signal(config: ResNetConfig, input_shape: Shape) -> Signal:
    """One image or other input; tokens are numbers of eight bytes, as two float32."""
    return (
        Signal(2, input_shape) if config.vocabulary is not None else Signal(input_shape[0], input_shape[1:])
    )


def _check_shape(config: ResNetConfig, input_shape: tuple[int, ...]) -> None:
    whole = [not isinstance(size, bool) and isinstance(size, int) and size > 0 for size in input_shape]
    axes = 1 if config.vocabulary is not None else config.dims + 1
    if len(input_shape) != axes or not all(whole):
        wanted = _SHAPES[config.dims] if config.vocabulary is None else "(tokens,), such as (64,)"
        raise InvalidSetting("input_shape", f"input_shape={input_shape!r} must be {wanted}")
    if config.vocabulary is not None:
        return
    if input_shape[0] != config.in_channels:
        raise InvalidSetting(
            "in_channels",
            f"in_channels={config.in_channels} does not fit {_what(config)}s of {input_shape[0]} "
            f"{'channels' if config.dims else 'columns'}; "
            f"choose in_channels={input_shape[0]}",
        )


def _walk_stem(walk: Walk, stem: StemPlan, x: Signal) -> Signal:
    if walk.config.vocabulary is not None:
        x = walk.embedding("embedding", x)
    if not walk.config.dims:
        return walk.dense("conv1", stem.convs[0], x)
    for index, conv in enumerate(stem.convs):
        alone = len(stem.convs) == 1
        x = walk.conv("conv1" if alone else f"conv1.{3 * index}", conv, x, in_block=False)
        if index < len(stem.convs) - 1:
            x = walk.layer(f"conv1.{3 * index + 1}", "bn", x)
            x = walk.layer(f"conv1.{3 * index + 2}", "relu", x)
    x = walk.layer("relu", "relu", walk.layer("bn1", "bn", x))
    if stem.pooling and walk.config.head not in ("classifier", "embedding"):
        walk.features = (x,)
    return walk.max_pool("maxpool", x) if stem.pooling else x


def _walk_block(
    walk: Walk, plan: BlockPlan, block_input: Signal, stage_input: Signal
) -> tuple[Signal, BlockSpec]:
    first = len(walk.layers)
    walk.held = (stage_input, block_input)
    x = _run(walk, plan, plan.shared, block_input)
    walk.held = (stage_input, block_input, x)
    out = _run(walk, plan, plan.branch, x) if plan.branch else None
    if plan.shortcut != "none":
        shortcut = _walk_shortcut(walk, plan, x, out)
        out = walk.add(out, shortcut) if out is not None else shortcut
    assert out is not None
    if plan.branch:
        walk.held = (*walk.held, out)
    out = _run(walk, plan, plan.after, out)
    walk.held = ()
    layers = walk.layers[first:]
    block = BlockSpec(
        plan.name,
        plan.stage,
        plan.kind,
        plan.channels,
        plan.stride,
        out.shape,
        plan.shortcut,
        bool(plan.branch),
        parameters=sum(layer.parameters for layer in layers),
        macs=sum(layer.macs for layer in layers),
    )
    return out, block


def _run(walk: Walk, plan: BlockPlan, names: tuple[str, ...], x: Signal) -> Signal:
    for name in names:
        full_name = f"{plan.name}.{name}"
        if name.startswith("linear"):
            x = walk.dense(full_name, plan.convs[name], x)
        elif name in plan.convs:
            x = walk.conv(full_name, plan.convs[name], x)
        else:
            x = walk.layer(full_name, name.rstrip("0123456789"), x)
    return x


def _walk_shortcut(walk: Walk, plan: BlockPlan, x: Signal, out: Signal | None) -> Signal:
    if plan.shortcut == "identity":
        return x
    held = walk.held
    if out is not None:
        walk.held = (*held, out)
    if plan.shortcut == "padding":
        x = walk.padding(f"{plan.name}.downsample", plan, x)
    else:
        x = walk.conv(f"{plan.name}.downsample.0", plan.convs["downsample"], x)
        if plan.normed_projection:
            x = walk.layer(f"{plan.name}.downsample.1", "bn", x)
    walk.held = held
    return x


def _walk_last_activation(walk: Walk, prefix: str, x: Signal) -> Signal:
    for name in LAST_ACTIVATION.get(walk.config.order, ()):
        x = walk.layer(prefix + name, name.removesuffix("_last"), x)
    return x


def _walk_scores(walk: Walk, x: Signal) -> Signal:
    """An FCN's head: scores of the deepest stage, enlarged, those of the stage before added, and so on."""
    finer, walk.features = [*walk.features], (*walk.features, x)
    x = _walk_last_activation(walk, "decoder.", x)
    plans = score_plans(walk.config)
    x = walk.conv("decoder.last", plans.pop("last"), x, in_block=False, always_bias=True)
    for name, plan in plans.items():
        skip = finer.pop()
        x = walk.upsample(f"decoder.{name.replace('score', 'up')}", x, skip.size)
        walk.held = (x,)
        score = walk.conv(f"decoder.{name}", plan, skip, in_block=False, always_bias=True)
        x = walk.add(x, score)
        walk.held = ()
    return x if walk.config.stem == "cifar" else walk.upsample("decoder.up_image", x, walk.image.size)


def _walk_pyramid(walk: Walk, x: Signal) -> tuple[int, Shape]:
    """A RetinaNet's pyramid and head; what an answer sees, and the shape of all of them."""
    config, channels = walk.config, pyramid_channels(walk.config)
    finer, walk.features = (
        walk.features[len(walk.features) + 1 - len(pyramid_stages(config)) :],
        (*walk.features, x),
    )
    read = [*finer, _walk_last_activation(walk, "decoder.", x)]
    above, levels, whole = None, list[Signal](), Conv(channels, channels)
    for k in reversed(range(len(read))):
        name, side = "decoder.pyramid.{}." + f"{k}.0", Conv(read[k].channels, channels, 1)
        x = walk.conv(name.format("inner_blocks"), side, read[k], in_block=False, always_bias=True)
        if above is not None:
            jump = above.jump // 2
            x = walk.add(x, Signal(channels, x.size, jump=jump, reach=above.reaches().upsampled(jump)))
        above = x
        levels.insert(
            0, walk.conv(name.format("layer_blocks"), whole, above, in_block=False, always_bias=True)
        )
        walk.held = (*levels, above)
    for name in ("p6", "p7"):
        further = Conv(channels, channels, stride=2)
        name = f"decoder.pyramid.extra_blocks.{name}"
        levels.append(walk.conv(name, further, levels[-1], in_block=False, always_bias=True))
        walk.held = tuple(levels)
    normed = config.norm != "none"
    walk.config = replace(config, norm="group" if normed else "none")
    answered = []
    for part, last, numbers in (
        ("classification_head", "cls_logits", config.num_classes),
        ("regression_head", "bbox_reg", 4),
    ):
        first = len(walk.layers)
        for level in levels:
            y, name = level, f"decoder.head.{part}"
            for k in range(4):
                y = walk.conv(f"{name}.conv.{k}.0", whole, y, in_block=False, always_bias=not normed)
                y = walk.layer(f"{name}.conv.{k}.1", "bn", y) if normed else y
                y = walk.layer(f"{name}.conv.{k}.{1 + normed}", "relu", y)
            ends = Conv(channels, ANCHORS * numbers)
            answered.append(walk.conv(f"{name}.{last}", ends, y, in_block=False, always_bias=True))
        walk.layers[first:] = _once_each(walk.layers[first:])
    walk.config, walk.held = config, ()
    places = sum(math.prod(level.size) for level in levels)
    seen = max(each.receptive_field for each in answered)
    return seen, (ANCHORS * places, ANCHOR_NUMBERS + config.num_classes)


def _once_each(layers: list[LayerSpec]) -> list[LayerSpec]:
    """Layers that ran several times, on the largest level first: each once, with what it costs altogether."""
    found: dict[str, LayerSpec] = {}
    for layer in layers:
        before = found.setdefault(layer.name, layer)
        if before is not layer:
            found[layer.name] = replace(
                before,
                macs=before.macs + layer.macs,
                activation_bytes=before.activation_bytes + layer.activation_bytes,
                inference_bytes=max(before.inference_bytes, layer.inference_bytes),
                receptive_field=max(before.receptive_field, layer.receptive_field),
            )
    return list(found.values())


def _walk_level(
    walk: Walk, plan: LevelPlan, deep: Signal, skip: Signal | None
) -> tuple[Signal, BlockSpec, LevelSpec]:
    walk.held = (deep,)
    image = walk.image
    x = walk.upsample(f"{plan.merge_name}.upsample", deep, image.size if skip is None else skip.size)
    if skip is not None and plan.skip_channels:
        x = walk.concatenate(skip, x)
    for name in plan.merge:
        layer = f"{plan.merge_name}.{name}"
        x = walk.conv(layer, plan.conv, x, in_block=False) if name == "conv" else walk.layer(layer, name, x)
    walk.held = ()
    x, block = _walk_block(walk, plan.block, x, x)
    part = {"_stem": "stem", "_image": ""}.get(plan.place, f"layer{plan.place}")
    joins = walk.config.head != "autoencoder"
    return x, block, LevelSpec(plan.merge_name, part, plan.block.name, x.shape, joins)
