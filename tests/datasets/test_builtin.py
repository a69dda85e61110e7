import gzip
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import reswork.datasets.builtin as module
from reswork.datasets import digits, fashion
from reswork.datasets.builtin import DEBIAN_FASHION, FASHION_FILES

ROOT = Path(__file__).resolve().parents[2]


def test_digits() -> None:
    data = digits()
    assert (len(data.train), len(data.test), data.input_shape) == (1_297, 500, (1, 8, 8))
    assert data.classes == tuple("0123456789")
    assert (int(data.train.images.min()), int(data.train.images.max())) == (0, 255)
    assert data.class_counts("test").min() > 30
    assert data.fingerprint == digits().fingerprint != digits(seed=1).fingerprint


def test_digits_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_digits()
    read = module._digits_table()
    assert np.array_equal(read, np.column_stack([found.data, found.target]))
    monkeypatch.setattr(module, "find_spec", lambda _name: None)  # where its files are not to be found
    assert np.array_equal(module._digits_table(), read)


def test_the_embedded_part_of_fashion() -> None:
    data = fashion()
    assert (len(data.train), len(data.test), data.input_shape) == (10_000, 2_000, (1, 28, 28))
    assert data.class_counts("train").tolist() == [1_000] * 10
    assert data.class_counts("test").tolist() == [200] * 10
    assert data.fingerprint == "f8e42012b321cbf5a330409a93afa462be7e95c01a11d136a2e6f098df4e3734"


def test_the_embedded_files_are_those_that_their_readme_lists() -> None:
    if not (ROOT / "data" / "README.md").exists():
        pytest.skip("not a source tree")
    listed = re.findall(
        r"\| `fashion/(\S+)` \| (\d+) \| `(\w{64})` \|", (ROOT / "data/README.md").read_text()
    )
    folder = ROOT / "data" / "fashion"
    assert {name for name, _, _ in listed} == {path.name for path in folder.iterdir()}
    for name, size, digest in listed:
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (int(size), digest)
    assert sum(int(size) for _, size, _ in listed) < 6_000_000


@pytest.mark.skipif(
    not DEBIAN_FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_cutting_again_gives_the_same_images(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "data/cut_fashion.py", DEBIAN_FASHION, tmp_path], check=True)
    for file in FASHION_FILES:
        again, kept = (
            gzip.decompress((folder / f"{file}.gz").read_bytes())
            for folder in (tmp_path, ROOT / "data/fashion")
        )
        assert again == kept


@pytest.mark.skipif(
    not DEBIAN_FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_the_full_set_from_debian_contains_the_embedded_part(tmp_path: Path) -> None:
    data = fashion(full=True, root=tmp_path)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    full = {image.tobytes() for image in data.test.images.numpy()}
    assert {image.tobytes() for image in fashion().test.images.numpy()} <= full
    assert list(tmp_path.iterdir()) == []


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(header + values.tobytes())


def test_the_full_set_from_files_placed_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    for file in FASHION_FILES:
        write_idx(folder / file, images if "images" in file else np.arange(20, dtype=np.uint8) % 10)
    data = fashion(full=True, root=tmp_path)
    assert torch.equal(data.test.images[:, 0], torch.from_numpy(images))


def test_without_internet_it_says_where_to_put_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_internet(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(module, "DEBIAN_FASHION", tmp_path / "absent")
    monkeypatch.setattr("urllib.request.urlopen", no_internet)
    monkeypatch.setenv("RESWORK_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        fashion(full=True)
    words = str(caught.value)
    assert "no route to host" in words
    assert str(tmp_path / "FashionMNIST" / "raw") in words
    assert all(f"{file}.gz" in words for file in FASHION_FILES)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
