"""Runs that an earlier version wrote are read, drawn and gone on with; `runs_of_before/making.py` made them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reswork as rw

KEPT = Path(__file__).parent / "runs_of_before"
KNOWN: dict[str, Any] = json.loads((KEPT / "known.json").read_text())
NAMES = ("finished", "foreign", "pair-seed-0", "pair-seed-1", "stopped")
STOPPED_AT = 25


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A copy that may be written to."""
    for name in NAMES:
        shutil.copytree(KEPT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    data = rw.datasets.digits()
    return rw.datasets.normalise(data.test.images[:5], data.mean, data.std)


def test_the_table_lists_them_all(kept: Path) -> None:
    found = {run.name: run for run in rw.runs(kept)}
    assert sorted(found) == list(NAMES)
    assert {name: run.unreadable for name, run in found.items()} == dict.fromkeys(NAMES)
    assert {run.state for name, run in found.items() if name != "stopped"} == {rw.RunState.FINISHED}
    assert (found["stopped"].state, found["stopped"].can_be_resumed) == (rw.RunState.STOPPED, True)
    assert found["finished"].progress["step"] == 40
    assert found["finished"].progress["top1/test"] == pytest.approx(0.42)
    assert found["finished"].config == rw.ResNetConfig(depth=8, width=2, in_channels=1)
    assert (found["finished"].recipe.ema, found["stopped"].recipe.mixup) == (0.9, 0.2)
    assert (found["foreign"].config, found["foreign"].model_label) == (None, "Sequential")
    assert found["finished"].summary()["score"] == pytest.approx(0.42)


@pytest.mark.parametrize("name", NAMES)
def test_every_series_is_there_under_its_old_name(name: str) -> None:
    history = rw.load_run(KEPT / name).history
    found = {each: len(history.series(each)) for each in history.names}
    found |= {each: len(history.vectors(each).steps) for each in history.groups}
    assert found == KNOWN["series"][name]
    losses = [json.loads(line) for line in (KEPT / name / "metrics.jsonl").read_text().splitlines()]
    first = next(line["values"]["loss/train"] for line in losses if "loss/train" in line.get("values", {}))
    assert history.series("loss/train").values[0] == first


def test_the_final_weights_give_the_logits_of_that_day(images: torch.Tensor) -> None:
    with torch.no_grad():
        logits = rw.load_run(KEPT / "finished").model()(images)
    torch.testing.assert_close(logits, torch.tensor(KNOWN["logits"]), rtol=1e-4, atol=1e-5)


def test_its_moments_do_as_well(kept: Path, images: torch.Tensor) -> None:
    moments = rw.moments(rw.load_run(kept / "finished"))
    wanted = {int(step): torch.tensor(logits) for step, logits in KNOWN["logits of moments"].items()}
    assert list(moments.steps) == list(wanted)
    with torch.no_grad():
        for step, logits in wanted.items():
            torch.testing.assert_close(moments.model(step)(images), logits, rtol=1e-4, atol=1e-5)


def test_they_are_drawn_and_exported(kept: Path) -> None:
    found = [rw.load_run(kept / name) for name in NAMES]
    page = rw.export_page(found, kept / "page.html").read_text(encoding="utf-8")
    for text in (*NAMES, "Gradient norm over depth", "Shortcut and branch", "Confusion matrix", "42.0"):
        assert text in page, text
    lines = rw.export_csv(found, kept / "runs.csv").read_text().splitlines()
    assert sum(line.split(",")[2] == "top1/test" for line in lines) == 2 + 1 + 1 + 1 + 1
    shown = rw.figures.metric_curves({run.name: run.history for run in found}, found[0].metrics)
    assert {name for trace in shown.data for name in NAMES if name in str(trace.name)} == set(NAMES)


def test_the_pair_of_seeds_is_one_group(kept: Path) -> None:
    groups = rw.seed_groups(rw.runs(kept))
    assert sorted(run.name for run in groups["pair"]) == ["pair-seed-0", "pair-seed-1"]


def test_the_stopped_one_goes_on_as_it_did_that_day(kept: Path) -> None:
    run = rw.load_run(kept / "stopped").resume()
    assert run.wait(300) is rw.RunState.FINISHED
    losses, wanted = run.history.series("loss/train"), np.array(KNOWN["losses of the stopped one"])
    assert losses.steps.tolist() == list(range(1, 41))
    assert losses.values[:STOPPED_AT].tolist() == wanted[:STOPPED_AT].tolist()  # read, not computed again
    np.testing.assert_allclose(losses.values, wanted, rtol=1e-3)  # another processor rounds differently
    accuracy = run.history.series("top1/test").values
    np.testing.assert_allclose(accuracy, KNOWN["accuracy of the stopped one"], atol=0.01)
    assert [note.kind for note in run.history.notes if note.kind in ("resumed", "fell_back")] == ["resumed"]
    again = rw.load_run(kept / "stopped")
    assert (again.state, again.progress["step"]) == (rw.RunState.FINISHED, 40)


def test_a_branch_grows_from_a_moment_of_before(kept: Path) -> None:
    run = rw.branch(rw.load_run(kept / "finished"), 22, {"learning_rate": 0.01}, directory=kept / "branch")
    assert run.wait(300) is rw.RunState.FINISHED
    assert run.history.series("loss/train").steps.tolist() == list(range(23, 41))
    assert rw.load_run(kept / "branch").parent["run"] == "finished"


def test_the_weights_of_before_open_as_a_checkpoint(images: torch.Tensor) -> None:
    found = rw.open_checkpoint(KEPT / "finished" / "weights.safetensors")
    with torch.no_grad():
        logits = found.model.eval()(images)
    torch.testing.assert_close(logits, torch.tensor(KNOWN["logits"]), rtol=1e-4, atol=1e-5)
