"""The numbers of the papers and of published checkpoints."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.sheet import spec_sheet

# depth -> parameters, multiply-adds of convolutions and classifier: He et al. 2015, arXiv 1512.03385,
# table 6, exactly by formula for shortcut A; the first four read from akamaster's checkpoints.
HE_2015_CIFAR = {
    20: (269_722, 40_551_040),
    32: (464_154, 68_862_592),
    44: (658_586, 97_174_144),
    56: (853_018, 125_485_696),
    110: (1_727_962, 252_887_680),
    1202: (19_421_274, 2_829_238_912),
}
HE_2015_MILLIONS = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7, 1202: 19.4}  # as the paper prints them
# torchvision 0.29, meta of the weights: num_params, _ops (GMACs at 224 pixels)
TORCHVISION = {
    "resnet18": ({"depth": 18}, 11_689_512, 1.814),
    "resnet34": ({"depth": 34}, 21_797_672, 3.664),
    "resnet50": ({"depth": 50}, 25_557_032, 4.089),
    "resnet101": ({"depth": 101}, 44_549_160, 7.801),
    "resnet152": ({"depth": 152}, 60_192_808, 11.514),
    "resnext50_32x4d": ({"depth": 50, "groups": 32, "bottleneck_width": 4}, 25_028_904, 4.23),
    "resnext101_32x8d": ({"depth": 101, "groups": 32, "bottleneck_width": 8}, 88_791_336, 16.414),
    "wide_resnet50_2": ({"depth": 50, "bottleneck_width": 128}, 68_883_240, 11.398),
    "wide_resnet101_2": ({"depth": 101, "bottleneck_width": 128}, 126_886_696, 22.753),
}
SHARED = Path(__file__).parents[3] / "shared" / "data"


def _real_parameters(config: ResNetConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in resnet(config).parameters())


@pytest.mark.parametrize("depth", HE_2015_CIFAR)
def test_paper_cifar(depth: int) -> None:
    config = ResNetConfig(depth=depth)
    sheet = spec_sheet(config)
    assert (sheet.parameters, sheet.macs) == HE_2015_CIFAR[depth]
    assert _real_parameters(config) == sheet.parameters
    digits = 1 if depth > 100 else 2
    assert round(sheet.parameters / 1e6, digits) == HE_2015_MILLIONS[depth]


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_numbers(name: str) -> None:
    settings, parameters, giga_macs = TORCHVISION[name]
    config = ResNetConfig(**settings, num_classes=1000)
    sheet = spec_sheet(config, (3, 224, 224))
    assert sheet.parameters == parameters == _real_parameters(config)
    assert round(sheet.macs / 1e9, 3) == giga_macs


@pytest.mark.parametrize(
    ("depth", "factor", "millions"),
    [(28, 10, 36.5), (40, 4, 8.9), (16, 8, 11.0), (22, 8, 17.2), (40, 2, 2.2)],
)
def test_wide_resnets(depth: int, factor: int, millions: float) -> None:
    """Zagoruyko 2016, arXiv 1605.07146, tables 4 and 5."""
    config = ResNetConfig.wide(depth, factor)
    assert round(spec_sheet(config).parameters / 1e6, 1) == millions
    assert spec_sheet(config).parameters == _real_parameters(config)
    assert config.label == f"WRN-{depth}-{factor}"


def test_pre_activation_164_and_1001() -> None:
    """He 2016, arXiv 1603.05027, table 4: 1.7M and 10.2M parameters."""
    for depth, millions in ((164, 1.7), (1001, 10.3)):
        config = ResNetConfig(depth=depth, form="cifar", block="bottleneck", order="pre", shortcut="B")
        assert round(spec_sheet(config).parameters / 1e6, 1) == millions


def test_published_table_is_the_one_beside_the_checkout() -> None:
    import json

    path = SHARED / "published_numbers.json"
    if not path.exists():
        pytest.skip("no published_numbers.json beside the checkout")
    numbers = json.loads(path.read_text())
    rows = numbers["he2015_cifar10"]["rows"]
    assert {
        int(k): (row["exact_params_optionA"], row["conv_fc_MACs"]) for k, row in rows.items()
    } == HE_2015_CIFAR
    assert {int(k): row["paper_params_M"] for k, row in rows.items()} == HE_2015_MILLIONS
    for depth, count in numbers["akamaster"]["param_count_read_from_checkpoint"].items():
        assert HE_2015_CIFAR[int(depth)][0] == count
    rows = {name: row for name, row in numbers["torchvision_0.29_meta"].items() if name != "columns"}
    assert {name: (row[0], row[2]) for name, row in rows.items()} == {
        n: row[1:] for n, row in TORCHVISION.items()
    }


@pytest.mark.parametrize(
    ("depth", "file", "right"), [(20, "resnet20-12fca82f.th", 3992), (32, "resnet32-d509ac18.th", None)]
)
def test_published_checkpoint(depth: int, file: str, right: int | None) -> None:
    """akamaster's ResNets, against logits that were computed independently in numpy."""
    if not (SHARED / "pretrained" / file).exists():
        pytest.skip(f"no {file} beside the checkout")
    stored = torch.load(SHARED / "pretrained" / file, weights_only=True, map_location="cpu")["state_dict"]
    model = resnet(depth=depth).eval()
    weights = {
        name.removeprefix("module.").replace("linear.", "fc."): value for name, value in stored.items()
    }
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    known = np.load(SHARED / "pretrained" / "numpy_logits.npz")
    logits = known[
        "resnet20_train_lossless_first4000" if depth == 20 else "resnet32_train_lossless_first1000"
    ]
    with np.load(SHARED / "cifar10" / "first4000_lossless.npz") as file_:
        images, labels = file_["images"][: len(logits)], file_["labels"][: len(logits)]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        ours = torch.cat([model(batch) for batch in scaled.split(500)]).numpy()
    assert np.abs(ours - logits).max() < 1e-3
    if right is not None:
        assert (ours.argmax(1) == labels).sum() == right
