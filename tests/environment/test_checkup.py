import errno
import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

import reswork as rw
from reswork import cli
from reswork.environment import checkup
from reswork.environment.report import Checkup, Finding
from reswork.environment.write_trial import write_finding


def trial(folder: Path) -> Finding:
    return write_finding("runs", folder, locks=True, remedy="elsewhere")


def test_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    assert trial(tmp_path / "a" / "runs").verdict == "good"
    assert trial(tmp_path).verdict == "good"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    found = trial(tmp_path / "runs")
    assert (found.verdict, found.remedy) == ("bad", "elsewhere") and "no folder can be made" in found.told


@pytest.mark.parametrize(
    ("call", "told"),
    [("fsync", "cannot be synchronised with the disk"), ("mkdir", "no folder can be made")],
)
def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, told: str) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    found = trial(tmp_path / "runs")
    assert found.verdict == "bad" and told in found.told and "No space left" in found.told
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_renaming_that_is_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", forbidden)
    assert "cannot be renamed (Permission denied)" in trial(tmp_path).told


def test_locks_that_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        filelock, "FileLock", filelock.SoftFileLock
    )  # asks for the file alone, which is removed
    monkeypatch.setattr(
        filelock.SoftFileLock, "_acquire", lambda self: setattr(self._context, "lock_file_fd", 0)
    )
    monkeypatch.setattr(
        filelock.SoftFileLock, "_release", lambda self: setattr(self._context, "lock_file_fd", None)
    )
    assert "keeps nobody out" in trial(tmp_path).told


def test_doctor_looks_at_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    found = rw.doctor(tmp_path / "runs")
    names = [finding.name for finding in found.findings]
    assert names[:2] == ["Python", "packages"]
    assert names[-8:] == [
        "front end", "live panels", "device", "cores", "memory", "disk", "folder of runs", "cache of images",
    ]  # fmt: skip
    assert all(finding.remedy for finding in found.findings if finding.verdict == "bad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("verdict", "status"), [("good", 0), ("look", 0), ("bad", 1)])
def test_the_command_has_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verdict: str, status: int
) -> None:
    made = Checkup((Finding("memory", verdict, "some", "more"),))  # type: ignore[arg-type]
    monkeypatch.setattr(checkup, "doctor", lambda runs: made)
    assert cli.main(["doctor"]) == status
    assert capsys.readouterr().out == f"{made!r}\n"


def test_it_needs_no_torch_before_it_asks_about_it() -> None:
    script = "import sys; from reswork.environment.checkup import doctor; assert 'torch' not in sys.modules\n"
    script += "sys.modules['torch'] = None\nprint(doctor())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert "torch cannot be imported" in done.stdout and "Not fit for reswork: " in done.stdout
