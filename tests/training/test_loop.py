from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reswork.datasets.augmentation import Augmentation
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.training.batches import Batches
from reswork.training.controls import Controls
from reswork.training.events import (
    BatchReady,
    EpochDone,
    GradientsReady,
    RunStarted,
    SettingChanged,
    StepDone,
)
from reswork.training.loop import fit


def losses_of(model, data, recipe, controls=None) -> list[float]:
    return [
        event.loss.item()
        for event in fit(model, data, recipe, controls=controls)
        if isinstance(event, StepDone)
    ]


def test_the_events_come_in_order(make_net, make_data, make_recipe):
    events = list(fit(make_net(), make_data(), make_recipe(steps=7)))  # 5 steps an epoch
    names = [type(event).__name__ for event in events]
    step = ["BatchReady", "GradientsReady", "StepDone"]
    assert names == ["RunStarted", *5 * step, "EpochDone", *2 * step, "EpochDone"]
    started, ended = events[0], events[-1]
    assert isinstance(started, RunStarted)
    assert (started.total_steps, started.steps_per_epoch, started.device) == (7, 5, "cpu")
    assert isinstance(ended, EpochDone)
    assert (ended.step, ended.epoch) == (7, 2)
    assert ended.seconds > 0
    assert set(ended.metrics) == {"loss", "top1", "top5", "precision", "recall", "f1"}
    assert ended.tables["confusion"].sum() == 40
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(e.step, e.epoch, e.examples) for e in steps][4:6] == [(5, 1, 32), (6, 2, 32)]


def test_it_equals_a_loop_written_by_hand(make_net, make_data, make_recipe):
    """The second, slow, obviously right computation."""
    data, recipe = make_data(), make_recipe(steps=12, learning_rate=0.05, schedule="constant", nesterov=True)
    got = losses_of(make_net(dropout=0), data, recipe)
    model = make_net(dropout=0).train()
    optimizer = torch.optim.SGD(
        model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True
    )
    batches, expected = Batches(data, recipe, channels_last=False), []
    for step in range(1, 13):
        batch = batches.cut(step)
        loss = F.cross_entropy(model(batch.inputs), batch.targets)
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert got == expected


def test_it_learns(make_net, make_data, make_recipe, device):
    *_, last = fit(make_net(), make_data(), make_recipe(epochs=12, steps=None, device=device))
    assert isinstance(last, EpochDone)
    assert last.metrics["top1"] > 0.9


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seed": 2**63 - 1},
        {"mixup": 0.4, "label_smoothing": 0.1, "clip_norm": 0.5, "image_scale": 0.5},
        {"precision": "bf16", "channels_last": True},
        {"precision": "fp16"},
        {"accumulate": 3, "ema": 0.9},
        {"checkpoint_activations": True},
        {"augmentation": Augmentation(crop_padding=1, flip=True, cutout=2)},
        {"optimizer": "adamw", "learning_rate": 1e-3, "schedule": "one_cycle", "decay_norm_and_bias": False},
        {"optimizer": "muon", "learning_rate": 1e-3, "ema": 0.9, "clip_norm": 0.5},
        {"deterministic": True, "precision": "auto", "channels_last": "auto", "compile": "auto"},
    ],
    ids=lambda settings: "+".join(settings) or "plain",
)
def test_equal_seeds_give_equal_losses(settings, make_net, make_data, make_recipe, device):
    recipe = make_recipe(device=device, **settings)
    first = losses_of(make_net(), make_data(), recipe)
    torch.rand(3)
    torch.manual_seed(99)
    assert losses_of(make_net(), make_data(), recipe) == first
    assert all(0 < loss < 10 for loss in first)


def test_another_seed_gives_other_losses(make_net, make_data, make_recipe):
    data = make_data()
    first, second = (losses_of(make_net(), data, make_recipe(seed=seed)) for seed in (0, 1))
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_random_numbers_drawn_between_two_events_change_nothing(make_net, make_data, make_recipe):
    quiet = losses_of(make_net(), make_data(), make_recipe())
    noisy = []
    for event in fit(make_net(), make_data(), make_recipe()):
        torch.rand(5)
        if isinstance(event, StepDone):
            noisy.append(event.loss.item())
            torch.manual_seed(4)
    assert noisy == quiet


def test_the_global_random_state_and_switches_come_back(make_net, make_data, make_recipe):
    torch.manual_seed(5)
    model = make_net()
    state = torch.get_rng_state()
    list(fit(model, make_data(), make_recipe(deterministic=True)))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()
    events = fit(model, make_data(), make_recipe(deterministic=True))
    next(events)
    next(events)
    assert torch.are_deterministic_algorithms_enabled()
    events.close()
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_afterwards_the_model_is_clean(make_net, make_data, make_recipe):
    model = make_net()
    keys = list(model.state_dict())
    list(fit(model, make_data(), make_recipe(channels_last=True, checkpoint_activations=True)))
    assert not any(module.training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())
    assert list(model.state_dict()) == keys
    assert "forward" not in model[0].__dict__


