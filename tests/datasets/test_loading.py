from pathlib import Path

import numpy as np
import pytest

from reswork import datasets
from reswork.datasets import NAMES, load
from reswork.errors import InvalidSetting
from tests.datasets.image_files import write


@pytest.mark.parametrize("name", ["digits", "fashion", "shapes", "scenes"])
def test_by_name(name: str) -> None:
    assert load(name).name == name
    assert name in NAMES


def test_some_classes_of_a_set_by_name_as_it_is_kept_in_a_run() -> None:
    some = load("digits").of_classes((6, 2))
    again = load(some.name)
    assert again.name == "digits-6-2" and again.fingerprint == some.fingerprint
    with pytest.raises(InvalidSetting, match="12 is no class of digits"):
        load("digits-6-12")


def test_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        write(tmp_path / "own", name)
    np.savez(tmp_path / "own.npz", images=np.zeros((8, 4, 4), np.uint8), labels=np.arange(8) % 2)
    assert load(tmp_path / "own").input_shape == (3, 8, 8)
    assert load(tmp_path / "own", 4).input_shape == (3, 4, 4)
    for name in ("digits", str(tmp_path / "own.npz")):
        with pytest.raises(InvalidSetting, match="leave size out"):
            load(name, 4)
    assert load(f"  {tmp_path / 'own.npz'} ").input_shape == (1, 4, 4)


@pytest.mark.parametrize("name", ["", "mnist", "/no/such/place"])
def test_neither(name: str) -> None:
    with pytest.raises(InvalidSetting, match="neither a data set") as caught:
        load(name)
    assert caught.value.field == "data"


def test_the_public_names_are_there() -> None:
    assert sorted(datasets.__all__) == sorted(set(datasets.__all__))
    assert all(hasattr(datasets, name) for name in datasets.__all__)
