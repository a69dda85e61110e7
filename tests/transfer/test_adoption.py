"""What is taken over, to the last bit, and what is refused, in one sentence."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from reswork import datasets
from reswork.datasets import Dataset, traffic
from reswork.datasets.augmentation import normalise
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.surgery.statistics import training_batches
from reswork.transfer import Source, adopt
from tests.transfer.conftest import drawn


def test_the_body_is_the_sources_and_the_head_is_new(source: ResNet, data: Dataset) -> None:
    before = {name: value.clone() for name, value in source.state_dict().items()}
    adopted = adopt(source, data, seed=5)
    now = adopted.model.state_dict()
    assert adopted.new == ("fc.weight", "fc.bias") and adopted.left == ()
    assert set(adopted.taken) == set(now) - set(adopted.new)
    assert all(torch.equal(now[name], before[name]) for name in adopted.taken)
    assert now["fc.weight"].shape == (4, 16)
    assert adopted.model.training and all(weight.requires_grad for weight in adopted.model.parameters())
    torch.manual_seed(5)  # the head is what a new network of this seed has
    fresh = resnet(depth=8, width=4, in_channels=1, num_classes=4)
    assert torch.equal(now["fc.weight"], fresh.fc.weight)
    assert all(torch.equal(value, before[name]) for name, value in source.state_dict().items())
    images = normalise(data.test.images, data.mean, data.std)
    with torch.no_grad():
        assert torch.equal(source.features(images)[-1], adopted.model.eval().features(images)[-1])


def test_a_head_is_kept_where_it_fits_and_extended_by_the_names_of_classes(
    source: ResNet, data: Dataset
) -> None:
    kept = adopt(source, drawn(("a", "b", "c")), head="kept")
    assert kept.new == () and torch.equal(kept.model.fc.weight, source.fc.weight)
    known = Source(source, "run", "mine", "a run", ("four", "one", "other"))
    extended = adopt(known, data, head="extended").model.fc
    for row, there in ((0, 1), (3, 0)):
        assert torch.equal(extended.weight[row], source.fc.weight[there])
        assert torch.equal(extended.bias[row], source.fc.bias[there])
    fresh = adopt(known, data).model.fc
    assert torch.equal(extended.weight[1:3], fresh.weight[1:3])


def test_a_first_layer_for_other_channels_gives_the_same_on_grey_images(source: ResNet) -> None:
    colour = drawn(("one", "two"), channels=3)
    with pytest.raises(InvalidSetting, match=r"takes images of 1 channel.*stem='averaged'") as caught:
        adopt(source, colour)
    assert caught.value.field == "stem"
    averaged = adopt(source, colour, stem="averaged").model
    grey = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(averaged.conv1(grey.expand(-1, 3, -1, -1)), source.conv1(grey))
    new = adopt(source, colour, stem="new")
    assert set(new.new) == {"conv1.weight", "fc.weight", "fc.bias"}


def test_statistics_are_measured_anew_as_torch_does_it(source: ResNet, data: Dataset) -> None:
    found = adopt(source, data, norms="reestimated", seed=1).model
    wanted = adopt(source, data, seed=1).model
    update_bn(training_batches(data, 1000, 1, torch.device("cpu")), wanted)
    for name, value in wanted.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, msg=name)
    assert not torch.equal(found.bn1.running_mean, source.bn1.running_mean)


def test_a_classifier_becomes_the_encoder_of_a_unet(source: ResNet, data: Dataset) -> None:
    one = data.train.images.numpy()
    mask = (data.train.images[:, 0] > 200).to(torch.uint8).numpy()
    masked = datasets.arrays(one[:40], mask[:40], one[40:], mask[40:], classes=("dark", "bright"))
    adopted = adopt(source, masked)
    assert all(name.startswith("decoder.") for name in adopted.new)
    assert adopted.model(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 8, 8)


class Foreign(nn.Module):
    """Somebody's network."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x))


def test_somebody_elses_network_gets_a_new_last_layer_and_stays_as_it_was(data: Dataset) -> None:
    net = Foreign()
    adopted = adopt(net, data)
    assert adopted.new == ("out.weight", "out.bias") and net.out.out_features == 3
    assert adopted.model.out.out_features == 4
    assert torch.equal(adopted.model.body[0].weight, net.body[0].weight)
    colour = adopt(net, drawn(("one", "two"), channels=3), stem="averaged").model
    grey = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(colour.body[0](grey.expand(-1, 3, -1, -1)), net.body[0](grey))
    with pytest.raises(InvalidSetting, match="gives 3 answers, and rows has 4"):
        adopt(net, data, head="kept")


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"head": "kept"}, "head", "fc.weight is \\(3, 16\\) there and \\(4, 16\\) here"),
        ({"head": "extended"}, "head", "does not say what its classes are"),
        ({"head": "none"}, "head", "choose 'new', 'kept', 'extended'"),
        ({"norms": "frozen"}, "norms", "choose 'batch', 'kept', 'reestimated'"),
        ({"config": ResNetConfig(depth=8, width=8)}, "source", "width is 4 there and 8 here"),
        ({"config": ResNetConfig(depth=14, width=4)}, "source", "depth is 8 there and 14 here"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(
    source: ResNet, data: Dataset, settings: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidSetting, match=words) as caught:
        adopt(source, data, **settings)
    assert caught.value.field == field


def test_other_kinds_of_inputs_are_refused(source: ResNet) -> None:
    with pytest.raises(InvalidSetting, match="dims=2, and traffic \\(signals\\) needs dims=1"):
        adopt(source, traffic())
