"""Causes: why one image is answered as it is, by several looks that check each other."""

from reswork.causes.why import Why, why

__all__ = ["Why", "why"]
