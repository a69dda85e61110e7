import json
import os
import stat
from pathlib import Path

import pytest
import torch

from reswork.errors import InvalidSetting
from reswork.store import atomic_files
from reswork.store import checkpoints as checkpoints_module
from reswork.store.checkpoints import Checkpoints
from reswork.training.progress import TrainingState


def state(step: int) -> TrainingState:
    tensors = {"model/weight": torch.full((2, 3), float(step)), "optimizer/0/step": torch.tensor(step)}
    return TrainingState(step, tensors, {"rate_factor": 1.0, "step": step})


def saved(folder: Path, *steps: int, scores: dict[int, float] | None = None) -> Checkpoints:
    kept = Checkpoints(folder)
    for step in steps:
        kept.save(state(step), score=(scores or {}).get(step), metrics_bytes=10 * step)
    return kept


def steps(kept: Checkpoints) -> list[int]:
    return [each.step for each in kept.all()]


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    checkpoint, found, problems = saved(tmp_path, 7).newest()
    assert (checkpoint.step, checkpoint.metrics_bytes, checkpoint.score, problems) == (7, 70, None, ())
    assert found.step == 7 and found.values == {"rate_factor": 1.0, "step": 7}
    assert found.tensors.keys() == {"model/weight", "optimizer/0/step"}
    assert torch.equal(found.tensors["model/weight"], torch.full((2, 3), 7.0))


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    kept = saved(tmp_path, 1, 2, 3, 4, 5, scores={1: 0.3, 2: 0.9, 3: 0.5})
    assert steps(kept) == [5, 4, 2]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000002", "step-00000004", "step-00000005",
    ]  # fmt: skip


def test_the_best_may_be_the_lowest(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for step, score in ((1, 0.3), (2, 0.1), (3, 0.9), (4, None), (5, None)):
        kept.save(state(step), score=score, metrics_bytes=0, higher_is_better=False)
    assert steps(kept) == [5, 4, 2]


def test_a_step_may_be_saved_twice_and_the_later_one_counts(tmp_path: Path) -> None:
    kept = saved(tmp_path, 3)
    again = TrainingState(3, {"model/weight": torch.zeros(1)}, {"evaluated": True})
    kept.save(again, score=0.5, metrics_bytes=31)
    checkpoint, found, _ = kept.newest()
    assert checkpoint.path.name == "step-00000003-2" and found.values == {"evaluated": True}


@pytest.mark.parametrize("name", ["training.safetensors", "training.json", "manifest.json"])
def test_a_damaged_one_is_passed_over_and_named(tmp_path: Path, name: str) -> None:
    kept = saved(tmp_path, 1, 2)
    path = tmp_path / "checkpoints" / "step-00000002" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    checkpoint, found, problems = kept.newest()
    if problems or name != "manifest.json":  # a flipped bit of the manifest may be a blank
        assert checkpoint.step == found.step == 1
        assert "step-00000002 cannot be used" in problems[0]


def test_without_a_whole_one_the_sentence_says_why(tmp_path: Path) -> None:
    kept = saved(tmp_path, 1)
    (tmp_path / "checkpoints" / "step-00000001" / "training.json").write_text("{}")
    with pytest.raises(InvalidSetting, match=r"no checkpoint to go on from; step-00000001 .*not as long"):
        kept.newest()
    with pytest.raises(InvalidSetting, match="no checkpoint to go on from"):
        Checkpoints(tmp_path / "empty").newest()


def test_links_are_not_followed(tmp_path: Path) -> None:
    kept = saved(tmp_path / "other", 9) if (tmp_path / "other").mkdir() is None else None
    assert kept is not None
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "other" / "checkpoints")
    assert Checkpoints(tmp_path / "run").all() == []


@pytest.mark.parametrize("call", ["mkdir", "fsync", "rename", "replace"])
@pytest.mark.parametrize("at", range(6))
def test_a_failing_disk_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int
) -> None:
    kept = saved(tmp_path, 1)
    calls = [0]
    owner = os if call == "fsync" else Path
    real = getattr(owner, call)

    def failing(*arguments: object, **options: object) -> object:
        calls[0] += 1
        if calls[0] == at + 1:
            raise OSError(5, "Input/output error")
        return real(*arguments, **options)

    monkeypatch.setattr(owner, call, failing)
    failed = False
    try:
        kept.save(state(2), score=None, metrics_bytes=20)
    except OSError:
        failed = True
    monkeypatch.undo()
    assert failed == (calls[0] > at)
    checkpoint, found, problems = kept.newest()
    assert checkpoint.step == found.step and not problems
    assert checkpoint.step == 2 or failed
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints_module, "_SPARE_BYTES", 10**18)
    with pytest.raises(OSError, match=r"needs 0 MiB and the disk has .* MiB left"):
        saved(tmp_path, 1)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    kept = saved(tmp_path, 1)
    (tmp_path / "checkpoints" / ".step-00000002.123").mkdir()
    (tmp_path / "checkpoints" / ".step-00000002.123" / "training.json").write_text("{")
    (tmp_path / ".weights.safetensors.123").write_bytes(b"half")
    (tmp_path / ".keep").write_text("a person's")
    kept.sweep()
    atomic_files.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep", "checkpoints"]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]


def test_files_may_be_read_by_those_who_may_read_others(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        saved(tmp_path, 1)
    finally:
        os.umask(before)
    folder = tmp_path / "checkpoints" / "step-00000001"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    kept = saved(tmp_path, 1)
    path = tmp_path / "checkpoints" / "step-00000001" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(InvalidSetting, match="newer reswork"):
        kept.newest()
