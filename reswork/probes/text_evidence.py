"""Which words, or which signs of a word, spoke for an answer to a text: each left out in turn."""

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.datasets.texts import tokens_of
from reswork.errors import InvalidSetting
from reswork.probes.capture import watched
from reswork.results.text_evidence import TextEvidence

UNKNOWN = 1  # the token that stands for a sign which training has not seen
FEW_WORDS = 4  # a text of fewer is looked at sign by sign
_SIGNS = 3  # that are left out together, where signs are looked at


def text_evidence(
    model: nn.Module, data: Dataset, row: int | str, target: int | None = None, *, split: str = "test"
) -> TextEvidence:
    """How much less probable an answer becomes when a word is made unreadable, each word in turn.

    Where words go in, these are made unreadable. Of signs a text of few words is looked at sign by sign: three
    neighbours are made unreadable at a time, and a sign has the mean of all places of these three that cover it. What
    is measured is the logarithm of the odds of the class; a word that is said twice counts little for each, as the
    other one stays.

    Args:
        model: takes tokens (N, L) and gives logits (N, K); not changed.
        data: with tokens, see `reswork.datasets.text`.
        row: of the split; or a text of one's own, which is cut where it is longer than the data's longest.
        target: the class that is asked about; None: the one that is answered.
        split: ``"train"`` or ``"test"``.

    Raises:
        InvalidSetting: other inputs, no such row or class, a text without a sign.

    Reference:
        Li, Monroe and Jurafsky 2016, arXiv:1612.08220: a representation is understood by erasing it.
    """
    if data.input_kind != "tokens":
        raise InvalidSetting("data", f"the inputs of {data.name} are {data.input_kind}: give data with texts")
    inputs = data._split(split).inputs
    if isinstance(row, str):
        if not row.strip():
            raise InvalidSetting("row", "the text is empty: give some words")
        tokens = torch.from_numpy(tokens_of([row], data.features, inputs.shape[1]))[0]
    elif 0 <= row < len(inputs):
        tokens = inputs[row]
    else:
        raise InvalidSetting("row", f"row={row}: choose 0 to {len(inputs) - 1}")
    if target is not None and not 0 <= target < len(data.classes):
        raise InvalidSetting("target", f"target={target}: choose 0 to {len(data.classes) - 1}")
    length = int((tokens != 0).sum())
    pieces = ["?" if number == UNKNOWN else data.features[number] for number in tokens[:length].tolist()]
    if data.are_words:
        spans = parts = [(at, at + 1) for at in range(length)]
    else:
        spans, parts = _parts("".join(pieces))
    changed = tokens.repeat(len(spans) + 1, 1)
    for index, (begin, end) in enumerate(spans, start=1):
        changed[index, begin:end] = UNKNOWN
    odds = _log_odds(model, changed)  # (1 + spans, K)
    chosen = int(odds[0].argmax()) if target is None else target
    drops = (odds[0, chosen] - odds[1:, chosen]).double().cpu().numpy()
    values = np.array(
        [
            np.mean(
                [drop for drop, (low, high) in zip(drops, spans, strict=True) if low < end and begin < high]
            )
            for begin, end in parts
        ]
    )
    return TextEvidence(
        tuple("".join(pieces[begin:end]) for begin, end in parts),
        values,
        chosen,
        float(odds[0, chosen].sigmoid()),
    )


def _parts(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """What is left out in turn, and what gets a number: words, or triples of signs and signs; (begin, end)."""
    words, begin = list[tuple[int, int]](), 0
    for word in text.split(" "):
        if word:
            words.append((begin, begin + len(word)))
        begin += len(word) + 1
    if len(words) >= FEW_WORDS:
        return words, words
    triples = [(at, min(at + _SIGNS, len(text))) for at in range(max(1, len(text) - _SIGNS + 1))]
    return triples, [(at, at + 1) for at in range(len(text))]


def _log_odds(model: nn.Module, tokens: Tensor) -> Tensor:
    with watched(model, []) as seen, torch.no_grad():
        logits = seen(tokens.to(next(model.parameters()).device)).float()
    chances = logits.log_softmax(1)
    return chances - torch.log1p(-chances.exp().clamp(max=1 - 1e-6))
