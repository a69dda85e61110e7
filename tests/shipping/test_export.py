import io
import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor, nn

import reswork as rw
from reswork import cli
from reswork.datasets.dataset import Dataset
from reswork.datasets.texts import texts_of
from reswork.errors import InvalidSetting
from reswork.shipping import engines
from reswork.shipping.engines import open_engine
from reswork.shipping.example import example_script
from reswork.shipping.proof import compare
from reswork.tasks import task_for

PLAIN = rw.Recipe(steps=2, batch_size=16, device="cpu", precision="fp32", compile="off")


def answers(network: nn.Module, data: Dataset, pictures: Tensor) -> np.ndarray:
    with torch.no_grad():
        return network(rw.datasets.normalise(pictures, data.mean, data.std)).numpy()


@pytest.mark.parametrize("folder", ["onnx_folder", "torch_folder", "script_folder"])
def test_the_file_answers_as_the_network_at_any_batch_size(
    folder: str, network: nn.Module, data: Dataset, request: pytest.FixtureRequest
) -> None:
    artefact = rw.open_artefact(request.getfixturevalue(folder))
    engine = artefact.open(threads=1)
    for size in (1, 3, 5, 60):
        pictures = data.test.images[:size]
        inputs = rw.datasets.normalise(pictures, data.mean, data.std).numpy()
        expected = answers(network, data, pictures)
        assert np.abs(engine(inputs) - expected).max() < 1e-4
        assert (engine(inputs).argmax(1) == expected.argmax(1)).all()


