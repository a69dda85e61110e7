"""A training on masks through everything that a run can do: folders, resume, moments, branch, seeds, both engines."""

import numpy as np
import pytest
import torch
from PIL import Image

import reswork as rw
from reswork import cli
from reswork.experiment.pinned_examples import PinnedExamples
from reswork.store.run_table import row_of
from tests.served_runs import workers_in_threads

FIXED = {"batch_size": 8, "device": "cpu", "compile": "off", "precision": "fp32", "channels_last": False}


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    return rw.datasets.scenes(train=32, test=8, size=16)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path


def net() -> rw.ResNet:
    torch.manual_seed(0)
    return rw.unet(depth=8, width=4, num_classes=7)


def trained(data, name: str, **settings) -> rw.LiveRun:
    run = rw.train(net(), data, rw.Recipe(**{"epochs": 3, **FIXED, **settings}), name=name)
    run.wait(300)
    return run


def values(run, series: str) -> list[float]:
    return run.history.series(series).values.tolist()


def test_a_stored_run_has_its_task_its_score_its_page_and_its_row(data, folder) -> None:
    run = trained(data, "seg")
    saved = rw.load_run("seg")
    assert (saved.task_kind, saved.headline.name) == ("segmentation", "mean_iou")
    assert saved.score == pytest.approx(values(run, "mean_iou/test")[-1])
    assert row_of(saved).cells["score"] == f"{saved.score:.1%}"
    assert "iou/ground/test" in saved.history.names and saved.model().config.head == "unet"
    page = saved.export(folder / "page.html").read_text()
    assert "IoU of each class" in page and "Mean IoU" in page and 'aria-label="Accuracy"' not in page
    assert len(saved.metrics) == 4


def test_it_goes_on_as_if_it_had_never_stopped(data) -> None:
    whole = trained(data, "whole")
    run = rw.train(net(), data, rw.Recipe(epochs=3, **FIXED), name="stopped", start=False)
    run.step(6)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    again = rw.load_run("stopped").resume(data=data)
    again.wait(300)
    for series in ("loss/train", "mean_iou/train", "mean_iou/test"):
        assert values(again, series) == values(whole, series)


def test_a_worker_gives_the_same_to_the_last_bit(data) -> None:
    here = trained(data, "here")
    with workers_in_threads():
        run = rw.train(net(), data, rw.Recipe(epochs=3, **FIXED), name="apart", engine="process")
        run.wait(300)
    assert run.task == here.task and run.headline.name == "mean_iou"
    for series in ("loss/train", "mean_iou/test"):
        assert values(run, series) == values(here, series)
    np.testing.assert_array_equal(
        run.history.array("confusion/test")[1], here.history.array("confusion/test")[1]
    )


def test_moments_branches_and_seeds(data) -> None:
    run = trained(data, "seg")
    looks = [rw.look_back(run, step, data) for step in (0, run.steps_done)]
    assert looks[1].found.metrics["mean_iou"] == pytest.approx(values(run, "mean_iou/test")[-1], abs=1e-6)
    assert looks[1].frame.answers.masks.shape == (4, 16, 16) and looks[1].frame.maps is None
    told = " ".join(rw.what_changed(*looks))
    assert "the mean IoU of seg at step 12 is" in told and "test pictures right" not in told
    branch = rw.branch(run, 8, {"learning_rate": 0.01}, data=data)
    branch.wait(300)
    assert rw.load_run(branch.name).task_kind == "segmentation"
    seeds = rw.train_seeds(net(), data, rw.Recipe(steps=2, **FIXED), seeds=2)
    seeds.wait(300)
    assert "%" in rw.compare_seeds(seeds, seeds).sentence
    assert rw.figures.metric_curves(
        {"seeds": seeds.histories}, seeds.metrics
    ).layout.yaxis.title.text.startswith("mean")


