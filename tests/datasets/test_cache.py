import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from reswork.datasets import Dataset, arrays, cache, cached, clear_cache
from reswork.datasets.cache import Entry, entry_for, limit_bytes
from reswork.errors import InvalidSetting


def made(seed: int = 0, masks: bool = False) -> Dataset:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (20, 3, 6, 5), np.uint8)
    targets = random.integers(0, 3, (20, 6, 5) if masks else 20, np.uint8)
    return arrays(images, targets, classes=["a", "<b>", "c"], name=f"set {seed}")


@pytest.fixture(autouse=True)
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    return entry_for({"path": "/some/where", "size": (8, 8)})


def recalled(entry: Entry, signature: str) -> Dataset | None:
    kept = entry.recalled(signature)
    return None if kept is None else kept.in_memory()


@pytest.mark.parametrize("masks", [False, True])
def test_gives_back_what_was_kept_under_the_same_signature_only(entry: Entry, masks: bool) -> None:
    data = made(masks=masks)
    assert entry.recalled("1") is None
    assert entry.keep(data, "1") == ""
    kept = entry.recalled("1")
    assert kept is not None
    for found in (kept.in_memory(), kept.in_file()):
        assert found is not None
        assert found.fingerprint == data.fingerprint
        assert (found.summary(), found.mean, found.std) == (data.summary(), data.mean, data.std)
        for split in ("train", "test"):
            expected = getattr(data, split)
            assert torch.equal(getattr(found, split).images, expected.images)
            assert torch.equal(getattr(found, split).targets, expected.targets)
    assert entry.recalled("2") is None
    assert [path.name for path in entry.folder.parent.iterdir()] == [entry.folder.name]


def test_other_settings_have_another_folder(entry: Entry) -> None:
    assert entry_for({"path": "/some/where", "size": (9, 8)}) != entry
    assert entry_for({"size": (8, 8), "path": "/some/where"}) == entry


def test_damage_of_any_kind_counts_as_absent(entry: Entry) -> None:
    data = made()
    entry.keep(data, "1")
    random = np.random.default_rng(0)
    for path in sorted(entry.folder.iterdir()):
        good = path.read_bytes()
        damaged = [good[:length] for length in random.integers(0, len(good) - 1, 10)]
        for position in random.integers(0, len(good), 40):
            flipped = bytearray(good)
            flipped[position] ^= 1 << int(random.integers(8))
            damaged.append(bytes(flipped))
        for content in damaged:
            path.write_bytes(content)
            found = recalled(entry, "1")
            assert found is None or (found.fingerprint == data.fingerprint and found.classes == data.classes)
        path.write_bytes(good)
    assert recalled(entry, "1") is not None


def test_a_pickle_is_never_loaded(entry: Entry, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    entry.keep(made(), "1")
    np.save(entry.folder / "labels.npy", np.array([Trap()] * 20, dtype=object))
    assert recalled(entry, "1") is None
    assert not (tmp_path / "sprung").exists()


def test_a_writer_that_fails_leaves_the_old_data_and_no_rest(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry.keep(made(), "1")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache.np, "save", full)
        assert "No space left" in entry.keep(made(1), "2")
    assert [path.name for path in entry.folder.parent.iterdir()] == [entry.folder.name]
    assert recalled(entry, "1") is not None


def test_what_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file") in Entry(tmp_path / "file" / "images-1").keep(made(), "1")
    monkeypatch.setenv("RESWORK_CACHE_LIMIT", "0.0000001")
    assert "RESWORK_CACHE_LIMIT" in entry_for({}).keep(made(), "1")
    assert entry_for({}, tmp_path / "own").keep(made(), "1") == ""  # a place that was told has no limit
    monkeypatch.undo()
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    assert "free" in entry_for({}, tmp_path / "other").keep(made(), "1")


@pytest.mark.parametrize("told", ["many", "-1", "nan", "inf"])
def test_a_limit_is_a_number(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESWORK_CACHE_LIMIT", told)
    with pytest.raises(InvalidSetting, match="RESWORK_CACHE_LIMIT="):
        limit_bytes()


def aged(count: int) -> list[Entry]:
    """Data sets in the cache, the first of them used longest ago."""
    entries = [entry_for({"number": number}) for number in range(count)]
    for number, each in enumerate(entries):
        assert each.keep(made(number), "1") == ""
        os.utime(each.folder / "about.json", (1_000_000 + number,) * 2)
    return entries


def test_what_was_used_longest_ago_goes_where_all_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = aged(3)
    size = cached()[0].size
    entries[0].recalled("1")  # is used now
    monkeypatch.setenv("RESWORK_CACHE_LIMIT", str(4.5 * size / 1024**3))
    assert entry_for({"number": 3}).keep(made(3), "1") == ""
    assert all(each.folder.exists() for each in entries)
    monkeypatch.setenv("RESWORK_CACHE_LIMIT", str(3.5 * size / 1024**3))
    assert entry_for({"number": 4}).keep(made(4), "1") == ""
    assert [each.folder.exists() for each in entries] == [True, False, False]


def test_what_is_there_can_be_listed_and_deleted(entry: Entry, tmp_path: Path) -> None:
    aged(2)
    entry_for({}, tmp_path / "own").keep(made(7), "1")
    assert [each.name for each in cached()] == ["set 0", "set 1"]
    assert str(cached()[0]).startswith("set 0: 0.00 GiB, used 1970-01-")
    assert [each.name for each in cached(tmp_path / "own")] == ["set 7"]
    (entry.folder.parent / "images-of-before.npz").write_text("of an older version")
    with FileLock(cached()[1].folder.with_suffix(".lock")):  # a process makes it
        assert clear_cache() > 0
        assert [each.name for each in cached()] == ["set 1"]
    clear_cache()
    clear_cache(tmp_path / "own")
    assert [path for root in ("cache", "own") for path in (tmp_path / root).iterdir()] == []


def test_rests_of_killed_writers_are_removed_after_a_day(entry: Entry) -> None:
    entry.keep(made(), "1")
    old, new = entry.folder.parent / "images-old.part", entry.folder.parent / "images-new.part"
    old.mkdir()
    new.mkdir()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    entry.keep(made(), "2")
    assert new.exists()
    assert not old.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.update(train=1000),
        lambda about: about.update(shape=[3, 6]),
        lambda about: about["facts"].pop("mean"),
        lambda about: about.update(kind="boxes"),
    ],
)
def test_a_description_that_does_not_fit_its_files_counts_as_absent(
    entry: Entry, change: Callable[[dict[str, object]], None]
) -> None:
    entry.keep(made(), "1")
    about = json.loads((entry.folder / "about.json").read_text())["about"]
    change(about)
    (entry.folder / "about.json").write_text(json.dumps({"about": about, "sha256": cache._digest(about)}))
    found = recalled(entry, "1")
    assert found is None or found.fingerprint == made().fingerprint