def test_onnx_says_its_opset_and_is_one_that_onnx_accepts(onnx_folder: Path) -> None:
    import onnx

    model = onnx.load(onnx_folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {each.domain: each.version for each in model.opset_import}[""] == 20
    facts = json.loads((onnx_folder / "model.json").read_text())
    assert facts["opset"] == 20 and "opset 20" in facts["told"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param  # of any size


def test_the_card_has_data_numbers_by_class_limits_licence_and_hashes(
    onnx_folder: Path, network: nn.Module, data: Dataset
) -> None:
    card = (onnx_folder / "README.md").read_text()
    facts = json.loads((onnx_folder / "model.json").read_text())
    predicted = answers(network, data, data.test.images).argmax(1)
    truth = data.test.labels.numpy()
    precision, recall, _, support = precision_recall_fscore_support(truth, predicted, zero_division=np.nan)
    for k, row in enumerate(facts["by_class"]):
        assert row["count"] == support[k] and row["score"] == pytest.approx(recall[k])
        assert (row["precision"] is None) == np.isnan(precision[k])
    assert facts["metrics"]["top1"] == pytest.approx((predicted == truth).mean())
    low, high = facts["interval"]
    assert low < facts["metrics"]["top1"] < high
    for text in ("## Licence\n\nMIT", "- Only for tests.", data.fingerprint, "equal to the network on 60 images",
                 "in batches of 1, 4, 7, 48", f"accuracy {(predicted == truth).mean():.1%}"):  # fmt: skip
        assert text in card, text
    manifest = json.loads((onnx_folder / "manifest.json").read_text())["files"]
    assert set(manifest) == {
        path.relative_to(onnx_folder).as_posix() for path in onnx_folder.rglob("*") if path.is_file()
    } - {"manifest.json"}
    assert all(each["sha256"] in card for name, each in manifest.items() if name != "README.md")


@pytest.mark.parametrize("folder", ["onnx_folder", "torch_folder", "script_folder"])
def test_the_example_needs_no_reswork_and_reads_pictures_as_the_data_set_does(
    folder: str, network: nn.Module, data: Dataset, request: pytest.FixtureRequest, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = request.getfixturevalue(folder)
    script = (made / "example.py").read_text()
    assert "reswork" not in script.replace("reswork check", "")
    rng = np.random.default_rng(0)
    picture = tmp_path / "large.jpg"  # decoded at half its size, on its side, in colour
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize((160, 120)).save(picture, exif=exif)
    if folder == "onnx_folder":
        arguments = [sys.executable, made / "example.py", picture]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        said = done.stdout
    else:  # a process that imports torch takes seconds
        monkeypatch.setattr(sys, "argv", ["example.py", str(picture)])
        runpy.run_path(str(made / "example.py"))
        said = capsys.readouterr().out
    logits = answers(network, data, data.decoder(picture)[None])[0]
    chances = torch.from_numpy(logits).softmax(0)
    best = chances.argsort(descending=True)[:3]
    assert said.splitlines() == [f"{data.classes[int(k)]}: {chances[k]:.4f}" for k in best]


@pytest.mark.parametrize("format", get_args(engines.Format))
def test_the_example_is_short_and_plain_python(format: engines.Format) -> None:
    for kind in ("classification", "segmentation", "verification", "anomalies", "restoration", "another"):
        script = example_script(format, kind)
        assert len([line for line in script.splitlines() if line.strip()]) <= 26
        compile(script, "example.py", "exec")


def test_of_look_alikes_the_embedding_is_written_with_its_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = rw.datasets.drawn_faces(4, 4, 4, size=24)
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(faces, depth=8, width=2)).eval()
    made = rw.export(model, tmp_path / "out", data=faces, format="torch")
    assert rw.check_artefact(made).holds and made.facts["classes"] == [] and not made.facts["by_class"]
    expected = answers(model, faces, faces.test.images)[:, :64]
    shown = tmp_path / "out" / "examples" / "00.png"
    asked = np.array(made.ask(shown)[0]["embedding"])
    kept = made.examples.pixels[0]
    row = next(k for k, each in enumerate(faces.test.images.numpy()) if np.array_equal(each, kept))
    assert asked == pytest.approx(expected[row], abs=1e-5) and asked.shape == (64,)
    found = rw.verified(model, faces)
    others = found.alike[~found.same]
    assert (others >= made.facts["threshold"] + 1e-6).mean() <= 0.01
    assert made.facts["metrics"]["eer"] == pytest.approx(found.equal_error, abs=1e-6)
    monkeypatch.setattr(sys, "argv", ["example.py", str(shown)])
    runpy.run_path(str(made.folder / "example.py"))
    assert np.array(json.loads(capsys.readouterr().out.splitlines()[0])) == pytest.approx(asked, abs=1e-4)
    card = (made.folder / "README.md").read_text()
    assert "Output `embedding`: float32 (N, 64)" in card and "must not be used" in card
    with pytest.raises(InvalidSetting, match="'verification', which cannot be served yet"):
        rw.bundle(made, tmp_path / "bundle", target="container")


def test_of_anomalies_the_map_is_written_and_alarms_are_those_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plates = rw.datasets.defects(8, 12, size=24)
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(plates, depth=8, width=2)).eval()
    made = rw.export(model, tmp_path / "out", data=plates, format="onnx", examples=12)
    assert rw.check_artefact(made).holds
    came_out = answers(model, plates, torch.from_numpy(made.examples.pixels))
    went_in = rw.datasets.normalise(torch.from_numpy(made.examples.pixels), plates.mean, plates.std).numpy()
    error = ((came_out - went_in) ** 2).mean(1)
    around = np.stack([error[:, max(0, r - 2) : r + 3, max(0, c - 2) : c + 3].mean((1, 2))
                       for r in range(24) for c in range(24)], 1).reshape(-1, 24, 24)  # fmt: skip
    assert made.examples.outputs == pytest.approx(around, abs=1e-4)
    told = made.ask(made.folder / "examples" / "00.png")[0]
    score = np.sort(around[0], axis=None)[-29:].mean()  # a twentieth of 576
    assert told["score"] == pytest.approx(score, abs=1e-4)
    assert told["alarm"] == (told["score"] > made.facts["threshold"])
    monkeypatch.setattr(sys, "argv", ["example.py"])
    runpy.run_path(str(made.folder / "example.py"))
    assert capsys.readouterr().out.startswith(f"score {told['score']:.4g}: ")
    assert "Output `map`: float32 (N, 24, 24)" in (made.folder / "README.md").read_text()


@pytest.mark.parametrize(("build", "format"), [(rw.detector, "onnx"), (rw.retinanet, "torch")])
def test_of_detectors_the_boxes_are_those_of_the_notebook(
    build: Callable[..., rw.ResNet], format: engines.Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    things = rw.datasets.scattered(train=8, test=8, size=24)
    torch.manual_seed(0)
    model = build(depth=8, width=4, num_classes=6).eval()
    with torch.no_grad():  # sure of something
        model.last_layer.bias += 4.5 if format == "torch" else 0
        model.last_layer.bias[4:] += 5 if format == "onnx" else 0
    made = rw.export(model, tmp_path / "out", data=things, format=format, examples=8)
    assert rw.check_artefact(made).holds and made.classes == things.classes
    inputs = rw.datasets.normalise(torch.from_numpy(made.examples.pixels), things.mean, things.std)
    with torch.no_grad():
        expected = task_for(things).answers(model(inputs)).boxes
    assert sum(map(len, expected)) > 8
    asked = made.ask([made.folder / "examples" / f"{k:02}.png" for k in range(8)])
    for boxes, told in zip(expected, asked, strict=True):
        assert [box["class"] for box in told["boxes"]] == [things.classes[int(k)] for k in boxes[:, 4]]
        shown = np.array([[*box["box"], box["score"]] for box in told["boxes"]]).reshape(-1, 5)
        assert shown == pytest.approx(boxes[:, [0, 1, 2, 3, 5]], abs=1e-3)
    monkeypatch.setattr(sys, "argv", ["example.py"])
    runpy.run_path(str(made.folder / "example.py"))
    printed = [line.partition(" at ") for line in capsys.readouterr().out.splitlines()]
    for box, (head, _, corners) in zip(asked[0]["boxes"], printed, strict=True):
        assert head == f"{box['class']}: {box['score']:.4f}"
        assert json.loads(corners) == pytest.approx(box["box"], abs=0.011)
    card = (made.folder / "README.md").read_text()
    assert "Output `boxes`: float32" in card and "| class | average precision |" in card
    with pytest.raises(InvalidSetting, match="'detection', which cannot be bundled yet"):
        rw.bundle(made, tmp_path / "bundle", target="container")
    with pytest.raises(InvalidSetting, match="'detection' as script"):
        rw.export(model, tmp_path / "other", data=things, format="script")


def photographs(scale: int, noise: float = 0.0) -> Dataset:
    return rw.datasets.photographs(scale=scale, noise=noise, patches=4, patch=16).subset(test=9)


def restorer(build: Callable[..., rw.ResNet], scale: int) -> rw.ResNet:
    torch.manual_seed(0)
    model = build(scale=scale, depth=8, width=4).eval()
    with torch.no_grad():
        model.last_layer.weight.mul_(30)  # so that something is added
    return model


@pytest.mark.parametrize(
    ("build", "scale", "noise", "format"),
    [
        (rw.edsr, 2, 0, "onnx"),
        (rw.edsr, 3, 0, "torch"),
        (rw.vdsr, 4, 0, "onnx"),
        (rw.vdsr, 1, 25, "torch"),
        (rw.edsr, 2, 0, "script"),
    ],
)
def test_pictures_of_any_size_go_in_and_come_out_as_the_networks(
    build: Callable[..., rw.ResNet], scale: int, noise: float, format: engines.Format, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data, model = photographs(scale, noise), restorer(build, scale)
    made = rw.export(model, tmp_path / "out", data=data, format=format, examples=3)
    assert rw.check_artefact(made).holds and made.scale == scale and not made.classes
    facts = made.facts
    assert facts["picture"] == {
        "scale": scale, "value_range": [0.0, 1.0], "any_size": True, "proved_at": [[16, 16], [15, 13], [31, 29]]
    }  # fmt: skip
    assert "at 15x13 pixels equal to the network on 4" in facts["proof"]["sentence"]
    assert facts["proof"]["images"] == 9 and facts["metrics"]["psnr"] > 5
    engine, generator = made.open(1), torch.Generator().manual_seed(0)
    for size in ((1, 16, 16), (3, 23, 37), (2, 8, 41)):
        pictures = torch.randint(0, 256, (size[0], 3, *size[1:]), generator=generator, dtype=torch.uint8)
        found = engine(made.inputs(pictures.numpy()))
        assert found.shape == (size[0], 3, scale * size[1], scale * size[2])
        assert np.abs(found - answers(model, data, pictures)).max() < 1e-4
    turned = Image.Exif()
    turned[0x0112] = 6  # lies on its side
    for name in ("small.png", "small.jpg"):
        Image.fromarray(pictures[0].numpy().transpose(1, 2, 0)).save(tmp_path / name, exif=turned, quality=90)
        with Image.open(tmp_path / name) as image:
            upright = np.asarray(image).transpose(2, 0, 1)[:, ::-1].transpose(0, 2, 1).copy()
        expected = rw.restore(model, torch.from_numpy(upright)).numpy().transpose(1, 2, 0)
        told = made.ask(tmp_path / name)[0]
        assert (told["height"], told["width"]) == expected.shape[:2] == (41 * scale, 8 * scale)
        shown = np.asarray(Image.open(io.BytesIO(told["png"])), np.int16)
        assert np.abs(shown - expected).max() <= 1  # a byte, where a rounding falls to the other side
        monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / name), str(tmp_path / "large.png")])
        sys.modules.pop("network", None)  # of another script
        runpy.run_path(str(made.folder / "example.py"))
        sys.modules.pop("network", None)
        assert capsys.readouterr().out == f"{tmp_path / 'large.png'}: {41 * scale}x{8 * scale} pixels\n"
        assert np.abs(np.asarray(Image.open(tmp_path / "large.png"), np.int16) - shown).max() <= 1
    if (format, scale) == ("onnx", 2):  # an engine of its own is quick to start
        found = rw.latency(made, batch_sizes=(1,), seconds=0.02)
        assert found.input_shape == (3, 16, 16) and found.times[0].name == "onnxruntime"
    card = (made.folder / "README.md").read_text()
    sides = ("H, W" if scale == 1 else f"{scale} H, {scale} W") + ")"
    assert f"Output `pictures`: float32 (N, 3, {sides}" in card and "N, H and W of any size" in card


