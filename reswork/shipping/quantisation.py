"""A network in whole numbers of 8 bits, by onnxruntime: activations u8, weights s8, each with its own scale."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reswork.errors import InvalidSetting
from reswork.shipping.engines import INPUT, first_line, open_engine

_BATCH = 32


def write_int8(source: Path, path: Path, inputs: np.ndarray, reference: np.ndarray) -> str:
    """Quantise an ONNX file by what its layers say to some images.

    The ranges of activations come from one half of the images. The other half decides whether weights keep 8 bits or 7:
    a processor without instructions for such products (VNNI) can overflow with 8, and then answers otherwise.

    Args:
        source: ONNX in single precision.
        path: to be written.
        inputs: (N, C, H, W) float32, N of at least 2.
        reference: output of the network for them.

    Returns:
        What was chosen and why, in a sentence.

    Raises:
        InvalidSetting: fewer images, or onnxruntime cannot quantise the network.
    """
    if len(inputs) < 2:
        raise InvalidSetting(
            "calibration", f"{len(inputs)} images cannot say how large activations are: give 2 or more"
        )
    half, shares = len(inputs) // 2, {}
    with tempfile.TemporaryDirectory(prefix="reswork-int8-") as folder, _quietly():
        for bits in (8, 7):
            made = Path(folder) / f"{bits}.onnx"
            try:
                _quantise(source, made, inputs[:half], bits)
            except Exception as error:  # whatever onnxruntime comes up with
                raise InvalidSetting(
                    "precision",
                    f"this network cannot be quantised: {first_line(error)}; export it as precision='fp32'",
                ) from error
            found = open_engine(made)(inputs[half:])
            shares[bits] = float((found.argmax(1) == reference[half:].argmax(1)).mean())
        chosen = 8 if shares[8] >= shares[7] else 7
        path.write_bytes((Path(folder) / f"{chosen}.onnx").read_bytes())
    stayed = f"{shares[8]:.1%} of the answers stayed with 8 bits and {shares[7]:.1%} with 7"
    return (
        f"Activations u8, weights s8 with {chosen} bits, by the ranges in {half} training images; on "
        f"{len(inputs) - half} others {stayed}."
    )


def _quantise(source: Path, path: Path, inputs: np.ndarray, bits: int) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        path,
        _reader(inputs),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=bits == 7,
    )


def _reader(inputs: np.ndarray) -> Any:
    """Batches as onnxruntime asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._parts = iter(np.array_split(inputs, max(1, len(inputs) // _BATCH)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next batch; None at the end."""
            part = next(self._parts, None)
            return None if part is None else {INPUT: part}

    return Reader()


@contextmanager
def _quietly() -> Iterator[None]:
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
