from dataclasses import replace
from pathlib import Path

import pytest
import torch

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.store.checkpoints import Checkpoints
from reswork.training import EpochDone, StepDone
from tests.faults import kills, stops
from tests.faults.training import RECIPE, begun, differences

FAST = replace(RECIPE, steps=60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    begun(folder).wait(300)
    return folder


@pytest.mark.parametrize("step", [1, 40, 57, 99])
def test_a_stopped_run_goes_on_as_if_it_never_had(whole: Path, tmp_path: Path, step: int) -> None:
    stops.stopped_at(tmp_path / "run", step)
    run = rw.load_run(tmp_path / "run").resume()
    assert run.wait(300) is rw.RunState.FINISHED
    assert differences(whole, tmp_path / "run") == []
    assert [note.kind for note in run.history.notes if note.kind == "resumed"] == ["resumed"]


def test_also_in_a_new_process_and_from_an_interrupted_evaluation(whole: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", start=False)

    def stop_in_the_evaluation(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 80:
            run._controls.stop = True  # is seen between two batches of the evaluation

    run.add_recorder(stop_in_the_evaluation)
    run.start()
    assert run.wait(300) is rw.RunState.STOPPED
    assert Checkpoints(tmp_path / "run").all()[0].step == 80
    stops.resumed_in_a_new_process(tmp_path / "run")
    assert differences(whole, tmp_path / "run") == []


def test_stopping_again_and_again_changes_nothing(whole: Path, tmp_path: Path) -> None:
    stops.stopped_at(tmp_path / "run", 13)
    for more in (11, 16, 20):
        run = rw.load_run(tmp_path / "run").resume(start=False)
        run.step(more)
        run.wait_until_still(300)
        run.stop()
        run.wait(300)
    assert rw.load_run(tmp_path / "run").resume().wait(300) is rw.RunState.FINISHED
    assert differences(whole, tmp_path / "run") == []


def test_the_interval_between_checkpoints_goes_on_with_it(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", start=False, save_every_s=0.0)
    run.step(3)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    again = rw.load_run(tmp_path / "run").resume(start=False)
    assert again._save_points.every_s == 0.0
    again.stop()


def test_changed_settings_go_on_with_it(tmp_path: Path) -> None:
    for name, stop in (("whole", None), ("stopped", 30)):
        run = begun(tmp_path / name, start=False)
        run.step(20)
        run.wait_until_still(300)
        run.set(learning_rate=0.01, momentum=0.5, weight_decay=0.01)
        if stop:
            run.step(stop - 20)
            run.wait_until_still(300)
            run.stop()
            run.wait(300)
            run = rw.load_run(tmp_path / name).resume()
        run.resume()
        run.wait(300)
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_another_optimizer_remembers_too(tmp_path: Path) -> None:
    recipe = replace(
        FAST, optimizer="adamw", steps=42, learning_rate=0.003, nesterov=False, decay_norm_and_bias=False
    )
    begun(tmp_path / "whole", recipe=recipe).wait(300)
    run = begun(tmp_path / "stopped", recipe=recipe, start=False)
    run.step(33)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    rw.load_run(tmp_path / "stopped").resume().wait(300)
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_frozen_layers_join_as_they_would_have(tmp_path: Path) -> None:
    """Stopped just before layer2 joins in step 21, just after, and later; 40 steps are an epoch."""
    recipe = replace(
        FAST, optimizer="adamw", learning_rate=0.01, nesterov=False, steps=44,
        frozen=("conv1", "bn1", "layer1", "layer2"), unfreeze_epochs={"layer2": 0.5, "layer1": 0.9},
        layer_rates={"layer2": 0.3, "fc": 3.0}, class_weights="balanced",
    )  # fmt: skip
    begun(tmp_path / "whole", recipe=recipe).wait(300)
    run = begun(tmp_path / "stopped", recipe=recipe, start=False)
    for step in (20, 21, 30):
        run.step(step - run.steps_done)
        run.wait_until_still(300)
        run.stop()
        run.wait(300)
        run = rw.load_run(tmp_path / "stopped").resume(start=False)
    run.start()
    run.wait(300)
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []
    notes = [(note.step, note.kind) for note in run.history.notes if note.kind != "resumed"]
    assert notes == [(0, "frozen"), (21, "unfrozen"), (37, "unfrozen")]


def test_weights_frozen_by_hand_are_so_after_resuming(tmp_path: Path) -> None:
    for name, stop in (("whole", None), ("stopped", 12)):
        run = begun(tmp_path / name, recipe=replace(FAST, steps=24), start=False)
        run.model.layer1.requires_grad_(False)
        if stop:
            run.step(stop)
            run.wait_until_still(300)
            run.stop()
            run.wait(300)
            run = rw.load_run(tmp_path / name).resume(start=False)
        run.start()
        run.wait(300)
    assert not run.model.layer1[0].conv1.weight.requires_grad
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_what_an_optimizer_remembers_is_found_by_place_as_it_was_kept_at_first(tmp_path: Path) -> None:
    recipe = replace(FAST, steps=30, decay_norm_and_bias=False)
    begun(tmp_path / "whole", recipe=recipe).wait(300)
    run = begun(tmp_path / "stopped", recipe=recipe, start=False)
    run.step(11)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    _, state, _ = Checkpoints(tmp_path / "stopped").newest()
    names = [name for name, _ in run.model.named_parameters()]
    dims = {name: weight.ndim for name, weight in run.model.named_parameters()}
    order = [name for name in names if dims[name] > 1] + [name for name in names if dims[name] <= 1]
    tensors = {key: value for key, value in state.tensors.items() if not key.startswith("optimizer/")} | {
        f"optimizer/{order.index(key.rpartition('/')[0])}/{key.rpartition('/')[2]}": value
        for key, value in state.part("optimizer").items()
    }
    again = rw.load_run(tmp_path / "stopped").resume(start=False)
    assert again._start is not None and f"optimizer/{names[0]}/momentum_buffer" in again._start.tensors
    again._start = replace(again._start, tensors=tensors)
    again.start()
    again.wait(300)
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []


def test_an_earlier_step_may_be_chosen(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reswork.training.pace.COST_SHARE", float("inf"))
    run = begun(tmp_path / "run", start=False, save_every_s=0.0)
    run.step(50)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    again = rw.load_run(tmp_path / "run").resume(step=49, start=False)
    assert again.steps_done == 49
    assert again.history.series("loss/train").steps[-1] == 49
    again.start()
    again.wait(300)
    assert differences(whole, tmp_path / "run") == []


def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path: Path) -> None:
    stops.stopped_at(tmp_path / "run", 45)
    newest, older = Checkpoints(tmp_path / "run").all()[:2]
    (newest.path / "training.safetensors").write_bytes(b"nonsense")
    run = rw.load_run(tmp_path / "run").resume(start=False)
    assert run.steps_done == older.step < 45
    (told,) = [note for note in run.history.notes if note.kind == "fell_back"]
    assert newest.path.name in told.details["reason"]
    run.stop()


def test_what_cannot_be_resumed_says_why(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="made all its 100 steps"):
        rw.load_run(whole).resume()
    assert not rw.load_run(whole).can_be_resumed
    stops.stopped_at(tmp_path / "run", 5)
    saved = rw.load_run(tmp_path / "run")
    assert saved.can_be_resumed
    with pytest.raises(InvalidSetting, match="hand over the very same as data="):
        saved.resume(data=rw.datasets.shapes())
    going_on = saved.resume(start=False)
    with pytest.raises(InvalidSetting, match="being written by another"):
        saved.resume()
    going_on.stop()
    going_on.start()


def test_a_network_from_elsewhere_is_handed_over(tmp_path: Path) -> None:
    def network(*, bias: bool = True) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10, bias=bias))

    recipe = rw.Recipe(steps=20, batch_size=16, device="cpu", precision="fp32", compile="off")
    data = rw.datasets.digits()
    run = rw.train(network(), data, recipe, directory=tmp_path / "run", start=False)
    run.step(5)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    with pytest.raises(InvalidSetting, match="hand it over as model="):
        rw.load_run(tmp_path / "run").resume()
    with pytest.raises(InvalidSetting, match="do not fit this network"):
        rw.load_run(tmp_path / "run").resume(model=network(bias=False)).wait(300)
    assert rw.load_run(tmp_path / "run").resume(model=network()).wait(300) is rw.RunState.FINISHED


def test_a_long_pause_is_saved_and_a_short_one_is_not(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", start=False)
    run.step(7)
    run.wait_until_still(300)
    assert Checkpoints(tmp_path / "run").all()[0].step == 0
    while Checkpoints(tmp_path / "run").all()[0].step != 7:
        assert run.state is rw.RunState.PAUSED
    run.resume()
    run.stop()
    run.wait(300)


def test_recorders_taken_off_stay_off(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", start=False)
    (norms,) = [each for each in run.recorders if getattr(each, "name", "") == "gradient_norms"]
    run.remove_recorder(norms)
    run.step(5)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    again = rw.load_run(tmp_path / "run").resume(start=False)
    names = [getattr(each, "name", "") for each in again.recorders]
    assert "gradient_norms" not in names and "losses" in names
    again.stop()
    again.start()


def test_killed_processes_leave_readable_runs(tmp_path: Path) -> None:
    assert "no unreadable run" in kills.campaign(3)


def test_the_best_epoch_has_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reswork.training.pace.COST_SHARE", float("inf"))
    accuracies: list[float] = []
    run = begun(tmp_path / "run", start=False)
    run.add_recorder(
        lambda event: accuracies.append(event.metrics["top1"]) if isinstance(event, EpochDone) else None
    )
    run.start()
    run.wait(300)
    scores = [each.score for each in Checkpoints(tmp_path / "run").all() if each.score is not None]
    assert max(scores) == max(accuracies)
