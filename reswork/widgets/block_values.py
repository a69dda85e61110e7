"""One number for each block, for the colours of the drawing."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reswork import probes
from reswork.models.anatomy import residual_blocks

QUANTITIES: Mapping[str, str] = {
    "none": "nothing",
    "size": "size of its output",
    "zeros": "share of zeros",
    "branch": "size of F(x)",
    "share": "points that F(x) gave",
}


def block_values(model: nn.Module, images: Tensor, quantity: str) -> dict[str, float]:
    """A quantity of each residual block of a network, for these images.

    Args:
        model: any network with residual blocks; others have no values.
        images: (N, C, H, W) float.
        quantity: of `QUANTITIES`: ``size``, root mean square of the block's output; ``zeros``, share of zeros
            in it; ``branch``, root mean square of F(x); ``share``, what F(x) gave to the score of the answer.
    """
    blocks = residual_blocks(model)
    if quantity == "share":
        stages = probes.shortcut_shares(model, images[:1]) if any(b.has_shortcut for b in blocks) else ()
        return {
            name: float(value)
            for stage in stages
            for name, value in zip(stage.blocks, stage.through_branches[0], strict=True)
        }
    names = {b.name: (b.branch if quantity == "branch" else b.name) for b in blocks}
    layers = [layer for layer in names.values() if layer]
    take = _zeros if quantity == "zeros" else _size
    with probes.watched(model, layers, take=take) as seen:
        seen(images)
        return {name: seen[layer] for name, layer in names.items() if layer}


def _size(output: Tensor) -> float:
    return float(output.detach().float().square().mean().sqrt())


def _zeros(output: Tensor) -> float:
    return float((output == 0).float().mean()) if output.numel() else float(torch.nan)
