"""Activation checkpointing: keep a block's input only, and compute the block again in the backward pass."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from reswork.errors import InvalidSetting


def checkpointed_blocks(model: nn.Module) -> list[nn.Module]:
    """The modules worth checkpointing: children of the model's stages, else its own children with weights.

    Raises:
        InvalidSetting: if the model has no parts.
    """
    stages = [child for child in model.children() if isinstance(child, nn.Sequential)]
    blocks = [block for stage in stages for block in stage.children() if _has_weights(block)]
    blocks = blocks or [child for child in model.children() if _has_weights(child)]
    if not blocks:
        raise InvalidSetting(
            "checkpoint_activations",
            f"{type(model).__name__} has no parts that could be checkpointed; choose "
            "checkpoint_activations=False and accumulate=2 or more to need less memory",
        )
    return blocks


@contextmanager
def checkpointing(
    blocks: list[nn.Module], again: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Iterator[None]:
    """Within it these blocks drop their activations; outside, and for copies, they are as they were.

    Args:
        blocks: of the model.
        again: makes the context of the second computation, as the first one has it.
    """
    try:
        for block in blocks:
            block.forward = partial(_checkpointed, block, block.forward, again)
        yield
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)


def _checkpointed(
    block: nn.Module,
    forward: Callable[..., Any],
    again: Callable[[], AbstractContextManager[object]],
    *inputs: Any,
) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _second_time(block, again())

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _second_time(block: nn.Module, again: AbstractContextManager[object]) -> Iterator[None]:
    """Let the second computation write its running statistics into copies: they were counted already."""
    saved = [
        (norm, dict(norm._buffers))
        for norm in block.modules()
        if isinstance(norm, _BatchNorm) and norm.training and norm.running_mean is not None
    ]
    try:
        for norm, buffers in saved:
            norm._buffers.update(
                {name: tensor.clone() for name, tensor in buffers.items() if tensor is not None}
            )
        with again:
            yield
    finally:
        for norm, buffers in saved:
            norm._buffers.update(buffers)


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
