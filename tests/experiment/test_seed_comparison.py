"""The numbers against scipy's own test, and the words against the numbers."""

import math
import statistics
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reswork.errors import InvalidSetting
from reswork.experiment.seed_comparison import compare_seeds
from reswork.history import History
from reswork.training.live_run import RunState


def ended(value: float, name: str = "accuracy") -> History:
    history = History()
    history.record(1, {name: 0.0})
    history.record(2, {name: value})
    return history


def group(*values: float, name: str = "top1/test") -> list[History]:
    return [ended(value, name) for value in values]


shares = st.lists(st.integers(0, 10_000).map(lambda n: n / 10_000), min_size=2, max_size=8)


@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")  # scipy's, where a group has no spread
@settings(max_examples=300)
@given(shares, shares)
def test_mean_deviation_p_and_interval_are_scipys(a: list[float], b: list[float]) -> None:
    found = compare_seeds(group(*a), group(*b))
    assert found.means == pytest.approx((statistics.fmean(a), statistics.fmean(b)))
    assert found.deviations == pytest.approx((statistics.stdev(a), statistics.stdev(b)), abs=1e-12)
    if max(found.deviations) == 0:
        assert found.p_value is found.interval is found.larger_than_spread is None
        return
    expected = stats.ttest_ind(b, a, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert found.larger_than_spread == (found.p_value < 0.05)
    told = "is larger than the spread" if found.larger_than_spread else "is not larger than the spread"
    assert told in found.sentence
    assert f"{len(a)} against {len(b)} runs" in found.sentence


def test_equal_groups_are_called_different_in_five_of_a_hundred_cases_at_most() -> None:
    """Drawn from one distribution: Welch's test with three runs each errs on the careful side."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.9, 0.01, (2_000, 2, 3))
    wrong = sum(compare_seeds(group(*a), group(*b)).larger_than_spread for a, b in values)
    assert 0.01 < wrong / 2_000 < 0.06


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ((0.90,), (0.95,), ["90.0% (1 run)", "a single run has no spread", "at least two seeds"]),
        ((0.90, 0.90), (0.95, 0.95), ["gave the same number", "cannot be weighed"]),
        ((0.90, 0.92), (0.93, 0.91), ["2 against 2 runs", "1.0 points is not larger", "not show that they are equal"]),
        ((0.900, 0.901, 0.902), (0.95, 0.951, 0.953), ["5.0 points is larger", "the second is higher", "more seeds"]),
        ((0.5,) * 9 + (0.51,), (0.4,) * 9 + (0.41,), ["10.0 points is larger", "is lower", "fewer than 1 of 1,000"]),
    ],
)  # fmt: skip
def test_the_sentence_is_plain_and_honest(
    a: tuple[float, ...], b: tuple[float, ...], words: list[str]
) -> None:
    sentence = compare_seeds(group(*a), group(*b)).sentence
    assert all(word in sentence for word in words), sentence
    assert ("so few runs" in sentence) == (1 < min(len(a), len(b)) < 5 and a != (0.90, 0.90))


def test_another_series_is_told_as_a_number() -> None:
    found = compare_seeds(
        group(0.5, 0.6, name="loss/test"), group(0.1, 0.3, name="loss/test"), series="loss/test"
    )
    assert found.sentence.startswith("the first: 0.55 ± 0.071 (2 runs); the second: 0.2 ± 0.14 (2 runs).")
    assert "the difference of 0.35" in found.sentence and "%" not in found.sentence.partition("95 %")[0]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ([], "b holds no run"),
        ([SimpleNamespace(name="x", state=RunState.RUNNING, history=ended(1.0))], "run 'x' is running; wait"),
        (
            [ended(0.5, "loss/test")],
            "ends with no value of 'top1/test'; leave it out, or choose another of: loss/test",
        ),
        ([ended(math.nan, "top1/test")], "ends with nan of 'top1/test'"),
    ],
)
def test_what_cannot_be_compared_is_refused(bad: list[object], sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        compare_seeds(group(0.5, 0.6), bad)


def test_groups_are_called_by_their_networks_where_these_differ() -> None:
    def runs(label: str) -> list[SimpleNamespace]:
        facts = {"name": label, "model_label": label, "state": RunState.FINISHED}
        return [SimpleNamespace(**facts, history=history) for history in group(0.1, 0.2)]

    assert compare_seeds(runs("Plain-20"), runs("ResNet-20")).names == ("Plain-20", "ResNet-20")
    assert compare_seeds(runs("ResNet-20"), runs("ResNet-20")).names == ("the first", "the second")
    assert compare_seeds(runs("a"), runs("b"), names=("x", "y")).names == ("x", "y")
