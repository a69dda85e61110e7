import numpy as np
import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes import receptive_field
from tests.probes.looking import images, net


def test_influence_is_the_gradient_by_hand() -> None:
    model, x = net().eval(), images(5)
    found = receptive_field(model, x, layer="layer2.1", batch_size=2)
    seen = []
    handle = model.layer2[1].register_forward_hook(lambda *parts: seen.append(parts[2]))
    total = np.zeros((32, 32))
    for image in x:
        image = image[None].clone().requires_grad_()
        model(image)
        model.zero_grad()
        seen[-1][0, :, 8, 8].sum().backward()
        total += image.grad.abs().sum(dim=(0, 1)).numpy()
    handle.remove()
    assert found.position == (8, 8) and found.images == 5
    assert np.allclose(found.influence, total / total.sum(), atol=1e-6)


def test_nothing_outside_the_box_counts() -> None:
    for layer in ("conv1", "layer1.0.conv2", "layer2.0.conv1"):
        found = receptive_field(net(), images(4), layer=layer, position=(3, 4))
        outside = found.influence.copy()
        top, left, bottom, right = found.box
        outside[top:bottom, left:right] = 0
        assert not outside.any() and found.influence.sum() == pytest.approx(1)
        assert found.size is not None and found.effective_size <= found.size[0]


def test_sizes_of_a_known_field() -> None:
    """Means over 5 x 5: every pixel of the field counts alike."""
    found = receptive_field(nn.Sequential(nn.AvgPool2d(5, 1)), torch.randn(2, 1, 15, 15), layer="0")
    assert found.size == (5, 5) and found.box == (5, 5, 10, 10)
    assert found.effective_size == 5 and found.width_holding_half == 5
    assert np.count_nonzero(found.influence) == 25


def test_a_random_deep_net_uses_little_of_its_field() -> None:
    """Luo et al. 2016: with random weights the used part grows like the root of the depth."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(20)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    model = nn.Sequential(*layers).double()
    found = receptive_field(model, torch.randn(1, 1, 61, 61, dtype=torch.float64), layer="19")
    assert found.size == (41, 41)
    deviation = (20 * (3**2 - 1) / 12) ** 0.5  # of the sum of twenty uniform steps: 3.65 pixels
    gaussian = np.exp(-0.5 * ((np.arange(61) - 30) / deviation) ** 2)
    assert np.allclose(found.influence.sum(axis=0), gaussian / gaussian.sum(), atol=3e-3)
    assert 12 < found.effective_size < 20


def test_a_position_that_depends_on_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Threshold(1e9, 0.0))
    found = receptive_field(model, images(1), layer="1")
    assert not found.influence.any() and found.width_holding_half >= 1


def test_places_are_checked() -> None:
    with pytest.raises(InvalidSetting, match="outside the map of 8x8"):
        receptive_field(net(), images(), layer="layer3.1", position=(8, 0))
    with pytest.raises(InvalidSetting, match="gives a tensor of shape"):
        receptive_field(net(), images(), layer="fc")


def test_images_are_found_among_other_inputs() -> None:
    class Marked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, mark: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
            return self.conv(image) * mark[:, None, None, None]

    found = receptive_field(Marked(), {"mark": torch.ones(2), "image": images(2)}, layer="conv")
    assert found.box == (15, 15, 18, 18) and np.count_nonzero(found.influence) == 9
