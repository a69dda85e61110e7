"""The script stands alone, rebuilds the network to the bit, and trains as the recipe says."""

import itertools
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

from reswork.datasets import languages, photographs, pulses, table, windows
from reswork.datasets.augmentation import Augmentation
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.experiment.standalone import show_code
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.tasks import config_for
from reswork.training.events import StepDone
from reswork.training.loop import fit
from reswork.training.recipe import Recipe
from reswork.training.schedules import learning_rates

TINY = {"depth": None, "form": "cifar", "width": 8, "num_classes": 5, "stage_blocks": (2, 2)}
ORDERS = ("post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre")
NORMS = ("batch none", "group none", "none none", "none skipinit", "none fixup")
ALL_ON = {"dropout": 0.3, "stochastic_depth": 0.5, "squeeze_excitation": True}
SINGLE: tuple[dict[str, Any], ...] = (
    ALL_ON,
    {**ALL_ON, "order": "pre", "shortcut": "B", "widen_factor": 2},
    {**ALL_ON, "norm": "none", "residual_scaling": "fixup", "block": "bottleneck"},
    {"stem": "imagenet"},
    {"stem": "resnet_d", "order": "pre"},
    {"stem": "resnet_d", "norm": "none"},
    {"stem": "resnet_d", "norm": "none", "residual_scaling": "fixup"},
    {"zero_init_last_norm": True, "shortcut": "B"},
    {"block": "bottleneck", "groups": 2, "bottleneck_width": 32, "zero_init_last_norm": True},
    {"in_channels": 1, "num_classes": 3},
    {"shortcuts_off": ("layer1.1", "layer2.0")},
    {"shortcuts_off": ("layer1.0", "layer2.0"), "norm": "none", "residual_scaling": "skipinit", **ALL_ON},
    {"shortcuts_off": ("layer1.1",), "norm": "none", "residual_scaling": "fixup"},
    {"branches_off": ("layer1.1", "layer2.0")},
    {"branches_off": ("layer1.1", "layer2.0"), "order": "pre", "shortcut": "B"},
    {"branches_off": ("layer1.0",), "shortcuts_off": ("layer2.1",), "block": "bottleneck", "order": "pre"},
    {"branches_off": ("layer1.0", "layer1.1", "layer2.0", "layer2.1"), "shortcut": "B"},
    {"inner_channels": (3, 8, 5, 7), "order": "pre"},
    {"inner_channels": (3, 8, 5, 7), "block": "bottleneck", "shortcut": "B"},
)
RECIPES: dict[str, Recipe] = {
    "sgd": Recipe(),
    "nesterov": Recipe(nesterov=True, decay_norm_and_bias=False, clip_norm=0.5, label_smoothing=0.1),
    "adam": Recipe(optimizer="adam", learning_rate=0.001, schedule="one_cycle", ema=0.9),
    "adamw": Recipe(optimizer="adamw", learning_rate=0.001, schedule="step", warmup_epochs=2, accumulate=3),
    "muon": Recipe(optimizer="muon", learning_rate=0.002, weight_decay=0.1, decay_norm_and_bias=False),
    "muon and rates": Recipe(
        optimizer="muon", learning_rate=0.002, layer_rates={"layer1": 0.3}, frozen=("layer2",)
    ),
    "fine-tuning": Recipe(
        frozen=("conv1", "bn1", "layer1"),
        unfreeze_epochs={"layer1": 2},
        layer_rates={"layer1": 0.3, "fc": 2.0},
        class_weights="balanced",
        label_smoothing=0.1,
        decay_norm_and_bias=False,
        learning_rate=0.02,
    ),
    "fine-tuning in parts": Recipe(
        frozen=("layer1", "layer2", "conv1[1, 3]"),
        unfreeze_epochs={"layer2.0": 1},
        class_weights=(1.0, 5.0, 0.2, 2.0, 1.0),
        accumulate=3,
        optimizer="adam",
        learning_rate=0.001,
        clip_norm=1.0,
    ),
    "kept statistics": Recipe(norm_statistics="kept", learning_rate=0.02),
    "frozen, and kept statistics": Recipe(norm_statistics="kept", frozen=("conv1",), learning_rate=0.02),
    "growing images": Recipe(image_scale=0.5, full_size_at=0.7, learning_rate=0.02),
    "constant": Recipe(
        schedule="constant", warmup_epochs=1.5, ema=0.99, accumulate=2, checkpoint_activations=True
    ),
}


