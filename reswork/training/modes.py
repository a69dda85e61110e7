"""How a run computes on this machine: device, precision, memory format, compilation, and why."""

import importlib.util
import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe

Precision = Literal["fp32", "bf16", "fp16"]

_COMPILE_LAYER_S = 1.5  # seconds for each layer with weights, two cores; 30 to 40 s for ResNet-20
_COMPILE_GAIN = {
    "cpu": 0.1,  # 0.05 and 0.16 on two processors
    "cuda": 0.25,
}  # share of the time that it saves, measured over eager channels_last
_COMPILE_MARGIN = 1.2  # a run must save so many times what compiling costs
_COMPILE_LEAST_S = 20 * 60  # a shorter run is never kept waiting
_COMPILE_AFTER = 20  # steps: the first curve is drawn while somebody looks, and the run stands still after it


@dataclass(frozen=True)
class Mode:
    """A way to compute, and why it was chosen; ``str(mode)`` is both in a sentence.

    Attributes:
        device: such as ``"cuda:0"``.
        precision: of the matrix work.
        channels_last: memory format of images and weights.
        compile: whether the training step is compiled.
        reason: why all this.
        compile_after: steps that are made before, uncompiled.
    """

    device: str
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False
    reason: str = ""
    compile_after: int = 0

    def __str__(self) -> str:
        layout = "channels_last" if self.channels_last else "channels first"
        text = f"{self.device}, {self.precision}, {layout}, {'compiled' if self.compile else 'not compiled'}"
        return f"{text}: {self.reason}" if self.reason else text

    def is_compiled(self, step: int) -> bool:
        """Whether this step, counted from 1, is computed by compiled code."""
        return self.compile and step > self.compile_after

    def uncompiled(self, reason: str) -> "Mode":
        """The same without compiled code, and why."""
        told = f"{self.reason}; {reason}" if self.reason else reason
        return replace(self, compile=False, compile_after=0, reason=told)

    @property
    def memory_format(self) -> torch.memory_format:
        """Of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the forward pass computes."""
        if self.precision == "fp32":
            return nullcontext()
        kind = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(torch.device(self.device).type, kind)


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """The device to train on and why.

    Args:
        wanted: ``"auto"`` or a name such as ``"cuda:1"``.

    Raises:
        InvalidSetting: if there is no such device here.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    if wanted == "auto":
        if found is None:
            return torch.device("cpu"), "the processor, because torch.accelerator finds no other device"
        index = torch.accelerator.current_device_index()
        device = torch.device(found.type, index) if found.type != "mps" else found
        return device, f"{_device_name(device)}, found by torch.accelerator"
    kinds = ["cpu", *([found.type] if found is not None else [])]
    asked = _known_device(wanted, kinds)
    if asked is None:
        raise InvalidSetting(
            "device", f"device={wanted!r} is not here; choose 'auto', {', '.join(map(repr, kinds))}"
        )
    if asked.type not in ("cpu", "mps") and ":" not in wanted:
        asked = torch.device(asked.type, torch.accelerator.current_device_index())
    return asked, f"{_device_name(asked)}, as asked"


def mode_by_rule(recipe: Recipe, model: nn.Module, device: torch.device) -> Mode:
    """The mode that is usually best on such a device, without timing anything; settings of the recipe win."""
    convolutional = any(isinstance(module, nn.Conv2d) for module in model.modules())
    precision, why = fast_precision(device) if recipe.precision == "auto" else (recipe.precision, "as asked")
    if recipe.channels_last == "auto":
        channels_last = convolutional and device.type != "mps"
    else:
        channels_last = bool(recipe.channels_last)
    return Mode(str(device), precision, channels_last, False, f"{precision} {why}")


def fast_precision(device: torch.device) -> tuple[Precision, str]:
    """The precision that this device is built for, and why."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if major >= 8:
            return "bf16", f"because compute capability {major}.{minor} has bf16 units"
        if major == 7:
            return "fp16", f"because compute capability {major}.{minor} has units for fp16, not for bf16"
        return "fp32", f"because compute capability {major}.{minor} has units for nothing shorter"
    if device.type == "cpu" and has_cpu_bf16():
        return "bf16", "because the processor has instructions for it"
    if device.type == "cpu":
        return "fp32", "because the processor has no bf16 instructions"
    return "fp32", f"because nothing shorter was measured on {device.type}"


