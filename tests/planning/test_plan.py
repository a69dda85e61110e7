import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import reswork as rw
from reswork.datasets import digits
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.planning.plan import shallower
from reswork.planning.trial import Trial
from reswork.training.modes import Mode

RECIPE = rw.Recipe(steps=40, batch_size=16)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits().subset(80, 40)


@pytest.fixture(scope="module")
def made(data: Dataset) -> rw.Plan:
    config = rw.ResNetConfig(depth=14, width=4, in_channels=1)
    before = torch.random.get_rng_state()
    found = rw.plan(config, data, RECIPE, seconds=0.05)
    assert torch.equal(torch.random.get_rng_state(), before)
    return found


def test_a_whole_training_is_start_steps_evaluations_and_end() -> None:
    measured = Trial(10, 0.5, 0.5, 0.01, 2.0, 3.0, 0.25, Mode("cpu"), None, 0)
    assert measured.seconds(rw.Recipe(epochs=4, batch_size=10), 100) == 2 + 40 * 0.5 + 4 * 3 + 0.25
    assert measured.seconds(rw.Recipe(steps=11, batch_size=10), 100) == 2 + 11 * 0.5 + 2 * 3 + 0.25


def test_a_plan_measures_this_training_and_tells_the_rest(made: rw.Plan, data: Dataset) -> None:
    assert made.steps == 40 and made.trial.steps >= 5 and made.trial.step_s > 0
    assert made.here.seconds == pytest.approx(made.trial.seconds(RECIPE, len(data.train)))
    assert made.here.low <= made.here.seconds <= made.here.high and made.here.basis == "measured"
    kinds = {way.name: way.basis for way in made.ways}
    assert kinds["early stopping"] == "measured" and kinds["ResNet-8 instead"] == "law"
    assert all(basis == "estimated" for name, basis in kinds.items() if "xlarge" in name or "highgpu" in name)
    told = str(made)
    assert "none was measured" in told and rw.prices().date in told and "Memory" in told
    assert "T4 (g4dn.xlarge): 0.526 USD an hour: AWS us-east-1 of 2026-01-19" in told
    assert not list(Path("runs").glob("*trial*"))


def test_money_is_hours_times_price_and_energy_times_its_price(data: Dataset) -> None:
    table = rw.prices()
    here = replace(table.here, per_hour=36.0, watts=1000.0)
    table = replace(table, machines=(here, *table.machines[1:]), electricity_per_kwh=3.6)
    found = rw.plan(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), data, RECIPE, prices=table, seconds=0.01)
    if found.trial.watts is None:
        assert found.here.kwh == pytest.approx(found.here.seconds / 3600)
    assert found.here.money == pytest.approx(found.here.seconds / 100 + found.here.kwh * 3.6)
    assert found.memory_bytes is None and len(found.ways) == 3  # its operations are not known


def test_a_plan_is_saved_as_csv(made: rw.Plan, tmp_path: Path) -> None:
    with made.save(tmp_path / "plan.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][0] == "way" and len(rows[1]) == 8
    assert float(rows[1][1]) == pytest.approx(made.here.seconds, rel=1e-3)
    with pytest.raises(InvalidSetting, match=r"does not end with \.csv"):
        made.save(tmp_path / "plan.xlsx")


def test_half_the_depth_is_a_network_of_the_same_kind() -> None:
    found = {depth: shallower(rw.ResNetConfig(depth=depth)) for depth in (8, 14, 20, 56)}
    assert found[8] is None
    assert [each.depth for each in found.values() if each is not None] == [8, 8, 26]
    imagenet = shallower(rw.ResNetConfig(depth=50, form="imagenet"))
    assert imagenet is not None and imagenet.resolved().depth in (18, 34)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"stops_at": 1.5}, "stops_at=1.5"),
        ({"seconds": 0}, "seconds=0"),
        ({"prices": "nowhere.json"}, "nowhere"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], told: str, data: Dataset) -> None:
    with pytest.raises(InvalidSetting, match=told):
        rw.plan(rw.ResNetConfig(depth=8, in_channels=1), data, RECIPE, **settings)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="in_channels"):
        rw.plan(rw.ResNetConfig(depth=8), data, RECIPE)
    with pytest.raises(InvalidSetting, match="neither a ResNetConfig"):
        rw.plan("resnet", data)  # type: ignore[arg-type]
