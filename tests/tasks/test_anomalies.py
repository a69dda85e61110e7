"""The task against scikit-learn, thresholds, features of another network, and a training on drawn plates."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

import reswork as rw
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.tasks.anomalies import alarms, anomaly_metrics, error_maps, image_scores
from reswork.training.evaluation import evaluate
from reswork.training.events import StepDone

TASK = rw.tasks.Anomalies()


@pytest.fixture(scope="module")
def plates() -> Dataset:
    return rw.datasets.defects(train=40, test=24, size=24)


def case(count: int = 30, side: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """An output whose error is larger within masks, and masks; the last image is bad somewhere."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(count, side, side, dtype=torch.uint8)
    masks[: count // 3, 2:6, 3:9] = 1
    masks[-1] = 255
    given = torch.randn(count, 2, side, side, generator=generator)
    off = (0.3 + 0.5 * (masks == 1)[:, None]) * torch.randn(given.shape, generator=generator)
    return torch.cat([given + off, given], 1), masks


def test_metrics_are_those_of_scikit_learn() -> None:
    output, masks = case()
    maps = error_maps(output)
    squares = (output[:, :2] - output[:, 2:]).square().mean(1, keepdim=True)
    ones = F.conv2d(torch.ones_like(squares), torch.ones(1, 1, 5, 5), padding=2)
    torch.testing.assert_close(maps, (F.conv2d(squares, torch.ones(1, 1, 5, 5), padding=2) / ones)[:, 0])
    scores = maps.flatten(1).sort(descending=True).values[:, :7].mean(1)  # a twentieth of 144
    torch.testing.assert_close(image_scores(maps), scores)
    metrics = anomaly_metrics(maps, masks)
    bad, known = (masks != 0).flatten(1).any(1), masks != 255
    assert metrics["auroc"] == pytest.approx(roc_auc_score(bad, scores), abs=1e-6)
    assert metrics["auroc_pixel"] == pytest.approx(roc_auc_score(masks[known] == 1, maps[known]), abs=1e-6)
    assert float(TASK.score(output, masks)) == pytest.approx(metrics["auroc"], abs=1e-6)
    assert torch.isnan(TASK.score(output[11:20], masks[11:20]))  # good ones alone have no such score
    meter = TASK.meter(rw.datasets.digits(), torch.device("cpu"))
    for part in (slice(11), slice(11, 30)):
        meter.update(output[part], masks[part])
    found = meter.compute()
    assert found.metrics == pytest.approx(metrics | {"loss": found.loss})
    good = output[~bad]
    assert found.loss == pytest.approx(float(F.mse_loss(good[:, :2], good[:, 2:])), rel=1e-5)


def test_a_threshold_is_chosen_by_good_ones_and_judged_by_others() -> None:
    random = np.random.RandomState(0)
    scores, bad = random.normal(size=4_000), np.arange(4_000) % 4 == 0
    scores[bad] += 3
    for wished in (0.01, 0.05, 0.2):
        found = alarms(scores, bad, wished)
        good = scores[~bad]
        assert (good[:1_500] > found.threshold).mean() <= wished
        assert (
            found.false_alarms == (good[1_500:] > found.threshold).mean() == pytest.approx(wished, abs=0.02)
        )
        assert found.found == (scores[bad] > found.threshold).mean()
    with pytest.raises(InvalidSetting, match="choose a share of false alarms"):
        alarms(scores, bad, 1.0)
    with pytest.raises(InvalidSetting, match="give at least two"):
        alarms(scores[:1], np.zeros(1, bool))


def test_an_explanation_is_of_the_score_of_the_image_as_it_is(plates: Dataset) -> None:
    output, _ = case(4)
    torch.testing.assert_close(TASK.explained(output)[:, 0], image_scores(error_maps(output)))
    model = rw.resnet(rw.config_for(plates, depth=8, width=2)).eval()
    images = rw.datasets.normalise(plates.test.images[:2], plates.mean, plates.std)
    explained = rw.tasks.explained_model(model, TASK, images)
    answers = TASK.answers(TASK.call(model, images))
    np.testing.assert_allclose(explained(images)[:, 0].detach().numpy(), answers.scores, rtol=1e-5)
    found = rw.probes.attribution(explained, images, method="saliency", target=0)
    assert found.maps.shape == (2, 24, 24) and np.abs(found.maps).max() > 0


def test_pixels_and_components_mark_what_was_not_there() -> None:
    data = rw.datasets.defects(train=60, test=24, size=24)
    nearest, residual = rw.tasks.baselines(data)
    assert nearest.output.shape == residual.output.shape == (24, 24, 24)
    assert residual.metrics["auroc_pixel"] > 0.6
    train, test = (
        rw.datasets.normalise(part.images, data.mean, data.std) for part in (data.train, data.test)
    )
    off = (test[0] - train).square()  # (N, 1, H, W), of the first image to each training image
    closest = off[int(off.flatten(1).sum(1).argmin())]
    expected = F.avg_pool2d(closest, 5, 1, 2, count_include_pad=False)[0]
    np.testing.assert_allclose(nearest.output[0], expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["padim", "nearest"])
def test_features_of_a_network_that_was_trained_for_nothing_of_it(plates: Dataset, method: str) -> None:
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, in_channels=1).eval()
    found = rw.feature_distances(model, plates, method=method, channels=8, bank=300)
    assert found.layers == ("layer1", "layer2") and found.maps.shape == (24, 24, 24)
    assert found.metrics["auroc_pixel"] > 0.6  # holes and scratches are edges where none should be
    again = rw.feature_distances(model, plates, method=method, channels=8, bank=300)
    assert torch.equal(found.maps, again.maps) and not model.layer1._forward_hooks


