"""What probes and reports found: frozen records of plain numbers and arrays, for figures and for your own use."""

from reswork.results.answers import Frame
from reswork.results.attributions import Attribution, Check, ShortcutShares, Trust
from reswork.results.causes import Carriers, Flip, LookAlike, Neighbours, Remark, TopAnswers, Turning
from reswork.results.channels import ChannelExamples, FeatureMaps
from reswork.results.confidence import Calibration, Coverage, Reliability
from reswork.results.contrast import ChangedAnswers, Distances, FeaturePairs, Parting, WeightPath
from reswork.results.data_findings import AlikeClasses, Duplicates, LabelIssues, Outliers
from reswork.results.embedding_map import EmbeddingMap
from reswork.results.evidence import Evidence
from reswork.results.initialisation import Forecast, Initialisation
from reswork.results.kernels import Filters
from reswork.results.latency import CallTimes, EngineCost, Latency, Load
from reswork.results.layer_costs import LayerCost, LayerTable
from reswork.results.layers import ActivationHistograms, LinearProbe, Similarity
from reswork.results.mask_scores import MaskScores
from reswork.results.receptive import ReceptiveField
from reswork.results.robustness import Robustness
from reswork.results.run_tree import RunNode, family
from reswork.results.scores import ClassScores, Mistakes
from reswork.results.seed_comparison import SeedComparison
from reswork.results.serving import ServerLoad, ServerState
from reswork.results.slices import Slice, Slices
from reswork.results.smaller import BlockWorth, Sized, SizedTable
from reswork.results.study import Compared, Line, Verdict
from reswork.results.text_evidence import TextEvidence
from reswork.results.transfer import Forgetting, Worth

__all__ = [
    "ActivationHistograms",
    "AlikeClasses",
    "Attribution",
    "BlockWorth",
    "Calibration",
    "CallTimes",
    "Carriers",
    "ChangedAnswers",
    "ChannelExamples",
    "Check",
    "ClassScores",
    "Compared",
    "Coverage",
    "Distances",
    "Duplicates",
    "EmbeddingMap",
    "EngineCost",
    "Evidence",
    "FeatureMaps",
    "FeaturePairs",
    "Filters",
    "Flip",
    "Forecast",
    "Forgetting",
    "Frame",
    "Initialisation",
    "LabelIssues",
    "Latency",
    "LayerCost",
    "LayerTable",
    "Line",
    "LinearProbe",
    "Load",
    "LookAlike",
    "MaskScores",
    "Mistakes",
    "Neighbours",
    "Outliers",
    "Parting",
    "ReceptiveField",
    "Reliability",
    "Remark",
    "Robustness",
    "RunNode",
    "SeedComparison",
    "ServerLoad",
    "ServerState",
    "ShortcutShares",
    "Similarity",
    "Sized",
    "SizedTable",
    "Slice",
    "Slices",
    "TextEvidence",
    "TopAnswers",
    "Trust",
    "Turning",
    "Verdict",
    "WeightPath",
    "Worth",
    "family",
]
