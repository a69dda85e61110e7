"""Data sets as tensors, and what is done to their inputs before a network sees them."""

from reswork.datasets.anomaly_folders import anomalies
from reswork.datasets.augmentation import (
    Augmentation,
    augment,
    augment_with_boxes,
    augment_with_masks,
    normalise,
    preview,
)
from reswork.datasets.boxes import boxes
from reswork.datasets.builtin import digits, fashion
from reswork.datasets.cache import cached, clear_cache
from reswork.datasets.cifar import cifar10, cifar100
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoder import Decoder
from reswork.datasets.defects import DEFECTS, defects, odd_fashion
from reswork.datasets.drawing import scattered, scenes, shapes
from reswork.datasets.faces import drawn_faces
from reswork.datasets.identities import identities
from reswork.datasets.in_memory import arrays, npz
from reswork.datasets.loading import NAMES, load
from reswork.datasets.mask_folders import masks
from reswork.datasets.photographs import photographs, smaller, whole_photographs
from reswork.datasets.pictures import folder, folder_layout
from reswork.datasets.preparation import Preparation
from reswork.datasets.signals import pulses, signals, traffic, windows
from reswork.datasets.table import cancer, fraud, table
from reswork.datasets.texts import languages, text, words_of
from reswork.datasets.volumes import solids, volumes

__all__ = [
    "DEFECTS",
    "NAMES",
    "Augmentation",
    "Dataset",
    "Decoder",
    "Preparation",
    "Skipped",
    "Split",
    "anomalies",
    "arrays",
    "augment",
    "augment_with_boxes",
    "augment_with_masks",
    "boxes",
    "cached",
    "cancer",
    "cifar10",
    "cifar100",
    "clear_cache",
    "defects",
    "digits",
    "drawn_faces",
    "fashion",
    "folder",
    "folder_layout",
    "fraud",
    "identities",
    "languages",
    "load",
    "masks",
    "normalise",
    "npz",
    "odd_fashion",
    "photographs",
    "preview",
    "pulses",
    "scattered",
    "scenes",
    "shapes",
    "signals",
    "smaller",
    "solids",
    "table",
    "text",
    "traffic",
    "volumes",
    "whole_photographs",
    "windows",
    "words_of",
]
