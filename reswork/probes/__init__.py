"""Probes: questions to any trained network, which leave it as it was; answers are in `reswork.results`."""

from reswork.probes.activations import activation_histograms
from reswork.probes.attribution import EIGHT, attribution, attributions, stage_attributions
from reswork.probes.attribution_methods import METHODS, MethodSpec
from reswork.probes.baselines import BASELINES
from reswork.probes.capture import watched
from reswork.probes.channels import channel_examples, feature_maps
from reswork.probes.curve_map import curve_map, volume_map
from reswork.probes.forecast import forecast
from reswork.probes.initialisation import initialisation
from reswork.probes.kernels import filters
from reswork.probes.layer_costs import layer_table
from reswork.probes.layer_lookup import block_names, layer_names
from reswork.probes.options import Options
from reswork.probes.outline import outline
from reswork.probes.receptive import receptive_field
from reswork.probes.reliability import trust
from reswork.probes.separability import linear_probe
from reswork.probes.shortcut_paths import shortcut_shares
from reswork.probes.similarity import cka
from reswork.probes.targets import Difference, Top
from reswork.probes.text_evidence import text_evidence

__all__ = [
    "BASELINES",
    "EIGHT",
    "METHODS",
    "Difference",
    "MethodSpec",
    "Options",
    "Top",
    "activation_histograms",
    "attribution",
    "attributions",
    "block_names",
    "channel_examples",
    "cka",
    "curve_map",
    "feature_maps",
    "filters",
    "forecast",
    "initialisation",
    "layer_names",
    "layer_table",
    "linear_probe",
    "outline",
    "receptive_field",
    "shortcut_shares",
    "stage_attributions",
    "text_evidence",
    "trust",
    "volume_map",
    "watched",
]
