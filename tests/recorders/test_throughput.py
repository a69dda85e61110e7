import pytest
import torch
from torch import nn

from reswork.history import History
from reswork.recorders import memory, throughput
from reswork.tasks import Classification
from reswork.training.events import EpochDone, RunEnded, RunPaused, RunStarted, StepDone
from reswork.training.live_run import RunState
from reswork.training.modes import Mode
from reswork.training.progress import TrainingState

MODEL = nn.Linear(1, 1)


@pytest.fixture
def clock(monkeypatch):
    """A time that moves only when the test says so."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def done(step: int) -> StepDone:
    return StepDone(step, 1, torch.tensor(1.0), torch.tensor(0.5), "top1", 50, 0.1, MODEL)


def test_images_per_second_leave_out_warming_up_pauses_and_evaluations(clock):
    history = History()
    recorder = throughput(history)
    recorder(
        RunStarted(0, MODEL, 100, 10, "cpu", "", Mode("cpu"), Classification(), lambda: TrainingState(0))
    )
    clock[0] += 40  # compiling
    recorder(done(1))
    step = 1
    for wait, event in [(7, EpochDone), (9, RunPaused), (0, None)]:
        for _ in range(6):
            clock[0] += 0.1
            step += 1
            recorder(done(step))
        clock[0] += wait
        if event is EpochDone:
            recorder(EpochDone(step, 1, 1.0, {}, {}, MODEL))
        if event is RunPaused:
            recorder(RunPaused(step))
    recorder(RunEnded(step, RunState.FINISHED, None))
    values = history.series("images_per_second").values
    assert len(values) >= 3
    assert values == pytest.approx([500] * len(values))


def test_a_run_shorter_than_an_interval_still_has_a_value(clock):
    history = History()
    recorder = throughput(history)
    recorder(done(1))
    clock[0] += 0.01
    recorder(done(2))
    recorder(RunEnded(2, RunState.FINISHED, None))
    assert history.last("images_per_second") == pytest.approx(5000)


def test_memory_and_use_are_read_about_once_a_second(clock):
    history = History()
    recorder = memory(history)
    for step in range(1, 101):
        recorder(done(step))
        clock[0] += 0.1
    assert 9 <= len(history.series("memory/bytes")) <= 11
    use = history.series("device/utilisation").values
    assert len(use) == len(history.series("memory/bytes")) - 1
    assert ((use >= 0) & (use <= 1)).all()


@pytest.mark.gpu
def test_memory_of_the_gpu():
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    history = History()
    held = torch.empty(2**24, device="cuda")
    memory(history)(StepDone(1, 1, held[0], held[0], "top1", 1, 0.1, MODEL))
    assert history.last("memory/bytes") >= 2**26
