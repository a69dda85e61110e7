"""What goes wrong in training, said so that a person knows what to do."""

import copy
import gc
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reswork.training.batches import Batch
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe

_COMPILER = ("torch._dynamo", "torch._inductor")
_MOST_TEXT = 200  # characters of what a compiler said


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite; the weights are those before this step.

    Attributes:
        step: the update that would have come.
        layer: name of the first layer whose output was not finite; None: the loss itself.
    """

    def __init__(self, step: int, layer: str | None, remedy: str) -> None:
        where = (
            f"the first layer with NaN or Inf in its output is {layer}"
            if layer
            else "all layers' outputs are finite"
        )
        super().__init__(f"The loss is not finite at step {step}; {where}. {remedy}")
        self.step = step
        self.layer = layer


class OutOfMemory(RuntimeError):
    """The device's memory does not hold this training; what it took has been given back."""


def non_finite_loss(
    step: int, model: nn.Module, batch: Batch, mode: Mode, recipe: Recipe, rate: float
) -> NonFiniteLoss:
    """The error for a step whose loss is not finite, after looking for the layer where it began."""
    layer = first_bad_layer(model, batch.inputs, mode)
    weights = model.get_submodule(layer).parameters(recurse=False) if layer is not None else ()
    if not all(weight.isfinite().all() for weight in weights):
        remedy = "Its weights are not finite themselves: lower the learning rate"
    else:
        remedy = "Lower the learning rate"
    remedy += f" (now {rate:g}; try {rate / 10:g})"
    if recipe.clip_norm is None:
        remedy += ", clip the gradients (clip_norm=1)"
    if not recipe.warmup_epochs:
        remedy += ", or begin with warmup_epochs=1"
    if mode.precision == "fp16":
        remedy += "; fp16 ends at 65,504, so precision='bf16' or 'fp32' may be enough"
    return NonFiniteLoss(step, layer, remedy + ".")


def first_bad_layer(model: nn.Module, images: Tensor, mode: Mode) -> str | None:
    """Name of the first layer, in order of computation, whose output is not finite; None: there is none."""
    trial = copy.deepcopy(model)
    if not trial.training:
        trial.train()
    bad: list[str] = []

    def look(name: str, output: object) -> None:
        if not bad and isinstance(output, Tensor) and not bool(output.isfinite().all()):
            bad.append(name)

    for name, module in trial.named_modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(lambda _module, _inputs, output, name=name: look(name, output))
    device = images.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad(), mode.autocast():
        trial(images)
    return bad[0] if bad else None


@contextmanager
def memory_failures_explained(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn a lack of memory into `OutOfMemory`, with everything that the failed step held given back."""
    message = None
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        message = _memory_sentence(str(error), recipe, device)
        traceback.clear_frames(error.__traceback__)  # they hold the batch and its activations
    if message is not None:
        release_memory(device)
        raise OutOfMemory(message) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says, in whichever way, that memory did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in ("out of memory", "can't allocate memory", "not enough memory"))


def is_compilers(error: Exception) -> bool:
    """Whether what a compiled step raised may be the compiler's doing: it is worth trying without it."""
    if any(base.__module__.startswith(_COMPILER) for base in type(error).__mro__):
        return True
    return not isinstance(error, NonFiniteLoss) and not is_out_of_memory(error)


def compiler_failure(error: Exception) -> str:
    """One line from a page of compiler text: what failed, and the first thing that the program said to it."""
    head, _, output = str(error).partition("\nOutput:\n")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\berror\b", line)]
    first = next((line.strip() for line in head.splitlines() if line.strip()), type(error).__name__)
    text = ": ".join([first, *(telling or lines)[:1]])
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}..."


def release_memory(device: torch.device) -> None:
    """Give unused memory back to the device."""
    gc.collect()
    if device.type != "cpu":
        torch.accelerator.empty_cache()


def _memory_sentence(text: str, recipe: Recipe, device: torch.device) -> str:
    found = re.search(r"allocate\s+([\d.]+\s*(?:[KMGT]i?B|bytes))", text)
    needed = _readable(found.group(1)) if found else "more memory than there is"
    free = _free_bytes(device)
    room = f" with {free / 2**30:.2f} GiB free" if free is not None else ""
    smaller = max(2, recipe.batch_size // 2)
    parts = min(2 * recipe.accumulate, recipe.batch_size // 2)
    remedies = [f"a smaller batch_size (now {recipe.batch_size}; try {smaller})", f"accumulate={parts}"]
    if not recipe.checkpoint_activations:
        remedies.append("checkpoint_activations=True")
    return (
        f"Out of memory on {device}: a step needed another {needed}{room}. Choose {', '.join(remedies)}, "
        "or a net of less width or depth. The memory was given back."
    )


def _readable(amount: str) -> str:
    number = re.fullmatch(r"([\d.]+)\s*bytes", amount)
    return f"{float(number.group(1)) / 2**30:.2f} GiB" if number else amount


def _free_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    return None
