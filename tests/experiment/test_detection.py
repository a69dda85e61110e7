"""A training on boxes through what a run can do: folder, resume, a process of its own, command line, sliding window."""

import pytest
import torch

import reswork as rw
from reswork import cli
from reswork.errors import InvalidSetting
from tests.served_runs import stopped_and_resumed, workers_in_threads

FIXED = {"batch_size": 8, "device": "cpu", "compile": "off", "precision": "fp32", "channels_last": False}


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    return rw.datasets.scattered(train=24, test=6, size=24)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path


def net() -> rw.ResNet:
    torch.manual_seed(0)
    return rw.detector(depth=8, width=4, num_classes=6)


def values(run, series: str) -> list[float]:
    return run.history.series(series).values.tolist()


def test_a_run_is_stored_resumed_and_the_same_in_a_process_of_its_own(data, folder) -> None:
    augmentation = rw.datasets.Augmentation(flip=True, crop_padding=2)
    recipe = rw.Recipe(epochs=2, optimizer="adam", learning_rate=1e-2, augmentation=augmentation, **FIXED)
    whole = rw.train(net(), data, recipe, name="whole")
    whole.wait(300)
    saved = rw.load_run("whole")
    assert (saved.task_kind, saved.headline.name) == ("detection", "map")
    assert (
        saved.score == pytest.approx(values(whole, "map/test")[-1])
        and "ap/circle/test" in saved.history.names
    )
    assert saved.model().config.head == "boxes"
    assert "mAP" in saved.export(folder / "page.html").read_text()
    again = stopped_and_resumed(net(), data, recipe, 4, "stopped")
    with workers_in_threads():
        apart = rw.train(net(), data, recipe, name="apart", engine="process")
        apart.wait(300)
    for other in (again, apart):
        for series in ("loss/train", "map/train", "map/test", "map_50/test"):
            assert values(other, series) == values(whole, series)
    look = rw.look_back(whole, 0, data)
    assert len(look.frame.answers.boxes) == 4 and look.frame.maps is None


def test_a_retinanet_is_stored_and_the_same_in_a_process_of_its_own(data) -> None:
    recipe = rw.Recipe(steps=2, optimizer="adam", learning_rate=1e-2, **FIXED)
    runs = []
    for engine in ("thread", "process"):
        torch.manual_seed(0)
        model = rw.resnet(rw.config_for(data, depth=8, width=4, head="retinanet"))
        with workers_in_threads():
            runs.append(rw.train(model, data, recipe, name=engine, engine=engine))
            runs[-1].wait(300)
    assert values(runs[0], "loss/train") == values(runs[1], "loss/train")
    saved = rw.load_run("thread")
    images = rw.datasets.normalise(data.test.images, data.mean, data.std)
    assert torch.equal(saved.model()(images), runs[0].snapshot()(images))
    with pytest.raises(InvalidSetting, match="head='retinanet' is not written out"):
        rw.show_code(saved.model().config)


def test_the_command_line_builds_what_the_data_want(capsys, monkeypatch, data) -> None:
    monkeypatch.setitem(rw.datasets.loading._SOURCES, "scattered", lambda: data)
    arguments = ["--depth", "8", "--width", "4", "--steps", "2", "--batch-size", "8", "--compile", "off"]
    assert cli.main(["train", "--data", "scattered", *arguments, "--name", "own"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Detector on ResNet-8") and "test mAP" in shown.splitlines()[-1]
    assert list(rw.worlds()["detection"].recipes) == ["boxes"]


def test_a_sliding_window_finds_what_its_classifier_has_learned(data) -> None:
    recipe = rw.Recipe(steps=3, optimizer="adam", learning_rate=1e-2, **FIXED)
    found = rw.sliding_window(data, rw.ResNetConfig(depth=8, width=4), recipe, window=8)
    assert set(found.metrics) >= {"map", "map_50"} and 0 <= found.accuracy <= 1
    assert found.found.boxes.shape[0] == len(data.test) and found.windows > 50
    assert found.found.boxes.min() >= 0 and found.found.boxes.max() <= 24
    with pytest.raises(InvalidSetting, match="needs boxes"):
        rw.sliding_window(rw.datasets.digits())
    with pytest.raises(InvalidSetting, match="choose 8 to 64"):
        rw.sliding_window(data, window=2)
