"""The whole network: stem, stages of blocks, head."""

import math
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.blocks import CONVOLUTIONS, ResidualBlock, convolution, norm
from reswork.models.config import ResNetConfig
from reswork.models.heads import DECODERS, Enlarge, FCNDecoder, classifier
from reswork.models.layout import BOX_HEADS, PICTURE_HEADS, Head
from reswork.models.plan import BOX_NUMBERS, LAST_ACTIVATION, StemPlan, block_plans, stem_plan
from reswork.models.retinanet import RetinaDecoder
from reswork.models.sheet import check_fit

_POOLS = (nn.Identity, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)  # by axes


class ResNet(nn.Module):
    """A residual network, with torchvision's attribute names and, in the ImageNet form, its state_dict keys.

    Stem (``conv1``, ``bn1``, ``relu``, ``maxpool``), stages (``layer1`` ...), and as the config's head either a
    classifier (``avgpool``, ``fc``) or a ``decoder``, which reads the `features` of all stages. Where tokens go in an
    ``embedding`` stands before the stem; for rows of a table ``conv1`` is a linear layer.
    Pre-activation orders end with one more norm and ReLU (``bn_last``, ``relu_last``).

    Args:
        config: the settings; they stay readable as ``config``.

    Reference:
        He et al. 2015, arXiv 1512.03385; initialisation as torchvision's.

    Example:
        >>> model = ResNet(ResNetConfig(depth=20))
        >>> sum(p.numel() for p in model.parameters())
        269722
    """

    avgpool: nn.Module  # these two of a classifier only
    fc: nn.Linear
    identities: nn.Module  # of an embedding
    enlarge: nn.Module  # of a head that gives another picture

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        full = config.resolved()
        stem, plans = stem_plan(full), block_plans(full)
        self.embedding = None  # of tokens
        if full.vocabulary is not None:
            self.embedding = nn.Embedding(full.vocabulary, full.in_channels, padding_idx=0)
        self.conv1 = _stem_convs(stem, full)
        self.bn1 = norm(stem.convs[-1].channels, full) if full.dims else nn.Identity()
        self.relu = nn.ReLU() if full.dims else nn.Identity()
        self.maxpool = _POOLS[full.dims](3, stride=2, padding=1) if stem.pooling else nn.Identity()
        self.stage_names = tuple(f"layer{stage}" for stage in range(1, plans[-1].stage + 1))
        for stage, name in enumerate(self.stage_names, start=1):
            blocks = [ResidualBlock(plan, full) for plan in plans if plan.stage == stage]
            self.add_module(name, nn.Sequential(*blocks))
        self.last_names = () if full.head in DECODERS else LAST_ACTIVATION.get(full.order, ())
        self.decoder = DECODERS[full.head](full) if full.head in DECODERS else None
        self.gives_picture = full.head in PICTURE_HEADS
        if full.head == "vdsr" or (full.head == "edsr" and full.add_input):
            self.enlarge = Enlarge(full.scale) if full.scale > 1 else nn.Identity()
        if self.decoder is None:
            for name, layer in classifier(full).items():
                self.add_module(name, layer)
        self._initialise(full)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs of the stages, the finest first: what a decoder reads.

        Args:
            x: images ``(N, C, H, W)``.

        Returns:
            ``(N, channels, H / s, W / s)`` of each stage, rounded up, with s = 1, 2, 4 ... Where the stem pools,
            s = 4, 8 ..., and its own output before the pooling comes first, with s = 2.
        """
        found = []
        x = self.relu(self.bn1(self.conv1(x)))  # (N, width, H / s, W / s), s = 1 or 2
        if not isinstance(self.maxpool, nn.Identity):
            found.append(x)
        x = self.maxpool(x)
        for name in self.stage_names:
            x = getattr(self, name)(x)
            found.append(x)
        return tuple(found)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> logits ``(N, num_classes)``, or ``(N, num_classes, H, W)`` with a decoder.

        With the head ``"embedding"`` 64 numbers and ``num_classes`` cosines, ``(N, 64 + num_classes)``.
        With the heads ``"edsr"`` and ``"vdsr"`` another picture, ``(N, C, scale * H, scale * W)``; with ``"boxes"``
        ``(N, 5 + num_classes, H / 4, W / 4)``, with ``"retinanet"`` ``(N, anchors, 12 + num_classes)``. By the config's
        ``dims`` also signals ``(N, C, L)``, volumes ``(N, C, D, H, W)`` or rows ``(N, F)``; by its ``vocabulary``
        tokens, int64, ``(N, L)``.
        """
        if self.embedding is not None:
            x = self.embedding(x).transpose(1, 2)  # (N, L) -> (N, C, L)
        given = x
        if self.gives_picture and self.config.head == "vdsr":
            x = given = self.enlarge(x)  # (N, C, scale * H, scale * W)
        elif self.decoder is not None and not self.gives_picture:
            return self.decoder(self.features(x), tuple(x.shape[2:]))
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # as `features`, but keeps no stage's output
        for name in self.stage_names:
            x = getattr(self, name)(x)  # each stage after the first: twice the channels, half the size
        if self.decoder is not None:
            x = self.decoder((x,), tuple(x.shape[2:]))  # (N, C, scale * H, scale * W)
            if not self.config.add_input:
                return x
            return x + (given if self.config.head == "vdsr" else self.enlarge(given))
        for name in self.last_names:
            x = getattr(self, name)(x)
        x = torch.flatten(self.avgpool(x), 1)  # (N, channels); the maps are let go
        x = self.fc(x)  # (N, num_classes)
        return self.identities(x) if self.config.head == "embedding" else x

    @property
    def last_layer(self) -> nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d:
        """The layer that gives the logits."""
        return self.fc if self.decoder is None else self.decoder.last

    def _initialise(self, config: ResNetConfig) -> None:
        """He's initialisation; then each branch's own start. The last layer keeps PyTorch's, torchvision's head its."""
        mode = fan_mode(config)
        given = {*self.decoder.modules()} if isinstance(self.decoder, RetinaDecoder) else {self.last_layer}
        for module in self.modules():
            if isinstance(module, CONVOLUTIONS) and module not in given:
                nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        blocks = [module for module in self.modules() if isinstance(module, ResidualBlock)]
        branches = sum(block.plan.shortcut != "none" and bool(block.plan.branch) for block in blocks)
        for block in blocks:
            block.scale_branch(branches, zero_norm=config.zero_init_last_norm)
        if config.head in PICTURE_HEADS:
            self._begin_with_the_input(config, blocks, branches)
        if isinstance(self.decoder, FCNDecoder):
            self.decoder.begin()
        if config.residual_scaling == "fixup":
            for parameter in (self.last_layer.weight, self.last_layer.bias):
                nn.init.zeros_(parameter)  # type: ignore[arg-type]  # both last layers have a bias
        if config.head in BOX_HEADS:  # nearly all places lie in no box (arXiv 1708.02002, section 4.1)
            first = BOX_NUMBERS if config.head == "boxes" else 0
            with torch.no_grad():
                self.last_layer.bias[first:] = -math.log((1 - _RARE) / _RARE)  # type: ignore[index]

    def _begin_with_the_input(self, config: ResNetConfig, blocks: list[ResidualBlock], branches: int) -> None:
        """A start at which little is added to the input, and that learns: not at 0, with branches that sum up to 1.

        Without norms each addition would double the variance, and what comes out would be far from any picture.
        """
        nn.init.normal_(self.last_layer.weight, std=SMALL)
        nn.init.zeros_(self.last_layer.bias)  # type: ignore[arg-type]  # it has one
        if config.norm == "none" and config.residual_scaling == "none":
            for block in blocks:
                if block.plan.shortcut != "none" and block.plan.branch:
                    last = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
                    last = [layer for layer in last if layer.kernel_size != (1, 1)] or last
                    with torch.no_grad():
                        last[-1].weight.mul_(branches**-0.5)


