"""The checks behind `ResNetConfig`: each refusal names the value, what is accepted and the remedy."""

from typing import TYPE_CHECKING, Any, get_args

from reswork.errors import InvalidSetting
from reswork.models.layout import (
    BOX_HEADS,
    BOX_STRIDE,
    CONVS,
    MASK_HEADS,
    PICTURE_HEADS,
    BlockKind,
    Form,
    Head,
    Norm,
    Order,
    Scaling,
    Shortcut,
    Stem,
    box_stage,
    form_of,
    layout_of,
    names_of,
)

if TYPE_CHECKING:
    from reswork.models.config import ResNetConfig

MAX_DEPTH = 20_000  # a typing error in a text box must not keep the page busy for minutes
MAX_STAGES = 16
MOST_SCALE = 4
MAX_NUMBER = 2**20  # of channels, classes ...: what no machine could hold, and no index could count

_OPTIONS: dict[str, tuple[Any, ...]] = {
    "form": (None, *get_args(Form)),
    "block": (None, *get_args(BlockKind)),
    "order": get_args(Order),
    "shortcut": (None, *get_args(Shortcut)),
    "norm": get_args(Norm),
    "residual_scaling": get_args(Scaling),
    "stem": (None, *get_args(Stem)),
    "head": get_args(Head),
}
_WHOLE = (
    "in_channels",
    "num_classes",
    "widen_factor",
    "groups",
    "bottleneck_width",
    "scale",
    "code",
)  # at least 1
_SWITCHES = ("residual", "zero_init_last_norm", "squeeze_excitation", "add_input")
_CHANCES = ("dropout", "stochastic_depth")  # 0 <= p < 1


def check_fields(config: "ResNetConfig") -> None:
    """Each value by itself."""
    for name, options in _OPTIONS.items():
        value = getattr(config, name)
        if not (value is None or isinstance(value, str)) or value not in options:
            words = ", ".join(repr(option) for option in options)
            raise InvalidSetting(name, f"{name}={value!r} is not known; choose one of {words}")
    for name in _WHOLE:
        _check_whole(name, getattr(config, name))
    for name in ("depth", "width", "vocabulary"):
        if getattr(config, name) is not None:
            _check_whole(name, getattr(config, name))
    if isinstance(config.dims, bool) or config.dims not in (0, 1, 2, 3):
        raise InvalidSetting("dims", f"dims={config.dims!r} is not known; choose 0 (tables), 1, 2 or 3")
    for name in _SWITCHES:
        if not isinstance(getattr(config, name), bool):
            raise InvalidSetting(name, f"{name}={getattr(config, name)!r} must be True or False")
    for name in _CHANCES:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise InvalidSetting(name, f"{name}={value!r} is not a chance; choose a number from 0 to below 1")
    for name in ("shortcuts_off", "branches_off"):
        value = getattr(config, name)
        if not isinstance(value, tuple) or not all(isinstance(block, str) for block in value):
            raise InvalidSetting(name, f"{name}={value!r} must be a list of block names such as 'layer2.0'")
    stages = config.stage_blocks
    if stages is not None:
        if not isinstance(stages, tuple) or not stages:
            raise InvalidSetting(
                "stage_blocks", f"stage_blocks={stages!r} must be numbers of blocks, such as (3, 4, 6, 3)"
            )
        for count in stages:
            _check_whole("stage_blocks", count)


