"""Folders for clouds and containers: what is in them, and their server and script at work, without reswork."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
import yaml
from torch import nn

import reswork as rw
from reswork import cli
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.shipping import engines
from reswork.shipping.bundle import bundle, read_bundle


def chances(folder: Path, data: Dataset) -> np.ndarray:
    logits = rw.open_artefact(folder).open(1)(
        rw.datasets.normalise(data.test.images, data.mean, data.std).numpy()
    )
    found: np.ndarray = torch.from_numpy(logits).double().softmax(1).numpy()
    return found


def b64(folder: Path, index: int) -> str:
    return base64.b64encode((folder / "examples" / f"{index:02}.png").read_bytes()).decode()


@pytest.fixture(scope="module")
def container(onnx_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "vertex"
    made = rw.bundle(onnx_folder, folder, target="vertex", image="example.org/net:1")
    assert made.version == rw.open_artefact(onnx_folder).version and made.name == "resnet-8-digits"
    return folder


@pytest.fixture(scope="module")
def client(container: Path) -> Iterator[httpx.Client]:
    """The container's server by Vertex AI's contract: port, routes and place of the model come from its variables."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    elsewhere = container.parent / "elsewhere"
    shutil.copytree(container / "model", elsewhere)
    given = {
        "AIP_HTTP_PORT": str(port), "AIP_HEALTH_ROUTE": "/v1/alive", "AIP_PREDICT_ROUTE": "/v1/models/m:predict",
        "AIP_STORAGE_URI": str(elsewhere), "HOST": "127.0.0.1",
    }  # fmt: skip
    environment = {**{key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, **given}
    process = subprocess.Popen([sys.executable, "server.py"], cwd=container, env=environment)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as found_client:
        end = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < end:
            try:
                if found_client.get("/v1/alive").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        check = subprocess.run([sys.executable, "health.py"], cwd=container, env=environment, timeout=300)
        assert check.returncode == 0
        yield found_client
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) in (0, -signal.SIGTERM)
    gone = subprocess.run([sys.executable, "health.py"], cwd=container, env=environment, capture_output=True)
    assert gone.returncode == 1 and b"no answer" in gone.stderr


def test_a_container_answers_by_the_contract_as_the_artefact_does(
    client: httpx.Client, onnx_folder: Path, data: Dataset
) -> None:
    known = chances(onnx_folder, data)
    pixels = rw.open_artefact(onnx_folder).examples.pixels
    rows = [int((data.test.images.numpy() == each).all((1, 2, 3)).argmax()) for each in pixels[:2]]
    asked = {"instances": [{"b64": b64(onnx_folder, 0)}, b64(onnx_folder, 1)], "parameters": {"top": 2}}
    found = client.post("/v1/models/m:predict", json=asked).json()
    assert list(found) == ["predictions"] and [len(each["top"]) for each in found["predictions"]] == [2, 2]
    np.testing.assert_allclose(
        [each["probabilities"] for each in found["predictions"]], known[rows], atol=1e-6
    )
    best = found["predictions"][0]["top"][0]
    assert best["class"] == data.classes[known[rows[0]].argmax()]
    raw = (onnx_folder / "examples" / "00.png").read_bytes()
    same = client.post("/invocations", content=raw, headers={"Content-Type": "image/png"}).json()
    assert same["predictions"][0]["probabilities"] == found["predictions"][0]["probabilities"]
    assert client.get("/ping").json() == {"status": "ready", "version": rw.open_artefact(onnx_folder).version}


def test_a_container_refuses_in_a_sentence(client: httpx.Client, onnx_folder: Path) -> None:
    good = b64(onnx_folder, 0)
    for request, status, told in (
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "no JSON"),
        ({"json": {"images": [good]}}, 400, '"instances"'),
        ({"json": {"instances": [{"b64": 1}]}}, 400, "picture 0 is no base64"),
        ({"json": {"instances": []}}, 400, "0 pictures in one request"),
        ({"json": {"instances": [good, base64.b64encode(b"no").decode()]}}, 400, "picture 1 cannot be read"),
        ({"json": {"instances": [good], "parameters": {"top": 0}}}, 400, "1 to 1000"),
        ({"content": b"0" * (10 * 1024**2 + 1)}, 413, "more than"),
        ({"content": b"text", "headers": {"Content-Type": "text/plain"}}, 415, "text/plain"),
    ):
        found = client.post("/v1/models/m:predict", **request)
        assert (found.status_code, told in found.json()["error"]) == (status, True), found.text


