import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from torch import nn

from reswork.datasets import digits
from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.models.network import resnet
from reswork.probes import linear_probe
from tests.probes.looking import MEAN, STD, cifar, published
from tests.probes.test_channels import plain_output


def test_equal_to_sklearn_by_hand() -> None:
    torch.manual_seed(0)
    data, model = digits(), resnet(depth=8, width=8, in_channels=1).eval()
    found = linear_probe(model, data, layers=["layer2.0"], train_images=10_000, test_images=10_000)
    features = [
        plain_output(model, normalise(split.images, data.mean, data.std), "layer2.0").mean(axis=(2, 3))
        for split in (data.train, data.test)
    ]
    mean, std = features[0].mean(axis=0), features[0].std(axis=0)
    train, test = ((part - mean) / np.where(std > 0, std, 1) for part in features)
    ridge = RidgeClassifier(alpha=1.0).fit(train, data.train.labels.numpy())
    assert found.train[0] == pytest.approx(ridge.score(train, data.train.labels.numpy()), abs=2e-3)
    assert found.test[0] == pytest.approx(ridge.score(test, data.test.labels.numpy()), abs=4e-3)
    assert found.features.tolist() == [16]
    assert (found.train_images, found.test_images) == (len(data.train), len(data.test))
    with torch.no_grad():
        answers = model(normalise(data.test.images, data.mean, data.std)).argmax(1)
    assert found.network == pytest.approx(float((answers == data.test.labels).float().mean()), abs=1e-6)
    assert found.chance == pytest.approx(int(torch.bincount(data.test.labels).max()) / len(data.test))


@pytest.mark.parametrize("classifier", ["ridge", "logistic"])
def test_the_answer_is_found_where_it_is(classifier: str) -> None:
    """One layer keeps the class as a constant brightness, the next wipes it out."""
    labels = torch.arange(60) % 3
    pixels = (labels * 100).to(torch.uint8)[:, None, None, None].expand(60, 1, 4, 4).contiguous()
    splits = Split(pixels[:40], labels[:40]), Split(pixels[40:], labels[40:])
    data = Dataset("plain", *splits, ("a", "b", "c"), (0.3,), (0.3,), "made up")
    one_hot = nn.Conv2d(1, 3, 1)
    blind = nn.Conv2d(3, 3, 1)
    nn.init.zeros_(blind.weight)
    model = nn.Sequential(one_hot, nn.ReLU(), blind)
    found = linear_probe(model, data, layers=["1", "2"], classifier=classifier)  # type: ignore[arg-type]
    assert found.test[1] <= 0.5 and found.chance == pytest.approx(7 / 20)
    assert found.test[0] > found.test[1] and np.isnan(found.network)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidSetting, match="choose 'ridge' or 'logistic'"):
        linear_probe(nn.ReLU(), digits(), classifier="svm")  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="name at least one"):
        linear_probe(nn.ReLU(), digits())


def test_on_the_published_network_accuracy_rises_with_depth() -> None:
    images, labels = cifar(400)
    scale = torch.tensor(STD).reshape(3, 1, 1), torch.tensor(MEAN).reshape(3, 1, 1)
    pixels = ((images * scale[0] + scale[1]) * 255).round().to(torch.uint8)
    splits = Split(pixels[:200], labels[:200]), Split(pixels[200:], labels[200:])
    data = Dataset("cifar", *splits, tuple("abcdefghij"), (0.5,) * 3, (0.5,) * 3, "published")
    found = linear_probe(published(), data, mean=MEAN, std=STD)
    assert found.network > 0.98 and found.test[-1] > 0.95
    assert found.test[-1] > found.test[5] + 0.2 > found.test[0] + 0.2
