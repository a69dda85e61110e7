from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch

from reswork.datasets import digits
from reswork.errors import InvalidSetting
from reswork.models.network import resnet
from reswork.studies.lock_step import LockStep
from reswork.studies.side_by_side import SideBySide
from reswork.training.evaluation import evaluate
from reswork.training.loop import fit
from reswork.training.recipe import Recipe

RECIPE = Recipe(steps=4, batch_size=32, precision="fp32", compile="off", device="cpu", channels_last=False)


def networks(**settings):
    torch.manual_seed(0)
    return [
        resnet(depth=8, width=4, in_channels=1, residual=residual, **settings)
        for residual in (False, True, True)
    ]


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("train", [False, True])
def test_each_answers_as_it_would_alone(shortcut, train):
    models = networks()[:1] + networks(shortcut=shortcut)[1:]
    whole = SideBySide(models).train(train)
    images = torch.randn(5, 3, 1, 8, 8)
    logits = whole(images)
    assert logits.shape == (5, 3, 10)
    for index, model in enumerate(models):
        torch.testing.assert_close(
            logits[:, index], model.train(train)(images[:, index]), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("scaling", ["none", "skipinit", "fixup"])
def test_networks_without_a_norm_answer_and_learn_as_they_would_alone(scaling):
    torch.manual_seed(0)
    settings = {"depth": 8, "width": 4, "in_channels": 1, "order": "pre", "norm": "none"}
    models = [resnet(**settings, residual_scaling=scaling) for _ in range(3)]
    for model in models:
        for weight in model.parameters():
            weight.data.add_(0.05 * torch.randn_like(weight))  # what starts at 0 counts, too
    with torch.no_grad():
        models[1].fc.weight.fill_(torch.nan)  # one that has diverged
    whole, images = SideBySide(models), torch.randn(5, 3, 1, 8, 8)
    logits = whole(images)
    logits.square().sum((0, 2)).sum().backward()
    grads = SideBySide.states(_gradients(whole))
    for index in (0, 2):
        own = models[index](images[:, index])
        torch.testing.assert_close(logits[:, index], own, rtol=1e-4, atol=1e-5)
        own.square().sum().backward()
        for name, weight in models[index].named_parameters():
            torch.testing.assert_close(grads[index][name], weight.grad, rtol=1e-3, atol=1e-4)
    assert torch.isnan(logits[:, 1]).all()


def _gradients(whole):
    """The same network with its gradients in the place of its weights."""
    with torch.no_grad():
        for weight in whole.parameters():
            weight.copy_(weight.grad)
    return whole


def test_states_are_those_of_the_networks():
    models = networks(shortcut="B")
    for model, state in zip(models, SideBySide(models).states(), strict=True):
        own = model.state_dict()
        assert own.keys() <= state.keys() and all(torch.equal(own[name], state[name]) for name in own)


def test_what_cannot_be_joined_is_named():
    with pytest.raises(InvalidSetting, match="GroupNorm"):
        SideBySide(networks(norm="group"))


def test_networks_in_lock_step_learn_what_fit_teaches_them_alone():
    data, models, seeds = digits(), networks(), [0, 0, 5]
    training = LockStep(models, data, RECIPE, seeds)
    losses = []
    while not training.done:
        losses.append(training.make_step().losses)
    tested = training.test()[1]
    for index, (model, seed) in enumerate(zip(models, seeds, strict=True)):
        events = [*fit(model, data, replace(RECIPE, seed=seed))]
        alone = [float(event.loss) for event in events if type(event).__name__ == "StepDone"]
        np.testing.assert_allclose([row[index] for row in losses], alone, rtol=2e-3)
        assert tested[index] == pytest.approx(1 - evaluate(model, data).metrics["top1"], abs=0.02)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(training.net.states()[index][name], value, rtol=0.02, atol=2e-3)


def test_going_on_from_a_state_gives_the_same_as_going_through():
    data, models = digits(), networks()
    through, part = LockStep(models, data, RECIPE, [0, 0, 1]), LockStep(models, data, RECIPE, [0, 0, 1])
    deque((through.make_step() for _ in range(4)), maxlen=0)
    deque((part.make_step() for _ in range(2)), maxlen=0)
    state = {name: value.clone() for name, value in part.state().items()}
    further = LockStep(models, data, RECIPE, [0, 0, 1], start=state)
    assert further.step == 2 and not further.done
    deque((further.make_step() for _ in range(2)), maxlen=0)
    for one, other in zip(through.net.state_dict().values(), further.net.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert np.array_equal(through.epoch_means(), further.epoch_means()) and further.done


def test_gradient_norms_are_each_networks_own():
    data, models = digits(), networks()
    training = LockStep(models, data, RECIPE, [0, 0, 0], with_gradients=True)
    images = training._batches[0].cut(1)
    norms = training.make_step().gradients
    for model, row in zip(models, norms, strict=True):
        torch.nn.functional.cross_entropy(model.train()(images.inputs), images.targets).backward()
        convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
        np.testing.assert_allclose(row, [float(conv.weight.grad.norm()) for conv in convs], rtol=1e-3)
