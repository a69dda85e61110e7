import multiprocessing
from pathlib import Path

import pytest

from reswork.errors import InvalidSetting
from reswork.store.directory import (
    LOCK_FILE,
    check_name,
    claim_directory,
    create_run_directory,
    has_writer,
    run_path,
    runs_folder,
    writer_lock,
)

HOSTILE = [
    "",
    ".",
    "..",
    ".hidden",
    "a/b",
    "../up",
    "a\\b",
    "/etc",
    "a\nb",
    "a\x00b",
    "a\x1b[2J",
    " a",
    "a ",
    "C:x",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_plain_folder_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting) as caught:
        create_run_directory(tmp_path, name)
    assert caught.value.field == "name"
    assert list(tmp_path.iterdir()) == []


def test_plain_names_pass() -> None:
    for name in ("a", "ResNet-20 seed 3", "größer", "2026-11-24_10-00-00_wrn-28-10", "x" * 100):
        assert check_name(name) == name
    with pytest.raises(InvalidSetting, match="at most 100"):
        check_name("x" * 101)


def test_runs_of_the_same_second_do_not_collide(tmp_path: Path) -> None:
    made = {create_run_directory(tmp_path) for _ in range(20)}
    assert len(made) == 20
    assert [create_run_directory(tmp_path, "mine").name for _ in range(3)] == ["mine", "mine-2", "mine-3"]


def test_processes_that_create_at_once_get_different_folders(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reswork.store.directory"])
    with context.Pool(8) as pool:  # fifty each
        made = pool.starmap(
            create_run_directory, [(tmp_path, f"run-{number // 20}") for number in range(400)], 1
        )
    assert len(set(made)) == 400


def test_the_folder_of_runs_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESWORK_RUNS", raising=False)
    assert runs_folder() == Path("runs")
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path))
    assert runs_folder() == tmp_path
    assert runs_folder("elsewhere") == Path("elsewhere")


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "out").symlink_to(tmp_path)
    with pytest.raises(InvalidSetting, match="leads out"):
        run_path("out", tmp_path / "runs")


def test_a_chosen_folder_must_be_new_or_empty(tmp_path: Path) -> None:
    assert claim_directory(tmp_path / "new" / "deep").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="is a file"):
        claim_directory(tmp_path / "file")
    with pytest.raises(InvalidSetting, match="not empty"):
        claim_directory(tmp_path)


def test_the_lock_tells_whether_somebody_writes(tmp_path: Path) -> None:
    assert not has_writer(tmp_path)
    lock = writer_lock(tmp_path)
    lock.acquire()
    assert has_writer(tmp_path)
    lock.release()
    assert (tmp_path / LOCK_FILE).exists()
    assert not has_writer(tmp_path)


def test_a_hostile_lock_file_is_no_writer_and_does_not_wait(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).symlink_to("/dev/zero")
    assert not has_writer(tmp_path)
