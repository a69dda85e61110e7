import json
import os
import sys
from pathlib import Path

import pytest

from reswork import lab
from reswork.errors import InvalidSetting
from reswork.lab import lab_command, packaged_notebooks, place_notebooks


def test_the_server_opens_the_start_notebook_and_hands_arguments_on(tmp_path: Path) -> None:
    command, _ = lab_command(["--no-browser", "--port=9000"], {}, tmp_path)
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert command[-2:] == ["--no-browser", "--port=9000"]
    assert ("--allow-root" in command) == (os.geteuid() == 0)


def test_no_questions_are_asked_and_nothing_of_the_persons_is_lost(tmp_path: Path) -> None:
    _, environment = lab_command([], {"JUPYTER_CONFIG_PATH": "/mine", "HOME": "/me"}, tmp_path)
    ours, theirs = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (theirs, environment["HOME"]) == ("/mine", "/me")
    settings = json.loads(Path(ours, "labconfig", "default_setting_overrides.json").read_text())
    assert settings == {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
    }
    assert json.loads(Path(ours, "labconfig", "page_config.json").read_text()) == {
        "buildAvailable": False,
        "buildCheck": False,
    }


def test_jupyterlab_itself_takes_those_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyterlab_server.config import get_page_config
    from jupyterlab_server.settings_utils import _get_overrides

    _, environment = lab_command([], {}, tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", environment["JUPYTER_CONFIG_PATH"])
    overrides, _ = _get_overrides(str(tmp_path))
    assert overrides["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert get_page_config([str(tmp_path)])["buildCheck"] is False


def test_all_notebooks_share_one_folder_of_runs(tmp_path: Path) -> None:
    assert lab_command([], {}, tmp_path)[1]["RESWORK_RUNS"] == str(tmp_path / "runs")
    assert lab_command([], {"RESWORK_RUNS": "/elsewhere"}, tmp_path)[1]["RESWORK_RUNS"] == "/elsewhere"


def test_kernels_keep_the_memory_of_a_step_unless_somebody_wants_otherwise(tmp_path: Path) -> None:
    environment = lab_command([], {"MALLOC_TRIM_THRESHOLD_": "7"}, tmp_path)[1]
    assert (environment["MALLOC_ARENA_MAX"], environment["MALLOC_TRIM_THRESHOLD_"]) == ("1", "7")


@pytest.mark.parametrize("fails", [True, False])
def test_browsers_that_cannot_read_the_redirect_file_get_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.setattr(lab.platform, "release", lambda: "5.15-microsoft-WSL2" if fails else "6.1.0-amd64")
    command, _ = lab_command([], {}, tmp_path)
    if fails:
        assert "--ServerApp.use_redirect_file=False" in command


def test_notebooks_are_copied_once_and_never_overwritten(tmp_path: Path) -> None:
    source, here = tmp_path / "package", tmp_path / "here"
    source.mkdir()
    here.mkdir()
    for name in ("00_start_here", "01_more"):
        (source / f"{name}.ipynb").write_text("new")
    (here / "notebooks").mkdir()
    (here / "notebooks" / "01_more.ipynb").write_text("mine")
    place_notebooks(here, source)
    assert (here / "notebooks" / "00_start_here.ipynb").read_text() == "new"
    assert (here / "notebooks" / "01_more.ipynb").read_text() == "mine"
    (here / "notebooks" / "00_start_here.ipynb").write_text("mine")
    place_notebooks(here, source)
    assert (here / "notebooks" / "00_start_here.ipynb").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "notebooks").write_text("a file in the way")
    with pytest.raises(InvalidSetting, match="folder that you may write to"):
        place_notebooks(tmp_path, packaged_notebooks())
    with pytest.raises(InvalidSetting, match="install reswork again"):
        place_notebooks(tmp_path, tmp_path / "nothing")
