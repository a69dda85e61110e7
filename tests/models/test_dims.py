import pytest
import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.models.blocks import PaddedShortcut, PaddedSignalShortcut
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.models.sheet import spec_sheet

random = torch.Generator().manual_seed(0)
FORMS = {
    "signals": (ResNetConfig(depth=8, dims=1, in_channels=2), (2, 37)),
    "bottlenecks": (ResNetConfig(depth=11, dims=1, block="bottleneck", order="pre", in_channels=1), (1, 64)),
    "18": (ResNetConfig(depth=18, width=8, dims=1, in_channels=1), (1, 130)),
    "volumes": (ResNetConfig(depth=8, dims=3, in_channels=1, width=4, shortcut="B"), (1, 9, 8, 10)),
    "tables": (ResNetConfig(depth=6, dims=0, in_channels=7, dropout=0.1), (7,)),
    "plain tables": (ResNetConfig(depth=6, dims=0, in_channels=7, residual=False, norm="none"), (7,)),
    "texts": (ResNetConfig(depth=8, dims=1, in_channels=12, vocabulary=40), (21,)),
}


def inputs_of(config: ResNetConfig, shape: tuple[int, ...]) -> torch.Tensor:
    if config.vocabulary is not None:
        return torch.randint(0, config.vocabulary, (2, *shape), generator=random)
    return torch.randn(2, *shape, generator=random)


@pytest.mark.parametrize("name", FORMS)
def test_the_sheet_is_what_pytorch_counts_and_shapes_are_those_of_the_layers(name: str) -> None:
    config, shape = FORMS[name]
    model, sheet = resnet(config, input_shape=shape).eval(), spec_sheet(config, shape)
    assert sheet.parameters == sum(each.numel() for each in model.parameters())
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, module in model.named_modules():
        module.register_forward_hook(
            lambda _module, _inputs, output, layer=layer: shapes.__setitem__(layer, tuple(output.shape[1:]))
        )
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert model(inputs_of(config, shape)).shape == (2, 10)
    assert counter.get_total_flops() == 2 * 2 * sheet.macs  # two inputs, two flops for a multiply-add
    for each in sheet.layers:
        if each.kind not in ("padding", "embedding"):
            assert shapes[each.name] == each.output_shape, each.name
    assert config == ResNetConfig.from_json(config.to_json())


def test_a_signal_of_one_row_is_an_image_of_one_row() -> None:
    """With the middle row of its kernels a 2-D network sees of an image of one row what the 1-D network sees."""
    one = resnet(
        ResNetConfig(depth=8, dims=1, in_channels=2, norm="none", residual_scaling="skipinit")
    ).eval()
    two = resnet(ResNetConfig(depth=8, in_channels=2, norm="none", residual_scaling="skipinit")).eval()
    with torch.no_grad():
        for name, weight in one.named_parameters():
            target = dict(two.named_parameters())[name]
            if name.endswith("weight") and weight.dim() == 1:
                weight.fill_(0.5)
            if weight.dim() == 3:
                target.zero_()[:, :, target.shape[2] // 2] = weight
            else:
                target.copy_(weight)
        signals = torch.randn(3, 2, 37, generator=random)
        torch.testing.assert_close(one(signals), two(signals.unsqueeze(2)), rtol=1e-4, atol=1e-5)
    assert {name for name, _ in one.named_parameters()} == {name for name, _ in two.named_parameters()}


def test_a_block_for_tables_is_the_papers() -> None:
    """x + Dropout(Linear(Dropout(ReLU(Linear(BatchNorm(x)))))), arXiv 2106.11959, and the plain twin without x."""
    for residual in (True, False):
        model = resnet(
            ResNetConfig(depth=4, dims=0, in_channels=5, width=16, residual=residual, dropout=0.2)
        ).eval()
        block, rows = model.layer1[0], torch.randn(4, 5, generator=random)
        assert [type(layer) for layer in block.children()] == [
            nn.BatchNorm1d, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.Dropout,
        ]  # fmt: skip
        x = nn.functional.linear(rows, model.conv1.weight, model.conv1.bias)
        inner = block.linear2(torch.relu(block.linear1(block.bn1(x)))) + (x if residual else 0)
        wanted = model.fc(torch.relu(model.bn_last(inner)))
        torch.testing.assert_close(model(rows), wanted)
    assert ResNetConfig(depth=8, dims=0).label == "Table ResNet-8"
    assert ResNetConfig(depth=20, dims=1, residual=False).label == "1-D Plain-20"


def test_padding_is_the_images_along_one_axis() -> None:
    signals = torch.randn(2, 3, 9, generator=random)
    one, two = PaddedSignalShortcut(3, 6, 2)(signals), PaddedShortcut(3, 6, 2)(signals.unsqueeze(2))
    assert torch.equal(one, two.squeeze(2))


def test_the_padding_token_has_no_weight() -> None:
    model = resnet(FORMS["texts"][0])
    assert model.embedding is not None and not model.embedding.weight[0].any()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dims": 4}, "dims=4 is not known"),
        ({"dims": 1, "head": "unet"}, "head='unet' does not go with dims=1"),
        ({"dims": 1, "squeeze_excitation": True}, "does not go with dims=1"),
        ({"dims": 1, "norm": "none", "residual_scaling": "fixup"}, "'fixup' is for images"),
        ({"dims": 0, "depth": 7}, r"choose 2n\+2"),
        ({"dims": 0, "block": "bottleneck"}, "does not go with dims=0"),
        ({"dims": 0, "stage_blocks": (1, 2), "depth": None}, "has one, such as"),
        ({"vocabulary": 5}, "needs dims=1"),
        ({"vocabulary": 0, "dims": 1}, "vocabulary=0"),
    ],
)
def test_what_makes_no_network_is_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        ResNetConfig(**settings)


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"must be \(channels, moments\)"):
        spec_sheet(ResNetConfig(dims=1), (3, 32, 32))
    with pytest.raises(InvalidSetting, match="rows of 4 columns; choose in_channels=4"):
        spec_sheet(ResNetConfig(dims=0, depth=4, in_channels=3), (4,))
    with pytest.raises(InvalidSetting, match="signals of 2 are too small"):
        spec_sheet(ResNetConfig(dims=1, in_channels=1), (1, 2))
    assert "19, and rounds up to 10" in spec_sheet(ResNetConfig(dims=1, in_channels=1), (1, 37)).notes[1]
