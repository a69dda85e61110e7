"""`make test-ship`: a bundle for MLflow, loaded by MLflow and served by ``mlflow models serve``."""

import os
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import torch

import reswork as rw
from tests.shipping.elsewhere import free_port, picture, plain_environment, served


def test_mlflow_loads_and_serves_it(onnx_folder: Path, tmp_path: Path) -> None:
    made = rw.bundle(onnx_folder, tmp_path / "model", target="mlflow")
    expected = torch.from_numpy(rw.open_artefact(onnx_folder).examples.outputs).double().softmax(1).numpy()
    pictures = [(onnx_folder / "examples" / f"{k:02}.png").read_bytes() for k in range(16)]
    model = mlflow.pyfunc.load_model(str(made.folder))
    assert model.metadata.metadata["version"] == made.version
    found = model.predict(pd.DataFrame({"image": pictures}), params={"top": 2})
    np.testing.assert_allclose([each["probabilities"] for each in found], expected, atol=1e-5)
    assert [len(each["top"]) for each in found] == [2] * 16
    assert rw.check_artefact(made.folder / "artifacts" / onnx_folder.name).holds
    assert "torch" not in (made.folder / "requirements.txt").read_text()
    port = free_port()
    command = ["mlflow", "models", "serve", "--model-uri", ".", "--env-manager", "local", "--port", str(port)]
    own = (
        tmp_path / "bin"
    )  # MLflow starts uvicorn by its name, and that lies in the environment below this one
    own.mkdir()
    (own / "uvicorn").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uvicorn "$@"\n')
    (own / "uvicorn").chmod(0o755)
    path = f"{own}{os.pathsep}{os.environ['PATH']}"
    url = f"http://127.0.0.1:{port}"
    with served(
        [sys.executable, "-m", *command], made.folder, plain_environment(PATH=path), url, "/ping"
    ) as client:
        asked = {
            "dataframe_split": {"columns": ["image"], "data": [[picture(onnx_folder, 5)]]},
            "params": {"top": 1},
        }
        (answer,) = client.post("/invocations", json=asked).json()["predictions"]
    np.testing.assert_allclose(answer["probabilities"], expected[5], atol=1e-5)
    assert len(answer["top"]) == 1
