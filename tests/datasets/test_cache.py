import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from reswork.datasets import cache
from reswork.datasets.cache import cache_file, recalled, remember

ARRAYS = {"images": np.arange(5000, dtype=np.uint8).reshape(50, 100), "labels": np.arange(50)}
ABOUT = {"classes": ["a", "<b>"], "notes": []}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    return cache_file({"path": "/some/where", "size": (8, 8)})


def test_gives_back_what_was_kept_under_the_same_signature_only(place: Path) -> None:
    assert recalled(place, "1") is None
    assert remember(place, "1", ARRAYS, ABOUT) == ""
    found = recalled(place, "1")
    assert found is not None
    assert found[1] == ABOUT
    assert all(np.array_equal(found[0][name], ARRAYS[name]) for name in ARRAYS)
    assert recalled(place, "2") is None
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_other_settings_have_another_file(place: Path) -> None:
    assert cache_file({"path": "/some/where", "size": (9, 8)}) != place
    assert cache_file({"size": (8, 8), "path": "/some/where"}) == place


def test_damage_of_any_kind_counts_as_absent(place: Path) -> None:
    remember(place, "1", ARRAYS, ABOUT)
    good = place.read_bytes()
    random = np.random.default_rng(0)
    for length in random.integers(0, len(good) - 1, 40):
        place.write_bytes(good[:length])
        assert recalled(place, "1") is None
    for position in random.integers(0, len(good), 200):
        damaged = bytearray(good)
        damaged[position] ^= 1 << int(random.integers(8))
        place.write_bytes(damaged)
        found = recalled(place, "1")
        assert found is None or all(np.array_equal(found[0].get(name, -1), ARRAYS[name]) for name in ARRAYS)


def test_a_pickle_is_never_loaded(place: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    place.parent.mkdir()
    about = np.frombuffer(json.dumps({"signature": "1"}).encode(), np.uint8)
    np.savez(place, about=about, images=np.array([Trap()], dtype=object))
    assert recalled(place, "1") is None
    assert not (tmp_path / "sprung").exists()


def test_a_writer_that_fails_leaves_the_old_file_and_no_rest(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(place, "1", ARRAYS, ABOUT)

    def full(target: object, **_: object) -> None:
        target.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    assert "No space left" in remember(place, "2", ARRAYS, ABOUT)
    monkeypatch.undo()
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert recalled(place, "1") is not None


def test_what_cannot_be_cached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file") in remember(tmp_path / "file" / "images.npz", "1", ARRAYS, ABOUT)
    monkeypatch.setattr(cache, "MOST_BYTES", 100)
    assert "more than" in remember(tmp_path / "images.npz", "1", ARRAYS, ABOUT)


def test_rests_of_killed_writers_are_removed_after_a_day(place: Path) -> None:
    remember(place, "1", ARRAYS, ABOUT)
    old, new = place.parent / "images-old.part", place.parent / "images-new.part"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    remember(place, "2", ARRAYS, ABOUT)
    assert new.exists()
    assert not old.exists()