def test_large_pictures_go_in_tile_by_tile(tmp_path: Path) -> None:
    data, model = photographs(2), restorer(rw.edsr, 2)
    made = rw.export(model, tmp_path / "out", data=data, format="torch", examples=1)
    picture = np.random.default_rng(0).integers(0, 256, (270, 301, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "wide.png")
    shown = np.asarray(Image.open(io.BytesIO(made.ask(str(tmp_path / "wide.png"))[0]["png"])), np.int16)
    whole = answers(model, data, torch.from_numpy(picture.transpose(2, 0, 1).copy())[None])[0]
    assert np.abs(shown - (whole * 255).round().clip(0, 255).transpose(1, 2, 0)).max() <= 1


class OfOneSize(nn.Module):
    """Takes sides that can be halved."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 12, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.layer(images), 2)


def test_what_takes_no_other_size_or_cannot_be_written_is_told(tmp_path: Path) -> None:
    data = photographs(1, 25)
    with pytest.raises(
        InvalidSetting, match=r"15x13 pixels cannot go through this OfOneSize \(it gives 16x14"
    ):
        rw.export(OfOneSize(), tmp_path / "out", data=data, format="torch")
    model = restorer(rw.vdsr, 1)
    with pytest.raises(
        InvalidSetting, match="'restoration' as keras in fp32: choose 'onnx', 'torch' or 'script'"
    ):
        rw.export(model, tmp_path / "out", data=data, format="keras")
    with pytest.raises(InvalidSetting, match="'restoration' as onnx in int8"):
        rw.export(model, tmp_path / "out", data=data, precision="int8")
    assert list(tmp_path.iterdir()) == []


def _texts() -> Dataset:
    made = ["a good film", "a bad one", "what a good day", "so very bad", "good", "bad"] * 4
    return texts_of(made, [int("good" in each) for each in made], "films", "made up", by="words")


OTHERS = {  # data, format, what is asked
    "tables": (lambda: rw.datasets.cancer().subset(40, 20), "torch", None),
    "signals": (lambda: rw.datasets.windows(np.arange(300) % 24 + 5.0, 12, 3), "torch", None),
    "volumes": (lambda: rw.datasets.solids(train=2, test=3, size=12), "torch", None),
    "texts": (_texts, "onnx", "A GOOD unheard-of day"),
}


@pytest.mark.parametrize("world", OTHERS)
def test_other_inputs_go_in_as_they_are_and_answers_are_the_notebooks(
    world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, format, asked = OTHERS[world]
    data = make()
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(data, width=4)).eval()
    made = rw.export(model, tmp_path / "out", data=data, format=format, examples=3)
    assert rw.check_artefact(made).holds
    with torch.no_grad():
        found = task_for(data).answers(model(rw.datasets.normalise(data.test.inputs, data.mean, data.std)))
    told = made.ask(data.test.inputs.numpy())
    if world == "signals":
        shown = [list(each["values"].values()) for each in told]
        assert np.array(shown) == pytest.approx(data.in_units(found.values), rel=1e-4, abs=1e-3)
        assert list(told[0]["values"]) == list(data.classes)
    elif world == "volumes":
        shares = [float((found.masks[0] == k).mean()) for k in range(4)]
        assert {data.classes[k]: s for k, s in enumerate(shares) if s} == pytest.approx(told[0]["shares"])
    else:
        assert np.array([each["probabilities"] for each in told]) == pytest.approx(
            found.probabilities, abs=1e-5
        )
    monkeypatch.setattr(sys, "argv", ["example.py", *([asked] if asked else [])])
    runpy.run_path(str(made.folder / "example.py"))
    printed = capsys.readouterr().out.splitlines()
    if asked:
        best = made.ask(asked)[0]["top"][0]
        assert printed[0] == f"{best['class']}: {best['probability']:.4f}"
    else:
        kept = made.ask(made.examples.pixels)[0]
        if world == "signals":
            numbers = [float(line.partition(": ")[2]) for line in printed]
            assert numbers == pytest.approx(list(kept["values"].values()), rel=1e-4)
        else:
            named = kept["top"][0]["class"] if world == "tables" else next(iter(kept["shares"]))
            assert named in "".join(printed)
    card = (made.folder / "README.md").read_text()
    assert "Input `inputs`: float32 (N, " in card and "picture" not in card and "of images" not in card
    with pytest.raises(InvalidSetting, match="and no pictures"):
        rw.serve(made)
    with pytest.raises(InvalidSetting, match=r"give \(N, "):
        made.ask(np.zeros((2, 1, 1, 1, 1)))
    with pytest.raises(InvalidSetting, match=f"a network of {data.input_kind} as script"):
        rw.export(model, tmp_path / "other", data=data, format="script")


def test_a_check_holds_and_names_what_changed(onnx_folder: Path, tmp_path: Path) -> None:
    checked = rw.check_artefact(onnx_folder)
    assert checked.holds and checked.proof is not None and checked.proof.images == 16
    for name, told in (
        ("model.onnx", "has changed"),
        ("examples/03.png", "has changed"),
        ("example.py", "is missing"),
    ):
        copied = tmp_path / name.replace("/", "-")
        shutil.copytree(onnx_folder, copied)
        if "missing" in told:
            (copied / name).unlink()
        else:
            content = bytearray((copied / name).read_bytes())
            content[len(content) // 2] ^= 1
            (copied / name).write_bytes(content)
        found = rw.check_artefact(copied)
        assert not found.holds
        assert found.changed == (
            f"{name} {told}" + (" since it was exported" if told == "has changed" else ""),
        )
        assert (found.proof is None) == (name == "model.onnx")  # what is something else is not run
        assert cli.main(["check", str(copied)]) == 1
    assert cli.main(["check", str(onnx_folder)]) == 0


def test_another_networks_answers_do_not_pass(onnx_folder: Path, data: Dataset) -> None:
    artefact = rw.open_artefact(onnx_folder)
    inputs = rw.datasets.normalise(data.test.images[:30], data.mean, data.std).numpy()
    engine = artefact.open(1)
    right = engine(inputs)
    assert compare(engine, inputs, right).holds
    off = right.copy()
    off[3, 2] += 1e-3
    found = compare(engine, inputs, off)
    assert not found.holds and found.largest == pytest.approx(1e-3, rel=0.01)
    assert compare(engine, inputs, right[:, ::-1].copy()).changed > 0
    assert "NOT equal" in compare(engine, inputs, right[:, :5]).sentence


class Strange(nn.Module):
    """Has an operator that no exporter knows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 10))

    def forward(self, images: Tensor) -> Tensor:
        solved = torch.linalg.matrix_exp(images[:, 0])
        return solved.flatten(1) @ self.weight


