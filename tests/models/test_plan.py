"""The order of the layers in each block, against figure 4 of He 2016 written out by hand."""

import pytest

from reswork.models.config import ResNetConfig
from reswork.models.plan import BlockPlan, block_plans


def _plan(name: str, **settings: object) -> BlockPlan:
    config = ResNetConfig(**{"depth": None, "stage_blocks": (2, 2), **settings})  # type: ignore[arg-type]
    return next(plan for plan in block_plans(config.resolved()) if plan.name == name)


@pytest.mark.parametrize(
    ("order", "branch", "after"),
    [
        ("post", "conv1 bn1 relu1 conv2 bn2", "relu2"),
        ("bn_after_addition", "conv1 bn1 relu1 conv2", "bn2 relu2"),
        ("relu_before_addition", "conv1 bn1 relu1 conv2 bn2 relu2", ""),
        ("relu_only_pre", "relu1 conv1 bn1 relu2 conv2 bn2", ""),
        ("pre", "bn1 relu1 conv1 bn2 relu2 conv2", ""),
    ],
)
def test_figure_4(order: str, branch: str, after: str) -> None:
    plan = _plan("layer1.1", order=order)
    assert (plan.shared, " ".join(plan.branch), " ".join(plan.after)) == ((), branch, after)


@pytest.mark.parametrize(
    ("order", "branch", "after"),
    [
        ("post", "conv1 bn1 relu1 conv2 bn2 relu2 conv3 bn3", "relu3"),
        ("bn_after_addition", "conv1 bn1 relu1 conv2 bn2 relu2 conv3", "bn3 relu3"),
        ("relu_before_addition", "conv1 bn1 relu1 conv2 bn2 relu2 conv3 bn3 relu3", ""),
        ("relu_only_pre", "relu1 conv1 bn1 relu2 conv2 bn2 relu3 conv3 bn3", ""),
        ("pre", "bn1 relu1 conv1 bn2 relu2 conv2 bn3 relu3 conv3", ""),
    ],
)
def test_figure_4_with_bottlenecks(order: str, branch: str, after: str) -> None:
    plan = _plan("layer1.1", order=order, block="bottleneck")
    assert (plan.shared, " ".join(plan.branch), " ".join(plan.after)) == ((), branch, after)


def test_pre_activation_is_shared_with_a_projection_only() -> None:
    """He 2016, section 3.1: the first unit uses the stem's activation; identity shortcuts carry x untouched."""
    assert _plan("layer2.0", order="pre", shortcut="B").shared == ("bn1", "relu1")
    assert _plan("layer2.0", order="pre", shortcut="A").shared == ()
    assert _plan("layer1.0", order="pre", shortcut="C").layer_names[0] == "conv1"
    assert _plan("layer1.0", order="relu_only_pre").layer_names[0] == "conv1"


def test_what_settings_put_into_a_branch() -> None:
    extras = {"dropout": 0.1, "stochastic_depth": 0.2, "squeeze_excitation": True}
    skipinit = _plan("layer2.1", **extras, residual_scaling="skipinit")
    assert " ".join(skipinit.branch) == "conv1 bn1 relu1 dropout conv2 bn2 se scale stochastic_depth"
    fixup = _plan("layer2.1", **extras, residual_scaling="fixup", norm="none")
    assert " ".join(fixup.branch) == "conv1 bn1 relu1 dropout conv2 scale bn2 se stochastic_depth"
    bare = _plan("layer2.1", **extras, shortcuts_off=("layer2.1",))
    assert "stochastic_depth" not in bare.branch


def test_channels_double_and_sizes_halve() -> None:
    plans = block_plans(ResNetConfig(depth=50, widen_factor=2).resolved())
    assert [plan.channels for plan in plans if plan.name.endswith(".0")] == [512, 1024, 2048, 4096]
    assert [plan.stride for plan in plans if plan.name.endswith(".0")] == [1, 2, 2, 2]
    assert plans[0].in_channels == 64  # the stem is not widened
