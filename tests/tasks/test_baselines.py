import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score

from reswork.datasets import digits, pulses, table, traffic, windows
from reswork.errors import InvalidSetting
from reswork.tasks import baselines, cheapest, intervals, judged, mase
from reswork.tasks.baselines import _until_known


def test_the_nearest_neighbour_is_scikit_learns_and_metrics_are_the_tasks() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    data = pulses(train=40, test=20, length=32)
    found = {each.name: each for each in baselines(data)}
    one = KNeighborsClassifier(1).fit(data.train.inputs[:, 0].numpy(), data.train.labels.numpy())
    right = accuracy_score(data.test.labels, one.predict(data.test.inputs[:, 0].numpy()))
    assert found["nearest neighbour"].metrics["top1"] == pytest.approx(right)
    assert set(found) == {"nearest neighbour", "ridge on random kernels"}


def test_of_two_classes_the_rarer_has_scikit_learns_average_precision() -> None:
    random = np.random.RandomState(0)
    numbers = random.normal(size=(300, 4))
    data = table(numbers, (numbers[:, 0] + random.normal(size=300) > 1.3).astype(int))
    for each in baselines(data):
        wanted = average_precision_score(data.test.labels, each.output[:, 1] - each.output[:, 0])
        assert each.metrics["average_precision"] == pytest.approx(wanted)


def test_mase_of_one_season_ago_is_its_error_over_that_in_training() -> None:
    random = np.random.RandomState(0)
    series = np.tile(np.sin(np.arange(12)), 20) + random.normal(scale=0.1, size=240)
    for season in (None, 12):  # told as values, and as differences to one season ago
        data = windows(series, 6, 24, season=season)
        naive = baselines(data, season=12)[0]
        told = data.in_units(naive.output)
        away = data.in_units(data.test.values) - told
        train = [
            abs(series[at : at + 6] - series[at - 12 : at - 6]).mean()
            for at in range(24, 24 + len(data.train))
        ]
        assert mase(data, naive.output, 12) == pytest.approx(abs(away).mean() / np.mean(train), rel=1e-4)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.RandomState(0)
    data = windows(random.normal(size=3_000), 2, 4, test_fraction=0.6)
    found = intervals(data, np.zeros((len(data.test), 2)), level=0.8)
    assert abs(found.coverage - 0.8) < 0.05 and found.widths.shape == (2,)
    assert found.widths.mean() == pytest.approx(2 * 1.2816, rel=0.1)  # of the normal distribution
    with pytest.raises(InvalidSetting, match="level=1"):
        intervals(data, np.zeros((len(data.test), 2)), level=1)
    with pytest.raises(InvalidSetting, match="too few"):
        short = windows(np.arange(40.0), 2, 4)
        intervals(short, np.zeros((len(short.test), 2)))


def test_intervals_of_next_steps_follow_what_came_true_and_others_do_not() -> None:
    """Noise that doubles: fixed widths hold too little of it, those that follow what they say."""
    random = np.random.RandomState(0)
    noise = random.normal(size=4_000) * np.where(np.arange(4_000) < 2_700, 1, 2)
    data = windows(noise, 2, 4, test_fraction=0.6)
    answers = np.zeros((len(data.test), 2))
    fixed, followed = (intervals(data, answers, follow=follow) for follow in (False, None))
    assert fixed.coverage < 0.65 and abs(followed.coverage - 0.9) < 0.02
    with_peek = intervals(data, answers)
    late = data.test.values.clone()
    late[-1] += 100  # what is not known yet changes no width
    object.__setattr__(data.test, "targets", late)
    before, after = (each.high - each.answers for each in (with_peek, intervals(data, answers)))
    assert np.array_equal(before[:-1], after[:-1])


def test_widths_that_follow_have_found_their_place_when_they_are_judged() -> None:
    """Noise that doubles before the second half: what the first quarter gives is too narrow, what is judged is not."""
    held = []
    for seed in range(5):
        noise = np.random.RandomState(seed).normal(size=2_000) * np.where(np.arange(2_000) < 1_300, 1, 2)
        data = windows(noise, 2, 4, test_fraction=0.6)
        held.append(intervals(data, np.zeros((len(data.test), 2))).coverage)
    assert abs(np.mean(held) - 0.9) < 0.002


def test_a_window_s_truth_is_known_as_soon_as_all_its_steps_have_come() -> None:
    series = np.random.RandomState(0).normal(size=400)
    for stride, horizon, wanted in ((1, 6, 6), (2, 6, 3), (4, 6, 2), (8, 6, 1)):
        assert _until_known(windows(series, horizon, 12, stride=stride)) == wanted


def test_the_cheapest_threshold_follows_the_prices() -> None:
    random = np.random.RandomState(0)
    probabilities = random.uniform(size=20_000)
    truth = (
        random.uniform(size=20_000) < probabilities
    )  # calibrated: name it where p * missed > (1 - p) * alarm
    found = cheapest(probabilities[:4_000], truth[:4_000], missed=9, false_alarm=1)
    assert abs(found.threshold - 0.1) < 0.12 and found.cost < min(found.never, found.always)
    with pytest.raises(InvalidSetting, match="prices"):
        cheapest(probabilities, truth, missed=-1, false_alarm=1)


def test_what_has_no_baseline_says_so() -> None:
    with pytest.raises(InvalidSetting, match="baselines are for signals"):
        baselines(digits())
    with pytest.raises(InvalidSetting, match="season=500 moments"):
        baselines(traffic(weeks=4, season=None), season=500)
    data = pulses(train=40, test=20, length=32)
    assert judged(data, np.eye(4)[data.test.labels])["top1"] == 1
