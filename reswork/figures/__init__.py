"""Figures: numbers in, a plotly figure out; no torch, no widgets, the same picture for the same numbers."""

from reswork.figures import blocks, layers
from reswork.figures.anomaly_maps import anomaly_maps
from reswork.figures.answer_views import signal_answers, true_class_probabilities, value_answers
from reswork.figures.blocks import *
from reswork.figures.boxes import box_colours, box_overlays, in_boxes, things
from reswork.figures.causes import carriers, parting, top_answers, turning, votes
from reswork.figures.changes import changes
from reswork.figures.channels import channel_examples, feature_maps
from reswork.figures.class_scores import class_scores
from reswork.figures.confidence import confidence_counts, coverage, reliability
from reswork.figures.confusion import confusion_matrix
from reswork.figures.contrast import distances, weight_path
from reswork.figures.costs import cost_by_layer
from reswork.figures.counts import class_counts
from reswork.figures.covariance import gradient_covariance
from reswork.figures.cursor import with_cursor
from reswork.figures.curves import loss_curves, metric_curves
from reswork.figures.depth_lines import over_depth
from reswork.figures.embedding_map import embedding_map
from reswork.figures.evidence import evidence
from reswork.figures.film_strip import film_strip
from reswork.figures.histograms import activation_histograms
from reswork.figures.images import image_grid
from reswork.figures.initialisation import initialisation
from reswork.figures.kernels import filter_spectra, filters
from reswork.figures.latency import latency, latency_tail
from reswork.figures.layer_costs import layer_table
from reswork.figures.layers import *
from reswork.figures.look_alikes import look_alikes
from reswork.figures.loss_planes import loss_contours, loss_surface, training_path
from reswork.figures.map_overlays import attribution_maps
from reswork.figures.masks import class_colours, class_iou, mask_overlays, under_masks
from reswork.figures.network_drawing import network
from reswork.figures.noise import noise_scale
from reswork.figures.rates import learning_rate, schedule, throughput
from reswork.figures.receptive import receptive_field
from reswork.figures.restored import restored_pictures
from reswork.figures.robustness import robustness
from reswork.figures.run_tree import run_tree
from reswork.figures.separability import linear_probe
from reswork.figures.separation import roc_curves, score_counts
from reswork.figures.serving import server_drift, server_load, server_times
from reswork.figures.shortcut_bars import shortcut_attributions
from reswork.figures.similarity import cka
from reswork.figures.slices import slices
from reswork.figures.smaller import block_worth, deletions, pareto
from reswork.figures.study_bars import study_bars
from reswork.figures.study_lines import study_lines
from reswork.figures.text_evidence import text_evidence
from reswork.figures.trade_off import trade_off
from reswork.figures.transfer import feature_pairs, forgetting, transfer_worth
from reswork.figures.trust_meter import randomisation_curve, trust_curves

__all__ = [
    "activation_histograms",
    "anomaly_maps",
    "attribution_maps",
    "block_worth",
    "box_colours",
    "box_overlays",
    "carriers",
    "changes",
    "channel_examples",
    "cka",
    "class_colours",
    "class_counts",
    "class_iou",
    "class_scores",
    "confidence_counts",
    "confusion_matrix",
    "cost_by_layer",
    "coverage",
    "deletions",
    "distances",
    "embedding_map",
    "evidence",
    "feature_maps",
    "feature_pairs",
    "film_strip",
    "filter_spectra",
    "filters",
    "forgetting",
    "gradient_covariance",
    "image_grid",
    "in_boxes",
    "initialisation",
    "latency",
    "latency_tail",
    "layer_table",
    "learning_rate",
    "linear_probe",
    "look_alikes",
    "loss_contours",
    "loss_curves",
    "loss_surface",
    "mask_overlays",
    "metric_curves",
    "network",
    "noise_scale",
    "over_depth",
    "pareto",
    "parting",
    "randomisation_curve",
    "receptive_field",
    "reliability",
    "restored_pictures",
    "robustness",
    "roc_curves",
    "run_tree",
    "schedule",
    "score_counts",
    "server_drift",
    "server_load",
    "server_times",
    "shortcut_attributions",
    "signal_answers",
    "slices",
    "study_bars",
    "study_lines",
    "text_evidence",
    "things",
    "throughput",
    "top_answers",
    "trade_off",
    "training_path",
    "transfer_worth",
    "true_class_probabilities",
    "trust_curves",
    "turning",
    "under_masks",
    "value_answers",
    "votes",
    "weight_path",
    "with_cursor",
]
__all__ += blocks.__all__  # what a run records of each block
__all__ += layers.__all__  # and of each layer
