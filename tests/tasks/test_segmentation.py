"""The segmentation task against torch, torchmetrics and scikit-learn."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassJaccardIndex

import reswork as rw
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.tasks import Classification, Segmentation, task_for
from reswork.tasks.segmentation import boundary_counts
from reswork.training.evaluation import evaluate
from reswork.training.events import EpochDone, StepDone
from reswork.training.loop import fit
from reswork.training.recipe import Recipe

TASK = Segmentation()
NAMES = ("ground", "disc", "bar", "star")
CPU = torch.device("cpu")


def masks(count: int = 12, size: int = 8, classes: int = 4, ignored: float = 0.2, seed: int = 0) -> Tensor:
    """(N, H, W) uint8, some pixels 255, another share of them in each image."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(classes, (count, size, size), generator=generator).to(torch.uint8)
    share = torch.linspace(0, 2 * ignored, count)[:, None, None]
    return found.masked_fill(torch.rand(found.shape, generator=generator) < share, 255)


def logits(targets: Tensor, classes: int = 4, seed: int = 1) -> Tensor:
    """(N, K, H, W), right more often than not."""
    generator = torch.Generator().manual_seed(seed)
    truth = F.one_hot(targets.long().clamp(max=classes - 1), classes).movedim(-1, 1)
    return torch.randn(truth.shape, generator=generator) + 1.2 * truth


def data_of(targets: Tensor, classes: tuple[str, ...] = NAMES) -> Dataset:
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(256, (len(targets), 3, *targets.shape[1:]), generator=generator).to(torch.uint8)
    split = Split(images, targets)
    return Dataset("toy", split, split, classes, (0.5,) * 3, (0.25,) * 3, "made up")


def metered(output: Tensor, targets: Tensor, batch: int = 5):
    meter = TASK.meter(data_of(targets), CPU)
    for part, truth in zip(output.split(batch), targets.split(batch), strict=True):
        meter.update(part, truth)
    return meter.compute()


def net(classes: int = 4, norm: bool = False) -> nn.Module:
    torch.manual_seed(5)
    middle = [nn.BatchNorm2d(8)] if norm else []
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *middle, nn.ReLU(), nn.Conv2d(8, classes, 1))


def test_metrics_equal_torchmetrics_and_scikit_learn_and_ignored_pixels_count_nowhere() -> None:
    targets = masks()
    output = logits(targets)
    found = metered(output, targets)
    valid = targets != 255
    truth, answer = targets[valid].long(), output.argmax(1)[valid]
    options = {"num_classes": 4, "average": "macro"}
    assert found.metrics["mean_iou"] == pytest.approx(
        float(MulticlassJaccardIndex(**options)(answer, truth)), abs=1e-6
    )
    with_ignored = MulticlassJaccardIndex(**options, ignore_index=255)(output.argmax(1), targets.long())
    assert found.metrics["mean_iou"] == pytest.approx(float(with_ignored), abs=1e-6)
    assert found.metrics["dice"] == pytest.approx(
        float(MulticlassF1Score(**options)(answer, truth)), abs=1e-6
    )
    accuracy = MulticlassAccuracy(num_classes=4, average="micro")(answer, truth)
    assert found.metrics["pixel_accuracy"] == pytest.approx(float(accuracy), abs=1e-6)
    each = sklearn.metrics.jaccard_score(truth, answer, average=None)
    np.testing.assert_allclose(found.by_class, each, atol=1e-12)
    assert [found.metrics[f"iou/{name}"] for name in NAMES] == pytest.approx(list(each))
    np.testing.assert_array_equal(found.tables["confusion"], sklearn.metrics.confusion_matrix(truth, answer))
    assert found.loss == pytest.approx(
        F.cross_entropy(output, targets.long(), ignore_index=255).item(), abs=1e-6
    )
    scribbled = output.clone()
    scribbled.movedim(1, -1)[~valid] = 1e6  # whatever stands in ignored pixels
    assert metered(scribbled, targets).metrics == found.metrics


def slow_boundary_f1(answered: np.ndarray, truth: np.ndarray, classes: int, reach: int) -> list[float]:
    """Of each class by going over all pairs of pixels."""

    def edge(mask: np.ndarray, k: int) -> list[tuple[int, ...]]:
        found = []
        for place in np.argwhere(mask == k):
            for axis in range(mask.ndim):
                for step in (-1, 1):
                    other = place.copy()
                    other[axis] += step
                    if 0 <= other[axis] < mask.shape[axis] and mask[tuple(other)] not in (k, 255):
                        found.append(tuple(place))
        return sorted(set(found))

    def near(some: list, others: list) -> int:
        return sum(
            any(max(abs(a - b) for a, b in zip(p, q, strict=True)) <= reach for q in others) for p in some
        )

    scores = []
    for k in range(classes):
        hits, asked, found, true = 0, 0, 0, 0
        for one, other in zip(answered, truth, strict=True):
            own, right = edge(one, k), edge(other, k)
            hits, asked = hits + near(own, right), asked + len(own)
            found, true = found + near(right, own), true + len(right)
        if asked + true:
            precision, recall = hits / max(asked, 1), found / max(true, 1)
            scores.append(2 * precision * recall / max(precision + recall, 1e-12))
    return scores


