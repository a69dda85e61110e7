import os
from pathlib import Path

import pytest

from reswork.errors import InvalidSetting
from reswork.store.directory import LOCK_FILE, RUN_FILE, WEIGHTS_FILE, writer_lock
from reswork.store.run_table import runs
from reswork.store.worker_file import worker_of, write_worker
from tests.store.made_runs import made_run


def _filled(root: Path, name: str = "mine") -> Path:
    """A run's folder with everything that may belong to it."""
    run = made_run(root, name)
    run.write_note("words")
    for file in (WEIGHTS_FILE, LOCK_FILE, "worker.json", "worker.log", ".run.json.4242"):
        (run.directory / file).write_bytes(b"x")
    for folder in ("checkpoints/00000010", "moments/a/b"):
        (run.directory / folder).mkdir(parents=True)
        (run.directory / folder / "training.safetensors").write_bytes(b"x")
    return run.directory


def _everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_a_run_is_deleted_whole_and_no_other(tmp_path: Path) -> None:
    _filled(tmp_path, "other")
    before = _everything(tmp_path)
    path = _filled(tmp_path)
    (run,) = runs(tmp_path, search="mine")
    assert run.delete() == ()
    assert not path.exists()
    assert _everything(tmp_path) == before
    assert [run.name for run in runs(tmp_path)] == ["other"]


def test_what_was_read_before_stays_readable_and_the_rest_is_one_sentence(tmp_path: Path) -> None:
    run = made_run(tmp_path, "mine")
    assert run.history.last("top1/test") == 0.9
    run.delete()
    assert run.history.last("top1/test") == 0.9
    with pytest.raises(InvalidSetting, match="no final weights"):
        run.model()
    with pytest.raises(InvalidSetting, match="gone already"):
        run.delete()


def test_a_run_that_is_being_written_is_refused_untouched(tmp_path: Path) -> None:
    path = _filled(tmp_path)
    (run,) = runs(tmp_path)
    before = _everything(tmp_path)
    with (
        writer_lock(path).acquire(timeout=0),
        pytest.raises(InvalidSetting, match="is being written; stop it first"),
    ):
        run.delete()
    assert _everything(tmp_path) == before
    assert run.delete() == ()


def test_a_run_whose_process_has_just_begun_is_refused_untouched(tmp_path: Path) -> None:
    path = made_run(tmp_path, "mine", state="RUNNING", progress={}).directory
    write_worker(path, worker_of(os.getpid(), tmp_path))
    (run,) = runs(tmp_path)
    before = _everything(tmp_path)
    with pytest.raises(InvalidSetting, match="is being trained by a process; stop it first"):
        run.delete()
    assert _everything(tmp_path) == before
    (path / "worker.json").unlink()
    (run,) = runs(tmp_path)
    assert run.delete() == ()


def test_foreign_files_stay_and_are_named(tmp_path: Path) -> None:
    path = _filled(tmp_path)
    (path / "thesis.tex").write_text("years of work")
    (path / "more").mkdir()
    (path / WEIGHTS_FILE).unlink()
    (path / WEIGHTS_FILE).mkdir()
    (run,) = runs(tmp_path)
    assert run.delete() == ("more", "thesis.tex", WEIGHTS_FILE)
    assert (path / "thesis.tex").read_text() == "years of work"
    assert not (path / RUN_FILE).exists()


def test_links_are_removed_and_never_followed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    path = _filled(root)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("mine")
    (outside / RUN_FILE).write_text("{}")
    for name in ("note.txt", WEIGHTS_FILE, LOCK_FILE):
        (path / name).unlink()
        (path / name).symlink_to(outside / "precious.txt")
    (path / "checkpoints" / "leads-out").symlink_to(outside)
    (path / "moments" / "leads-out").symlink_to(outside / "precious.txt")
    (run,) = runs(root)
    assert run.delete() == ()
    assert (outside / "precious.txt").read_text() == "mine"
    assert sorted(os.listdir(outside)) == ["precious.txt", RUN_FILE]


@pytest.mark.parametrize("kind", ["link to a run outside", "link to a run inside", "no run", "file"])
def test_what_is_no_run_of_this_folder_is_refused(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    elsewhere = _filled(root if "inside" in kind else tmp_path / "elsewhere", "real")
    path = root / "mine"
    if "link" in kind:
        path.symlink_to(elsewhere)
    elif kind == "no run":
        path.mkdir()
        (path / "note.txt").write_text("a folder of mine that only looks like a run")
    before = _everything(tmp_path)
    found = {run.name: run for run in runs(root)}
    run = found.get("mine") or made_run(tmp_path / "x", "gone")
    if kind == "file":
        run.delete()
        run.directory.write_text("a file now")
        before = _everything(tmp_path)
    with pytest.raises(InvalidSetting):
        run.delete()
    assert _everything(tmp_path) == before


def test_a_damaged_run_can_be_deleted(tmp_path: Path) -> None:
    path = _filled(tmp_path)
    (path / RUN_FILE).write_text("{")
    (run,) = runs(tmp_path)
    assert run.unreadable
    assert run.delete() == ()
    assert not path.exists()


def test_a_deletion_that_was_cut_off_leaves_a_run_that_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _filled(tmp_path)
    (run,) = runs(tmp_path)
    original = os.unlink
    left = [3]

    def failing(name: str, **options: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(5, "Input/output error")
        original(name, **options)

    monkeypatch.setattr(os, "unlink", failing)
    with pytest.raises(InvalidSetting, match="cannot be deleted: Input/output error"):
        run.delete()
    monkeypatch.undo()
    assert (path / RUN_FILE).is_file()
    assert run.delete() == ()
    assert not path.exists()
