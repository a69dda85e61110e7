import numpy as np
import pytest
import torch

from reswork.training.recipe import Recipe
from reswork.training.schedules import learning_rates


def rates(images: int = 1000, **settings: object) -> np.ndarray:
    return learning_rates(Recipe(**{"batch_size": 10, "learning_rate": 0.4, **settings}), images)[1]  # type: ignore[arg-type]


def test_constant_stays():
    assert (rates(schedule="constant", steps=50) == 0.4).all()


def test_step_falls_at_the_milestones():
    values = rates(schedule="step", steps=64, milestones=(0.5, 0.75))
    np.testing.assert_allclose(values[:32], 0.4)
    np.testing.assert_allclose(values[32:48], 0.04)
    np.testing.assert_allclose(values[48:], 0.004)


def test_cosine_equals_torch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 80)
    expected = []
    for _ in range(80):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    np.testing.assert_allclose(rates(schedule="cosine", steps=80), expected, rtol=1e-9)


def test_one_cycle_equals_torch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=201, cycle_momentum=False)
    expected = []
    for _ in range(201):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    ours = rates(schedule="one_cycle", steps=201)
    assert ours.max() == pytest.approx(0.4, rel=1e-3)
    np.testing.assert_allclose(ours, expected, rtol=0.05, atol=0.005)  # theirs puts the peak a step earlier
    assert ours[-1] == pytest.approx(expected[-1])


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
def test_warm_up_rises_in_equal_steps_to_the_peak(schedule):
    values = rates(schedule=schedule, epochs=4, warmup_epochs=0.5)  # 100 steps an epoch
    np.testing.assert_allclose(np.diff(values[:50]), 0.4 / 51)
    assert values[50] == pytest.approx(0.4)
    assert (values > 0).all()


def test_a_warm_up_longer_than_the_run_is_no_error():
    assert (np.diff(rates(schedule="cosine", steps=5, warmup_epochs=9)) > 0).all()


def test_few_points_are_some_of_all():
    recipe = Recipe(steps=10_000)
    steps, values = learning_rates(recipe, 5000, points=100)
    assert len(steps) == 100
    assert (steps[0], steps[-1]) == (1, 10_000)
    np.testing.assert_array_equal(values, learning_rates(recipe, 5000)[1][steps - 1])
