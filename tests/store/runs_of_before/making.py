"""How these runs were made, once, with the code of commit 2c1c078: they stay as they are.

PYTHONPATH=<a checkout of 2c1c078> python tests/store/runs_of_before/making.py <a new folder>
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import reswork as rw


def main(folder: Path) -> None:
    """Three runs and a pair of seeds, and what is known about them."""
    torch.set_num_threads(1)
    data = rw.datasets.digits()
    fixed = {"batch_size": 64, "device": "cpu", "precision": "fp32", "channels_last": False, "compile": "off"}

    averaged = rw.Recipe(steps=40, ema=0.9, learning_rate=0.05, target_accuracy=0.2, **fixed)
    recorders = [rw.recorders.default_recorders, slowly]  # so that there is time for checkpoints
    run = rw.train(
        network(), data, averaged, directory=folder / "finished", moments_bytes=30_000, recorders=recorders
    )
    run.wait()

    mixed = rw.Recipe(
        steps=40, mixup=0.2, clip_norm=1.0, label_smoothing=0.1, ema=0.9, learning_rate=0.05, **fixed
    )
    run = rw.train(
        network(dropout=0.1), data, mixed, directory=folder / "stopped", moments_bytes=30_000, start=False
    )
    run.step(25)
    while run.state is not rw.RunState.PAUSED:
        time.sleep(0.01)
    run.stop()
    run.wait()

    for seed in (0, 1):
        short = rw.Recipe(steps=8, seed=seed, **fixed)
        name = f"pair-seed-{seed}"
        run = rw.train(network(seed), data, short, directory=folder / name, moments_bytes=0)
        run.wait()
        shutil.rmtree(folder / name / "checkpoints")

    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    run = rw.train(plain, data, rw.Recipe(steps=8, **fixed), directory=folder / "foreign", moments_bytes=0)
    run.wait()
    shutil.rmtree(folder / "foreign" / "checkpoints")

    for lock in folder.rglob("writer.lock"):
        lock.unlink()
    (folder / "known.json").write_text(json.dumps(known(folder), indent=1) + "\n")


def network(seed: int = 0, **settings: float) -> nn.Module:
    """A ResNet-8 of 1,320 parameters."""
    torch.manual_seed(seed)
    return rw.resnet(rw.ResNetConfig(depth=8, width=2, in_channels=1, **settings))


def slowly(history: rw.History) -> Callable[[object], None]:
    """A recorder that only takes its time."""
    return lambda event: time.sleep(0.02)


def known(folder: Path) -> dict[str, object]:
    """What the code of that day read from the runs, and how it went on with the stopped one."""
    data = rw.datasets.digits()
    images = rw.datasets.normalise(data.test.images[:5], data.mean, data.std)
    finished = rw.load_run(folder / "finished")
    shutil.copytree(folder / "stopped", folder / "gone on")
    again = rw.load_run(folder / "gone on").resume()
    again.wait()
    shutil.rmtree(folder / "gone on")
    with torch.no_grad():
        moments = {
            step: rw.moments(finished).model(step)(images).tolist() for step in rw.moments(finished).steps
        }
        return {
            "series": {run.name: {**{name: len(run.history.series(name)) for name in run.history.names},
                                  **{name: len(run.history.vectors(name).steps) for name in run.history.groups}}
                       for run in map(rw.load_run, sorted(path for path in folder.iterdir()))},
            "logits": finished.model()(images).tolist(),
            "logits of moments": moments,
            "losses of the stopped one": again.history.series("loss/train").values.tolist(),
            "accuracy of the stopped one": again.history.series("top1/test").values.tolist(),
        }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
