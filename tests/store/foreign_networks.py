"""Residual networks as other programs name and build them, written for the tests from their published descriptions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.store.checkpoint import Checkpoint, open_checkpoint

IMAGES = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def lively(net: nn.Module, seed: int = 0) -> nn.Module:
    """Norms with numbers of their own, so that another network shows in the answers; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.75, 1.25, generator=generator)
        if "norm" in type(module).__name__.lower() and isinstance(getattr(module, "weight", None), Tensor):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0, 0.1, generator=generator)
    return net.eval()


def opened(content: Any, folder: Path, **options: Any) -> Checkpoint:
    """What `open_checkpoint` makes of a file with this content."""
    torch.save(content, folder / "net.pt")
    return open_checkpoint(folder / "net.pt", **options)


@torch.no_grad()
def gap(found: Checkpoint, net: nn.Module, images: Tensor = IMAGES) -> float:
    """The largest difference of the answers, as a share of the largest answer."""
    assert found.model is not None, found.sentence
    wanted = net(images)
    wanted = wanted if isinstance(wanted, Tensor) else wanted.logits
    return float((found.model(images) - wanted).abs().max() / wanted.abs().max())


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class ShortcutBlock(nn.Module):
    """kuangliu's: names conv1, bn1, conv2, bn2, and ``shortcut`` in place of ``downsample``."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class PreActivationBlock(nn.Module):
    """kuangliu's: the first norm and ReLU feed branch and projection; an identity passes them by."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(out)))) + shortcut


class Small(nn.Module):
    """A CIFAR form of such blocks, with a ``linear`` at its end."""

    def __init__(
        self, block: type, *, stem_norm: bool = True, widths: tuple[int, ...] = (16, 32, 64)
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, widths[0])
        if stem_norm:
            self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for stage, width in enumerate(widths, start=1):
            blocks = [block(inputs, width, 2 if stage > 1 else 1), block(width, width, 1)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            inputs = width
        self.linear = nn.Linear(inputs, 7)
        self.stages = len(widths)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        if hasattr(self, "bn1"):
            x = F.relu(self.bn1(x))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.linear(x.mean((2, 3)))


class ResidualFunctionBlock(nn.Module):
    """weiaicunzai's: branch and shortcut are Sequentials."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual_function = nn.Sequential(
            conv(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            conv(outputs, outputs),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual_function(x) + self.shortcut(x))


class ResidualFunctionNet(nn.Module):
    """weiaicunzai's: four stages conv2_x to conv5_x behind a 3x3 stem."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(conv(3, 16), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        inputs = 16
        for stage, width in enumerate((16, 32, 64, 128), start=2):
            blocks = [
                ResidualFunctionBlock(inputs, width, 1 if stage == 2 else 2),
                ResidualFunctionBlock(width, width, 1),
            ]
            self.add_module(f"conv{stage}_x", nn.Sequential(*blocks))
            inputs = width
        self.fc = nn.Linear(128, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for stage in range(2, 6):
            x = getattr(self, f"conv{stage}_x")(x)
        return self.fc(x.mean((2, 3)))


class WideBlock(nn.Module):
    """xternalz' Wide ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs)
        self.same = inputs == outputs
        self.convShortcut = None if self.same else conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(out)
        return self.conv2(F.relu(self.bn2(self.conv1(out)))) + shortcut


class WideNet(nn.Module):
    """xternalz': block1 to block3, each with a ``layer`` of blocks, and a norm at the end."""

    def __init__(self, widen: int) -> None:
        super().__init__()
        self.conv1 = conv(3, 16)
        inputs = 16
        for stage, width in enumerate((16 * widen, 32 * widen, 64 * widen), start=1):
            group = nn.Module()
            group.layer = nn.Sequential(
                WideBlock(inputs, width, 1 if stage == 1 else 2), WideBlock(width, width, 1)
            )
            self.add_module(f"block{stage}", group)
            inputs = width
        self.bn1 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for stage in range(1, 4):
            x = getattr(self, f"block{stage}").layer(x)
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def renamed(state: dict[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    return {rename(name): value for name, value in state.items()}


def as_detectron2(name: str) -> str:
    """torchvision's name of a layer as detectron2 has it, behind ``backbone.bottom_up.``."""
    parts = name.split(".")
    kinds = {"bn1": "conv1.norm", "bn2": "conv2.norm", "bn3": "conv3.norm"}
    if parts[0] in ("conv1", "bn1"):
        inner = [f"stem.{kinds.get(parts[0], parts[0])}", *parts[1:]]
    elif parts[0] == "fc":
        return f"linear.{parts[1]}"
    else:
        stage = f"res{int(parts[0].removeprefix('layer')) + 1}"
        if parts[2] == "downsample":
            inner = [stage, parts[1], "shortcut" if parts[3] == "0" else "shortcut.norm", *parts[4:]]
        else:
            inner = [stage, parts[1], kinds.get(parts[2], parts[2]), *parts[3:]]
    return "backbone.bottom_up." + ".".join(inner)
