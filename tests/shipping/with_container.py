"""`make test-ship`: a container's server in an environment that has its requirements.txt and nothing else.

``SHIP_PYTHON`` is that environment's Python, which has neither reswork nor torch; ``HADOLINT`` the linter.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import torch

import reswork as rw
from tests.shipping.elsewhere import free_port, picture, plain_environment, served

PYTHON = os.environ["SHIP_PYTHON"]


def test_the_environment_has_no_torch_and_no_reswork() -> None:
    code = "import importlib.util as u; print([n for n in ('torch', 'reswork') if u.find_spec(n)])"
    done = subprocess.run(
        [PYTHON, "-c", code], cwd="/", env=plain_environment(), capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_it_answers_as_the_network(onnx_folder: Path, tmp_path: Path) -> None:
    made = rw.bundle(onnx_folder, tmp_path / "container", target="container")
    port = free_port()
    given = plain_environment(AIP_HTTP_PORT=str(port), HOST="127.0.0.1")
    with served(
        [PYTHON, "server.py", "serve"], made.folder, given, f"http://127.0.0.1:{port}", "/health"
    ) as client:
        asked = {"instances": [{"b64": picture(onnx_folder, k)} for k in range(16)]}
        found = client.post("/predict", json=asked).json()["predictions"]
    expected = torch.from_numpy(rw.open_artefact(onnx_folder).examples.outputs).double().softmax(1).numpy()
    np.testing.assert_allclose([each["probabilities"] for each in found], expected, atol=1e-5)


def test_containerfiles_are_linted(onnx_folder: Path, tmp_path: Path) -> None:
    made = rw.bundle(onnx_folder, tmp_path / "container", target="container")
    job = rw.cloud_job(tmp_path / "job", "vertex")
    for folder in (made.folder, job.folder):
        done = subprocess.run(
            [os.environ["HADOLINT"], "--failure-threshold", "style", folder / "Containerfile"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
