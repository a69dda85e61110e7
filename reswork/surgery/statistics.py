"""Batch norm's means and variances, estimated anew from training images."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.probes.isolation import OwnRandomness

BATCH = 250  # images at once, at most


def reestimate_norms(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Give every batch norm the mean of the statistics that it sees in some batches; weights stay.

    As in training each batch is normalised by its own mean and variance, so that a norm sees what the norms before it
    make of the batch; all else (dropout, other norms) is as in evaluation. Running statistics become the plain mean
    over the batches, of the means and of the unbiased variances.

    Args:
        model: changed in place.
        batches: (N, C, H, W), normalised, of nearly equal sizes, each of at least two images.

    Returns:
        How many norms there were.

    Raises:
        InvalidSetting: for a network without batch norms that keep statistics.

    Reference:
        Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 2; ``torch.optim.swa_utils.update_bn`` does the same.
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]
    if not norms:
        raise InvalidSetting("model", "this network has no batch norms with statistics; nothing to estimate")
    flags = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    try:
        for module, _ in flags:
            module.training = False
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum, norm.training = None, True  # None: a plain mean over the batches
        with torch.no_grad(), OwnRandomness():
            for batch in batches:
                model(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, flag in flags:
            module.training = flag
    return len(norms)


def training_batches(data: Dataset, count: int, seed: int, device: torch.device) -> list[Tensor]:
    """Some training images by chance, normalised, in nearly equal batches.

    Args:
        data: the training split is used.
        count: how many, at most all.
        seed: of the choice.
        device: where they shall be.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(data.train), generator=generator)[:count]
    images = data.train.inputs[chosen.to(data.train.inputs.device)].to(device)
    parts = images.tensor_split(-(-len(images) // BATCH))
    return [
        normalise(part, data.mean, data.std, memory_format=torch.channels_last) for part in parts
    ]  # quicker
