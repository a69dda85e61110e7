"""Results of probes: frozen, numpy only, ready for figures or for a file."""

from reswork.results.attribution_texts import BASELINES, METHODS, MethodText
from reswork.results.attributions import Attribution, Check, ShortcutShares, Trust

__all__ = ["BASELINES", "METHODS", "Attribution", "Check", "MethodText", "ShortcutShares", "Trust"]
