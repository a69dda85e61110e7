"""Jobs of clouds: settings and code; in `make test-ship` the clouds' own classes read them, and one is run."""

import shlex
from pathlib import Path

import pytest
import yaml

import reswork as rw
from reswork import cli
from reswork.errors import InvalidSetting

TRAIN = ["--depth", "20", "--epochs", "3"]


def test_an_azure_job_runs_torchrun_with_its_own_code(tmp_path: Path) -> None:
    data = "azureml:pictures:1"
    made = rw.cloud_job(tmp_path / "job", "azure", TRAIN, ranks=4, name="deep", data=data, machine="t4")
    job = yaml.safe_load((made.folder / "job.yml").read_text())
    assert job["command"] == made.command and job["compute"] == "azureml:t4"
    assert job["inputs"]["data"]["path"] == data and "--data ${{inputs.data}}" in job["command"]
    words = shlex.split(job["command"])
    assert words[:7] == ["torchrun", "--standalone", "--nproc-per-node", "4", "-m", "reswork", "train"]
    packages = yaml.safe_load((made.folder / "environment.yml").read_text())["dependencies"][-1]["pip"]
    assert any(each.startswith("torch>=") for each in packages)
    code = made.folder / "code" / "reswork"
    assert (code / "cli.py").read_bytes() == Path(cli.__file__).read_bytes()
    assert (code / "_data" / "fashion").is_dir() and not list(code.rglob("__pycache__"))


def test_a_vertex_job_keeps_the_run_in_the_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "job",
        str(tmp_path / "job"),
        "vertex",
        "--ranks",
        "2",
        "--bucket",
        "mine",
        "--name",
        "deep",
        "--",
        *TRAIN,
    ]
    assert cli.main(asked) == 0
    assert "-m reswork train --depth 20 --epochs 3 --directory /tmp/deep" in capsys.readouterr().out
    (pool,) = yaml.safe_load((tmp_path / "job" / "job.yml").read_text())["workerPoolSpecs"]
    assert pool["machineSpec"]["acceleratorCount"] == 2
    (line,) = pool["containerSpec"]["args"]
    assert line.endswith("cp -r /tmp/deep/. /gcs/mine/runs/deep; exit $status")
    assert "USER 10001" in (tmp_path / "job" / "Containerfile").read_text()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"cloud": "aws"}, "choose 'azure' or 'vertex'"),
        ({"ranks": 3}, "1, 2, 4 or 8"),
        ({"name": "My run"}, "3 to 62 of a-z"),
        ({"arguments": ["--name", "x"]}, "--name is set by the job itself"),
        ({"data": "gs://mine/pictures"}, "not in this cloud"),
        ({"arguments": ["--data", "digits"], "data": "azureml:a:1"}, "--data is set by the job itself"),
    ],
)
def test_wrong_settings_are_told_and_leave_nothing(
    settings: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSetting, match=told):
        rw.cloud_job(**{"folder": tmp_path / "job", "cloud": "azure", **settings})
    assert list(tmp_path.iterdir()) == []
