"""Which body a data set's inputs need."""

from typing import Any

from reswork.datasets.dataset import Dataset

EMBEDDING = 32  # channels of a token


def body_fields(data: Dataset) -> dict[str, Any]:
    """The fields of `ResNetConfig` that follow from what goes in: channels, axes, and for tokens how many there are.

    Example:
        >>> from reswork.datasets import digits
        >>> body_fields(digits())
        {'in_channels': 1}
    """
    kind = data.input_kind
    if kind == "tokens":
        return {"in_channels": EMBEDDING, "dims": 1, "vocabulary": len(data.features)}
    axes = {"images": {}, "volumes": {"dims": 3}, "signals": {"dims": 1}, "tables": {"dims": 0}}
    return {"in_channels": data.input_shape[0], **axes[kind]}
