"""Masks, boxes, photographs over several starts: ``python -m benchmarks.pictures x2 --seeds 3``; a line for each start.

Seconds are those of the processor, with one thread, so that they mean the same on a machine that others use too.
"""

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import torch

import reswork as rw
from reswork.datasets.photographs import SCALES
from reswork.training.evaluation import evaluate

SEGMENTATION = {
    "unet": {},
    "plain": {"residual": False},
    "fcn": {"head": "fcn"},
    "deep": {"depth": 26},
    "deep plain": {"depth": 26, "residual": False},
}
SOLIDS = {"solids": rw.presets.VOLUMES, "solids unweighted": rw.presets.MASKS}
BOXES = {"detector": rw.detector, "retinanet": rw.retinanet}
PHOTOGRAPHS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{f"x{scale}": ({"scale": scale}, {"head": "edsr"}) for scale in SCALES if scale > 1},
    "alone": ({"scale": 2}, {"head": "edsr", "add_input": False}),
    "noise": ({"scale": 1, "noise": 25}, {"head": "edsr"}),
    "noise alone": ({"scale": 1, "noise": 25}, {"head": "edsr", "add_input": False}),
    "vdsr": ({"scale": 2, "patch": 16}, {"head": "vdsr"}),
    "vdsr plain": ({"scale": 2, "patch": 16}, {"head": "vdsr", "residual": False}),
}
QUIET = {"device": "cpu", "compile": "off", "precision": "fp32"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    names = [*SEGMENTATION, *PHOTOGRAPHS, *SOLIDS, *BOXES, "simple"]
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="seed of the first start")
    parser.add_argument("--rate", type=float, default=None, help="instead of the preset's learning rate")
    parser.add_argument("--epochs", type=int, default=None, help="instead of the preset's")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.names:
        if name == "simple":
            print(json.dumps(simple()), flush=True)
            continue
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            row = {"name": name, "seed": seed, "rate": chosen.rate, "epochs": chosen.epochs}
            print(json.dumps(row | measured(name, seed, chosen.rate, chosen.epochs)), flush=True)


def measured(name: str, seed: int, rate: float | None, epochs: int | None) -> dict[str, Any]:
    """What one start gives."""
    photographs = name in PHOTOGRAPHS
    others = {
        **SOLIDS,
        **dict.fromkeys(PHOTOGRAPHS, rw.presets.PHOTOGRAPHS),
        **dict.fromkeys(BOXES, rw.presets.BOXES),
    }
    preset = others.get(name, rw.presets.MASKS)
    changes = {"seed": seed, **({} if rate is None else {"learning_rate": rate})}
    recipe = replace(preset.recipe, **QUIET, **changes, **({} if epochs is None else {"epochs": epochs}))
    torch.manual_seed(seed)
    data, model = _photographs(name) if photographs else _drawn(name)
    begin = time.process_time()
    few = data.subset(test=4) if photographs else data  # whole photographs judge at the end
    for _ in rw.fit(model, few, recipe):
        pass
    row: dict[str, Any] = {"seconds": round(time.process_time() - begin, 1)}
    row["weights"] = sum(each.numel() for each in model.parameters())
    if not photographs:
        found = evaluate(model, data)
        assert found is not None
        return row | {key: round(value, 4) for key, value in found.metrics.items()}
    settings = PHOTOGRAPHS[name][0]
    scores = rw.restoration_scores(model, scale=settings["scale"], noise=settings.get("noise", 0))
    row["gain"] = {each.name: round(each.gain, 2) for each in scores}
    for key in ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim"):
        row[key] = round(sum(getattr(each, key) for each in scores) / len(scores), 4)
    return row


def _photographs(name: str) -> tuple[rw.datasets.Dataset, rw.ResNet]:
    settings, network = PHOTOGRAPHS[name]
    build = {"edsr": rw.edsr, "vdsr": rw.vdsr}[network["head"]]
    given = {key: value for key, value in network.items() if key != "head"}
    return rw.datasets.photographs(**settings), build(scale=settings["scale"], **given)


def _drawn(name: str) -> tuple[rw.datasets.Dataset, torch.nn.Module]:
    if name in BOXES:
        return rw.datasets.scattered(), BOXES[name](depth=14, width=8, num_classes=6)
    if name in SOLIDS:
        data = rw.datasets.solids()
        return data, rw.resnet(rw.config_for(data, width=8))
    data = rw.datasets.scenes(train=400, test=100, size=48)
    return data, rw.resnet(rw.config_for(data, **{"depth": 14, "width": 8, **SEGMENTATION[name]}))


def simple() -> dict[str, Any]:
    """What methods without a network give."""
    sets = {"scenes": rw.datasets.scenes(train=400, test=100, size=48), "solids": rw.datasets.solids()}
    sets |= {f"x{scale}": rw.datasets.photographs(scale=scale) for scale in (2, 3, 4)}
    sets["noise"] = rw.datasets.photographs(scale=1, noise=25)
    return {
        name: {
            each.name: {key: round(value, 4) for key, value in each.metrics.items() if "/" not in key}
            for each in rw.tasks.baselines(data)
        }
        for name, data in sets.items()
    }


if __name__ == "__main__":
    main()
