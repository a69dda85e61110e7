"""A network built in Keras and written, by ``python -m reswork.shipping.keras_build FOLDER PATH``.

Keras on TensorFlow and torch in one process crash each other, so that this one has no torch of its own, and what is
built goes through files. The backend is the one in ``KERAS_BACKEND``.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reswork.shipping.engines import quiet_environment
from reswork.shipping.keras_engines import backend_version
from reswork.shipping.layer_files import read_layers


def build_elsewhere(folder: Path, path: Path, backend: str) -> str:
    """Build a list of layers (`reswork.shipping.layer_files`) in a process of its own; what wrote it, in words.

    Raises:
        RuntimeError: it failed, with the last line that it said.
    """
    command = [sys.executable, "-m", "reswork.shipping.keras_build", str(folder), str(path)]
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            command, env=quiet_environment(backend), stdout=subprocess.PIPE, stderr=said, text=True
        )
        if done.returncode:
            said.seek(0)
            lines = [line.strip() for line in said if line.strip()]
            raise RuntimeError((lines or ["it ended without a word"])[-1][:300])
    return done.stdout.strip()


def built(layers: list[dict[str, Any]], weights: dict[str, np.ndarray], shape: tuple[int, int, int]) -> Any:
    """The same network in Keras, from its own layers only, so that nobody needs this file to open it.

    Args:
        layers: of `reswork.shipping.layer_list`, as plain values.
        weights: by ``layer/weight``.
        shape: (H, W, C) of its images, channels last.
    """
    import keras

    made = {"images": keras.Input(shape, name="images")}
    for each in layers:
        names = [key for key in weights if key.startswith(f"{each['name']}/")]
        held = {key.partition("/")[2]: weights[key] for key in names}
        inputs = [made[name] for name in each["inputs"]]
        made[each["name"]] = _KINDS[each["kind"]](keras.layers, each, held, inputs)
    return keras.Model(made["images"], made[layers[-1]["name"]], name="network")


def _one(build: Callable[..., Any]) -> Callable[..., Any]:
    """A kind that is one layer of Keras, called by its name and given its weights."""

    def make(layers: Any, each: dict[str, Any], held: dict[str, np.ndarray], inputs: list[Any]) -> Any:
        layer = build(layers, each["name"], each["settings"], held)
        output = layer(inputs[0] if len(inputs) == 1 else inputs)
        if held:
            layer.set_weights(list(held.values()))
        return output

    return make


def _conv(layers: Any, each: dict[str, Any], held: dict[str, np.ndarray], inputs: list[Any]) -> Any:
    settings, kernel, x = each["settings"], held["kernel"], inputs[0]
    height, width = settings["padding"]
    if height or width:
        x = layers.ZeroPadding2D((height, width), name=f"{each['name']}_padding")(x)
    layer = layers.Conv2D(
        kernel.shape[3], kernel.shape[:2], strides=settings["strides"], dilation_rate=settings["dilation"],
        groups=settings["groups"], use_bias="bias" in held, name=each["name"],
    )  # fmt: skip
    x = layer(x)
    layer.set_weights([held[name] for name in ("kernel", "bias") if name in held])
    return x


def _max_pool(layers: Any, each: dict[str, Any], held: dict[str, np.ndarray], inputs: list[Any]) -> Any:
    settings, x = each["settings"], inputs[0]
    if any(settings["padding"]):  # zeros are no larger than what comes from a ReLU
        x = layers.ZeroPadding2D(tuple(settings["padding"]), name=f"{each['name']}_padding")(x)
    return layers.MaxPooling2D(settings["size"], settings["strides"], name=each["name"])(x)


def _flatten(layers: Any, each: dict[str, Any], held: dict[str, np.ndarray], inputs: list[Any]) -> Any:
    x = inputs[0]
    if each["settings"]["permute"]:  # torch has the channels first
        x = layers.Permute((3, 1, 2), name=f"{each['name']}_channels_first")(x)
    return layers.Flatten(name=each["name"])(x)


def _pad(layers: Any, each: dict[str, Any], held: dict[str, np.ndarray], inputs: list[Any]) -> Any:
    settings, name, x = each["settings"], each["name"], inputs[0]
    if any(settings["height"] + settings["width"]):
        x = layers.ZeroPadding2D((tuple(settings["height"]), tuple(settings["width"])), name=f"{name}_sides")(
            x
        )
    if any(settings["channels"]):  # Keras pads height and width only
        x = layers.Permute((1, 3, 2), name=f"{name}_turned")(x)
        x = layers.ZeroPadding2D(((0, 0), tuple(settings["channels"])), name=name)(x)
        x = layers.Permute((1, 3, 2), name=f"{name}_turned_back")(x)
    return x


def _enlarge(layers: Any, each: dict[str, Any], held: dict[str, np.ndarray], inputs: list[Any]) -> Any:
    settings, name = each["settings"], each["name"]
    x = layers.UpSampling2D(tuple(settings["times"]), interpolation="nearest", name=name)(inputs[0])
    more = [side - wanted for side, wanted in zip(x.shape[1:3], settings["size"], strict=True)]
    return layers.Cropping2D(((0, more[0]), (0, more[1])), name=f"{name}_cut")(x) if any(more) else x


_KINDS: dict[str, Callable[..., Any]] = {
    "conv": _conv,
    "max_pool": _max_pool,
    "flatten": _flatten,
    "pad": _pad,
    "enlarge": _enlarge,
    "linear": _one(
        lambda layers, name, _, held: layers.Dense(
            held["kernel"].shape[1], use_bias="bias" in held, name=name
        )
    ),
    "batch_norm": _one(
        lambda layers, name, settings, held: layers.BatchNormalization(
            epsilon=settings["epsilon"], scale="gamma" in held, center="beta" in held, name=name
        )
    ),
    "group_norm": _one(
        lambda layers, name, settings, held: layers.GroupNormalization(
            settings["groups"],
            epsilon=settings["epsilon"],
            scale="gamma" in held,
            center="beta" in held,
            name=name,
        )
    ),
    "activation": _one(lambda layers, name, settings, _: layers.Activation(settings["function"], name=name)),
    "rescale": _one(
        lambda layers, name, settings, _: layers.Rescaling(settings["scale"], settings["offset"], name=name)
    ),
    "add": _one(lambda layers, name, *_: layers.Add(name=name)),
    "multiply": _one(lambda layers, name, *_: layers.Multiply(name=name)),
    "join": _one(lambda layers, name, *_: layers.Concatenate(axis=-1, name=name)),
    "average_pool": _one(
        lambda layers, name, settings, _: layers.AveragePooling2D(
            settings["size"], settings["strides"], name=name
        )
    ),
    "mean": _one(
        lambda layers, name, settings, _: layers.GlobalAveragePooling2D(keepdims=settings["keep"], name=name)
    ),
    "every": _one(
        lambda layers, name, settings, _: layers.MaxPooling2D((1, 1), settings["strides"], name=name)
    ),
}


def build(folder: Path, path: Path) -> str:
    """Write a network in the format that a file's name asks for; what wrote it, in words.

    Args:
        folder: with ``layers.json`` and ``weights.npz``.
        path: ``.keras``, ``.tflite``, or another name for the folder of a SavedModel.
    """
    import keras

    network, backend = built(*read_layers(folder)), keras.backend.backend()
    told = f"Keras {keras.__version__} on {backend} {backend_version(backend)}"
    if path.suffix == ".keras":
        network.save(path)
        return f"a model of {told}"
    if path.suffix == ".tflite":
        network.export(path, format="litert", verbose=False)
        return f"LiteRT, from {told}"
    network.export(path, format="tf_saved_model", verbose=False)
    return f"a SavedModel of TensorFlow, from {told}"


def main(arguments: list[str]) -> int:
    """Build it and say what wrote it."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    out.write(build(Path(arguments[0]), Path(arguments[1])))
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
