"""Probes: any module and some images in, frozen results out; the given module stays as it is."""

from reswork.probes.attributing import EIGHT, attribution, attributions, stage_attributions
from reswork.probes.detail import Detail
from reswork.probes.shortcut_paths import shortcut_shares
from reswork.probes.targets import Difference, Top
from reswork.probes.trusting import trust
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
    "shortcut_shares",
    "stage_attributions",
    "trust",
]
