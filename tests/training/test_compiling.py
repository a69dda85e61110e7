"""A compiler that fails costs a note, wherever it fails, and the losses are those without it."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.recorders import throughput
from reswork.training import loop, modes
from reswork.training.events import CompilingDone, CompilingStarted, Event, RunStarted, StepDone
from reswork.training.failures import NonFiniteLoss, OutOfMemory, compiler_failure
from reswork.training.loop import fit
from reswork.training.modes import Mode
from reswork.training.ranks import Ranks
from reswork.training.remarks import remarks_of, waiting_for
from reswork.training.run import Run, RunState


class Failing(nn.Module):
    """Stands for compiled code: fails in the forward or backward pass of its n-th call, after all was computed."""

    def __init__(self, model: nn.Module, where: str, call: int, error: Callable[[], Exception]) -> None:
        super().__init__()
        self.model, self.where, self.call, self.error = model, where, call, error
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        output = self.model(images)  # statistics of the norms have moved
        if self.calls == self.call and self.where == "forward":
            raise self.error()
        if self.calls == self.call and self.where == "backward":
            output.register_hook(self._fail)
        return output

    def _fail(self, _gradient: Tensor) -> None:
        raise self.error()


def broken() -> Exception:
    return RuntimeError(
        "CppCompileError: C++ compile error\n\nCommand:\ng++ x.cpp\n\nOutput:\nIn x.cpp:\nx.cpp: error: no"
    )


@pytest.fixture
def failing_compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(where: str, call: int = 1, error: Callable[[], Exception] = broken) -> None:
        monkeypatch.setattr(modes, "_missing_compiler", lambda kind: "")
        monkeypatch.setattr(torch, "compile", lambda model, **_: Failing(model, where, call, error))

    return install


def trained(model: nn.Module, data: Any, recipe: Any, **options: Any) -> tuple[list[float], list[Event]]:
    events = list(fit(model, data, recipe, **options))
    return [event.loss.item() for event in events if isinstance(event, StepDone)], events


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("call", [1, 5])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_run_goes_on_with_the_losses_of_the_uncompiled_mode(
    where, call, accumulate, failing_compiler, make_net, make_data, make_recipe
):
    plain, model = make_net(), make_net()
    expected, _ = trained(plain, make_data(), make_recipe(accumulate=accumulate))
    failing_compiler(where, call)
    got, events = trained(model, make_data(), make_recipe(accumulate=accumulate, compile="on"))
    assert got == expected
    assert same_weights(model, plain)
    done = [event for event in events if isinstance(event, CompilingDone)]
    last, failed_in = done[-1], (call - 1) // accumulate + 1
    assert (last.step, last.choice.compile) == (failed_in, False)
    assert last.failure == "CppCompileError: C++ compile error: x.cpp: error: no"
    assert f"the compiler failed in step {failed_in}, not compiled from there on" in last.mode
    assert [type(event) for event in events[:4] if not isinstance(event, RunStarted)][1] is CompilingStarted


def test_the_state_to_go_on_from_has_the_mode_of_then(failing_compiler, make_net, make_data, make_recipe):
    failing_compiler("backward", 3)
    found: list[bool] = []
    state: Any = None
    for event in fit(make_net(), make_data(), make_recipe(compile="on")):
        if isinstance(event, RunStarted):
            state = event.state
        elif isinstance(event, StepDone):
            found.append(state().values["mode"]["compile"])
    assert found == [True, True] + [False] * 6


def test_a_backward_pass_that_cannot_be_compiled(monkeypatch, make_net, make_data, make_recipe):
    """Torch's own way from the graph to the compiler, with one that knows no backward passes."""
    from torch._dynamo.backends.common import aot_autograd

    def refuses(_graph: object, _inputs: object) -> None:
        raise OSError("no space left on device")

    plain, expected = torch.compile, trained(make_net(), make_data(), make_recipe())[0]
    backend = aot_autograd(fw_compiler=lambda graph, _inputs: graph, bw_compiler=refuses)
    monkeypatch.setattr(modes, "_missing_compiler", lambda kind: "")
    monkeypatch.setattr(torch, "compile", lambda model, **options: plain(model, backend=backend, **options))
    got, events = trained(make_net(), make_data(), make_recipe(compile="on"))
    assert got == expected
    [done] = [event for event in events if isinstance(event, CompilingDone)]
    assert "no space left on device" in done.failure


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (lambda: NonFiniteLoss(1, None, ""), NonFiniteLoss),
        (lambda: MemoryError("all of it"), OutOfMemory),
    ],
)
def test_what_is_not_the_compilers_doing_is_raised(
    error, raised, failing_compiler, make_net, make_data, make_recipe
):
    failing_compiler("forward", 2, error)
    with pytest.raises(raised):
        trained(make_net(), make_data(), make_recipe(compile="on"))


