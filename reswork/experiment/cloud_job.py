"""`cloud_job`: a training in several processes as a folder that Azure ML or Vertex AI takes as a job."""

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Literal, get_args

from packaging.requirements import Requirement

from reswork.datasets.places import embedded
from reswork.errors import InvalidSetting
from reswork.shipping.whole_folder import free_place, whole
from reswork.store.atomic_files import write_json, write_text

Cloud = Literal["azure", "vertex"]
JOB = "job.json"
_EMBEDDED = ("fashion", "photographs")
_NAME = re.compile(r"[a-z][a-z0-9-]{1,60}[a-z0-9]")
_GPUS = (1, 2, 4, 8)
_CONTAINERFILE = """\
# docker build --file Containerfile --tag NAME . ; torch from PyPI brings what NVIDIA's GPUs need
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin trainer
WORKDIR /job
COPY code/requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
COPY code ./

USER 10001
ENTRYPOINT ["torchrun"]
CMD ["--help"]
"""


@dataclass(frozen=True)
class CloudJob:
    """What was written.

    Attributes:
        folder: where.
        cloud: for which.
        name: of the job, and of its run.
        command: that the job runs in ``code``, as it can be run anywhere.
    """

    folder: Path
    cloud: Cloud
    name: str
    command: str

    def __repr__(self) -> str:
        return f"<CloudJob {str(self.folder)!r} for {self.cloud}: {self.command}>"


