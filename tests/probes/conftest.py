from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Reused(nn.Module):
    """One in-place ReLU for everything, a functional one, an in-place addition: what trips hooks up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.conv3 = nn.Conv2d(6, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv1(x))
        out = self.bn(self.conv2(x))
        out += x
        x = F.max_pool2d(self.relu(out), 3, 2, 1)
        x = torch.relu_(self.conv3(x))
        return self.fc(F.relu(x.mean((2, 3))))


class Plain(nn.Module):
    """The same sum written as captum wants it: a module for each ReLU, nothing in place."""

    def __init__(self, other: Reused) -> None:
        super().__init__()
        self.conv1, self.conv2, self.bn, self.conv3, self.fc = (
            other.conv1, other.conv2, other.bn, other.conv3, other.fc,
        )  # fmt: skip
        self.relu1, self.relu2, self.relu3, self.relu4 = (nn.ReLU() for _ in range(4))
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))
        x = self.pool(self.relu2(self.bn(self.conv2(x)) + x))
        return self.fc(self.relu4(self.relu3(self.conv3(x)).mean((2, 3))))


@pytest.fixture
def reused() -> Reused:
    """In evaluation mode, with batch norm that has seen something."""
    torch.manual_seed(0)
    net = Reused()
    net.bn.running_mean.normal_(0, 0.3)
    net.bn.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.fixture
def plain(reused: Reused) -> Plain:
    return Plain(reused).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def state_of() -> Callable[[nn.Module], Any]:
    """All that a probe must leave alone, in a form that compares."""

    def state(model: nn.Module) -> Any:
        weights = [
            (n, p.detach().clone(), p.requires_grad, p.grad, id(p)) for n, p in model.named_parameters()
        ]
        buffers = [(n, b.clone(), id(b)) for n, b in model.named_buffers()]
        modules = [
            (n, id(m), m.training, *(tuple(getattr(m, h)) for h in vars(m) if "_hooks" in h))
            for n, m in model.named_modules()
        ]
        return weights, buffers, modules, torch.get_rng_state()

    return state