def test_a_compiler_without_memory_is_a_failing_compiler(failing_compiler, make_net, make_data, make_recipe):
    from torch._inductor.exc import CppCompileError

    failing_compiler("forward", 1, lambda: CppCompileError(["g++"], "cc1plus: out of memory"))
    got, events = trained(make_net(), make_data(), make_recipe(compile="on"))
    assert len(got) == 8
    assert any(isinstance(event, CompilingDone) and "out of memory" in event.failure for event in events)


def test_a_fault_of_the_network_itself_is_told_as_such(failing_compiler, make_data, make_recipe):
    class Faulty(nn.Sequential):
        calls = 0

        def forward(self, images: Tensor) -> Any:
            self.calls += self.training
            if self.calls > 3:
                raise KeyError("mine")
            return super().forward(images)

    failing_compiler("forward", 99)
    with pytest.raises(KeyError, match="mine"):
        trained(Faulty(nn.Flatten(), nn.Linear(192, 4)), make_data(), make_recipe(compile="on"))


def test_several_ranks_get_a_clear_error(failing_compiler, make_net, make_data, make_recipe):
    class Two(Ranks):
        count = 2

    failing_compiler("backward")
    with pytest.raises(InvalidSetting, match=r"failed in step 1 \(CppCompileError.*2 ranks.*compile='off'"):
        trained(make_net(), make_data(), make_recipe(compile="on"), ranks=Two())


def test_ranks_that_go_on_do_not_compile_by_themselves(make_recipe):
    class Two(Ranks):
        count = 2

    from reswork.training.progress import TrainingState

    mode = Mode("cpu", compile=True, compile_after=20)
    start = TrainingState(30, {}, {"mode": dataclasses.asdict(mode)})
    device = torch.device("cpu")
    assert loop._mode_of(start, device, make_recipe(compile="auto"), Ranks()) == mode
    found = loop._mode_of(start, device, make_recipe(compile="auto"), Two())
    assert found is not None
    assert not found.compile
    assert "2 ranks" in found.reason


