"""One way from a picture's file to a network, whichever entry it takes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reswork as rw
from reswork import cli
from reswork.datasets import Decoder, arrays, folder, normalise
from reswork.errors import InvalidSetting
from reswork.store.saved_run import load_run
from reswork.widgets.inspector import fitted
from tests.datasets.image_files import encoded, picture, write


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


CLEAR = np.dstack([picture(3, 24, 24), np.arange(24 * 24).reshape(24, 24).astype(np.uint8)])
FILES = {
    "alpha.png": encoded(CLEAR),
    "exif.jpg": encoded(picture(1, 24, 30), "JPEG", exif=_turned()),
    "exif.png": encoded(picture(1, 24, 24), "PNG", exif=_turned()),
    "float.tif": encoded(Image.fromarray(np.linspace(0, 1, 576).reshape(24, 24).astype(np.float32)), "TIFF"),
    "grey.png": encoded(picture(6, 24, 24)[..., 0]),
    "large.png": encoded(picture(7, 60, 40)),
    "palette.gif": encoded(Image.fromarray(picture(2, 24, 24)).quantize(16), "GIF"),
    "palette.png": encoded(Image.fromarray(picture(2, 24, 24)).quantize(16)),
    "print.jpg": encoded(Image.fromarray(picture(5, 30, 24)).convert("CMYK"), "JPEG"),
    "signed.tif": encoded(Image.fromarray(np.linspace(-500, 900, 576).reshape(24, 24).astype(np.int32)), "TIFF"),
    "sixteen.png": encoded(np.linspace(100, 5000, 576).reshape(24, 24).astype(np.uint16)),
    "wide.webp": encoded(picture(4, 24, 60), "WEBP"),
}  # fmt: skip
GREY = ("grey.png", "signed.tif", "sixteen.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all kinds of pictures, a run that learned from it, and what it learned from."""
    root = tmp_path_factory.mktemp("pictures")
    for name, content in FILES.items():
        for label in ("a", "b"):
            write(root / "own", f"train/{label}/{name}", content)
            write(root / "own", f"test/{label}/{name}", content)
    data = folder(root / "own", size=(20, 16), cache=False)
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, num_classes=2)
    recipe = rw.Recipe(steps=2, batch_size=4, device="cpu", precision="fp32", compile="off")
    rw.train(model, data, recipe, directory=root / "run").wait()
    return root


def test_every_entry_gives_the_very_pixels_that_were_learned_from(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    own = trained / "own"
    data, run = folder(own, size=(20, 16), cache=False), load_run(trained / "run")
    assert data.value_range == (-500.0, 5000.0)
    assert run.decoder == data.decoder
    zipped = folder(shutil.make_archive(str(tmp_path / "own"), "zip", own), size=(20, 16))
    kept = folder(shutil.copytree(own, tmp_path / "copy"), size=(20, 16))
    again = folder(tmp_path / "copy", size=(20, 16))  # from the cache
    (tmp_path / "labels.csv").write_text(
        "\n".join(["file,label", *(f"train/{label}/{name},{label}" for label in "ab" for name in FILES)])
    )
    table = folder(own, size=(20, 16), labels=tmp_path / "labels.csv", test_fraction=0.01, cache=False)
    model = run.model()
    for index, name in enumerate(sorted(FILES)):
        expected, path = data.train.images[index], own / "train" / "a" / name
        entries = {
            "zip": zipped.train.images[index],
            "folder that is kept": kept.train.images[index],
            "cache": again.train.images[index],
            "upload": torch.from_numpy(fitted(FILES[name], data.input_shape, data.value_range)),
            "decoder of the data": data.decoder(path),
            "decoder of the run": run.decoder(FILES[name]),
        }
        for entry, found in entries.items():
            assert torch.equal(found, expected), (entry, name)
        assert any(torch.equal(expected, image) for image in table.train.images), name
        inputs = run.decoder.inputs([path])
        assert torch.equal(inputs, normalise(expected[None], data.mean, data.std)), name
        with torch.no_grad():
            answer = model(inputs).softmax(1)[0]
        assert cli.main(["answer", str(trained / "run"), str(path)]) == 0
        told = f"{path}: {data.classes[int(answer.argmax())]} ({float(answer.max()):.1%})\n"
        assert capsys.readouterr().out == told


def test_pictures_in_grey_alone_have_one_channel_whichever_way_they_come_in(tmp_path: Path) -> None:
    for name in GREY:
        for place in ("train/a", "train/b", "test/a", "test/b"):
            write(tmp_path, f"{place}/{name}", FILES[name])
    data = folder(tmp_path, size=16, cache=False)
    assert data.input_shape == (1, 16, 16)
    for index, name in enumerate(GREY):
        uploaded = fitted(FILES[name], data.input_shape, data.value_range)
        assert np.array_equal(uploaded, data.train.images[index].numpy()), name
        assert torch.equal(data.decoder(FILES[name]), data.train.images[index]), name


def test_a_decoder_comes_back_from_json(trained: Path) -> None:
    decoder = Decoder((20, 16), 3, (-1.5, 2.0), (0.1, 0.2, 0.3), (1.0, 0.5, 0.25))
    assert Decoder.from_dict(json.loads(json.dumps(decoder.to_dict()))) == decoder
    stored = json.loads((trained / "run" / "run.json").read_text())["data"]["decoder"]
    assert Decoder.from_dict(stored).size == (20, 16)


@pytest.mark.parametrize(
    "change",
    [{"form": 99}, {"size": [3]}, {"size": 12}, {"channels": 4}, {"mean": 1}, {"value_range": [1]}],
)
def test_what_is_no_decoder_is_refused_and_a_run_with_it_still_opens(
    trained: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    values = {**Decoder((8, 8), 3).to_dict(), **change}
    with pytest.raises(InvalidSetting, match="no settings of a decoder"):
        Decoder.from_dict(values)
    shutil.copytree(trained / "run", tmp_path / "run")
    place = tmp_path / "run" / "run.json"
    content = json.loads(place.read_text())
    content["data"]["decoder"] = values
    place.write_text(json.dumps(content))
    assert load_run(tmp_path / "run").decoder is None


def test_what_is_no_picture_gets_one_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder = Decoder((8, 8), 3)
    for wrong, words in (
        (b"", "empty file"),
        (b"hello", "no image"),
        (tmp_path / "none.png", "No such file"),
    ):
        with pytest.raises(InvalidSetting, match=words):
            decoder(wrong)
    with pytest.raises(InvalidSetting, match="are not known"):
        decoder.inputs(FILES["grey.png"])
    good = trained / "own" / "train" / "a" / "grey.png"
    assert cli.main(["answer", str(trained / "run"), str(tmp_path / "none.png"), str(good)]) == 2
    shown = capsys.readouterr()
    assert "none.png cannot be read" in shown.err
    assert str(good) in shown.out


def test_images_that_are_no_pictures_have_no_decoder() -> None:
    data = arrays(np.zeros((4, 5, 8, 8), np.uint8), [0, 1, 0, 1], layout="NCHW")
    with pytest.raises(InvalidSetting, match="5 channels"):
        _ = data.decoder