@pytest.mark.parametrize("accumulate", [2, 3, 16])
def test_accumulation_gives_the_same_gradients_without_batch_norm(accumulate, make_data, make_recipe, device):
    """Also where the parts are not equal: 32 images in three."""

    def net() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))

    options = {"learning_rate": 0.01, "device": device}
    whole = losses_of(net(), make_data(), make_recipe(**options))
    parts = losses_of(net(), make_data(), make_recipe(accumulate=accumulate, **options))
    assert parts == pytest.approx(whole, rel=1e-4)


def test_checkpointing_changes_neither_losses_nor_statistics(make_net, make_data, make_recipe, device):
    plain, spared = make_net(), make_net()
    expected = losses_of(plain, make_data(), make_recipe(device=device))
    got = losses_of(spared, make_data(), make_recipe(checkpoint_activations=True, device=device))
    assert got == expected
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, spared.state_dict()[name]), name


def test_the_average_is_evaluated_and_kept(make_net, make_data, make_recipe):
    model = make_net()
    *_, last = fit(model, make_data(), make_recipe(ema=0.9, steps=20))
    assert isinstance(last, EpochDone)
    assert last.model is not model
    for name, tensor in last.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    raw = make_net()
    list(fit(raw, make_data(), make_recipe(steps=20)))
    assert not torch.equal(raw[0].weight, model[0].weight)


def test_a_new_learning_rate_holds_at_the_next_step_and_scales_the_rest(make_net, make_data, make_recipe):
    controls, rates, changes = Controls(), [], []
    recipe = make_recipe(steps=10, schedule="cosine", learning_rate=0.1)
    for event in fit(make_net(), make_data(), recipe, controls=controls):
        if isinstance(event, SettingChanged):
            changes.append((event.step, event.name, event.value))
        if isinstance(event, StepDone):
            rates.append(event.learning_rate)
            if event.step == 4:
                controls.set(learning_rate=0.02)
    plain = [
        event.learning_rate for event in fit(make_net(), make_data(), recipe) if isinstance(event, StepDone)
    ]
    assert changes == [(5, "learning_rate", 0.02)]
    assert rates[:4] == plain[:4]
    assert rates[4] == pytest.approx(0.02)
    assert rates[5:] == pytest.approx([rate * 0.02 / plain[4] for rate in plain[5:]])


def test_weight_decay_and_momentum_change_the_losses_from_then_on(make_net, make_data, make_recipe):
    plain = losses_of(make_net(), make_data(), make_recipe(steps=9))
    for settings in ({"momentum": 0.0}, {"weight_decay": 0.5}):
        controls, got = Controls(), []
        for event in fit(make_net(), make_data(), make_recipe(steps=9), controls=controls):
            if isinstance(event, StepDone):
                got.append(event.loss.item())
                if event.step == 4:
                    controls.set(**settings)
        assert got[:5] == plain[:5]
        assert got[6:] != plain[6:]


def test_impossible_live_settings_are_refused_at_once():
    with pytest.raises(InvalidSetting, match="learning_rate=-1 must be above 0"):
        Controls().set(learning_rate=-1)
    with pytest.raises(InvalidSetting, match="batch_size cannot be changed"):
        Controls().set(batch_size=2)


def test_the_batch_that_is_told_is_the_one_that_is_used(make_net, make_data, make_recipe):
    data, recipe = make_data(), make_recipe(mixup=0.3)
    batches = Batches(data, recipe, channels_last=False)
    told = [event for event in fit(make_net(), data, recipe) if isinstance(event, BatchReady)]
    assert [event.step for event in told] == list(range(1, 9))
    for event in told:
        batch = batches.cut(event.step)
        assert torch.equal(event.inputs, batch.inputs) and torch.equal(event.targets, batch.targets)


def test_batches_and_gradients_are_told_only_to_who_wants_them(make_net, make_data, make_recipe):
    controls = Controls()
    controls.wants_gradients = controls.wants_batches = False
    events = list(fit(make_net(), make_data(), make_recipe(), controls=controls))
    assert not any(isinstance(event, BatchReady | GradientsReady) for event in events)


def test_stop_is_seen_within_an_evaluation(make_net, make_data, make_recipe):
    controls, names = Controls(), []
    for event in fit(make_net(), make_data(test=1200), make_recipe(steps=5), controls=controls):
        names.append(type(event).__name__)
        if isinstance(event, StepDone) and event.step == 5:
            controls.stop = True
    assert names[-2:] == ["StepDone", "EvaluationStopped"]