def _variants() -> list[dict[str, Any]]:
    found = []
    for order, block, shortcut, norm in itertools.product(
        ORDERS, ("basic", "bottleneck"), ("A", "B", "C", None), NORMS
    ):
        kind, scaling = norm.split()
        settings = {"order": order, "block": block, "norm": kind, "residual_scaling": scaling}
        found.append(settings | ({"residual": False} if shortcut is None else {"shortcut": shortcut}))
    unets = [
        {"head": "unet", **settings}
        for settings in found[::7]
        if settings.get("shortcut") != "B"  # does the same as A in a decoder
    ]
    fcns = [{"head": "fcn", **settings} for settings in SINGLE[2:8]]
    return [*found, *SINGLE, *unets, *({"head": "unet", **settings} for settings in SINGLE), *fcns]


def _names(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(source, "script.py", "exec"), names)
    return names


@pytest.mark.parametrize("settings", _variants(), ids=lambda settings: " ".join(map(str, settings.values())))
def test_network_is_the_same_to_the_bit(settings: dict[str, Any]) -> None:
    try:
        config = ResNetConfig(**(TINY | settings))
    except InvalidSetting:
        return  # the product's impossible combinations: Fixup or SkipInit in a plain net, and one order
    source = show_code(config)
    assert "reswork" not in source
    assert max(map(len, source.splitlines())) <= 110
    names = _names(source)
    torch.manual_seed(0)
    ours = resnet(config)
    torch.manual_seed(0)
    theirs = names["ResNet"]()
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[name]), name
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(4, config.in_channels, 12, 12)
    for mode in (True, False):
        logits = []
        for model in (ours, theirs):
            torch.manual_seed(1)  # of dropout and stochastic depth
            logits.append(model.train(mode)(images))
        assert torch.equal(*logits)


PICTURES = {"num_classes": 3, "norm": "none", "order": "pre", "head": "edsr", "scale": 2}
OTHERS: tuple[dict[str, Any], ...] = (
    {"dims": 1},
    {"dims": 1, "order": "pre", "shortcut": "B", "norm": "group", "block": "bottleneck"},
    {"dims": 1, "norm": "none", "residual_scaling": "skipinit", "dropout": 0.3, "stochastic_depth": 0.5},
    {"dims": 1, "stem": "imagenet", "zero_init_last_norm": True},
    {"dims": 1, "vocabulary": 20},
    {"dims": 3, "residual": False, "stem": "resnet_d"},
    {"dims": 0, "stage_blocks": (3,), "dropout": 0.2, "stochastic_depth": 0.5},
    {"dims": 0, "stage_blocks": (2,), "residual": False, "norm": "none"},
    {"dims": 0, "stage_blocks": (2,), "branches_off": ("layer1.0",)},
    PICTURES,
    {**PICTURES, "head": "vdsr", "scale": 3},
    {**PICTURES, "head": "vdsr", "scale": 1, "residual": False},
    {**PICTURES, "add_input": False, "block": "bottleneck", "norm": "batch"},
    {**PICTURES, "scale": 1, "order": "post", "stochastic_depth": 0.5},
    {**PICTURES, "residual_scaling": "fixup"},
)


@pytest.mark.parametrize("settings", OTHERS, ids=lambda settings: " ".join(map(str, settings.values())))
def test_a_network_of_other_inputs_or_outputs_is_the_same_to_the_bit(settings: dict[str, Any]) -> None:
    config = ResNetConfig(**(TINY | settings))
    source = show_code(config)
    assert "reswork" not in source and max(map(len, source.splitlines())) <= 110
    names = _names(source)
    torch.manual_seed(0)
    ours = resnet(config)
    torch.manual_seed(0)
    theirs = names["ResNet"]()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(
        map(torch.equal, theirs.state_dict().values(), ours.state_dict().values())
    )  # from the same seed
    inputs = torch.randn(4, config.in_channels, *[12] * config.dims)
    if config.vocabulary is not None:
        inputs = torch.randint(0, config.vocabulary, (4, 12))
    for mode in (True, False):
        found = []
        for model in (ours, theirs):
            torch.manual_seed(1)
            found.append(model.train(mode)(inputs))
        assert torch.equal(*found)


@pytest.mark.parametrize("depth", [20, 50, 1202])
def test_source_stays_short(depth: int) -> None:
    assert len(show_code(ResNetConfig(depth=depth)).splitlines()) < 220
    assert len(show_code(ResNetConfig(depth=depth, head="unet")).splitlines()) < 280