def test_a_folder_of_images_and_a_folder_of_masks_from_the_command_line(data, folder, capsys) -> None:
    for kind, images in (("images", data.train.images), ("masks", data.train.masks)):
        (folder / "own" / kind).mkdir(parents=True)
        for place, image in enumerate(images):
            array = image.permute(1, 2, 0).numpy() if kind == "images" else image.numpy()
            Image.fromarray(array).save(folder / "own" / kind / f"{place}.png")
    arguments = ["--depth", "8", "--width", "4", "--steps", "4", "--batch-size", "8", "--compile", "off"]
    assert cli.main(["train", "--data", str(folder / "own"), *arguments, "--name", "own"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("U-Net on ResNet-8") and "test mean IoU" in shown.splitlines()[-1]
    assert cli.main(["runs"]) == 0
    assert "mean IoU" in capsys.readouterr().out


def test_an_image_larger_than_memory_is_segmented_in_tiles_like_the_whole(data, folder) -> None:
    model = net()
    large = np.memmap(folder / "large.bin", np.uint8, "w+", shape=(3, 70, 93))
    large[:] = np.random.default_rng(0).integers(0, 256, large.shape)
    whole = rw.segment(model, torch.from_numpy(np.array(large)), data, tile=128)
    seen: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(lambda _module, inputs: seen.append(tuple(inputs[0].shape)))
    half = rw.spec_sheet(model.config, (3, 70, 93)).receptive_field // 2
    tiles = rw.segment(model, large, data, tile=32, overlap=-(-half // 4) * 4)
    assert torch.equal(tiles, whole) and len(seen) == 9 and tiles.dtype == torch.uint8
    assert not torch.equal(rw.segment(model, large, data, tile=32, overlap=0), whole)
    with pytest.raises(rw.InvalidSetting, match="give bytes, uint8"):
        rw.segment(model, torch.rand(3, 20, 20), data)
    with pytest.raises(rw.InvalidSetting, match=r"give one with 3 channel"):
        rw.segment(model, torch.zeros(1, 20, 20, dtype=torch.uint8), data)


def test_volumes_train_are_stored_and_answered_in_tiles(folder) -> None:
    data = rw.datasets.solids(train=8, test=2, size=12)
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(data, width=4))
    assert model.config.label == "U-Net on 3-D ResNet-8"
    augmentation = rw.Augmentation(flip=True)
    run = rw.train(
        model,
        data,
        rw.Recipe(epochs=2, augmentation=augmentation, **{**FIXED, "batch_size": 4}),
        name="solid",
    )
    run.wait(300)
    saved = rw.load_run("solid")
    assert saved.headline.name == "mean_iou" and saved.model().config.dims == 3
    assert {"boundary_f1/test", "iou/rod/test"} <= {*saved.history.names}
    look = rw.look_back(run, 0, data)  # of each volume the slice that shows most
    film = PinnedExamples(data)
    film.shoot(run.snapshot(), 1)
    for index, shown in zip(film.pictures, film.truth, strict=True):
        best = max(data.test.masks[index], key=lambda part: (len(part.unique()), int((part > 0).sum())))
        assert torch.equal(shown, best)
    assert look.frame.answers.masks.shape == film.truth.shape == film.images[:, 0].shape
    strip = rw.figures.film_strip(film.images.numpy(), film.frames, data.classes, truth=film.truth.numpy())
    assert "At step 1" in str(strip.layout)
    volume = torch.randn(1, 18, 15, 21)
    whole = rw.segment(model, volume, data, tile=32)
    assert whole.shape == (18, 15, 21)
    half = rw.spec_sheet(model.config, (1, 18, 15, 21)).receptive_field // 2
    assert torch.equal(rw.segment(model, volume, data, tile=8, overlap=-(-half // 4) * 4), whole)
    with pytest.raises(rw.InvalidSetting, match="cannot take volumes"):
        rw.train(rw.unet(in_channels=1, num_classes=4), data, rw.Recipe(steps=1, **FIXED)).wait(300)
