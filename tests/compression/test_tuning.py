"""Training after something was taken: zeros stay, and the loss is what Hinton et al. write."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from reswork.compression import prune_weights, tune
from reswork.compression.tuning import SOFTNESS, _Taught
from reswork.compression.weights import count_nonzero, weighted_layers
from reswork.datasets.augmentation import normalise
from reswork.errors import InvalidSetting
from reswork.models.network import resnet
from reswork.tasks import task_for
from reswork.training.recipe import Recipe

RECIPE = Recipe(steps=3, batch_size=8, device="cpu", compile="off", precision="fp32", learning_rate=0.05)


def net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return resnet(depth=8, width=2, in_channels=1, num_classes=3).eval()


def test_the_smallest_weights_become_zero_and_stay_so(small_data) -> None:
    model = net(0)
    pruned = prune_weights(copy.deepcopy(model).to(memory_format=torch.channels_last), 0.6)
    before = torch.cat([each.weight.flatten() for each in weighted_layers(model)]).detach()
    after = torch.cat([each.weight.flatten() for each in weighted_layers(pruned)]).detach()
    gone = before.abs().argsort()[: round(0.6 * len(before))]
    assert set(gone.tolist()) == set((after == 0).nonzero().flatten().tolist())
    zeros = [each.weight == 0 for each in weighted_layers(pruned)]
    count = count_nonzero(pruned)
    tune(pruned, small_data, RECIPE)
    assert all(
        bool((each.weight[zero] == 0).all())
        for each, zero in zip(weighted_layers(pruned), zeros, strict=True)
    )
    trained = torch.cat([each.weight.flatten() for each in weighted_layers(pruned)]).detach()
    assert (
        not torch.equal(trained, after) and abs(count_nonzero(pruned) - count) < 40
    )  # biases of norms begin at 0
    with pytest.raises(InvalidSetting, match="share=2"):
        prune_weights(model, 2)
    with pytest.raises(InvalidSetting, match="no convolution"):
        prune_weights(nn.Flatten(), 0.5)


def test_the_loss_beside_a_teacher_is_that_of_the_paper(small_data) -> None:
    task, teacher, student = task_for(small_data), net(1), net(2)
    inputs, targets = torch.randn(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    taught = _Taught(task, teacher, 0.7)
    output = taught.call(student, inputs)
    with torch.no_grad():
        p = (teacher(inputs) / SOFTNESS).softmax(1).numpy()
        q = (student(inputs) / SOFTNESS).softmax(1).numpy()
    own = nn.functional.cross_entropy(student(inputs), targets).item()
    wanted = 0.3 * own + 0.7 * SOFTNESS**2 * np.mean((p * np.log(p / q)).sum(1))
    assert taught.loss(output, targets, RECIPE).item() == pytest.approx(wanted, rel=1e-5)
    with torch.no_grad():  # an evaluation counts the right answers only
        assert float(taught.loss(taught.call(student, inputs), targets, RECIPE)) == pytest.approx(
            own, rel=1e-5
        )


def test_a_student_comes_nearer_to_its_teacher(small_data) -> None:
    teacher, student = net(1), net(2)
    images = normalise(small_data.train.images, small_data.mean, small_data.std)

    def apart() -> float:
        with torch.no_grad():
            return float((teacher(images).softmax(1) - student(images).softmax(1)).abs().mean())

    before = apart()
    again = tune(student, small_data, Recipe(**{**RECIPE.to_dict(), "steps": 60, "augmentation": RECIPE.augmentation}),
                 teacher=teacher, share=1.0)  # fmt: skip
    assert again is student and not student.training
    assert apart() < before
    with pytest.raises(InvalidSetting, match="share=3"):
        tune(student, small_data, RECIPE, teacher=teacher, share=3)
