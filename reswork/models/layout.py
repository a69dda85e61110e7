"""The layouts of the papers: which form, kind of block and blocks per stage a depth stands for."""

from typing import TYPE_CHECKING, Literal

from reswork.errors import InvalidSetting

if TYPE_CHECKING:
    from reswork.models.config import ResNetConfig

Form = Literal["cifar", "imagenet"]
BlockKind = Literal["basic", "bottleneck"]
Order = Literal["post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre"]
Shortcut = Literal["A", "B", "C"]
Norm = Literal["batch", "group", "none"]
Scaling = Literal["none", "skipinit", "fixup"]
Dims = Literal[0, 1, 2, 3]
Stem = Literal["cifar", "imagenet", "resnet_d"]
Head = Literal["classifier", "unet", "fcn", "edsr", "vdsr", "autoencoder", "embedding", "boxes", "retinanet"]
MASK_HEADS: tuple[Head, ...] = ("unet", "fcn")  # what comes out is a class for each pixel
PICTURE_HEADS: tuple[Head, ...] = ("edsr", "vdsr")  # what comes out is another picture
BOX_HEADS: tuple[Head, ...] = ("boxes", "retinanet")  # what comes out are boxes
U_HEADS: tuple[Head, ...] = ("unet", "autoencoder")  # a level of the decoder for each size of the stages
EMBEDDED = 64  # numbers that an image becomes with the head "embedding"
BOX_STRIDE = 4  # pixels of the image between two places at which a head for boxes answers

IMAGENET_STAGES: dict[int, tuple[BlockKind, tuple[int, ...]]] = {  # He 2015, table 1
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
TABLE_WIDTH = 128  # units between the blocks of a network for tables
CONVS: dict[BlockKind, int] = {"basic": 2, "bottleneck": 3}  # convolutions in a branch
EXPANSION: dict[BlockKind, int] = {"basic": 1, "bottleneck": 4}  # output channels / stage channels


def form_of(config: "ResNetConfig") -> Form:
    """The form that the settings ask for, or hint at."""
    if config.form is not None:
        return config.form
    if config.dims == 0:
        return "cifar"
    if config.stage_blocks is not None:
        return "imagenet" if len(config.stage_blocks) == 4 else "cifar"
    known = IMAGENET_STAGES.get(config.depth or 0)
    if known is None:
        return "cifar"
    other_hint = config.block is not None and config.block != known[0]
    return "cifar" if other_hint and _fits(config.depth, config.block) else "imagenet"


def names_of(config: "ResNetConfig") -> tuple[str, ...]:
    """The blocks' names from input to output, those of a decoder behind those of the stages."""
    stage_blocks = layout_of(config, form_of(config))[1]
    stages = [
        f"layer{stage}.{index}" for stage, count in enumerate(stage_blocks, start=1) for index in range(count)
    ]
    return (*stages, *(f"decoder.layer{place}.0" for place in decoder_places(config)))


def decoder_places(config: "ResNetConfig") -> tuple[str, ...]:
    """The levels of a decoder, deepest first: back at the size of stage "2", "1", of "_stem", "_image".

    A U-Net and an autoencoder have them, back to the image; the head "boxes" goes back to a quarter of its size.
    The 3x3 stem keeps the size of the image, which is that of the first stage; the others shrink it twice.
    Empty for a classifier.
    """
    if config.head == "boxes":
        form = form_of(config)
        return tuple(map(str, range(len(layout_of(config, form)[1]) - 1, box_stage(config) - 1, -1)))
    if config.head not in U_HEADS:
        return ()
    form = form_of(config)
    stages = range(len(layout_of(config, form)[1]) - 1, 0, -1)
    return (*map(str, stages), *(("_stem", "_image") if (config.stem or form) != "cifar" else ()))


def box_stage(config: "ResNetConfig") -> int:
    """The stage whose size is a quarter of the image's, where heads for boxes begin; stages count from 1."""
    return 3 if (config.stem or form_of(config)) == "cifar" else 1


def _fits(depth: int | None, block: BlockKind | None) -> bool:
    """Whether three equal stages of such blocks make this depth."""
    return depth is not None and block is not None and depth > 2 and (depth - 2) % (3 * CONVS[block]) == 0


def layout_of(config: "ResNetConfig", form: Form) -> tuple[BlockKind, tuple[int, ...]]:
    """The kind of block, and how many in each stage."""
    if config.dims == 0:
        return _table_layout(config)
    if config.stage_blocks is not None:
        known = IMAGENET_STAGES.get(config.depth or 0)  # 34 and 50 differ in their blocks only
        guess = known[0] if known and form == "imagenet" and known[1] == config.stage_blocks else "basic"
        return config.block or guess, config.stage_blocks
    if form == "imagenet":
        return _imagenet_layout(config)
    guess = "basic" if _fits(config.depth, "basic") else "bottleneck"  # 29 is 9n+2 only
    block = config.block or guess
    if config.depth is None or not _fits(config.depth, block):
        accepted = "6n+2 (8, 14, 20, 32, 44, 56, 110, ...)"
        if config.block == "bottleneck":
            accepted = "9n+2 with bottlenecks (11, 20, 29, 47, 56, 110, 164, ...)"
        elif config.form is None:
            accepted += " or 18, 34, 50, 101, 152"
        raise InvalidSetting("depth", f"depth={config.depth} is not a ResNet depth; choose {accepted}")
    return block, ((config.depth - 2) // (3 * CONVS[block]),) * 3


def _table_layout(config: "ResNetConfig") -> tuple[BlockKind, tuple[int, ...]]:
    """Blocks of two linear layers in a single stage, between the first linear layer and the last."""
    if config.stage_blocks is not None:
        return "basic", config.stage_blocks
    if config.depth is None or config.depth < 4 or config.depth % 2:
        raise InvalidSetting(
            "depth", f"depth={config.depth} is not one of a network for tables; choose 2n+2 (4, 6, 8, ...)"
        )
    return "basic", ((config.depth - 2) // 2,)


def _imagenet_layout(config: "ResNetConfig") -> tuple[BlockKind, tuple[int, ...]]:
    if config.depth not in IMAGENET_STAGES:
        raise InvalidSetting(
            "depth",
            f"depth={config.depth} is not a ResNet of the ImageNet form; choose 18, 34, 50, 101, 152, "
            "or give stage_blocks and no depth",
        )
    block, stage_blocks = IMAGENET_STAGES[config.depth]
    if config.block not in (None, block):
        raise InvalidSetting(
            "block",
            f"block={config.block!r} does not make depth={config.depth}, which has {block} blocks; "
            f"leave block automatic, or give stage_blocks={stage_blocks} and no depth",
        )
    return block, stage_blocks
