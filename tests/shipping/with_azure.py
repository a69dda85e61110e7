"""`make test-ship`: what Azure ML's own classes say of endpoint, deployment and job, and its own server with score.py.

``SHIP_PYTHON`` is the Python of the environment that has the inference server, without reswork and torch.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from azure.ai.ml import load_job, load_online_deployment, load_online_endpoint

import reswork as rw
from tests.shipping.elsewhere import free_port, picture, plain_environment, served

PYTHON = Path(os.environ["SHIP_PYTHON"])


def test_endpoint_and_deployments_are_what_azure_reads(onnx_folder: Path, tmp_path: Path) -> None:
    made = rw.bundle(onnx_folder, tmp_path / "azure", target="azure", name="digits")
    (made.folder / "mlflow").mkdir()
    endpoint = load_online_endpoint(made.folder / "endpoint.yml")
    assert (endpoint.name, endpoint.auth_mode) == ("digits", "key")
    deployment = load_online_deployment(made.folder / "deployment.yml")
    assert deployment.endpoint_name == "digits" and deployment.instance_count == 1
    assert (deployment.code_configuration.code, deployment.code_configuration.scoring_script) == (
        "./code",
        "score.py",
    )
    assert Path(str(deployment.model.path)).resolve() == made.folder / "model"
    assert deployment.environment.conda_file["dependencies"][0] == "python=3.12"
    plain = load_online_deployment(made.folder / "deployment-mlflow.yml")
    assert plain.model.type == "mlflow_model" and plain.code_configuration is None


def test_a_job_is_what_azure_reads(tmp_path: Path) -> None:
    made = rw.cloud_job(
        tmp_path / "job", "azure", ["--depth", "20"], ranks=4, name="deep", data="azureml:pictures:1"
    )
    job = load_job(made.folder / "job.yml")
    assert job.command == made.command and job.display_name == "deep"
    assert list(job.inputs) == ["data"] and job.resources["instance_count"] == 1
    assert any("torch" in each for each in job.environment.conda_file["dependencies"][-1]["pip"])


def test_azures_own_server_runs_the_script(onnx_folder: Path, tmp_path: Path) -> None:
    made = rw.bundle(onnx_folder, tmp_path / "azure", target="azure")
    port = free_port()
    place = tmp_path / "azureml-models" / "digits" / "1"  # as Azure lays a model
    shutil.copytree(made.folder / "model", place / "model")
    script = ["--entry_script", "score.py", "--model_dir", str(place), "--port", str(port)]
    command = [str(PYTHON.parent / "azmlinfsrv"), *script]
    with served(
        command, made.folder / "code", plain_environment(), f"http://127.0.0.1:{port}", "/"
    ) as client:
        found = client.post(
            "/score", json={"images": [picture(onnx_folder, k) for k in range(16)], "top": 1}
        ).json()
        wrong = client.post("/score", json={"images": ["no base64!"]})
    expected = torch.from_numpy(rw.open_artefact(onnx_folder).examples.outputs).double().softmax(1).numpy()
    np.testing.assert_allclose([each["probabilities"] for each in found["answers"]], expected, atol=1e-5)
    assert found["version"] == made.version
    assert wrong.status_code == 400 and wrong.json() == {"error": "picture 0 is no base64 text"}
