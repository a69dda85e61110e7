import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from reswork.reporting.predictions import checked_predictions
from reswork.reporting.slices import (
    Grouping,
    columns,
    fifths,
    groupings,
    holm,
    slices,
    wilson,
    worse_by_chance,
    worse_slices,
)


def test_the_interval_is_scipys():
    for errors, count in ((0, 30), (3, 40), (40, 40), (400, 1000)):
        wanted = binomtest(errors, count).proportion_ci(method="wilson")
        assert wilson(errors, count) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


def test_the_p_value_is_fishers():
    for errors, count, all_errors, whole in ((9, 30, 40, 400), (0, 20, 5, 100), (30, 50, 60, 200)):
        table = [[errors, count - errors], [all_errors - errors, whole - count - all_errors + errors]]
        wanted = fisher_exact(table, alternative="greater").pvalue
        assert worse_by_chance(errors, count, all_errors, whole) == pytest.approx(wanted, abs=1e-9)


def test_holms_correction_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert len(holm(np.zeros(0))) == 0


def parted(count: int, seed: int = 0) -> list[Grouping]:
    rng = np.random.default_rng(seed)
    return [Grouping(name, tuple("abcde"), rng.integers(0, 5, count)) for name in ("one", "two", "three")]


def test_a_slice_that_was_made_worse_is_the_only_finding():
    ways, rng = parted(2000), np.random.default_rng(1)
    wrong = rng.random(2000) < np.where(ways[1].group == 3, 0.35, 0.1)
    found = worse_slices(wrong, ways)
    assert [each.name for each in found.found] == ["two: d"]
    one = found.found[0]
    assert np.array_equal(one.images, np.flatnonzero(ways[1].group == 3)) and one.low < one.rate < one.high
    assert one.errors == wrong[one.images].sum() and one.elsewhere == pytest.approx(
        wrong[ways[1].group != 3].mean()
    )


def test_only_both_together_is_a_pair():
    ways, rng = parted(4000), np.random.default_rng(2)
    both = (ways[0].group == 0) & (ways[2].group == 4)
    found = worse_slices(rng.random(4000) < np.where(both, 0.6, 0.05), ways)
    assert "one: a and three: e" in [each.name for each in found.found]
    pair = next(each for each in found.found if len(each.parts) == 2)
    assert np.array_equal(pair.images, np.flatnonzero(both))
    assert sum(len(each.parts) == 2 for each in found.found) == 1


def test_noise_is_a_finding_in_at_most_a_few_of_a_hundred_sets():
    found = [len(worse_slices(np.random.default_rng(k).random(600) < 0.2, parted(600, k))) for k in range(60)]
    assert sum(map(bool, found)) <= 6


def test_images_are_parted_in_every_way(predictions, images):
    rows = np.arange(200)
    given = checked_predictions(
        predictions.probabilities[:200], predictions.labels[:200], images=images,
        embeddings=np.random.default_rng(0).normal(size=(200, 4)),
        columns={"camera": np.where(rows % 3 == 0, "left", "right"), "day": rows * 1.5, "shift": rows % 2},
    )  # fmt: skip
    ways = {each.name: each for each in groupings(given)}
    assert list(ways) == ["class", "brightness", "contrast", "sharpness", "camera", "day", "shift", "cluster"]
    assert ways["camera"].values == ("right", "left") and len(ways["day"].values) == 5
    assert all(len(each.group) == 200 and each.group.max() < len(each.values) for each in ways.values())
    assert slices(given).looked_at > 20


def test_what_is_not_known_is_in_no_group():
    group = fifths("x", np.array([np.nan, *np.arange(10.0)])).group
    assert group[0] == -1 and np.bincount(group[1:]).tolist() == [2] * 5
    assert (fifths("x", np.full(4, np.nan)).group == -1).all()
    many = columns({"word": np.array([f"w{k % 60}" for k in range(300)])})[0]
    assert len(many.values) == 30 and (many.group == -1).sum() == 150


def test_a_class_within_a_cluster_of_another_one_is_no_finding():
    rng = np.random.default_rng(0)
    labels, seen = rng.integers(0, 4, 4000), rng.integers(0, 4, 4000)
    seen = np.where(rng.random(4000) < 0.8, labels, seen)  # what the model makes of it decides the answer
    ways = [
        Grouping("class", tuple("abcd"), labels, "truth"),
        Grouping("cluster", tuple("abcd"), seen, "model"),
    ]
    assert not worse_slices(seen != labels, ways).found
    ways[0] = Grouping("class", tuple("abcd"), labels)
    assert worse_slices(seen != labels, ways).found