def cloud_job(
    folder: str | Path,
    cloud: Cloud,
    arguments: Sequence[str] = (),
    *,
    ranks: int = 1,
    name: str = "train",
    data: str | None = None,
    machine: str | None = None,
    image: str | None = None,
    bucket: str = "BUCKET",
) -> CloudJob:
    """Write a training with `torchrun` on one machine of a cloud: its code, its packages and the settings of the job.

    Args:
        folder: a new one; an older job in its place is replaced.
        cloud: ``"azure"`` for Azure ML, ``"vertex"`` for Google Vertex AI.
        arguments: of ``reswork train``, such as ``("--depth", "20", "--epochs", "30")``.
        ranks: processes, one for each GPU: 1, 2, 4 or 8.
        name: of job and run: 3 to 62 of a-z, 0-9 and -.
        data: an address of the cloud's storage: ``azureml:...`` or ``azureml://...``, or ``gs://bucket/folder``;
            None: the set that ``--data`` names in the arguments, of those that come with reswork.
        machine: Azure's compute target, or Vertex' kind of machine; None: one that has to be filled in, or one with as
            many T4 as there are ranks.
        image: of the container, for Vertex; None: one that has to be filled in.
        bucket: of Google Cloud Storage that gets the run.

    Raises:
        InvalidSetting: a setting that no cloud takes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     job = cloud_job(f"{place}/job", "azure", ["--depth", "20"], ranks=4, name="deep")
        ...     job.command
        'torchrun --standalone --nproc-per-node 4 -m reswork train --depth 20 --directory outputs/deep'
    """
    if cloud not in get_args(Cloud):
        raise InvalidSetting("cloud", f"cloud={cloud!r} is unknown; choose 'azure' or 'vertex'")
    if isinstance(ranks, bool) or ranks not in _GPUS:
        raise InvalidSetting(
            "ranks", f"ranks={ranks!r}: machines have 1, 2, 4 or 8 GPUs, and each gets a process"
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSetting(
            "name", f"name={name!r} is taken by no cloud: 3 to 62 of a-z, 0-9 and -, a letter first"
        )
    own = [each for each in arguments if each.split("=")[0] in ("--name", "--directory", "--resume")]
    if own or (data is not None and "--data" in arguments):
        raise InvalidSetting(
            "arguments",
            f"{', '.join(own) or '--data'} is set by the job itself: leave it out, or give name= or data=",
        )
    if data is not None and not data.startswith(("azureml:",) if cloud == "azure" else ("gs://",)):
        raise InvalidSetting(
            "data",
            f"data={data!r} is not in this cloud: give azureml:... for Azure, gs://bucket/folder for Vertex",
        )
    place = free_place(folder, JOB)
    words = list(arguments)
    if data is not None:
        words += ["--data", "${{inputs.data}}" if cloud == "azure" else data.replace("gs://", "/gcs/")]
    out = f"outputs/{name}" if cloud == "azure" else f"/tmp/{name}"
    command = shlex.join(["torchrun", *_torchrun(ranks), *words, "--directory", out]).replace(
        "'${{inputs.data}}'", "${{inputs.data}}"
    )
    with whole(place) as made:
        _code(made / "code")
        if cloud == "azure":
            write_text(made / "job.yml", _azure(name, command, data, machine or "gpu-cluster"))
            write_text(
                made / "environment.yml", _AZURE_CONDA + "".join(f"      - {each}\n" for each in _needs())
            )
        else:
            found = image or f"REGION-docker.pkg.dev/PROJECT/REPOSITORY/{name}:1"
            write_text(
                made / "job.yml", _vertex(command, out, ranks, machine, found, f"/gcs/{bucket}/runs/{name}")
            )
            write_text(made / "Containerfile", _CONTAINERFILE)
        write_text(made / "README.md", _README[cloud].format(name=name, command=command))
        write_json(made / JOB, {"form": 1, "cloud": cloud, "name": name, "command": command})
    return CloudJob(place, cloud, name, command)


def _torchrun(ranks: int) -> list[str]:
    return ["--standalone", "--nproc-per-node", str(ranks), "-m", "reswork", "train"]


def _code(folder: Path) -> None:
    """This package as it is here, with what it needs; so that the job runs the same code."""
    source = Path(__file__).parents[1]
    skipped = shutil.ignore_patterns("__pycache__", "*.pyc", "_notebooks", "_data")
    shutil.copytree(source, folder / "reswork", ignore=skipped)
    for each in _EMBEDDED:
        shutil.copytree(embedded(each), folder / "reswork" / "_data" / each)
    write_text(folder / "requirements.txt", "\n".join(_needs()) + "\n")


def _needs() -> list[str]:
    found = [Requirement(line) for line in requires("reswork") or ()]
    return sorted(f"{each.name}{each.specifier}" for each in found if each.marker is None)


_AZURE_CONDA = """\
channels:
  - conda-forge
dependencies:
  - python=3.12
  - pip
  - pip:
"""


def _azure(name: str, command: str, data: str | None, compute: str) -> str:
    given = f"inputs:\n  data:\n    type: uri_folder\n    mode: download\n    path: {data}\n" if data else ""
    return f"""\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
display_name: {name}
experiment_name: reswork
code: ./code
command: {json.dumps(command)}
environment:
  image: mcr.microsoft.com/azureml/openmpi5.0-cuda12.6-ubuntu24.04:latest
  conda_file: ./environment.yml
compute: azureml:{compute}
resources:
  instance_count: 1
{given}"""


def _vertex(command: str, out: str, ranks: int, machine: str | None, image: str, bucket: str) -> str:
    kind = (
        machine or {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32", 8: "n1-standard-96"}[ranks]
    )
    gpus = "" if machine else f"\n      acceleratorType: NVIDIA_TESLA_T4\n      acceleratorCount: {ranks}"
    kept = f"{command}; status=$?; mkdir -p {bucket} && cp -r {out}/. {bucket}; exit $status"
    return f"""\
workerPoolSpecs:
  - replicaCount: 1
    machineSpec:
      machineType: {kind}{gpus}
    containerSpec:
      imageUri: {image}
      command: ["sh", "-c"]
      args: [{json.dumps(kept)}]
"""


_README = {
    "azure": """\
# {name}: a training on Azure ML

    az ml job create --file job.yml

`code` is reswork as it was when this was written, `job.yml` the job: look at `compute` first. What it runs, in `code`:

    {command}

`outputs` is kept by Azure with the job; `rw.load_run` opens it once it is downloaded (`az ml job download`).
""",
    "vertex": """\
# {name}: a training on Google Vertex AI

    docker build --file Containerfile --tag IMAGE . && docker push IMAGE
    gcloud ai custom-jobs create --region=REGION --display-name={name} --config=job.yml

`code` is reswork as it was when this was written, `job.yml` the job: fill in image and bucket first. What it runs, in
`code`:

    {command}

At its end the run is copied to the bucket, whether it succeeded or not.
""",
}
