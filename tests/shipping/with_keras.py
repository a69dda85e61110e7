"""`make test-ship`: Keras on TensorFlow, JAX and torch, SavedModel and LiteRT, each by its own package."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.datasets.dataset import Dataset
from reswork.shipping.engines import BACKENDS, FILES, Format, backends
from reswork.shipping.layer_files import write_layers
from reswork.shipping.layer_list import layers_of
from tests.shipping.keras_answers import done
from tests.shipping.test_layer_list import NETWORKS, shaken

HAS_TENSORFLOW = find_spec("tensorflow") is not None
FORMATS: tuple[Format, ...] = ("keras", "tensorflow", "litert") if HAS_TENSORFLOW else ("keras",)
ENGINES = [*(("keras", each) for each in backends()), *((each, "tensorflow") for each in FORMATS[1:])]
IMAGES = 9


def test_versions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    names = [name for name in ("keras", "tensorflow-cpu", "jax", "ai-edge-litert", "torch") if _version(name)]
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {_version(name)}" for name in names))
    assert set(backends()) == {name for name in BACKENDS if find_spec(name)} and len(backends()) >= 2


def _version(name: str) -> str:
    try:
        return version(name)
    except Exception:
        return ""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Folders with the layers of each network, images for it, and files built of them; and what each network says."""
    folder, said, jobs = tmp_path_factory.mktemp("built"), {}, []
    images = torch.randn(IMAGES, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for number, (name, different) in enumerate(NETWORKS.items()):
        settings: dict[str, Any] = {"width": 4, "in_channels": 3, "num_classes": 10, **different}
        network = shaken(rw.resnet(**settings), images)
        place = folder / str(number)
        place.mkdir()
        with torch.no_grad():
            said[name] = np.moveaxis(network(images).numpy(), 1, -1)
        write_layers(place, layers_of(network, images), (16, 16, 3))
        np.save(place / "images.npy", images.permute(0, 2, 3, 1).numpy())
        jobs += [(place, place / FILES[format]) for format in FORMATS]
    done(folder, "tensorflow" if HAS_TENSORFLOW else "torch", build=jobs)  # JAX compiles each initial weight
    return folder, said


@pytest.fixture(scope="module", params=ENGINES, ids=" on ".join)
def answers(
    request: pytest.FixtureRequest, written: tuple[Path, dict[str, np.ndarray]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What each network says itself, and what one engine says of its file."""
    (folder, said), (format, backend) = written, request.param
    places = {name: folder / str(number) for number, name in enumerate(said)}
    files = {name: place / f"{format}-{backend}.npy" for name, place in places.items()}
    jobs = [(place / FILES[format], place / "images.npy", files[name]) for name, place in places.items()]
    done(folder, backend, answer=jobs)
    return {name: (said[name], np.load(file)) for name, file in files.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_the_networks_own(name: str, answers: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    expected, found = answers[name]
    assert len(expected) == IMAGES and np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.fixture(scope="module")
def exported(
    network: torch.nn.Module, data: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> dict[Format, rw.Artefact]:
    folder = tmp_path_factory.mktemp("exported")
    return {format: rw.export(network, folder / format, data=data, format=format) for format in FORMATS}


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_is_proved_on_every_backend_and_says_so(
    format: Format, exported: dict[Format, rw.Artefact], network: torch.nn.Module, data: Dataset
) -> None:
    made = exported[format]
    packages = {"tensorflow": ["TensorFlow"], "litert": ["LiteRT"]}
    engines = packages.get(format) or [f"on {backend} {_module_version(backend)}" for backend in backends()]
    sentence, card = made.facts["proof"]["sentence"], (made.folder / "README.md").read_text()
    assert sentence.count("equal to the network on 60 images") == len(engines) and "NOT" not in sentence
    for engine in engines:
        assert engine in sentence and engine in card
    assert "channels last" in card
    with torch.no_grad():
        own = network(rw.datasets.normalise(data.test.images[:5], data.mean, data.std)).numpy()
    asked = made.open(1)(made.inputs(data.test.images[:5].numpy()))
    np.testing.assert_allclose(asked, own, atol=1e-4)
    json.dumps(made.facts)


def _module_version(name: str) -> str:
    return _version("tensorflow-cpu" if name == "tensorflow" else name)


@pytest.mark.parametrize("format", FORMATS)
def test_the_example_runs_alone(format: Format, exported: dict[Format, rw.Artefact], data: Dataset) -> None:
    made = exported[format]
    ended = subprocess.run(
        [sys.executable, made.folder / "example.py"], capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    best = data.classes[made.examples.outputs[0].argmax()]
    assert ended.stdout.splitlines()[0].startswith(f"{best}: ")


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_changed_is_not_run(
    format: Format, exported: dict[Format, rw.Artefact], tmp_path: Path
) -> None:
    copied = rw.open_artefact(shutil.copytree(exported[format].folder, tmp_path / "copied"))
    weights = next(
        path for path in copied.folder.rglob("*") if path.is_file() and copied.path in (path, *path.parents)
    )
    weights.write_bytes(weights.read_bytes() + b"!")
    found = rw.check_artefact(copied.folder)
    assert not found.holds and found.proof is None


def test_an_operator_that_keras_lacks_is_named(data: Dataset, tmp_path: Path) -> None:
    class Strange(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(images.flatten(1), 1)[:, :10]

    with pytest.raises(
        rw.InvalidSetting, match=r"cannot be exported as keras: its operator aten\.cumsum is not known"
    ):
        rw.export(Strange(), tmp_path / "out", data=data, format="keras")
    assert list(tmp_path.iterdir()) == []


def test_it_is_timed_in_a_process_without_torch(exported: dict[Format, rw.Artefact]) -> None:
    found = rw.latency(exported[FORMATS[-1]], batch_sizes=(1,), seconds=0.2)
    assert "LiteRT" in str(found) or "Keras" in str(found)
