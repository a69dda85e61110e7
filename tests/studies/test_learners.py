"""Learners beside residual networks, against scikit-learn, torch's own layers and the training loop of runs."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

import reswork as rw
from reswork.studies.learners import VisionTransformer, kinds
from reswork.training.alone import error_of, train_alone
from reswork.training.loop import fit


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    return rw.datasets.digits().subset(train=80, test=60)


def test_a_network_alone_learns_what_it_learns_in_a_run(data):
    recipe = rw.Recipe(steps=3, batch_size=32, precision="fp32", compile="off", channels_last=False, seed=5)
    found = []
    for train in (train_alone, fit):
        torch.manual_seed(0)
        model = rw.resnet(depth=8, width=2, in_channels=1, dropout=0.3)
        assert [*train(model, data, recipe)]
        found.append(model)
    for one, other in zip(*(model.state_dict().values() for model in found), strict=True):
        assert torch.equal(one, other)
    wrong = 0
    for image, label in zip(data.test.images, data.test.labels, strict=True):
        wrong += int(found[0](rw.datasets.normalise(image[None], data.mean, data.std)).argmax() != label)
    assert error_of(found[0], data) == pytest.approx(wrong / 60)


def test_every_kind_learns_and_answers_like_what_it_is_made_of(data):
    for kind in kinds(depth=8, width=2, trees=5, rounds=2):
        learner = kind.make(data, 0)
        assert [*learner.learn(data, epochs=1, seed=0)], kind.name
        named = learner.named(data.test.images)
        assert named.shape == (60,) and named.dtype == torch.int64 and learner.bytes > 500
        if kind.name == "logistic regression":
            rows = [split.images.flatten(1).numpy() / np.float32(255) for split in (data.train, data.test)]
            alone = LogisticRegression(max_iter=100, tol=1e-3).fit(rows[0], data.train.labels)
            assert (named.numpy() == alone.predict(rows[1])).all()


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    net = VisionTransformer((1, 28, 28), 10).eval()
    theirs = nn.TransformerEncoderLayer(
        48, 4, 192, 0.0, "gelu", batch_first=True, norm_first=True
    )  # in training mode: the other way takes a short cut through other code
    ours = net.layers[0]
    pairs = {
        "self_attn.in_proj_": ours.qkv,
        "self_attn.out_proj.": ours.out,
        "linear1.": ours.mlp[0],
        "linear2.": ours.mlp[2],
        "norm1.": ours.norm1,
        "norm2.": ours.norm2,
    }
    state = {
        f"{name}{part}": getattr(layer, part) for name, layer in pairs.items() for part in ("weight", "bias")
    }
    theirs.load_state_dict(state)
    tokens = torch.randn(3, 49, 48)
    torch.testing.assert_close(ours(tokens), theirs(tokens), rtol=1e-4, atol=1e-5)
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 10) and net.places.shape == (1, 49, 48)
