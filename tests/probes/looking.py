"""What the tests of probes share: a small network, images, and the proof that looking changed nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.models.network import ResNet, resnet
from reswork.store.checkpoint import open_checkpoint
from tests.places import PRETRAINED, SHARED

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the published networks


def _state(model: nn.Module) -> dict[str, Any]:
    """Everything that a probe might leave changed."""
    modules = list(model.modules())
    return {
        "tensors": {name: value.clone() for name, value in model.state_dict().items()},
        "same tensors": [id(t) for t in (*model.parameters(), *model.buffers())],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "needs gradient": [p.requires_grad for p in model.parameters()],
        "modes": [module.training for module in modules],
        "modules": [id(module) for module in modules],
        "hooks": [
            [len(value) for name, value in sorted(vars(module).items()) if name.endswith("_hooks")]
            for module in modules
        ],
        "compiled": [vars(module).get("_compiled_call_impl") for module in modules],
        "random": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].copy(),
        "grad mode": torch.is_grad_enabled(),
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one is other or one == other)


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Asserts, also on an exception, that nothing about a model or the world around it has changed."""
    before = _state(model)
    try:
        yield
    finally:
        after = _state(model)
        for what in before:
            assert _same(before[what], after[what]), what


def net(**settings: Any) -> ResNet:
    """A tiny network in training mode but for one norm, with gradients and running statistics of its own."""
    torch.manual_seed(0)
    model = resnet(**{"depth": 14, "width": 4, **settings})
    model(images(8)).square().sum().backward()
    model.layer2[0].bn1.eval()
    return model


def images(count: int = 6) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@cache
def published() -> ResNet:
    """The published ResNet-20, as it is."""
    path = PRETRAINED / "resnet20-12fca82f.th"
    if not path.exists():
        pytest.skip(f"no {path.name} beside the checkout")
    model = open_checkpoint(path).model
    assert isinstance(model, ResNet)
    return model


@cache
def cifar(count: int) -> tuple[Tensor, Tensor]:
    """The first training images of CIFAR-10 as the published networks take them, and their labels."""
    path = SHARED / "cifar10" / "first4000_lossless.npz"
    if not path.exists():
        pytest.skip(f"no {path.name} beside the checkout")
    with np.load(path) as file:
        pixels, labels = file["images"][:count], file["labels"][:count]
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return normalise(planes, MEAN, STD), torch.from_numpy(labels).long()
