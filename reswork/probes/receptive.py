"""How much each pixel counts for one position of a layer."""

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.capture import watched
from reswork.probes.channels import box_of, receptive_fields
from reswork.probes.inputs import Inputs, batches, first_image, length, placed, tensors
from reswork.results.receptive import ReceptiveField


def receptive_field(
    model: nn.Module,
    images: Inputs,
    *,
    layer: str,
    position: tuple[int, int] | None = None,
    batch_size: int = 32,
) -> ReceptiveField:
    """The part of the image that one position of a layer really uses, against all that it could.

    Read from it how far the network looks: the used part is a blob in the middle, much smaller than the
    theoretical field, and grows with training and with the square root of the depth. If what you want to tell
    apart is larger than the blob, the network needs more stages or larger strides.

    Args:
        model: any network; while it trains, a snapshot.
        images: (N, C, H, W), normalised images, or noise: ``torch.randn(32, 3, 32, 32)``.
        layer: dotted name of a layer that gives (N, C, h, w).
        position: row and column in its map; None: the middle.
        batch_size: images at once.

    Returns:
        Mean absolute gradient of the position's sum over channels, (H, W), with sum 1; and the box that the
        operations of the network allow.

    Raises:
        InvalidSetting: for a layer without positions, a position outside it, or inputs that are no images.

    Reference:
        Luo et al. 2016, arXiv 1701.04128, section 3.
    """
    images = tensors(images)
    total: Tensor | None = None
    with watched(model, [layer], take=torch.clone) as seen, torch.enable_grad():
        for part in batches(images, batch_size):
            leaves = placed(seen.model, part)
            image = first_image(leaves)
            if image is None:
                raise InvalidSetting("images", "a receptive field needs images, (N, C, H, W) of floats")
            image.requires_grad_()
            seen(leaves)  # it gets a copy: a network that changes its input in place would be refused
            row, column = _checked(position, seen[layer], layer)
            value = seen[layer][:, :, row, column].sum()
            gradient = _gradient(value, image).abs().sum(dim=(0, 1)).double().cpu()  # (H, W)
            total = gradient if total is None else total + gradient
    assert total is not None
    field = receptive_fields(model, images, [layer])[layer]
    weight = float(total.sum())
    influence = (total / weight if weight > 0 else total).numpy()
    return ReceptiveField(
        layer,
        (row, column),
        np.ascontiguousarray(influence),
        box_of(field, (row, column), influence.shape),
        None if field is None else (field[0].size, field[1].size),
        length(images),
    )


def _gradient(value: Tensor, image: Tensor) -> Tensor:
    """Of the image; zeros where the layer does not depend on it. Nothing is added to any ``.grad``."""
    if not value.requires_grad:
        return torch.zeros_like(image)
    (gradient,) = torch.autograd.grad(value, image, allow_unused=True)
    return torch.zeros_like(image) if gradient is None else gradient


def _checked(position: tuple[int, int] | None, output: Tensor, layer: str) -> tuple[int, int]:
    if output.dim() != 4:
        raise InvalidSetting(
            "layer",
            f"layer={layer!r} gives a tensor of shape {tuple(output.shape)}; choose one that gives (N, C, h, w)",
        )
    height, width = output.shape[2:]
    if position is None:
        return height // 2, width // 2
    row, column = position
    if not (0 <= row < height and 0 <= column < width):
        raise InvalidSetting(
            "position", f"position={position!r} is outside the map of {height}x{width} of layer {layer!r}"
        )
    return int(row), int(column)
