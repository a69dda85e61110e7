import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from reswork.models.anatomy import BlockAnatomy, _traced, residual_blocks
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet


def summands(block: BlockAnatomy, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Branch, shortcut and the block's output, copied by hooks while the whole model runs."""
    seen: dict[str, Tensor] = {}
    handles = [
        block.module.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0].clone())),
        block.module.register_forward_hook(lambda _, __, out: seen.update(y=out.clone())),
        block.branch_module.register_forward_hook(lambda _, __, out: seen.update(branch=out.clone())),
    ]
    if block.shortcut is not None:
        handles.append(
            block.shortcut.register_forward_hook(lambda _, __, out: seen.update(shortcut=out.clone()))
        )
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    return seen["branch"], seen.get("shortcut", seen["x"]), seen["y"]


def test_the_plan_and_the_trace_agree(variant: ResNetConfig) -> None:
    """Of every variant that is built here; the trace knows nothing of plans."""
    for block in residual_blocks(resnet(variant)):
        traced = _traced(block.name, block.module)
        if block.has_shortcut and block.branch is not None:
            assert (traced.branch, traced.shortcut) == (block.branch, block.shortcut)
            assert traced.branch_module is block.branch_module
        else:
            assert traced is None


@pytest.mark.parametrize(
    "order", ["post", "pre", "bn_after_addition", "relu_before_addition", "relu_only_pre"]
)
@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_branch_and_shortcut_add_up_to_what_the_rest_of_the_block_gets(order: str, kind: str) -> None:
    config = ResNetConfig(depth=None, form="cifar", stage_blocks=(2, 2), width=8, order=order, block=kind)
    model = resnet(config).eval()
    for block in residual_blocks(model):
        branch, shortcut, y = summands(block, model, torch.randn(2, 3, 8, 8))
        total = branch + shortcut
        for name in block.module.plan.after:
            total = getattr(block.module, name)(total)
        torch.testing.assert_close(total, y)


@pytest.mark.parametrize(("name", "last", "count"), [("resnet18", "bn2", 8), ("resnet50", "bn3", 16)])
def test_torchvisions_blocks(name: str, last: str, count: int) -> None:
    model = getattr(torchvision.models, name)().eval()
    blocks = residual_blocks(model)
    assert len(blocks) == count
    for block in blocks:
        assert block.branch == f"{block.name}.{last}" and block.has_shortcut
        assert block.shortcut is block.module.downsample
        branch, shortcut, y = summands(block, model, torch.randn(1, 3, 64, 64))
        assert torch.equal((branch + shortcut).relu(), y), "torchvision adds in place: the hook has to copy"


def test_torchvisions_other_residual_networks() -> None:
    mobile = residual_blocks(torchvision.models.mobilenet_v2())
    assert len(mobile) == 10 and mobile[0].branch == "features.3.conv"
    assert len(residual_blocks(torchvision.models.convnext_tiny())) == 18
    assert len(residual_blocks(torchvision.models.regnet_y_400mf())) == 16
    assert residual_blocks(torchvision.models.vgg11()) == ()
    assert residual_blocks(torchvision.models.densenet121()) == ()


def test_plain_twins_and_switched_off_parts() -> None:
    plain = residual_blocks(resnet(depth=20, residual=False))
    assert len(plain) == 9
    assert all((not b.has_shortcut, b.shortcut, b.branch) == (True, None, f"{b.name}.bn2") for b in plain)
    off = {b.name: b for b in residual_blocks(resnet(depth=20, branches_off=("layer1.1",)))}
    assert off["layer1.1"].branch is None and off["layer1.1"].branch_module is None
    assert off["layer1.0"].branch == "layer1.0.bn2"


class Akamaster(nn.Module):
    """As in a well-known CIFAR repository: functional ReLU, an empty Sequential as the identity."""

    def __init__(self, changes: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.shortcut = nn.Sequential(nn.Conv2d(4, 4, 1)) if changes else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class Timm(nn.Module):
    """With what timm's blocks have: optional parts, a drop path, several names for the same use."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act1 = nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.conv3, self.bn3 = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)
        self.act3 = nn.ReLU(inplace=True)
        self.se, self.downsample = None, None
        self.drop_path = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.bn3(self.conv3(self.act1(self.bn2(self.conv2(x)))))
        if self.se is not None:
            x = self.se(x)
        if self.drop_path is not None:
            x = self.drop_path(x)
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)
        x += shortcut
        return self.act3(x)


class PreActivated(nn.Module):
    """Where the projection reads what the first norm gave, and torch.add adds."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layers = nn.BatchNorm2d(4), nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        out = x
        for layer in self.layers:
            out = layer(out.relu())
        return torch.add(out, x)


class Twice(Akamaster):
    """Two additions: nobody can say which one is meant."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(x + self.conv1(x)) + x


class Reader(Akamaster):
    """Its way depends on the numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(x) if x.sum() > 0 else x


class ReusedRelu(Akamaster):
    """The branch ends in a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.relu(self.conv2(self.relu(self.conv1(x))))


def test_hand_written_blocks() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Akamaster(), Akamaster(changes=True), Timm(), PreActivated())
    first, second, third, fourth = residual_blocks(model)
    assert (first.name, first.branch, first.shortcut) == ("1", "1.bn2", None)
    assert (second.branch, second.shortcut) == ("2.bn2", model[2].shortcut)
    assert (third.branch, third.shortcut) == ("3.drop_path", None)
    assert (fourth.branch, fourth.shortcut) == ("4.layers.1", model[4].norm)
    (alone,) = residual_blocks(Akamaster())
    assert (alone.name, alone.branch) == ("", "bn2")
    assert alone.branch_module is alone.module.bn2


@pytest.mark.parametrize("kind", [Twice, Reader, ReusedRelu])
def test_what_cannot_be_read_is_no_block(kind: type[nn.Module]) -> None:
    assert residual_blocks(nn.Sequential(kind())) == ()


def test_of_blocks_in_blocks_the_inner_ones_count() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(Akamaster(), Akamaster())

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    assert [block.name for block in residual_blocks(nn.Sequential(Outer()))] == ["0.body.0", "0.body.1"]


def test_looking_changes_nothing() -> None:
    class Counting(Akamaster):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.seen = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls.add_(1)
            self.seen += 1
            return super().forward(x)

    model = nn.Sequential(Counting(), nn.Dropout(0.5)).train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert len(residual_blocks(model)) == 1
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model[0].seen == 0 and model[0].training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