def check_dims(config: "ResNetConfig") -> None:
    """What exists for images only, and what a network for tables has instead."""
    accepted: dict[str, tuple[Any, ...]] = {}
    if config.dims != 2:
        heads = ("classifier", *MASK_HEADS) if config.dims == 3 else ("classifier",)
        accepted = {"head": heads, "squeeze_excitation": (False,)}
    if config.dims != 2 and config.residual_scaling == "fixup":
        raise InvalidSetting(
            "residual_scaling", f"'fixup' is for images, and dims={config.dims}; choose 'skipinit' or 'none'"
        )
    if config.dims == 0:
        accepted |= {
            "form": (None, "cifar"), "block": (None, "basic"), "shortcut": (None, "A"), "widen_factor": (1,),
            "groups": (1,), "bottleneck_width": (64,), "residual_scaling": ("none",),
            "zero_init_last_norm": (False,), "stem": (None, "cifar"),
        }  # fmt: skip
        if config.order not in ("post", "pre"):
            raise InvalidSetting("order", f"order={config.order!r} is not one for tables; choose 'pre'")
        if config.stage_blocks is not None and len(config.stage_blocks) > 1:
            raise InvalidSetting(
                "stage_blocks",
                f"{len(config.stage_blocks)} stages: a network for tables has one, such as (3,)",
            )
    for name, possible in accepted.items():
        value = getattr(config, name)
        if value not in possible:
            raise InvalidSetting(
                name, f"{name}={value!r} does not go with dims={config.dims}; choose {possible[0]!r}"
            )
    if config.vocabulary is not None and config.dims != 1:
        raise InvalidSetting("vocabulary", f"vocabulary={config.vocabulary} needs dims=1, not {config.dims}")


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSetting(name, f"{name}={value!r} is not accepted; choose a whole number from 1")
    if value > MAX_NUMBER:
        raise InvalidSetting(
            name, f"{name}={value} is too much; choose a whole number of at most {MAX_NUMBER:,}"
        )


def check_layout(config: "ResNetConfig") -> None:
    """Depth, stages, block and widths together."""
    if config.depth is None and config.stage_blocks is None:
        raise InvalidSetting(
            "depth", "depth=None needs stage_blocks, such as (3, 4, 6, 3); or choose a depth, such as 20"
        )
    block, stage_blocks = layout_of(config, form_of(config))
    depth = CONVS[block] * sum(stage_blocks) + 2
    if config.depth not in (None, depth):
        raise InvalidSetting(
            "depth",
            f"depth={config.depth} does not agree with stage_blocks={stage_blocks}, which make {depth}; "
            "choose depth=None",
        )
    if depth > MAX_DEPTH:
        field = "depth" if config.stage_blocks is None else "stage_blocks"
        raise InvalidSetting(field, f"{depth:,} layers are too many; choose at most {MAX_DEPTH:,}")
    if len(stage_blocks) > MAX_STAGES:
        raise InvalidSetting(
            "stage_blocks", f"{len(stage_blocks)} stages are too many; choose at most {MAX_STAGES}"
        )
    if block == "basic":
        for name, normal in (("groups", 1), ("bottleneck_width", 64)):
            if getattr(config, name) != normal:
                raise InvalidSetting(
                    name,
                    f"{name}={getattr(config, name)} needs bottleneck blocks; "
                    f"choose {normal}, or block='bottleneck'",
                )
        return
    width = config.width or (16 if form_of(config) == "cifar" else 64)
    if width * config.widen_factor * config.bottleneck_width < 64:
        raise InvalidSetting(
            "bottleneck_width",
            f"bottleneck_width={config.bottleneck_width} leaves no channel inside; choose a larger one",
        )


def check_inner(config: "ResNetConfig") -> None:
    """Channels inside of each block."""
    inner = config.inner_channels
    if inner is None:
        return
    _, stage_blocks = layout_of(config, form_of(config))
    if not isinstance(inner, tuple) or len(inner) != sum(stage_blocks):
        raise InvalidSetting(
            "inner_channels",
            f"inner_channels={inner!r} must be {sum(stage_blocks)} numbers, one for each block of the stages",
        )
    for count in inner:
        _check_whole("inner_channels", count)
    for name, normal in (("groups", 1), ("bottleneck_width", 64)):
        if getattr(config, name) != normal:
            raise InvalidSetting(
                "inner_channels",
                f"inner_channels do not go with {name}={getattr(config, name)}; choose {name}={normal}",
            )


