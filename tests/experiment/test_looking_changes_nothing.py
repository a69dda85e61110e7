"""All recorders, sixty looks and as many pauses: the training is the same to the last bit."""

from itertools import cycle
from pathlib import Path

import pytest
import torch

import reswork as rw
from reswork.experiment.pinned_examples import PinnedExamples
from reswork.training.events import Event, StepDone

LOOKS = 60
RECIPE = rw.Recipe(
    steps=2 * LOOKS, batch_size=16, learning_rate=0.05, device="cpu", precision="fp32", compile="off",
    channels_last=False, mixup=0.2, augmentation=rw.Augmentation(translate=1),
)  # fmt: skip


def trained(folder: Path, look: bool) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Every loss and the final weights."""
    torch.manual_seed(0)
    losses: list[float] = []

    def keep(event: Event) -> None:
        if isinstance(event, StepDone):
            losses.append(event.loss.item())

    data = rw.datasets.digits()
    model = rw.resnet(depth=8, width=4, in_channels=1, dropout=0.2, stochastic_depth=0.2)
    chosen = None if look else ()
    run = rw.train(model, data, RECIPE, directory=folder, recorders=chosen, start=False)
    run.add_recorder(keep)
    if look:
        look_around(run, data)
    run.resume()
    run.start()
    run.wait(300)
    return losses, {name: value.clone() for name, value in model.state_dict().items()}


def look_around(run: rw.Run, data: rw.datasets.Dataset) -> None:
    """Two steps at a time; somebody looks while they are made, and again while the run stands still."""
    film = PinnedExamples(data)
    images = rw.datasets.normalise(data.test.images[:2], data.mean, data.std)
    looks = cycle(
        [
            lambda net: film.shoot(net, run.steps_done),
            lambda net: list(rw.probes.attributions(net, images[:1], methods=("grad_cam", "saliency"))),
            lambda net: rw.probes.feature_maps(net, images, layer="layer2.0"),
            lambda net: rw.probes.shortcut_shares(net, images),
            lambda net: rw.probes.outline(net, images),
        ]
    )
    for _ in range(LOOKS):
        run.step(2)
        next(looks)(run.snapshot())
        run.wait_until_still(300)


@pytest.mark.slow
def test_the_training_does_not_notice(tmp_path: Path) -> None:
    losses, weights = trained(tmp_path / "alone", look=False)
    same_losses, same_weights = trained(tmp_path / "watched", look=True)
    assert len(losses) == 2 * LOOKS
    assert losses == same_losses
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    seen = rw.load_run(tmp_path / "watched").history
    assert {"grad_norm", "update_ratio", "branch_gradient", "stream_variance"} <= set(seen.groups)
