"""Texts with their answers, each word or sign coloured by how much it spoke for the answer."""

from collections.abc import Sequence
from html import escape

import numpy as np
from torch import nn

from reswork.datasets import Dataset
from reswork.datasets.texts import tokens_of
from reswork.probes import text_evidence
from reswork.results import TextEvidence

_MOST = 8  # texts that are shown, half of them wrong ones where there are as many
_ASKED = 800  # passes that all of them may take; long texts are fewer
_HEAD = (
    '<p class="reswork-muted"><span class="reswork-for">Red</span> parts spoke for the answer, '
    '<span class="reswork-against">blue</span> ones against it: each was made unreadable in turn. Point at one for how '
    "much the logarithm of the odds falls without it.</p>"
)


def texts_html(
    model: nn.Module, data: Dataset, answered: np.ndarray, truth: np.ndarray, own: str = ""
) -> str:
    """A text of one's own, then some of the test with what spoke for their answers, wrong ones first.

    Args:
        model: that is asked.
        data: with texts.
        answered: (N,) classes that it gives to the first test texts.
        truth: (N,) their classes.
        own: a text of one's own; ``""``: none.
    """
    found = []
    if own.strip():
        length = data.input_shape[-1]
        is_cut = bool(tokens_of([own], data.features, length + 1)[0, length])
        said = f"Yours, of which only the first {length} {'words' if data.are_words else 'signs'} are read:"
        found.append(_text_html(text_evidence(model, data, own), said if is_cut else "Yours:", data.classes))
    passes = 0
    wrong = np.flatnonzero(answered != truth)
    for row in [*wrong[: _MOST // 2], *np.flatnonzero(answered == truth), *wrong[_MOST // 2 :]][:_MOST]:
        passes += int((data.test.inputs[row] != 0).sum())
        if found and passes > _ASKED:
            break
        is_right = answered[row] == truth[row]
        said = "right:" if is_right else f"<b>wrong</b>, it is {escape(data.classes[truth[row]])}:"
        found.append(_text_html(text_evidence(model, data, int(row)), f"Test {row}, {said}", data.classes))
    right = f"Of the first {len(truth):,} test texts {np.mean(answered == truth):.0%} are answered right."
    return f'{_HEAD}<div class="reswork-texts">{"".join(found)}</div><p class="reswork-muted">{right}</p>'


def _text_html(found: TextEvidence, said: str, classes: Sequence[str]) -> str:
    """One text; `said` is HTML."""
    most = max(float(np.abs(found.values).max(initial=0.0)), 1e-9)
    are_signs = all(len(part) == 1 for part in found.parts)
    parts = [
        f'<span class="reswork-{"for" if value > 0 else "against"}" style="--share:{abs(value) / most:.2f}" '
        f'title="{value:+.2f}">{"&nbsp;" if part == " " else escape(part)}</span>'
        for part, value in zip(found.parts, found.values.tolist(), strict=True)
    ]
    answer = f"<b>{escape(classes[found.target])}</b>, {found.probability:.0%}"
    return f"<div>{said} answered {answer}</div><p>{('' if are_signs else ' ').join(parts)}</p>"