def test_a_bundle_holds_nothing_of_reswork_and_is_not_root(container: Path) -> None:
    for path in container.glob("*.py"):
        text = path.read_text()
        assert "import reswork" not in text and "from reswork" not in text, path
        compile(text, str(path), "exec")
    lines = (container / "Containerfile").read_text().splitlines()
    words = [line.split()[0] for line in lines if line and not line.startswith(("#", " "))]
    assert words.index("USER") < words.index("ENTRYPOINT") and "HEALTHCHECK" in words
    assert rw.check_artefact(container / "model").holds
    assert read_bundle(container).target == "vertex"
    model = json.loads((container / "vertex-model.json").read_text())
    assert model["containerSpec"]["imageUri"] == "example.org/net:1"


def test_the_scoring_script_answers_as_azure_calls_it(
    onnx_folder: Path, data: Dataset, tmp_path: Path
) -> None:
    assert (
        cli.main(
            ["bundle", str(onnx_folder), str(tmp_path / "azure"), "--target", "azure", "--name", "digits"]
        )
        == 0
    )
    folder = tmp_path / "azure"
    deployment, endpoint = (
        yaml.safe_load((folder / f"{name}.yml").read_text()) for name in ("deployment", "endpoint")
    )
    assert deployment["endpoint_name"] == endpoint["name"] == "digits"
    assert (folder / deployment["code_configuration"]["code"] / "score.py").is_file()
    assert yaml.safe_load((folder / "environment" / "conda.yml").read_text())["dependencies"]
    asked = json.dumps({"images": [b64(onnx_folder, 3)], "top": 1})
    script = f"import json, score; score.init(); print(json.dumps(score.run({asked!r})))"
    environment = {**os.environ, "AZUREML_MODEL_DIR": str(folder), "PYTHONPATH": str(folder / "code")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["answers"]
    outputs = rw.open_artefact(onnx_folder).examples.outputs[3]
    expected = torch.from_numpy(outputs).double().softmax(0).numpy()
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert answer["top"][0]["class"] == data.classes[outputs.argmax()]


def test_what_cannot_be_bundled_is_one_sentence_and_leaves_nothing(
    onnx_folder: Path, torch_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(onnx_folder, changed)
    (changed / "model.onnx").write_bytes(b"something else")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("important")
    for artefact, folder, settings, told in (
        (onnx_folder, "out", {"target": "heroku"}, "none of 'container', 'vertex', 'azure', 'mlflow'"),
        (onnx_folder, "out", {"target": "azure", "name": "My Net"}, "3 to 32 of a-z"),
        (torch_folder, "out", {"target": "azure"}, "exported as 'torch'"),
        (changed, "out", {"target": "container"}, r"model\.onnx has changed"),
        (mine, "out", {"target": "container"}, r"has no model\.json"),
        (onnx_folder, "mine", {"target": "container"}, "holds other files"),
    ):
        with pytest.raises(InvalidSetting, match=told):
            bundle(artefact, tmp_path / folder, **settings)
    found = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "mlflow" else found(name))
    with pytest.raises(
        InvalidSetting, match=r"mlflow, which is not installed: pip install 'reswork\[mlflow\]'"
    ):
        bundle(onnx_folder, tmp_path / "out", target="mlflow")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed", "mine"]


@pytest.mark.parametrize(
    ("format", "package"), [("keras", "keras"), ("tensorflow", "tensorflow"), ("litert", "ai_edge_litert")]
)
def test_a_format_without_its_package_is_one_sentence(
    format: engines.Format,
    package: str,
    network: nn.Module,
    data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(
        InvalidSetting, match=rf"{package}, which is not installed: pip install 'reswork\[{format}\]'"
    ):
        rw.export(network, tmp_path / "out", data=data, format=format)
    assert list(tmp_path.iterdir()) == []
