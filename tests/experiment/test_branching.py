"""Branches: from step 0 with nothing changed they are the original; with changes they train and say what changed."""

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.experiment.branching import told_changes, tree_of
from reswork.results import family

RECIPE = rw.Recipe(
    steps=12, batch_size=64, device="cpu", precision="fp32", channels_last=False, compile="off"
)


@pytest.fixture(autouse=True)
def runs_here(tmp_path, monkeypatch):
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def digits():
    return rw.datasets.digits()


def trained(digits, recipe=RECIPE, **settings) -> rw.Run:
    torch.manual_seed(0)
    run = rw.train(rw.resnet(depth=8, width=4, in_channels=1, **settings), digits, recipe)
    run.wait(300)
    return run


def losses(run) -> np.ndarray:
    return run.history.series("loss/train").values


@pytest.mark.parametrize("settings", [{}, {"ema": 0.9, "mixup": 0.2}])
def test_a_branch_from_step_0_with_nothing_changed_is_the_original(digits, settings) -> None:
    run = trained(digits, rw.Recipe.from_dict(RECIPE.to_dict() | settings), dropout=0.1)
    again = rw.branch(run, 0)
    again.wait(300)
    assert np.array_equal(losses(again), losses(run))
    here, there = run.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)
    saved = rw.load_run(again.name)
    assert saved.parent == {"run": run.name, "step": 0, "changes": {}}


def test_from_a_checkpoint_of_the_step_it_goes_on_as_the_original_did(digits) -> None:
    whole = trained(digits)
    torch.manual_seed(0)
    run = rw.train(rw.resnet(depth=8, width=4, in_channels=1), digits, RECIPE, start=False)
    run.step(6)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    again = rw.branch(rw.load_run(run.name), 6)
    again.wait(300)
    assert again.history.series("loss/train").steps.tolist() == list(range(7, 13))
    assert np.array_equal(losses(again), losses(whole)[6:])
    (note,) = [note for note in again.history.notes if note.kind == "branched"]
    assert "The optimizer goes on as it was." in note.details["sentence"]


def test_another_learning_rate_from_a_moment_in_the_middle(digits) -> None:
    run = trained(digits)
    step = rw.moments(run).nearest(5)
    new = rw.branch(run, step, {"learning_rate": 0.01}, name="slower")
    new.wait(300)
    assert new.history.series("learning_rate").steps[0] == step + 1
    assert new.history.last("learning_rate") < run.history.last("learning_rate")
    assert rw.load_run("slower").parent["changes"] == {"learning_rate": [0.1, 0.01]}
    (note,) = [note for note in new.history.notes if note.kind == "branched"]
    assert note.details["sentence"].startswith(f"Branched off {run.name} at step {step}.")
    assert rw.moments(new).steps[0] == step
    here, there = rw.moments(run).model(step).state_dict(), rw.moments(new).model(step).state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)


@pytest.mark.parametrize(
    "change", [{"shortcuts_off": ("layer2.0",)}, {"branches_off": ("layer2.0",)}, {"residual": False}]
)
def test_without_a_shortcut_or_a_branch_it_trains(change, digits) -> None:
    run = trained(digits)
    before = torch.get_rng_state()
    new = rw.branch(rw.load_run(run.name), 4, config=change, start=False)
    assert torch.equal(
        torch.get_rng_state(), before
    )  # once it trains, the generator is the run's until its end
    new.start()
    assert new.wait(300) is rw.RunState.FINISHED
    assert np.isfinite(losses(new)).all()
    saved = rw.load_run(new.name)
    assert {name: value[1] for name, value in saved.parent["changes"].items()} == {
        name: list(value) if isinstance(value, tuple) else value for name, value in change.items()
    }
    (note,) = [note for note in new.history.notes if note.kind == "branched"]
    assert ("no place any more" in note.details["sentence"]) == ("branches_off" in change)


def test_a_fresh_branch_is_a_network_as_its_settings_say(digits) -> None:
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, in_channels=1)
    model.relu = torch.nn.Sigmoid()
    model.layer1[0].conv1.weight.data.zero_()
    run = rw.train(model, digits, RECIPE)
    run.wait(300)
    fresh = rw.branch(run, 0, fresh=True)
    fresh.wait(300)
    assert np.array_equal(losses(fresh), losses(trained(digits)))
    assert rw.load_run(fresh.name).parent["changes"] == {"weights": ["as they were", "fresh"]}
    assert not isinstance(fresh.model.relu, torch.nn.Sigmoid)
    with pytest.raises(rw.InvalidSetting, match="fresh weights begin at step 0"):
        rw.branch(run, 3, fresh=True)


def test_what_cannot_be_branched_says_why(digits) -> None:
    run = trained(digits)
    with pytest.raises(rw.InvalidSetting, match="the end of a training of 12 steps"):
        rw.branch(run, 12)
    with pytest.raises(rw.InvalidSetting, match="learning_rate=-1"):
        rw.branch(run, 3, {"learning_rate": -1.0})
    with pytest.raises(rw.InvalidSetting, match=r"layer9\.9"):
        rw.branch(run, 3, config={"shortcuts_off": ("layer9.9",)})
    none = rw.train(rw.resnet(depth=8, width=4, in_channels=1), digits, RECIPE, moments_bytes=0)
    none.wait(300)
    with pytest.raises(rw.InvalidSetting, match="kept no moments"):
        rw.branch(none, 3)


def test_a_diverged_run_is_repaired_from_a_moment_before(digits) -> None:
    wild = rw.Recipe.from_dict(
        RECIPE.to_dict() | {"learning_rate": 1e12, "schedule": "constant", "steps": 40}
    )
    torch.manual_seed(0)
    run = rw.train(rw.resnet(depth=8, width=4, in_channels=1, norm="none"), digits, wild)
    with pytest.raises(ArithmeticError):
        run.wait(300)
    new = rw.branch(run, 0, {"learning_rate": 0.01})
    assert new.wait(300) is rw.RunState.FINISHED


def test_the_tree_holds_every_run_with_what_was_changed(digits) -> None:
    run = trained(digits)
    first = rw.branch(run, 4, {"learning_rate": 0.01})
    first.wait(300)
    second = rw.branch(first, 8, {"weight_decay": 0.0})
    second.wait(300)
    alone = trained(digits)
    nodes = family(tree_of(rw.runs()), second.name)
    assert [node.name for node in nodes] == [run.name, first.name, second.name]
    assert alone.name not in {node.name for node in nodes}
    assert nodes[1].changes == ("learning_rate 0.1 → 0.01",)
    assert (nodes[2].from_step, nodes[2].steps) == (8, 12)
    assert told_changes({"ema": [None, 0.9]}) == ("ema None → 0.9",)
