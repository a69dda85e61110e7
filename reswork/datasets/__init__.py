"""Data sets as uint8 tensors, and what is done to their images before a network sees them."""

from reswork.datasets.augmentation import Augmentation, augment, augment_with_masks, normalise, preview
from reswork.datasets.builtin import digits, fashion
from reswork.datasets.cache import cached, clear_cache
from reswork.datasets.cifar import cifar10, cifar100
from reswork.datasets.dataset import Dataset, Skipped, Split
from reswork.datasets.decoder import Decoder
from reswork.datasets.drawing import scenes, shapes
from reswork.datasets.in_memory import arrays, npz
from reswork.datasets.loading import NAMES, load
from reswork.datasets.mask_folders import masks
from reswork.datasets.pictures import folder, folder_layout
from reswork.datasets.preparation import Preparation

__all__ = [
    "NAMES",
    "Augmentation",
    "Dataset",
    "Decoder",
    "Preparation",
    "Skipped",
    "Split",
    "arrays",
    "augment",
    "augment_with_masks",
    "cached",
    "cifar10",
    "cifar100",
    "clear_cache",
    "digits",
    "fashion",
    "folder",
    "folder_layout",
    "load",
    "masks",
    "normalise",
    "npz",
    "preview",
    "scenes",
    "shapes",
]
