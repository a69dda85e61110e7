"""Nothing changes by looking: the training, the model and the random state with recorders and without them."""

import copy
import time
from importlib import import_module

import pytest
import torch
from torch import nn

from reswork.history import History
from reswork.recorders import CATALOGUE, Budget, timed
from reswork.store.metrics_log import MetricsLog
from reswork.store.replay import read_history
from reswork.training.events import BatchReady, Event, GradientsReady, RunStarted, StepDone
from reswork.training.loop import fit
from reswork.training.recorder import BaseRecorder
from reswork.training.run import Run, RunState

KINDS = ["post", "pre, bottleneck", "dropout", "fixup", "plain", "torchvision", "mlp", "parallel"]


def all_recorders(history: History, every: int = 2) -> list:
    made = [timed(kind.name, history) for kind in CATALOGUE]
    for each in made:
        each.every = every
    return made


class Losses(BaseRecorder):
    events = (StepDone,)

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, event: Event) -> None:
        assert isinstance(event, StepDone)
        self.values.append(event.loss.item())


def trained(model: nn.Module, data, recipe, recorders=()) -> tuple[list[float], dict[str, torch.Tensor]]:
    losses = Losses()
    run = Run(model, data, recipe, recorders=[losses, *recorders])
    run.start()
    assert run.wait(300) is RunState.FINISHED
    return losses.values, model.state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_all_recorders_on_change_no_bit(kind, make_net, data, make_recipe):
    recipe, history = make_recipe(steps=6), History()
    losses, weights = trained(make_net(kind), data, recipe)
    seen, looked_at = trained(make_net(kind), data, recipe, all_recorders(history))
    assert seen == losses
    assert all(torch.equal(value, looked_at[name]) for name, value in weights.items())
    assert "recorder removed" not in {note.kind for note in history.notes}
    blocks = history.vectors("activation_mean")
    assert blocks.steps.tolist() == ([] if kind == "mlp" else [1, 2, 4, 6])
    assert len(history.vectors("shortcut_size")) == (0 if kind in ("mlp", "plain") else 4)


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "bf16", "channels_last": True},
        {"precision": "fp16"},
        {"accumulate": 3, "ema": 0.9, "clip_norm": 0.5, "image_scale": 0.5},
        {"checkpoint_activations": True},
        {"mixup": 0.4, "label_smoothing": 0.1, "deterministic": True},
        {"optimizer": "adamw", "learning_rate": 1e-3},
        {"optimizer": "muon", "learning_rate": 1e-3},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_nor_in_any_mode(settings, make_net, data, make_recipe):
    recipe, history = make_recipe(steps=5, **settings), History()
    losses, weights = trained(make_net("dropout"), data, recipe)
    seen, looked_at = trained(make_net("dropout"), data, recipe, all_recorders(history))
    assert seen == losses
    assert all(torch.equal(value, looked_at[name]) for name, value in weights.items())
    assert {note.kind for note in history.notes} <= set()
    assert len(history.vectors("activation_mean")) == 3


def test_nor_where_the_step_is_compiled(monkeypatch, make_net, data, make_recipe):
    """By the backend that needs no compiler; the recorders look at a copy that is not compiled."""
    plain = torch.compile
    monkeypatch.setattr("reswork.training.modes._missing_compiler", lambda kind: "")
    monkeypatch.setattr(torch, "compile", lambda model, **options: plain(model, backend="eager", **options))
    recipe, history = make_recipe(steps=4, compile="on"), History()
    losses, _ = trained(make_net("post"), data, recipe)
    seen, _ = trained(make_net("post"), data, recipe, all_recorders(history))
    assert seen == losses
    assert len(history.vectors("shortcut_size")) == 3


def test_started_and_stopped_in_the_middle_with_pauses_and_snapshots(make_net, data, make_recipe):
    recipe = make_recipe(steps=40)
    losses, weights = trained(make_net("dropout"), data, recipe)
    history, watched = History(), Losses()
    run = Run(make_net("dropout"), data, recipe, recorders=[watched])
    run.step(5)
    run.wait_until_still(300)
    for _ in range(5):
        made = all_recorders(history)
        budget = Budget(history, made)
        for each in (*made, budget):
            run.add_recorder(each)
        run.step(4)
        run.wait_until_still(300)
        run.snapshot()(torch.rand(2, 3, 8, 8))
        for each in (*made, budget):
            run.remove_recorder(each)
        assert run.recorders == (watched,)
    run.resume()
    while not run.done:
        run.snapshot()
        time.sleep(0.005)
    assert run.wait(300) is RunState.FINISHED
    assert watched.values == losses
    assert all(torch.equal(value, run.model.state_dict()[name]) for name, value in weights.items())
    assert len(history.vectors("activation_mean")) > 0


