"""What computes an exported model: onnxruntime, torch, Keras, TensorFlow or LiteRT."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from reswork.errors import InvalidSetting

Format = Literal["onnx", "torch", "script", "keras", "tensorflow", "litert"]
FILES: dict[Format, str] = {  # two of them are folders
    "onnx": "model.onnx", "torch": "model.pt2", "script": "script", "keras": "model.keras", "tensorflow": "saved_model",
    "litert": "model.tflite",
}  # fmt: skip
PACKAGES: dict[Format, tuple[str, ...]] = {  # that write it
    "onnx": ("onnx", "onnxscript", "onnxruntime"), "torch": (), "script": (), "keras": ("keras",),
    "tensorflow": ("keras", "tensorflow"), "litert": ("keras", "tensorflow", "ai_edge_litert"),
}  # fmt: skip
CHANNELS_LAST: frozenset[Format] = frozenset(
    ("keras", "tensorflow", "litert")
)  # each in a process of its own
BACKENDS = ("tensorflow", "jax", "torch")  # of Keras
SCRIPT, STATE = "network.py", "weights.pt"  # in the folder of a script
INPUT, OUTPUT = "images", "logits"
_RUNS: dict[Format, str] = {  # what computes it
    "onnx": "onnxruntime", "torch": "torch", "script": "torch", "keras": "keras", "tensorflow": "tensorflow",
    "litert": "ai_edge_litert",
}  # fmt: skip
_EXTRA = {  # all others: serve
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "onnx"), "keras": "keras", "tensorflow": "tensorflow",
    "ai_edge_litert": "litert", "mlflow": "mlflow", "pandas": "mlflow", "torch_pruning": "prune",
}  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """An opened model: call it with images, get its output.

    Attributes:
        name: ``onnxruntime`` or ``torch``.
        version: of that package.
        threads: that one call may use.
        answer: (N, C, H, W) float32 -> the output, float32.
    """

    name: str
    version: str
    threads: int
    answer: Callable[[np.ndarray], np.ndarray]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """The output for some images.

        Args:
            inputs: (N, C, H, W) float32, normalised.

        Returns:
            float32, such as logits (N, K).
        """
        return self.answer(np.ascontiguousarray(inputs, np.float32))


def check_format(format: str) -> Format:
    """Give back the name of a format.

    Raises:
        InvalidSetting: there is no such format.
    """
    for known in get_args(Format):
        if format == known:
            found: Format = known
            return found
    *most, last = map(repr, get_args(Format))
    raise InvalidSetting(
        "format", f"format={format!r} is none that can be written; choose {', '.join(most)} or {last}"
    )


def format_of(path: Path) -> Format:
    """Of a model's file or folder, by its name."""
    if path.suffix in (
        known := {Path(name).suffix: format for format, name in FILES.items() if Path(name).suffix}
    ):
        return known[path.suffix]
    return "script" if (path / SCRIPT).is_file() else "tensorflow"


def backends() -> tuple[str, ...]:
    """What Keras can compute with here; the one in ``KERAS_BACKEND`` first."""
    wanted = os.environ.get("KERAS_BACKEND", "")
    return tuple(sorted((name for name in BACKENDS if find_spec(name)), key=lambda name: name != wanted))


def quiet_environment(backend: str) -> dict[str, str]:
    """Of a process for Keras: on the processor, and without what TensorFlow says beside the work."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **quiet, "KERAS_BACKEND": backend}


def load_package(path: Path) -> None:
    """Import what computes a model, so that its time can be told from opening."""
    if format_of(path) == "keras":
        os.environ["KERAS_BACKEND"] = backends()[0]
    import_module(_RUNS[format_of(path)])


def require(field: str, *packages: str) -> None:
    """Refuse what needs a package that is not here.

    Args:
        field: that the error names.
        *packages: as they are imported.

    Raises:
        InvalidSetting: one is not installed; the sentence has the extra that brings it.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        extra = _EXTRA.get(missing[0], "serve")
        raise InvalidSetting(
            field,
            f"this needs the package {', '.join(missing)}, which is not installed: pip install 'reswork[{extra}]'",
        )


def open_engine(path: Path, threads: int | None = None, backend: str | None = None) -> Engine:
    """Open a model's file on the processor.

    A program of torch, a script and a file of Keras may run code when they are opened: open only what you made or
    trust. An ``.onnx`` file runs none. Keras, TensorFlow and LiteRT get a process of their own where torch is in this
    one, as they crash each other.

    Args:
        path: as it lies in an exported folder.
        threads: for one call; None: as many as the engine takes here.
        backend: of Keras; None: the first one that is installed.

    Raises:
        InvalidSetting: a file that cannot be opened, or a package that is missing.
    """
    format = format_of(path)
    require("format", _RUNS[format])
    try:
        if format == "onnx":
            return _onnx(path, threads)
        if format == "torch":
            return _torch(path, threads)
        if format == "script":
            return _script(path, threads)
        return _channels_last(path, threads, backend or backends()[0])
    except InvalidSetting:  # of an engine in a process of its own
        raise
    except Exception as error:  # whatever the engine comes up with
        raise InvalidSetting(
            "path", f"{path.name} cannot be opened: {first_line(error)}; export the model again"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says first, in at most 300 letters."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[
        :300
    ]


def _onnx(path: Path, threads: int | None) -> Engine:
    import onnxruntime

    if threads is None:
        import torch  # not needed otherwise, and not there where an engine is timed

        threads = torch.get_num_threads()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answer(inputs: np.ndarray) -> np.ndarray:
        found: np.ndarray = session.run(None, {name: inputs})[0]
        return found

    return Engine("onnxruntime", onnxruntime.__version__, options.intra_op_num_threads, answer)


def _torch(path: Path, threads: int | None) -> Engine:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    module = torch.export.load(path).module()

    def answer(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = module(torch.tensor(inputs)).numpy()
        return found

    return Engine("torch", torch.__version__, torch.get_num_threads(), answer)


def _script(path: Path, threads: int | None) -> Engine:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    space: dict[str, Any] = {"__name__": "network"}
    exec(compile((path / SCRIPT).read_text(encoding="utf-8"), str(path / SCRIPT), "exec"), space)
    network = space["ResNet"]().eval()
    network.load_state_dict(torch.load(path / STATE, weights_only=True))

    def answer(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = network(torch.tensor(inputs)).numpy()
        return found

    return Engine("torch", torch.__version__, torch.get_num_threads(), answer)


def _channels_last(path: Path, threads: int | None, backend: str) -> Engine:
    if "torch" in sys.modules:
        from reswork.shipping.engine_process import EngineProcess

        return EngineProcess(path, threads, backend=backend).engine
    from reswork.shipping.keras_engines import opened

    os.environ["KERAS_BACKEND"] = backend
    name, version, known, answer = opened(path, threads)

    def turned(inputs: np.ndarray) -> np.ndarray:
        found = answer(np.ascontiguousarray(inputs.transpose(0, 2, 3, 1)))
        return np.ascontiguousarray(np.moveaxis(found, -1, 1))

    return Engine(name, version, known, turned)
