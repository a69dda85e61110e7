"""Which network a set of weights belongs to, told by names and shapes alone."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.layout import EXPANSION, BlockKind, Norm, Order, Shortcut, Stem
from reswork.models.network import ResNet

Shapes = Mapping[str, tuple[int, ...]]

COUNTER = "num_batches_tracked"  # older PyTorch did not save it
_MOST_LAYERS = 20_000
_ORDERS: tuple[Order, ...] = ("post", "pre", "relu_only_pre", "bn_after_addition")
_SHORTCUTS: tuple[Shortcut, ...] = ("A", "B", "C")


def recognised(shapes: Shapes, order: Order | None = None) -> ResNetConfig | None:
    """The settings of the network that has exactly these weights, or None if it cannot be built here.

    Different networks can have the same weights: shortcuts of type A have none, so a plain network looks the
    same; ReLUs and dropout have none. The most usual one is returned.

    Args:
        shapes: of each tensor, by its name as torchvision names it; batch norms' counters may be missing.
        order: of norm and convolution, where it is known; None: the most usual that fits.

    Example:
        >>> model = ResNet(ResNetConfig(depth=32, num_classes=7))
        >>> found = recognised({name: tuple(value.shape) for name, value in model.state_dict().items()})
        >>> found.label, found.num_classes
        ('ResNet-32', 7)
    """
    wanted = {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}
    for config in _candidates(wanted):
        if (order is None or config.order == order) and has_shapes(config, shapes):
            return _tidied(config)
    return None


def with_usual_stem(shapes: Shapes) -> Shapes | None:
    """The same shapes with a stem as wide as the first stage and, if it is deep, half as wide before; None: no such.

    Stems of other widths (ResNet-S, tiered stems) differ from ours in these numbers alone.
    """
    try:
        width = shapes["layer1.0.conv1.weight"][0]
        last = "conv1.6" if "conv1.0.weight" in shapes else "conv1"
        found = dict(shapes)
        for name, shape in shapes.items():
            if name in ("layer1.0.conv1.weight", "layer1.0.downsample.0.weight"):
                found[name] = (shape[0], width, *shape[2:])
            elif name.startswith(("conv1.", "bn1.")) and shape:
                half = max(1, width // 2)
                outputs = width if name.startswith((last, "bn1.")) else half
                inputs = (
                    (shape[1] if name in ("conv1.weight", "conv1.0.weight") else half,)
                    if len(shape) > 1
                    else ()
                )
                found[name] = (outputs, *inputs, *shape[2:])
    except (KeyError, IndexError):
        return None
    return found


def has_shapes(config: ResNetConfig, shapes: Shapes) -> bool:
    """Whether a network of these settings has exactly such tensors; batch norms' counters may be missing."""
    with torch.device("meta"):
        state = ResNet(config).state_dict()
    expected = {name: tuple(value.shape) for name, value in state.items()}
    missing = (name for name in expected if name not in shapes)
    return shapes.items() <= expected.items() and all(name.endswith(COUNTER) for name in missing)


def _candidates(shapes: Shapes) -> Iterator[ResNetConfig]:
    """Settings that the shapes suggest, the usual first."""
    try:
        base = _base(shapes)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, InvalidSetting):
        return
    for order, shortcut in product(_ORDERS, _SHORTCUTS):
        try:
            yield replace(base, order=order, shortcut=shortcut)
        except InvalidSetting:
            continue


def _base(shapes: Shapes) -> ResNetConfig:
    stage_blocks, decoded = _stage_blocks(shapes), "decoder.last.weight" in shapes
    block: BlockKind = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
    stem, first, width = _stem(shapes)
    inner, inner_per_group = shapes["layer1.0.conv2.weight"][:2]
    groups = inner // inner_per_group if block == "bottleneck" else 1
    stage_width = shapes[f"layer1.0.conv{3 if block == 'bottleneck' else 2}.weight"][0] // EXPANSION[block]
    norms: dict[bool, Norm] = {True: "batch", False: "group"}
    return ResNetConfig(
        depth=None,
        form="imagenet" if len(stage_blocks) == 4 else "cifar",
        stage_blocks=stage_blocks,
        block=block,
        in_channels=first[1],
        num_classes=shapes["decoder.last.weight" if decoded else "fc.weight"][0],
        width=width,
        widen_factor=stage_width // width,
        groups=groups,
        bottleneck_width=round(inner / groups * 64 / stage_width) if block == "bottleneck" else 64,
        inner_channels=_inner(shapes, stage_blocks) if block == "basic" else None,
        norm=norms["bn1.running_mean" in shapes] if "bn1.weight" in shapes else "none",
        squeeze_excitation="layer1.0.se.fc1.weight" in shapes,
        stem=stem,
        head="classifier" if not decoded else "fcn" if "decoder.score1.weight" in shapes else "unet",
    )


def _inner(shapes: Shapes, stage_blocks: tuple[int, ...]) -> tuple[int, ...] | None:
    """Channels between the two convolutions of each block; None: as many as behind them."""
    names = [f"layer{stage}.{k}" for stage, count in enumerate(stage_blocks, start=1) for k in range(count)]
    inner, outer = (tuple(shapes[f"{name}.conv{k}.weight"][0] for name in names) for k in (1, 2))
    return None if inner == outer else inner


def _stage_blocks(shapes: Shapes) -> tuple[int, ...]:
    """How many blocks the names count in each stage."""
    blocks = {tuple(name.split(".")[:2]) for name in shapes if name.startswith("layer")}
    stages = sorted({int(stage.removeprefix("layer")) for stage, _ in blocks})
    counts = tuple(sum(stage == f"layer{number}" for stage, _ in blocks) for number in stages)
    if stages != list(range(1, len(stages) + 1)) or sum(counts) > _MOST_LAYERS:
        raise ValueError("no consecutive stages")
    return counts


def _stem(shapes: Shapes) -> tuple[Stem, tuple[int, ...], int]:
    """Kind, shape of the first weight, channels behind it."""
    if "conv1.0.weight" in shapes:
        return "resnet_d", shapes["conv1.0.weight"], shapes["conv1.6.weight"][0]
    first = shapes["conv1.weight"]
    return ("cifar" if first[2] == 3 else "imagenet"), first, first[0]


def _tidied(config: ResNetConfig) -> ResNetConfig:
    """The same network, with everything automatic that may be."""
    full = config.resolved()
    steps: list[dict[str, Any]] = [{"depth": full.depth, "stage_blocks": None, "form": None}]
    steps += [{"depth": full.depth, "stage_blocks": None}]
    steps += [{name: None} for name in ("form", "stem", "width", "block", "shortcut")]
    for step in steps:
        try:
            shorter = replace(config, **step)
        except InvalidSetting:
            continue
        if shorter.resolved() == full:
            config = shorter
    return config