@pytest.mark.parametrize("shape", [(3, 12, 9), (2, 5, 6, 7)])
def test_boundary_f1_equals_a_slow_obvious_computation(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randint(4, [length // 3 + 1 for length in shape[1:]], generator=generator)
    for axis in range(coarse.dim()):
        coarse = coarse.repeat_interleave(3, axis).narrow(axis, 0, shape[1 + axis])
    targets = coarse.expand(shape).clone().to(torch.uint8)
    targets[torch.rand(shape, generator=generator) < 0.1] = 255
    output = logits(targets)
    answered = torch.where(targets == 255, 255, output.argmax(1)).numpy()
    dims = len(shape) - 1
    inputs = torch.zeros(shape[0], 3, *shape[1:], dtype=torch.uint8 if dims == 2 else torch.float32)
    split = Split(inputs, targets)
    meter = TASK.meter(Dataset("toy", split, split, NAMES, (0.5,) * 3, (1.0,) * 3, "made up"), CPU)
    for part, truth in zip(output.split(1), targets.split(1), strict=True):
        meter.update(part, truth)
    found = meter.compute().metrics
    each = slow_boundary_f1(answered, targets.numpy(), 4, reach=1)
    assert [found[f"boundary/{name}"] for name in NAMES] == pytest.approx(each, abs=1e-12)
    assert found["boundary_f1"] == pytest.approx(np.mean(each), abs=1e-12) and 0.3 < found["boundary_f1"] < 1
    assert (
        metered(
            logits(masks()) * 0 + F.one_hot(masks().long().clamp(max=3), 4).movedim(-1, 1), masks()
        ).metrics["boundary_f1"]
        == 1.0
    )


def test_a_boundary_may_be_off_by_more_in_a_larger_image() -> None:
    truth = torch.zeros(1, 200, 200, dtype=torch.uint8)
    truth[:, 100:] = 1
    for off, share in ((0, 1.0), (2, 1.0), (4, 0.0)):  # 0.75 % of the diagonal are 2 pixels
        counts = boundary_counts(truth.roll(off, 1).index_fill(1, torch.arange(off), 0), truth, 2)
        assert (counts[:, 0] / counts[:, 1]).tolist() == pytest.approx([share] * 2)


def test_a_class_in_neither_truth_nor_answer_is_left_out_and_one_that_is_only_answered_counts_as_0() -> None:
    targets = torch.zeros(1, 2, 4, dtype=torch.uint8)
    targets[0, 0] = 1
    output = torch.full((1, 4, 2, 4), -9.0)
    output[0, 1, 0], output[0, 0, 1] = 9.0, 9.0
    perfect = metered(output, targets)
    assert perfect.metrics["mean_iou"] == perfect.metrics["dice"] == 1.0
    assert "iou/star" not in perfect.metrics and math.isnan(perfect.by_class[3])
    output[0, 2, 1, 0] = 99.0  # one pixel of the ground is called a bar
    found = metered(output, targets)
    assert found.metrics["iou/bar"] == 0.0 and found.metrics["iou/ground"] == 0.75
    assert found.metrics["mean_iou"] == pytest.approx((0.75 + 1 + 0) / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = MulticlassJaccardIndex(num_classes=4, average="macro")(output.argmax(1), targets.long())
    assert found.metrics["mean_iou"] == pytest.approx(float(other), abs=1e-6)
    assert TASK.score(output, targets).item() == pytest.approx(found.metrics["mean_iou"], abs=1e-6)


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.2}])
@pytest.mark.parametrize("weights", [None, (0.5, 3.0, 1.0, 2.0)])
def test_the_loss_is_torchs_over_the_pixels_that_count(settings, weights) -> None:
    targets = masks()
    output = logits(targets).requires_grad_()
    weight = None if weights is None else torch.tensor(weights)
    loss = TASK.loss(output, targets, Recipe(**settings), weight)
    expected = F.cross_entropy(output, targets.long(), weight=weight, ignore_index=255, **settings)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.backward()
    assert not output.grad.movedim(1, -1)[targets == 255].any()


def test_a_batch_without_a_pixel_that_counts_has_no_loss_and_no_nan() -> None:
    targets = torch.full((2, 4, 4), 255, dtype=torch.uint8)
    output = torch.randn(2, 4, 4, 4, requires_grad=True)
    loss = TASK.loss(output, targets, Recipe())
    loss.backward()
    assert loss.item() == 0.0 and not output.grad.any() and TASK.score(output, targets).item() == 0.0


@pytest.mark.parametrize("weights", [None, (0.5, 3.0, 1.0, 2.0)])
@pytest.mark.parametrize("accumulate", [2, 3, 5])
def test_accumulation_over_parts_with_unequal_pixels_equals_the_whole_batch(accumulate, weights) -> None:
    data = data_of(masks(count=12, ignored=0.45))
    settings = {"steps": 4, "batch_size": 12, "learning_rate": 0.5, "device": "cpu", "compile": "off"}
    settings |= {"precision": "fp32", "channels_last": False, "class_weights": weights}

    def trained(parts: int) -> tuple[list[float], Tensor]:
        model = net()
        events = fit(model, data, Recipe(accumulate=parts, **settings))
        losses = [event.loss.item() for event in events if isinstance(event, StepDone)]
        return losses, torch.cat([weight.detach().flatten() for weight in model.parameters()])

    losses, final = trained(accumulate)
    whole_losses, whole = trained(1)
    assert losses == pytest.approx(whole_losses, abs=1e-6)
    assert torch.allclose(final, whole, atol=1e-6)
    assert (targets_share := (data.train.masks != 255).float().mean((1, 2))).max() - targets_share.min() > 0.3


def test_it_trains_from_the_kind_of_targets_and_judges_the_test_split() -> None:
    data = rw.datasets.scenes(train=24, test=8, size=16)
    assert task_for(data).kind == "segmentation"
    model = net(len(data.classes), norm=True)
    recipe = Recipe(epochs=2, batch_size=8, device="cpu", precision="fp32", compile="off")
    events = list(fit(model, data, recipe))
    last = events[-1]
    assert isinstance(last, EpochDone)
    assert {"loss", "mean_iou", "dice", "pixel_accuracy", "iou/ground"} <= set(last.metrics)
    assert last.tables["confusion"].sum() == data.test.masks.numel()
    again = evaluate(model, data, batch_size=3)
    assert again.metrics["mean_iou"] == pytest.approx(last.metrics["mean_iou"], abs=1e-6)


def test_what_does_not_fit_is_one_sentence() -> None:
    data = data_of(masks())
    with pytest.raises(InvalidSetting, match=r"head|rw\.unet") as refused:
        next(fit(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), data, Recipe(steps=1, device="cpu")))
    assert "(2, 4, 8, 8)" in refused.value.message and refused.value.field == "head"
    with pytest.raises(InvalidSetting, match="two masks over each other"):
        next(fit(net(), data, Recipe(steps=1, mixup=0.2, device="cpu")))
    with pytest.raises(InvalidSetting, match="learns from masks"):
        TASK.check_data(rw.datasets.digits())
    with pytest.raises(InvalidSetting, match="classification learns from one label"):
        Classification().check_data(data)