def _data(count: int = 24, size: int = 8) -> Dataset:
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (count, 3, size, size), dtype=np.uint8))
    split = Split(images, torch.from_numpy(random.integers(0, 5, count)))
    mean, std = images.float().mean((0, 2, 3)) / 255, images.float().std((0, 2, 3), correction=0) / 255
    return Dataset("noise", split, split, tuple("abcde"), tuple(mean.tolist()), tuple(std.tolist()), "drawn")


@pytest.mark.parametrize("name", RECIPES)
def test_training_is_the_same_arithmetic(name: str) -> None:
    """One batch holds all images, so that only the order inside it differs: weights agree up to rounding."""
    plain = {"steps": 4, "batch_size": 24, "device": "cpu", "precision": "fp32", "channels_last": False}
    recipe = Recipe.from_dict({**RECIPES[name].to_dict(), **plain, "compile": "off", "seed": 3})
    if recipe.accumulate > 1:  # parts of a shuffled batch differ: without norms only their sum counts
        config = ResNetConfig(**TINY, norm="none", residual_scaling="skipinit")
    else:
        config = ResNetConfig(**TINY)
    data = _data()
    names = _names(show_code(config, recipe))
    torch.manual_seed(0)
    ours, theirs = resnet(config), names["ResNet"]()
    theirs.load_state_dict(ours.state_dict())
    losses = [float(event.loss) for event in fit(ours, data, recipe) if isinstance(event, StepDone)]
    names["train"](theirs, data.train.images, data.train.labels, data.test.images, data.test.labels)
    assert losses[-1] < losses[0] or name == "constant"
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[key], value, rtol=2e-3, atol=2e-4, msg=key)


WORLDS: dict[str, Callable[[], Dataset]] = {
    "signals": lambda: pulses(train=24, test=8, length=16),
    "next steps": lambda: windows(np.sin(np.arange(60.0)), 2, 8),
    "table": lambda: table({"a": np.arange(30.0), "b": np.arange(30) % 4, "y": [*"no", *"no!"] * 6}, "y"),
    "value": lambda: table({"a": np.arange(30.0), "b": np.arange(30) % 3, "y": np.arange(30.0) ** 2}, "y"),
    "text": lambda: languages().subset(train=32, test=16),
    "pictures": lambda: photographs(scale=2, patches=8, patch=8),
}


@pytest.mark.parametrize("name", WORLDS)
def test_training_of_other_worlds_is_the_same_arithmetic(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = WORLDS[name]()
    whole = {"batch_size": len(data.train), "device": "cpu", "precision": "fp32", "compile": "off"}
    recipe = Recipe(steps=3, seed=3, learning_rate=0.01, **whole)
    config = config_for(data, depth=8, width=4)
    names = _names(show_code(config, recipe, values=data.target_kind == "values"))
    torch.manual_seed(0)
    ours, theirs = resnet(config), names["ResNet"]()
    theirs.load_state_dict(ours.state_dict())
    losses = [float(event.loss) for event in fit(ours, data, recipe) if isinstance(event, StepDone)]
    names["train"](theirs, data.train.inputs, data.train.targets, data.test.inputs, data.test.targets)
    assert float(capsys.readouterr().out.split("loss ")[-1].split(",")[0]) == pytest.approx(
        losses[-1], rel=2e-3, abs=1e-4
    )
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[key], value, rtol=2e-3, atol=2e-4, msg=key)


def test_what_is_not_written_out_for_other_worlds_says_so() -> None:
    signals = ResNetConfig(depth=8, dims=1)
    with pytest.raises(InvalidSetting, match=r"mixup=0.2 is not written out for float32 signals"):
        show_code(signals, Recipe(mixup=0.2))
    with pytest.raises(
        InvalidSetting, match="class_weights='balanced' is not written out for float32 values"
    ):
        show_code(signals, Recipe(class_weights="balanced"), values=True)
    assert "targets" in show_code(signals, Recipe(class_weights="balanced"))


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 1.5])
def test_schedule_is_the_recipes(schedule: Any, warmup: float) -> None:
    recipe = Recipe(
        epochs=5, batch_size=10, schedule=schedule, warmup_epochs=warmup, milestones=(0.3, 0.5, 0.9)
    )
    rate = _names(show_code(ResNetConfig(**TINY), recipe))["learning_rate"]
    _, expected = learning_rates(recipe, 70)
    assert [rate(done, len(expected), 7) for done in range(len(expected))] == pytest.approx(
        expected.tolist(), rel=1e-12
    )


