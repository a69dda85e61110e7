"""The preset Fast and ways to need less than it, on fashion's 10,000 images: ``python -m benchmarks.fast_preset``.

ResNet-20 at its usual width. The arms take turns, an epoch each, from the same weights and with the same order of
images; seconds are those of this process, evaluations apart. A line is printed after each epoch and appended to a file.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import reswork as rw
from reswork.datasets import Augmentation
from reswork.experiment.presets import FAST
from reswork.experiment.seed_runs import fresh_network
from reswork.models.network import resnet
from reswork.studies.whole_recipe import WholeRecipe
from reswork.training.cores import CORES

MIRRORED = Augmentation(crop_padding=4, flip=True)
PLAIN = replace(FAST.recipe, precision="fp32", compile="off")
ARMS: dict[str, rw.Recipe] = {
    "Fast": PLAIN,
    "half of its passes": replace(PLAIN, epochs=8, augmentation=MIRRORED),
    "small images first": replace(PLAIN, epochs=12, augmentation=MIRRORED, image_scale=0.5, full_size_at=0.8),
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=2)
    asked.add_argument("--depth", type=int, default=20)
    asked.add_argument("--images", type=int, default=10_000)
    asked.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    asked.add_argument("--file", default="fast_preset.jsonl")
    given = asked.parse_args()
    data = rw.datasets.load("fashion")
    data = data.subset(train=min(given.images, len(data.train)))
    one = resnet(rw.ResNetConfig(depth=given.depth, in_channels=1), input_shape=data.input_shape)
    for seed in range(given.seeds):
        arms = {
            name: WholeRecipe(fresh_network(one, seed), data, replace(ARMS[name], seed=seed))  # type: ignore[arg-type]
            for name in given.arms
        }
        with CORES.taken():
            while not all(each.done for each in arms.values()):
                for name, each in arms.items():
                    _epoch(name, each, seed, given.file)


def _epoch(name: str, training: WholeRecipe, seed: int, file: str) -> None:
    while not training.done:
        training.make_step()
        if training.ends_epoch:
            break
    else:
        return
    row = {
        "arm": name, "seed": seed, "epoch": training.epoch, "seconds": round(training.seconds, 1),
        "accuracy": round(1 - training.test_error(), 4), "threads": torch.get_num_threads(),
    }  # fmt: skip
    print(row, flush=True)
    with Path(file).open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
