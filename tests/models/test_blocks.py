"""The small layers, each against the plain formula."""

import pytest
import torch

from reswork.models.blocks import Bias, FixupConv2d, FixupLinear, PaddedShortcut, Scale


@pytest.mark.parametrize(("channels", "stride"), [(8, 2), (7, 1), (5, 2)])
def test_padded_shortcut(channels: int, stride: int) -> None:
    shortcut = PaddedShortcut(4, channels, stride)
    x = torch.randn(2, 4, 7, 6)
    out = shortcut(x)
    front = (channels - 4) // 2
    assert out.shape == (2, channels, -(-7 // stride), -(-6 // stride))
    assert torch.equal(out[:, front : front + 4], x[:, :, ::stride, ::stride])
    assert not out[:, :front].any() and not out[:, front + 4 :].any()
    assert not list(shortcut.parameters()) and not shortcut.state_dict()
    assert repr(shortcut) == f"PaddedShortcut(stride={stride}, front={front}, back={channels - 4 - front})"


@pytest.mark.parametrize("stride", [1, 2])
def test_padded_shortcut_keeps_channels_last(stride: int) -> None:
    x = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    out = PaddedShortcut(16, 32, stride)(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    out.square().sum().backward()
    assert x.grad is not None and x.grad.is_contiguous(memory_format=torch.channels_last)


def test_learned_numbers() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(Scale(0.5)(x), x / 2)
    bias = Bias()
    torch.nn.init.constant_(bias.bias, 0.25)
    assert torch.equal(bias(x), x + 0.25)


def test_fixup_layers_shift_their_input() -> None:
    conv, linear = FixupConv2d(3, 5, 3, 2, 1), FixupLinear(4, 2)
    for layer, x in ((conv, torch.randn(2, 3, 6, 6)), (linear, torch.randn(2, 4))):
        before = layer(x)
        torch.nn.init.constant_(layer.input_bias, 0.5)
        after = layer(x)
        torch.nn.init.zeros_(layer.input_bias)
        assert torch.equal(after, layer(x + 0.5)) and not torch.equal(after, before)
    assert conv.bias is None
