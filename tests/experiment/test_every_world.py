"""In every world a stopped run goes on to the last bit, a process gives the same, and seeds are compared."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reswork as rw
from reswork.datasets import Dataset
from reswork.datasets.texts import texts_of
from tests.served_runs import stopped_and_resumed, workers_in_threads

FIXED = {
    "epochs": 2,
    "steps": None,
    "device": "cpu",
    "precision": "fp32",
    "compile": "off",
    "channels_last": False,
}
HALFWAY = 4  # of six steps, in the middle of the second pass
SMALL = {"depth": 8, "width": 2}


def photographs(folder: Path) -> Dataset:
    generator = np.random.default_rng(0)
    for name in "abc":
        picture = generator.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(picture).resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return rw.datasets.photographs(folder, scale=2, patches=12, patch=12).subset(test=2)


DATA: dict[str, Callable[[Path], Dataset]] = {
    "classification": lambda _: rw.datasets.digits().subset(12, 6),
    "segmentation": lambda _: rw.datasets.scenes(train=12, test=4, size=16),
    "volumes": lambda _: rw.datasets.solids(train=6, test=2, size=12),
    "detection": lambda _: rw.datasets.scattered(train=12, test=4, size=24),
    "restoration": photographs,
    "verification": lambda _: rw.datasets.drawn_faces(identities=4, test_identities=3, images=3, size=24),
    "anomalies": lambda _: rw.datasets.defects(train=12, test=8, size=24),
    "signals": lambda _: rw.datasets.pulses(train=12, test=6, length=16),
    "tables": lambda _: rw.datasets.cancer().subset(train=12, test=8),
    "text": lambda _: texts_of([f"{'good' if row % 2 else 'bad'} {row}" for row in range(15)],
                               [*"yn"] * 7 + ["y"], "words", ""),
}  # fmt: skip


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    yield
    for run in rw.active_runs():
        run.stop()


def test_no_world_is_left_out() -> None:
    assert list(DATA) == list(rw.worlds())


@pytest.mark.parametrize("name", DATA)
def test_stopped_and_resumed_in_a_process_and_over_seeds(name: str, tmp_path: Path) -> None:
    world, data = rw.worlds()[name], DATA[name](tmp_path)
    recipe = next(iter(world.recipes.values())).recipe
    recipe = replace(recipe, **FIXED, batch_size=-(-len(data.train) // 3))

    def net() -> rw.ResNet:
        torch.manual_seed(0)
        return rw.resnet(world.config(data, **SMALL))

    whole = rw.train(net(), data, recipe, name="whole")
    assert whole.wait(300) is rw.RunState.FINISHED and whole.steps_done == 6
    again = stopped_and_resumed(net(), data, recipe, HALFWAY)
    with workers_in_threads():
        apart = rw.train(net(), data, recipe, name="apart", engine="process")
        assert apart.wait(300) is rw.RunState.FINISHED
    expected = whole.model.state_dict()
    begun = net().state_dict()
    assert any(not torch.equal(expected[key], begun[key]) for key in expected)
    for run in (again, rw.load_run("apart"), rw.load_run("whole")):
        found = (run.model if isinstance(run, rw.LiveRun) else run.model()).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected), run
    for series in ("loss/train", "loss/test", *(f"{each.name}/test" for each in whole.metrics)):
        values = whole.history.series(series).values
        assert len(values)
        for run in (again, apart):
            np.testing.assert_array_equal(run.history.series(series).values, values)
    seeds = rw.train_seeds(net(), data, replace(recipe, epochs=1), seeds=2, name="seeds")
    assert seeds.wait(300) == (rw.RunState.FINISHED,) * 2
    first, second = (run.model.state_dict() for run in seeds.runs)
    assert any(not torch.equal(first[key], second[key]) for key in first)
    found = rw.compare_seeds(seeds, seeds)
    assert found.series == whole.headline.test and found.difference == 0 and found.sentence
