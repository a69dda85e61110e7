"""Keras, TensorFlow and LiteRT on images whose channels come last; in a process that has no torch of its own."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


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
    version = f"{keras.__version__} on {backend} {backend_version(backend)}"

    def answer(images: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(network(images, training=False)))

    return "Keras", version, threads or os.cpu_count() or 1, answer


def backend_version(backend: str) -> str:
    """Of the package that Keras computes with."""
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
