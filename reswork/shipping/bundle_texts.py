"""The settings and texts of a bundle, by target."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

CONTAINERFILE = """\
# docker build --file Containerfile --tag NAME . (or podman build); answers on port 8080, and as no root
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin server
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . ./

USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "health.py"]
ENTRYPOINT ["python", "server.py"]
"""

HEALTH = '''\
"""Exit status 0 where the server of this container can answer."""
import os
import sys
import urllib.request

port, route = os.environ.get("AIP_HTTP_PORT") or "8080", os.environ.get("AIP_HEALTH_ROUTE") or "/health"
try:
    sys.exit(urllib.request.urlopen(f"http://127.0.0.1:{port}{route}", timeout=4).status != 200)
except OSError as error:
    sys.exit(f"no answer: {error}")
'''

MLFLOW_MODEL = '''\
"""A model of MLflow: pictures' files in the column "image" -> classes and probabilities."""
import mlflow


class Pictures(mlflow.pyfunc.PythonModel):
    """Answers with an exported model."""

    def load_context(self, context):
        """Open the model."""
        from predictor import Predictor

        self.predictor = Predictor(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        """A dictionary for each picture, whose file is given as bytes or as base64."""
        from predictor import pictures_of, top_of

        given = list(model_input["image"])
        pictures = [each if isinstance(each, bytes) else pictures_of([each])[0] for each in given]
        top = top_of(int((params or {}).get("top", 3)))
        parts = [pictures[at : at + 32] for at in range(0, len(pictures), 32)]
        return [answer for part in parts for answer in self.predictor.answers(part, top)]


mlflow.models.set_model(Pictures())
'''

_SCHEMA = "https://azuremlschemas.azureedge.net/latest"
_AZURE_IMAGE = "mcr.microsoft.com/azureml/minimal-py312-inference:latest"


def azure_conda(needs: Sequence[str]) -> str:
    """The packages of a scoring script."""
    lines = "\n".join(f"      - {each}" for each in needs)
    return f"channels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - pip\n  - pip:\n{lines}\n"


def azure_endpoint(name: str) -> str:
    """A managed online endpoint."""
    return f"""\
$schema: {_SCHEMA}/managedOnlineEndpoint.schema.json
name: {name}
auth_mode: key
"""


def azure_deployment(name: str, version: str, machine: str) -> str:
    """A deployment with the scoring script."""
    return f"""\
$schema: {_SCHEMA}/managedOnlineDeployment.schema.json
name: v{version}
endpoint_name: {name}
model:
  name: {name}
  version: "{version}"
  path: ./model
  type: custom_model
code_configuration:
  code: ./code
  scoring_script: score.py
environment:
  image: {_AZURE_IMAGE}
  conda_file: ./environment/conda.yml
instance_type: {machine}
instance_count: 1
request_settings:
  request_timeout_ms: 30000
  max_concurrent_requests_per_instance: 4
liveness_probe:
  initial_delay: 30
readiness_probe:
  initial_delay: 30
"""


def azure_mlflow_deployment(name: str, version: str, machine: str) -> str:
    """A deployment without a script, of the MLflow model in ``mlflow``, which has to be written there first."""
    return f"""\
$schema: {_SCHEMA}/managedOnlineDeployment.schema.json
name: m{version}
endpoint_name: {name}
model:
  name: {name}-mlflow
  version: "{version}"
  path: ./mlflow
  type: mlflow_model
instance_type: {machine}
instance_count: 1
"""


def vertex_model(name: str, image: str, version: str) -> dict[str, Any]:
    """A model of Vertex AI with a container of its own, as its interface takes it."""
    return {
        "displayName": name,
        "versionAliases": [f"v{version}"],
        "containerSpec": {
            "imageUri": image,
            "ports": [{"containerPort": 8080}],
            "healthRoute": "/health",
            "predictRoute": "/predict",
        },
    }


def readme(target: str, name: str, facts: Mapping[str, Any], image: str) -> str:
    """What to do with a bundle."""
    where = "artifacts/" if target == "mlflow" else "model/"
    return f"""\
# {name}, for {_TITLES[target]}

{facts["label"]}, exported by reswork; its model card lies in `{where}`. Nothing here needs reswork or torch.

{_COMMANDS[target].format(name=name, image=image, example=json.dumps({"instances": [{"b64": "<base64>"}]}))}
What of this was tried, and with which versions, stands in reswork's page "Where it runs". No cloud was reached there:
look at the settings before the first machine costs money.
"""


_TITLES = {
    "container": "Docker and Podman", "vertex": "Google Vertex AI", "azure": "Azure ML", "mlflow": "MLflow"
}  # fmt: skip
_BUILD = """\
    docker build --file Containerfile --tag {name} .
    docker run --rm --read-only --tmpfs /tmp --publish 127.0.0.1:8080:8080 {name}
    curl --data-binary @model/examples/00.png --header "Content-Type: image/png" http://127.0.0.1:8080/predict

`POST /predict` takes one picture (`image/*`) or `{example}` and answers with `{{"predictions": [...]}}`;
`GET /health` is 200 once it can answer. `/invocations` and `/ping` are the same by SageMaker's names. It is plain HTTP
without a token: put a proxy with both before it where others can listen.
"""
_COMMANDS = {
    "container": _BUILD,
    "vertex": _BUILD
    + """
On Vertex AI, with the image pushed to `{image}`:

    gcloud ai models upload --region=REGION --display-name={name} --container-image-uri={image} \\
        --container-ports=8080 --container-health-route=/health --container-predict-route=/predict
    gcloud ai endpoints create --region=REGION --display-name={name}
    gcloud ai endpoints deploy-model ENDPOINT --region=REGION --model=MODEL --display-name={name} \\
        --machine-type=n1-standard-2

`vertex-model.json` is the same for the REST interface. With `--artifact-uri=gs://...` the model is taken from there,
not from the image.
""",
    "azure": """\
    az ml online-endpoint create --file endpoint.yml
    az ml online-deployment create --file deployment.yml --all-traffic
    az ml online-endpoint invoke --name {name} --request-file request.json

`request.json` is `{{"images": ["<base64>"], "top": 3}}`. Without Azure, with the packages of `environment/conda.yml`:

    cd code && azmlinfsrv --entry_script score.py --model_dir ../model

`deployment-mlflow.yml` does without the script: write the MLflow model into `mlflow` first
(`reswork bundle EXPORTED mlflow --target mlflow`).
""",
    "mlflow": """\
    mlflow models serve --model-uri . --env-manager local --port 5000
    curl http://127.0.0.1:5000/invocations --header "Content-Type: application/json" \\
        --data '{{"dataframe_split": {{"columns": ["image"], "data": [["<base64>"]]}}, "params": {{"top": 3}}}}'

In Python: `mlflow.pyfunc.load_model(".").predict(pandas.DataFrame({{"image": [open("photo.jpg", "rb").read()]}}))`.
""",
}
