from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.shipping.engine_process import EngineDied, EngineProcess


@pytest.fixture(scope="module")
def process(onnx_folder: Path) -> Iterator[EngineProcess]:
    made = EngineProcess(rw.open_artefact(onnx_folder).path, 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(np.float32)


def test_it_answers_as_the_engine_in_this_process(
    process: EngineProcess, onnx_folder: Path, inputs: np.ndarray
) -> None:
    here, there = rw.open_artefact(onnx_folder).open(1), process.engine
    np.testing.assert_array_equal(there(inputs), here(inputs))
    assert (there.name, there.version, there.threads) == (here.name, here.version, here.threads)


def test_what_the_engine_refuses_is_told_and_it_goes_on(process: EngineProcess, inputs: np.ndarray) -> None:
    pid = process.pid
    with pytest.raises(RuntimeError, match="images"):
        process.engine(inputs[:, :, :4])
    assert process.engine(inputs).shape == (5, 10) and process.pid == pid


def test_one_that_is_killed_is_started_again_and_the_call_is_made_again(
    process: EngineProcess, inputs: np.ndarray
) -> None:
    before, told = process.engine(inputs), list[int]()
    process._restarted = lambda: told.append(process.pid)
    psutil.Process(process.pid).kill()
    np.testing.assert_array_equal(process.engine(inputs), before)
    assert told == [process.pid]


def test_a_call_that_kills_two_in_a_row_fails_and_the_next_does_not(
    onnx_folder: Path, inputs: np.ndarray
) -> None:
    process = EngineProcess(rw.open_artefact(onnx_folder).path, 1, lambda: psutil.Process(process.pid).kill())
    psutil.Process(process.pid).kill()
    with pytest.raises(EngineDied, match="once more"):
        process.engine(inputs)
    process._restarted = lambda: None
    assert process.engine(inputs).shape == (5, 10)
    process.close()
    with pytest.raises(EngineDied, match="closed"):
        process.engine(inputs)


def test_one_that_is_forgotten_ends(onnx_folder: Path, inputs: np.ndarray) -> None:
    made = EngineProcess(rw.open_artefact(onnx_folder).path, 1)
    there, engine = psutil.Process(made.pid), made.engine
    del made
    assert engine(inputs).shape == (5, 10) and there.is_running()
    del engine
    assert not there.is_running()


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidSetting, match=r"model\.onnx cannot be opened"):
        EngineProcess(tmp_path / "model.onnx", 1)
