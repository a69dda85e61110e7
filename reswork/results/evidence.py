"""What a rule of the doctor measured, beside the limit that it was held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True, eq=False)
class Evidence:
    """The number that a finding rests on, and the values that it came from.

    Attributes:
        measure: what was measured, in a few words with its unit.
        value: how much it was.
        limit: the finding is made from this value on.
        numbers: further numbers by name.
        title: what ``values`` are; empty where there are none.
        labels: (n,) names of layers, blocks or classes, or the steps of the training.
        values: (n,) one for each label.
        along: whether the labels are names, drawn as bars, or steps, drawn as a line.
    """

    measure: str
    value: float
    limit: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    labels: tuple[str, ...] | tuple[float, ...] = ()
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    along: Literal["names", "steps"] = "names"