class Branching(nn.Module):
    """Goes another way for other numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1) if images.sum() > 0 else -images.flatten(1))


class Fixed(Branching):
    """Takes batches of one size only."""

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1)) + torch.zeros(len(images), 10)


class Random(nn.Module):
    """Is random at rest, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        found = self.layer(images.flatten(1))
        return found + torch.rand_like(found)


@pytest.mark.parametrize(
    ("model", "format", "told"),
    [
        (Strange(), "onnx", "its operator aten.linalg_matrix_exp is not known there"),
        (Branching(), "torch", "cannot be exported as torch"),
        (Fixed(), "torch", "fixed to one number of images in a batch"),
        (Random(), "torch", "NOT equal"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "script", "writes out networks of rw.resnet"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), "torch", "has 10 classes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(65, 10)), "torch", "cannot take inputs of shape"),
        ("a text", "torch", "model is a str"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence_and_leaves_nothing(
    model: object, format: engines.Format, told: str, data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSetting, match=told):
        rw.export(model, tmp_path / "out", data=data, format=format)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_missing_is_named_with_its_extra(
    network: nn.Module, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(
        InvalidSetting, match=r"onnxruntime, which is not installed: pip install 'reswork\[onnx\]'"
    ):
        rw.export(network, tmp_path / "out", data=data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"format": "tf"}, "choose 'onnx', 'torch', .* or 'litert'"),
        ({"opset": 17}, "choose 18 or a later one"),
        ({"examples": 0}, "choose 1 to 64"),
        ({"data": None}, "give data="),
        ({"data": [1]}, "data is a list"),
    ],
)
def test_wrong_settings_are_told(
    settings: dict[str, object], told: str, network: nn.Module, data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSetting, match=told):
        rw.export(network, tmp_path / "out", **{"data": data, "format": "torch", **settings})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_stays_and_an_older_export_is_replaced(
    onnx_folder: Path, network: nn.Module, data: Dataset, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("important")
    with pytest.raises(InvalidSetting, match="holds other files"):
        rw.export(network, mine, data=data, format="torch")
    with pytest.raises(InvalidSetting, match=r"has no model\.json"):
        rw.open_artefact(mine)
    assert (mine / "thesis.txt").read_text() == "important"
    older = tmp_path / "older"
    shutil.copytree(onnx_folder, older)
    made = rw.export(network, older, data=data, format="torch", examples=3)
    assert made.format == "torch" and not (older / "model.onnx").exists() and rw.check_artefact(older).holds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "older"]


def test_a_full_disk_leaves_the_older_export(
    onnx_folder: Path, network: nn.Module, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "older"
    shutil.copytree(onnx_folder, older)
    before = rw.open_artefact(older).version

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reswork.shipping.export.write_json", full)
    with pytest.raises(InvalidSetting, match="No space left"):
        rw.export(network, older, data=data, format="torch")
    assert rw.open_artefact(older).version == before and rw.check_artefact(older).holds
    assert [path.name for path in tmp_path.iterdir()] == ["older"]


def test_a_run_is_exported_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    data = rw.datasets.digits()
    run = rw.train(rw.resnet(depth=8, width=2, in_channels=1), data, PLAIN, name="one")
    run.wait()
    assert cli.main(["export", "one", str(tmp_path / "out"), "--format", "torch"]) == 0
    assert "equal to the network" in capsys.readouterr().out
    made = rw.open_artefact(tmp_path / "out")
    assert (
        made.facts["recipe"]["steps"] == 2 and made.classes == data.classes and made.decoder == data.decoder
    )
    inputs = rw.datasets.normalise(data.test.images[:9], data.mean, data.std)
    assert np.abs(made.open(1)(inputs.numpy()) - run.snapshot()(inputs).detach().numpy()).max() < 1e-4
    other = rw.datasets.fashion().subset(20, 20)
    with pytest.raises(InvalidSetting, match="read or named in another way"):
        rw.export(rw.load_run("one"), tmp_path / "out", data=other, format="torch")


def test_masks_are_exported_too(tmp_path: Path) -> None:
    data = rw.datasets.scenes(train=6, test=6)
    network = rw.unet(depth=8, width=4, num_classes=len(data.classes)).eval()
    made = rw.export(network, tmp_path / "out", data=data, examples=2, format="torch")
    assert rw.check_artefact(made).holds
    assert made.examples.outputs.shape == (2, len(data.classes), *data.input_shape[1:])
    assert "| IoU |" in (made.folder / "README.md").read_text()


def test_the_file_of_a_program_holds_no_more_than_its_weights(torch_folder: Path, network: nn.Module) -> None:
    weights = sum(each.numel() * each.element_size() for each in network.state_dict().values())
    assert (torch_folder / "model.pt2").stat().st_size < weights + 500_000
    assert open_engine(torch_folder / "model.pt2", 1).name == "torch"


def test_a_model_that_changed_is_not_asked(torch_folder: Path, tmp_path: Path) -> None:
    changed = rw.open_artefact(shutil.copytree(torch_folder, tmp_path / "changed"))
    picture = changed.folder / "examples" / "00.png"
    picture.write_bytes(picture.read_bytes() + b"!")
    assert changed.ask(changed.folder / "examples" / "01.png")  # only the model counts
    changed.path.write_bytes(changed.path.read_bytes() + b"!")
    for refused in (lambda: changed.ask(picture), lambda: rw.latency(changed, seconds=0.01)):
        with pytest.raises(InvalidSetting, match=f"{changed.path.name} has changed since it was exported"):
            refused()
