"""Anomalies by the features of a network that was trained for something else."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.tasks.anomalies import anomaly_metrics, image_scores
from reswork.training.evaluation import evaluating

Method = Literal["padim", "nearest"]
_AT_ONCE, _PATCHES_AT_ONCE = 100, 4_096
_REGULAR = 0.01  # PaDiM, section 3.2


@dataclass(frozen=True, eq=False)
class FeatureDistances:
    """How far the features of each test image are from those of the good training images.

    Attributes:
        maps: (N, H, W) float32, of each pixel.
        scores: (N,) float32, of the images.
        metrics: as of the task anomalies, but the loss.
        layers: whose features they are.
    """

    maps: Tensor
    scores: Tensor
    metrics: dict[str, float]
    layers: tuple[str, ...]


def feature_distances(
    model: nn.Module,
    data: Dataset,
    layers: tuple[str, ...] | None = None,
    *,
    method: Method = "padim",
    channels: int = 100,
    bank: int = 2_000,
    seed: int = 0,
) -> FeatureDistances:
    """Distances in the features of any trained network, which has never heard of good and bad; nothing is trained.

    ``"padim"`` takes the features at each place for normally distributed over the good images, and the Mahalanobis
    distance: for things that lie in the same place in each image. ``"nearest"`` takes the distance to the nearest of
    the features of all places of all good images, or of so many of them: for surfaces and for things anywhere.

    Args:
        model: any network whose layers give (N, C, H, W), such as a classifier.
        data: with anomalies; the model sees its images normalised by its mean and deviation.
        layers: names; None: the stages of a network of rw.resnet but the last.
        method: see above.
        channels: at most so many of all channels, drawn at random (PaDiM, section 3.1).
        bank: features of good places that are kept for ``"nearest"``, drawn at random.
        seed: of both.

    Raises:
        InvalidSetting: layers that are not there or give no maps, another method.

    Reference:
        Defard et al. 2020, arXiv 2011.08785 (PaDiM); Roth et al. 2021, arXiv 2106.08265 (PatchCore), here with a bank
        drawn at random and without its weights of scores.
    """
    if method not in get_args(Method):
        raise InvalidSetting(
            "method", f"method={method!r}: choose {' or '.join(map(repr, get_args(Method)))}"
        )
    chosen = _layers(model, layers)
    generator = torch.Generator().manual_seed(seed)
    train = _features(model, data.train.images, data, chosen)
    test = _features(model, data.test.images, data, chosen)
    kept = torch.randperm(train.shape[1], generator=generator)[:channels].sort().values
    train, test = train[:, kept], test[:, kept]
    coarse = _mahalanobis(train, test) if method == "padim" else _nearest(train, test, bank, generator)
    size = list(data.input_shape[1:])
    maps = F.interpolate(coarse[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    scores = image_scores(maps)
    return FeatureDistances(maps, scores, anomaly_metrics(maps, data.test.masks.cpu(), scores), chosen)


def _layers(model: nn.Module, layers: tuple[str, ...] | None) -> tuple[str, ...]:
    known = dict(model.named_modules())
    if layers is None:
        stages = tuple(name for name in known if name.startswith("layer") and name[5:].isdigit())
        if not stages:
            raise InvalidSetting(
                "layers", f"{type(model).__name__} has no stages layer1, layer2 ...: name its layers"
            )
        return stages[:-1] or stages
    for name in layers:
        if name not in known:
            raise InvalidSetting(
                "layers", f"{name!r} is no layer of {type(model).__name__}: see named_modules()"
            )
    return tuple(layers)


def _features(model: nn.Module, images: Tensor, data: Dataset, layers: tuple[str, ...]) -> Tensor:
    """Features of all layers at the size of the first, (N, C, h, w), on the CPU."""
    device, parts = next(model.parameters()).device, []
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(_: nn.Module, __: object, output: object) -> None:
            if not isinstance(output, Tensor) or output.dim() != 4:
                raise InvalidSetting("layers", f"{name!r} gives no maps (N, C, H, W): choose another layer")
            seen[name] = output.float()

        return model.get_submodule(name).register_forward_hook(hook)

    handles = [keep(name) for name in layers]
    try:
        with torch.no_grad(), evaluating(model):
            for part in images.split(_AT_ONCE):
                model(normalise(part.to(device), data.mean, data.std))
                found = [seen[name] for name in layers]
                size = list(max(each.shape[2:] for each in found))
                large = [F.interpolate(F.avg_pool2d(each, 3, 1, 1), size=size) for each in found]
                parts.append(torch.cat(large, 1).cpu())
    finally:
        for handle in handles:
            handle.remove()  # type: ignore[attr-defined]
    return torch.cat(parts)


def _mahalanobis(train: Tensor, test: Tensor) -> Tensor:
    """(N, h, w): the distance of each place to the normal distribution of that place over the good images."""
    count, channels, height, width = train.shape
    places = train.permute(2, 3, 0, 1).reshape(height * width, count, channels)
    mean = places.mean(1, keepdim=True)
    off = places - mean
    spread = off.transpose(1, 2) @ off / max(count - 1, 1)  # (P, C, C)
    spread += (
        _REGULAR
        * torch.eye(channels)
        * spread.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-8)[:, None, None]
    )
    asked = test.permute(2, 3, 0, 1).reshape(height * width, len(test), channels) - mean
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(spread), asked.transpose(1, 2), upper=False)
    return white.square().sum(1).sqrt().T.reshape(len(test), height, width)


def _nearest(train: Tensor, test: Tensor, bank: int, generator: torch.Generator) -> Tensor:
    """(N, h, w): the distance of each place to the nearest of the kept features of good places."""
    channels, height, width = train.shape[1:]
    patches = train.permute(0, 2, 3, 1).reshape(-1, channels)
    kept = patches[torch.randperm(len(patches), generator=generator)[:bank]]
    asked = test.permute(0, 2, 3, 1).reshape(-1, channels)
    found = [torch.cdist(part, kept).amin(1) for part in asked.split(_PATCHES_AT_ONCE)]
    return torch.cat(found).reshape(len(test), height, width)
