"""Probes: questions to any trained network, which leave it as it was; answers are in `reswork.results`."""

from reswork.probes.activations import activation_histograms
from reswork.probes.channels import channel_examples, feature_maps
from reswork.probes.kernels import filters
from reswork.probes.layer_costs import layer_table
from reswork.probes.layer_lookup import block_names, layer_names
from reswork.probes.receptive import receptive_field
from reswork.probes.separability import linear_probe
from reswork.probes.similarity import cka
from reswork.probes.watching import watched

__all__ = [
    "activation_histograms",
    "block_names",
    "channel_examples",
    "cka",
    "feature_maps",
    "filters",
    "layer_names",
    "layer_table",
    "linear_probe",
    "receptive_field",
    "watched",
]
