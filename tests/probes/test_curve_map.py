import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.probes import curve_map, volume_map
from tests.probes.looking import unchanged


def test_it_is_captums_grad_cam_along_one_axis() -> None:
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, dims=1, in_channels=2, num_classes=3).eval()
    signals = torch.randn(4, 2, 40)
    target = model(signals).argmax(1)
    wanted = LayerGradCam(model, model.layer3).attribute(signals, target=target, relu_attributions=True)
    wanted = LayerGradCam.interpolate(wanted, (40,), "linear")[:, 0].detach().numpy()
    with unchanged(model):
        found = curve_map(model, signals)
    np.testing.assert_allclose(found, wanted / np.maximum(wanted.max(1, keepdims=True), 1e-30), atol=1e-5)
    assert curve_map(model, signals, [0, 1, 2, 0], layer="layer2").shape == (4, 40)
    with pytest.raises(InvalidSetting, match="layer='layer9'"):
        curve_map(model, signals, layer="layer9")
    with pytest.raises(InvalidSetting, match="no moments"):
        curve_map(model, signals, layer="fc")


def test_of_volumes_it_is_captums_grad_cam_with_three_axes() -> None:
    torch.manual_seed(0)
    solids = rw.datasets.solids(train=2, test=2, size=12)
    model = rw.resnet(rw.config_for(solids, width=2)).eval()
    volumes = rw.datasets.normalise(solids.test.inputs, solids.mean, solids.std)
    explained = rw.tasks.explained_model(model, rw.tasks.task_for(solids), volumes)
    wanted = LayerGradCam(explained, explained.layer3).attribute(volumes, target=0, relu_attributions=True)
    wanted = LayerGradCam.interpolate(wanted, (12, 12, 12), "trilinear")[:, 0].detach().numpy()
    with unchanged(model):
        found = volume_map(explained, volumes, 0)
    largest = np.maximum(wanted.max((1, 2, 3), keepdims=True), 1e-30)
    np.testing.assert_allclose(found, wanted / largest, atol=1e-5)
    with pytest.raises(InvalidSetting, match="volume_map, activation_histograms"):
        rw.probes.attribution(model, volumes, method="grad_cam")
