"""A first layer that begins with what the images vary in, instead of with random filters."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.models.network import ResNet

_LEAST_VARIANCE = 5e-4  # added to each, as in the paper: nothing divides by what hardly varies
_IMAGES = 1000


@torch.no_grad()
def whiten_stem(net: ResNet, data: Dataset) -> None:
    """Give the first convolution filters whose answers on the training images are uncorrelated, with variance 1.

    Half of them are the main directions of the images' patches, each divided by the standard deviation along it, and
    the other half their negatives, since the ReLU behind would lose one side. Filters beyond twice as many as a patch
    has numbers stay as they are, and so do all where the network has no convolution of images first.

    In the paper the layer is wide enough for all directions of its patches of 2x2, and stands still. Here it has fewer
    filters than its patches have directions, so it begins so and learns on.

    Args:
        net: changed in place.
        data: whose first thousand training images are looked at.

    Reference:
        Jordan 2024, arXiv:2404.00498, after Page 2018; Coates, Ng and Lee 2011 whitened patches to learn features.
    """
    first = net.conv1
    if not isinstance(first, nn.Conv2d):
        return
    images = data.train.images[:_IMAGES]
    inputs = normalise(images, data.mean, data.std, torch.float32, torch.contiguous_format)
    filters = whitening_filters(inputs, first.kernel_size)
    half = filters[: first.out_channels // 2]
    both = torch.cat([half, -half]).to(first.weight)
    first.weight[: len(both)] = both


def whitening_filters(inputs: Tensor, size: tuple[int, ...]) -> Tensor:
    """(C * H * W, C, H, W) filters of a height and width, the one that the images vary most along first.

    Args:
        inputs: (N, C, ...) normalised images.
        size: height and width of the patches.
    """
    channels = inputs.shape[1]
    patches = F.unfold(inputs, size).transpose(0, 1).flatten(1)  # (C * H * W, patches)
    variances, directions = torch.linalg.eigh(torch.cov(patches).double())  # the smallest first
    scaled = directions / (variances.clamp_min(0) + _LEAST_VARIANCE).sqrt()
    return scaled.T.flip(0).reshape(-1, channels, *size).to(inputs.dtype)
