import copy

import pytest
import torch
from torch import nn

from reswork.models.network import resnet
from reswork.training.checkpointing import checkpointed_blocks, checkpointing
from reswork.training.events import StepDone
from reswork.training.loop import fit


def small_resnet(**fields: object) -> nn.Module:
    torch.manual_seed(1)
    return resnet(depth=8, width=4, num_classes=4, **fields)


def test_the_blocks_of_the_stages_are_checkpointed():
    model = small_resnet()
    assert checkpointed_blocks(model) == [model.layer1[0], model.layer2[0], model.layer3[0]]


@pytest.mark.parametrize("fields", [{}, {"dropout": 0.3}, {"norm": "group"}, {"order": "pre"}])
def test_a_resnet_gives_the_same_losses_and_statistics(fields, make_data, make_recipe, device):
    plain, spared = small_resnet(**fields), small_resnet(**fields)
    losses = {
        id(model): [
            event.loss.item()
            for event in fit(
                model,
                make_data(),
                make_recipe(steps=6, device=device, checkpoint_activations=model is spared),
            )
            if isinstance(event, StepDone)
        ]
        for model in (plain, spared)
    }
    assert losses[id(plain)] == losses[id(spared)]
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, spared.state_dict()[name]), name


def test_fewer_activations_are_kept():
    model, images = small_resnet().train(), torch.rand(4, 3, 16, 16)

    def kept() -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model(images).sum()
        return sum(sizes)

    plain = kept()
    with checkpointing(checkpointed_blocks(model)):
        assert kept() < plain / 2


def test_copies_and_the_model_are_as_before_also_after_an_error():
    model = small_resnet()
    with pytest.raises(ZeroDivisionError), checkpointing(checkpointed_blocks(model)):
        raise ZeroDivisionError
    assert not any("forward" in module.__dict__ for module in model.modules())
    copy.deepcopy(model)(torch.rand(2, 3, 8, 8))
