import numpy as np
import pytest

from reswork.figures.smoothing import finite, moving_average, smoothed
from reswork.history import History, Means


def means(values, max_points: int) -> Means:
    history = History()
    history.extend("a", np.arange(len(values)), np.asarray(values, np.float64))
    return history.means("a", max_points)


def test_moving_average_against_its_definition():
    values = np.random.default_rng(0).random(50)
    keep = 1 - 2 / 11
    weights = [keep ** np.arange(count)[::-1] for count in range(1, 51)]
    slow = [np.average(values[: len(weight)], weights=weight) for weight in weights]
    assert moving_average(values, 10) == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("window", [1, 2, 50, 3_000])
def test_moving_average_against_a_slow_loop(window):
    values = np.random.default_rng(0).standard_normal(2_000)
    values[[5, 700]] = [np.nan, np.inf]
    keep = 1 - 2 / (window + 1)
    total = weight = 0.0
    for place, (value, calm) in enumerate(zip(values, moving_average(values, window), strict=True)):
        if place in (5, 700):
            assert np.isnan(calm)
            continue
        total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        assert calm == pytest.approx(total / weight, rel=1e-6, abs=1e-7)


def test_moving_average_starts_at_the_data_and_survives_nan():
    calm = moving_average([5.0, np.nan, np.inf, 5.0], 10)
    assert calm[0] == 5.0 and np.isnan(calm[1:3]).all() and calm[3] == pytest.approx(5.0)


def test_window_of_one_changes_nothing():
    assert moving_average([1.0, 3.0, 2.0], 1).tolist() == [1.0, 3.0, 2.0]


def test_smoothed_removes_noise_and_keeps_the_level():
    noise = 3 + np.random.default_rng(0).standard_normal(100_000)
    steps, calm = smoothed(means(noise, 1000))
    assert len(steps) <= 1000 and calm.std() < 0.2 and calm.mean() == pytest.approx(3, abs=0.05)


def test_a_young_curve_does_not_lag():
    falling = 2.3 / np.sqrt(np.arange(1, 61))
    _, calm = smoothed(means(falling, 1000))
    assert calm[0] == pytest.approx(falling[0]) and calm[-1] == pytest.approx(falling[-1], abs=0.01)


def test_smoothed_of_nothing():
    steps, calm = smoothed(means([], 10))
    assert len(steps) == len(calm) == 0


def test_finite_makes_gaps():
    assert np.isnan(finite([np.inf, -np.inf, np.nan])).all()
    assert finite([1.0]).dtype == np.float32