def check_scaling(config: "ResNetConfig") -> None:
    """Settings that act on a branch before it is added."""
    scaling, order = config.residual_scaling, config.order
    if not config.residual:
        for name, off in (
            ("residual_scaling", "none"),
            ("zero_init_last_norm", False),
            ("stochastic_depth", 0),
        ):
            if getattr(config, name) != off:
                raise InvalidSetting(
                    name,
                    f"{name}={getattr(config, name)!r} needs shortcuts: a plain net would pass on zeros; "
                    f"choose {off!r}",
                )
    if scaling == "fixup" and config.norm != "none":
        raise InvalidSetting(
            "residual_scaling", f"'fixup' replaces norms, but norm={config.norm!r}; choose norm='none'"
        )
    if scaling == "fixup" and order == "relu_before_addition":
        raise InvalidSetting(
            "residual_scaling",
            "'fixup' cannot learn with order='relu_before_addition', whose last ReLU would start at 0; "
            "choose 'skipinit'",
        )
    if config.zero_init_last_norm and (config.norm == "none" or order not in ("post", "relu_only_pre")):
        raise InvalidSetting(
            "zero_init_last_norm",
            f"zero_init_last_norm needs a norm right before the addition, which norm={config.norm!r} with "
            f"order={order!r} lacks; use residual_scaling='skipinit'",
        )


def check_head(config: "ResNetConfig") -> None:
    """What goes only with a head that gives another picture, with an autoencoder, an embedding or boxes."""
    if config.head == "embedding" and config.residual_scaling == "fixup":
        raise InvalidSetting(
            "residual_scaling",
            "'fixup' begins with a last layer of zeros, which has no direction; choose 'skipinit' or 'none'",
        )
    if config.head != "autoencoder" and config.code != 8:
        raise InvalidSetting(
            "code", f"code={config.code} is for autoencoders; choose 8, or head='autoencoder'"
        )
    if config.head == "autoencoder" and config.num_classes != config.in_channels:
        raise InvalidSetting(
            "num_classes",
            f"num_classes={config.num_classes} channels come out of an autoencoder, and in_channels="
            f"{config.in_channels} go in: choose the same for both",
        )
    if config.head in BOX_HEADS:
        stages = len(layout_of(config, form_of(config))[1])
        if stages < box_stage(config):
            raise InvalidSetting(
                "stage_blocks",
                f"{stages} stage(s) with a 3x3 stem stay finer than the {BOX_STRIDE} pixels at which "
                f"head={config.head!r} answers: choose {box_stage(config)} stages or more, such as (2, 2, 2)",
            )
    if config.head not in PICTURE_HEADS:
        for name, usual in (("scale", 1), ("add_input", True)):
            if getattr(config, name) != usual:
                raise InvalidSetting(
                    name,
                    f"{name}={getattr(config, name)} is for networks that give another picture; choose {usual}, or "
                    "head='edsr' or 'vdsr'",
                )
        return
    if config.dims != 2:
        raise InvalidSetting(
            "head", f"head={config.head!r} gives pictures, and dims={config.dims}: choose dims=2"
        )
    if config.scale > MOST_SCALE:
        raise InvalidSetting("scale", f"scale={config.scale}: choose 1 to {MOST_SCALE}")
    if config.num_classes != config.in_channels:
        raise InvalidSetting(
            "num_classes",
            f"num_classes={config.num_classes} channels of the picture that comes out, and in_channels="
            f"{config.in_channels} of the one that goes in: choose the same for both",
        )
    if (config.stem or form_of(config)) != "cifar":
        raise InvalidSetting(
            "stem",
            f"a stem of the form {config.stem or form_of(config)!r} shrinks the picture; choose stem='cifar'",
        )


def check_switched_off(config: "ResNetConfig") -> None:
    """Names of blocks that lose something."""
    if not config.shortcuts_off and not config.branches_off:
        return
    names = names_of(config)
    known = set(names)
    for field in ("shortcuts_off", "branches_off"):
        for name in getattr(config, field):
            if name not in known:
                raise InvalidSetting(
                    field, f"{name!r} is not a block of this net; choose from {names[0]} to {names[-1]}"
                )
    for name in config.branches_off:
        if name in config.shortcuts_off or not config.residual:
            raise InvalidSetting(
                "branches_off",
                f"{name!r} has no shortcut, so its branch must stay; take it out of branches_off",
            )
