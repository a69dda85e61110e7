import json
import threading

import numpy as np
import pytest

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.series_buffer import bucket_means, bucket_width


def grown(count: int) -> History:
    history = History()
    history.extend("loss/train", np.arange(1, count + 1), np.sin(np.arange(count) / 50.0))
    return history


def test_values_come_back_in_order_as_copies():
    history = History()
    for step in range(1, 1001):
        history.record(step, {"loss/train": step / 2, "top1/train": 0.5})
    series = history.series("loss/train")
    assert series.steps.tolist() == list(range(1, 1001))
    assert series.values[-1] == 500
    series.values[:] = 0
    assert history.last("loss/train") == 500
    assert history.names == ("loss/train", "top1/train")


def test_an_unknown_name_is_an_empty_series():
    history = History()
    assert len(history.series("loss/test")) == 0
    assert history.vectors("grad_norm").values.shape == (0, 0)
    assert history.last("loss/test") is None
    assert history.array("confusion/test") is None


def test_start_is_the_first_step_that_is_wanted():
    assert grown(100).series("loss/train", start=98).steps.tolist() == [98, 99, 100]
    assert len(grown(100).series("loss/train", start=101)) == 0


@pytest.mark.parametrize("count", [10, 11, 1_999, 2_001, 4_000, 15_999, 16_001, 100_003])
@pytest.mark.parametrize("max_points", [3, 10, 500, 2000])
def test_decimation_keeps_peaks_and_the_newest_point(count, max_points):
    history = grown(count)
    history.record(count + 1, {"loss/train": 9.0})
    history.extend("loss/train", np.arange(count + 2, count + 4), np.array([-9.0, 0.25]))
    series = history.series("loss/train", max_points=max_points)
    assert len(series) <= max_points
    assert series.values.max() == 9.0
    assert series.values.min() == -9.0
    assert series.steps[-1] == count + 3
    assert (np.diff(series.steps) > 0).all()


def test_decimation_gives_points_that_exist():
    full, few = grown(50_000).series("loss/train"), grown(50_000).series("loss/train", max_points=700)
    assert (full.values[few.steps - 1] == few.values).all()


def test_decimation_with_start_in_the_middle_of_a_block():
    series = grown(100_000).series("loss/train", start=12_345, max_points=1000)
    assert series.steps[0] >= 12_345
    assert len(series) <= 1000


