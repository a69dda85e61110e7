"""Which foreign networks `open_checkpoint` recognises: ``python -m tests.zoo > docs/foreign-weights.md``.

With the extra ``zoo`` the real packages are asked; without it their rows are left out, and the page says so.
"""

import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor, nn

from tests.store.foreign_networks import (
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

TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "wide_resnet50_2")
TIMM: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "resnet26": {},
    "resnet26d": {},
    "resnet50": {},
    "resnet50d": {},
    "resnet50s": {},
    "resnet10t": {},
    "resnet14t": {},
    "resnet50_gn": {},
    "resnext50_32x4d": {},
    "wide_resnet50_2": {},
    "seresnet18": {},
    "seresnet50": {},
    "seresnext26d_32x4d": {},
    "resnetaa34d": {"anti_aliasing": "average"},
    "resnetaa50": {"anti_aliasing": "average"},
    "resnetblur18": {"anti_aliasing": "blur"},
    "resnetblur50": {"anti_aliasing": "blur"},
    "resnetv2_18": {},
    "resnetv2_50": {},
    "resnetv2_50d_gn": {},
    "resnetv2_50x1_bit": {},
    "ecaresnet26t": {},
    "resnetrs50": {},
    "skresnet18": {},
}
BEGINNING = """# Foreign weights

What `rw.open_checkpoint(path)` makes of networks that others built: each is saved by `torch.save`,
with norms that have numbers of their own, and opened by its names and shapes alone. "equal": answers to three random
images of 64x64 differ by less than 1e-5 of the largest. Where it says "with", the file does not tell that detail: it is
named in `found.assumptions`, and labelled images (`data=`) or an argument settle it. What is refused comes back as
`found.weights`, for a network of one's own: `rw.open_checkpoint(path, model=net)`.
"""


def networks() -> Iterator[tuple[str, str, nn.Module, dict[str, Tensor] | None, dict[str, Any]]]:
    """Origin, name, network, its weights under other names (None: its own), arguments."""
    for name in TORCHVISION:
        yield "torchvision", name, getattr(torchvision.models, name)(num_classes=7), None, {}
    written = "written after the original"
    yield f"kuangliu, {written}", "ResNet, CIFAR form", Small(ShortcutBlock), None, {}
    yield (
        f"kuangliu, {written}",
        "PreActResNet, CIFAR form",
        Small(PreActivationBlock, stem_norm=False),
        None,
        {},
    )
    yield f"weiaicunzai, {written}", "resnet18", ResidualFunctionNet(), None, {}
    yield f"xternalz, {written}", "WRN-16-2", WideNet(2), None, {}
    body = torchvision.models.resnet50(num_classes=7)
    yield (
        "torchvision's under detectron2's names",
        "R-50",
        body,
        renamed(body.state_dict(), as_detectron2),
        {},
    )
    mm = renamed(
        body.state_dict(), lambda name: f"head.{name}" if name.startswith("fc.") else f"backbone.{name}"
    )
    yield "torchvision's under OpenMMLab's names", "ResNet-50", body, mm, {}
    if find_spec("timm") is not None:
        import timm

        for name, options in TIMM.items():
            yield "timm", name, timm.create_model(name, num_classes=7), None, options
    if find_spec("transformers") is not None:
        from transformers import ResNetConfig, ResNetForImageClassification

        for kind in ("basic", "bottleneck"):
            widths = [64 * (4 if kind == "bottleneck" else 1) * 2**stage for stage in range(4)]
            settings = ResNetConfig(layer_type=kind, depths=[2, 2, 2, 2], hidden_sizes=widths, num_labels=7)
            yield (
                "transformers",
                f"ResNetForImageClassification, {kind}",
                ResNetForImageClassification(settings),
                None,
                {},
            )
    for name in ("fcn_resnet50", "deeplabv3_resnet50"):
        whole = getattr(torchvision.models.segmentation, name)(weights_backbone=None, num_classes=4)
        yield (
            "torchvision, segmentation",
            f"{name}, its body",
            Body(whole),
            whole.state_dict(),
            {"dilated_stages": 2},
        )
    detector = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=3
    )
    yield (
        "torchvision, detection",
        "fasterrcnn_resnet50_fpn, its body",
        Body(detector),
        detector.state_dict(),
        {},
    )


class Body(nn.Module):
    """The pooled output of the last stage of a network around a ResNet."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.body = getattr(whole.backbone, "body", whole.backbone)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = list(self.body(x).values())[-1]
        return found.mean((2, 3))


def verdict(net: nn.Module, state: dict[str, Tensor] | None, options: dict[str, Any]) -> str:
    """One cell of the table."""
    lively(net)
    with tempfile.TemporaryDirectory() as folder:
        found = opened(net.state_dict() if state is None else state, Path(folder), **options)
    if found.model is None:
        return f"refused: {found.sentence.partition('(')[2].partition(')')[0]}"
    difference = gap(found, net)
    given = f", with {', '.join(f'`{name}={value!r}`' for name, value in options.items())}" if options else ""
    if difference < 1e-5:
        return f"equal{given}"
    told = next((each for each in found.assumptions if "standardised" in each), "")
    return f"other answers ({difference:.0%} of the largest){given}; told: {told or 'nothing'}"


def main() -> None:
    """Print the page."""
    print(BEGINNING)
    for package in ("torch", "torchvision", "timm", "transformers"):
        try:
            print(f"- {package} {version(package).partition('+')[0]}")
        except PackageNotFoundError:
            print(f"- {package} was not installed; its rows are missing (`pip install 'reswork[zoo]'`)")
    print(
        "\nMade by `python -m tests.zoo > docs/foreign-weights.md`.\n\n| from | network | opened |\n|---|---|---|"
    )
    for origin, name, net, state, options in networks():
        print(f"| {origin} | {name} | {verdict(net, state, options)} |", flush=True)
        print(name, file=sys.stderr)


if __name__ == "__main__":
    main()
