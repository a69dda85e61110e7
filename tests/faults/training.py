"""One small training with everything on that has a state or draws random numbers."""

from pathlib import Path

import numpy as np
import torch

import reswork as rw
from reswork.training import pace

STEPS = 100  # two and a half epochs

RECIPE = rw.Recipe(
    steps=STEPS, batch_size=32, learning_rate=0.05, nesterov=True, warmup_epochs=0.5, label_smoothing=0.1,
    mixup=0.3, ema=0.95, clip_norm=5.0, device="cpu", precision="fp32", compile="off", channels_last=True,
    augmentation=rw.Augmentation(translate=1, cutout=2),
)  # fmt: skip
NET = rw.ResNetConfig(
    depth=8, width=4, in_channels=1, dropout=0.1, stochastic_depth=0.2, squeeze_excitation=True
)
WITH_THE_CLOCK = (
    "images_per_second",
    "seconds/epoch",
    "memory/bytes",
    "device/utilisation",
)  # never the same twice


def begun(
    folder: Path, *, recipe: rw.Recipe = RECIPE, start: bool = True, save_every_s: float = 30.0
) -> rw.Run:
    """The training, from its first step, with recorders that are never thinned by the clock."""
    kinds = rw.recorders.CATALOGUE
    torch.manual_seed(0)
    return rw.train(
        rw.resnet(NET), rw.datasets.digits(), recipe, directory=folder, start=start, save_every_s=save_every_s,
        recorders=[lambda history, kind=kind: rw.recorders.timed(kind.name, history) for kind in kinds],
    )  # fmt: skip


def save_at_every_step() -> None:
    """From now on in this process, whatever it costs."""
    pace.COST_SHARE = float("inf")


def differences(one: rw.Run | Path, other: Path) -> list[str]:
    """What is not equal to the last bit in two runs' folders: names of weights, series, groups."""
    first, second = (rw.load_run(each) for each in (one, other))
    found = []
    weights = first.model().state_dict(), second.model().state_dict()
    found += [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])]
    a, b = first.history, second.history
    found += sorted((set(a.names) ^ set(b.names)) - set(WITH_THE_CLOCK)) + sorted(
        set(a.groups) ^ set(b.groups)
    )
    for name in (set(a.names) & set(b.names)) - set(WITH_THE_CLOCK):
        x, y = a.series(name), b.series(name)
        if not (_equal(x.steps, y.steps) and _equal(x.values, y.values)):
            found.append(name)
    for group in set(a.groups) & set(b.groups):
        v, w = a.vectors(group), b.vectors(group)
        if not (v.labels == w.labels and _equal(v.steps, w.steps) and _equal(v.values, w.values)):
            found.append(group)
    if not _equal(a.array("confusion/test")[1], b.array("confusion/test")[1]):
        found.append("confusion/test")
    return found


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()
