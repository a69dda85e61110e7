import copy

import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.training import mode_timing, modes
from reswork.training.mode_timing import choose_mode
from reswork.training.modes import Mode, choose_device, mode_by_rule, with_compilation
from reswork.training.recipe import Recipe

CPU = torch.device("cpu")


def small_net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Dropout(0.5), nn.Linear(288, 4)
    return nn.Sequential(*layers)


def test_the_device_comes_with_its_reason():
    device, why = choose_device("auto")
    assert "torch.accelerator" in why
    assert choose_device("cpu") == (CPU, "the processor, as asked")
    found = torch.accelerator.current_accelerator(check_available=True)
    assert device.type == ("cpu" if found is None else found.type)


@pytest.mark.parametrize("wanted", ["xyz", "cuda:77", "tpu"])
def test_a_device_that_is_not_here_is_refused(wanted):
    with pytest.raises(InvalidSetting, match="choose 'auto', 'cpu'") as caught:
        choose_device(wanted)
    assert caught.value.field == "device"


def test_settings_of_the_recipe_win():
    recipe = Recipe(precision="bf16", channels_last=False)
    mode = mode_by_rule(recipe, small_net(), CPU)
    assert (mode.precision, mode.channels_last) == ("bf16", False)
    assert not mode_by_rule(Recipe(), nn.Linear(2, 2), CPU).channels_last


def test_without_bf16_instructions_it_is_not_tried(monkeypatch, make_data):
    monkeypatch.setattr(modes, "has_cpu_bf16", lambda: False)
    monkeypatch.setattr(mode_timing, "has_cpu_bf16", lambda: False)
    mode = choose_mode(Recipe(steps=1000), small_net(), make_data(), CPU, "because")
    assert mode.precision == "fp32"
    assert "bf16" not in mode.reason


def test_timing_changes_neither_model_nor_statistics_nor_random_state(make_data, monkeypatch):
    monkeypatch.setattr(mode_timing, "_BUDGET_S", 1e9)  # a busy machine must not end the trial first
    model = small_net().train()
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    mode = choose_mode(Recipe(steps=1000), model, make_data(), CPU, "because")
    assert "timed here, per second" in mode.reason
    assert mode.reason.startswith("because; ")
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_fastest_wins_but_bf16_must_be_worth_it():
    plain, wide, short = Mode("cpu"), Mode("cpu", channels_last=True), Mode("cpu", "bf16")
    assert mode_timing._fastest({plain: 1.0, wide: 0.5, short: 0.49}, True) == wide
    assert mode_timing._fastest({plain: 1.0, wide: 0.5, short: 0.3}, True) == short
    assert mode_timing._fastest({short: 0.3}, True) == short
    assert mode_timing._fastest({wide: 0.5, plain: 0.46}, True) == wide
    assert mode_timing._fastest({wide: 0.5, plain: 0.44}, True) == plain


