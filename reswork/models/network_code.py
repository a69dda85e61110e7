"""A network as plain PyTorch source: only what this one network needs, each block written out."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from reswork.models.blocks import (
    Bias,
    FixupConv2d,
    FixupLinear,
    PaddedShortcut,
    PaddedSignalShortcut,
    Scale,
)
from reswork.models.config import ResNetConfig
from reswork.models.layout import CONVS, MASK_HEADS, PICTURE_HEADS
from reswork.models.network import SMALL, fan_mode
from reswork.models.plan import (
    LAST_ACTIVATION,
    BlockPlan,
    LevelPlan,
    block_plans,
    decoder_plans,
    norm_groups,
    score_plans,
    shuffled_conv,
    stem_plan,
)

CHANNELS = {  # what a convolution of a block is called with: input and output channels
    "basic": {"conv1": ("in_channels", "channels"), "conv2": ("channels", "channels")},
    "pruned": {"conv1": ("in_channels", "inner"), "conv2": ("inner", "channels")},
    "bottleneck": {
        "conv1": ("in_channels", "inner"),
        "conv2": ("inner", "inner"),
        "conv3": ("inner", "channels"),
    },
}
_LINEARS = {
    "linear1": "in_channels, 2 * channels",
    "linear2": "2 * channels, channels",
}  # of a row of a table


def network_imports(config: ResNetConfig) -> list[str]:
    """Import lines that `network_code` relies on, beside ``torch`` and ``nn``."""
    plans = block_plans(config.resolved())
    names = []
    if config.squeeze_excitation:
        names.append("SqueezeExcitation")
    if any("stochastic_depth" in plan.branch for plan in plans):
        names.append("StochasticDepth")
    padded = any(plan.shortcut == "padding" for plan in plans)
    enlarged = config.head in PICTURE_HEADS and config.scale > 1
    needs_functions = padded or config.head in MASK_HEADS or enlarged
    lines = ["import torch.nn.functional as F"] if needs_functions else []
    lines.append("from torch import Tensor, nn")
    return [*lines, f"from torchvision.ops import {', '.join(names)}"] if names else lines


def network_code(config: ResNetConfig, *, checkpointed: bool = False) -> str:
    """Classes and functions that build exactly this network: same state_dict keys, same start for the same seed.

    Args:
        config: the network.
        checkpointed: compute blocks twice in training instead of keeping what is inside them.

    Returns:
        Source with the class ``ResNet``, which takes no argument.
    """
    return "\n\n\n".join(_Writer(config, checkpointed).sections()) + "\n"


class _Writer:
    """Writes the source of one network."""

    def __init__(self, config: ResNetConfig, checkpointed: bool) -> None:
        self.config = config.resolved()
        self.stages = block_plans(self.config)
        self.levels = decoder_plans(self.config)
        self.plans = (*self.stages, *(level.block for level in self.levels))
        self.checkpointed = checkpointed
        self.dims = config.dims
        self.decoded = config.head in MASK_HEADS
        self.gives_picture = config.head in PICTURE_HEADS
        self.fixup = config.residual_scaling == "fixup"
        self.normed = config.norm != "none" or self.fixup  # Fixup has biases in the norms' places
        self.kinds = _kinds(self.plans)
        self.pruned = config.inner_channels is not None

    def _channels(self, plan: BlockPlan) -> dict[str, tuple[str, str]]:
        return CHANNELS["pruned" if self.pruned and plan.kind == "basic" else plan.kind]

    def _has_inner(self, plan: BlockPlan) -> bool:
        return bool(plan.branch) and (plan.kind == "bottleneck" or self.pruned)

    def sections(self) -> list[str]:
        """Functions and classes, each after what it uses."""
        parts = [inspect.getsource(piece).rstrip() for piece in self._pieces()]
        if any(plan.shortcut == "projection" for plan in self.plans):
            parts.append(self._projection())
        parts += [self._block_class(name, plans) for name, plans in self.kinds.items()]
        if self.decoded:
            parts += [self._merge()] if self.levels else []
            parts.append(self._decoder() if self.config.head == "unet" else self._scores())
        if self.gives_picture:
            parts += [_ENLARGED.replace("SCALE", str(self.config.scale))] * (self.config.scale > 1) + [
                self._picture_decoder()
            ]
        return [*parts, self._net(), *[self._start()] * (self.dims > 0)]

    def _pieces(self) -> list[type | Callable[..., object]]:
        """Small layers of this package that the network uses; their source stands for itself."""
        pieces: list[type | Callable[..., object]] = []
        if self.config.norm == "group":
            pieces.append(norm_groups)
        if any(plan.shortcut == "padding" for plan in self.plans):
            pieces += [PaddedShortcut] + [PaddedSignalShortcut] * (self.dims != 2)
        if any("scale" in plan.branch for plan in self.plans):
            pieces.append(Scale)
        if self.fixup:
            pieces += [Bias, FixupConv2d] + [FixupLinear] * (not self.decoded)
        return pieces

    def _conv(self, sizes: str, kernel: int, stride: str, groups: int = 1, *, in_block: bool = True) -> str:
        settings = [sizes, str(kernel)]
        settings += [stride] if stride != "1" else []
        settings += [f"padding={kernel // 2}"] if kernel > 1 else []
        settings += [f"groups={groups}"] if groups > 1 else []
        if self.fixup and in_block:
            return f"FixupConv2d({', '.join(settings)})"
        settings += [] if self.config.norm == "none" and not self.fixup else ["bias=False"]
        return f"nn.Conv{self.dims}d({', '.join(settings)})"

    def _norm(self, channels: str) -> str:
        if self.fixup:
            return "Bias()"
        group = f"nn.GroupNorm(norm_groups({channels}), {channels})"
        return f"nn.BatchNorm{max(1, self.dims)}d({channels})" if self.config.norm == "batch" else group

    def _projection(self) -> str:
        normed = any(plan.normed_projection for plan in self.plans)
        layers = [self._conv("in_channels, channels", 1, "stride")] + [self._norm("channels")] * normed
        return _lines(
            "def projection(in_channels: int, channels: int, stride: int) -> nn.Sequential:",
            '    """A shortcut across a change of shape: a 1x1 convolution."""',
            "    return nn.Sequential(",
            *(f"        {layer}," for layer in layers),
            "    )",
        )

    def _block_class(self, name: str, plans: Sequence[BlockPlan]) -> str:
        plan = plans[0]
        downsampled = [each.shortcut in ("padding", "projection") for each in plans]
        strided = any(each.stride > 1 for each in plans)
        required = ["in_channels: int"] * bool(plan.branch or plan.shared)
        required += ["channels: int"] * bool(plan.branch)
        required += ["inner: int"] * self._has_inner(plan)
        required += ["downsample: nn.Module"] * all(downsampled)
        optional = ["stride: int = 1"] * (strided and bool(plan.branch))
        optional += ["downsample: nn.Module | None = None"] * (any(downsampled) and not all(downsampled))
        optional += ["drop: float = 0.0"] * ("stochastic_depth" in plan.branch)
        layers = [(layer, self._layer(layer, plan, strided)) for layer in self._names(plan.layer_names)]
        return _lines(
            f"class {name}(nn.Module):",
            f'    """{self._formula(plan)}"""',
            "",
            *_signature(["self", *required, *optional]),
            "        super().__init__()",
            *(f"        self.{layer} = {made}" for layer, made in layers),
            *["        self.downsample = downsample"] * any(downsampled),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *(f"        {line}" for line in self._forward(plan, downsampled)),
        )

    def _formula(self, plan: BlockPlan) -> str:
        """The block's layers in one line, for its docstring."""
        branch = " ".join(self._names(plan.branch))
        inside = {"none": branch, "identity": f"{branch} + x"}.get(plan.shortcut, f"{branch} + shortcut")
        whole = inside if branch else "shortcut only"
        return " | ".join(
            part for part in (" ".join(self._names(plan.shared)), whole, " ".join(plan.after)) if part
        )

    def _names(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if self.normed or not name.startswith("bn")]

    def _layer(self, name: str, plan: BlockPlan, strided: bool) -> str:
        kind = name.rstrip("0123456789")
        if kind == "conv":
            conv = plan.convs[name]
            divides = strided and name == ("conv1" if plan.kind == "basic" else "conv2")
            sizes = ", ".join(self._channels(plan)[name])
            return self._conv(sizes, conv.kernel, "stride" if divides else "1", conv.groups)
        if kind == "linear":
            sizes = _LINEARS[name]
            return f"nn.Linear({sizes.replace('2 * channels', 'inner') if self.pruned else sizes})"
        if kind == "bn":
            channels = "in_channels"  # as the convolution before it calls them, or the block's input
            for layer in plan.layer_names[: plan.layer_names.index(name)]:
                channels = self._channels(plan).get(layer, ("", channels))[1]
            return self._norm(channels)
        scale = 0.0 if self.config.residual_scaling == "skipinit" and plan.shortcut != "none" else 1.0
        return {
            "relu": "nn.ReLU()",
            "dropout": f"nn.Dropout({self.config.dropout!r})",
            "se": "SqueezeExcitation(channels, max(8, channels // 16))",
            "scale": f"Scale({scale})",
            "stochastic_depth": 'StochasticDepth(drop, "batch")',
        }[kind]

    def _forward(self, plan: BlockPlan, downsampled: Sequence[bool]) -> list[str]:
        lines = [f"x = self.{name}(x)" for name in self._names(plan.shared)]
        shortcut = "x"
        if any(downsampled):
            shortcut = "self.downsample(x)"
            shortcut = shortcut if all(downsampled) else f"(x if self.downsample is None else {shortcut})"
        source = "x"
        for name in self._names(plan.branch):
            lines.append(f"out = self.{name}({source})")
            source = "out"
        if not plan.branch:
            lines.append(
                f"out = {shortcut.removeprefix('(').removesuffix(')') if ' if ' in shortcut else shortcut}"
            )
        elif plan.shortcut != "none":
            lines.append(f"out = out + {shortcut}  # y = F(x) + x")
        return [*lines, *(f"out = self.{name}(out)" for name in self._names(plan.after)), "return out"]

    def _merge(self) -> str:
        level = self.levels[0]
        normed = "channels" if level.norm_channels == level.conv.channels else "in_channels"
        makers = {
            "conv": self._conv("in_channels, channels", 3, "1", in_block=False),
            "bn": self._norm(normed),
            "relu": "nn.ReLU()",
        }
        names = self._names(level.merge)
        return _lines(
            "class Merge(nn.Module):",
            '    """Upsamples, puts the encoder\'s output of that size beside it, and mixes both."""',
            "",
            "    def __init__(self, in_channels: int, channels: int) -> None:",
            "        super().__init__()",
            *(f"        self.{name} = {makers[name]}" for name in names),
            "",
            "    def forward(self, x: Tensor, size: torch.Size, skip: Tensor | None = None) -> Tensor:",
            '        x = F.interpolate(x, size=size, mode="nearest")',
            "        if skip is not None:",
            "            x = torch.cat((skip, x), dim=1)",
            *(f"        x = self.{name}(x)" for name in names),
            "        return x",
        )

    def _decoder(self) -> str:
        channels = self.plans[-1].channels
        last = self._names(LAST_ACTIVATION.get(self.config.order, ()))
        body = []
        for level in self.levels:
            body.append(f"self.merge{level.place} = Merge({level.conv.in_channels}, {level.conv.channels})")
            number = self.plans.index(level.block) + 1
            body.append(
                f"self.layer{level.place} = nn.Sequential({self._block(level.block).format(i=number)})"
            )
        body += self._last(last, channels)
        body.append(f"self.last = nn.Conv2d({channels}, {self.config.num_classes}, 1)")
        taken = ", ".join([*(_skip(level) for level in reversed(self.levels) if level.skip_channels), "x"])
        run = [f"{taken} = features"] if self.levels else ["(x,) = features"]
        for level in self.levels:
            skip = _skip(level)
            given = f"{skip}.shape[2:], {skip}" if level.skip_channels else "size"
            run.append(f"x = self.layer{level.place}(self.merge{level.place}(x, {given}))")
        run += [f"x = self.{name}(x)" for name in last]
        return _lines(
            "class Decoder(nn.Module):",
            '    """From the outputs of the stages, the finest first, back to the size of the images."""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in body),
            "",
            "    def forward(self, features: list[Tensor], size: torch.Size) -> Tensor:",
            *(f"        {line}" for line in run),
            "        return self.last(x)",
        )

    def _scores(self) -> str:
        """An FCN's head: the scores of each stage, enlarged and added up."""
        plans = score_plans(self.config)
        last = self._names(LAST_ACTIVATION.get(self.config.order, ()))
        made = [
            f"self.{name} = nn.Conv2d({conv.in_channels}, {conv.channels}, 1)" for name, conv in plans.items()
        ]
        finer = [name.removeprefix("score") for name in plans if name != "last"]
        taken = ", ".join([*(f"x{place}" for place in reversed(finer)), "x"])
        run = [f"{taken} = features" if finer else "(x,) = features"]
        run += [f"x = self.{name}(x)" for name in (*last, "last")]
        for place in finer:
            enlarged = f'F.interpolate(x, size=x{place}.shape[2:], mode="nearest")'
            run.append(f"x = {enlarged} + self.score{place}(x{place})")
        result = "x" if self.config.stem == "cifar" else 'F.interpolate(x, size=size, mode="nearest")'
        return _lines(
            "class Decoder(nn.Module):",
            '    """Scores of the stages, the finest given first, back to the size of the images."""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in (*self._last(last, self.stages[-1].channels), *made)),
            "",
            "    def forward(self, features: list[Tensor], size: torch.Size) -> Tensor:",
            *(f"        {line}" for line in run),
            f"        return {result}",
        )

    def _last(self, names: Iterable[str], channels: int) -> list[str]:
        return [
            f"self.{name} = {'nn.ReLU()' if name == 'relu_last' else self._norm(str(channels))}"
            for name in names
        ]

    def _net(self) -> str:
        stages = {
            plan.stage: [each for each in self.stages if each.stage == plan.stage] for plan in self.stages
        }
        body = [*self._stem()]
        for stage, plans in stages.items():
            body += [f"self.layer{stage} = nn.Sequential(", *self._stage(plans), ")"]
        channels, last = self.stages[-1].channels, LAST_ACTIVATION.get(self.config.order, ())
        linear = "FixupLinear" if self.fixup else "nn.Linear"
        if self.decoded or self.gives_picture:
            body.append("self.decoder = Decoder()")
        else:
            pool = "AdaptiveAvgPool2d((1, 1))" if self.dims == 2 else f"AdaptiveAvgPool{self.dims}d(1)"
            body += self._last(self._names(last), channels)
            body += [f"self.avgpool = nn.{pool}"] * (self.dims > 0)
            body.append(f"self.fc = {linear}({channels}, {self.config.num_classes})")
        return _lines(
            "class ResNet(nn.Module):",
            f'    """{self.config.label.removesuffix(" without the addition")}: {self._in_and_out()}."""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in body),
            *["        initialise(self)"] * (self.dims > 0),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *(f"        {line}" for line in self._net_forward(list(stages), last)),
        )

    def _in_and_out(self) -> str:
        """Shapes of what goes in and of what comes out, for the docstring."""
        channels, answers = self.config.in_channels, self.config.num_classes
        if self.gives_picture:
            side = "" if self.config.scale == 1 else f"{self.config.scale} * "
            return f"pictures (N, {channels}, H, W) -> (N, {answers}, {side}H, {side}W)"
        if self.config.vocabulary is not None:
            return f"tokens, int64, (N, L) -> (N, {answers})"
        if self.dims != 2:
            shape = {0: f"rows (N, {channels})", 1: f"signals (N, {channels}, L)"}
            return f"{shape.get(self.dims, f'volumes (N, {channels}, D, H, W)')} -> (N, {answers})"
        return f"images (N, {channels}, H, W) -> logits (N, {answers}{', H, W' * self.decoded})"

    def _stem(self) -> list[str]:
        stem = stem_plan(self.config)
        if not self.dims:
            return [f"self.conv1 = nn.Linear({stem.convs[0].in_channels}, {stem.convs[0].channels})"]
        convs: list[str] = []
        for conv in stem.convs:
            if convs:
                convs += [self._norm(str(conv.in_channels))] * self.normed + ["nn.Identity()"] * (
                    not self.normed
                )
                convs += ["nn.ReLU()"]
            sizes = f"{conv.in_channels}, {conv.channels}"
            convs.append(self._conv(sizes, conv.kernel, str(conv.stride), in_block=False))
        body = []
        if self.config.vocabulary is not None:
            sizes = f"{self.config.vocabulary}, {self.config.in_channels}"
            body.append(f"self.embedding = nn.Embedding({sizes}, padding_idx=0)")
        if len(convs) == 1:
            body.append(f"self.conv1 = {convs[0]}")
        else:
            body += ["self.conv1 = nn.Sequential(", *(f"    {layer}," for layer in convs), ")"]
        body += [f"self.bn1 = {self._norm(str(stem.convs[-1].channels))}"] * self.normed + [
            "self.relu = nn.ReLU()"
        ]
        return body + [f"self.maxpool = nn.MaxPool{self.dims}d(3, stride=2, padding=1)"] * stem.pooling

    def _stage(self, plans: Sequence[BlockPlan]) -> list[str]:
        """Equal blocks on one line."""
        lines = []
        for text, group in groupby(plans, key=self._block):
            same = list(group)
            first = self.plans.index(same[0]) + 1
            if len(same) == 1:
                lines.append(f"    {text.format(i=first)},")
            else:
                span = f"{first}, {first + len(same)}" if "{i}" in text else f"{len(same)}"
                lines.append(
                    f"    *({text.format(i='i')} for {'i' if '{i}' in text else '_'} in range({span})),"
                )
        return lines

    def _block(self, plan: BlockPlan) -> str:
        """The call that makes a block; ``{i}`` stands for its number where the chance to be dropped needs it."""
        name = next(name for name, plans in self.kinds.items() if plan in plans)
        arguments = [str(plan.in_channels)] * bool(plan.branch or plan.shared)
        if plan.branch:
            arguments.append(str(plan.channels))
            if self._has_inner(plan):
                arguments.append(str(next(iter(plan.convs.values())).channels))
            arguments += [f"stride={plan.stride}"] if plan.stride > 1 else []
        padded = "PaddedShortcut" if self.dims == 2 else "PaddedSignalShortcut"
        make = {"padding": padded, "projection": "projection"}.get(plan.shortcut)
        if make:
            arguments.append(f"downsample={make}({plan.in_channels}, {plan.channels}, {plan.stride})")
        if "stochastic_depth" in plan.branch:
            arguments.append(f"drop={self.config.stochastic_depth!r} * {{i}} / {len(self.plans)}")
        return f"{name}({', '.join(arguments)})"

    def _net_forward(self, stages: Sequence[int], last: tuple[str, ...]) -> list[str]:
        stem = ["conv1"] + ["bn1"] * self.normed + ["relu"] + ["maxpool"] * stem_plan(self.config).pooling
        stem = stem if self.dims else ["conv1"]
        lines = [f"x = self.{name}(x)" for name in stem]
        if self.config.vocabulary is not None:
            lines.insert(0, "x = self.embedding(x).transpose(1, 2)  # (N, L) -> (N, C, L)")
        if self.decoded:
            return self._decoded_forward(lines, stages)
        if self.checkpointed:
            layers = ", ".join(f"*self.layer{stage}" for stage in stages)
            lines += [f"for block in [{layers}]:", "    x = checkpoint(block, x, use_reentrant=False)"]
        else:
            lines += [f"x = self.layer{stage}(x)" for stage in stages]
        if self.gives_picture:
            return self._picture_forward(lines)
        lines += [f"x = self.{name}(x)" for name in self._names(last)]
        return [
            *lines,
            "return self.fc(torch.flatten(self.avgpool(x), 1))" if self.dims else "return self.fc(x)",
        ]

    def _picture_forward(self, body: list[str]) -> list[str]:
        larger = "enlarged(x)" if self.config.scale > 1 else "x"
        if self.config.head == "vdsr":
            added = " + given" * self.config.add_input
            return [f"x = given = {larger}", *body, f"return self.decoder(x){added}"]
        if not self.config.add_input:
            return [*body, "return self.decoder(x)"]
        given = larger.replace("(x)", "(given)") if self.config.scale > 1 else "given"
        return ["given = x", *body, f"return self.decoder(x) + {given}  # learns what is missing"]

    def _picture_decoder(self) -> str:
        conv = shuffled_conv(self.config)
        last = self._names(LAST_ACTIVATION.get(self.config.order, ()))
        shuffled = self.config.head == "edsr"
        body = self._last(last, conv.in_channels)
        body.append(f"self.last = nn.Conv2d({conv.in_channels}, {conv.channels}, 3, padding=1)")
        body += [f"self.shuffle = nn.PixelShuffle({self.config.scale})"] * shuffled
        return _lines(
            "class Decoder(nn.Module):",
            f'    """The last convolution{", and its channels shuffled into pixels" * shuffled}."""',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in body),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *(f"        x = self.{name}(x)" for name in last),
            f"        return {'self.shuffle(self.last(x))' if shuffled else 'self.last(x)'}",
        )

    def _decoded_forward(self, stem: list[str], stages: Sequence[int]) -> list[str]:
        """Keeps the output of each stage, and of a stem that pools the one before its pooling."""
        pooling = [stem.pop()] if stem_plan(self.config).pooling else []
        inside = ["for block in stage:", "    x = checkpoint(block, x, use_reentrant=False)"]
        return [
            "size = x.shape[2:]",
            *stem,
            f"features = [{'x' if pooling else ''}]",
            *pooling,
            f"for stage in ({', '.join(f'self.layer{stage}' for stage in stages)},):",
            *(f"    {line}" for line in (inside if self.checkpointed else ["x = stage(x)"])),
            "    features.append(x)",
            "return self.decoder(features, size)",
        ]

    def _start(self) -> str:
        lines = [
            "@torch.no_grad()",
            "def initialise(model: ResNet) -> None:",
            '    """He\'s initialisation."""',
            "    for module in model.modules():",
            f"        if isinstance(module, nn.Conv{self.dims}d)"
            f"{' and module is not model.decoder.last' * (self.decoded or self.gives_picture)}:",
            f'            nn.init.kaiming_normal_(module.weight, mode="{fan_mode(self.config)}", nonlinearity="relu")',
            "            if module.bias is not None:",
            "                nn.init.zeros_(module.bias)",
        ]
        added = [
            name for name, plans in self.kinds.items() if plans[0].branch and plans[0].shortcut != "none"
        ]
        if added and (self.fixup or self.config.zero_init_last_norm):
            classes = added[0] if len(added) == 1 else f"({', '.join(added)})"
            lines += ["    for block in model.modules():", f"        if isinstance(block, {classes}):"]
            lines += [f"            {line}" for line in self._branch_start()]
        for name in score_plans(self.config):
            if name != "last":
                lines += [f"    nn.init.zeros_(model.decoder.{name}.{each})" for each in ("weight", "bias")]
        if self.gives_picture:
            lines += self._picture_start(added)
        if self.fixup:
            last = "model.decoder.last" if self.decoded or self.gives_picture else "model.fc"
            lines += [f"    nn.init.zeros_({last}.weight)", f"    nn.init.zeros_({last}.bias)"]
        return _lines(*lines)

    def _picture_start(self, added: Sequence[str]) -> list[str]:
        """Little is added to the input at first."""
        lines = [
            f"    nn.init.normal_(model.decoder.last.weight, std={SMALL!r})  # little is added at first",
            "    nn.init.zeros_(model.decoder.last.bias)",
        ]
        if added and self.config.norm == "none" and self.config.residual_scaling == "none":
            branches = sum(plan.shortcut != "none" and bool(plan.branch) for plan in self.plans)
            last = 2  # in both kinds of blocks the last convolution that is no 1x1
            classes = added[0] if len(added) == 1 else f"({', '.join(added)})"
            lines += [
                "    for block in model.modules():",
                f"        if isinstance(block, {classes}):",
                f"            block.conv{last}.weight.mul_({branches}**-0.5)",
            ]
        return lines

    def _branch_start(self) -> list[str]:
        last = CONVS[self.plans[0].kind]
        if not self.fixup:
            return [f"nn.init.zeros_(block.bn{last}.weight)  # each block starts as its shortcut"]
        branches = sum(plan.shortcut != "none" and bool(plan.branch) for plan in self.plans)
        scaled = [f"block.conv{i}.weight.mul_({branches} ** (-1 / {2 * last - 2}))" for i in range(1, last)]
        return [
            *scaled,
            f"nn.init.zeros_(block.conv{last}.weight)  # Fixup (arXiv 1901.09321), rules 1 and 2",
        ]


