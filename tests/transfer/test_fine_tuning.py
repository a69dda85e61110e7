"""Runs that begin with trained weights: what they keep, how they go on, both engines, before and after."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import reswork as rw
from reswork.datasets import Dataset
from reswork.models.network import ResNet
from reswork.transfer import adopt, before_and_after, open_source
from tests.transfer.conftest import drawn

SHORT = rw.Recipe(
    steps=6, batch_size=16, learning_rate=0.05, device="cpu", precision="fp32", compile="off", seed=4
)
ASKED = {"frozen_to": "layer1", "rate_decay": 0.5, "norms": "reestimated"}


def finished(run: rw.LiveRun) -> rw.LiveRun:
    run.wait(300)
    return run


def weights(run: rw.LiveRun) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def test_the_run_keeps_where_it_came_from_and_repeats_by_it(
    source: ResNet, data: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "trained.safetensors"
    save_file(source.state_dict(), path)
    run = finished(rw.fine_tune(path, data, SHORT, **ASKED, name="tuned"))
    saved = rw.load_run("tuned")
    kept = json.loads((saved.directory / "run.json").read_text())["transfer"]
    assert saved.transfer == kept
    assert kept["source"] == {
        "kind": "file",
        "name": path.name,
        "hash": open_source(path).hash,
        "classes": [],
    }
    asked = {
        name: kept[name] for name in ("head", "stem", "norms", "frozen_to", "rate_decay", "unfreeze_every")
    }
    assert asked == {"head": "new", "stem": "kept", "unfreeze_every": None, **ASKED}
    assert saved.recipe.frozen == ("conv1", "bn1", "layer1") and saved.recipe.norm_statistics == "kept"
    told = next(note.details["sentence"] for note in saved.history.notes if note.kind == "transferred")
    assert told == kept["sentence"] and "norms' statistics measured anew" in told
    after, began = run.model, adopt(path, data, norms="reestimated", seed=4).model
    assert torch.equal(after.layer1[0].conv1.weight.detach(), source.layer1[0].conv1.weight)
    assert not torch.equal(after.layer2[0].conv1.weight.detach(), source.layer2[0].conv1.weight)
    assert torch.equal(
        after.layer3[0].bn1.running_mean, began.layer3[0].bn1.running_mean
    )  # kept, as measured
    again = finished(rw.train(began, data, saved.recipe, name="again"))
    assert weights(again).keys() == weights(run).keys()
    assert all(torch.equal(value, weights(run)[name]) for name, value in weights(again).items())
    found = before_and_after(run)
    moved = dict(zip(found.weights.names, found.weights.values, strict=True))
    assert moved["layer1.0"] == 0 and moved["layer3.0"] > 0 and found.names == ("before", "after")
    pairs = found.features_of(0, channels=3)
    assert [len(channels) for channels in pairs.channels] == [3] * len(pairs.layers)
    assert pairs.apart[pairs.layers.index("layer1.0")] < pairs.apart[-1]
    rw.figures.feature_pairs(pairs)


def test_a_run_is_a_source_and_goes_on_as_if_it_had_not_stopped(source: ResNet, data: Dataset) -> None:
    finished(rw.train(source.train(), drawn(("a", "b", "c")), SHORT, name="first"))
    whole = finished(rw.fine_tune("first", data, SHORT, frozen_to="stem", name="whole"))
    cut = rw.fine_tune("first", data, SHORT, frozen_to="stem", name="cut", start=False)
    cut.step(3)
    cut.wait_until_still(300)
    cut.stop()
    cut.wait(300)
    resumed = finished(rw.load_run("cut").resume(data=data))
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(resumed).items())
    assert rw.load_run("cut").transfer == rw.load_run("whole").transfer
    assert rw.load_run("whole").transfer["source"]["classes"] == ["a", "b", "c"]


def test_a_branch_says_where_its_weights_came_from_and_leaves_frozen_what_was(
    source: ResNet, data: Dataset
) -> None:
    run = finished(rw.fine_tune(source, data, SHORT, **ASKED, name="tuned"))
    kept = rw.load_run("tuned").transfer
    live = finished(rw.branch(run, 0, {"learning_rate": 0.01}, name="live"))
    finished(rw.branch(rw.load_run("tuned"), 0, name="disk", data=data))
    for name in ("live", "disk"):
        saved = rw.load_run(name)
        assert saved.transfer == kept and saved.parent["run"] == "tuned"
        assert saved.recipe.frozen == ("conv1", "bn1", "layer1") and saved.recipe.norm_statistics == "kept"
        assert [note.kind for note in saved.history.notes if note.kind in ("transferred", "branched")] == [
            "transferred",
            "branched",
        ]
    assert torch.equal(live.model.layer1[0].conv1.weight.detach(), source.layer1[0].conv1.weight)
    finished(rw.branch(run, 0, name="fresh", fresh=True))
    assert rw.load_run("fresh").transfer is None


@pytest.mark.serial
def test_a_process_of_its_own_gives_the_same(source: ResNet, data: Dataset) -> None:
    asked = {"frozen_to": "layer1", "norms": "kept"}
    here = finished(rw.fine_tune(source, data, SHORT, **asked, name="here"))
    there = finished(rw.fine_tune(source, data, SHORT, **asked, name="there", engine="process"))
    assert all(torch.equal(value, weights(here)[name]) for name, value in weights(there).items())
    notes = [[note.kind for note in rw.load_run(name).history.notes] for name in ("here", "there")]
    assert notes[0] == notes[1] and "transferred" in notes[0]
    assert rw.load_run("there").transfer == rw.load_run("here").transfer


def test_bad_input_is_one_sentence_and_no_run(source: ResNet, data: Dataset, runs_here: Path) -> None:
    for wrong, settings, words in (
        (source, {"frozen_to": "layer7"}, "frozen_to='layer7' is no stage or block"),
        (source, {"rate_decay": 2.0}, "rate_decay=2.0 must be above 0"),
        (source, {"head": "kept"}, "does not fit rows"),
        ("nowhere", {}, "is no file, no run and no published weights"),
        ("torchvision/alexnet", {}, "torchvision has no residual network 'alexnet'"),
        (7, {}, "model is a int"),
    ):
        with pytest.raises(rw.InvalidSetting, match=words):
            rw.fine_tune(wrong, data, SHORT, **settings)
    with pytest.raises(rw.InvalidSetting, match="takes images of 1 channel"):
        rw.fine_tune(source, drawn(("one", "two"), channels=3), SHORT)
    assert not runs_here.exists() or not list(runs_here.iterdir())


def test_the_script_begins_with_the_weights_too(source: ResNet, data: Dataset, tmp_path: Path) -> None:
    save_file(source.state_dict(), tmp_path / "trained.safetensors")
    adopted = adopt(source, data, norms="reestimated")
    recipe = replace(SHORT, norm_statistics="kept", frozen=("conv1",))
    text = rw.show_code(adopted.model.config, recipe, transfer=adopted.settings)
    space: dict = {"__name__": "script"}
    exec(compile(text, "script", "exec"), space)
    network = space["ResNet"]()
    space["begin_with"](network, str(tmp_path / "trained.safetensors"))
    for name in adopted.taken:
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(network.state_dict()[name], adopted.model.state_dict()[name]), name
    arrays = [data.train.images, data.train.labels, data.test.images, data.test.labels]
    space["train"](network, *arrays)
    assert torch.equal(network.conv1.weight, source.conv1.weight)
    wanted = adopt(source, data, norms="reestimated", norm_images=len(data.train)).model
    torch.testing.assert_close(network.bn1.running_mean, wanted.bn1.running_mean, rtol=1e-4, atol=1e-5)
    with pytest.raises(rw.InvalidSetting, match="head='extended' is not written out"):
        rw.show_code(adopted.model.config, recipe, transfer={**adopted.settings, "head": "extended"})
