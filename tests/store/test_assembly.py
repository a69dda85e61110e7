"""What a run has when it is put together, with a folder, without one, and going on."""

from pathlib import Path

import pytest

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.network import ResNet
from reswork.recorders import losses, timed
from reswork.store.assembly import assemble_run
from reswork.store.description import describe
from reswork.store.moment_keeper import MomentKeeper
from reswork.store.saved_run import load_run
from reswork.store.writer import RunWriter
from reswork.training.recipe import Recipe
from reswork.training.run import Run, RunState

RECIPE = Recipe(steps=3, batch_size=8, device="cpu", precision="fp32", compile="off", channels_last=False)


def assembled(net: ResNet, data: Dataset, directory: Path | None, **options: object) -> Run:
    if directory is not None:
        directory.mkdir()
    return assemble_run(net, data, RECIPE, describe(net, data, RECIPE), directory, **options)


def test_a_run_with_a_folder_has_moments_and_a_writer_behind_its_recorders(
    tiny_net, tiny_data, tmp_path
) -> None:
    run = assembled(tiny_net, tiny_data, tmp_path / "mine", recorders=[losses], moments_bytes=10**6)
    assert (run.name, run.directory, run.config) == ("mine", tmp_path / "mine", tiny_net.config)
    _, keeper, writer = run.recorders
    assert isinstance(keeper, MomentKeeper) and isinstance(writer, RunWriter)
    assert run.moments is keeper and keeper.most_bytes == 10**6
    run.start()
    assert run.wait(300) is RunState.FINISHED
    saved = load_run(tmp_path / "mine")
    assert (saved.name, saved.directory, saved.steps_done) == (run.name, run.directory, run.steps_done)
    assert (saved.is_live, run.is_live) == (False, True)
    assert saved.history.to_dict() == run.history.to_dict()


def test_a_run_without_a_folder_trains_all_the_same(tiny_net, tiny_data) -> None:
    run = assembled(tiny_net, tiny_data, None, name="nowhere", recorders=[losses])
    assert (run.name, run.directory, run.moments) == ("nowhere", None, None)
    run.start()
    run.wait(300)
    assert len(run.history.series("loss/train")) == 3


def test_one_that_goes_on_writes_to_the_record_that_it_is_given(tiny_net, tiny_data, tmp_path) -> None:
    history = History()
    history.note(0, "before")
    run = assembled(tiny_net, tiny_data, tmp_path / "on", history=history, moments_bytes=0)
    assert run.history is history and run.moments is None
    run.stop()


def test_its_recorders_go_by_name(tiny_net, tiny_data, tmp_path) -> None:
    run = assembled(
        tiny_net, tiny_data, tmp_path / "named", recorders=[lambda history: timed("losses", history)]
    )
    run.add_recorder("noise_scale")
    assert {*run.recorder_controls.taken} == {"losses", "noise_scale"}
    run.remove_recorder("losses")
    run.remove_recorder("losses")
    assert {*run.recorder_controls.taken} == {"noise_scale"}
    with pytest.raises(InvalidSetting, match="'nose' is not a recorder; choose"):
        run.add_recorder("nose")
    run.stop()


def test_a_folder_that_another_run_writes_is_refused(tiny_net, tiny_data, tmp_path) -> None:
    first = assembled(tiny_net, tiny_data, tmp_path / "taken")
    with pytest.raises(InvalidSetting):
        assemble_run(tiny_net, tiny_data, RECIPE, describe(tiny_net, tiny_data, RECIPE), tmp_path / "taken")
    first.stop()
