"""`Rule`: a number that must not be reached, as it is written on a command line."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from reswork.errors import InvalidSetting

_FORM = re.compile(r"\s*([\w/.\- ]+?)\s*(<=|>=|<|>)\s*([-+0-9.eE]+)\s*")


@dataclass(frozen=True)
class Rule:
    """When a model is not good enough.

    Args:
        name: of a metric, as in `Report.metrics`.
        sign: ``<``, ``<=``, ``>`` or ``>=``.
        value: that it is compared with.

    Example:
        >>> Rule.of("top1<0.9").holds({"top1": 0.85})
        True
    """

    name: str
    sign: str
    value: float

    @classmethod
    def of(cls, text: str) -> "Rule":
        """The rule that a text says.

        Raises:
            InvalidSetting: it says none.
        """
        found = _FORM.fullmatch(text)
        try:
            value = float(found[3]) if found else math.nan
        except ValueError:
            value = math.nan
        if found is None or math.isnan(value):
            raise InvalidSetting(
                "fail_if", f"{text!r} is no rule; write a metric, < or >, and a number: 'top1<0.9'"
            )
        return cls(found[1], found[2], value)

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.name}{self.sign}{self.value:g}"

    def check(self, metrics: Mapping[str, float]) -> None:
        """Refuse a metric that there is not.

        Raises:
            InvalidSetting: with the names of those that there are.
        """
        if self.name not in metrics:
            known = ", ".join(name for name in metrics if "/" not in name)
            raise InvalidSetting(
                "fail_if", f"{self.text!r}: there is no metric {self.name!r}; choose one of {known}"
            )

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """Whether the model is not good enough; a metric that is no number never is."""
        value = metrics[self.name]
        if math.isnan(value):
            return True
        return {"<": value < self.value, "<=": value <= self.value, ">": value > self.value,
                ">=": value >= self.value}[self.sign]  # fmt: skip
