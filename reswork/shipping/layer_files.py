"""A list of layers on disk, between the process that has torch and the one that has Keras."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from reswork.shipping.layer_list import Layer

LAYERS, WEIGHTS = "layers.json", "weights.npz"


def write_layers(folder: Path, layers: "list[Layer]", shape: tuple[int, int, int]) -> None:
    """Write it.

    Args:
        folder: that is there.
        layers: in their order.
        shape: (H, W, C) of the images.
    """
    plain = [
        {"name": each.name, "kind": each.kind, "inputs": each.inputs, "settings": each.settings}
        for each in layers
    ]
    (folder / LAYERS).write_text(json.dumps({"shape": shape, "layers": plain}), encoding="utf-8")
    arrays = {f"{each.name}/{name}": value for each in layers for name, value in each.weights.items()}
    np.savez(folder / WEIGHTS, **arrays)  # type: ignore[arg-type]


def read_layers(folder: Path) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], tuple[int, int, int]]:
    """Layers as plain values, weights by ``layer/weight`` in the layers' own order, and the shape of the images."""
    plain = json.loads((folder / LAYERS).read_text(encoding="utf-8"))
    with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
        weights = {name: arrays[name] for name in arrays.files}
    height, width, channels = plain["shape"]
    return plain["layers"], weights, (height, width, channels)