def resnet(
    config: ResNetConfig | None = None, *, input_shape: tuple[int, ...] | None = None, **settings: Any
) -> ResNet:
    """A network with fresh weights.

    Args:
        config: its settings; None: the defaults, a ResNet-20 for small pictures.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``resnet(depth=20, residual=False)``.

    Raises:
        InvalidSetting: for settings that make no network, or one that does not fit ``input_shape``.

    Example:
        >>> resnet(depth=20, residual=False).config.label
        'Plain-20'
    """
    config = replace(config or ResNetConfig(), **settings)
    if input_shape is not None:
        check_fit(config, input_shape)
    return ResNet(config)


def unet(
    config: ResNetConfig | None = None, *, input_shape: tuple[int, ...] | None = None, **settings: Any
) -> ResNet:
    """A residual U-Net with fresh weights: any ResNet as its encoder, and one answer for each pixel.

    The decoder leads back to exactly the images' size, whatever that is, in blocks like the encoder's.

    Args:
        config: settings of the encoder; None: a small one, 58,000 weights with its decoder.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``unet(depth=20, residual=False, num_classes=7)``.

    Raises:
        InvalidSetting: for settings that make no network, or one that does not fit ``input_shape``.

    Example:
        >>> model = unet(num_classes=7)
        >>> model.config.label, tuple(model(torch.rand(1, 3, 45, 64)).shape)
        ('U-Net on ResNet-14', (1, 7, 45, 64))
    """
    return resnet(config or SMALL_ENCODER, input_shape=input_shape, **(settings | {"head": "unet"}))


