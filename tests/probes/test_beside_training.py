"""Probes on snapshots while a run goes on: its losses and weights stay equal to the last bit."""

from itertools import cycle

import torch

from reswork import probes
from reswork.datasets import digits
from reswork.models.network import resnet
from reswork.training.events import Event, StepDone
from reswork.training.recipe import Recipe
from reswork.training.run import Run

STEPS = 40


def trained(look: bool) -> tuple[list[float], dict[str, torch.Tensor], int]:
    """Losses, final weights, and how often somebody looked."""
    torch.manual_seed(0)
    losses: list[float] = []

    def keep(event: Event) -> None:
        if isinstance(event, StepDone):
            losses.append(event.loss.item())

    model = resnet(depth=8, width=8, in_channels=1, dropout=0.3)  # dropout draws from the global generator
    recipe = Recipe(
        steps=STEPS, batch_size=64, device="cpu", precision="fp32", channels_last=False, compile="off"
    )
    data = digits()
    x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    looks = cycle(
        [
            lambda net: probes.feature_maps(net, x, layer="layer2.0"),
            lambda net: probes.receptive_field(net, x, layer="layer1.0"),
            lambda net: probes.activation_histograms(net, x),
            lambda net: probes.layer_table(net, x, repeats=1),
            lambda net: probes.cka(net, x),
            lambda net: probes.channel_examples(net, x, layer="layer3.0", channel=0),
        ]
    )
    run = Run(model, data, recipe, recorders=[keep])
    run.start()
    seen = 0
    while look and not run.done:
        next(looks)(run.snapshot())
        seen += 1
    run.wait()
    return losses, {name: value.clone() for name, value in model.state_dict().items()}, seen


def test_a_training_is_the_same_whether_somebody_looks_or_not() -> None:
    losses, weights, _ = trained(look=False)
    same_losses, same_weights, seen = trained(look=True)
    assert seen > 5 and len(losses) == STEPS
    assert losses == same_losses
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
