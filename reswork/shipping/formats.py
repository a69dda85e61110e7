"""How a network becomes a file: ONNX, a program of ``torch.export``, plain PyTorch, or what Keras writes."""

import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.layout import MASK_HEADS, PICTURE_HEADS
from reswork.models.network_code import network_code, network_imports
from reswork.shipping.engines import (
    CHANNELS_LAST,
    INPUT,
    OUTPUT,
    PACKAGES,
    SCRIPT,
    STATE,
    Format,
    backends,
    first_line,
    require,
)  # fmt: skip

OLDEST_OPSET = 18  # torch's exporter writes none that is older, whatever it is asked for
OPSET = 20
_WRITTEN = ("classifier", *MASK_HEADS, *PICTURE_HEADS)  # heads of which there is code
_OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)'")
_FIXED = "Constraints violated"  # torch's words where a dimension that should be free is not


def check_opset(opset: int) -> None:
    """Refuse what torch's exporter does not write.

    Raises:
        InvalidSetting: an opset below 18.
    """
    if isinstance(opset, bool) or not isinstance(opset, int) or opset < OLDEST_OPSET:
        raise InvalidSetting(
            "opset",
            f"opset={opset!r} cannot be written; choose {OLDEST_OPSET} or a later one, such as {OPSET}",
        )


def write_model(
    network: nn.Module,
    inputs: Tensor,
    path: Path,
    format: Format,
    opset: int,
    output: str = OUTPUT,
    given: str = INPUT,
    *,
    any_size: bool = False,
) -> dict[str, Any]:
    """Write a network so that it takes any number of images in a batch.

    Args:
        network: at rest, on the processor.
        inputs: (N, C, H, W) with N of at least 2, as it will be called.
        path: the file, or the folder of a script or a SavedModel.
        format: of it.
        opset: of ONNX.
        output: its name, in ONNX.
        given: name of what goes in, in ONNX.
        any_size: whether height and width are free, too.

    Returns:
        What is known of the file: ``told``, in words, and for ONNX ``opset`` as it was read back.

    Raises:
        InvalidSetting: the network cannot be exported, with the operator or the reason.
    """
    require("format", *PACKAGES[format])
    if format == "script":
        return _write_script(network, path)
    # a slice is saved with the memory of the whole that it is a part of
    example = inputs.detach().clone(memory_format=torch.contiguous_format)
    try:
        if format in CHANNELS_LAST:
            return {"told": _built(network, example, path, format)}
        with _quietly(), torch.no_grad():
            free = ("batch", "channels", "height", "width") if any_size else ("batch",)
            shapes = {axis: torch.export.Dim(name) for axis, name in enumerate(free) if name != "channels"}
            program = torch.export.export(network, (example,), dynamic_shapes=(shapes,))
            if format == "torch":
                torch.export.save(program, path)
                return {"told": f"a program of torch.export {torch.__version__}"}
            torch.onnx.export(
                program, f=path, input_names=[given], output_names=[output], opset_version=opset, dynamo=True,
                external_data=False, verbose=False,
            )  # fmt: skip
    except Exception as error:  # whatever the exporter comes up with
        raise InvalidSetting("model", _refusal(network, format, error)) from error
    found = _opset_of(path)
    if found != opset:
        raise InvalidSetting(
            "opset", f"opset={opset} was asked for and {found} was written; choose opset={found}"
        )
    return {"told": f"ONNX, opset {found}", "opset": found}


def _built(network: nn.Module, example: Tensor, path: Path, format: Format) -> str:
    """By Keras, in a process of its own; what wrote it, in words."""
    from reswork.shipping.keras_build import build_elsewhere
    from reswork.shipping.layer_files import write_layers
    from reswork.shipping.layer_list import layers_of

    backend = backends()[0] if format == "keras" else "tensorflow"
    with tempfile.TemporaryDirectory(prefix="reswork-keras-") as folder:
        with _quietly():
            layers = layers_of(network, example)
        channels, height, width = example.shape[1:]
        write_layers(Path(folder), layers, (height, width, channels))
        return build_elsewhere(Path(folder), path, backend)


def _write_script(network: nn.Module, path: Path) -> dict[str, Any]:
    config = getattr(network, "config", None)
    if not isinstance(config, ResNetConfig) or config.dims != 2 or config.head not in _WRITTEN:
        raise InvalidSetting(
            "format",
            f"format='script' writes out networks of rw.resnet, rw.unet and rw.edsr, and this is a "
            f"{type(network).__name__}: choose 'onnx' or 'torch'",
        )
    imports = "\n".join(
        sorted({"import torch", *network_imports(config)}, key=lambda line: (line[0] == "f", line))
    )
    path.mkdir()
    told = f'"""{config.label} in plain PyTorch, from its settings; weights.pt has what it learned."""'
    (path / SCRIPT).write_text(f"{told}\n\n{imports}\n\n\n{network_code(config)}", encoding="utf-8")
    torch.save({name: value.clone() for name, value in network.state_dict().items()}, path / STATE)
    return {"told": f"plain PyTorch {torch.__version__}: its code and a state_dict"}


def _opset_of(path: Path) -> int:
    import onnx

    read = onnx.load(path, load_external_data=False)
    return int(next(each.version for each in read.opset_import if each.domain in ("", "ai.onnx")))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporters say beside the work."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


def _refusal(network: nn.Module, format: Format, error: BaseException) -> str:
    """One sentence with the operator that cannot be exported, or the reason."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    reason = first_line(chain[-1]).removesuffix(".")
    if reason.startswith(_FIXED):
        reason = "what it computes is fixed to one number of images in a batch, or to one size"
    named = next((found for each in chain if (found := _OPERATOR.search(str(each)))), None)
    what = f"its operator {named.group(1)} is not known there" if named and format == "onnx" else reason
    other = "" if format == "torch" else ", or export it as format='torch'"
    return (
        f"this {type(network).__name__} cannot be exported as {format}: {what}; replace the layer that does this by "
        f"plain operations on tensors{other}"
    )
