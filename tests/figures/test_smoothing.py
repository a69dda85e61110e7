import numpy as np
import pytest

from reswork.figures.smoothing import bucket_means, finite, moving_average, smoothed


def test_bucket_means_against_a_slow_loop():
    values = np.random.default_rng(0).random(1000)
    values[[3, 500]] = [np.nan, np.inf]
    steps, means = bucket_means(np.arange(1000), values, 100)  # 16 neighbours each
    for place, mean in enumerate(means):
        part = values[place * 16 : place * 16 + 16]
        assert mean == pytest.approx(part[np.isfinite(part)].mean(), rel=1e-6)
    assert steps[0] == 15 and steps[-1] == 999


@pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 100_000])
def test_bucket_means_never_exceed_the_limit(count):
    steps, means = bucket_means(np.arange(count), np.ones(count), 100)
    assert len(steps) == len(means) == min(count, len(means)) <= 100
    assert count <= 100 or len(means) > 50
    assert np.all(means == 1)


def test_points_drawn_once_stay_while_a_series_grows():
    values = np.random.default_rng(0).random(1000)
    _, before = bucket_means(np.arange(640), values[:640], 100)
    _, after = bucket_means(np.arange(800), values[:800], 100)
    assert np.array_equal(before, after[: len(before)])


def test_moving_average_against_its_definition():
    values = np.random.default_rng(0).random(50)
    keep = 1 - 2 / 11
    weights = [keep ** np.arange(count)[::-1] for count in range(1, 51)]
    slow = [np.average(values[: len(weight)], weights=weight) for weight in weights]
    assert moving_average(values, 10) == pytest.approx(slow, rel=1e-6)


def test_moving_average_starts_at_the_data_and_survives_nan():
    calm = moving_average([5.0, np.nan, np.inf, 5.0], 10)
    assert calm[0] == 5.0 and np.isnan(calm[1:3]).all() and calm[3] == pytest.approx(5.0)


def test_window_of_one_changes_nothing():
    assert moving_average([1.0, 3.0, 2.0], 1).tolist() == [1.0, 3.0, 2.0]


def test_smoothed_removes_noise_and_keeps_the_level():
    noise = 3 + np.random.default_rng(0).standard_normal(100_000)
    steps, calm = smoothed(np.arange(100_000), noise, max_points=1000)
    assert len(steps) <= 1000 and calm.std() < 0.2 and calm.mean() == pytest.approx(3, abs=0.05)


def test_a_young_curve_does_not_lag():
    falling = 2.3 / np.sqrt(np.arange(1, 61))
    _, calm = smoothed(np.arange(60), falling, max_points=1000)
    assert calm[0] == pytest.approx(falling[0]) and calm[-1] == pytest.approx(falling[-1], abs=0.01)


def test_smoothed_of_nothing():
    steps, calm = smoothed([], [], max_points=10)
    assert len(steps) == len(calm) == 0


def test_finite_makes_gaps():
    assert np.isnan(finite([np.inf, -np.inf, np.nan])).all()
    assert finite([1.0]).dtype == np.float32
