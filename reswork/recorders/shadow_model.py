"""A copy of the model through which a few images of a step are run to look inside, and what its blocks show."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from reswork.models.anatomy import residual_blocks
from reswork.models.quick_copy import quick_copy


class Look(Protocol):
    """What is done with a tensor that a block shows: ``(place of the block, tensor) -> its replacement``."""

    def __call__(self, index: int, tensor: Tensor, /) -> Tensor | None:
        """None leaves it as it is; what is to be kept must be computed or copied at once."""


class ShadowModel:
    """A copy of a model in training, with its own weights, statistics and hooks; the model is only read.

    It computes in single precision and never compiled, whatever the run does, so that a layer can be looked
    at in every mode; checkpointing, accumulation and averaging of the run do not touch it.

    Args:
        model: of the run, between two steps.

    Attributes:
        blocks: residual blocks of the copy, named as in the model.
    """

    def __init__(self, model: nn.Module) -> None:
        copied = quick_copy(model).requires_grad_(False)
        self.blocks = residual_blocks(copied)
        self._model = copied.module if isinstance(copied, nn.DataParallel) else copied  # on one device
        self._own, self._live = _tensors(copied), _tensors(model)
        self._pairs = list(zip(copied.modules(), model.modules(), strict=True))

    def hook(
        self,
        *,
        entered: Look | None = None,
        branch: Look | None = None,
        shortcut: Look | None = None,
        output: Look | None = None,
    ) -> None:
        """Let these see each block's input, F(x), what enters the addition beside it, and the block's output.

        In a block without shortcut ``shortcut`` sees nothing; where x itself is added it sees x.
        """
        for index, block in enumerate(self.blocks):
            layer = block.branch_module
            if entered is not None:
                _see_input(block.module, entered, index)
            if shortcut is not None and block.has_shortcut and block.shortcut is None:
                _see_input(block.module, shortcut, index)
            if shortcut is not None and block.shortcut is not None:
                see_output(block.shortcut, shortcut, index)
            if branch is not None and layer is not None:
                see_output(layer, branch, index)
            if output is not None:
                see_output(block.module, output, index)

    def run(self, model: nn.Module, images: Tensor) -> Tensor:
        """Logits (N, K) of the model as it is now; the global random numbers stay as they were."""
        torch._foreach_copy_(self._own, self._live)
        for own, live in self._pairs:
            own.training = live.training  # norms of layers that stood still may have joined
        devices = [images.device] if images.device.type == "cuda" else []
        kind = images.device.type if images.device.type != "cpu" else "cuda"
        with torch.random.fork_rng(devices, device_type=kind):
            logits: Tensor = self._model(images)
        return logits

    @property
    def names(self) -> tuple[str, ...]:
        """Of the blocks."""
        return tuple(block.name for block in self.blocks)


class Summands:
    """What enters the addition of each block: pairs of F(x) and the shortcut's value, once both are there.

    Args:
        twin: gets the hooks.
        look: called with a block's place, the shortcut's value and F(x), both as they enter the addition;
            the shortcut's is None where there is none.
        handing_on_copies: give the net copies to go on with, so that a net that works in place leaves what
            was seen as it was; the input of a block is not copied again where it is the shortcut.
    """

    def __init__(
        self,
        twin: ShadowModel,
        look: Callable[[int, Tensor | None, Tensor], None],
        *,
        handing_on_copies: bool = False,
    ) -> None:
        self._look, self._copies = look, handing_on_copies
        self._paired = [block.has_shortcut for block in twin.blocks]
        self._identity = [block.shortcut is None for block in twin.blocks]
        self._shortcuts: dict[int, Tensor] = {}
        self._branches: dict[int, Tensor] = {}
        twin.hook(branch=self._branch, shortcut=self._shortcut)

    def clear(self) -> None:
        """Forget the tensors of one run."""
        self._shortcuts, self._branches = {}, {}

    def _branch(self, index: int, tensor: Tensor) -> Tensor | None:
        self._branches[index] = tensor
        self._meet(index)
        return tensor.clone() if self._copies else None

    def _shortcut(self, index: int, tensor: Tensor) -> Tensor | None:
        self._shortcuts[index] = tensor
        self._meet(index)
        return tensor.clone() if self._copies and not self._identity[index] else None

    def _meet(self, index: int) -> None:
        branch, shortcut = self._branches.get(index), self._shortcuts.get(index)
        if branch is not None and (shortcut is not None or not self._paired[index]):
            self._look(index, shortcut, branch)


def see_output(module: nn.Module, look: Look, index: int) -> None:
    """Let a function see what a module gives, each time."""
    module.register_forward_hook(lambda _, __, tensor: look(index, tensor))


def _see_input(module: nn.Module, look: Look, index: int) -> None:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        replaced = look(index, inputs[0])
        return None if replaced is None else (replaced, *inputs[1:])

    module.register_forward_pre_hook(hook)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