class SlowMachine:
    """A clock that only steps of the trial move, by so many seconds each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: dict[tuple[str, bool], float]) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, bool]] = []
        self._cost = cost
        monkeypatch.setattr(mode_timing, "_step_seconds", self._step)
        monkeypatch.setattr(mode_timing, "has_cpu_bf16", lambda: True)
        monkeypatch.setattr(modes, "has_cpu_bf16", lambda: True)
        monkeypatch.setattr(mode_timing.time, "perf_counter", lambda: self.now)

    def _step(self, model: nn.Module, mode: Mode, *_: object) -> float:
        self.calls.append((mode.precision, mode.channels_last))
        self.now += self._cost[self.calls[-1]]
        return self._cost[self.calls[-1]]


def test_slow_modes_drop_out(monkeypatch, make_data):
    cost = {("fp32", True): 0.06, ("bf16", True): 0.04, ("fp32", False): 0.05, ("bf16", False): 0.2}
    machine = SlowMachine(monkeypatch, cost)
    mode = choose_mode(Recipe(steps=1000), small_net(), make_data(), CPU, "because")
    assert (mode.precision, mode.channels_last) == ("bf16", True)
    assert "fp32 channels_last" in mode.reason
    assert "bf16 channels_last" in mode.reason
    assert machine.calls.count(("bf16", False)) == 2  # one to warm up, one that was too slow
    assert machine.calls.count(("fp32", False)) == 4


@pytest.mark.parametrize(
    ("step_s", "told"),
    [(0.2, "timed here, per second"), (0.4, "takes too long"), (2.0, "takes too long")],
)  # with 0.4 there is time for one of the modes: nothing is compared
def test_no_trial_keeps_a_run_waiting(step_s, told, monkeypatch, make_data):
    forms = [("fp32", True), ("bf16", True), ("fp32", False), ("bf16", False)]
    machine = SlowMachine(monkeypatch, dict.fromkeys(forms, step_s) | {("bf16", True): step_s / 2})
    mode = choose_mode(Recipe(steps=1000, compile="off"), small_net(), make_data(), CPU, "because")
    assert machine.now <= mode_timing._BUDGET_S + 2 * step_s
    assert (mode.precision, mode.channels_last) == ("bf16", True)
    assert told in mode.reason


@pytest.mark.parametrize(
    ("settings", "cause"), [({"deterministic": True}, "deterministic"), ({"steps": 20}, "20")]
)
def test_short_and_repeatable_runs_go_by_rule(settings, cause, make_data, monkeypatch):
    monkeypatch.setattr(mode_timing, "_step_seconds", lambda *_: pytest.fail("timed"))
    mode = choose_mode(Recipe(**{"steps": 10_000, **settings}), small_net(), make_data(), CPU, "because")
    assert cause in mode.reason


@pytest.mark.parametrize("after", [0, 1, 5])
def test_stop_lands_within_the_timing(after, make_data, monkeypatch):
    monkeypatch.setattr(mode_timing, "_BUDGET_S", 1e9)  # a busy machine must not end the trial first
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(True)
        return len(asked) > after

    mode = choose_mode(Recipe(steps=10_000), small_net(), make_data(), CPU, "because", stopped)
    assert isinstance(mode, Mode)
    assert len(asked) == after + 1


def test_only_a_long_run_is_compiled_and_only_where_it_pays(monkeypatch):
    monkeypatch.setattr(modes, "_missing_compiler", lambda kind: "")
    model, mode = small_net(), Mode("cpu", reason="first")  # two layers: 3 s to compile
    for steps, told in ((100, "10 s"), (3000, "5 min"), (12_000, "20 min")):
        short = with_compilation(mode, Recipe(), model, 0.1, steps)
        assert not short.compile
        assert (
            short.reason == f"first; not compiled, because the run takes about {told}, not more than 20 min"
        )
    deep = nn.Sequential(*(nn.Linear(1, 1) for _ in range(100)))  # 150 s to compile
    assert "would save about 130 s" in with_compilation(mode, Recipe(), deep, 0.1, 13_000).reason
    assert not with_compilation(mode, Recipe(), deep, 0.1, 13_000).compile
    assert with_compilation(mode, Recipe(), deep, 0.1, 20_000).compile
    long = with_compilation(mode, Recipe(), model, 0.1, 100_000)
    assert [long.is_compiled(step) for step in (1, 20, 21, 22)] == [False, False, True, True]
    assert "compiled after 20 steps, because it takes about 3 s and would save about 1000 s" in long.reason
    assert "2 ranks" in with_compilation(mode, Recipe(), model, 0.1, 100_000, ranks=2).reason
    assert not with_compilation(mode, Recipe(), model, 0.1, 100_000, ranks=2).compile
    assert not with_compilation(mode, Recipe(compile="off"), model, 0.1, 100_000).compile
    assert not with_compilation(mode, Recipe(deterministic=True), model, 0.1, 100_000).compile
    assert not with_compilation(mode, Recipe(checkpoint_activations=True), model, 0.1, 100_000).compile
    assert with_compilation(mode, Recipe(compile="on"), model, None, 1).is_compiled(1)


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(modes, "_missing_compiler", lambda kind: "a C++ compiler")
    assert (
        "a C++ compiler is not here"
        in with_compilation(Mode("cpu"), Recipe(), small_net(), 1.0, 10**6).reason
    )
    with pytest.raises(InvalidSetting, match="needs a C\\+\\+ compiler"):
        with_compilation(Mode("cpu"), Recipe(compile="on"), small_net(), None, 1)


def test_the_sentence_says_all():
    text = str(Mode("cpu", "bf16", True, False, "because"))
    assert text == "cpu, bf16, channels_last, not compiled: because"
