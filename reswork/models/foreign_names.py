"""The bodies of residual networks in a set of named tensors, under torchvision's names whatever their own are.

A body is stem and stages, without the head. Each naming has an anchor, the name of a layer that every body of it has;
what stands before the anchor is the body's prefix, however long.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

# What wrappers put between the parts of a name.
_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_fpw_module|_forward_module)\."
)


@dataclass(frozen=True)
class Naming:
    """How one family of programs names the layers.

    Attributes:
        label: whose names they are.
        anchor: pattern of a name that each body has; its first group is the prefix.
        rules: pattern -> replacement, the first that fits; names that none fits are not of the body.
        order: of norm and convolution, where the names tell it; ``"pre"`` or None.
    """

    label: str
    anchor: re.Pattern[str]
    rules: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]
    order: str | None = None


@dataclass(frozen=True)
class Body:
    """Where in a set of tensors one network's stem and stages lie.

    Attributes:
        prefix: of all its names, such as ``"module.encoder_q."``.
        naming: whose names they are.
        names: torchvision's name -> the name in the set.
        average_shortcut: its projections stand second behind a pooling without weights, as in ResNet-D.
    """

    prefix: str
    naming: Naming
    names: Mapping[str, str] = field(default_factory=dict)
    average_shortcut: bool = False


def _naming(label: str, anchor: str, rules: Iterable[tuple[str, object]], order: str | None = None) -> Naming:
    compiled = tuple((re.compile(pattern), to) for pattern, to in rules)
    return Naming(label, re.compile(rf"^(|.*\.){anchor}$"), compiled, order)  # type: ignore[arg-type]


_TENSOR = r"(weight|bias|running_mean|running_var|num_batches_tracked)"

NAMINGS = (
    _naming(
        "torchvision",
        r"layer1\.0\.conv1\.weight",
        (
            (r"^stem\.(\d+)\.(.+)$", r"conv1.\1.\2"),  # OpenMMLab's deep stem
            (rf"^(conv1|bn1|bn_last|conv1\.\d+)\.{_TENSOR}$", r"\1.\2"),
            (rf"^(?:bn|norm)\.{_TENSOR}$", r"bn_last.\1"),
            (rf"^(layer\d+\.\d+)\.shortcut\.(\d+)\.{_TENSOR}$", r"\1.downsample.\2.\3"),
            (r"^(layer\d+\.\d+)\.se_module\.(fc\d\..+)$", r"\1.se.\2"),
            (r"^(layer\d+\.\d+\..+)$", r"\1"),
        ),
    ),
    _naming(
        "Hugging Face",
        r"encoder\.stages\.0\.layers\.0\.layer\.0\.convolution\.weight",
        (
            (r"^embedder\.embedder\.convolution\.(.+)$", r"conv1.\1"),
            (r"^embedder\.embedder\.normalization\.(.+)$", r"bn1.\1"),
            (
                r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.(convolution|normalization)\.(.+)$",
                lambda m: (
                    f"layer{int(m[1]) + 1}.{m[2]}.{'conv' if m[4][0] == 'c' else 'bn'}{int(m[3]) + 1}.{m[5]}"
                ),
            ),
            (
                r"^encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.(convolution|normalization)\.(.+)$",
                lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.{0 if m[3][0] == 'c' else 1}.{m[4]}",
            ),
        ),
    ),
    _naming(
        "weiaicunzai",
        r"conv2_x\.0\.residual_function\.0\.weight",
        (
            (r"^conv1\.0\.(.+)$", r"conv1.\1"),
            (r"^conv1\.1\.(.+)$", r"bn1.\1"),
            (
                r"^conv(\d)_x\.(\d+)\.residual_function\.(\d)\.(.+)$",
                lambda m: (
                    f"layer{int(m[1]) - 1}.{m[2]}."
                    f"{'bn' if int(m[3]) % 3 == 1 else 'conv'}{int(m[3]) // 3 + 1}.{m[4]}"
                ),
            ),
            (
                r"^conv(\d)_x\.(\d+)\.shortcut\.([01])\.(.+)$",
                lambda m: f"layer{int(m[1]) - 1}.{m[2]}.downsample.{m[3]}.{m[4]}",
            ),
        ),
    ),
    _naming(
        "xternalz (Wide ResNets)",
        r"block1\.layer\.0\.conv1\.weight",
        (
            (r"^conv1\.(.+)$", r"conv1.\1"),
            (rf"^bn1\.{_TENSOR}$", r"bn_last.\1"),
            (r"^block(\d)\.layer\.(\d+)\.convShortcut\.(.+)$", r"layer\1.\2.downsample.0.\3"),
            (r"^block(\d)\.layer\.(\d+)\.((?:bn|conv)\d\..+)$", r"layer\1.\2.\3"),
        ),
        "pre",
    ),
    _naming(
        "timm's ResNet V2",
        r"stages\.0\.blocks\.0\.conv1\.weight",
        (
            (r"^stem\.conv\.(.+)$", r"conv1.\1"),
            (
                r"^stem\.(conv|norm)([123])\.(.+)$",  # three of each, as numbers of a Sequential with ReLUs
                lambda m: f"conv1.{3 * int(m[2]) - (3 if m[1] == 'conv' else 2)}.{m[3]}",
            ),
            (rf"^norm\.{_TENSOR}$", r"bn_last.\1"),
            (
                r"^stages\.(\d+)\.blocks\.(\d+)\.(conv|norm)(\d)\.(.+)$",
                lambda m: f"layer{int(m[1]) + 1}.{m[2]}.{'bn' if m[3] == 'norm' else 'conv'}{m[4]}.{m[5]}",
            ),
            (
                r"^stages\.(\d+)\.blocks\.(\d+)\.downsample\.(conv|norm)\.(.+)$",
                lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.{0 if m[3] == 'conv' else 1}.{m[4]}",
            ),
        ),
        "pre",
    ),
    _naming(
        "detectron2",
        r"res2\.0\.conv1\.weight",
        (
            (r"^stem\.conv1\.norm\.(.+)$", r"bn1.\1"),
            (r"^stem\.conv1\.(weight|bias)$", r"conv1.\1"),
            (
                r"^res(\d)\.(\d+)\.conv(\d)\.norm\.(.+)$",
                lambda m: f"layer{int(m[1]) - 1}.{m[2]}.bn{m[3]}.{m[4]}",
            ),
            (
                r"^res(\d)\.(\d+)\.conv(\d)\.(weight|bias)$",
                lambda m: f"layer{int(m[1]) - 1}.{m[2]}.conv{m[3]}.{m[4]}",
            ),
            (
                r"^res(\d)\.(\d+)\.shortcut\.norm\.(.+)$",
                lambda m: f"layer{int(m[1]) - 1}.{m[2]}.downsample.1.{m[3]}",
            ),
            (
                r"^res(\d)\.(\d+)\.shortcut\.(weight|bias)$",
                lambda m: f"layer{int(m[1]) - 1}.{m[2]}.downsample.0.{m[3]}",
            ),
        ),
    ),
)


def bare(name: str) -> str:
    """A name without what wrappers such as compile and FSDP put into it."""
    return _WRAPPERS.sub("", name)


def bodies(names: Iterable[str]) -> tuple[Body, ...]:
    """Every residual body among some names, in their order.

    Args:
        names: of a set of tensors.

    Example:
        >>> found = bodies(["net.conv1.weight", "net.layer1.0.conv1.weight", "loss.weight"])
        >>> found[0].prefix, sorted(found[0].names)
        ('net.', ['conv1.weight', 'layer1.0.conv1.weight'])
    """
    plain = {bare(name): name for name in names}
    found: list[Body] = []
    for name in plain:
        for naming in NAMINGS:
            anchor = naming.anchor.match(name)
            if anchor is not None:
                found.append(_body(anchor[1], naming, plain))
    return tuple(found)


def _body(prefix: str, naming: Naming, plain: Mapping[str, str]) -> Body:
    names: dict[str, str] = {}
    for name, original in plain.items():
        if name.startswith(prefix):
            own = name.removeprefix(prefix)
            for pattern, replacement in naming.rules:
                if pattern.match(own):
                    names.setdefault(pattern.sub(replacement, own), original)
                    break
    projections = {name for name in names if ".downsample." in name}
    second = bool(projections) and not any(".downsample.0." in name for name in projections)
    if second:  # behind a pooling, which has no weights
        names = {
            re.sub(r"\.downsample\.(\d+)\.", lambda m: f".downsample.{int(m[1]) - 1}.", name): original
            for name, original in names.items()
        }
    return Body(prefix, naming, names, second)
