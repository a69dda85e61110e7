"""Linear probes: how much of the answer is there at each depth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from torch import nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.probes.capture import pooled, watched
from reswork.probes.inputs import first_tensor, numbers
from reswork.probes.layer_lookup import block_names
from reswork.results.layers import Classifier, LinearProbe

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def linear_probe(
    model: nn.Module,
    data: Dataset,
    *,
    layers: Sequence[str] | None = None,
    classifier: Classifier = "ridge",
    train_images: int = 1000,
    test_images: int = 1000,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    batch_size: int = 250,
) -> LinearProbe:
    """How well a linear classifier names the images from each block's features alone.

    Read from it where the answer comes about: accuracy rises with depth, slowly in the first stages and
    steeply in the last. A block that lowers it does something else than classify; a level end means that the
    last blocks add little; a last block far above the network's own accuracy means a bad head.

    Args:
        model: any network; while it trains, a snapshot.
        data: its training images fit the classifier, its test images judge it.
        layers: dotted names; None: the blocks.
        classifier: ``"ridge"``: closed form, fast; ``"logistic"``: logistic regression, slower, often better.
        train_images: at most so many, chosen with the classes in proportion.
        test_images: likewise.
        mean: of each channel, 0 to 1, as the network was trained with; None: the data set's.
        std: likewise.
        batch_size: images at once.

    Returns:
        Accuracies of each layer, from features averaged over positions.

    Raises:
        InvalidSetting: for a layer that is not there, or an unknown classifier.

    Reference:
        Alain and Bengio 2016, arXiv 1610.01644.
    """
    if classifier not in get_args(Classifier):
        raise InvalidSetting(
            "classifier", f"classifier={classifier!r} is not known; choose 'ridge' or 'logistic'"
        )
    names = tuple(block_names(model) if layers is None else layers)
    if not names:
        raise InvalidSetting("layers", "there are no layers to look at; name at least one")
    data = data.subset(min(train_images, len(data.train)), min(test_images, len(data.test)))
    scale = (mean or data.mean, std or data.std)
    train, _ = _features(model, data.train, names, scale, batch_size)
    test, logits = _features(model, data.test, names, scale, batch_size)
    labels, test_labels = data.train.labels.cpu().numpy(), data.test.labels.cpu().numpy()
    scores = []
    for name in names:
        fitted = classifier_pipeline(classifier).fit(train[name], labels)
        scores.append((fitted.score(train[name], labels), fitted.score(test[name], test_labels)))
    answers_fit = logits.ndim == 2 and logits.shape[1] == len(data.classes)
    accuracy = float((logits.argmax(axis=1) == test_labels).mean()) if answers_fit else float("nan")
    return LinearProbe(
        names,
        np.array([score[0] for score in scores]),
        np.array([score[1] for score in scores]),
        np.array([train[name].shape[1] for name in names], np.int64),
        accuracy,
        float(np.bincount(test_labels).max() / len(test_labels)),
        len(labels),
        len(test_labels),
        classifier,
    )


def _features(
    model: nn.Module, split: Split, names: tuple[str, ...], scale: tuple[Any, Any], batch_size: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Pooled features (N, F) of each layer, and the network's answers (N, K)."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    answers = []
    with watched(model, names, take=pooled) as seen:
        for images in split.inputs.split(batch_size):
            output = first_tensor(seen(normalise(images, *scale)))
            answers.append(numbers(output) if output is not None else np.zeros((len(images), 0)))
            for name in names:
                parts[name].append(numbers(seen[name]))
    return {name: np.concatenate(found) for name, found in parts.items()}, np.concatenate(answers)


def classifier_pipeline(classifier: Classifier) -> "Pipeline":
    """Standardisation and a linear classifier behind it, as `linear_probe` fits it."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier  # takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if classifier == "ridge":
        return make_pipeline(StandardScaler(), RidgeClassifier(alpha=1.0))
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300, tol=1e-3))