def fcn(
    body: ResNet | ResNetConfig | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    **settings: Any,
) -> ResNet:
    """A fully convolutional network: a classifier's body, and scores of its stages for each pixel.

    Cheaper than `unet` and with the very body of a classifier, whose weights it takes over where one is given.

    Args:
        body: settings of the body, or a trained classifier, of which everything but the last linear layer is copied;
            None: a small one.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``fcn(trained, num_classes=7)``.

    Raises:
        InvalidSetting: for settings that make no network, one that does not fit ``input_shape``, or another body than
            the classifier has.

    Reference:
        arXiv 1411.4038.

    Example:
        >>> classifier = resnet(depth=8, width=8)
        >>> model = fcn(classifier, num_classes=7)
        >>> model.config.label, tuple(model(torch.rand(1, 3, 45, 64)).shape)
        ('FCN on ResNet-8', (1, 7, 45, 64))
    """
    config = body.config if isinstance(body, ResNet) else body or SMALL_ENCODER
    model = resnet(config, input_shape=input_shape, **(settings | {"head": "fcn"}))
    if isinstance(body, ResNet):
        _take_body(model, body)
    return model


def _take_body(model: ResNet, classifier: ResNet) -> None:
    """Copy what both networks have: all but the heads."""
    given = {
        f"decoder.{name}" if name.startswith("bn_last") else name: value
        for name, value in classifier.state_dict().items()
        if not name.startswith(("fc.", "decoder."))
    }
    own = model.state_dict()
    wrong = [name for name, value in given.items() if name not in own or own[name].shape != value.shape]
    if wrong:
        raise InvalidSetting(
            "body",
            f"{wrong[0]} of the classifier does not fit: leave depth, width, channels and blocks as "
            f"{classifier.config.label} has them",
        )
    model.load_state_dict(own | given)


SMALL = 1e-3  # standard deviation of a last layer's weights
_RARE = 0.01  # probability of each class at the start of a head that gives boxes
SMALL_ENCODER = ResNetConfig(depth=14, width=8)


def detector(
    config: ResNetConfig | None = None, *, input_shape: tuple[int, ...] | None = None, **settings: Any
) -> ResNet:
    """A network that finds things and says where they are, with fresh weights: any ResNet as its body.

    Where the stages go below a quarter of the image's size, a decoder as that of `unet` leads back to it; there each
    place answers with a box. `reswork.tasks.Detection` turns that into boxes without double ones.

    Args:
        config: settings of the body; None: a small one, 62,000 weights with its head.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``detector(depth=20, residual=False, num_classes=6)``.

    Raises:
        InvalidSetting: for settings that make no network, or one that does not fit ``input_shape``.

    Example:
        >>> model = detector(num_classes=6)
        >>> model.config.label, tuple(model(torch.rand(1, 3, 45, 64)).shape)
        ('Detector on ResNet-14', (1, 11, 12, 16))
    """
    return resnet(config or SMALL_BODY, input_shape=input_shape, **(settings | {"head": "boxes"}))


SMALL_BODY = ResNetConfig(depth=14, width=8)


def retinanet(
    config: ResNetConfig | None = None, *, input_shape: tuple[int, ...] | None = None, **settings: Any
) -> ResNet:
    """The RetinaNet of torchvision on any ResNet as its body, with fresh weights.

    Several levels of places with nine anchors each, for things of many sizes in one picture; `detector` has one level
    and no anchors, and costs less. Learned, judged and shown in the same way.

    Args:
        config: settings of the body; None: a small one, 172,000 weights with its head.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``retinanet(depth=20, residual=False, num_classes=6)``.

    Raises:
        InvalidSetting: for settings that make no network, or one that does not fit ``input_shape``.

    Reference:
        arXiv 1708.02002.

    Example:
        >>> model = retinanet(num_classes=6)
        >>> model.config.label, tuple(model(torch.rand(1, 3, 48, 48)).shape)
        ('RetinaNet on ResNet-14', (1, 1701, 18))
    """
    return resnet(config or SMALL_BODY, input_shape=input_shape, **(settings | {"head": "retinanet"}))


