"""What probes found: frozen records of plain numbers and arrays, for figures and for your own use."""

from reswork.results.answers import Frame
from reswork.results.attributions import Attribution, Check, ShortcutShares, Trust
from reswork.results.channels import ChannelExamples, FeatureMaps
from reswork.results.kernels import Filters
from reswork.results.layer_costs import LayerCost, LayerTable
from reswork.results.layers import ActivationHistograms, LinearProbe, Similarity
from reswork.results.receptive import ReceptiveField
from reswork.results.run_tree import RunNode, family
from reswork.results.seed_comparison import SeedComparison

__all__ = [
    "ActivationHistograms",
    "Attribution",
    "ChannelExamples",
    "Check",
    "FeatureMaps",
    "Filters",
    "Frame",
    "LayerCost",
    "LayerTable",
    "LinearProbe",
    "ReceptiveField",
    "RunNode",
    "SeedComparison",
    "ShortcutShares",
    "Similarity",
    "Trust",
    "family",
]