def test_mahalanobis_distances_are_those_of_numpy(plates: Dataset) -> None:
    from reswork.experiment.anomaly_features import _mahalanobis

    generator = torch.Generator().manual_seed(0)
    train, test = torch.randn(30, 4, 2, 3, generator=generator), torch.randn(5, 4, 2, 3, generator=generator)
    found = _mahalanobis(train.double(), test.double()).numpy()
    at = train[:, :, 1, 2].double().numpy()
    spread = np.cov(at.T)
    spread += 0.01 * spread.trace() / 4 * np.eye(4)
    off = test[:, :, 1, 2].double().numpy() - at.mean(0)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", off, np.linalg.inv(spread), off))
    np.testing.assert_allclose(found[:, 1, 2], expected, rtol=1e-6)


def test_it_learns_to_give_back_what_is_good_and_not_what_is_bad(plates: Dataset) -> None:
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(plates, depth=8, width=4, code=4))
    recipe = rw.Recipe(
        steps=40, batch_size=16, optimizer="adam", learning_rate=0.01, weight_decay=0, device="cpu",
        compile="off", precision="fp32", channels_last=False,
    )  # fmt: skip
    losses = [float(event.loss) for event in rw.fit(model, plates, recipe) if isinstance(event, StepDone)]
    assert losses[-1] < 0.5 * losses[0]
    found = evaluate(model, plates)
    assert found is not None and found.metrics["auroc_pixel"] > 0.6


def test_what_does_not_fit_is_told_in_a_sentence(plates: Dataset) -> None:
    assert rw.tasks.task_for(plates) == TASK
    with pytest.raises(InvalidSetting, match="anomalies are judged by masks"):
        TASK.check_data(rw.datasets.digits())
    with pytest.raises(InvalidSetting, match="train on good images alone"):
        TASK.check_data(plates._with(train=plates.test))
    with pytest.raises(InvalidSetting, match="all test images of defects are good"):
        TASK.check_data(plates._with(test=plates.train))
    with pytest.raises(InvalidSetting, match="what goes in shall come out"):
        TASK.check_recipe(rw.Recipe(mixup=0.2))
    with pytest.raises(InvalidSetting, match="returns a tuple"):
        TASK.check_output(nn.Identity(), (), plates)
    with pytest.raises(InvalidSetting, match="needs the channels and the size"):
        TASK.check_output(nn.Identity(), torch.zeros(2, 4, 24, 24), plates)
    with pytest.raises(InvalidSetting, match="choose the same for both"):
        rw.ResNetConfig(head="autoencoder", in_channels=1, num_classes=2)
    with pytest.raises(InvalidSetting, match="is for autoencoders"):
        rw.ResNetConfig(code=4)
    with pytest.raises(InvalidSetting, match="is no layer of ResNet"):
        rw.feature_distances(rw.resnet(depth=8, in_channels=1), plates, layers=("layer9",))
    with pytest.raises(InvalidSetting, match="gives no maps"):
        rw.feature_distances(rw.resnet(depth=8, in_channels=1), plates, layers=("fc",))
    with pytest.raises(InvalidSetting, match="choose 'padim' or 'nearest'"):
        rw.feature_distances(rw.resnet(depth=8, in_channels=1), plates, method="magic")  # type: ignore[arg-type]
