"""CKA, against the definition of unbiased HSIC: a mean over all ordered quadruples of images."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes import cka
from tests.probes.looking import cifar, images, net, published
from tests.probes.test_channels import plain_output


def slow_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, equation 4 as a U-statistic: mean of k_ij (l_ij + l_qr - 2 l_iq)."""
    k, l = x @ x.T, y @ y.T  # noqa: E741
    terms = [
        k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q]) for i, j, q, r in itertools.permutations(range(len(x)), 4)
    ]
    return float(np.mean(terms))


def test_equal_to_the_definition() -> None:
    model, x = net(), images(7)
    names = ["conv1", "layer2.0", "layer3.1.conv2", "fc"]
    outputs = [plain_output(model, x, name).reshape(7, -1).astype(np.float64) for name in names]
    found = cka(model, x, layers=names)
    for row, one in enumerate(outputs):
        for column, two in enumerate(outputs):
            norm = np.sqrt(slow_hsic(one, one) * slow_hsic(two, two))
            assert found.values[row, column] == pytest.approx(slow_hsic(one, two) / norm, abs=1e-4)


def test_batches_are_summed_before_the_ratio() -> None:
    model, x = net(), images(10)
    one, two = (plain_output(model, x, name).reshape(10, -1).astype(np.float64) for name in ("conv1", "fc"))
    halves = [slice(0, 5), slice(5, 10)]
    cross, first, second = (
        sum(slow_hsic(a[half], b[half]) for half in halves) for a, b in ((one, two), (one, one), (two, two))
    )
    found = cka(model, x, layers=["conv1"], other_layers=["fc"], batch_size=5)
    assert found.values[0, 0] == pytest.approx(cross / np.sqrt(first * second), abs=1e-4)


def test_rotation_and_scale_do_not_matter_and_unrelated_is_zero() -> None:
    torch.manual_seed(0)
    rotation = nn.Linear(16, 16)
    nn.init.orthogonal_(rotation.weight)
    model = nn.Sequential(nn.Identity(), rotation, nn.Linear(16, 16))
    found = cka(model, torch.randn(400, 16), layers=["0", "1"])
    assert np.allclose(found.values, 1, atol=1e-4) and found.same_network

    class Noise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.randn(len(x), 30)

    other = nn.Sequential(Noise())
    found = cka(model, torch.randn(400, 16), other, layers=["0"], other_layers=["0"])
    assert abs(found.values[0, 0]) < 0.05 and not found.same_network


def test_a_layer_that_says_nothing_has_no_similarity() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Threshold(1e9, 0.0))
    found = cka(model, torch.randn(8, 4), layers=["0", "1"])
    assert found.values[0, 0] == pytest.approx(1) and np.isnan(found.values[1]).all()


def test_two_networks_by_blocks() -> None:
    found = cka(net(), images(), net(depth=8))
    assert found.values.shape == (6, 3) and found.columns == ("layer1.0", "layer2.0", "layer3.0")


def test_few_images_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="3 images"):
        cka(net(), images(3))
    with pytest.raises(InvalidSetting, match="batches of 3"):
        cka(net(), images(6), batch_size=3)
    with pytest.raises(InvalidSetting, match="5 images in batches of 4"):
        cka(net(), images(5), batch_size=4)
    with pytest.raises(InvalidSetting, match="name at least one"):
        cka(net(), images(6), layers=[])


def test_on_the_published_network_neighbours_are_alike() -> None:
    values = cka(published(), cifar(200)[0], batch_size=100).values
    assert np.allclose(np.diag(values), 1) and np.allclose(values, values.T)
    assert np.diag(values, 1).mean() > values[0, -1] + 0.2
