"""The sheet is computed from the plan; each of its numbers is measured on the real network here."""

import weakref
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from reswork.errors import InvalidSetting
from reswork.models.blocks import ResidualBlock
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.models.sheet import SpecSheet, check_fit, spec_sheet

SIZE = 17  # odd, so that rounding counts


def _case(config: ResNetConfig, size: int = SIZE) -> tuple[ResNet, SpecSheet]:
    torch.manual_seed(0)
    return resnet(config), spec_sheet(config, (config.in_channels, size, size))


def _images(config: ResNetConfig, count: int, size: int = SIZE) -> Tensor:
    return torch.randn(count, config.in_channels, size, size)


def _layers(model: ResNet) -> dict[str, nn.Module]:
    """Every module that does something: leaves, and squeeze-and-excitation as a whole."""
    return {
        name: module
        for name, module in model.named_modules()
        if name.endswith(".se")
        or (
            not list(module.children())
            and not isinstance(module, nn.Identity | ResidualBlock)
            and ".se." not in name
        )
    }


class _Inside:
    """Which of the sheet's layers runs now."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        self.name = ""
        for name, module in layers.items():
            module.register_forward_pre_hook(lambda *_, name=name: setattr(self, "name", name))
            module.register_forward_hook(lambda *_: setattr(self, "name", ""))


def test_layers_shapes_and_parameters(any_variant: ResNetConfig) -> None:
    model, sheet = _case(any_variant)
    layers, shapes = _layers(model), {}
    for name, module in layers.items():
        module.register_forward_hook(
            lambda _m, _i, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    logits = model(_images(any_variant, 2))
    assert [layer.name for layer in sheet.layers] == list(shapes)  # in the order in which they ran
    assert {layer.name: layer.output_shape for layer in sheet.layers} == shapes
    assert sheet.output_shape == tuple(logits.shape[1:])
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in layers.items()}
    assert {layer.name: layer.parameters for layer in sheet.layers} == counts
    assert sheet.parameters == sum(p.numel() for p in model.parameters())
    for block in sheet.blocks:
        real = model.get_submodule(block.name)
        assert block.parameters == sum(p.numel() for p in real.parameters())
    assert tuple(block.name for block in sheet.blocks) == any_variant.block_names


def test_macs(any_variant: ResNetConfig) -> None:
    model, sheet = _case(any_variant)
    with FlopCounterMode(display=False) as counter:
        model.eval()(_images(any_variant, 1))
    assert 2 * sheet.macs == counter.get_total_flops()
    counted = counter.get_flop_counts()
    for spec in (*sheet.layers, *sheet.blocks):
        assert 2 * spec.macs == sum(counted.get(f"ResNet.{spec.name}", {}).values()), spec.name


def _kept_bytes(model: ResNet, images: Tensor) -> dict[str, int]:
    """Bytes of the tensors that each layer is the first to keep for the backward pass."""
    layers = _layers(model)
    inside = _Inside(layers)
    seen = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[str, int] = defaultdict(int)

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept[inside.name] += storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model.train()(images)  # holds the graph, so no address is used twice
    del logits
    return kept


def test_activation_bytes(any_variant: ResNetConfig) -> None:
    model, sheet = _case(any_variant)
    two, three = (_kept_bytes(model, _images(any_variant, count)) for count in (2, 3))
    measured = {name: three[name] - two[name] for name in three}  # statistics of the whole batch fall out
    assert {layer.name: layer.activation_bytes for layer in sheet.layers if layer.activation_bytes} == {
        name: size for name, size in measured.items() if size
    }
    assert sheet.activation_bytes == sum(measured.values())


class _Live(TorchDispatchMode):
    """Bytes that live after each operation, by layer."""

    def __init__(self, inside: _Inside, images: Tensor, fixed: set[int]) -> None:
        super().__init__()
        self._inside, self._fixed = inside, fixed
        self._tensors = weakref.WeakSet[Any]()
        self._refs = [weakref.ref(images)]
        self.most: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                self._refs.append(weakref.ref(tensor))
        storages = {}
        for reference in self._refs:
            if (tensor := reference()) is not None and tensor.untyped_storage().data_ptr() not in self._fixed:
                storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        live = sum(storages.values())
        self.most[self._inside.name] = max(self.most[self._inside.name], live)
        return out


def test_inference_bytes(any_variant: ResNetConfig) -> None:
    model, sheet = _case(any_variant)
    model.eval()
    inside = _Inside(_layers(model))
    images = _images(any_variant, 1)
    fixed = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    mode: AbstractContextManager[_Live] = _Live(inside, images, fixed)
    with torch.no_grad(), mode as live:
        model(images)
    for layer in sheet.layers:
        if layer.name in live.most:  # dropped layers run no operation
            assert live.most[layer.name] == layer.inference_bytes, layer.name
    assert max(live.most.values()) == sheet.inference_bytes


@pytest.mark.parametrize(
    "settings",
    [
        {"stage_blocks": (2, 1)},
        {"stage_blocks": (2, 1), "order": "pre", "shortcut": "B"},
        {"stage_blocks": (1, 2, 1), "block": "bottleneck"},
        {"stage_blocks": (1, 1), "stem": "imagenet"},
        {"stage_blocks": (1, 1), "stem": "resnet_d"},
        {"stage_blocks": (2, 1), "branches_off": ("layer1.1",)},
        {"stage_blocks": (2, 1), "branches_off": ("layer2.0",), "shortcut": "B"},
        {"stage_blocks": (2, 1), "residual": False},
        {"stage_blocks": (1, 1), "head": "unet"},
        {"stage_blocks": (1, 1, 2, 1), "head": "unet"},
        {"stage_blocks": (1, 1), "head": "unet", "branches_off": ("decoder.layer1.0",)},
        {"stage_blocks": (1, 1), "head": "unet", "stem": "imagenet", "order": "pre"},
        {"stage_blocks": (1, 1), "head": "unet", "stem": "resnet_d", "block": "bottleneck"},
        {"stage_blocks": (1, 1, 1), "head": "fcn"},
        {"stage_blocks": (1, 1), "head": "fcn", "stem": "imagenet", "order": "pre"},
    ],
    ids=str,
)
def test_receptive_field(settings: dict[str, Any]) -> None:
    """Ones for weights, no ReLU in the way: the gradient of one output reaches exactly the pixels it sees."""
    config = ResNetConfig(**{"depth": None, "form": "cifar", "width": 4, "norm": "none", **settings})
    size = 129
    model, sheet = _case(config, size)
    model.double()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.01)
    if isinstance(model.maxpool, nn.MaxPool2d):  # an average has the same window, and shows all of it
        model.maxpool = nn.AvgPool2d(3, stride=2, padding=1)
    outputs = {}
    for name, module in _layers(model).items():
        module.register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
    images = torch.ones(1, 3, size, size, dtype=torch.double, requires_grad=True)
    model(images)
    for layer in sheet.layers:
        if layer.output_shape[1:] and layer.output_shape[1] > 1:
            middle = layer.output_shape[1] // 2
            places = range(middle - 4, middle + 4) if "decoder" in layer.name else [middle]
            seen = [_rows_seen(outputs[layer.name][0, :, place, middle].sum(), images) for place in places]
            assert max(seen) == layer.receptive_field, layer.name
    head = 2 if config.head == "classifier" else 0
    assert sheet.receptive_field == max(
        layer.receptive_field for layer in sheet.layers[: len(sheet.layers) - head]
    )


def _rows_seen(one: Tensor, images: Tensor) -> int:
    """Rows of the image from the first to the last that a number depends on."""
    (reached,) = torch.autograd.grad(one, images, retain_graph=True)
    rows = reached[0].abs().sum((0, 2)).nonzero().flatten()
    return int(rows[-1] - rows[0]) + 1


def test_known_receptive_fields() -> None:
    for depth, pixels in ((18, 435), (34, 899), (50, 427)):  # 483 where the stride is in the first 1x1
        assert spec_sheet(ResNetConfig(depth=depth), (3, 224, 224)).receptive_field == pixels


@pytest.mark.parametrize("stem", ["cifar", "imagenet", "resnet_d"])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_every_size_fits_or_says_so(stem: str, shortcut: str) -> None:
    config = ResNetConfig(depth=None, stage_blocks=(1, 1, 1), stem=stem, shortcut=shortcut, width=4)
    halvings = 2 if stem == "cifar" else 4
    model = resnet(config).eval()
    for height in range(1, 36):
        width = (height * 7) % 33 + 1
        if min(height, width) <= 2 ** (halvings - 1):
            with pytest.raises(InvalidSetting, match=f"at least {2 ** (halvings - 1) + 1} pixels") as caught:
                spec_sheet(config, (3, height, width))
            assert caught.value.field == "input_shape"
            continue
        shapes = {}
        for name, module in _layers(model).items():
            module.register_forward_hook(
                lambda _m, _i, o, name=name, s=shapes: s.update({name: tuple(o.shape[1:])})
            )
        model(torch.zeros(1, 3, height, width))
        assert {
            layer.name: layer.output_shape for layer in spec_sheet(config, (3, height, width)).layers
        } == shapes


def test_odd_sizes_are_told() -> None:
    assert check_fit(ResNetConfig(depth=20), (3, 32, 32)) == ()
    notes = spec_sheet(ResNetConfig(depth=20, in_channels=1), (1, 28, 30)).notes
    assert notes == ("layer3 halves an odd size, 14x15, and rounds up to 7x8.",)


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ((1, 32, 32), "in_channels"),
        ((3, 0, 32), "input_shape"),
        ((3, 32), "input_shape"),
        ((3, 32, 2.5), "input_shape"),
    ],
)
def test_wrong_input_shapes(shape: Any, field: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        spec_sheet(ResNetConfig(), shape)
    assert caught.value.field == field


def test_block_specs_say_what_each_block_is() -> None:
    config = ResNetConfig(depth=14, shortcuts_off=("layer1.1",), branches_off=("layer3.1",))
    kinds = {
        block.name: (block.shortcut, block.branch, block.stage, block.stride)
        for block in spec_sheet(config).blocks
    }
    assert kinds == {
        "layer1.0": ("identity", True, 1, 1),
        "layer1.1": ("none", True, 1, 1),
        "layer2.0": ("padding", True, 2, 2),
        "layer2.1": ("identity", True, 2, 1),
        "layer3.0": ("padding", True, 3, 2),
        "layer3.1": ("identity", False, 3, 1),
    }
    for shortcut, first, rest in (("B", "projection", "identity"), ("C", "projection", "projection")):
        blocks = spec_sheet(ResNetConfig(depth=14, shortcut=shortcut)).blocks
        assert {block.shortcut for block in blocks if block.stride == 2} == {first}
        assert {block.shortcut for block in blocks if block.stride == 1} == {rest}
        plain = spec_sheet(ResNetConfig(depth=14, shortcut=shortcut, residual=False)).blocks
        assert {block.shortcut for block in plain} == {"none"}


def test_builds_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_weights(*_: object, **__: object) -> None:
        raise AssertionError("a weight was made")

    monkeypatch.setattr(nn.Parameter, "__new__", no_weights)
    assert spec_sheet(ResNetConfig(depth=56)).parameters == 853_018
