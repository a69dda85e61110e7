"""What tests of several layers begin with."""

import sys

import pytest
import torch
from hypothesis import settings

from reswork.datasets.dataset import Dataset, Split
from reswork.models.network import ResNet, resnet

# Of the formats that jsonschema knows, which nbformat brings, no test has "iri"; its grammar costs up to five seconds.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
settings.register_profile("reswork", deadline=None)  # a busy machine is no failure
settings.load_profile("reswork")


@pytest.fixture
def tiny_data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(40) % 2
    splits = Split(images[:32], labels[:32]), Split(images[32:], labels[32:])
    return Dataset("tiny", *splits, classes=("<b>one</b>", "two"), mean=(0.5,), std=(0.3,), source="made up")


@pytest.fixture
def tiny_net() -> ResNet:
    torch.manual_seed(0)
    return resnet(depth=8, width=2, in_channels=1, num_classes=2)
