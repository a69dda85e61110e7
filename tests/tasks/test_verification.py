"""The task against scikit-learn and the losses' own formulas, and a training on drawn faces."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn
from torch.nn import functional as F

import reswork as rw
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.models.layout import EMBEDDED
from reswork.tasks.verification import MARGIN, SCALE, verification_metrics

TASK = rw.tasks.Verification()


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return rw.datasets.drawn_faces(identities=6, test_identities=4, images=5, size=24)


def output(count: int = 40, identities: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Embeddings and cosines, and labels that the embeddings say something about."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % identities
    centres = F.normalize(torch.randn(identities, EMBEDDED, generator=generator))
    found = F.normalize(centres[labels] + 0.2 * torch.randn(count, EMBEDDED, generator=generator))
    return torch.cat([found, found @ centres.T], 1), labels


def test_metrics_are_those_of_scikit_learn_over_all_pairs() -> None:
    given, labels = output()
    metrics = verification_metrics(given[:, :EMBEDDED], labels)
    first, second = np.triu_indices(len(labels), 1)
    alike = (given[:, :EMBEDDED] @ given[:, :EMBEDDED].T).numpy()[first, second]
    same = (labels[first] == labels[second]).numpy()
    false, true, _ = roc_curve(same, alike, drop_intermediate=False)
    assert metrics["auc"] == pytest.approx(roc_auc_score(same, alike), abs=1e-6)
    assert metrics["tar"] == pytest.approx(true[false <= 0.01].max(), abs=1e-6)
    nearest = int(np.argmin(np.abs(1 - true - false)))
    assert metrics["eer"] == pytest.approx((1 - true[nearest] + false[nearest]) / 2, abs=0.01)
    assert float(TASK.score(given, labels)) == pytest.approx(metrics["tar"], abs=1e-6)
    table = (given[:, :EMBEDDED] @ given[:, :EMBEDDED].T).numpy()
    np.fill_diagonal(table, -2)
    assert metrics["rank1"] == (labels.numpy()[table.argmax(1)] == labels.numpy()).mean()
    assert TASK.right(given, labels).float().mean() == pytest.approx(metrics["rank1"])


def test_the_loss_is_arcfaces_written_out() -> None:
    given, labels = output(8)
    logits = given[:, EMBEDDED:].double().clone()
    for row, label in enumerate(labels.tolist()):
        logits[row, label] = math.cos(math.acos(logits[row, label]) + MARGIN)
    expected = F.cross_entropy(SCALE * logits, labels)
    assert float(TASK.loss(given, labels, rw.Recipe())) == pytest.approx(float(expected), rel=1e-5)
    behind = torch.full(
        (1, EMBEDDED + 2), -0.999
    )  # nearly opposite: the loss still falls as the cosine rises
    nearer = behind.clone()
    nearer[0, EMBEDDED] = -0.97
    losses = [float(TASK.loss(each, torch.tensor([0]), rw.Recipe())) for each in (behind, nearer)]
    assert losses[1] < losses[0]


def test_parts_of_a_batch_and_of_a_split_make_the_whole() -> None:
    given, labels = output()
    losses = [
        TASK.loss(given[part], labels[part], rw.Recipe()) * TASK.weight(labels[part])
        for part in (slice(7), slice(7, 40))
    ]
    torch.testing.assert_close(sum(losses) / 40, TASK.loss(given, labels, rw.Recipe()))
    meter = TASK.meter(rw.datasets.digits(), torch.device("cpu"))
    for part in (slice(7), slice(7, 40)):
        meter.update(given[part], labels[part])
    assert meter.compute().metrics == verification_metrics(given[:, :EMBEDDED], labels)


def test_answers_name_the_most_alike_and_attribution_explains_the_cosines(faces: Dataset) -> None:
    model = rw.resnet(rw.config_for(faces, depth=8, width=2)).eval()
    images = torch.rand(3, 1, 24, 24)
    given = TASK.call(model, images)
    answers = TASK.answers(given)
    np.testing.assert_allclose(np.linalg.norm(answers.embeddings, axis=1), 1, rtol=1e-5)
    assert answers.similarities.shape == (3, 6) and answers.told(0, faces.classes).startswith("like face ")
    explained = rw.tasks.explained_model(model, TASK, images)
    torch.testing.assert_close(explained(images), given[:, EMBEDDED:])
    found = rw.probes.attribution(explained, images, method="grad_cam", target=answers.classes.tolist())
    assert found.maps.shape == (3, 24, 24)


def test_pixels_and_components_are_judged_on_the_same_identities(faces: Dataset) -> None:
    pixels, components = rw.tasks.baselines(faces)
    assert [pixels.name, components.name] == ["pixels", "principal components"]
    flat = rw.datasets.normalise(faces.test.images, faces.mean, faces.std).flatten(1)
    assert pixels.metrics == verification_metrics(flat, faces.test.labels)
    assert components.output.shape == (20, 30) and 0 <= components.metrics["eer"] <= 1


def test_it_learns_to_tell_faces_apart_that_it_has_never_seen() -> None:
    data = rw.datasets.drawn_faces(identities=12, test_identities=8, images=8, size=24)
    assert not set(data.train.labels.tolist()) & set(data.test.labels.tolist())
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(data, depth=8, width=6))
    recipe = rw.Recipe(
        steps=40, batch_size=48, optimizer="adam", learning_rate=0.01, weight_decay=0, device="cpu",
        compile="off", precision="fp32", channels_last=False,
    )  # fmt: skip
    before = rw.verified(model, data).roc.area
    for _ in rw.fit(model, data, recipe):
        pass
    after = rw.verified(model, data)
    assert after.roc.area > before + 0.03 and after.roc.area > 0.65
    expected = verification_metrics(rw.embeddings(model, data.test.images, data), data.test.labels)
    assert after.equal_error == pytest.approx(expected["eer"], abs=1e-6)
    assert after.accepted(0.01) == pytest.approx(expected["tar"], abs=1e-6)
    found = rw.search(model, data, 0, count=5)
    assert 0 not in found.images and (np.diff(found.similarities) <= 0).all()
    own = rw.search(model, data, data.test.images[0], count=1)
    assert own.images.tolist() == [0] and own.similarities[0] == pytest.approx(1, abs=1e-5)


def test_what_does_not_fit_is_told_in_a_sentence(faces: Dataset) -> None:
    assert rw.tasks.task_for(faces) == TASK
    with pytest.raises(InvalidSetting, match="verification learns from images of identities"):
        TASK.check_data(rw.datasets.scenes(8, 4))
    with pytest.raises(InvalidSetting, match="numbered from 0 without gaps"):
        TASK.check_data(
            rw.datasets.digits().subset(train=12, test=12)._with(train=faces.test, test=faces.test)
        )
    for settings in ({"mixup": 0.2}, {"label_smoothing": 0.1}):
        with pytest.raises(InvalidSetting, match="does not go with a margin"):
            TASK.check_recipe(rw.Recipe(**settings))
    with pytest.raises(InvalidSetting, match="returns a tuple"):
        TASK.check_output(nn.Identity(), (), faces)
    with pytest.raises(InvalidSetting, match=r"must be \(2, 70\)"):
        TASK.check_output(nn.Identity(), torch.zeros(2, 10), faces)
    model = rw.resnet(rw.config_for(faces, depth=8, width=2))
    with pytest.raises(InvalidSetting, match="choose 0 to 19"):
        rw.search(model, faces, 20)
    with pytest.raises(InvalidSetting, match="choose 1 to 19"):
        rw.search(model, faces, 0, count=20)
    with pytest.raises(InvalidSetting, match="give an embedding"):
        rw.embeddings(rw.unet(depth=8, width=2, in_channels=1), faces.test.images, faces)
    with pytest.raises(InvalidSetting, match="fixup"):
        rw.ResNetConfig(head="embedding", norm="none", residual_scaling="fixup")
