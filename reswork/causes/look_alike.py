"""An image of the right class that looks alike and is answered rightly, and where the two part."""

import numpy as np
import torch

from reswork.causes.case import Case
from reswork.errors import InvalidSetting
from reswork.results.causes import LookAlike

_FEWEST = 5  # right answers, for a spread


def look_alike(case: Case) -> LookAlike:
    """The nearest training image of the true class that is answered rightly, and how far away it is block by block.

    Near is measured by cosine of the pooled features of the last block. How far two images of the class usually are
    from each other at each block is measured between those of at most 200 that are answered rightly.

    Args:
        case: what is explained; where its true class is not known, the predicted one stands for it.

    Raises:
        InvalidSetting: fewer than five training images of the class are answered rightly.
    """
    label = case.label if case.label is not None else case.answer.predicted
    rows = case.of_class(label)
    name = case.data.classes[label]
    features, logits = (
        case.features(case.data.train.images[torch.as_tensor(rows)], case.blocks)
        if len(rows)
        else ({}, np.zeros((0, 1)))
    )
    right = np.flatnonzero(logits.argmax(axis=1) == label)
    if len(right) < _FEWEST:
        raise InvalidSetting(
            "look_alike",
            f"{len(right)} of {len(rows)} training images of {name} are answered rightly: a look-alike "
            f"and what is usual "
            f"among them need {_FEWEST}",
        )
    last = case.blocks[-1]
    nearest = int(right[np.argmin(_cosine(case.own[last][None], features[last][right])[0])])
    distance, usual, limit = [], [], []
    pairs = np.triu_indices(len(right), 1)
    for block in case.blocks:
        case.check()
        ours = features[block][right]
        between = _cosine(ours, ours)[pairs]
        distance.append(_cosine(case.own[block][None], features[block][nearest][None])[0, 0])
        usual.append(np.median(between))
        limit.append(np.quantile(between, 0.95))
    near, common, far = (np.array(each, np.float32) for each in (distance, usual, limit))
    return LookAlike(int(rows[nearest]), label, case.blocks, near, common, far, len(right))


def _cosine(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Cosine distances (N, M) of rows; 1 where a row is zero."""
    lengths = np.outer(np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1))
    return 1 - one @ two.T / np.where(lengths > 0, lengths, np.inf)