def edsr(
    config: ResNetConfig | None = None, *, input_shape: tuple[int, int, int] | None = None, **settings: Any
) -> ResNet:
    """A network that enlarges pictures, with fresh weights: stages at the small size, then a pixel shuffle.

    As EDSR it has no norms, no ReLU behind an addition, and as many channels in all stages; unlike EDSR it adds what
    it learned to the bicubic enlargement (``add_input``), and shuffles once at the very end.

    Args:
        config: settings of the stages; None: a small one of 47,000 weights.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``edsr(scale=3, depth=32, add_input=False)``.

    Raises:
        InvalidSetting: for settings that make no network.

    Reference:
        arXiv 1707.02921.

    Example:
        >>> model = edsr(scale=2)
        >>> model.config.label, tuple(model(torch.rand(1, 3, 33, 40)).shape)
        ('EDSR x2 on Pre-activation ResNet-14', (1, 3, 66, 80))
    """
    return _picture_net("edsr", config, input_shape, settings)


def vdsr(
    config: ResNetConfig | None = None, *, input_shape: tuple[int, int, int] | None = None, **settings: Any
) -> ResNet:
    """A network that enlarges pictures by bicubic interpolation and then learns what is missing, with fresh weights.

    As VDSR it works at the large size and adds its input at the end; ``residual=False`` is VDSR's own plain stack of
    layers. With ``scale=1`` it learns to take away noise, as DnCNN. It costs ``scale ** 2`` times what `edsr` does.

    Args:
        config: settings of the stages; None: a small one.
        input_shape: ``(C, H, W)``; where given, a net that does not fit says so before any weight exists.
        **settings: replace single settings, as ``vdsr(scale=3, residual=False)``.

    Raises:
        InvalidSetting: for settings that make no network.

    Reference:
        arXiv 1511.04587 (VDSR), 1608.03981 (DnCNN).

    Example:
        >>> tuple(vdsr(scale=1)(torch.rand(1, 3, 33, 40)).shape)
        (1, 3, 33, 40)
    """
    return _picture_net("vdsr", config, input_shape, settings)


def _picture_net(
    head: Head,
    config: ResNetConfig | None,
    input_shape: tuple[int, int, int] | None,
    settings: dict[str, Any],
) -> ResNet:
    settings = {"head": head, **({"scale": 2} if config is None else {}), **settings}
    settings.setdefault("num_classes", settings.get("in_channels", (config or SMALL_PICTURE_NET).in_channels))
    return resnet(config or SMALL_PICTURE_NET, input_shape=input_shape, **settings)


# no norms: they would take away what a picture's contrast is (EDSR, section 3.1); branches begin at nothing
SMALL_PICTURE_NET = ResNetConfig(
    depth=14, width=20, norm="none", order="pre", residual_scaling="none", num_classes=3
)


def fan_mode(config: ResNetConfig) -> Literal["fan_in", "fan_out"]:
    """What He's initialisation keeps level: gradients ("fan_out", as torchvision) or signals ("fan_in").

    A norm levels the signals anyway. Without one, and without Fixup's own rules (which count "fan_out" too),
    "fan_out" lets a stem of one input channel pass on a third of the signal: on digits SkipInit then learned
    nothing at depth 110, and with "fan_in" it reached an error of 3 % in two of three starts.
    """
    return "fan_in" if config.norm == "none" and config.residual_scaling != "fixup" else "fan_out"


def _stem_convs(stem: StemPlan, config: ResNetConfig) -> nn.Module:
    """One convolution, ResNet-D's three with norm and ReLU between them, or for rows of a table a linear layer."""
    if not config.dims:
        return nn.Linear(stem.convs[0].in_channels, stem.convs[0].channels)
    layers: list[nn.Module] = []
    for conv in stem.convs:
        if layers:
            layers += [norm(conv.in_channels, config), nn.ReLU()]
        layers.append(convolution(conv, config, in_block=False))
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
