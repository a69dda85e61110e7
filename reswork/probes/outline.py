"""Any network as something that can be drawn: its stem, its residual blocks by stage, its head."""

from dataclasses import replace

from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.anatomy import BlockAnatomy, residual_blocks
from reswork.models.costs import LayerSpec
from reswork.models.gates import is_off
from reswork.models.network import ResNet
from reswork.models.plan import ShortcutKind
from reswork.models.sheet import BlockSpec, Outline, SpecSheet, spec_sheet
from reswork.probes.capture import watched
from reswork.probes.inputs import first_tensor
from reswork.probes.layer_costs import layer_table
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.scalar_model import check_takes_pictures
from reswork.results.layer_costs import LayerCost, LayerTable

_KINDS = {nn.Conv2d: "conv", nn.Linear: "linear", nn.MaxPool2d: "pool", nn.AvgPool2d: "pool", nn.ReLU: "relu"}
_KIND_OF = {kind.__name__: word for kind, word in _KINDS.items()}


def outline(model: nn.Module, images: Tensor) -> Outline | SpecSheet:
    """What `reswork.figures.network` draws of a network, also of one that was not built here.

    Args:
        model: any network; while it trains, a snapshot.
        images: (N, C, H, W) float, as the network gets them; the first one is run through it.

    Returns:
        The spec sheet of a `ResNet`; else an outline read from one forward pass. What `reswork.surgery` switched off
        is off in it.

    Raises:
        InvalidSetting: if the model cannot take the images.

    Example:
        >>> import torch
        >>> from torchvision.models import resnet18
        >>> found = outline(resnet18(num_classes=10), torch.rand(1, 3, 64, 64))
        >>> [block.name for block in found.blocks][:3], found.blocks[2].shortcut
        (['layer1.0', 'layer1.1', 'layer2.0'], 'projection')
    """
    return as_operated(as_built(model, images), unwrapped(model))


def as_operated(sheet: Outline | SpecSheet, model: nn.Module) -> Outline | SpecSheet:
    """What is drawn of a network that was operated on: deleted branches hollow, deleted shortcuts gone.

    Args:
        sheet: of the network as it was built.
        model: the network as it is now.
    """
    anatomy = {block.name: block for block in residual_blocks(model)}
    blocks: list[BlockSpec] = []
    for block in sheet.blocks:
        found = anatomy.get(block.name)
        if found is not None and is_off(found.shortcut):
            block = replace(block, shortcut="none")
        if found is not None and (is_off(found.module) or is_off(found.branch_module)):
            block = replace(block, branch=False)
        blocks.append(block)
    return replace(sheet, blocks=tuple(blocks))


def as_built(model: nn.Module, images: Tensor) -> Outline | SpecSheet:
    """The same without what was done to the network afterwards."""
    bare = unwrapped(model)
    check_takes_pictures(bare)
    if not isinstance(images, Tensor) or images.dim() != 4 or 0 in images.shape:
        given = f"of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise InvalidSetting(
            "images", f"images {given}: an outline is of a net of pictures; give (N, C, H, W)"
        )
    channels, height, width = images.shape[1:]
    if isinstance(bare, ResNet):
        return spec_sheet(bare.config, (channels, height, width))
    blocks = residual_blocks(bare)
    with watched(bare, [block.name for block in blocks]) as seen:
        answer = first_tensor(seen(images[:1]))
        shapes = [tuple(seen[block.name].shape[1:]) for block in blocks]
    table = layer_table(bare, images[:1], repeats=1)
    found = []
    stages = list(dict.fromkeys(_parent(block.name) for block in blocks))
    before = (channels, height, width)
    for block, shape in zip(blocks, shapes, strict=True):
        found.append(_block(block, 1 + stages.index(_parent(block.name)), before, shape, table))
        before = shape
    return Outline(
        type(bare).__name__,
        (channels, height, width),
        () if answer is None else tuple(answer.shape[1:]),
        table.parameters,
        tuple(_layer(row) for row in table.layers),
        tuple(found),
    )


def _block(
    block: BlockAnatomy, stage: int, before: tuple[int, ...], shape: tuple[int, ...], table: LayerTable
) -> BlockSpec:
    inside = [row for row in table.layers if row.name.startswith(f"{block.name}.")]
    convs = sum(row.kind == "Conv2d" for row in inside) - (block.shortcut is not None)
    halves = len(before) == len(shape) == 3 and before[1] > shape[1]
    shortcut: ShortcutKind = "identity" if block.shortcut is None else "projection"
    return BlockSpec(
        block.name,
        stage,
        "bottleneck" if convs > 2 else "basic",
        shape[0] if shape else 0,
        round(before[1] / shape[1]) if halves and stage > 1 else 1,
        shape,
        shortcut if block.has_shortcut else "none",
        block.branch is not None,
        parameters=sum(row.parameters for row in inside),
        macs=sum(row.macs for row in inside),
    )


def _layer(row: LayerCost) -> LayerSpec:
    shape = row.output_shape[1:]
    kind = _KIND_OF.get(row.kind, row.kind.lower())
    return LayerSpec(
        row.name, kind, shape, row.parameters, row.macs, row.activation_bytes, row.output_bytes, 0
    )


def _parent(name: str) -> str:
    return name.rpartition(".")[0]
