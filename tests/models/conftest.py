"""The product of all variants, as tiny nets: a test that takes ``variant`` runs for each of them.

Also with a decoder for one that takes ``unet_variant``, and both for one that takes ``any_variant``.
"""

import itertools
from dataclasses import replace

import pytest

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig

ORDERS = ("post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre")
TINY = {"depth": None, "form": "cifar", "width": 8, "num_classes": 5}
NORMS = [
    ("batch", "none"),
    ("group", "none"),
    ("none", "none"),
    ("batch", "skipinit"),
    ("none", "skipinit"),
    ("none", "fixup"),
]
EXTRAS = ({}, {"dropout": 0.3, "stochastic_depth": 0.5, "squeeze_excitation": True})
SINGLE = (
    {"block": "bottleneck", "groups": 2, "bottleneck_width": 32},
    {"widen_factor": 2},
    {"widen_factor": 2, "order": "pre", "shortcut": "B"},
    {"zero_init_last_norm": True},
    {"zero_init_last_norm": True, "order": "relu_only_pre", "block": "bottleneck"},
    {"in_channels": 1},
    {"shortcuts_off": ("layer1.1", "layer2.0")},
    {"shortcuts_off": ("layer1.1", "layer2.0"), "residual_scaling": "fixup", "norm": "none"},
    {"shortcuts_off": ("layer1.1",), "residual_scaling": "skipinit", "stochastic_depth": 0.5, "norm": "none"},
    {"branches_off": ("layer1.1", "layer2.0")},
    {"branches_off": ("layer1.0", "layer2.0"), "shortcut": "B", "order": "pre"},
    {"branches_off": ("layer2.0",), "shortcut": "B", "residual_scaling": "fixup", "norm": "none"},
    *({"stem": stem, "order": order} for stem in ("imagenet", "resnet_d") for order in ORDERS),
    *({"stem": stem, "norm": "none", "residual_scaling": "fixup"} for stem in ("imagenet", "resnet_d")),
    {"stem": "resnet_d", "norm": "none"},
    {"inner_channels": (3, 8, 5)},
    {"inner_channels": (3, 1, 5), "block": "bottleneck", "order": "pre", "squeeze_excitation": True},
    {"form": "imagenet", "stage_blocks": (1, 1, 1, 1), "block": "bottleneck"},
)


def _variants() -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    blocks, shortcuts = ("basic", "bottleneck"), ("A", "B", "C", None)
    for order, block, shortcut, (norm, scaling), extras in itertools.product(
        ORDERS, blocks, shortcuts, NORMS, EXTRAS
    ):
        settings = {"order": order, "block": block, "norm": norm, "residual_scaling": scaling, **extras}
        settings |= {"residual": False} if shortcut is None else {"shortcut": shortcut}
        if shortcut is None:
            settings["stochastic_depth"] = 0.0
        found.append(settings)
    return [*found, *SINGLE]


def _configs() -> dict[str, ResNetConfig]:
    configs = {}
    for settings in _variants():
        try:
            config = ResNetConfig(**{**TINY, "stage_blocks": (2, 1), **settings})  # type: ignore[arg-type]
        except InvalidSetting as error:
            assert error.field == "residual_scaling", settings  # the product's only impossible combinations
            continue
        configs[" ".join(str(value) for value in settings.values())] = config
    return configs


def _unets() -> dict[str, ResNetConfig]:
    """With a decoder: its blocks never change the shape, so that A and B are one there."""
    found = {
        f"unet {name}": replace(config, head="unet")
        for name, config in _configs().items()
        if config.shortcut != "B" and config.squeeze_excitation == (config.shortcut == "C")
    }
    off = replace(ResNetConfig(**TINY, stage_blocks=(2, 1)), head="unet")  # type: ignore[arg-type]
    found["unet shortcut off"] = replace(off, shortcuts_off=("decoder.layer1.0",))
    found["unet branch off"] = replace(off, branches_off=("decoder.layer1.0",))
    found["unet of one stage"] = replace(off, stage_blocks=(2,))
    return found | _pictures() | _fcns()


def _fcns() -> dict[str, ResNetConfig]:
    """With scores of each stage."""
    plain = replace(ResNetConfig(**TINY, stage_blocks=(2, 1, 1)), head="fcn")  # type: ignore[arg-type]
    return {
        "fcn": plain,
        "fcn pre": replace(plain, order="pre", shortcut="B", stem="imagenet"),
        "fcn fixup": replace(
            plain, norm="none", residual_scaling="fixup", stem="resnet_d", block="bottleneck"
        ),
        "fcn of one stage": replace(plain, stage_blocks=(2,)),
    }


def _pictures() -> dict[str, ResNetConfig]:
    """With heads that give another picture."""
    plain = ResNetConfig(**TINY | {"num_classes": 3}, stage_blocks=(2, 1))  # type: ignore[arg-type]
    return {
        "edsr": replace(plain, head="edsr", scale=2, norm="none", order="pre"),
        "edsr alone": replace(plain, head="edsr", scale=3, add_input=False),
        "vdsr": replace(plain, head="vdsr", scale=2, residual=False),
        "vdsr of one size": replace(plain, head="vdsr", norm="none", residual_scaling="skipinit"),
        "autoencoder": replace(plain, head="autoencoder", code=3),
        "autoencoder pooled": replace(
            plain, head="autoencoder", residual=False, stem="imagenet", norm="none"
        ),
    }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    variants = {"variant": _configs, "unet_variant": _unets, "any_variant": lambda: _configs() | _unets()}
    for name, configs in variants.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, list(configs().values()), ids=list(configs()))