def image_of(model: nn.Module) -> dict[str, object]:
    """All that a recorder could have changed."""
    return {
        "state": copy.deepcopy(model.state_dict()),
        "gradients": [None if w.grad is None else w.grad.clone() for w in model.parameters()],
        "wants": [w.requires_grad for w in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "hooks": [
            len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
            for m in model.modules()
        ],
        "attributes": [sorted(m.__dict__) for m in model.modules()],
        "random": torch.get_rng_state(),
    }


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    for part in ("wants", "modes", "hooks", "attributes"):
        assert before[part] == after[part], part
    torch.testing.assert_close(before["state"], after["state"], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(before["gradients"], after["gradients"], rtol=0, atol=0)
    assert torch.equal(before["random"], after["random"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_the_same_after_each_call(kind, make_net, data, make_recipe):
    history = History()
    recorders = all_recorders(history, every=1)
    for event in fit(make_net(kind), data, make_recipe(steps=2)):
        if isinstance(event, RunStarted | BatchReady | GradientsReady | StepDone):
            before = image_of(event.model)
        for recorder in recorders:
            if type(event) in recorder.events:
                recorder(event)
        if isinstance(event, RunStarted | BatchReady | GradientsReady | StepDone):
            assert_same(before, image_of(event.model))


def test_also_when_a_recorder_raises_in_the_middle_of_a_forward_pass(
    make_net, data, make_recipe, monkeypatch
):
    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("in the middle")

    monkeypatch.setattr(import_module("reswork.recorders.signal_variance"), "_variance", broken)
    monkeypatch.setattr("reswork.recorders.summands._size", broken)
    monkeypatch.setattr("torch.std_mean", broken)
    history = History()
    recorders = [timed(name, history) for name in ("activations", "shortcut_and_branch", "signal_variance")]
    (event,) = [e for e in fit(make_net("dropout"), data, make_recipe(steps=1)) if isinstance(e, BatchReady)]
    event.model.train()
    before = image_of(event.model)
    for recorder in recorders:
        with pytest.raises(ArithmeticError):
            recorder(event)
        assert_same(before, image_of(event.model))


def test_one_that_fails_is_named_and_the_training_is_as_without(make_net, data, make_recipe, monkeypatch):
    losses, _ = trained(make_net("dropout"), data, make_recipe(steps=6))
    history, watched = History(), Losses()
    recorder = timed("activations", history)
    monkeypatch.setattr("torch.std_mean", lambda *_, **__: 1 / 0)
    run = Run(make_net("dropout"), data, make_recipe(steps=6), history=history, recorders=[recorder, watched])
    run.start()
    with pytest.warns(RuntimeWarning, match="activations failed and was taken off"):
        run.wait(300)
    assert watched.values == losses
    (note,) = history.notes
    assert (note.kind, note.details["recorder"]) == ("recorder removed", "activations")


@pytest.mark.parametrize(("kind", "silent"), [("mlp", 3), ("plain", 1)])
def test_where_there_is_nothing_to_measure_one_note_says_why(kind, silent, make_net, data, make_recipe):
    history = History()
    trained(make_net(kind), data, make_recipe(steps=6), all_recorders(history))
    assert [note.kind for note in history.notes] == ["nothing to record"] * silent
    reasons = {note.details["recorder"]: note.details["reason"] for note in history.notes}
    assert "no shortcuts" in reasons["shortcut_and_branch"] or "PlainMLP" in reasons["activations"]


def test_everything_recorded_comes_back_from_disk(make_net, data, make_recipe, tmp_path):
    history = History()
    log = MetricsLog(tmp_path / "m", history)
    trained(make_net("dropout"), data, make_recipe(steps=6), all_recorders(history))
    log.flush()
    assert {"update_ratio", "dead_share", "branch_gradient", "stream_variance"} <= set(history.groups)
    assert "noise_scale" in history.names
    kept = read_history(tmp_path / "m")
    assert kept.groups == history.groups
    for group in history.groups:
        torch.testing.assert_close(
            kept.vectors(group).values, history.vectors(group).values, rtol=0, atol=0, equal_nan=True
        )


def test_taken_off_it_costs_nothing(make_net, data, make_recipe):
    """No hooks, no events that the loop would have to make, and not one call."""
    history = History()
    run = Run(make_net("post"), data, make_recipe(steps=1000))
    made = all_recorders(history)
    for each in made:
        run.add_recorder(each)
    run.step(3)
    run.wait_until_still(300)
    for each in made:
        run.remove_recorder(each)
    spent = [each.spent_s for each in made]
    run.step(3)
    run.wait_until_still(300)
    assert [each.spent_s for each in made] == spent
    assert not run._controls.wants_batches and not run._controls.wants_gradients
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in run.model.modules())
    run.stop()
    run.wait(300)
