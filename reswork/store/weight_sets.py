"""The sets of weights that a checkpoint holds, each with where it lies, and which of several networks is meant."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reswork.models.foreign_names import Body, bodies
from reswork.store.stand_ins import StandIn, tensors_of_module

_DEPTH = 4  # how deep a state dict may lie in other dicts
_NO_WEIGHTS = re.compile(r"optim|sched|scaler|^amp$|callbacks|^loops$|rng", re.IGNORECASE)
_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?|shadow|n_averaged)([._]|$)|ema_|_ema", re.IGNORECASE)
_SECOND = re.compile(
    r"teacher|target|momentum_encoder|encoder_k|_k\.|key_encoder|discriminator|last", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class WeightSet:
    """One mapping from names to tensors.

    Attributes:
        name: where in the file it lies, such as ``"state_dict_ema"``; empty for the file itself.
        tensors: as they are named there.
    """

    name: str
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class FoundNetwork:
    """One network in a file: the set of weights, and the residual body within it, if there is one."""

    inside: WeightSet
    body: Body | None

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All of the set."""
        return self.inside.tensors

    @property
    def label(self) -> str:
        """Where it lies, for people: ``"state_dict_ema"``, ``"encoder_q"``, ``"student.backbone"``."""
        parts = [self.inside.name, *(self.body.prefix if self.body else "").strip(".").split(".")]
        return ".".join(part for part in parts if part) or "the file itself"


def weight_sets(content: Any) -> tuple[WeightSet, ...]:
    """Every mapping that has tensors in it, however deep; optimizers and schedules are left out."""
    return tuple(_sets("", content, _DEPTH))


def networks_in(sets: tuple[WeightSet, ...]) -> tuple[FoundNetwork, ...]:
    """Every residual network, the one that is meant first.

    Averaged weights come first, as they are those that were evaluated; teachers, targets and momentum encoders come
    last, as the other network is the one that was trained; then the one with more tensors.
    """
    found = [FoundNetwork(each, body) for each in sets for body in bodies(each.tensors)]
    return tuple(
        sorted(found, key=lambda each: (_rank(each.label), -len(each.body.names if each.body else ())))
    )


def _rank(label: str) -> int:
    if _SECOND.search(label):
        return 2
    return 0 if _AVERAGED.search(label) else 1


def _sets(name: str, content: Any, depth: int) -> Iterator[WeightSet]:
    if isinstance(content, StandIn):
        whole = tensors_of_module(content)
        if whole:
            yield WeightSet(name, whole)
            return
        content = {key: value for key, value in content.__dict__.items() if key != "given"}
    if not isinstance(content, Mapping):
        return
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if any(value.dim() > 0 for value in tensors.values()):
        yield WeightSet(name, tensors)
    for key, value in content.items():
        if depth and not _NO_WEIGHTS.search(str(key)):
            yield from _sets(f"{name}.{key}" if name else str(key), value, depth - 1)
