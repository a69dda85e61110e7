import numpy as np
import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes import filters
from tests.probes.looking import net


def test_kernels_and_norms() -> None:
    model = net()
    found = filters(model, layer="layer1.0.conv2")
    weight = model.layer1[0].conv2.weight.detach().numpy()
    assert np.array_equal(found.kernels, weight)
    assert np.allclose(found.norms, np.sqrt((weight**2).sum(axis=(1, 2, 3))), rtol=1e-6)
    assert np.allclose(found.singular_values, np.linalg.svd(weight.reshape(4, -1))[1], rtol=1e-5)


def test_the_spectrum_is_the_filters_answer_to_waves() -> None:
    """A wave goes in, the same wave comes out, as many times larger as the spectrum says."""
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False).double()
    size = 8
    found = filters(nn.Sequential(conv), layer="0", size=size)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    for u, v in ((0, 0), (1, 3), (4, 2)):
        angle = 2 * torch.pi * (u * rows + v * columns).double() / size
        gains = []
        for channel in range(2):
            waves = torch.zeros(2, 2, size, size, dtype=torch.float64)
            waves[0, channel], waves[1, channel] = angle.cos(), angle.sin()
            with torch.no_grad():
                real, imaginary = conv(waves)
            gains.append((real.square() + imaginary.square()).sqrt()[:, 0, 0])
        expected = torch.stack(gains).square().mean(dim=0).sqrt().numpy()
        # a convolution in networks is a correlation: the frequency's sign turns, its size does not
        shown = found.spectrum[:, (-u + size // 2) % size, (-v + size // 2) % size]
        assert np.allclose(shown, expected, rtol=1e-5)


def test_effective_rank() -> None:
    conv = nn.Conv2d(1, 4, 2, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.eye(4).reshape(4, 1, 2, 2))
    assert filters(nn.Sequential(conv), layer="0").effective_rank == pytest.approx(4)
    with torch.no_grad():
        conv.weight.copy_(torch.ones(4, 1, 2, 2))
    assert filters(nn.Sequential(conv), layer="0").effective_rank == pytest.approx(1, abs=1e-3)
    nn.init.zeros_(conv.weight)
    assert filters(nn.Sequential(conv), layer="0").effective_rank == 0


def test_only_convolutions_have_filters() -> None:
    with pytest.raises(
        InvalidSetting, match=r"'layer2\.0' is ResidualBlock, not a Conv2d.*'layer2\.0\.conv1'"
    ):
        filters(net(), layer="layer2.0")
    with pytest.raises(InvalidSetting, match="the model has none"):
        filters(nn.Sequential(nn.Linear(2, 2)), layer="0")
    with pytest.raises(InvalidSetting, match="size=2 is too small"):
        filters(net(), layer="conv1", size=2)
