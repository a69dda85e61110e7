"""Probes: any module and some images in, frozen results out; the given module stays as it is."""

from reswork.probes.attributing import EIGHT, attribution, attributions, stage_attributions
from reswork.probes.detail import Detail
from reswork.probes.targets import Difference, Top
from reswork.results.attribution_texts import BASELINES, METHODS

__all__ = [
    "BASELINES",
    "EIGHT",
    "METHODS",
    "Detail",
    "Difference",
    "Top",
    "attribution",
    "attributions",
    "stage_attributions",
]
