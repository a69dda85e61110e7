"""A trained network made smaller: channels, blocks and weights pruned, a shallower one taught, and all compared."""

from reswork.compression.blocks import block_worth, delete_blocks
from reswork.compression.channels import prune_channels
from reswork.compression.search import Form, Search, Smaller, smaller
from reswork.compression.tuning import tune
from reswork.compression.way import Way
from reswork.compression.weights import prune_weights

__all__ = [
    "Form",
    "Search",
    "Smaller",
    "Way",
    "block_worth",
    "delete_blocks",
    "prune_channels",
    "prune_weights",
    "smaller",
    "tune",
]
