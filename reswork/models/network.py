"""The whole network: stem, stages of blocks, head."""

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reswork.models.blocks import CONVOLUTIONS, ResidualBlock, convolution, norm
from reswork.models.config import ResNetConfig
from reswork.models.heads import DECODERS, classifier
from reswork.models.plan import LAST_ACTIVATION, StemPlan, block_plans, stem_plan
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

        By the config's ``dims`` also signals ``(N, C, L)``, volumes ``(N, C, D, H, W)`` or rows ``(N, F)``; by its
        ``vocabulary`` tokens, int64, ``(N, L)``.
        """
        if self.embedding is not None:
            x = self.embedding(x).transpose(1, 2)  # (N, L) -> (N, C, L)
        if self.decoder is not None:
            return self.decoder(self.features(x), (x.shape[2], x.shape[3]))
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # as `features`, but keeps no stage's output
        for name in self.stage_names:
            x = getattr(self, name)(x)  # each stage after the first: twice the channels, half the size
        for name in self.last_names:
            x = getattr(self, name)(x)
        x = torch.flatten(self.avgpool(x), 1)  # (N, channels)
        return self.fc(x)

    @property
    def last_layer(self) -> nn.Linear | nn.Conv2d:
        """The layer that gives the logits."""
        return self.fc if self.decoder is None else self.decoder.last

    def _initialise(self, config: ResNetConfig) -> None:
        """He's initialisation; then each branch's own start. The last layer keeps PyTorch's."""
        mode = fan_mode(config)
        for module in self.modules():
            if isinstance(module, CONVOLUTIONS) and module is not self.last_layer:
                nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        blocks = [module for module in self.modules() if isinstance(module, ResidualBlock)]
        branches = sum(block.plan.shortcut != "none" and bool(block.plan.branch) for block in blocks)
        for block in blocks:
            block.scale_branch(branches, zero_norm=config.zero_init_last_norm)
        if config.residual_scaling == "fixup":
            for parameter in (self.last_layer.weight, self.last_layer.bias):
                nn.init.zeros_(parameter)  # type: ignore[arg-type]  # both last layers have a bias


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


SMALL_ENCODER = ResNetConfig(depth=14, width=8)


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
