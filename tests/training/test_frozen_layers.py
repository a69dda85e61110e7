"""Rates by layer, frozen layers and unfreezing, against loops written with torch alone."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.models.network import resnet
from reswork.recorders import gradient_norms, learning_rate, noise_scale, signal_variance, update_ratios
from reswork.training import LayersUnfrozen, RunStarted, StepDone
from reswork.training.batches import Batches
from reswork.training.controls import Controls
from reswork.training.loop import fit
from reswork.training.modes import _missing_compiler
from reswork.training.recipe import Recipe
from reswork.training.remarks import remarks_of
from reswork.training.run import Run
from reswork.training.schedules import learning_rates

STEM = ("conv1", "bn1")
KEPT = (
    "conv1.weight",
    "bn1.weight",
    "bn1.bias",
    "bn1.running_mean",
    "bn1.running_var",
    "bn1.num_batches_tracked",
)
PER_EPOCH = 5  # 160 images, batches of 32
WITHIN: dict[str, tuple[str, ...]] = {"layer1": ("layer1.",), "rest": ("layer2.", "fc.")}


@pytest.fixture
def net() -> nn.Module:
    return small_net()


def small_net(**settings: Any) -> nn.Module:
    """Stem, two stages of one block, head; norms that have seen something."""
    torch.manual_seed(2)
    model = resnet(depth=None, form="cifar", stage_blocks=(1, 1), width=4, num_classes=4, **settings)
    with torch.no_grad():
        model.train()(2 + 3 * torch.randn(16, 3, 8, 8))
    return model


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def part_of(name: str) -> str | None:
    return next((part for part, begins in WITHIN.items() if name.startswith(begins)), None)


def by_hand(model: nn.Module, data: Any, recipe: Recipe, joins: int) -> list[float]:
    """A plain loop: the stem never learns, layer1 from step `joins` on at a tenth of the rate."""
    batches = Batches(data, recipe, channels_last=False)
    rates = learning_rates(recipe, len(data.train))[1].tolist()
    parts: dict[str, list[nn.Parameter]] = {"layer1": [], "rest": []}
    for name, weight in model.named_parameters():
        if part := part_of(name):
            parts[part].append(weight)
        else:
            weight.requires_grad = False
    kinds: dict[str, Any] = {
        "sgd": lambda weights: torch.optim.SGD(weights, momentum=0.9, weight_decay=0.01, fused=True),
        "adam": lambda weights: torch.optim.Adam(weights, betas=(0.9, 0.999), weight_decay=0.01, fused=True),
        "adamw": lambda weights: torch.optim.AdamW(
            weights, betas=(0.9, 0.999), weight_decay=0.01, fused=True
        ),
    }
    make = kinds[recipe.optimizer]
    trained = {"rest": make(parts["rest"])}
    losses = []
    for step in range(1, len(rates) + 1):
        frozen = ("conv1", "bn1") if step >= joins else ("conv1", "bn1", "layer1")
        if step == joins:
            trained["layer1"] = make(parts["layer1"])
        model.train()
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d) and name.startswith(frozen):
                module.eval()
        for weight in parts["layer1"]:
            weight.requires_grad = step >= joins
        batch = batches.cut(step)
        loss = F.cross_entropy(model(batch.inputs), batch.targets)
        loss.backward()
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_([*parts["rest"], *parts["layer1"]], recipe.clip_norm)
        for part, optimizer in trained.items():
            optimizer.param_groups[0]["lr"] = rates[step - 1] * (0.1 if part == "layer1" else 1.0)
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "clip_norm": 0.2, "warmup_epochs": 1.0},
        {"optimizer": "adam", "learning_rate": 0.003},
        {"optimizer": "adamw", "learning_rate": 0.003, "schedule": "one_cycle"},
    ],
    ids=lambda settings: str(settings.get("optimizer", "clipped" if "clip_norm" in settings else "sgd")),
)
def test_it_equals_a_loop_written_with_torch(
    settings: dict[str, Any], make_data: Any, make_recipe: Any
) -> None:
    recipe = make_recipe(
        steps=17,
        weight_decay=0.01,
        frozen=(*STEM, "layer1"),
        unfreeze_epochs={"layer1": 1.4},  # from the eighth step on
        layer_rates={"layer1": 0.1},
        **settings,
    )
    data, model, reference = make_data(), small_net(), small_net()
    before = copied(model)
    losses, unfrozen = [], []
    for event in fit(model, data, recipe):
        if isinstance(event, StepDone):
            losses.append(event.loss.item())
            rate = {"layer1": pytest.approx(event.learning_rate * 0.1)} if event.step >= 8 else {}
            assert event.layer_rates == rate
        elif isinstance(event, LayersUnfrozen):
            unfrozen.append((event.step, event.layers))
    assert unfrozen == [(8, ("layer1",))]
    expected = by_hand(reference, data, recipe, joins=8)
    assert losses == pytest.approx(expected, rel=1e-5)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)
    for name in KEPT:
        assert torch.equal(model.state_dict()[name], before[name]), name
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


CHANNELS = {"layer1.0.conv1": (0, 2), "layer1.0.bn1": (1,), "fc": (3,)}


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.05, "clip_norm": 0.2},
        {"optimizer": "adamw", "learning_rate": 0.003, "ema": 0.9},
    ],
    ids=["sgd", "adamw"],
)
def test_single_channels_stand_still_as_in_a_loop_written_with_torch(
    settings: dict[str, Any], make_data: Any, make_recipe: Any
) -> None:
    frozen = tuple(f"{name}[{', '.join(map(str, rows))}]" for name, rows in CHANNELS.items())
    recipe = make_recipe(steps=7, weight_decay=0.01, frozen=frozen, **settings)
    data, model, reference = make_data(), small_net(), small_net()
    before = copied(model)
    losses = [event.loss.item() for event in steps_of(model, data, recipe)]

    def rows_of(state: dict[str, Tensor]) -> dict[str, tuple[Tensor, list[int]]]:
        return {
            f"{name}.{key}": (state[f"{name}.{key}"], list(rows))
            for name, rows in CHANNELS.items()
            for key in ("weight", "bias", "running_mean", "running_var")
            if f"{name}.{key}" in state
        }

    rates = learning_rates(recipe, len(data.train))[1].tolist()
    batches, weights = Batches(data, recipe, channels_last=False), list(reference.parameters())
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(weights, weight_decay=0.01)
        if recipe.optimizer == "adamw"
        else torch.optim.SGD(weights, momentum=0.9, weight_decay=0.01)
    )
    expected = []
    for step, rate in enumerate(rates, 1):
        batch = batches.cut(step)
        loss = F.cross_entropy(reference.train()(batch.inputs), batch.targets)
        loss.backward()
        for name, weight in reference.named_parameters():
            for layer, rows in CHANNELS.items():
                if name.startswith(f"{layer}.") and weight.grad is not None:
                    weight.grad[list(rows)] = 0
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for name, (values, rows) in rows_of(reference.state_dict()).items():
                values[rows] = before[name][rows]
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    if recipe.ema is None:
        for name, value in reference.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)
    for name, (values, rows) in rows_of(model.state_dict()).items():
        assert torch.equal(values[rows], before[name][rows]), name
        others = [row for row in range(len(values)) if row not in rows]
        assert not torch.equal(values[others], before[name][others]), name


def steps_of(model: nn.Module, data: Any, recipe: Recipe, **options: Any) -> Iterator[StepDone]:
    return (event for event in fit(model, data, recipe, **options) if isinstance(event, StepDone))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ema": 0.9, "clip_norm": 0.5},
        {"precision": "bf16", "channels_last": True},
        {"precision": "fp16"},
        {"accumulate": 3, "mixup": 0.3},
        {"checkpoint_activations": True},
        {"optimizer": "adamw", "learning_rate": 1e-3, "decay_norm_and_bias": False},
        {"deterministic": True, "compile": "auto"},
    ],
    ids=lambda settings: "+".join(settings) or "plain",
)
def test_what_is_frozen_stays_to_the_last_bit_and_what_joins_moves(
    settings: dict[str, Any], make_data: Any, make_recipe: Any, device: str
) -> None:
    if settings.get("precision") == "fp16" and device == "cpu":
        pass  # the processor has fp16 as well, only slowly
    recipe = make_recipe(
        steps=12, device=device, frozen=(*STEM, "layer1"), unfreeze_epochs={"layer1": 1}, **settings
    )
    model = small_net()
    before = copied(model.to(device))
    average: nn.Module | None = None
    for event in fit(model, make_data(), recipe):
        if isinstance(event, StepDone) and event.step == PER_EPOCH:
            now = event.model.state_dict()
            for name in now:
                same = torch.equal(now[name], before[name])
                assert same or not name.startswith(("conv1", "bn1", "layer1")), name
            assert not torch.equal(now["layer2.0.conv1.weight"], before["layer2.0.conv1.weight"])
        average = getattr(event, "model", average)
    now = model.state_dict()
    for name in now:
        if name.startswith(("conv1", "bn1")):
            assert torch.equal(now[name], before[name]), name
        elif name.startswith("layer1") and now[name].is_floating_point():
            assert not torch.equal(now[name], before[name]), name


def test_a_frozen_layer_gives_the_same_whatever_is_learned(make_data: Any, make_recipe: Any) -> None:
    model, images = small_net(), torch.randn(5, 3, 8, 8)
    body = nn.Sequential(model.conv1, model.bn1, model.relu, model.layer1)
    expected = body.eval()(images)
    list(steps_of(model, make_data(), make_recipe(frozen=("conv1", "bn1", "layer1"))))
    assert torch.equal(body.eval()(images), expected)


def test_norms_that_keep_their_statistics_use_them_while_all_weights_learn(
    make_data: Any, make_recipe: Any
) -> None:
    recipe = make_recipe(steps=4, norm_statistics="kept", schedule="constant", precision="fp32")
    data, model, reference = make_data(), small_net(), small_net()
    before = copied(model)
    losses = [event.loss.item() for event in steps_of(model, data, recipe)]
    batches = Batches(data, recipe, channels_last=False)
    optimizer = torch.optim.SGD(
        reference.parameters(), lr=0.1, momentum=0.9, weight_decay=recipe.weight_decay
    )
    expected = []
    for step in range(1, 5):
        reference.eval()  # it has no dropout: evaluation form is only about the norms
        batch = batches.cut(step)
        loss = F.cross_entropy(reference(batch.inputs), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-4)
    for name, value in model.state_dict().items():
        is_statistic = "running" in name or "num_batches" in name
        assert torch.equal(value, before[name]) is is_statistic, name
    run = Run(small_net(), data, recipe)
    run.start()
    run.wait(300)
    (note,) = run.history.notes
    assert (note.kind, note.details["layers"], len(note.details["norms"])) == ("frozen", [], 5)
    assert "would have followed the images and stay as they came" in remarks_of(run.history)
    assert "is frozen" not in remarks_of(run.history)


def test_parts_of_a_frozen_layer_may_join_and_the_longest_name_decides(
    make_data: Any, make_recipe: Any
) -> None:
    recipe = make_recipe(
        steps=12,
        frozen=("layer1", "layer2"),
        unfreeze_epochs={"layer1": 2, "layer1.0.conv2": 1},
        layer_rates={"layer1": 0.5, "layer1.0": 0.25, "layer1.0.conv2": 0.125},
        schedule="constant",
    )
    model = small_net()
    rates, wanting = {}, {}
    for event in fit(model, make_data(), recipe):
        if isinstance(event, StepDone):
            rates[event.step] = dict(event.layer_rates)
            wanting[event.step] = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert rates[5] == {}
    assert rates[6] == {"layer1.0.conv2": 0.0125}
    assert rates[11] == {"layer1": 0.05, "layer1.0": 0.025, "layer1.0.conv2": 0.0125}
    names = {name for name, _ in model.named_parameters()}
    rest = {name for name in names if not name.startswith("layer")}
    assert wanting[5] == rest
    assert wanting[6] == rest | {"layer1.0.conv2.weight"}
    assert wanting[11] == {name for name in names if not name.startswith("layer2")}


def test_a_rate_set_while_it_runs_goes_through_the_factors(make_data: Any, make_recipe: Any) -> None:
    recipe = make_recipe(steps=6, schedule="constant", layer_rates={"layer1": 0.5, "fc": 10})
    controls, seen = Controls(), []
    for event in steps_of(small_net(), make_data(), recipe, controls=controls):
        seen.append((event.learning_rate, dict(event.layer_rates)))
        if event.step == 3:
            controls.set(learning_rate=0.02)
    assert seen[2] == (0.1, {"fc": 1.0, "layer1": 0.05})
    assert seen[3] == (0.02, {"fc": 0.2, "layer1": 0.01})


def test_layer_rates_of_one_change_nothing(make_data: Any, make_recipe: Any) -> None:
    losses = [
        [event.loss.item() for event in steps_of(small_net(), make_data(), make_recipe(layer_rates=rates))]
        for rates in ({}, {"layer1": 1, "fc": 1.0})
    ]
    assert losses[0] == losses[1]


def test_weights_that_somebody_froze_stay_frozen_and_are_told(make_data: Any, make_recipe: Any) -> None:
    model = small_net()
    model.layer1.requires_grad_(False)
    model.layer2[0].conv1.weight.requires_grad_(False)
    before = copied(model)
    recipe = make_recipe(steps=12, frozen=("layer2",), unfreeze_epochs={"layer2": 1})
    run = Run(model, make_data(), recipe)
    run.start()
    run.wait(300)
    now = model.state_dict()
    for name, weight in model.named_parameters():
        by_hand = name.startswith("layer1") or name == "layer2.0.conv1.weight"
        assert weight.requires_grad is not by_hand
        assert torch.equal(now[name], before[name]) is by_hand, name
    assert not torch.equal(now["layer1.0.bn1.running_mean"], before["layer1.0.bn1.running_mean"])
    notes = {note.kind: note for note in run.history.notes}
    assert notes["statistics_move"].details == {"norms": ["layer1.0.bn1", "layer1.0.bn2"]}
    frozen = notes["frozen"].details
    assert frozen["layers"] == ["layer2"]
    assert frozen["norms"] == [name for name in _norm_names(model) if name.startswith("layer2")]
    assert frozen["untrained"] == []
    assert (notes["unfrozen"].step, notes["unfrozen"].details) == (6, {"layers": ["layer2"]})


def _norm_names(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


def test_a_net_without_frozen_layers_is_not_remarked_upon(make_data: Any, make_recipe: Any) -> None:
    started = next(iter(fit(small_net(), make_data(), make_recipe())))
    assert isinstance(started, RunStarted)
    assert started.frozen is not None
    assert (started.frozen.layers, started.frozen.moving) == ((), ())
    run = Run(small_net(), make_data(), make_recipe(steps=1))
    run.start()
    run.wait(300)
    assert run.history.notes == ()


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"frozen": ("layer9",)}, "frozen", "'layer9', which ResNet has not; choose conv1, bn1"),
        ({"frozen": ("layer",)}, "frozen", "'layer', which ResNet has not"),
        ({"layer_rates": {"conv1.weight": 0.1}}, "layer_rates", "'conv1.weight'"),
        ({"frozen": ("layer1",), "unfreeze_epochs": {"layer1.7": 1}}, "unfreeze_epochs", "'layer1.7'"),
        ({"frozen": ("conv1", "bn1", "layer1", "layer2", "fc")}, "frozen", "leaves nothing to train"),
        ({"frozen": ("layer9[1]",)}, "frozen", "'layer9', which ResNet has not"),
        ({"frozen": ("conv1[4]",)}, "frozen", "0 to 3"),
        ({"frozen": ("layer1[0]",)}, "frozen", "belong to its channels"),
    ],
)
def test_names_that_fit_nothing_are_refused(
    settings: dict[str, Any], field: str, words: str, make_data: Any, make_recipe: Any
) -> None:
    model = small_net()
    with pytest.raises(InvalidSetting, match=words) as caught:
        next(fit(model, make_data(), make_recipe(**settings)))
    assert caught.value.field == field
    assert all(weight.requires_grad for weight in model.parameters())


def test_recorders_say_that_a_frozen_layer_stands_still(make_data: Any, make_recipe: Any) -> None:
    recipe = make_recipe(
        steps=10, frozen=(*STEM, "layer1"), unfreeze_epochs={"layer1": 1}, layer_rates={"layer1": 0.1}
    )
    history = History()
    makers = (learning_rate, gradient_norms, update_ratios, noise_scale, signal_variance)
    recorders = [
        make(history) if make is learning_rate else make(history, every=1)  # type: ignore[operator]
        for make in makers
    ]
    run = Run(small_net(), make_data(), recipe, history=history, recorders=recorders)
    run.start()
    run.wait(300)
    assert [note.kind for note in history.notes] == ["frozen", "unfrozen"]  # none was taken off
    for group in ("grad_norm", "update_ratio"):
        found = history.vectors(group)
        assert (found.values[:, found.labels.index("conv1")] == 0).all()
        own = found.values[:, found.labels.index("layer1.0.conv1")]
        assert (own[:5] == 0).all()
        assert (own[5:] > 0).all()
        assert (found.values[:, found.labels.index("fc")] > 0).all()
    assert history.series("learning_rate/layer1").steps.tolist() == [6, 7, 8, 9, 10]
    assert len(history.series("learning_rate")) == 10


@pytest.mark.slow
@pytest.mark.skipif(bool(_missing_compiler("cpu")), reason="torch.compile has no compiler here")
def test_a_compiled_net_unfreezes_too(make_data: Any, make_recipe: Any) -> None:
    settings = {"steps": 8, "frozen": (*STEM, "layer1"), "unfreeze_epochs": {"layer1": 1}, "seed": 1}
    plain, compiled = (
        [
            event.loss.item()
            for event in steps_of(small_net(), make_data(), make_recipe(compile=how, **settings))
        ]
        for how in ("off", "on")
    )
    assert compiled == pytest.approx(plain, rel=1e-3)
