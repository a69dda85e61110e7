"""Operations on a trained network: parts deleted, scaled, shuffled, swapped, reset, copied; each can be taken back."""

from reswork.surgery.operation import (
    Copy,
    Delete,
    Freeze,
    Operation,
    Reestimate,
    Reset,
    Scale,
    Shuffle,
    Swap,
    operation_from,
)
from reswork.surgery.operations import Entry, Operations, operated
from reswork.surgery.statistics import reestimate_norms

__all__ = [
    "Copy",
    "Delete",
    "Entry",
    "Freeze",
    "Operation",
    "Operations",
    "Reestimate",
    "Reset",
    "Scale",
    "Shuffle",
    "Swap",
    "operated",
    "operation_from",
    "reestimate_norms",
]
