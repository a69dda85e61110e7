"""What trained weights are worth, and what is forgotten, against loops over what the package does anyway."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reswork import figures
from reswork.datasets import Dataset
from reswork.datasets.augmentation import normalise
from reswork.errors import InvalidSetting
from reswork.models.network import ResNet
from reswork.results import Forgetting, Worth
from reswork.training.alone import train_alone
from reswork.training.recipe import Recipe
from reswork.transfer import Source, Way, adopt, forgetting, joined, worth
from tests.transfer.conftest import drawn

RECIPE = Recipe(steps=3, batch_size=8, learning_rate=0.02)


def right(model: torch.nn.Module, data: Dataset) -> np.ndarray:
    with torch.no_grad():
        answers = model.eval()(normalise(data.test.images, data.mean, data.std)).argmax(1)
    return (answers == data.test.labels).numpy()


def test_each_cell_is_a_training_and_the_share_of_right_answers(source: ResNet, data: Dataset) -> None:
    ways = (Way("tuned", frozen_to="layer1", rate=0.5), Way("anew", begins="nothing"))
    found = worth(source, data, RECIPE, images=(4, 8), seeds=2, ways=ways)
    assert found.ways == ("anew", "tuned") and found.images == (4, 8)
    some = data.subset(train=32, seed=1)
    model = adopt(source, some, seed=1).model
    recipe = replace(RECIPE, seed=1, learning_rate=0.01, frozen=("conv1", "bn1", "layer1"))
    list(train_alone(model, some, recipe))
    assert found.accuracy[1, 1, 1] == right(model, data).mean()
    assert np.isfinite(found.accuracy).all()
    np.testing.assert_allclose(found.gain, (found.accuracy[1:] - found.accuracy[:1]).mean(2))
    figure = figures.transfer_worth(found)
    assert [trace.name for trace in figure.data] == ["anew", "tuned"]


def test_the_verdict_says_where_every_seed_gained() -> None:
    accuracy = np.array([[[0.5, 0.6], [0.8, 0.9]], [[0.6, 0.7], [0.9, 0.8]]])
    found = Worth(("anew", "<tuned>"), (20, 500), accuracy)
    assert (
        "help with every seed at 20 images" in found.verdict
        and "not with every seed, at 500" in found.verdict
    )
    assert "&lt;tuned&gt;" in found._repr_html_() and "0.550 (0.500 to 0.600)" in found._repr_html_()
    empty = Worth(("anew",), (20,), np.full((1, 1, 3), np.nan))
    assert empty.sentence == "Nothing is computed yet."
    figures.transfer_worth(empty)


def test_what_is_forgotten_is_judged_among_all_classes(source: ResNet) -> None:
    whole = drawn(("a", "b", "c", "d", "e"), count=150)
    old, new = whole.of_classes(("a", "b", "c")), whole.of_classes(("d", "e"))
    ways = (Way("alone"), Way("replayed", replay=5), Way("still", frozen_to="body", norms="kept"))
    found = forgetting(source, old, new, replace(RECIPE, steps=None, epochs=2), seeds=1, ways=ways)
    assert found.old.shape == found.new.shape == (3, 1, 3) and np.isfinite(found.old).all()
    both = joined(old, new)
    known = Source(source, "run", "mine", "a run", ("a", "b", "c"))
    model = adopt(known, both, head="extended").model
    before = right(model, both)
    assert found.old[0, 0, 0] == before[: len(old.test)].mean()
    assert found.new[0, 0, 0] == before[len(old.test) :].mean()
    list(train_alone(model, both, replace(RECIPE, steps=None, epochs=2)))
    after = right(model, both)
    assert found.old[0, 0, -1] == after[: len(old.test)].mean()
    assert found.new[0, 0, -1] == after[len(old.test) :].mean()
    assert [trace.name for trace in figures.forgetting(found).data][:2] == ["alone, old", "alone, new"]
    assert "afterwards on rows-0-1-2 and rows-3-4: alone" in str(found)
    assert found.forgotten[0] == found.old[0, 0, 0] - found.old[0, 0, -1]
    figures.forgetting(Forgetting(("alone",), np.full((1, 1, 3), np.nan), np.full((1, 1, 3), np.nan)))


def test_joined_data_have_the_classes_by_name_and_some_of_the_old() -> None:
    old, new = drawn(("a", "b", "c"), seed=1), drawn(("c", "d"), seed=2)
    both = joined(old, new, replay=4)
    assert both.classes == ("a", "b", "c", "d") and both.mean == old.mean
    assert len(both.train) == len(new.train) + 12
    assert both.train.labels[: len(new.train)].tolist() == [2 + label for label in new.train.labels.tolist()]
    assert torch.bincount(both.train.labels[len(new.train) :]).tolist() == [4, 4, 4]
    assert torch.equal(both.test.images[: len(old.test)], old.test.images)
    with pytest.raises(InvalidSetting, match="give both the same shape"):
        joined(old, drawn(("a", "b"), channels=3))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"images": (1,)}, "choose whole numbers from 2 to 16"),
        ({"images": (17,)}, "choose whole numbers from 2 to 16"),
        ({"seeds": 0}, "seeds=0"),
        ({"ways": (Way("tuned"),)}, "nothing to compare with"),
        ({"ways": (Way("a", begins="nothing"), Way("a"))}, "two ways have the same name"),
        ({"ways": ("tuned",)}, "must be rw.transfer.Way"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    source: ResNet, data: Dataset, settings: dict, words: str
) -> None:
    with pytest.raises(InvalidSetting, match=words):
        worth(source, data, RECIPE, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"begins": "zero"}, "choose 'source' or 'nothing'"),
        ({"replay": -1}, "replay=-1"),
        ({"rate": 0}, "rate=0"),
    ],
)
def test_a_way_that_cannot_be_is_refused(settings: dict, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        Way("wrong", **settings)
