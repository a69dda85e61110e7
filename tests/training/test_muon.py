"""Muon against torch's own, which takes matrices alone, and against the singular value decomposition."""

import pytest
import torch
from torch import nn

import reswork as rw
from reswork.models.network import resnet
from reswork.training.muon import Muon, inner_weights, muon_operations, orthogonalised
from reswork.training.optimizers import leave_weights_if, optimizer_for, set_learning_rate
from reswork.training.recipe import Recipe
from tests.served_runs import stopped_and_resumed


@pytest.mark.parametrize("shape", [(3, 16, 144), (2, 64, 9), (1, 5, 5), (2, 1, 7)])
def test_singular_values_come_near_to_1_along_the_same_directions(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalised(matrices)
    values = torch.linalg.svdvals(found)
    assert found.shape == matrices.shape and values.min() > 0.6 and values.max() < 1.25
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    assert torch.cosine_similarity(found.flatten(), (left @ right).flatten(), dim=0) > 0.95
    turned = left.mT @ found @ right.mT
    off = turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


def test_nothing_and_huge_gradients_stay_finite():
    assert torch.equal(orthogonalised(torch.zeros(2, 4, 9)), torch.zeros(2, 4, 9))
    tall = torch.ones(1, 4, 9) * 1e30
    assert orthogonalised(tall.double()).isfinite().all()


def test_matrices_change_as_with_torchs_own():
    generator = torch.Generator().manual_seed(1)
    shapes = [(8, 20), (20, 8), (8, 20)]
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    mine = Muon([{"params": ours, "orthogonal": True}], lr=0.02, betas=(0.9, 0.999), weight_decay=0.1)
    other = torch.optim.Muon(theirs, lr=10 * 0.02, momentum=0.9, weight_decay=0.1 / 10)
    for _ in range(4):
        for own, one in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=generator)
            one.grad = own.grad.clone()
        begun = [weight.detach().clone() for weight in ours]
        mine.step()
        other.step()
        for own, one, before in zip(ours, theirs, begun, strict=True):
            step = (own.detach() - before).norm()
            assert (own - one).norm() < 0.1 * step  # theirs is computed in bfloat16
            with torch.no_grad():
                one.copy_(own)  # each step by itself


def test_all_other_weights_change_as_with_adamw():
    model = resnet(depth=8, width=2)
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    recipe = Recipe(optimizer="muon", learning_rate=0.02, weight_decay=0.1)
    optimizer = optimizer_for(model, recipe)
    optimizer.step()
    inner = inner_weights(model)
    assert inner[0] == "layer1.0.conv1.weight" and inner[-1] == "layer3.0.conv2.weight"
    assert {"conv1.weight", "fc.weight"}.isdisjoint(inner)
    for name, weight in model.named_parameters():
        one = nn.Parameter(before[name].clone())
        one.grad = gradients[name]
        torch.optim.AdamW([one], lr=0.02, betas=(0.9, 0.999), weight_decay=0.1).step()
        assert torch.allclose(one, weight) == (name not in inner), name
        assert torch.equal(weight.grad, gradients[name])
        assert ("momentum_buffer" in optimizer.state[weight]) == (name in inner)
        assert ("exp_avg" in optimizer.state[weight]) == (name not in inner)


def test_a_step_is_as_large_in_networks_of_any_width():
    model = resnet(depth=8, width=8)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = optimizer_for(model, Recipe(optimizer="muon", learning_rate=0.01, weight_decay=0.0))
    set_learning_rate(optimizer, 0.03)
    optimizer.step()
    for name in inner_weights(model):
        change = dict(model.named_parameters())[name] - before[name]
        assert torch.linalg.svdvals(change.flatten(1)).max().item() == pytest.approx(10 * 0.03, rel=0.2), name


def test_a_flag_keeps_weights_and_momentum(device):
    model = resnet(depth=8, width=2).to(device)
    optimizer = optimizer_for(model, Recipe(optimizer="muon", learning_rate=0.02, weight_decay=0.1))
    weight = model.layer1[0].conv1.weight
    model(torch.ones(4, 3, 8, 8, device=device)).sum().backward()
    optimizer.step()
    kept, before = optimizer.state[weight]["momentum_buffer"].clone(), weight.detach().clone()
    weight.grad = torch.full_like(weight, float("nan"))
    leave_weights_if(optimizer, torch.ones((), device=device))
    optimizer.step()
    assert torch.equal(weight, before) and torch.equal(optimizer.state[weight]["momentum_buffer"], kept)
    weight.grad = torch.ones_like(weight)
    leave_weights_if(optimizer, torch.zeros((), device=device))
    optimizer.step()
    assert not torch.equal(weight, before)


def test_the_memory_order_of_weights_changes_nothing():
    models = [resnet(depth=8, width=4), resnet(depth=8, width=4)]
    models[1].load_state_dict(models[0].state_dict())
    models[1].to(memory_format=torch.channels_last)
    for model in models:
        optimizer = optimizer_for(model, Recipe(optimizer="muon", learning_rate=0.02))
        for seed, weight in enumerate(model.parameters()):
            values = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
            weight.grad = torch.empty_like(weight).copy_(values)
        optimizer.step()
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_operations_are_those_of_the_products():
    """Counted by torch while a step is made: most are products of matrices, which it counts."""
    from torch.utils.flop_counter import FlopCounterMode

    model = resnet(depth=20)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer = optimizer_for(model, Recipe(optimizer="muon", learning_rate=0.01))
    with FlopCounterMode(display=False) as counter:
        optimizer.step()
    assert muon_operations(model) == counter.get_total_flops()


def test_it_trains_stops_and_goes_on_to_the_last_bit(tmp_path, monkeypatch):
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path))
    data = rw.datasets.digits().subset(96, 24)
    recipe = Recipe(
        steps=12, batch_size=16, optimizer="muon", learning_rate=0.02, weight_decay=0.05,
        decay_norm_and_bias=False, layer_rates={"layer1": 0.5}, frozen=("layer2",), unfreeze_epochs={"layer2": 1},
        ema=0.9, device="cpu", precision="fp32", compile="off",
    )  # fmt: skip

    def net():
        torch.manual_seed(0)
        return resnet(depth=8, width=4, in_channels=1)

    whole = rw.train(net(), data, recipe, name="whole")
    whole.wait(100)
    again = stopped_and_resumed(net(), data, recipe, 8)
    losses = whole.history.series("loss/train").values
    assert losses.tolist() == again.history.series("loss/train").values.tolist()
    assert losses[-3:].mean() < losses[:3].mean()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
