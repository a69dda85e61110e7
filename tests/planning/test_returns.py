import csv
import math
from pathlib import Path

import numpy as np
import pytest

import reswork as rw
from reswork.datasets import digits
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.planning.returns import last_point
from reswork.results.latency import CallTimes, Latency


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits().subset(100, 50)


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> rw.LiveRun:
    net, folder = rw.resnet(depth=8, width=4, in_channels=1), tmp_path_factory.mktemp("returns") / "run"
    run = rw.train(net, data, rw.Recipe(steps=12, batch_size=25), directory=folder, moments_bytes=0)
    run.wait()
    return run


def test_the_sheet_is_what_the_numbers_say(run: rw.LiveRun, data: Dataset) -> None:
    latency = Latency((CallTimes("x", 1, np.full(9, 0.002)),), (), (), (1, 8, 8), "here")
    found = rw.returns(
        run, error_cost=2.0, predictions=1000, error_before=0.95, months=6, other_costs=50, latency=latency
    )
    accuracy = run.history.last("top1/test")
    assert accuracy is not None
    saved = 1000 * (0.95 - (1 - accuracy)) * 2
    assert found["saved a month"] == pytest.approx(saved)
    hour = found["an hour of this machine"]
    assert found["cost of a thousand predictions"] == pytest.approx(2 / 3600 * hour)
    training = run.history.series("seconds/epoch").values.sum() / 3600 * hour
    assert found["cost of training"] == pytest.approx(training)
    cost = training + 50 + 6 * found["cost of serving a month"]
    assert found["return on investment"] == pytest.approx((6 * saved - cost) / cost)
    assert found["paid back after"] == pytest.approx(
        (training + 50) / (saved - found["cost of serving a month"])
    )
    assert found["cost of a point of accuracy"] == pytest.approx(training / (100 * (0.95 - (1 - accuracy))))
    entered = [each.name for each in found.lines if each.how == "entered"]
    assert entered == [
        "cost of an error",
        "predictions a month",
        "months",
        "other costs, once",
        "error before",
    ]


def test_without_an_error_before_it_is_guessing_and_what_brings_nothing_is_not_paid_back(
    run: rw.LiveRun, data: Dataset, tmp_path: Path
) -> None:
    found = rw.returns(run, error_cost=0, predictions=10)
    counts = data.class_counts("test")
    assert found["error before"] == pytest.approx(1 - counts.max() / counts.sum())
    assert found["a prediction"] > 0 and math.isnan(found["paid back after"]) and "?" in str(found)
    with found.save(tmp_path / "sheet.csv").open(newline="") as file:
        rows = {row[0]: row for row in csv.reader(file)}
    assert rows["paid back after"][1] == "" and rows["cost of an error"][3] == "entered"
    with pytest.raises(KeyError, match="is no line"):
        found["profit"]


def test_the_last_point_is_the_training_since_the_accuracy_was_near_the_best() -> None:
    curve = np.array([0.5, 0.895, 0.89, 0.90, 0.90])
    assert last_point(curve, np.array([1.0, 2, 4, 8, 16])) == 12
    assert last_point(np.array([0.9]), np.array([3.0])) == 0
    assert math.isnan(last_point(np.array([]), np.array([])))


def test_what_cannot_be_is_refused(run: rw.LiveRun) -> None:
    with pytest.raises(InvalidSetting, match="error_cost=-1"):
        rw.returns(run, error_cost=-1)
    with pytest.raises(InvalidSetting, match=r"error_before=1\.2"):
        rw.returns(run, error_cost=1, error_before=1.2)
