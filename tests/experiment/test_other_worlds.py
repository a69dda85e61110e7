"""Signals, tables and texts are kept, resumed, repeated, moved to a process and listed as pictures are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.cli import main
from reswork.datasets import Dataset
from reswork.datasets.texts import texts_of
from reswork.experiment.processes.job import read_dataset, write_dataset
from tests.served_runs import stopped_and_resumed, workers_in_threads

RECIPE = rw.Recipe(steps=6, batch_size=8, device="cpu", precision="fp32", compile="off")
SETS: dict[str, Callable[[], Dataset]] = {
    "signals": lambda: rw.datasets.pulses(train=24, test=12, length=16),
    "next steps": lambda: rw.datasets.windows(np.sin(np.arange(80.0)), 2, 8),
    "table": lambda: rw.datasets.cancer().subset(train=24, test=12),
    "text": lambda: texts_of(
        [f"{'good' if row % 2 else 'bad'} {row}" for row in range(40)], [*"yn"] * 20, "words", ""
    ),
}


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    yield
    for run in rw.active_runs():
        run.stop()


def network(data: Dataset) -> rw.ResNet:
    torch.manual_seed(1)
    return rw.resnet(rw.config_for(data, depth=8, width=2))


def losses(run: rw.LiveRun | rw.SavedRun) -> list[float]:
    return run.history.series("loss/train").values.tolist()


@pytest.mark.parametrize("name", SETS)
def test_a_run_that_was_stopped_goes_on_to_the_last_bit_and_is_listed(name: str) -> None:
    data = SETS[name]()
    whole = rw.train(network(data), data, RECIPE, name="whole")
    whole.wait(300)
    again = stopped_and_resumed(network(data), data, RECIPE, 3)
    assert losses(again) == losses(whole) and len(losses(whole)) == 6
    metric = whole.headline
    assert again.history.last(metric.test) == whole.history.last(metric.test)
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key
    lines = {line.name: line for line in rw.runs()}
    assert set(lines) == {"whole", "parts"} and lines["whole"].score == whole.history.last(metric.test)
    assert metric.label in lines["whole"].told_score and data.name in repr(lines["whole"])
    seeds = rw.train_seeds(network(data), data, RECIPE, seeds=2, name="band")
    assert seeds.wait(300) == (rw.RunState.FINISHED,) * 2
    assert len({losses(run)[-1] for run in seeds.runs}) == 2
    drawn = rw.figures.metric_curves({"band": seeds.histories}, whole.metrics)
    assert any("band" in str(trace.name) for trace in drawn.data)


@pytest.mark.parametrize("name", SETS)
def test_what_a_process_gets_is_the_same_data_set(name: str, tmp_path: Path) -> None:
    data = SETS[name]()
    write_dataset(tmp_path / "data.safetensors", data)
    found = read_dataset(tmp_path / "data.safetensors")
    assert (found.features, found.target_scale, found.classes) == (
        data.features,
        data.target_scale,
        data.classes,
    )
    assert found.summary() == data.summary() and found.fingerprint == data.fingerprint
    for one, other in ((found.train, data.train), (found.test, data.test)):
        assert torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)


def test_a_worker_trains_next_steps_to_the_last_bit() -> None:
    data = SETS["next steps"]()
    here = rw.train(network(data), data, RECIPE)
    here.wait(300)
    with workers_in_threads():
        there = rw.train(network(data), data, RECIPE, engine="process")
        assert there.wait(300) is rw.RunState.FINISHED
    assert losses(there) == losses(here)
    assert there.history.last("rmse/test") == here.history.last("rmse/test")  # in the values' own unit


def test_the_command_line_reads_a_file_as_the_world_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reviews.csv"
    words = [f"{'good' if row % 2 else 'bad'} thing {row},{'yn'[row % 2]}" for row in range(40)]
    file.write_text("\n".join(["text,liked", *words]))
    quick = ["--steps", "2", "--batch-size", "8", "--device", "cpu", "--compile", "off", "--width", "2"]
    train = ["train", "--world", "text", "--data", str(file), "--target", "liked", *quick, "--name", "mine"]
    assert main(train) == 0
    told = capsys.readouterr().out
    assert "1-D ResNet-8" in told and "32 texts to train on, 8 to test" in told and "texts/s" in told
    saved = rw.load_run("mine")
    assert saved.recipe.optimizer == "adamw" and saved.classes == ("n", "y")  # the world's own preset
    assert main(["runs"]) == 0 and "mine" in capsys.readouterr().out
    assert main(["train", "--world", "tables", "--data", str(file), "--horizon", "2"]) == 2
    assert "horizon=2 means nothing for Tables" in capsys.readouterr().err
    assert main(["train", "--data", str(file), "--target", "liked"]) == 2
    assert "--target needs --world" in capsys.readouterr().err
    assert main(["worlds"]) == 0
    listed = capsys.readouterr().out
    assert all(world.title in listed and world.baseline in listed for world in rw.worlds().values())
