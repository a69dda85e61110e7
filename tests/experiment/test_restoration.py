"""A training on photographs through what a run can do: folder, resume, a process of its own, the command line."""

from functools import partial

import pytest
import torch
from PIL import Image

import reswork as rw
from reswork import cli
from reswork.datasets import loading
from reswork.errors import InvalidSetting
from tests.served_runs import stopped_and_resumed, workers_in_threads

FIXED = {"batch_size": 8, "device": "cpu", "compile": "off", "precision": "fp32", "channels_last": False}


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> str:
    """A folder of three small photographs, as a person may have them."""
    place = tmp_path_factory.mktemp("own")
    for name, image in rw.datasets.whole_photographs().items():
        Image.fromarray(image[:, 100:150, 200:270].permute(1, 2, 0).numpy()).save(place / f"{name}.png")
    return str(place)


@pytest.fixture(scope="module")
def data(own) -> rw.datasets.Dataset:
    return rw.datasets.photographs(own, scale=2, patches=16, patch=12).subset(test=2)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path


def net() -> rw.ResNet:
    torch.manual_seed(0)
    return rw.edsr(scale=2, depth=8, width=4)


def values(run, series: str) -> list[float]:
    return run.history.series(series).values.tolist()


def test_a_run_is_stored_resumed_and_the_same_in_a_worker(data, folder) -> None:
    recipe = rw.Recipe(epochs=2, optimizer="adam", learning_rate=1e-3, **FIXED)
    with workers_in_threads():
        apart = rw.train(net(), data, recipe, name="apart", engine="process")
        apart.wait(300)
    whole = rw.train(net(), data, recipe, name="whole")
    whole.wait(300)
    saved = rw.load_run("whole")
    assert (saved.task_kind, saved.headline.name) == ("restoration", "psnr")
    assert saved.score == pytest.approx(values(whole, "psnr/test")[-1]) and "gain/test" in saved.history.names
    assert saved.model().config.scale == 2
    again = stopped_and_resumed(net(), data, recipe, 3, "stopped")
    for other in (again, apart):
        for series in ("loss/train", "psnr/train", "psnr/test", "gain/test"):
            assert values(other, series) == values(whole, series)
    look = rw.look_back(whole, 0, data)
    assert look.frame.answers.images.shape == (2, 3, 24, 24) and look.frame.maps is None


def test_the_command_line_builds_what_the_data_want(own, monkeypatch, capsys) -> None:
    few = partial(rw.datasets.photographs, own, scale=2, patches=16, patch=12)
    monkeypatch.setitem(loading._SOURCES, "photographs", few)
    arguments = ["--depth", "8", "--width", "4", "--steps", "2", "--batch-size", "8", "--compile", "off"]
    assert cli.main(["train", "--data", "photographs", *arguments, "--name", "own"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("EDSR x2 on ") and "test PSNR" in shown.splitlines()[-1]


def test_whole_photographs_are_restored_in_tiles_and_scored_beside_bicubic(own) -> None:
    model = net()
    photograph = rw.datasets.whole_photographs()["rocket"]
    part = photograph[:, 100:150, 200:270]
    whole = rw.restore(model, part)
    assert whole.shape == (3, 100, 140) and whole.dtype == torch.uint8
    off = (rw.restore(model, part, tile=16, overlap=16).int() - whole.int()).abs()
    assert off.max() <= 1  # bytes are rounded
    (score,) = rw.restoration_scores(model, own, scale=2)
    assert abs(score.gain) < 1 and 15 < score.bicubic_psnr < 60
    assert str(score).startswith(f"{score.name}: {score.bicubic_psnr:.2f} -> {score.psnr:.2f} dB")
    with pytest.raises(InvalidSetting, match="give the scale that it was built for"):
        rw.restoration_scores(model, own, scale=3)
    with pytest.raises(InvalidSetting, match="give a picture as torch"):
        rw.restore(model, photograph.float())
