"""What pixels and principal components reach where nothing is learned but what images look like."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.tasks.anomalies import anomaly_metrics, smoothed
from reswork.tasks.verification import verification_metrics

Judged = tuple[np.ndarray, dict[str, float]]
MOST_COMPONENTS = 64
_AT_ONCE = 256


def look_alike_methods(data: Dataset, seed: int) -> dict[str, Callable[[], Judged]]:
    """Embeddings (N, E) of the test images: their pixels, and their principal components.

    Reference:
        Turk and Pentland 1991, Eigenfaces for recognition; components of equal variance.
    """

    def told(embeddings: np.ndarray) -> Judged:
        return embeddings, verification_metrics(torch.from_numpy(embeddings), data.test.labels.cpu())

    def components() -> Judged:
        train, test = (_rows(part) for part in _inputs(data))
        return told(_fitted(train, seed, whiten=True).transform(test).astype(np.float32))

    return {"pixels": lambda: told(_rows(_inputs(data)[1])), "principal components": components}


def anomaly_methods(data: Dataset, seed: int) -> dict[str, Callable[[], Judged]]:
    """Maps (N, H, W) of the test images: squared distance to the nearest training image, and to its components.

    Reference:
        Distance to the nearest: Bergmann et al. 2019, MVTec AD, baselines; residual of principal components: Jackson
        and Mudholkar 1979.
    """

    def told(off: np.ndarray) -> Judged:
        shape = (len(off), *data.input_shape)
        maps = smoothed(torch.from_numpy(off.astype(np.float32)).view(shape).square().mean(1))
        return maps.numpy(), anomaly_metrics(maps, data.test.masks.cpu())

    def nearest() -> Judged:
        train, test = _inputs(data)
        found = [
            part.flatten(1) - train.flatten(1)[torch.cdist(part.flatten(1), train.flatten(1)).argmin(1)]
            for part in test.split(_AT_ONCE)
        ]
        return told(torch.cat(found).numpy())

    def residual() -> Judged:
        train, test = (_rows(part) for part in _inputs(data))
        fitted = _fitted(train, seed)
        return told(test - fitted.inverse_transform(fitted.transform(test)))

    return {"nearest pixels": nearest, "residual of principal components": residual}


def _inputs(data: Dataset) -> tuple[Tensor, Tensor]:
    train, test = (normalise(part.inputs, data.mean, data.std).cpu() for part in (data.train, data.test))
    return train, test


def _rows(images: Tensor) -> np.ndarray:
    found: np.ndarray = images.flatten(1).numpy()
    return found


def _fitted(train: np.ndarray, seed: int, *, whiten: bool = False) -> Any:
    from sklearn.decomposition import PCA

    count = min(MOST_COMPONENTS, *train.shape)
    return PCA(count, whiten=whiten, svd_solver="randomized", random_state=seed).fit(train)
