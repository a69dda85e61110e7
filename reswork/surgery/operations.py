"""`Operations`: a list of operations, applied to the original from scratch, so that order counts and undo is exact."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.probes.inputs import answer, placed
from reswork.probes.isolation import OwnRandomness
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.private_copy import private_copy
from reswork.reporting.answers import model_of
from reswork.store.checkpoint import Checkpoint
from reswork.store.moments import moments
from reswork.store.operated_weights import write_operated
from reswork.store.saved_run import SavedRun
from reswork.surgery.operation import Freeze, Ground, Operation, Reestimate, operation_from
from reswork.training.live_run import LiveRun


@dataclass(frozen=True)
class Entry:
    """One line of the list."""

    operation: Operation
    on: bool = True


def operated(
    model: Any,
    operations: Sequence[Operation],
    *,
    data: Dataset | None = None,
    initial: nn.Module | None = None,
) -> nn.Module:
    """A new network to which some operations were done, one after the other; the given one stays as it is.

    Args:
        model: any network, a run, or an opened checkpoint.
        operations: in their order.
        data: for `Reestimate`.
        initial: the network before its training, for `Reset`.

    Returns:
        A network of its own in evaluation mode, with its weights to be trained as those of the given one are.

    Raises:
        InvalidSetting: for an operation that cannot be done to this network, in one sentence.

    Example:
        >>> import torch, reswork as rw
        >>> from reswork.surgery import Delete
        >>> net, images = rw.resnet(depth=8).eval(), torch.rand(2, 3, 32, 32)
        >>> torch.equal(operated(net, [])(images), net(images))
        True
        >>> torch.equal(operated(net, [Delete("layer1.0")])(images), net(images))
        False
    """
    found = model_of(model)
    original, _ = private_copy(found)
    return _applied(
        original, operations, Ground(original, initial or initial_of(model), data), _learning(found)
    )


class Operations:
    """A list of operations on one network: append, switch off and on, move, remove, undo and redo.

    Every change is tried at once; one that cannot be done raises and leaves the list as it was.

    Args:
        model: any network, a run, or an opened checkpoint; it stays as it is.
        data: what it learned from: for `Reestimate`, and one image of it tries each change.
        initial: the network before its training, for `Reset`; None: a run's own where it kept it, else fresh weights
            are drawn.

    Attributes:
        original: a private copy of the network as it was given.

    Example:
        >>> import reswork as rw
        >>> from reswork.surgery import Delete
        >>> operations = Operations(rw.resnet(depth=20))
        >>> operations.append(Delete("layer1.1"))
        >>> operations.sentences
        ('branch of layer1.1 off',)
        >>> operations.undo()
        >>> operations.sentences
        ()
    """

    def __init__(self, model: Any, data: Dataset | None = None, *, initial: nn.Module | None = None) -> None:
        found = model_of(model)
        self.original, _ = private_copy(found)
        self._learns = _learning(found)
        self._before: tuple[str, ...] = model.operations if isinstance(model, Checkpoint) else ()
        self._data, self._initial = data, initial or initial_of(model)
        self._entries: tuple[Entry, ...] = ()
        self._past: list[tuple[Entry, ...]] = []
        self._future: list[tuple[Entry, ...]] = []

    # --- the list --------------------------------------------------------------------------------

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All lines, also those that are off."""
        return self._entries

    @property
    def active(self) -> tuple[Operation, ...]:
        """The operations that are on, in their order."""
        return tuple(entry.operation for entry in self._entries if entry.on)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is done, in words."""
        return tuple(operation.sentence for operation in self.active)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Layers that shall not learn: for ``rw.Recipe(frozen=...)``."""
        names = (one.name for one in self.active if isinstance(one, Freeze))
        return tuple(dict.fromkeys(names))

    def append(self, operation: Operation) -> None:
        """Do one more at the end.

        Raises:
            InvalidSetting: if it cannot be done to this network.
        """
        self._change((*self._entries, Entry(operation)))

    def switch(self, index: int, on: bool) -> None:
        """Switch one line off or on."""
        self._change(self._with(index, lambda entry: [replace(entry, on=on)]))

    def remove(self, index: int) -> None:
        """Take one line out."""
        self._change(self._with(index, lambda entry: []))

    def move(self, index: int, to: int) -> None:
        """Put one line to another place; the others keep their order."""
        rest = list(self._with(index, lambda entry: []))
        rest.insert(min(max(to, 0), len(rest)), self._entries[index])
        self._change(tuple(rest))

    def clear(self) -> None:
        """Take all lines out; `undo` brings them back."""
        self._change(())

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change that was taken back."""
        return bool(self._future)

    def undo(self) -> None:
        """Take the last change of the list back; nothing where there is none."""
        if self._past:
            self._future.append(self._entries)
            self._entries = self._past.pop()

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        if self._future:
            self._past.append(self._entries)
            self._entries = self._future.pop()

    # --- what comes of it ------------------------------------------------------------------------

    def model(self) -> nn.Module:
        """A new network: a copy of the original with all operations that are on; equal to the last bit where none is.

        It is nobody else's, and can be trained.
        """
        return _applied(self.original, self.active, self._ground, self._learns)

    def to_json(self) -> str:
        """All lines, also those that are off; `read` takes them up again."""
        return json.dumps([{**entry.operation.to_dict(), "on": entry.on} for entry in self._entries])

    def read(self, text: str) -> None:
        """Replace the list by one from JSON.

        Raises:
            InvalidSetting: if it holds no list of operations, or one that cannot be done here.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidSetting("operations", f"{text[:40]!r} is not JSON: {error}") from None
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise InvalidSetting("operations", f"{text[:40]!r} is no list of operations")
        entries = [
            Entry(operation_from({k: v for k, v in each.items() if k != "on"}), bool(each.get("on", True)))
            for each in values
        ]
        self._change(tuple(entries))

    def save(self, path: str | Path) -> Path:
        """Write the network as it is now into a ``.safetensors`` file, with what was done to it.

        ``rw.open_checkpoint(path)`` gives the same answers and tells the operations. What weights can say is in the
        weights (see `write_operated`), so that other programs get it too.

        Returns:
            The path.

        Raises:
            InvalidSetting: for another ending, or a file that cannot be written.
        """
        config = getattr(self.original, "config", None)
        return write_operated(
            Path(path),
            self.model(),
            (*self._before, *self.sentences),
            [one.to_dict() for one in self.active],
            config if isinstance(config, ResNetConfig) else None,
        )

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        told = "; ".join(self.sentences) or "nothing done"
        return f"<Operations on {type(self.original).__name__}: {told}>"

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _ground(self) -> Ground:
        return Ground(self.original, self._initial, self._data)

    def _with(self, index: int, instead: Callable[[Entry], list[Entry]]) -> tuple[Entry, ...]:
        if not 0 <= index < len(self._entries):
            raise InvalidSetting(
                "index", f"there is no line {index}; the list has {len(self._entries)} lines, from 0"
            )
        found = list(self._entries)
        found[index : index + 1] = instead(found[index])
        return tuple(found)

    def _change(self, entries: tuple[Entry, ...]) -> None:
        self._try(entries)
        self._past.append(self._entries)
        self._future.clear()
        self._entries = entries

    def _try(self, entries: tuple[Entry, ...]) -> None:
        """Whether all of it can be done; statistics, which take longest, are estimated later."""
        quick: list[Operation] = []
        for one in (entry.operation for entry in entries if entry.on):
            if isinstance(one, Reestimate) and self._data is not None:
                one = replace(one, images=2)
            quick.append(one)
        made = _applied(self.original, quick, self._ground, {})
        if self._data is not None:
            image = normalise(self._data.train.inputs[:1], self._data.mean, self._data.std)
            with torch.no_grad(), OwnRandomness():
                answer(made, placed(made, image))


def _applied(
    original: nn.Module, operations: Sequence[Operation], ground: Ground, learns: dict[str, bool]
) -> nn.Module:
    model = copy.deepcopy(original)
    for operation in operations:
        operation.apply(model, ground)
    for name, weight in model.named_parameters():
        weight.requires_grad_(learns.get(name, True))
    return model


def initial_of(given: Any) -> nn.Module | None:
    """The network of a run before its first step, where the run kept that moment."""
    if not isinstance(given, LiveRun | SavedRun) or given.config is None:
        return None
    kept = moments(given, device="cpu")
    return kept.model(0) if 0 in kept.steps else None


def _learning(model: nn.Module) -> dict[str, bool]:
    return {name: weight.requires_grad for name, weight in unwrapped(model).named_parameters()}
