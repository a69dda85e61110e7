import json
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reswork.store import atomic_files
from reswork.store.atomic_files import read_text, write_json, write_tensors


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_get_the_mode_that_the_umask_gives(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_tensors(tmp_path / "w.safetensors", {"a": torch.ones(2)}, {})
        write_json(tmp_path / "run.json", {"a": 1})
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_tensors_come_back_also_when_shared_or_not_contiguous(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    write_tensors(tmp_path / "w", {"base": base, "same": base, "turned": base.t()}, {"format": "pt"})
    read = load_file(tmp_path / "w")
    assert torch.equal(read["same"], base)
    assert torch.equal(read["turned"], base.t())


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "run.json", {"a": 1})

    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "synchronise", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "run.json", {"a": 2})
    assert json.loads((tmp_path / "run.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "zero", "folder"):
        with pytest.raises((ValueError, OSError)):
            read_text(tmp_path / name, 100)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 101)
    assert len(read_text(tmp_path / "large", 101)) == 101
    with pytest.raises(ValueError, match="101 bytes; at most 100"):
        read_text(tmp_path / "large", 100)
