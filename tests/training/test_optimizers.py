import pytest
import torch
from torch import nn

from reswork.models.network import resnet
from reswork.training.optimizers import (
    is_fused,
    leave_weights_if,
    optimizer_for,
    parameter_groups,
    set_learning_rate,
    set_momentum,
    set_weight_decay,
)
from reswork.training.recipe import Recipe


def train_by_hand(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()
    return [weight.detach().clone() for weight in model.parameters()]


@pytest.mark.parametrize(
    ("recipe", "reference"),
    [
        (Recipe(learning_rate=0.05, nesterov=True), lambda w: torch.optim.SGD(w, 0.05, 0.9, 0, 1e-4, True)),
        (
            Recipe(optimizer="adam", learning_rate=1e-2),
            lambda w: torch.optim.Adam(w, 1e-2, (0.9, 0.999), weight_decay=1e-4),
        ),
        (
            Recipe(optimizer="adamw", learning_rate=1e-2, weight_decay=0.1, momentum=0.8),
            lambda w: torch.optim.AdamW(w, 1e-2, (0.8, 0.999), weight_decay=0.1),
        ),
    ],
)
def test_each_optimizer_is_torchs(recipe, reference, make_net):
    ours, theirs = make_net(dropout=0), make_net(dropout=0)
    got = train_by_hand(ours, optimizer_for(ours, recipe))
    expected = train_by_hand(theirs, reference(theirs.parameters()))
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_norms_and_biases_are_spared_by_choice(make_net):
    model = make_net()
    groups = parameter_groups(model, Recipe(weight_decay=0.5, decay_norm_and_bias=False))
    assert [weight.ndim for weight in groups[0]["params"]] == [4, 2]
    assert [weight.ndim for weight in groups[1]["params"]] == [1, 1, 1]
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert len(parameter_groups(model, Recipe())) == 1


def test_frozen_weights_are_left_out(make_net):
    model = make_net()
    model[0].weight.requires_grad_(False)
    held = [weight for group in parameter_groups(model, Recipe()) for weight in group["params"]]
    assert all(weight is not model[0].weight for weight in held)


def test_settings_change_in_all_groups(make_net):
    optimizer = optimizer_for(make_net(), Recipe(nesterov=True, decay_norm_and_bias=False))
    set_learning_rate(optimizer, 0.5)
    set_weight_decay(optimizer, 0.25)
    set_momentum(optimizer, 0.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25, 0.0]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.0, 0.0]
    adam = optimizer_for(make_net(), Recipe(optimizer="adam"))
    set_momentum(adam, 0.5)
    assert adam.param_groups[0]["betas"] == (0.5, 0.999)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_a_flag_on_the_device_keeps_the_weights(name, device, make_net):
    model = make_net().to(device)
    optimizer = optimizer_for(model, Recipe(optimizer=name))
    assert is_fused(optimizer)
    before = [weight.detach().clone() for weight in model.parameters()]
    model(torch.ones(4, 3, 8, 8, device=device)).sum().backward()
    leave_weights_if(optimizer, torch.ones((), device=device))
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    leave_weights_if(optimizer, torch.zeros((), device=device))
    optimizer.step()
    assert not all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_groups_have_the_factor_of_the_longest_name_and_join_together():
    model = resnet(depth=None, form="cifar", stage_blocks=(1, 1), width=4)
    recipe = Recipe(layer_rates={"layer1": 0.1, "layer1.0.bn1": 0.5, "fc": 10}, decay_norm_and_bias=False)
    model.fc.requires_grad_(False)
    joining = {"fc.weight": 7, "fc.bias": 7}
    groups = parameter_groups(model, recipe, joining)
    names = {id(weight): name for name, weight in model.named_parameters()}
    found = {name: group for group in groups for name in (names[id(each)] for each in group["params"])}
    assert found.keys() == set(names.values())
    for name, group in found.items():
        factor = 0.5 if "layer1.0.bn1" in name else {"layer1": 0.1, "fc": 10}.get(name.split(".")[0], 1.0)
        assert group["rate_factor"] == factor, name
        assert group["weight_decay"] == (1e-4 if dict(model.named_parameters())[name].ndim > 1 else 0.0)
        alone = {name for name, other in found.items() if other is group}
        assert all(name.startswith("fc") for name in alone) == name.startswith("fc")
    optimizer = optimizer_for(model, recipe, joining)
    set_learning_rate(optimizer, 0.2)
    assert {group["lr"] for group in optimizer.param_groups} == {0.2, 0.2 * 0.1, 0.1, 2.0}
    assert "rate_factor" not in parameter_groups(model, Recipe())[0]