def has_cpu_bf16() -> bool:
    """Whether this processor multiplies bf16 numbers in hardware (AVX512-BF16, AMX or Arm's BF16)."""
    find = getattr(torch.cpu, "get_capabilities", None)
    able = find() if find is not None else {}
    names = ("avx512_bf16", "amx_bf16", "amx_tile", "bf16", "arm_bf16", "sve_bf16")
    return any(bool(able.get(name)) for name in names)


def with_compilation(
    mode: Mode, recipe: Recipe, model: nn.Module, step_s: float | None, steps: int, *, ranks: int = 1
) -> Mode:
    """The same mode with a decision on torch.compile.

    Args:
        mode: the rest of the choice.
        recipe: ``compile``, and what forbids it.
        model: its layers say how long compiling takes.
        step_s: seconds of one step, where it was measured.
        steps: length of the run.
        ranks: processes that make each step together.

    Raises:
        InvalidSetting: if it is asked for, and there is no compiler.
    """
    chosen, why = _compilation(mode, recipe, model, step_s, steps, ranks)
    after = _COMPILE_AFTER if chosen and recipe.compile == "auto" else 0
    told = f"{mode.reason}; {why}" if mode.reason else why
    return replace(mode, compile=chosen, reason=told, compile_after=after)


def compiling_s(model: nn.Module) -> float:
    """Seconds that compiling a network's training step takes, roughly, on two cores."""
    return _COMPILE_LAYER_S * sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules())


def _compilation(
    mode: Mode, recipe: Recipe, model: nn.Module, step_s: float | None, steps: int, ranks: int
) -> tuple[bool, str]:
    kind = torch.device(mode.device).type
    if recipe.compile == "off":
        return False, "not compiled, as asked"
    if recipe.checkpoint_activations:
        return False, "not compiled, because checkpointed activations do not go with it"
    if recipe.image_scale < 1:
        return False, "not compiled, because the size of the images changes"
    missing = _missing_compiler(kind)
    if recipe.compile == "on":
        if missing:
            raise InvalidSetting(
                "compile", f"compile='on' needs {missing}; install it or choose compile='off'"
            )
        return True, "compiled, as asked"
    if recipe.deterministic or step_s is None:
        return False, "not compiled, because nothing was timed"
    if ranks > 1:
        return False, f"not compiled, because {ranks} ranks could not go on where one compiler fails"
    if missing:
        return False, f"not compiled, because {missing} is not here"
    run_s = step_s * steps
    if run_s <= _COMPILE_LEAST_S:
        told = f"{run_s:.0f} s" if run_s < 60 else f"{run_s / 60:.0f} min"
        return False, f"not compiled, because the run takes about {told}, not more than 20 min"
    cost_s, gain_s = compiling_s(model), run_s * _COMPILE_GAIN.get(kind, 0.0)
    numbers = f"it takes about {cost_s:.0f} s and would save about {gain_s:.0f} s"
    pays = gain_s > _COMPILE_MARGIN * cost_s
    return pays, f"{f'compiled after {_COMPILE_AFTER} steps' if pays else 'not compiled'}, because {numbers}"


def _missing_compiler(kind: str) -> str:
    if kind == "cuda":
        return "" if importlib.util.find_spec("triton") else "triton"
    if kind == "mps":
        return ""
    names = (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    return "" if any(name and shutil.which(name) for name in names) else "a C++ compiler"


def _known_device(wanted: str, kinds: list[str]) -> torch.device | None:
    try:
        device = torch.device(wanted)
    except RuntimeError:
        return None
    if device.type == "cpu":
        return torch.device("cpu")
    here = device.type in kinds and (device.index or 0) < torch.accelerator.device_count()
    return device if here else None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "the processor" if device.type == "cpu" else device.type
