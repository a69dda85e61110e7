"""What a residual network is made of, as one frozen record of plain numbers and words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from reswork.errors import InvalidSetting
from reswork.models.checks import (
    check_dims,
    check_fields,
    check_head,
    check_inner,
    check_layout,
    check_scaling,
    check_switched_off,
)
from reswork.models.layout import (
    CONVS,
    IMAGENET_STAGES,
    PICTURE_HEADS,
    TABLE_WIDTH,
    BlockKind,
    Dims,
    Form,
    Head,
    Norm,
    Order,
    Scaling,
    Shortcut,
    Stem,
    form_of,
    layout_of,
    names_of,
)
from reswork.settings_text import settings_from

_HEAD_LABELS: dict[Head, str] = {
    "unet": "U-Net",
    "fcn": "FCN",
    "autoencoder": "Autoencoder",
    "embedding": "Embedding",
    "boxes": "Detector",
    "retinanet": "RetinaNet",
}


@dataclass(frozen=True)
class ResNetConfig:
    """Everything that decides a network's layers; checked when it is made.

    ``None`` means automatic: `resolved` gives the same network with every choice written out.

    He et al. 2015, section 4.2, counts the CIFAR form as 6n+2 layers, with n blocks in each of three stages:

    ============= ======= ======= =====
    feature map   32 x 32 16 x 16 8 x 8
    layers        1 + 2n  2n      2n
    channels      16      32      64
    ============= ======= ======= =====

    Args:
        depth: weighted layers. CIFAR form: 6n+2, or 9n+2 with bottlenecks; ImageNet form: 18, 34, 50, 101,
            152.
        residual: False gives the plain twin: the same layers, nothing added.
        form: ``"cifar"``: three stages, 3x3 stem; ``"imagenet"``: four stages, 7x7 stem with pooling.
            Automatic: ImageNet for its five depths unless ``block`` contradicts, and for four stages.
        stage_blocks: blocks in each stage, any number of stages; ``depth`` must then be None or agree.
        block: ``"basic"``: two 3x3; ``"bottleneck"``: 1x1, 3x3, 1x1 with four times the channels at its end.
        order: where norm and ReLU stand (He 2016, figure 4 a, e, b, c, d).
        shortcut: where the shape changes ``"A"`` pads with zeros and ``"B"`` projects; ``"C"`` projects in
            every block. Automatic: A in the CIFAR form, B in the ImageNet form, as in the paper.
        in_channels: channels of the images.
        num_classes: outputs; with a decoder those of each pixel.
        width: channels of the first stage and of the stem; each later stage doubles. Automatic: 16 or 64.
        widen_factor: multiplies the channels of the stages, not of the stem (Wide ResNets).
        groups: groups of the bottleneck's 3x3 layer (ResNeXt).
        bottleneck_width: torchvision's ``width_per_group``: inner channels of a group per 64 of the stage.
        norm: ``"group"`` takes 16 channels a group (1803.08494, table 3); ``"none"`` gives
            convolutions a bias instead.
        residual_scaling: ``"skipinit"``: each branch times a learned number that starts at 0; ``"fixup"``:
            the initialisation, scalars and biases of the Fixup paper.
        zero_init_last_norm: the last norm of each branch starts at 0: each block starts as its shortcut.
        dropout: chance, before the last convolution of each branch (Wide ResNets).
        stochastic_depth: chance that the last branch is dropped in a step; falls linearly towards the input.
        squeeze_excitation: weighs a branch's channels by their means, through a sixteenth as many.
        stem: ``"cifar"``: 3x3; ``"imagenet"``: 7x7, stride 2, max pooling; ``"resnet_d"``: three 3x3 instead.
        inner_channels: channels between the convolutions of each block of the stages, in their order, as pruning
            leaves them; with bottlenecks of both inner ones. Automatic: as many as the block has.
        shortcuts_off: names of blocks, such as ``"layer2.0"``, that lose their shortcut.
        branches_off: names of blocks of which only the shortcut is left.
        head: ``"classifier"``: the mean over the image and a linear layer; ``"unet"``: a decoder back to the
            image's size, with one answer for each pixel. ``"fcn"``: the same by one 1x1 convolution on each stage,
            enlarged and added up, on the body of a classifier. ``"edsr"`` and ``"vdsr"`` give another picture,
            ``scale`` times as large: the first shuffles channels into pixels behind the stages, the second enlarges
            its input before them. Their stages neither shrink nor widen. ``"autoencoder"``: through few channels at the
            smallest size and back to the image, with nothing beside; ``"embedding"``: 64 numbers of length 1 for an
            image, and behind them their cosines to ``num_classes`` learned identities. ``"boxes"``: at every
            fourth pixel the distances to the edges of a box, how near its middle it is, and a logit for each class;
            ``"retinanet"``: the same by torchvision's feature pyramid, head and nine anchors at each place.
        dims: axes of what goes in besides its channels: 2 for images, 1 for signals, 3 for volumes. 0 for the rows of a
            table: blocks of two linear layers, norm first, the hidden one twice as wide, all in a single stage;
            ``depth`` is 2n+2 and ``width`` 128 unless told.
        vocabulary: different tokens, where texts go in; each becomes ``in_channels`` learned numbers; with ``dims=1``.
        scale: of a head that gives another picture: 2, 3 or 4 times; 1 keeps the size, as against noise.
        add_input: of such a head: the stages learn what is added to the input, which is enlarged by bicubic
            interpolation; False: they have to give the whole picture.
        code: channels at the smallest size of an autoencoder: few, so that not everything comes through.

    Raises:
        InvalidSetting: for a value or a combination that makes no network; ``.field`` names the setting.

    Reference:
        arXiv 1512.03385 (ResNet), 1603.05027 (order), 1605.07146 (wide), 1611.05431 (ResNeXt), 1709.01507
        (SE), 1603.09382 (stochastic depth), 1901.09321 (Fixup), 2002.10444 (SkipInit), 1812.01187 (ResNet-D),
        2106.11959, section 3.2 (tables), 1505.04597 (U-Net), 1411.4038 (FCN), 1904.01355 (FCOS), 1708.02002
        (RetinaNet).

    Example:
        >>> config = ResNetConfig(depth=56, residual=False)
        >>> config.label, config.resolved().stage_blocks
        ('Plain-56', (9, 9, 9))
        >>> ResNetConfig.from_json(config.to_json()) == config
        True
    """

    depth: int | None = 20
    residual: bool = True
    form: Form | None = None
    stage_blocks: tuple[int, ...] | None = None
    block: BlockKind | None = None
    order: Order = "post"
    shortcut: Shortcut | None = None
    in_channels: int = 3
    num_classes: int = 10
    width: int | None = None
    widen_factor: int = 1
    groups: int = 1
    bottleneck_width: int = 64
    norm: Norm = "batch"
    residual_scaling: Scaling = "none"
    zero_init_last_norm: bool = False
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    squeeze_excitation: bool = False
    stem: Stem | None = None
    inner_channels: tuple[int, ...] | None = None
    shortcuts_off: tuple[str, ...] = ()
    branches_off: tuple[str, ...] = ()
    head: Head = "classifier"
    dims: Dims = 2
    vocabulary: int | None = None
    scale: int = 1
    add_input: bool = True
    code: int = 8

    def __post_init__(self) -> None:
        for name in ("stage_blocks", "inner_channels", "shortcuts_off", "branches_off"):
            if isinstance(getattr(self, name), list):  # as JSON has it
                object.__setattr__(self, name, tuple(getattr(self, name)))
        check_fields(self)
        check_dims(self)
        check_layout(self)
        check_inner(self)
        check_scaling(self)
        check_head(self)
        check_switched_off(self)

    def resolved(self) -> "ResNetConfig":
        """The same network with nothing left automatic."""
        form = form_of(self)
        block, stage_blocks = layout_of(self, form)
        return replace(
            self,
            depth=CONVS[block] * sum(stage_blocks) + 2,  # + the stem's convolution and the classifier
            form=form,
            stage_blocks=stage_blocks,
            block=block,
            shortcut=self.shortcut or ("A" if form == "cifar" else "B"),  # as in the paper's tables 6 and 3
            width=self.width or (TABLE_WIDTH if self.dims == 0 else 16 if form == "cifar" else 64),
            order=self.order if self.dims else "pre",
            stem=self.stem or form,
        )

    @classmethod
    def wide(cls, depth: int, widen_factor: int, **settings: Any) -> Self:
        """A Wide ResNet by its name: ``wide(28, 10)`` is WRN-28-10, ``wide(50, 2)`` is wide_resnet50_2.

        Args:
            depth: 6n+4 (the authors count the projections too), or 18, 34, 50, 101, 152.
            widen_factor: times the channels; with bottlenecks only those of the inner 3x3, as the authors do.
            **settings: any other setting.

        Raises:
            InvalidSetting: when no such network exists.
        """
        if isinstance(depth, bool) or not isinstance(depth, int):
            raise InvalidSetting(
                "depth", f"depth={depth!r} is not accepted; choose a whole number, such as 28"
            )
        if depth in IMAGENET_STAGES and settings.get("form") != "cifar":
            if IMAGENET_STAGES[depth][0] == "bottleneck":
                settings["bottleneck_width"] = 64 * widen_factor
            else:
                settings["widen_factor"] = widen_factor
            return cls(**{"depth": depth, "form": "imagenet", **settings})
        if depth < 10 or (depth - 4) % 6:
            raise InvalidSetting(
                "depth",
                f"depth={depth} is not a Wide ResNet's; choose 6n+4 (10, 16, 22, 28, 40, ...) "
                "or 18, 34, 50, 101, 152",
            )
        wide = {"form": "cifar", "block": "basic", "order": "pre", "shortcut": "B"}
        return cls(**{"depth": depth - 2, "widen_factor": widen_factor, **wide, **settings})

    @property
    def label(self) -> str:
        """The name people know it by: ``"ResNet-20"``, ``"ResNeXt-50 32x4d"``, ``"U-Net on ResNet-20"``."""
        if self.head in PICTURE_HEADS:
            alone = "" if self.add_input else " without the addition"
            return f"{self.head.upper()} x{self.scale} on {self._body_label}{alone}"
        body = self._body_label if self.inner_channels is None else f"pruned {self._body_label}"
        return f"{_HEAD_LABELS[self.head]} on {body}" if self.head in _HEAD_LABELS else body

    @property
    def _body_label(self) -> str:
        full = self.resolved()
        name, suffix = "ResNet" if self.residual else "Plain", ""
        if full.dims == 0:
            return f"Table {name}-{full.depth}"
        if full.dims != 2:
            name = f"{full.dims}-D {name}"
        if (
            full.residual
            and full.form == "cifar"
            and full.dims == 2
            and full.order == "pre"
            and full.widen_factor > 1
        ):
            return f"WRN-{(full.depth or 0) + 2}-{full.widen_factor}"
        if full.groups > 1:
            name, suffix = name.replace("ResNet", "ResNeXt"), f" {full.groups}x{full.bottleneck_width}d"
        elif full.block == "bottleneck" and full.bottleneck_width != 64:
            name, suffix = f"Wide {name}", f"-{full.bottleneck_width / 64:g}"
        if full.widen_factor > 1:
            name, suffix = f"Wide {name}", f"-{full.widen_factor}{suffix}"
        if full.order == "pre":
            name = f"Pre-activation {name}"
        return f"{'SE-' if self.squeeze_excitation else ''}{name}-{full.depth}{suffix}"

    @property
    def block_names(self) -> tuple[str, ...]:
        """Every block from input to output: ``("layer1.0", "layer1.1", ..., "layer3.2")``, then a decoder's."""
        return names_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Field by field, ready for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The other way round; a missing field takes its default.

        Raises:
            InvalidSetting: for a field that does not exist, or a wrong value.
        """
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                raise InvalidSetting(str(name), f"{name!r} is not a setting of ResNetConfig; remove it")
        return cls(**values)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The other way round.

        Raises:
            InvalidSetting: for a text that describes no network.
        """
        return cls.from_dict(settings_from(text, "config", "a network"))
