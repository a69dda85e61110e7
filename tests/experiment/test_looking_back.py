import numpy as np
import pytest
import torch

import reswork as rw
from reswork.experiment.divergence import divergence
from reswork.history import History

RECIPE = rw.Recipe(
    steps=20, batch_size=64, device="cpu", precision="fp32", channels_last=False, compile="off"
)


@pytest.fixture(scope="module")
def digits():
    return rw.datasets.digits()


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    torch.manual_seed(0)
    net = rw.resnet(depth=8, width=8, in_channels=1)
    run = rw.train(net, digits, RECIPE, directory=tmp_path_factory.mktemp("run") / "r")
    run.wait(300)
    return run


def test_a_look_at_the_last_step_finds_what_the_run_itself_measured(run, digits) -> None:
    look = rw.look_back(run, 20, digits)
    assert look.counted == 500
    assert np.array_equal(look.found.tables["confusion"], run.history.array("confusion/test")[1])
    assert look.found.loss == pytest.approx(run.history.last("loss/test"), rel=1e-5)
    images = rw.datasets.normalise(digits.test.images[list(look.pictures)], digits.mean, digits.std)
    with torch.no_grad():
        chances = run.model(images).softmax(1)
    assert look.frame.answers.classes.tolist() == chances.argmax(1).tolist()
    assert look.frame.answers.sure == pytest.approx(chances.max(1).values.numpy(), rel=1e-4)


def test_what_changed_names_accuracy_classes_pictures_and_weights(run, digits) -> None:
    before, after = rw.look_back(run, 0, digits), rw.look_back(run, 20, digits)
    told = " ".join(rw.what_changed(before, after))
    top1 = after.found.metrics["top1"]
    assert f"On 500 test pictures the accuracy of {run.name} at step 20 is {top1:.1%}" in told
    assert "gained most" in told and "weights moved by" in told
    changed = sum(before.frame.answers.classes != after.frame.answers.classes)
    assert f"{changed} of 4 pinned pictures get another answer" in told
    same = " ".join(rw.what_changed(after, after))
    assert "No weight differs." in same and "keep their answers" in same and "most" not in same


def test_a_picture_that_is_not_there_is_refused(run, digits) -> None:
    with pytest.raises(rw.InvalidSetting, match="picture 500 is not there"):
        rw.look_back(run, 3, digits, pictures=[500])


def made(values) -> History:
    history = History()
    history.extend("loss/train", np.arange(1, len(values) + 1), values)
    return history


def test_parting_finds_the_first_difference_and_the_step_from_which_it_lasts() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    other = noise.copy()
    other[60:] += np.random.default_rng(1).normal(0, 0.1, 140)  # other noise, same mean
    other[120:] += 1.0
    found = divergence(made(noise), made(other))
    assert found.first == 61
    assert 106 <= found.lasting <= 125
    assert "for the first time at step 61" in found.sentence and "from step" in found.sentence


def test_parting_of_equal_and_of_empty_histories() -> None:
    equal = divergence(made([3.0, 2.0, np.nan]), made([3.0, 2.0, np.nan, 1.0]))
    assert (equal.first, equal.lasting) == (None, None)
    assert equal.sentence == "loss/train is equal to the last bit up to step 3."
    assert divergence(History(), made([1.0])).sentence == "There is no step at which both have loss/train."
    short = divergence(made([1.0, 2.0]), made([1.0, 3.0]))
    assert (short.first, short.lasting) == (2, None)


def test_a_history_until_a_step_holds_nothing_of_later() -> None:
    history = made([3.0, 2.0, 1.0])
    history.record_vector("grad_norm", 1, ["a"], [1.0])
    history.record_vector("grad_norm", 3, ["a"], [2.0])
    history.keep("confusion/test", 3, np.eye(2))
    history.note(2, "learning_rate", value=0.1)
    early = history.until(2)
    assert early.series("loss/train").steps.tolist() == [1, 2]
    assert early.vectors("grad_norm").steps.tolist() == [1]
    assert early.array("confusion/test") is None
    assert [note.step for note in early.notes] == [2]
    assert len(history.series("loss/train")) == 3
    early.record(3, {"loss/train": 9.0})
    early.record_vector("grad_norm", 2, ["a"], [5.0])
    assert history.last("loss/train") == 1.0 and len(history.vectors("grad_norm")) == 2
    assert history.until(0).names == ()
