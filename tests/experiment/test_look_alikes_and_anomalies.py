"""Trainings of both through what a run can do: folder, resume, a process of its own, the command line."""

import math

import numpy as np
import pytest
import torch

import reswork as rw
from reswork import cli
from reswork.errors import InvalidSetting
from tests.served_runs import stopped_and_resumed, workers_in_threads

FIXED = {"batch_size": 8, "device": "cpu", "compile": "off", "precision": "fp32", "channels_last": False}
DATA = {
    "verification": lambda: rw.datasets.drawn_faces(identities=4, test_identities=3, images=4, size=24),
    "anomalies": lambda: rw.datasets.defects(train=16, test=12, size=24),
}
HEADLINE = {"verification": "tar", "anomalies": "auroc"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path


def values(run, series: str) -> list[float]:
    return run.history.series(series).values.tolist()


@pytest.mark.parametrize("kind", list(DATA))
def test_a_run_is_stored_resumed_and_the_same_in_a_process_of_its_own(kind, folder) -> None:
    data = DATA[kind]()

    def net() -> rw.ResNet:
        torch.manual_seed(0)
        return rw.resnet(rw.config_for(data, depth=8, width=2))

    recipe = rw.Recipe(epochs=2, optimizer="adam", learning_rate=1e-3, **FIXED)
    whole = rw.train(net(), data, recipe, name="whole")
    whole.wait(300)
    saved = rw.load_run("whole")
    assert (saved.task_kind, saved.headline.name) == (kind, HEADLINE[kind])
    assert saved.score == pytest.approx(values(whole, f"{HEADLINE[kind]}/test")[-1])
    assert saved.headline.label in saved.export(folder / "page.html").read_text()
    again = stopped_and_resumed(net(), data, recipe, 3, "stopped")
    with workers_in_threads():
        apart = rw.train(net(), data, recipe, name="apart", engine="process")
        apart.wait(300)
    names = ["loss/train", "loss/test", *(f"{metric.name}/test" for metric in whole.task.metrics)]
    for other in (again, apart):
        for series in names:
            np.testing.assert_array_equal(values(other, series), values(whole, series))
    look = rw.look_back(whole, 0, data)
    if kind == "verification":
        assert look.frame.answers.similarities.shape == (3, 4) and look.frame.maps.shape == (3, 24, 24)
    else:
        assert look.frame.answers.maps.shape == (4, 24, 24) and look.frame.maps is None
        assert all(math.isnan(each) for each in values(whole, "auroc/train"))


@pytest.mark.parametrize(
    ("name", "label"), [("defects", "AUROC by image"), ("drawn-faces", "TAR at 1 % FAR")]
)
def test_the_command_line_builds_what_the_data_want(name, label, capsys) -> None:
    arguments = ["--depth", "8", "--width", "2", "--steps", "2", "--batch-size", "8", "--compile", "off"]
    assert cli.main(["train", "--data", name, *arguments, "--name", "own"]) == 0
    shown = capsys.readouterr().out
    assert (
        shown.startswith(("Autoencoder on ", "Embedding on ")) and f"test {label}" in shown.splitlines()[-1]
    )


def test_what_is_for_classes_says_so() -> None:
    faces, plates = (make() for make in DATA.values())
    model = rw.resnet(rw.config_for(faces, depth=8, width=2))
    with pytest.raises(InvalidSetting, match="are identities: only answers that are one class"):
        rw.why(model, faces, 0)
    with pytest.raises(InvalidSetting, match="are identities"):
        rw.report(model, faces)
    with pytest.raises(InvalidSetting, match="are masks of what is wrong"):
        rw.report(rw.resnet(rw.config_for(plates, depth=8, width=2)), plates)
    with pytest.raises(InvalidSetting, match="'verification' cannot be shipped in this way yet"):
        rw.smaller(model, faces)
    with pytest.raises(InvalidSetting, match="'verification' as onnx in int8: choose 'onnx' or 'torch'"):
        rw.export(model, "there", data=faces, precision="int8")
    with pytest.raises(InvalidSetting, match="head='embedding' is not written out"):
        rw.show_code(model.config)
