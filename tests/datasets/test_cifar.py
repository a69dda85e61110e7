import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reswork.datasets import Dataset, cifar10, cifar100

SETS = [
    (cifar10, "cifar-10-batches-py", "cifar-10-python.tar.gz", b"labels", "label_names", "batches.meta", 10),
    (
        cifar100,
        "cifar-100-python",
        "cifar-100-python.tar.gz",
        b"fine_labels",
        "fine_label_names",
        "meta",
        100,
    ),
]
FILES = {10: [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"], 100: ["train", "test"]}


def contents(classes: int, labels: bytes, names: str, meta: str) -> dict[str, bytes]:
    """Small files of the published form, as Python 2 wrote them: arrays by `numpy.core`, words as bytes."""
    random = np.random.default_rng(0)
    found = {}
    for file in FILES[classes]:
        batch = {
            b"data": random.integers(0, 256, (20, 3072), np.uint8),
            labels: list(range(20)),
            b"batch_label": b"x",
        }
        batch[labels] = [number % classes for number in range(20)]
        found[file] = pickle.dumps(batch, protocol=2).replace(b"numpy._core", b"numpy.core")
    words = [f"class {number}".encode() for number in range(classes)]
    found[meta] = pickle.dumps({names.encode(): words}, protocol=2)
    return found


def packed(path: Path, folder: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(("source", "folder", "archive", "labels", "names", "meta", "classes"), SETS)
@pytest.mark.parametrize("extracted", [True, False])
def test_files_placed_by_hand(
    tmp_path: Path, extracted: bool, source: Callable[..., Dataset], folder: str, archive: str, labels: bytes,
    names: str, meta: str, classes: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    files = contents(classes, labels, names, meta)
    if extracted:
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content)
    else:
        packed(tmp_path / archive, folder, files)
    before = sorted(tmp_path.rglob("*"))
    data = source(tmp_path)
    assert data.input_shape == (3, 32, 32)
    assert (len(data.train), len(data.test)) == (100 if classes == 10 else 20, 20)
    assert data.classes == tuple(f"class {number}" for number in range(classes))
    first = pickle.loads(files[FILES[classes][0]])[b"data"][0]
    assert np.array_equal(data.train.images[0].numpy().ravel(), first)
    assert "not all of the published images" in data.summary()
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.setenv("RESWORK_DATA", str(tmp_path))
    assert source().fingerprint == data.fingerprint


@pytest.mark.parametrize("source", [cifar10, cifar100])
def test_without_internet_it_says_where_to_put_the_files(
    tmp_path: Path, source: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_internet(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", no_internet)
    with pytest.raises(FileNotFoundError) as caught:
        source(tmp_path)
    words = str(caught.value)
    assert "no route to host" in words
    assert "python.tar.gz" in words
    assert str(tmp_path.resolve()) in words
    assert list(tmp_path.iterdir()) == []


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("sprung",))


@pytest.mark.parametrize(
    "bad", [pickle.dumps({b"data": Trap()}), b"noise", b"", pickle.dumps([1, 2]), pickle.dumps({})]
)
def test_files_of_something_else_are_refused_and_run_nothing(
    tmp_path: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = contents(10, b"labels", "label_names", "batches.meta")
    files["data_batch_3"] = bad
    packed(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", files)
    with pytest.raises(ValueError, match="put the original"):
        cifar10(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    place = tmp_path / "cifar-10-python.tar.gz"
    packed(place, "cifar-10-batches-py", contents(10, b"labels", "label_names", "batches.meta"))
    place.write_bytes(place.read_bytes()[:5_000])
    with pytest.raises(ValueError, match="is damaged"):
        cifar10(tmp_path)


def test_an_archive_cannot_write_outside_of_its_folder(tmp_path: Path) -> None:
    files = contents(10, b"labels", "label_names", "batches.meta")
    files["../../escaped"] = b"content"
    (tmp_path / "in").mkdir()
    packed(tmp_path / "in" / "cifar-10-python.tar.gz", "cifar-10-batches-py", files)
    before = sorted(tmp_path.rglob("*"))
    assert len(cifar10(tmp_path / "in").train) == 100
    assert sorted(tmp_path.rglob("*")) == before