_ENLARGED = '''def enlarged(x: Tensor) -> Tensor:
    """Larger by bicubic interpolation, with the kernel of the papers (antialias=True)."""
    size = [x.shape[2] * SCALE, x.shape[3] * SCALE]
    return F.interpolate(x, size=size, mode="bicubic", antialias=True, align_corners=False)'''


def _kinds(plans: Sequence[BlockPlan]) -> dict[str, list[BlockPlan]]:
    """Blocks by the class that they need: one class for each sequence of layers."""
    found: dict[tuple[object, ...], list[BlockPlan]] = {}
    for plan in plans:
        found.setdefault((plan.shared, plan.branch, plan.after, plan.shortcut == "none"), []).append(plan)
    names: dict[str, list[BlockPlan]] = {}
    for same in sorted(found.values(), key=len, reverse=True):  # the most frequent gets the plain name
        plan = same[0]
        base = "Block" if plan.kind == "basic" else "Bottleneck"
        if not names and plan.branch:
            name = base
        elif not plan.branch:
            name = "ShortcutOnly"
        elif plan.shortcut == "none":
            name = f"Plain{base}"
        else:
            name = f"Projection{base}" if plan.shared else f"First{base}"
        while name in names:
            name += "2"
        names[name] = same
    return names


def _skip(level: LevelPlan) -> str:
    """What the encoder's output for a level is called."""
    return "stem" if level.place == "_stem" else f"layer{level.place}"


def _signature(arguments: Sequence[str]) -> list[str]:
    """The head of ``__init__``, an argument a line where one line would be too long."""
    line = f"    def __init__({', '.join(arguments)}) -> None:"
    if len(line) <= 110:
        return [line]
    return ["    def __init__(", *(f"        {argument}," for argument in arguments), "    ) -> None:"]


def _lines(*lines: str) -> str:
    return "\n".join(lines)
