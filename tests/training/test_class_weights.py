from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.training import GradientsReady, StepDone
from reswork.training.batches import Batches
from reswork.training.class_weights import class_weights
from reswork.training.loop import fit
from reswork.training.recipe import Recipe

BALANCED = Recipe(class_weights="balanced")


def test_balanced_is_scikit_learns() -> None:
    labels = np.random.default_rng(0).choice(5, 3_217, p=(0.6, 0.3, 0.05, 0.04, 0.01))
    found = class_weights(BALANCED, np.bincount(labels))
    expected = compute_class_weight("balanced", classes=np.arange(5), y=labels)
    assert found is not None and found.dtype == np.float32
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_class_that_never_occurs_has_none_and_changes_nothing() -> None:
    found = class_weights(BALANCED, np.array([3, 0, 2, 0, 1, 0]))
    a, b, c = compute_class_weight("balanced", classes=np.array([0, 2, 4]), y=np.array([0, 0, 0, 2, 2, 4]))
    assert found is not None
    assert found == pytest.approx([a, 0, b, 0, c, 0])


def test_pixels_of_masks_are_counted_without_the_ignored_ones() -> None:
    random = np.random.default_rng(1)
    masks = random.choice([0, 1, 2, 255], (21, 6, 5), p=(0.7, 0.1, 0.1, 0.1)).astype(np.uint8)
    split = Split(torch.zeros(21, 3, 6, 5, dtype=torch.uint8), torch.from_numpy(masks))
    data = Dataset("masks", split, split, ("a", "b", "c"), (0.4,) * 3, (0.3,) * 3, "made up")
    found = class_weights(BALANCED, data.class_counts())
    expected = compute_class_weight("balanced", classes=np.arange(3), y=masks[masks != 255])
    assert found is not None
    assert found == pytest.approx(expected, rel=1e-6)


def test_given_weights_are_taken_and_must_be_as_many_as_the_classes() -> None:
    assert class_weights(Recipe(), np.array([1, 2])) is None
    found = class_weights(Recipe(class_weights=(1, 0.5)), np.array([1, 2]))
    assert found is not None and found.tolist() == [1.0, 0.5]
    with pytest.raises(InvalidSetting, match="has 2 numbers, and the data 3 classes") as caught:
        class_weights(Recipe(class_weights=(1, 0.5)), np.array([1, 2, 3]))
    assert caught.value.field == "class_weights"


def unbalanced(make_data: Any) -> Any:
    data = make_data()
    labels = torch.tensor([0] * 100 + [1] * 40 + [2] * 15 + [3] * 5)
    return replace(data, train=replace(data.train, targets=labels))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_torchs_weighted_mean(
    smoothing: float, make_net: Any, make_data: Any, make_recipe: Any
) -> None:
    data = unbalanced(make_data)
    recipe = make_recipe(
        steps=12, learning_rate=0.05, schedule="constant", class_weights="balanced", label_smoothing=smoothing
    )
    got = [
        event.loss.item() for event in fit(make_net(dropout=0), data, recipe) if isinstance(event, StepDone)
    ]
    labels = data.train.labels.numpy()
    weights = torch.tensor(compute_class_weight("balanced", classes=np.arange(4), y=labels)).float()
    model = make_net(dropout=0).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)
    batches, expected = Batches(data, recipe, channels_last=False), []
    for step in range(1, 13):
        batch = batches.cut(step)
        loss = criterion(model(batch.inputs), batch.targets)
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert got == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"mixup": 0.5}, {"label_smoothing": 0.2}], ids=str)
def test_parts_add_up_to_the_whole_batch(settings: dict[str, Any], make_data: Any, make_recipe: Any) -> None:
    """Parts hold other shares of the rare classes: a mean of the parts' means would be another loss."""
    data, found = unbalanced(make_data), {}
    for parts in (1, 3):
        torch.manual_seed(4)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 4))  # without norm
        recipe = make_recipe(steps=1, accumulate=parts, class_weights=(0.5, 1.0, 4.0, 20.0), **settings)
        gradients, loss = [], 0.0
        for event in fit(net, data, recipe):
            if isinstance(event, GradientsReady):
                gradients = [weight.grad.clone() for weight in net.parameters()]
            elif isinstance(event, StepDone):
                loss = event.loss.item()
        found[parts] = gradients, loss
    assert found[3][1] == pytest.approx(found[1][1], rel=1e-5)
    for part, whole in zip(found[3][0], found[1][0], strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-6)


def test_the_evaluations_loss_counts_all_alike(make_net: Any, make_data: Any, make_recipe: Any) -> None:
    data, model = unbalanced(make_data), make_net()
    *_, last = fit(model, data, make_recipe(steps=5, class_weights="balanced"))
    with torch.no_grad():
        images = (data.test.images.float() / 255 - 0.4) / 0.3
        expected = F.cross_entropy(model(images), data.test.labels).item()
    assert last.metrics["loss"] == pytest.approx(expected, rel=1e-4)
