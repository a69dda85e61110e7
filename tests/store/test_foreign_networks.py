"""What others trained: recognised by its weights alone, with the answers of the original."""

import argparse
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.models.network import resnet
from reswork.store.checkpoint import open_checkpoint
from tests.store.foreign_networks import (
    IMAGES,
    PreActivationBlock,
    ResidualFunctionNet,
    ShortcutBlock,
    Small,
    WideNet,
    as_detectron2,
    gap,
    lively,
    opened,
    renamed,
)
from tests.zoo import TIMM


@pytest.mark.parametrize(
    ("build", "label"),
    [
        (lambda: Small(ShortcutBlock), "ResNet-14"),
        (lambda: Small(ShortcutBlock, widths=(16, 32, 64, 128)), "ResNet-18"),
        (lambda: Small(PreActivationBlock, stem_norm=False), "Pre-activation ResNet-14"),
        (ResidualFunctionNet, "ResNet-18"),
        (lambda: WideNet(2), "WRN-16-2"),
        (lambda: WideNet(1), "Pre-activation ResNet-14"),
        (lambda: torchvision.models.resnet50(num_classes=7), "ResNet-50"),
        (lambda: torchvision.models.wide_resnet50_2(num_classes=7), "Wide ResNet-50-2"),
    ],
    ids=[
        "kuangliu",
        "kuangliu four stages",
        "kuangliu pre",
        "weiaicunzai",
        "xternalz",
        "xternalz 1",
        "tv50",
        "tvwide",
    ],
)
def test_answers_are_those_of_the_original(
    build: Callable[[], nn.Module], label: str, tmp_path: Path
) -> None:
    net = lively(build())
    found = opened(net.state_dict(), tmp_path)
    assert gap(found, net) < 1e-5
    assert found.config is not None and found.config.label == label and found.config.num_classes == 7


def body_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in net.state_dict().items() if not name.startswith("fc.")}


@pytest.mark.parametrize(
    ("wrap", "aside"),
    [
        (lambda body: renamed(body, lambda name: f"module.encoder_q.{name}"), None),
        (
            lambda body: {
                **renamed(body, lambda name: f"module.encoder_k.{name}"),
                **renamed(body, lambda name: f"module.encoder_q.{name}"),
                "module.encoder_q.fc.0.weight": torch.ones(512, 512),
                "module.encoder_q.fc.0.bias": torch.ones(512),
                "module.encoder_q.fc.2.weight": torch.ones(128, 512),
                "module.encoder_q.fc.2.bias": torch.ones(128),
                "module.queue": torch.ones(128, 10),
            },
            "another network",
        ),
        (
            lambda body: {
                **renamed(body, lambda name: f"module.encoder.{name}"),
                "module.head.0.weight": torch.ones(512, 512),
                "module.head.0.bias": torch.ones(512),
                "module.head.2.weight": torch.ones(128, 512),
                "module.head.2.bias": torch.ones(128),
            },
            "projection and prediction heads of the training",
        ),
        (
            lambda body: {
                **renamed(body, lambda name: f"student.backbone.{name}"),
                **renamed(body, lambda name: f"teacher.backbone.{name}"),
                "student.head.mlp.0.weight": torch.ones(64, 512),
            },
            "another network",
        ),
        (
            lambda body: {
                **renamed(body, lambda name: f"online_encoder.net.{name}"),
                **renamed(body, lambda name: f"target_encoder.net.{name}"),
                "online_predictor.net.0.weight": torch.ones(64, 512),
            },
            "another network",
        ),
        (
            lambda body: {
                **renamed(body, lambda name: f"backbone.body.{name}"),
                "backbone.fpn.inner_blocks.0.0.weight": torch.ones(256, 512, 1, 1),
                "rpn.head.conv.0.0.weight": torch.ones(256, 256, 3, 3),
            },
            "other parts of the model around it",
        ),
    ],
    ids=["moco body", "moco", "supcon", "dino", "byol", "detector"],
)
def test_bodies_open_as_features(wrap: Any, aside: str | None, tmp_path: Path) -> None:
    net = lively(torchvision.models.resnet18())
    net.fc = nn.Identity()
    content = wrap(body_of(net))
    found = opened({"state_dict": content}, tmp_path)
    assert gap(found, net) < 1e-5 and "features" in found.sentence
    assert (aside in found.set_aside) if aside else not found.set_aside
    used = len(found.model.state_dict()) if found.model is not None else 0
    assert used + sum(len(names) for names in found.set_aside.values()) == len(content), (
        "every tensor is accounted for"
    )


def test_other_namings(tmp_path: Path) -> None:
    net = lively(torchvision.models.resnet18(num_classes=7))
    theirs = renamed(net.state_dict(), as_detectron2)
    assert gap(opened({"model": theirs}, tmp_path), net) < 1e-5
    openmmlab = renamed(
        net.state_dict(),
        lambda name: name.replace("fc.", "head.fc.") if "fc." in name else f"backbone.{name}",
    )
    found = opened(
        {"state_dict": {**openmmlab, "data_preprocessor.mean": torch.ones(3, 1, 1)}, "meta": {}}, tmp_path
    )
    assert gap(found, net) < 1e-5 and found.set_aside == {
        "bookkeeping of the training": ("data_preprocessor.mean",)
    }


