"""What goes into a network: one tensor, several, or named ones; moved to where its weights are."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from reswork.errors import InvalidSetting

Inputs = Any  # a tensor or array; a tuple of them, for model(*inputs); a dict of them, for model(**inputs)


def placed(model: nn.Module, inputs: Inputs) -> Inputs:
    """Copies of the inputs as tensors on the model's device, floating ones in its precision.

    Args:
        model: any network.
        inputs: a tensor or array, a tuple of them, or a dict of them by the names of forward's arguments.

    Raises:
        InvalidSetting: for uint8 images, which have to be normalised first, or nothing at all.
    """
    weights = [*model.parameters(), *model.buffers()]
    device = weights[0].device if weights else None
    dtype = next((tensor.dtype for tensor in weights if tensor.is_floating_point()), None)

    def ready(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.dtype == torch.uint8 and leaf.dim() == 4:
            raise InvalidSetting(
                "images",
                "images of type uint8 are not what a network takes; normalise them first: "
                "rw.datasets.normalise(images, data.mean, data.std)",
            )
        return leaf.to(device, dtype if leaf.is_floating_point() else None, copy=True)

    inputs = tree_map(ready, tensors(inputs))
    length(inputs)
    return inputs


def tensors(inputs: Inputs) -> Inputs:
    """The same with tensors where there were arrays; they share memory where that is possible."""

    def tensor(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            return leaf
        return torch.from_numpy(leaf if leaf.flags.writeable and leaf.flags.contiguous else leaf.copy())

    return tree_map(tensor, inputs)


def first_image(inputs: Inputs) -> Tensor | None:
    """The first tensor (N, C, H, W) of floats among the inputs."""
    for leaf in tree_leaves(inputs):
        if isinstance(leaf, Tensor) and leaf.dim() == 4 and leaf.is_floating_point():
            return leaf
    return None


def pictures(inputs: Inputs) -> np.ndarray:
    """The images among the inputs as float32 (N, C, H, W); (N, 0, 0, 0) where there are none."""
    inputs = tensors(inputs)
    image = first_image(inputs)
    return np.zeros((length(inputs), 0, 0, 0), np.float32) if image is None else numbers(image)


def length(inputs: Inputs) -> int:
    """How many samples there are: the first dimension of the first tensor.

    Raises:
        InvalidSetting: where there is no tensor, or an empty one.
    """
    for leaf in tree_leaves(inputs):
        if isinstance(leaf, Tensor) and leaf.dim() and len(leaf):
            return len(leaf)
    raise InvalidSetting(
        "images", "there is nothing to look at; give a tensor (N, C, H, W) with N at least 1"
    )


def batches(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """Nearly equal parts of at most ``size`` samples, in order; tensors of another length go with every part.

    Example:
        >>> [len(part) for part in batches(torch.zeros(10, 3), 4)]
        [3, 3, 4]
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidSetting(
            "batch_size", f"batch_size={size!r} is not accepted; choose a whole number from 1"
        )
    inputs = tensors(inputs)
    count = length(inputs)
    parts = -(-count // size)
    for part in range(parts):
        rows = slice(part * count // parts, (part + 1) * count // parts)
        yield tree_map(lambda leaf, rows=rows: leaf[rows] if _has_samples(leaf, count) else leaf, inputs)


def answer(model: nn.Module, inputs: Inputs) -> Any:
    """What the model says to the inputs.

    Raises:
        InvalidSetting: if it cannot take them; the sentence has their shapes and the model's reason.
    """
    try:
        if isinstance(inputs, Mapping):
            return model(**inputs)
        return model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        shapes = [tuple(leaf.shape) for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
        reason = str(error).strip().partition("\n")[0]
        raise InvalidSetting(
            "images",
            f"the model cannot take inputs of shape {', '.join(map(str, shapes))}: {reason}; "
            "give a tensor, a tuple for model(*inputs) or a dict for model(**inputs)",
        ) from error


def first_tensor(output: Any) -> Tensor | None:
    """The first tensor of a layer's or model's output: itself, or inside a tuple, dict or dataclass."""
    leaves = tree_leaves(vars(output) if hasattr(output, "__dataclass_fields__") else output)
    return next((leaf for leaf in leaves if isinstance(leaf, Tensor)), None)


def numbers(tensor: Tensor) -> np.ndarray:
    """A tensor of any device and precision as a float32 array."""
    return tensor.detach().float().cpu().numpy()


def _has_samples(leaf: Any, count: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) == count
