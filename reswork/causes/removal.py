"""A network in which each image of a batch lacks other parts: blocks, shortcuts, channels."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.causes.case import Case
from reswork.models.anatomy import BlockAnatomy, residual_blocks
from reswork.probes.inputs import numbers
from reswork.probes.layer_lookup import find_layers
from reswork.results.causes import PartKind


@dataclass(frozen=True)
class Part:
    """What is taken out.

    Attributes:
        kind: a block is deleted, a shortcut carries nothing, a channel is constant.
        name: of the block, or of the layer that has the channel.
        channel: its number.
        value: what the channel becomes, everywhere.
    """

    kind: PartKind
    name: str
    channel: int = -1
    value: float = 0.0


class Removal:
    """Asks a case's model with parts taken out, other ones for each image.

    A block that adds a branch to a shortcut loses its branch; any other block is passed by, where what it gives has
    the shape of what it takes. A shortcut carries nothing, so that the branch is all there is.

    Args:
        case: whose model, a private copy.

    Attributes:
        blocks: names of those that can be deleted.
        shortcuts: names of blocks whose shortcut can be taken out.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._modules = find_layers(case.net, case.blocks)
        self._anatomy = {block.name: block for block in residual_blocks(case.net)}
        shapes = self._shapes()
        self.blocks = tuple(name for name in case.blocks if self._can_go(name, shapes))
        self.shortcuts = tuple(name for name in case.blocks if self._has_shortcut(name, shapes))

    def answers(self, images: Tensor, lacking: Sequence[Sequence[Part]]) -> np.ndarray:
        """Logits (N, K) float32.

        Args:
            images: (N, C, H, W) uint8; or (1, C, H, W), the same for all.
            lacking: (N,) what each image's network lacks.

        Raises:
            Stopped: somebody asked for the end.
        """
        inputs = images.expand(len(lacking), -1, -1, -1)
        found = []
        for start in range(0, len(lacking), self._case.batch):
            self._case.check()
            rows = slice(start, start + self._case.batch)
            with self._without(lacking[rows]):
                found.append(numbers(self._case.ask(self._case.normalised(inputs[rows]))))
        return np.concatenate(found)

    @contextmanager
    def _without(self, lacking: Sequence[Sequence[Part]]) -> Iterator[None]:
        device = self._case.device
        where: dict[tuple[PartKind, str], list[int]] = {}
        channels: dict[str, list[tuple[int, Part]]] = {}
        for row, parts in enumerate(lacking):
            for part in parts:
                if part.kind == "channel":
                    channels.setdefault(part.name, []).append((row, part))
                else:
                    where.setdefault((part.kind, part.name), []).append(row)
        with ExitStack() as stack:
            for (kind, name), rows in where.items():
                mask = torch.zeros(len(lacking), dtype=torch.bool, device=device)
                mask[rows] = True
                block = self._anatomy.get(name)
                if kind == "shortcut":
                    assert block is not None
                    _cut_shortcut(block, mask, stack)
                elif block is not None and block.has_shortcut:
                    assert block.branch_module is not None
                    stack.callback(block.branch_module.register_forward_hook(_zeroed(mask)).remove)
                else:
                    stack.callback(self._modules[name].register_forward_hook(_passed_by(mask)).remove)
            for name, ones in channels.items():
                stack.callback(self._modules[name].register_forward_hook(_constant(ones)).remove)
            yield

    def _shapes(self) -> dict[str, tuple[torch.Size, torch.Size]]:
        """What each block takes and gives, where both are one tensor."""
        found: dict[str, tuple[torch.Size, torch.Size]] = {}

        def hook(name: str) -> Any:
            def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
                if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
                    found[name] = (inputs[0].shape, output.shape)

            return note

        with ExitStack() as stack:
            for name, module in self._modules.items():
                stack.callback(module.register_forward_hook(hook(name)).remove)
            self._case.ask(self._case.inputs)
        return found

    def _can_go(self, name: str, shapes: dict[str, tuple[torch.Size, torch.Size]]) -> bool:
        block = self._anatomy.get(name)
        if block is not None and block.has_shortcut:
            return block.branch is not None
        return name in shapes and shapes[name][0] == shapes[name][1]

    def _has_shortcut(self, name: str, shapes: dict[str, tuple[torch.Size, torch.Size]]) -> bool:
        block = self._anatomy.get(name)
        if block is None or not block.has_shortcut or block.branch is None:
            return False
        return block.shortcut is not None or (name in shapes and shapes[name][0] == shapes[name][1])


def _rows(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (like.dim() - 1))


def _zeroed(mask: Tensor) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return torch.where(_rows(mask, output), 0, output)

    return hook


def _passed_by(mask: Tensor) -> Any:
    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return torch.where(_rows(mask, output), inputs[0], output)

    return hook


def _constant(ones: Sequence[tuple[int, Part]]) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        changed = output.clone()
        for row, part in ones:
            if changed.dim() == 3:  # (N, tokens, C)
                changed[row, :, part.channel] = part.value
            else:
                changed[row, part.channel] = part.value
        return changed

    return hook


def _cut_shortcut(block: BlockAnatomy, mask: Tensor, stack: ExitStack) -> None:
    """Let nothing come over a shortcut.

    What runs behind the branch is zeroed. What is there before the branch's end may be what the branch reads, too, so
    it is taken off the branch's output instead: F(x) - s is added to s.
    """
    carried: list[Tensor] = []  # of this forward pass
    ended: list[bool] = []
    assert block.branch_module is not None

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        carried.clear()
        ended.clear()
        if block.shortcut is None:
            carried.append(inputs[0])

    def carrier(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        if ended:
            return torch.where(_rows(mask, output), 0, output)
        carried.append(output)
        return None

    def branch(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        ended.append(True)
        if not carried:
            return None
        return torch.where(_rows(mask, output), output - carried[0], output)

    stack.callback(block.module.register_forward_pre_hook(begin).remove)
    stack.callback(block.branch_module.register_forward_hook(branch).remove)
    if block.shortcut is not None:
        stack.callback(block.shortcut.register_forward_hook(carrier).remove)
