"""Whether a fresh network will train, said beforehand by rules that were tested against real trainings.

Each rule is a sign, networks for which it holds, and at most one limit; the first one that is beyond its limit decides.
``python -m benchmarks.forecasts`` chooses the limits on some trainings, judges on others, and writes ``forecast.json``.
"""

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from reswork.results.initialisation import Forecast, Initialisation, Outcome
from reswork.settings_text import settings_from


class Rule(NamedTuple):
    """One sign that tells, where it is beyond its limit."""

    outcome: Outcome
    sign: str
    above: bool  # whether too much of it is meant
    holds: Literal["all", "normed", "unnormed", "asleep"]  # for which networks
    told: str

    @property
    def name(self) -> str:
        """By which its limit is found."""
        return f"{self.outcome}/{self.sign}/{self.holds}"

    def is_beyond(self, signs: Mapping[str, float], limit: float) -> bool:
        """Whether it tells; a sign that is not known, NaN, does not."""
        known = {
            "all": True,
            "normed": signs["normed"] > 0,
            "unnormed": signs["normed"] == 0,
            "asleep": signs["asleep"] > ASLEEP,
        }
        value = signs[self.sign]
        return known[self.holds] and (value > limit if self.above else value < limit)


ASLEEP = 0.3  # share of the layers
RULES = (
    Rule("diverges", "loss", True, "all", "the first loss is {value:.2g} times that of guessing"),
    Rule(
        "diverges",
        "update",
        True,
        "unnormed",
        "without a norm, the first step moves a layer by {value:.2g} of its size",
    ),
    Rule(
        "diverges",
        "rate",
        True,
        "asleep",
        "branches that begin at 0 do not show yet what a rate of {value:.2g} does",
    ),
    Rule("diverges", "curvature", True, "normed", "rate times curvature is {value:.2g}"),
    Rule("does not train", "update", False, "all", "no layer moves by more than {value:.2g} of its size"),
    Rule("does not train", "gradient", False, "all", "no layer gets a gradient above {value:.2g}"),
    Rule(
        "does not train",
        "curvature",
        True,
        "unnormed",
        "without a norm, rate times curvature is {value:.2g}",
    ),
    Rule(
        "does not train",
        "likeness",
        True,
        "all",
        "images look alike behind the last block, cosine {value:.3f}",
    ),
    Rule(
        "does not train",
        "spread",
        True,
        "normed",
        "gradients differ by a factor of {value:.2g} between layers",
    ),
    Rule(
        "does not train", "shattering", True, "all", "gradients of neighbouring inputs differ by {value:.2g}"
    ),
    Rule("does not train", "condition", True, "all", "the Jacobian's condition is {value:.2g}"),
)
FINE = "nothing that was looked at is beyond its limit"


def forecast(found: Initialisation) -> Forecast:
    """What will become of a network, from what `initialisation` found.

    Args:
        found: for the data and the learning rate that are meant. The trainings that it was tested with were SGD on
            digits with momentum 0.9, a one-cycle schedule and no clipping; others may fare otherwise.

    Returns:
        The outcome, why, and how often such forecasts came true.
    """
    kept = calibration()
    outcome, because = judge(found.signs, kept["limits"])
    return Forecast(outcome, because, kept["right"], kept["judged"], kept["usual"])


def judge(signs: Mapping[str, float], limits: Mapping[str, float]) -> tuple[Outcome, str]:
    """The outcome that the signs tell, and the sentence that says why.

    Args:
        signs: of an `Initialisation`.
        limits: name of a rule to its limit; a rule without one is not looked at.
    """
    unlimited = [name for name in ("update", "loss") if not math.isfinite(signs[name])]
    if unlimited:
        return "diverges", f"the {unlimited[0]} is not a finite number already"
    for rule in RULES:
        if rule.name in limits and rule.is_beyond(signs, limits[rule.name]):
            told = rule.told.format(value=signs[rule.sign])
            return rule.outcome, f"{told} (limit {limits[rule.name]:.2g})"
    return "trains", FINE


@cache
def calibration() -> dict[str, Any]:
    """What the trainings gave: ``limits``, ``right``, ``judged``, ``usual``, ``table`` and how they were made."""
    text = files("reswork.probes").joinpath("forecast.json").read_text("utf-8")
    return settings_from(text, "forecast", "a test of forecasts")
