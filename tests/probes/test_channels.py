import numpy as np
import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes import channel_examples, feature_maps
from tests.probes.looking import cifar, images, net, published


def plain_output(model: nn.Module, x: torch.Tensor, layer: str) -> np.ndarray:
    """The slow way: a hook by hand."""
    found = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *parts: found.append(parts[2].clone()))
    flags = [module.training for module in model.modules()]
    with torch.no_grad():
        model.eval()(x)
    handle.remove()
    for module, flag in zip(model.modules(), flags, strict=True):
        module.training = flag
    return found[-1].numpy()


def test_maps_are_the_layers_output_strongest_first() -> None:
    model, x = net(), images()
    output = plain_output(model, x, "layer2.0.conv1")
    found = feature_maps(model, x, layer="layer2.0.conv1", count=5)
    assert found.maps.shape == (6, 5, 16, 16) and found.total == 8 and found.uses == 1
    for index in range(len(x)):
        strengths = np.abs(output[index]).mean(axis=(1, 2))
        assert np.allclose(found.strengths[index], np.sort(strengths)[::-1][:5])
        assert np.array_equal(found.maps[index], output[index][found.channels[index]])
    assert np.array_equal(found.images, x.numpy())


@pytest.mark.parametrize(
    ("order", "measure"),
    [("max", np.max), ("deviation", np.std), ("mean_abs", lambda maps, axis: np.abs(maps).mean(axis))],
)
def test_every_order(order: str, measure: object) -> None:
    output = plain_output(net(), images(), "layer3.1")
    found = feature_maps(net(), images(), layer="layer3.1", order=order, count=99)  # type: ignore[arg-type]
    expected = np.argsort(-measure(output, axis=(2, 3)), axis=1, kind="stable")  # type: ignore[operator]
    assert np.array_equal(found.channels, expected)
    numbered = feature_maps(net(), images(), layer="layer3.1", order="index", count=3)
    assert (numbered.channels == [0, 1, 2]).all()


def test_a_shared_layer_shows_its_last_use() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(-self.relu(x))

    found = feature_maps(Twice(), images(2), layer="relu")
    assert found.uses == 2 and not found.maps.any()


def test_examples_are_those_of_a_slow_search() -> None:
    model, x = net(), images(20)
    output = plain_output(model, x, "layer2.1")[:, 5]
    found = channel_examples(model, x, layer="layer2.1", channel=5, count=4, batch_size=7)
    order = np.argsort(-output.max(axis=(1, 2)), kind="stable")[:4]
    assert np.array_equal(found.indices, order)
    for index, value, (row, column) in zip(found.indices, found.values, found.positions, strict=True):
        assert output[index, row, column] == pytest.approx(value, abs=1e-5)
        assert value == pytest.approx(output[index].max(), abs=1e-5)
    assert np.array_equal(found.images, x.numpy()[order])
    assert found.active == pytest.approx((output.max(axis=(1, 2)) > 0).mean()) and found.seen == 20


def test_only_the_box_matters() -> None:
    """Noise everywhere outside the box leaves the activation as it is."""
    model, x = net(depth=8), images(3)
    found = channel_examples(model, x, layer="layer1.0.conv1", channel=2, count=3)
    for image, (row, column), box, value in zip(
        found.images, found.positions, found.boxes, found.values, strict=True
    ):
        top, left, bottom, right = box
        assert (bottom - top, right - left) <= (5, 5)
        changed = np.random.default_rng(0).normal(size=image.shape).astype(np.float32)
        changed[:, top:bottom, left:right] = image[:, top:bottom, left:right]
        output = plain_output(model, torch.from_numpy(changed)[None], "layer1.0.conv1")
        assert output[0, 2, row, column] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("channel", [-1, 8, True, 1.5])
def test_channels_are_checked(channel: int) -> None:
    with pytest.raises(InvalidSetting, match="choose 0 to 7"):
        channel_examples(net(), images(), layer="layer2.0", channel=channel)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidSetting, match="choose one of 'mean_abs'"):
        feature_maps(net(), images(), layer="conv1", order="strong")  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="whole number"):
        feature_maps(net(), images(), layer="conv1", count=0)
    with pytest.raises(InvalidSetting, match=r"shape \(6, 1, 3, 4, 128\)"):
        feature_maps(
            nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Flatten(3)), torch.zeros(6, 3, 4, 128), layer="0"
        )


def test_on_the_published_network() -> None:
    x, labels = cifar(300)
    found = channel_examples(published(), x, layer="fc", channel=1, count=10)
    assert (labels[found.indices] == 1).all()  # the output for "automobile" likes automobiles best
    assert (found.boxes == [0, 0, 32, 32]).all()
