import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

import reswork as rw


def test_our_own_networks_have_their_sheet() -> None:
    config = rw.ResNetConfig(depth=14)
    assert rw.probes.outline(rw.resnet(config), torch.rand(1, 3, 32, 32)) == rw.spec_sheet(config)


@pytest.mark.parametrize(("make", "depth"), [(resnet18, 18), (resnet50, 50)])
def test_torchvisions_networks_have_the_blocks_of_ours(make, depth) -> None:
    found = rw.probes.outline(make(num_classes=10), torch.rand(1, 3, 64, 64))
    ours = rw.spec_sheet(rw.ResNetConfig(depth=depth), (3, 64, 64))
    assert found.parameters == ours.parameters
    for theirs, own in zip(found.blocks, ours.blocks, strict=True):
        assert theirs == own


def test_a_network_without_blocks_is_all_stem_and_can_be_drawn() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    found = rw.probes.outline(net, torch.rand(1, 3, 8, 8))
    assert found.blocks == () and found.output_shape == (5,)
    assert "Sequential: 0 blocks" in rw.figures.network(found).layout.meta["summary"]


@pytest.mark.parametrize(
    ("net", "images", "words"),
    [
        (nn.Conv1d(12, 8, 7), torch.rand(2, 12, 64), r"signals \(N, C, length\)"),
        (nn.Conv3d(1, 8, 3), torch.rand(1, 1, 8, 8, 8), "volumes"),
        (nn.Conv2d(3, 8, 3), torch.rand(3, 8, 8), r"of shape \(3, 8, 8\)"),
    ],
)
def test_signals_volumes_and_single_pictures_are_told_apart(net, images, words) -> None:
    with pytest.raises(rw.InvalidSetting, match=words):
        rw.probes.outline(net, images)
    if images.shape[0] != 3:
        for probe in (rw.probes.attribution, rw.probes.stage_attributions, rw.probes.trust):
            with pytest.raises(rw.InvalidSetting, match=words):
                probe(net, images)