def test_a_segmentation_models_body_has_its_dilation_named(tmp_path: Path) -> None:
    whole = lively(torchvision.models.segmentation.fcn_resnet50(weights_backbone=None, num_classes=4))
    found = opened(whole.state_dict(), tmp_path)
    assert any("dilated" in each for each in found.assumptions) and "dilated_stages" in found.sentence
    found = opened(whole.state_dict(), tmp_path, dilated_stages=2)
    assert found.model is not None and not any("dilated" in each for each in found.assumptions)
    with torch.no_grad():
        wanted = whole.backbone(IMAGES)["out"].mean((2, 3))
        assert (found.model(IMAGES) - wanted).abs().max() < 1e-5 * wanted.abs().max()


def changed(change: Any, **settings: Any) -> nn.Module:
    net = lively(resnet(num_classes=5, **settings))
    change(net)
    return net


def first_1x1(net: Any) -> None:
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def groups_of_eight(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = 8


def one_pixel(net: Any) -> None:
    net.conv1.stride = (1, 1)


def last_one(net: Any) -> None:
    net.layer4[0].conv1.stride = net.layer4[0].downsample[0].stride = (1, 1)


def silu(net: nn.Module) -> None:
    for name, child in list(net.named_modules()):
        if isinstance(child, nn.ReLU):
            parent, _, own = name.rpartition(".")
            net.get_submodule(parent).add_module(own, nn.SiLU())


@torch.no_grad()
def decided(net: Any, images: Tensor) -> Tensor:
    """The labels that a net gives, once its classifier is made to tell the images apart and to be sure of it."""
    logits = torch.cat([net(part) for part in images.split(50)])
    scale = 3 / logits.std(0)
    net.fc.weight.mul_(scale[:, None])
    net.fc.bias.copy_((net.fc.bias - logits.mean(0)) * scale)
    return torch.cat([net(part) for part in images.split(50)]).argmax(1)


SHALLOW = {"depth": None, "stage_blocks": (1, 1, 1, 1), "block": "bottleneck", "width": 16}
CASES = [
    (first_1x1, SHALLOW, {"stride_in_1x1": True}),
    (groups_of_eight, {"depth": 8, "norm": "group", "shortcut": "B"}, {"norm_groups": 8}),
    (one_pixel, {"depth": 18, "width": 8}, {"stem_stride": 1}),
    (last_one, {"depth": 18, "width": 8}, {"last_stride": 1}),
    (silu, {"depth": 8}, {"activation": "silu"}),
]


@pytest.mark.parametrize(("change", "settings", "told"), CASES, ids=[next(iter(told)) for *_, told in CASES])
def test_what_no_tensor_tells_is_named_can_be_set_and_labels_decide(
    change: Any, settings: dict[str, Any], told: dict[str, Any], tmp_path: Path
) -> None:
    net = changed(change, **settings)
    images = torch.randn(60, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    labels = decided(net, images)
    name = next(iter(told))
    found = opened(net.state_dict(), tmp_path)
    assert gap(found, net) > 0.05, "the usual network answers otherwise"
    assert any(f"({name}=)" in each for each in found.assumptions) and f"({name}=)" in found.sentence
    found = opened(net.state_dict(), tmp_path, **told)
    assert gap(found, net) < 1e-5 and not any(f"({name}=)" in each for each in found.assumptions)
    found = opened(net.state_dict(), tmp_path, data=(images, labels))
    assert gap(found, net) < 1e-5, found.sentence
    assert (
        found.trials[0].accuracy == 1.0
        and len(found.trials) > 3
        and "labelled images chose" in found.sentence
    )


@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        (nn.Identity(), None),
        (nn.Linear(64, 5, bias=False), 5),
        (nn.Sequential(nn.Dropout(0.3), nn.Linear(64, 5)), 5),
        (nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 5)), 5),
        (nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5)), 5),
    ],
)
def test_usual_heads_open_with_the_body(head: nn.Module, outputs: int | None, tmp_path: Path) -> None:
    net = resnet(depth=8)
    net.fc = head  # type: ignore[assignment]
    lively(net)
    found = opened(net.state_dict(), tmp_path)
    assert gap(found, net) < 1e-5
    assert ("features" in found.sentence) if outputs is None else (f"{outputs} classes" in found.sentence)


def test_two_classifiers_are_told_and_either_can_be_taken(tmp_path: Path) -> None:
    net = resnet(depth=8, num_classes=5)
    state = {**net.state_dict(), "colour.weight": torch.ones(3, 64), "colour.bias": torch.ones(3)}
    found = opened(state, tmp_path)
    assert gap(found, net.eval()) < 1e-5
    assert found.set_aside == {"further classifiers": ("colour.weight", "colour.bias")}
    assert opened(state, tmp_path, head="colour").model(IMAGES).shape == (3, 3)  # type: ignore[misc]
    with pytest.raises(InvalidSetting, match=r"no classifier is called 'size'; there are 'fc', 'colour'"):
        opened(state, tmp_path, head="size")


