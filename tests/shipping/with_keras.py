"""`make test-ship`: Keras on TensorFlow, JAX and torch, SavedModel and LiteRT, each by its own package."""

import json
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
from reswork.shipping.engines import BACKENDS, Format, backends, open_engine
from tests.shipping.test_layer_list import NETWORKS, shaken

HAS_TENSORFLOW = find_spec("tensorflow") is not None
FORMATS: tuple[Format, ...] = ("keras", "tensorflow", "litert") if HAS_TENSORFLOW else ("keras",)


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


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("format", FORMATS)
def test_answers_are_the_networks_own_on_every_backend(name: str, format: Format, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"width": 4, "in_channels": 3, "num_classes": 10, **NETWORKS[name]}
    if settings.get("head") == "unet":
        data = rw.datasets.scenes(train=6, test=6)
        settings["num_classes"] = len(data.classes)
    else:
        data = _colour()
    network = shaken(rw.resnet(**settings), rw.datasets.normalise(data.test.images[:8], data.mean, data.std))
    made = rw.export(network, tmp_path / "out", data=data, format=format, examples=3)
    inputs = rw.datasets.normalise(data.test.images, data.mean, data.std)
    with torch.no_grad():
        expected = network(inputs).numpy()
    for backend in backends() if format == "keras" else (None,):
        engine = open_engine(made.path, backend=backend)
        found = np.concatenate([engine(part) for part in np.split(inputs.numpy(), [1, 4])])
        assert np.abs(found - expected).max() < 1e-4 * max(1, np.abs(expected).max())
        said = f"by {engine.name} {engine.version}"
        assert said in made.facts["proof"]["sentence"]
        assert said in (made.folder / "README.md").read_text()
    assert rw.check_artefact(made).holds


def _colour() -> Dataset:
    grey = rw.datasets.digits().subset(20, 20)
    parts = [
        value
        for split in (grey.train, grey.test)
        for value in (split.images.repeat(1, 3, 2, 2).numpy(), split.labels.numpy())
    ]
    return rw.datasets.arrays(*parts, classes=grey.classes)


@pytest.mark.parametrize("format", FORMATS)
def test_the_example_runs_alone(
    format: Format, network: torch.nn.Module, data: Dataset, tmp_path: Path
) -> None:
    made = rw.export(network, tmp_path / "out", data=data, format=format)
    done = subprocess.run(
        [sys.executable, made.folder / "example.py"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    best = data.classes[made.examples.outputs[0].argmax()]
    assert done.stdout.splitlines()[0].startswith(f"{best}: ")
    assert "channels last" in (made.folder / "README.md").read_text()
    weights = next(
        path for path in made.folder.rglob("*") if path.is_file() and made.path in (path, *path.parents)
    )
    weights.write_bytes(weights.read_bytes() + b"!")
    found = rw.check_artefact(made.folder)
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


def test_it_is_timed_in_a_process_without_torch(
    network: torch.nn.Module, data: Dataset, tmp_path: Path
) -> None:
    made = rw.export(network, tmp_path / "out", data=data, format=FORMATS[-1])
    found = rw.latency(made, batch_sizes=(1,), seconds=0.2)
    assert "LiteRT" in str(found) or "Keras" in str(found)
    json.dumps(made.facts)
