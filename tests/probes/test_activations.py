import numpy as np
import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes import activation_histograms
from tests.probes.looking import images, net
from tests.probes.test_channels import plain_output


def test_numbers_are_those_of_all_values_at_once() -> None:
    model, x = net(), images(20)
    names = ("conv1", "layer1.0.relu1", "layer3.1")
    found = activation_histograms(model, x, layers=names, bins=30, batch_size=7)
    assert found.layers == names and found.edges.shape == (31,)
    for index, name in enumerate(names):
        output = plain_output(model, x, name)
        assert found.zeros[index] == pytest.approx((output == 0).mean())
        assert found.dead[index] == pytest.approx((output == 0).all(axis=(0, 2, 3)).mean())
        assert found.means[index] == pytest.approx(output.mean(dtype=np.float64), abs=1e-6)
        assert found.deviations[index] == pytest.approx(output.std(dtype=np.float64), rel=1e-5)
        expected = np.histogram(
            np.clip(output.astype(np.float64), found.edges[0], found.edges[-1]), found.edges
        )[0]
        assert (
            np.abs(found.counts[index] - expected).sum() <= 4
        )  # a batch of another size may round otherwise
        assert found.counts[index].sum() == output.size


def test_blocks_are_the_usual_layers() -> None:
    found = activation_histograms(net(), images(2))
    assert found.layers == net().config.block_names
    assert (found.zeros > 0).all() and (found.edges[0] == 0 or found.edges[0] > -1e-6)


def test_what_is_not_finite_is_counted_apart() -> None:
    x = torch.tensor([[1.0, float("nan")], [float("inf"), 0.0]])
    found = activation_histograms(nn.Sequential(nn.Identity()), x, layers=["0"], bins=4)
    assert found.not_finite.tolist() == [2] and found.counts.sum() == 2 and found.zeros[0] == 0.5
    nothing = activation_histograms(nn.Sequential(nn.Identity()), x * float("nan"), layers=["0"], bins=4)
    assert nothing.counts.sum() == 0 and np.isnan(nothing.means[0])


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidSetting, match="bins=0"):
        activation_histograms(net(), images(), bins=0)
    with pytest.raises(InvalidSetting, match="name at least one"):
        activation_histograms(net(), images(), layers=[])
    with pytest.raises(InvalidSetting, match="batch_size=0"):
        activation_histograms(net(), images(), batch_size=0)