def test_the_first_steps_are_not_compiled_and_the_wait_is_told(monkeypatch, make_net, make_data, make_recipe):
    """The curve is there before the run stands still, and the speed is that of the steps."""
    plain, compiled_at, told = torch.compile, [], []
    mode = Mode("cpu", compile=True, compile_after=3, reason="because")
    monkeypatch.setattr(loop, "choose_mode", lambda *_, **__: mode)
    run = Run(make_net(dropout=0), make_data(), make_recipe(compile="auto"))

    def compile_(model: nn.Module, **options: Any) -> Any:
        compiled_at.append(run.steps_done)
        told.append(waiting_for(run.history))
        return plain(model, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", compile_)
    run.add_recorder(throughput(run.history, interval_s=0.0))
    run.start()
    assert run.wait() is RunState.FINISHED
    assert compiled_at == [3]
    assert told == ["compiling, which takes about 3 s"]
    assert waiting_for(run.history) == ""
    assert [(note.step, note.kind) for note in run.history.notes if "compil" in note.kind] == [
        (4, "compiling"), (4, "compiled")
    ]  # fmt: skip
    steps = run.history.series("images_per_second").steps.tolist()
    assert steps == [2, 3, 5, 7, 8]  # 1 and 6 begin an epoch, 4 was compiled


def test_a_compiler_that_fails_in_the_middle_of_a_run_by_itself(
    monkeypatch, failing_compiler, make_net, make_data, make_recipe
):
    mode = Mode("cpu", compile=True, compile_after=3, reason="because")
    expected, _ = trained(make_net(), make_data(), make_recipe())
    monkeypatch.setattr(loop, "choose_mode", lambda *_, **__: mode)
    failing_compiler("backward")
    got, events = trained(make_net(), make_data(), make_recipe(compile="auto"))
    assert got == expected
    [done] = [event for event in events if isinstance(event, CompilingDone)]
    assert (done.step, done.choice.compile, done.choice.compile_after) == (4, False, 0)


def test_a_run_whose_compiler_fails_finishes_with_a_remark(
    failing_compiler, make_net, make_data, make_recipe
):
    failing_compiler("backward")
    run = Run(make_net(), make_data(), make_recipe(compile="on"))
    run.start()
    assert run.wait() is RunState.FINISHED
    assert run.mode is not None
    assert not run.mode.compile
    assert waiting_for(run.history) == ""
    assert remarks_of(run.history) == (
        "The compiler failed in step 1 and is not used any more; this step and all after it are computed without "
        "compiled code. It said: CppCompileError: C++ compile error: x.cpp: error: no"
    )


def test_a_page_of_compiler_text_becomes_one_line():
    assert compiler_failure(RuntimeError("")) == "RuntimeError"
    assert compiler_failure(ValueError("\n\n one \ntwo")) == "one"
    assert compiler_failure(RuntimeError("a\nOutput:\n\nfirst\nsecond")) == "a: first"
    assert len(compiler_failure(RuntimeError("x" * 9999))) == 200


SCRIPT = """
import json
import torch
import reswork as rw

plain = {"batch_size": 16, "device": "cpu", "precision": "fp32", "channels_last": False, "seed": 1}
if __name__ == "__main__":
    for compile_, engine in (("on", "process"), ("off", "thread")):
        recipe = rw.Recipe(steps=3, compile=compile_, **plain)
        torch.manual_seed(5)
        net = rw.resnet(rw.ResNetConfig(depth=None, stage_blocks=(1,), width=2, in_channels=1, num_classes=10))
        run = rw.train(net, rw.datasets.digits(), recipe, engine=engine)
        run.wait()
        notes = {note.kind: note.details for note in run.history.notes}
        saved = json.loads((run.directory / "run.json").read_text())["mode"]
        losses = run.history.series("loss/train").values.tolist()
        print(json.dumps([run.state.name, losses, notes, run.mode.compile, saved]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)  # imports of torch and one of its compiler on a machine that may be busy
def test_with_a_compiler_on_the_path_that_always_fails(tmp_path: Path) -> None:
    """In a process of its own, with torch's own compilation and an empty cache; beside a thread without it."""
    for name in ("g++", "clang++", "c++"):
        fake = tmp_path / "bin" / name
        fake.parent.mkdir(exist_ok=True)
        fake.write_text("#!/bin/sh\necho fake: no compiler today >&2\nexit 1\n")
        fake.chmod(0o755)
    (tmp_path / "script.py").write_text(SCRIPT)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "CXX": "g++"}
    env["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of processes for one kernel

    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, plain = map(json.loads, done.stdout.splitlines()[-2:])
    state, losses, notes, compiled, mode = found
    assert (state, compiled) == ("FINISHED", False)
    assert "compiler" in notes["not_compiled"]["reason"]
    assert "the compiler failed in step 1" in mode
    assert losses == plain[1]
    assert "not_compiled" not in plain[2]
