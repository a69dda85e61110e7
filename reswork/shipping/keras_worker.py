"""The process that has Keras, ``python -m reswork.shipping.keras_worker build|answer ...``; it has no torch of its own.

Keras on TensorFlow and torch in one process crash each other, so that whatever is built or asked goes through files and
pipes. The backend is the one in ``KERAS_BACKEND``.
"""

import io
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from reswork.shipping.layer_files import read_layers


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
    told = f"Keras {keras.__version__} on {backend} {_backend_version(backend)}"
    if path.suffix == ".keras":
        network.save(path)
        return f"a model of {told}"
    if path.suffix == ".tflite":
        network.export(path, format="litert", verbose=False)
        return f"LiteRT, from {told}"
    network.export(path, format="tf_saved_model", verbose=False)
    return f"a SavedModel of TensorFlow, from {told}"


def opened(path: Path, threads: int | None) -> tuple[str, str, int, Callable[[np.ndarray], np.ndarray]]:
    """Name, version, threads, and what answers for images (N, H, W, C), channels last."""
    if path.suffix == ".tflite":
        return _litert(path, threads)
    if path.suffix == ".keras":
        return _keras(path, threads)
    return _tensorflow(path, threads)


def _keras(path: Path, threads: int | None) -> tuple[str, str, int, Callable[[np.ndarray], np.ndarray]]:
    import keras

    backend = keras.backend.backend()
    if threads is not None and backend == "tensorflow":
        _tensorflow_threads(threads)
    if threads is not None and backend == "torch":
        import torch

        torch.set_num_threads(threads)
    network = keras.saving.load_model(path, compile=False)
    version = f"{keras.__version__} on {backend} {_backend_version(backend)}"

    def answer(images: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(network(images, training=False)))

    return "Keras", version, threads or os.cpu_count() or 1, answer


def _backend_version(backend: str) -> str:
    from importlib import import_module

    return str(import_module(backend).__version__)


def _tensorflow_threads(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _tensorflow(path: Path, threads: int | None) -> tuple[str, str, int, Callable[[np.ndarray], np.ndarray]]:
    import tensorflow as tf

    if threads is not None:
        _tensorflow_threads(threads)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]

    def answer(images: np.ndarray) -> np.ndarray:
        (found,) = serve(**{name: tf.constant(images)}).values()
        return np.asarray(found.numpy())

    answer.held = loaded  # type: ignore[attr-defined]  # its functions only point at it
    return "TensorFlow", tf.__version__, threads or os.cpu_count() or 1, answer


def _litert(path: Path, threads: int | None) -> tuple[str, str, int, Callable[[np.ndarray], np.ndarray]]:
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    takes, gives = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answer(images: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(takes, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(takes, images)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(gives))

    return "LiteRT", version("ai-edge-litert"), threads or 1, answer


def write_array(pipe: IO[bytes], array: np.ndarray) -> None:
    """Hand an array on: eight bytes of its length, then npy."""
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    pipe.write(struct.pack("<Q", held.tell()) + held.getvalue())
    pipe.flush()


def read_array(pipe: IO[bytes]) -> np.ndarray | None:
    """The next array; None at the end."""
    head = pipe.read(8)
    if len(head) < 8:
        return None
    data = pipe.read(struct.unpack("<Q", head)[0])
    found: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return found


def main(arguments: list[str]) -> int:
    """Build, or answer until stdin ends: a line of JSON about the engine, then an array for each array."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    if arguments[0] == "build":
        out.write(build(Path(arguments[1]), Path(arguments[2])).encode())
        out.flush()
        return 0
    threads = int(arguments[2]) if len(arguments) > 2 else None
    name, version, known, answer = opened(Path(arguments[1]), threads)
    out.write(json.dumps({"name": name, "version": version, "threads": known}).encode() + b"\n")
    out.flush()
    while (images := read_array(sys.stdin.buffer)) is not None:
        write_array(out, answer(images))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