def test_one_of_several_networks_is_taken_by_a_rule_and_any_can_be_asked_for(tmp_path: Path) -> None:
    small, large = resnet(depth=8).eval(), resnet(depth=14).eval()
    content = {"teacher": large.state_dict(), "student": small.state_dict()}
    found = opened(content, tmp_path)
    assert found.networks == ("student", "teacher") and gap(found, small) < 1e-5
    assert "'teacher' (weights=)" in found.sentence
    assert gap(opened(content, tmp_path, weights="teacher"), large) < 1e-5
    averaged = {"state_dict": small.state_dict(), "state_dict_ema": large.state_dict(), "epoch": 3}
    assert gap(opened(averaged, tmp_path), large) < 1e-5
    with pytest.raises(InvalidSetting, match=r"there are 'state_dict_ema', 'state_dict'"):
        opened(averaged, tmp_path, weights="swa")


class Settings:
    """Of a training script; nothing of it may run when a file is opened."""

    made = 0

    def __init__(self) -> None:
        self.rate = 0.1

    def __setstate__(self, state: object) -> None:
        type(self).made += 1


def test_objects_beside_the_weights_are_not_made(tmp_path: Path) -> None:
    net = resnet(depth=8).eval()
    content = {
        "state_dict": net.state_dict(),
        "args": argparse.Namespace(lr=0.1, nested=Settings()),
        "best": np.float64(0.91),
        "array": np.arange(3),
        "more": [Settings(), defaultdict(list, {"a": [1]}), {1, 2}, Path("here")],
        "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": []},
    }
    for legacy in (False, True):
        torch.save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=not legacy)
        found = open_checkpoint(tmp_path / "net.pt")
        assert gap(found, net) < 1e-5 and Settings.made == 0
        assert found.entries["best"] == 0.91
        assert "argparse.Namespace" in found.stand_ins and "argparse.Namespace" in found.sentence


def test_a_network_of_ones_own_gets_the_weights(tmp_path: Path) -> None:
    theirs = lively(torchvision.models.mobilenet_v3_small(num_classes=3))
    fresh = torchvision.models.mobilenet_v3_small(num_classes=3)
    found = opened(
        {"model": renamed(theirs.state_dict(), lambda name: f"module.{name}")}, tmp_path, model=fresh
    )
    assert gap(found, theirs) < 1e-5
    with pytest.raises(InvalidSetting, match=r"'classifier\.3\.weight'"):
        opened(theirs.state_dict(), tmp_path, model=torchvision.models.mobilenet_v3_small(num_classes=4))


def test_given_settings_must_fit(tmp_path: Path) -> None:
    net = lively(resnet(depth=8, residual=False))
    found = opened(net.state_dict(), tmp_path, config=net.config)
    assert gap(found, net) < 1e-5 and found.config == net.config
    with pytest.raises(InvalidSetting, match="names or shapes differ"):
        opened(net.state_dict(), tmp_path, config=rw.ResNetConfig(depth=20))
    with pytest.raises(InvalidSetting, match="'norm_group' is no detail"):
        opened(net.state_dict(), tmp_path, norm_group=3)
    with pytest.raises(InvalidSetting, match="norm_groups=4 says nothing about a ResNet-8"):
        opened(net.state_dict(), tmp_path, norm_groups=4)


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    state = OrderedDict(resnet(depth=8).state_dict())
    state["layer1.0.attention.conv.weight"] = torch.ones(16, 16, 1, 1)
    found = opened(state, tmp_path)
    assert found.model is None and "'layer1.0.attention.conv.weight'" in found.sentence


def test_an_opened_network_is_asked_and_trained_as_any_other(tmp_path: Path) -> None:
    net = changed(groups_of_eight, depth=8, norm="group", shortcut="B")
    model = opened(net.state_dict(), tmp_path, norm_groups=8).model
    assert model is not None and not hasattr(model, "config"), "no config could build it again"
    assert rw.probes.attribution(model, IMAGES[:1], method="grad_cam").maps.shape[-2:] == (64, 64)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18", "resnet26d", "resnet50_gn", "resnet50s", "resnet14t", "seresnet18", "resnetaa50", "resnetblur18",
        "resnetv2_50", "resnext50_32x4d",
    ],
)  # fmt: skip
def test_timms_networks(name: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    net = lively(timm.create_model(name, num_classes=7))
    assert gap(opened(net.state_dict(), tmp_path, **TIMM[name]), net) < 1e-5


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_hugging_faces_networks(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    settings = transformers.ResNetConfig(
        layer_type=kind, depths=[1, 2, 1, 1], hidden_sizes=[32, 64, 128, 256], embedding_size=16, num_labels=7
    )
    net = lively(transformers.ResNetForImageClassification(settings))
    assert gap(opened(net.state_dict(), tmp_path), net) < 1e-5
