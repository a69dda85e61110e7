"""Which words spoke for an answer: asked of a network whose answer is known word by word."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reswork as rw
from reswork.datasets.texts import texts_of
from reswork.errors import InvalidSetting


class Counts(nn.Module):
    """Says 'b' the more often a text has its sign, by an embedding of single signs that are added up."""

    def __init__(self, data: rw.datasets.Dataset, sign: str) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([2.0 * (feature == sign) for feature in data.features]))

    def forward(self, tokens: Tensor) -> Tensor:
        score = self.weights[tokens].sum(1)
        return torch.stack([-score / 2, score / 2], 1)


@pytest.fixture(scope="module")
def data() -> rw.datasets.Dataset:
    texts = ["we saw a zebra today", "one fine day it was", "zzz"] * 4
    return texts_of(texts, ["b", "a", "b"] * 4, "toy", "made up", test_fraction=0.5)


def row_of(data: rw.datasets.Dataset, text: str) -> int:
    return [each.strip() for each in rw.datasets.words_of(data)].index(text)


def test_the_word_with_the_sign_carries_the_answer_by_as_much_as_it_adds(data) -> None:
    model = Counts(data, "z")
    found = rw.probes.text_evidence(model, data, row_of(data, "we saw a zebra today"))
    assert found.parts == ("we", "saw", "a", "zebra", "today") and found.target == 1
    np.testing.assert_allclose(found.values, [0, 0, 0, 2, 0], atol=1e-5)  # log odds are the score
    assert found.probability == pytest.approx(torch.tensor(2.0).sigmoid().item())
    against = rw.probes.text_evidence(model, data, row_of(data, "we saw a zebra today"), target=0)
    np.testing.assert_allclose(against.values, -found.values, atol=1e-5)
    assert "'zebra'" in str(rw.figures.text_evidence([found, against], data.classes, [1, 0]).layout)


def test_a_text_of_few_words_is_looked_at_sign_by_sign(data) -> None:
    found = rw.probes.text_evidence(Counts(data, "z"), data, row_of(data, "zzz"))
    assert found.parts == ("z", "z", "z")
    np.testing.assert_allclose(found.values, [6, 6, 6], atol=1e-4)  # the three are left out together


def test_a_text_of_ones_own_is_asked_as_one_of_the_data(data) -> None:
    model, text = Counts(data, "z"), "we saw a zebra today"
    known, own = (rw.probes.text_evidence(model, data, row) for row in (row_of(data, text), text))
    assert own.parts == known.parts and own.probability == known.probability
    np.testing.assert_array_equal(own.values, known.values)
    new = rw.probes.text_evidence(model, data, "he saw zebus")
    assert new.parts == tuple("?e saw zeb?s") and np.argmax(new.values) in (6, 7, 8)  # no h or u in training
    with pytest.raises(InvalidSetting, match="the text is empty"):
        rw.probes.text_evidence(model, data, " ")


def test_the_network_stays_as_it_was_and_what_is_no_text_is_refused(data) -> None:
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(data, depth=8, width=4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rw.probes.text_evidence(model, data, 0)
    assert model.training and all(
        torch.equal(value, before[name]) for name, value in model.state_dict().items()
    )
    with pytest.raises(InvalidSetting, match="give data with texts"):
        rw.probes.text_evidence(model, rw.datasets.digits(), 0)
    with pytest.raises(InvalidSetting, match="row=999"):
        rw.probes.text_evidence(model, data, 999)
    with pytest.raises(InvalidSetting, match="target=7: choose 0 to 1"):
        rw.probes.text_evidence(model, data, 0, target=7)
