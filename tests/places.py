"""Test material that lies beside the checkout, for development only; tests skip where it is absent."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
PRETRAINED = SHARED / "pretrained"
