import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.tasks import Regression, task_for, task_of_kind
from reswork.training.recipe import Recipe

random = torch.Generator().manual_seed(0)
TASK = Regression()


def made(count: int) -> Dataset:
    targets = torch.randn(50, count, generator=random)
    split = Split(torch.randn(50, 4, generator=random), targets if count > 1 else targets[:, 0])
    scale = (tuple(range(count)), tuple(2.0 + k for k in range(count)))
    return assembled("t", split, split, [f"v{k}" for k in range(count)], "Made", target_scale=scale)


@pytest.mark.parametrize("count", [1, 3])
def test_metrics_are_scikit_learns_in_the_values_unit_whatever_the_batches(count: int) -> None:
    data = made(count)
    truth = data.test.targets
    output = truth.view(50, count) + 0.3 * torch.randn(50, count, generator=random)
    meter = TASK.meter(data, torch.device("cpu"))
    for part in (slice(0, 32), slice(32, 50)):
        meter.update(output[part], truth[part])
    found = meter.compute().metrics
    a, b = data.in_units(truth).reshape(50, count), data.in_units(output)
    assert found["r2"] == pytest.approx(r2_score(a, b), abs=1e-6)
    assert found["mae"] == pytest.approx(mean_absolute_error(a, b), rel=1e-5)
    each = np.sqrt(mean_squared_error(a, b, multioutput="raw_values"))
    assert found["rmse"] == pytest.approx(each.mean(), rel=1e-5)
    assert found["loss"] == pytest.approx(mean_squared_error(truth.view(50, count), output), rel=1e-5)
    assert float(TASK.loss(output, truth, Recipe())) == pytest.approx(found["loss"], rel=1e-5)
    assert float(TASK.score(output, truth)) == pytest.approx(found["r2"], abs=1e-5)
    assert set(found) == {"loss", *(metric.name for metric in TASK.metrics)}


def test_one_input_has_no_r2() -> None:
    data = made(1)
    meter = TASK.meter(data, torch.device("cpu"))
    meter.update(torch.ones(1, 1), torch.zeros(1))
    assert "r2" not in meter.compute().metrics


def test_the_parts_of_a_batch_make_the_whole() -> None:
    data = made(2)
    output, targets = torch.randn(50, 2, generator=random), data.train.targets
    parts = [slice(0, 20), slice(20, 50)]
    joined = sum(TASK.loss(output[p], targets[p], Recipe()) * TASK.weight(targets[p]) for p in parts) / 50
    torch.testing.assert_close(joined, TASK.loss(output, targets, Recipe()))


def test_the_task_follows_from_values_and_says_what_it_cannot_use() -> None:
    data = made(2)
    assert task_for(data) == task_of_kind("regression") == TASK
    head = TASK.head(data)
    assert head == {"in_channels": 4, "dims": 0, "num_classes": 2, "head": "classifier"}
    for settings, field in (
        ({"label_smoothing": 0.1}, "label_smoothing"),
        ({"class_weights": "balanced"}, "class_w"),
    ):
        with pytest.raises(InvalidSetting, match=f"{field}.* is about classes"):
            TASK.check_recipe(Recipe(**settings))
    TASK.check_recipe(Recipe())
    labels = Split(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(InvalidSetting, match="targets of t are labels"):
        TASK.check_data(assembled("t", labels, labels, ["a", "b"], "Made"))
    with pytest.raises(InvalidSetting, match=r"the shape must be \(2, 2\)"):
        TASK.check_output(torch.nn.Linear(4, 1), torch.zeros(2, 1), data)


def test_answers_say_values_and_differ_by_a_tenth() -> None:
    answers = TASK.answers(torch.tensor([[0.5, -1.0, 2.0]]))
    assert answers.told(0, ["a", "b", "c"]) == "a 0.50, b -1.00 ..."
    assert not answers.differs(TASK.answers(torch.tensor([[0.55, -1.0, 2.0]])), 0)
    assert answers.differs(TASK.answers(torch.tensor([[0.5, -1.0, 2.2]])), 0)
    assert TASK.right(
        torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.4, 0.4], [0.0, 0.0]])
    ).tolist() == [
        True,
        False,
    ]
