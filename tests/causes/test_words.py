"""How much each sentence says: thresholds, on results made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from reswork.causes.words import _carriers, by_strength, pointed, remarks
from reswork.results.causes import Carriers, Remark

CLASSES = ("cat", "dog", "cow")


def blocks(change, answers, kept, margin) -> Carriers:
    names = tuple(f"layer1.{index}" for index in range(len(change)))
    return Carriers(
        ("block",) * len(change), names, np.full(len(change), -1), np.array(change, np.float32), np.array(answers),
        np.array(kept), margin, 0, 1, (), 48, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "answers", "kept", "strength", "told"),
    [
        ([0.1, 1.5, 0], [0, 1, 0], [1, 0.9, 1], "strong", "block layer1.1 the answer is dog (margin -1.00 becomes"),
        ([0.1, 1.5, 0], [0, 1, 0], [1, 0.2, 1], "weak", "only 20 % of other right answers stay"),
        ([1.2, 1.5, 1.1], [1, 1, 1], [1, 1, 1], "weak", "3 of 3 each turn it alone, so"),
        ([0.1, 0.4, 0], [0, 1, 0], [1, 0.9, 1], "weak", "Without block layer1.1 the answer is dog (margin -0.30"),
        ([0.6, 0.2, 0], [0, 0, 0], [1, 1, 1], "weak", "the strongest, block layer1.0, takes back 60 %"),
        ([0.3, 0.2, 0], [0, 0, 0], [1, 1, 1], "nothing", "takes back 30 % of the margin (half would be named)"),
        ([-0.3, -2, -1], [0, 0, 2], [1, 1, 0], "nothing", "without any of them cat stays as far ahead of dog"),
        ([], [], [], "cannot say", "No block can be taken out"),
    ],
)  # fmt: skip
def test_no_single_block_is_an_answer_too(change, answers, kept, strength, told):
    margin = -0.3 if "-0.30" in told else -1.0
    found = _carriers(blocks(change, answers, kept, margin), CLASSES)[0]
    assert found.strength == strength and told in found.sentence


def test_an_even_answer_has_no_strong_flips(planted):
    case = planted.case
    sharp = remarks(case, {"flips": planted.flips()}, {})
    assert any(each.about == "flips" and each.strength == "strong" for each in sharp)
    before = case.answer
    case.answer = replace(before, margin=-0.1)
    try:
        even = remarks(case, {"flips": planted.flips()}, {})
    finally:
        case.answer = before
    assert "nearly even" in even[0].sentence
    assert not any(each.about == "flips" and each.strength == "strong" for each in even)


def test_a_map_points_at_its_strongest_pixels():
    map_ = np.zeros((20, 20))
    map_[4:8, 10:15] = 5.0
    assert pointed(map_) == (4, 10, 8, 15)
    assert pointed(-map_) is None


def test_sentences_are_in_the_order_of_their_strength():
    made = [Remark("a", "nothing", "N."), Remark("b", "strong", "S."), Remark("c", "nothing", "M.")]
    assert by_strength(made) == [("", ["S."]), ("Looked for and not found:", ["N.", "M."])]