@pytest.mark.parametrize("count", [2, 3, 31, 33])
def test_data_sets_smaller_than_a_batch_or_not_a_multiple_of_it(count, make_net, make_data, make_recipe):
    data = make_data(train=count, test=1)
    images = [
        event.examples
        for event in fit(make_net(), data, make_recipe(steps=3, accumulate=4, checkpoint_activations=True))
        if isinstance(event, StepDone)
    ]
    assert images == [min(32, count)] * 3


def test_a_split_of_one_class_alone_trains(make_net, make_data, make_recipe):
    data = make_data()
    data = replace(data, train=Split(data.train.images, torch.zeros_like(data.train.labels)))
    assert losses_of(make_net(), data, make_recipe(steps=40))[-1] < 0.1


def test_each_epoch_takes_every_image_once_in_a_new_order(make_data, make_recipe):
    data = make_data(train=160)
    data = replace(data, train=Split(data.train.images, torch.arange(160) % 4), classes=data.classes)
    marked = data.train.images.clone()
    marked[:, 0, 0, 0] = torch.arange(160, dtype=torch.uint8)
    data = replace(data, train=Split(marked, data.train.labels), mean=(0.0,) * 3, std=(1 / 255,) * 3)
    batches = Batches(data, make_recipe(), channels_last=True)
    epochs = [
        torch.cat([batches.cut(step).inputs[:, 0, 0, 0] for step in range(first, first + 5)]).round().long()
        for first in (1, 6)
    ]
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(160))] * 2
    assert not torch.equal(*epochs)


def test_what_does_not_fit_is_said_before_the_first_step(make_net, make_data, make_recipe):
    def fails(model: nn.Module, data: Dataset | None = None, **settings: object) -> InvalidSetting:
        with pytest.raises(InvalidSetting) as caught:
            next(fit(model, data or make_data(), make_recipe(**settings)))
        return caught.value

    assert "build it with num_classes=4" in fails(make_net(classes=3)).message
    assert fails(make_net(classes=3)).field == "num_classes"
    wrong_channels = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 4))
    assert "in_channels=3" in fails(wrong_channels).message
    assert "(2, 4, 6, 6)" in fails(nn.Conv2d(3, 4, 3)).message
    assert "tuple" in fails(TwoOutputs()).message
    assert "requires_grad_" in fails(make_net().requires_grad_(False)).message
    assert "at least 2" in fails(make_net(), make_data(train=1)).message
    assert fails(make_net(), augmentation=Augmentation(crop_padding=8)).field == "crop_padding"
    assert "is not here" in fails(make_net(), device="tpu").message
    parts = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    stateless = Alone()
    assert fails(stateless, checkpoint_activations=True).field == "checkpoint_activations"
    next(fit(parts, make_data(), make_recipe(checkpoint_activations=True)))


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(192, 4)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.fc(images.flatten(1)), images


class Alone(nn.Module):
    """Weights of its own and no parts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(192, 4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.weight


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_no_step_waits_for_the_gpu(precision, cuda, make_net, make_data, make_recipe):
    recipe = make_recipe(device=cuda, steps=60, batch_size=16, precision=precision, ema=0.9, clip_norm=1.0)
    events = fit(make_net(), make_data(train=1600), recipe)
    modes: dict[int, int] = {}  # step -> what a wait for the device would do then: 2 raises
    try:
        for event in events:
            if isinstance(event, StepDone):
                modes[event.step] = torch.cuda.get_sync_debug_mode()
            if isinstance(event, StepDone) and event.step == 3:  # caches are warm
                torch.cuda.set_sync_debug_mode("error")
            if isinstance(event, StepDone) and event.step == 59:
                torch.cuda.set_sync_debug_mode("default")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [step for step, mode in modes.items() if mode == 2] == list(range(4, 60))


def test_compiling_leaves_the_model_and_its_names_alone(monkeypatch, make_net, make_data, make_recipe):
    """Only the wrapper around the training step is compiled; here by the backend that needs no compiler."""
    plain = torch.compile
    monkeypatch.setattr("reswork.training.modes._missing_compiler", lambda kind: "")
    monkeypatch.setattr(torch, "compile", lambda model, **options: plain(model, backend="eager", **options))
    model = make_net(dropout=0)
    keys = list(model.state_dict())
    got = losses_of(model, make_data(), make_recipe(compile="on"))
    assert got == losses_of(make_net(dropout=0), make_data(), make_recipe())
    assert list(model.state_dict()) == keys
