import numpy as np
import pytest
from scipy.stats import chi2, entropy

from reswork.shipping.drift import Drift, by_chance, reference, stability_index, traits


def test_the_index_is_both_divergences_of_kullback_and_leibler() -> None:
    first, second = np.array([10.0, 0, 30, 60]), np.array([5.0, 20, 20, 5])
    p, q = first + 0.5, second + 0.5
    assert stability_index(first, second) == pytest.approx(entropy(p, q) + entropy(q, p))
    assert by_chance(100, 400, 10) == pytest.approx((1 / 100 + 1 / 400) * chi2.ppf(0.95, 9))


def test_without_a_change_the_index_stays_below_chance_in_95_of_100_cases() -> None:
    generator, above = np.random.default_rng(0), 0
    for _ in range(400):
        drift = Drift({"x": reference(generator.normal(size=1000))})
        drift.see("x", generator.normal(size=300))
        above += drift.index("x") > drift.chance("x")
    assert 400 * 0.02 < above < 400 * 0.09
    drift = Drift({"x": reference(generator.normal(size=1000))})
    drift.see("x", generator.normal(1.0, size=300))
    assert drift.index("x") > 5 * drift.chance("x") > 0


def test_few_images_unknown_quantities_and_one_value_for_all_say_nothing() -> None:
    drift = Drift({"x": reference(np.arange(1000.0)), "same": reference(np.ones(500))})
    drift.see("x", np.arange(99.0))
    drift.see("y", np.arange(200.0))
    assert np.isnan(drift.index("x")) and np.isnan(drift.chance("x")) and np.isnan(drift.index("y"))
    drift.see("same", np.ones(200))
    assert drift.index("same") == pytest.approx(0, abs=0.02)
    drift.see("same", np.zeros(1000))
    assert drift.index("same") > 1


def test_brightness_and_contrast_are_those_of_each_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 5), np.uint8)
    found = traits(pixels)
    assert found["brightness"][1] == pytest.approx(pixels[1].astype(float).mean())
    assert found["contrast"][2] == pytest.approx(pixels[2].astype(float).std())
