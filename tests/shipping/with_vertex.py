"""`make test-ship`: what Google's own classes say of model and job, and a model that comes from Cloud Storage."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlparse

import numpy as np
import torch
import yaml
from google.cloud import aiplatform_v1
from google.protobuf.json_format import ParseDict

import reswork as rw
from tests.shipping.elsewhere import free_port, picture, plain_environment, served

BELOW = Path(torch.__file__).parents[4]  # .venv, whose torchrun has no other packages above it


def test_a_model_is_what_vertex_reads(onnx_folder: Path, tmp_path: Path) -> None:
    made = rw.bundle(
        onnx_folder, tmp_path / "vertex", target="vertex", image="europe-docker.pkg.dev/p/r/digits:1"
    )
    plain = json.loads((made.folder / "vertex-model.json").read_text())
    model = ParseDict(plain, aiplatform_v1.Model.pb(aiplatform_v1.Model()))  # refuses an unknown field
    assert model.container_spec.image_uri == "europe-docker.pkg.dev/p/r/digits:1"
    assert model.container_spec.ports[0].container_port == 8080
    assert (model.container_spec.health_route, model.container_spec.predict_route) == ("/health", "/predict")


def test_a_job_is_what_vertex_reads(tmp_path: Path) -> None:
    made = rw.cloud_job(
        tmp_path / "job", "vertex", ["--depth", "20"], ranks=4, data="gs://mine/pictures", bucket="mine"
    )
    plain = yaml.safe_load((made.folder / "job.yml").read_text())
    job = ParseDict(plain, aiplatform_v1.CustomJobSpec.pb(aiplatform_v1.CustomJobSpec()))
    (pool,) = job.worker_pool_specs
    assert pool.replica_count == 1 and pool.machine_spec.accelerator_count == 4
    assert pool.container_spec.args[0].startswith(made.command) and "/gcs/mine/pictures" in made.command


def test_the_jobs_command_trains_with_its_own_code(tmp_path: Path) -> None:
    arguments = [
        "--data",
        "digits",
        "--depth",
        "8",
        "--width",
        "2",
        "--steps",
        "4",
        "--device",
        "cpu",
        "--compile",
        "off",
    ]
    made = rw.cloud_job(tmp_path / "job", "azure", arguments, ranks=2, name="deep")
    code = made.folder / "code"
    given = plain_environment(OMP_NUM_THREADS="1", PATH=f"{BELOW / 'bin'}{os.pathsep}{os.environ['PATH']}")
    asked = [BELOW / "bin" / "python", "-c", "import reswork; print(reswork.__file__)"]
    said = subprocess.run(asked, cwd=code, env=given, capture_output=True, text=True, timeout=300)
    assert Path(said.stdout.strip()).is_relative_to(code)
    done = subprocess.run(
        made.command, shell=True, cwd=code, env=given, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "finished after 4 steps" in done.stdout
    run = rw.load_run(code / "outputs" / "deep")
    assert run.steps_done == 4


@contextmanager
def storage(folder: Path, bucket: str, prefix: str) -> Iterator[str]:
    """The two requests of Cloud Storage's interface that a download makes, answered from a folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlparse(self.path)
            if asked.path == f"/storage/v1/b/{bucket}/o":
                assert parse_qs(asked.query)["prefix"] == [f"{prefix}/"]
                files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
                items = [{"name": f"{prefix}/{path.relative_to(folder)}", "bucket": bucket} for path in files]
                body = json.dumps({"items": items}).encode()
            else:
                name = unquote(asked.path.rpartition("/o/")[2])
                body = (folder / name.removeprefix(f"{prefix}/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_model_comes_from_cloud_storage(onnx_folder: Path, tmp_path: Path) -> None:
    """By Google's own client, which takes another address and no credentials where this variable is set."""
    made = rw.bundle(onnx_folder, tmp_path / "vertex", target="vertex")
    model = (made.folder / "model").rename(tmp_path / "in-the-cloud")
    port = free_port()
    with storage(model, "mine", "models/digits") as address:
        given = plain_environment(
            AIP_HTTP_PORT=str(port), AIP_STORAGE_URI="gs://mine/models/digits", STORAGE_EMULATOR_HOST=address,
            AIP_HEALTH_ROUTE="/alive", AIP_PREDICT_ROUTE="/answer", HOST="127.0.0.1", GOOGLE_CLOUD_PROJECT="none",
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        with served([sys.executable, "server.py"], made.folder, given, url, "/alive") as client:
            (found,) = client.post("/answer", json={"instances": [{"b64": picture(onnx_folder, 2)}]}).json()[
                "predictions"
            ]
    expected = torch.from_numpy(rw.open_artefact(onnx_folder).examples.outputs[2]).double().softmax(0).numpy()
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