def test_augmentation_moves_mirrors_and_cuts() -> None:
    names = _names(
        show_code(ResNetConfig(**TINY), Recipe(augmentation=Augmentation(crop_padding=2, flip=True)))
    )
    image = torch.arange(1.0, 82.0).view(1, 1, 9, 9).repeat(400, 2, 1, 1)
    torch.manual_seed(0)
    results = {tuple(part[0].flatten().tolist()) for part in names["augmented"](image)}
    padded = torch.nn.functional.pad(image[0, 0], (2, 2, 2, 2))
    expected = {
        tuple((crop.flip(1) if mirrored else crop).flatten().tolist())
        for top, left, mirrored in itertools.product(range(5), range(5), (False, True))
        for crop in [padded[top : top + 9, left : left + 9]]
    }
    assert results == expected
    names = _names(show_code(ResNetConfig(**TINY), Recipe(augmentation=Augmentation(translate=1, cutout=3))))
    cut = (names["augmented"](image)[:, 0] == 128).sum((1, 2))
    assert cut.max() == 9 and cut.min() == 4  # a square of 3, centred anywhere: a corner keeps 2 x 2


FULL = Recipe(
    steps=5, batch_size=8, mixup=0.2, accumulate=2, ema=0.9, precision="bf16", deterministic=True, clip_norm=1.0,
    augmentation=Augmentation(crop_padding=2, flip=True, translate=1, cutout=3), decay_norm_and_bias=False,
    label_smoothing=0.1, checkpoint_activations=True, schedule="one_cycle", optimizer="adamw", learning_rate=0.01,
    layer_rates={"fc": 2.0}, frozen=("conv1", "layer1"), unfreeze_epochs={"conv1": 1}, class_weights="balanced",
)  # fmt: skip


def test_script_runs_without_reswork(tmp_path: Path) -> None:
    data = _data(20)
    script, arrays = tmp_path / "script.py", tmp_path / "data.npz"
    script.write_text(show_code(ResNetConfig(**TINY, dropout=0.1, stochastic_depth=0.2), FULL))
    images, labels = data.train.images.numpy(), data.train.labels.numpy()
    np.savez(arrays, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), str(arrays)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "step 5 of 5: loss" in done.stdout
    (weights,) = tmp_path.glob("*.pt")
    model = resnet(**TINY, dropout=0.1, stochastic_depth=0.2)
    model.load_state_dict(torch.load(weights, weights_only=True), strict=True)


def _masked(count: int) -> dict[str, np.ndarray]:
    """Bright rectangles on dark noise, and where they are; a border that counts nowhere."""
    random = np.random.default_rng(0)
    images = random.integers(0, 60, (count, 3, 18, 21), dtype=np.uint8)
    masks = np.zeros((count, 18, 21), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        top, left = random.integers(2, 9, 2)
        image[:, top : top + 7, left : left + 8] += 150
        mask[top : top + 7, left : left + 8] = 1
        mask[0] = 255
    return {"images": images, "labels": masks}


def test_script_of_a_u_net_learns_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {f"{part}_{name}": value for part in ("train", "test") for name, value in _masked(48).items()}
    np.savez(tmp_path / "data.npz", **arrays)
    script = tmp_path / "script.py"
    config = ResNetConfig(depth=8, width=8, num_classes=2, head="unet")
    script.write_text(show_code(config, Recipe(steps=60, batch_size=16, device="cpu")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), "data.npz"])
    torch.manual_seed(0)
    runpy.run_path(str(script), run_name="__main__")
    told = capsys.readouterr().out.split()[-1]
    assert float(told) > 0.8  # .99 and more
    (weights,) = tmp_path.glob("*.pt")
    model = resnet(config)
    model.load_state_dict(torch.load(weights, weights_only=True), strict=True)

    images = torch.from_numpy(arrays["train_images"]).float()
    std, mean = torch.std_mean(images, (0, 2, 3), correction=0, keepdim=True)
    with torch.no_grad():
        found = model.eval()((images - mean) / std).argmax(1)
    answers = torch.from_numpy(arrays["train_labels"]).long()
    iou = multiclass_jaccard_index(found, answers, 2, ignore_index=255)
    assert f"{iou:.4f}" == told


@pytest.mark.parametrize(
    "settings", [{"augmentation": Augmentation(flip=True)}, {"mixup": 0.2}, {"accumulate": 2}], ids=str
)
def test_what_the_script_does_not_do_to_masks_is_told(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(InvalidSetting, match="is not written out for int64 labels \\(N, H, W\\)") as caught:
        show_code(ResNetConfig(**TINY, head="unet"), Recipe(**settings))
    assert caught.value.field == name
