"""What computes an exported model: onnxruntime, or torch for an exported program."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from reswork.errors import InvalidSetting

Format = Literal["torch", "onnx"]
FILES: dict[Format, str] = {"torch": "model.pt2", "onnx": "model.onnx"}
INPUT, OUTPUT = "images", "logits"
_EXTRA = {
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "onnx"),
    "torch_pruning": "prune",
}  # others: serve


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
    raise InvalidSetting("format", f"format={format!r} is none that can be written; choose 'torch' or 'onnx'")


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


def open_engine(path: Path, threads: int | None = None) -> Engine:
    """Open a model's file on the processor.

    A ``.pt2`` file may run code when it is opened, as every file of ``torch.save`` may: open only what you made or
    trust. An ``.onnx`` file runs none.

    Args:
        path: ``.onnx`` or ``.pt2``.
        threads: for one call; None: as many as torch takes here.

    Raises:
        InvalidSetting: a file that cannot be opened, or a package that is missing.
    """
    if path.suffix == ".onnx":
        require("format", "onnxruntime")
    try:
        return _onnx(path, threads) if path.suffix == ".onnx" else _torch(path, threads)
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