def test_means_against_a_slow_loop():
    values = np.random.default_rng(0).random(1000)
    values[[3, 500]] = [np.nan, np.inf]
    history = History()
    history.extend("a", np.arange(1000), values)
    means = history.means("a", 100)  # 16 neighbours each
    for place, mean in enumerate(means.values):
        part = values[place * 16 : place * 16 + 16]
        assert mean == pytest.approx(part[np.isfinite(part)].mean(), rel=1e-12)
    assert means.steps[0] == 15 and means.steps[-1] == 999
    assert means.recorded == 1000 and means.counts.sum() == 998


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 99, 100, 101, 1_599, 1_600, 1_601, 100_003])
def test_means_of_blocks_are_those_of_single_values(count):
    """However the series grew: read in between, in single points and many at once."""
    values = np.random.default_rng(0).standard_normal(count)
    values[::37] = np.nan
    values[32:64] = np.nan
    history = History()
    for place in range(0, count, 1000):
        history.extend("a", np.arange(place, min(place + 999, count)), values[place : place + 999])
        if place + 999 < count:
            history.record(place + 999, {"a": values[place + 999]})
        history.means("a", 100)
    for max_points in (1, 10, 100):
        means = history.means("a", max_points)
        width = bucket_width(count, max_points)
        steps, slow, counts = bucket_means(np.arange(count), values, width)
        assert means.steps.tolist() == steps.tolist() and means.counts.tolist() == counts.tolist()
        np.testing.assert_allclose(means.values, slow, rtol=1e-9, atol=1e-12)
        assert len(means) <= max_points and (count <= max_points or len(means) >= max_points // 2)


def test_means_stay_while_a_series_grows():
    before, after = grown(3_200).means("loss/train", 100), grown(3_900).means("loss/train", 150)
    assert np.array_equal(before.values, after.values[: len(before)])


def test_means_of_a_group_and_of_nothing():
    history = History()
    for step in range(1, 9):
        history.record_vector("g", step, ["a", "b"], [step, 2 * step])
    means = history.means("g/b", 4)
    assert means.values.tolist() == [3, 7, 11, 15] and means.steps.tolist() == [2, 4, 6, 8]
    assert len(history.means("loss/train", 10)) == 0


def test_nan_survives_reading_decimation_and_json():
    history = History()
    history.extend("loss/train", [1, 2, 3, 4], [1.0, float("inf"), 3.0, float("nan")])
    again = History.from_dict(json.loads(json.dumps(history.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.series("loss/train").values, [1.0, np.inf, 3.0, np.nan])
    assert np.isnan(history.series("loss/train", max_points=3).values[-1])


def test_vectors_are_also_series():
    history = History()
    for step in range(10, 110, 10):
        history.record_vector("grad_norm", step, ["conv1", "layer1.0.conv1"], [step, 2 * step])
    vectors = history.vectors("grad_norm")
    assert vectors.labels == ("conv1", "layer1.0.conv1")
    assert vectors.values.shape == (10, 2)
    assert history.series("grad_norm/layer1.0.conv1").values.tolist() == [2 * s for s in range(10, 110, 10)]
    assert history.last("grad_norm/conv1") == 100
    assert history.groups == ("grad_norm",)
    few = history.vectors("grad_norm", max_points=4)
    assert len(few) <= 4
    assert few.steps[-1] == 100


def test_other_labels_in_the_same_group_are_refused():
    history = History()
    history.record_vector("grad_norm", 1, ["a", "b"], [1, 2])
    with pytest.raises(InvalidSetting, match="same labels"):
        history.record_vector("grad_norm", 2, ["a"], [1])


def test_steps_may_not_go_back():
    history = grown(5)
    with pytest.raises(InvalidSetting, match="already holds step 5 and got step 4"):
        history.record(4, {"loss/train": 1.0})
    with pytest.raises(InvalidSetting, match="go back"):
        history.extend("loss/train", [7, 6], [0.0, 0.0])
    assert len(history.series("loss/train")) == 5


def test_only_the_last_array_is_kept():
    history = History()
    history.keep("confusion/test", 1, np.eye(2))
    history.keep("confusion/test", 2, 2 * np.eye(2, dtype=np.int64))
    kept = history.array("confusion/test")
    assert kept is not None
    assert kept[0] == 2
    assert kept[1].tolist() == [[2, 0], [0, 2]]


def test_json_round_trip_of_everything():
    history = grown(20)
    history.record_vector("grad_norm", 3, ["conv1"], [0.5])
    history.keep("confusion/test", 7, np.array([[1, 2], [3, 4]]))
    history.note(4, "learning_rate", value=0.05)
    again = History.from_dict(json.loads(json.dumps(history.to_dict())))
    assert again.to_dict() == history.to_dict()
    assert again.notes[0].details == {"value": 0.05}
    kept = again.array("confusion/test")
    assert kept is not None
    assert kept[1].dtype == np.int64


def test_the_version_grows_at_every_write():
    history = History()
    versions = [history.version]
    history.record(1, {"a": 1})
    versions.append(history.version)
    history.note(1, "kind")
    versions.append(history.version)
    history.keep("x", 1, np.zeros(1))
    versions.append(history.version)
    history.record_vector("g", 1, ["l"], [0])
    versions.append(history.version)
    assert versions == sorted(set(versions))


def test_a_reader_in_another_thread_sees_whole_points_only():
    history = History()
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not stop.is_set():
            series = history.series("a", max_points=100)
            if len(series.steps) != len(series.values) or (series.values != series.steps * 2.0).any():
                wrong.append("torn")

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(1, 20_001):
        history.record(step, {"a": step * 2.0})
    stop.set()
    reader.join()
    assert not wrong
