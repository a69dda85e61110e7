"""At which block an answer turned: what the head and a linear probe read after each."""

import numpy as np
import torch

from reswork.causes.case import Case
from reswork.causes.removal import Part, Removal
from reswork.datasets.dataset import stratified_order
from reswork.probes.separability import classifier_pipeline
from reswork.results.causes import Turning

_JUDGES = 0.3  # of the sample, which the probes are not fitted to
_HEAD_IMAGES = 48


def turning(case: Case) -> Turning:
    """What can be read of the answer after each block.

    The head reads the network with all later blocks deleted: their shortcuts carry the stream to it, padded or
    projected as the network does. Where a later block cannot be deleted, it cannot read. The probe is a ridge
    regression on each block's pooled features, fitted to seven tenths of the sample and judged by the others.

    Args:
        case: what is explained.

    Returns:
        Margins and answers of both, each with its own accuracy: what is hardly better than chance says nothing.

    Reference:
        Veit et al. 2016, arXiv 1605.06431, for deleted blocks; Alain and Bengio 2016, arXiv 1610.01644, for probes.
    """
    answer = case.answer
    head_logits, head_accuracy = _read_by_head(case)
    features, _ = case.sample
    order = stratified_order(case.labels, 2)
    judges = order[: max(1, round(_JUDGES * len(order)))]
    fitted = np.setdiff1d(order, judges)
    margins, answers, accuracy = [], [], []
    for name in case.blocks:
        case.check()
        scores, right = _probe(
            features[name], case.labels, fitted, judges, case.own[name], len(case.data.classes)
        )
        margins.append(scores[answer.other] - scores[answer.predicted])
        answers.append(int(np.nanargmax(scores)))
        accuracy.append(right)
    readable = np.isfinite(head_logits).all(axis=1)
    return Turning(
        case.blocks,
        answer.predicted,
        answer.other,
        (head_logits[:, answer.other] - head_logits[:, answer.predicted]).astype(np.float32),
        np.where(readable, np.nan_to_num(head_logits).argmax(axis=1), -1),
        head_accuracy,
        np.array(margins, np.float32),
        np.array(answers, np.int64),
        np.array(accuracy),
        case.chance,
        min(_HEAD_IMAGES, len(case.rows)),
        len(judges),
        len(fitted),
    )


def _read_by_head(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Logits (L, K) after each block, NaN where a later block cannot be deleted, and accuracies (L,)."""
    removal, blocks = Removal(case), case.blocks
    logits = np.full((len(blocks), len(case.data.classes)), np.nan, np.float32)
    accuracy = np.full(len(blocks), np.nan)
    fixed = [place for place, name in enumerate(blocks) if name not in removal.blocks]
    first = max(fixed, default=0)  # whatever lies before it cannot reach the head alone
    places = range(first, len(blocks))
    later = [[Part("block", name) for name in blocks[place + 1 :]] for place in places]
    if not later:
        return logits, accuracy
    logits[first:] = removal.answers(torch.as_tensor(case.image[None]), later)
    chosen = stratified_order(case.labels, 1)[:_HEAD_IMAGES]
    images = case.data.train.images[torch.as_tensor(case.rows[chosen])]
    for place, parts in zip(places, later, strict=True):
        said = removal.answers(images, [parts] * len(images)).argmax(axis=1)
        accuracy[place] = (said == case.labels[chosen]).mean()
    return logits, accuracy


def _probe(
    features: np.ndarray,
    labels: np.ndarray,
    fitted: np.ndarray,
    judges: np.ndarray,
    own: np.ndarray,
    classes: int,
) -> tuple[np.ndarray, float]:
    """The probe's scores (K,) of the image, NaN for classes that the sample lacks, and its accuracy."""
    scores = np.full(classes, np.nan)
    known = np.unique(labels[fitted])
    if len(known) < 2:
        return np.nan_to_num(scores), float("nan")
    probe = classifier_pipeline("ridge").fit(features[fitted], labels[fitted])
    found = probe.decision_function(own[None])
    scores[known] = np.array([-found[0], found[0]]) if found.ndim == 1 else found[0]
    return scores, float(probe.score(features[judges], labels[judges]))