def test_what_is_explained_is_the_mean_logit_of_a_class_within_its_own_mask() -> None:
    output = torch.randn(2, 4, 6, 6, requires_grad=True)
    found = TASK.explained(output)
    mask = output.argmax(1)
    for row in range(2):
        for k in range(4):
            inside = output[row, k][mask[row] == k]
            expected = inside.mean() if len(inside) else output[row, k].mean()
            assert found[row, k].item() == pytest.approx(expected.item(), abs=1e-6)
    changed = output.detach() + 3 * torch.randn(2, 4, 6, 6)
    held = TASK.explained(changed, output)
    assert held[0, 1].item() == pytest.approx(changed[0, 1][mask[0] == 1].mean().item(), abs=1e-6)
    found[0, 1].backward()
    assert set(output.grad[0, 1].nonzero().flatten().tolist()) and not output.grad[0, 1][mask[0] != 1].any()


def test_answers_are_masks_told_in_words() -> None:
    output = torch.zeros(2, 4, 4, 4)
    output[0, 0], output[1, 0] = 1.0, 1.0
    output[1, 2, :2], output[1, 1, 3:] = 5.0, 5.0
    found = TASK.answers(output)
    assert found.masks.dtype == np.uint8 and found.masks[1].tolist() == [[2] * 4, [2] * 4, [0] * 4, [1] * 4]
    assert found.told(0, NAMES) == "ground" and found.told(1, NAMES) == "bar, disc"
    assert found.differs(TASK.answers(output.flip(0)), 0) and not found.differs(found, 0)
    assert found.sure == pytest.approx(output.softmax(1).amax(1).mean((1, 2)).numpy())


def test_the_head_of_the_network_follows_from_the_data() -> None:
    data = SimpleNamespace(input_kind="images", input_shape=(3, 32, 32), classes=NAMES)
    assert TASK.head(data) == {"in_channels": 3, "num_classes": 4, "head": "unet"}
    assert Classification().head(data)["head"] == "classifier"
