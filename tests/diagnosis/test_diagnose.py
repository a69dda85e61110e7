"""`rw.diagnose` on real, tiny trainings: live, from disk, and networks that somebody else trained."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import reswork as rw
from reswork.datasets.dataset import Dataset, Split
from reswork.diagnosis import Diagnosis, Fix, at_a_glance, outcome
from reswork.errors import InvalidSetting
from reswork.training.recipe import Recipe
from reswork.widgets.run_view import RunView
from reswork.widgets.tree import close_tree

RECIPE = Recipe(steps=60, batch_size=32, learning_rate=0.1, device="cpu", precision="fp32", compile="off")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return rw.datasets.digits()


@pytest.fixture(scope="module")
def run(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[rw.LiveRun]:
    """A healthy one, which the tests leave as it is."""
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=8, in_channels=1)
    run = rw.train(model, data, RECIPE, directory=tmp_path_factory.mktemp("runs") / "healthy")
    run.wait(300)
    yield run


def _kinds(found: Diagnosis) -> list[str]:
    return [finding.kind for finding in found]


def test_a_healthy_run_is_found_healthy_live_and_from_disk(run: rw.LiveRun) -> None:
    found = rw.diagnose(run)
    assert _kinds(found) == [] and not found.not_asked
    saved = rw.diagnose(rw.load_run(run.directory))
    assert _kinds(saved) == [] and saved.asked == found.asked


def test_a_run_while_it_trains_stays_as_it_is(data: Dataset) -> None:
    """The losses are those of a run that nobody asked about."""
    losses = []
    for asked in (False, True):
        torch.manual_seed(0)
        run = rw.Run(rw.resnet(depth=8, width=4, in_channels=1), data, replace(RECIPE, steps=12))
        run.add_recorder(rw.recorders.losses(run.history))
        run.pause()
        run.start()
        run.wait_until_still(300)
        run.step(6)
        run.wait_until_still(300)
        if asked:
            assert isinstance(rw.diagnose(run), Diagnosis)
        run.resume()
        run.wait(300)
        losses.append(run.history.series("loss/train").values.tolist())
    assert len(losses[0]) == 12 and losses[0] == losses[1]


def test_a_network_is_left_as_it_was(data: Dataset) -> None:
    model = rw.resnet(depth=8, width=4, in_channels=1).train()
    before = copy.deepcopy(model.state_dict())
    random = torch.get_rng_state()
    found = rw.diagnose(model, data.subset(200, 100))
    assert torch.equal(torch.get_rng_state(), random) and model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert found.not_asked["rate_too_high"] == "a network alone has no record of its training"


def test_a_network_alone_is_asked_about_its_weights() -> None:
    model = rw.resnet(depth=8, width=4)
    model.layer2.requires_grad_(False)
    found = rw.diagnose(model)
    assert _kinds(found) == ["frozen_layers"] and "layer2.0.conv1" in found[0].sentence
    assert found.not_asked["leakage"] == "no data were given"


class _Softmax(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).softmax(1)


def test_a_foreign_network_with_a_softmax(run: rw.LiveRun, data: Dataset) -> None:
    assert "softmax_before_loss" in _kinds(rw.diagnose(_Softmax(run.snapshot()), data))


def test_images_of_other_statistics_and_their_mended_data(run: rw.LiveRun, data: Dataset) -> None:
    raw = replace(data, mean=(0.0,), std=(1 / 255,))
    finding = next(each for each in rw.diagnose(run.snapshot(), raw) if each.kind == "values_0_to_255")
    assert finding.fix is not None and finding.fix.mended is not None
    mended = finding.fix.mended(raw)
    assert mended.mean == pytest.approx(data.mean) and mended.std == pytest.approx(data.std)
    assert _kinds(rw.diagnose(run.snapshot(), mended)) == []


def test_test_images_that_stand_in_the_training_split(run: rw.LiveRun, data: Dataset) -> None:
    images = torch.cat([data.train.images, data.test.images[:100]])
    leaky = replace(data, train=Split(images, torch.cat([data.train.labels, data.test.labels[:100]])))
    finding = next(each for each in rw.diagnose(run.snapshot(), leaky) if each.kind == "leakage")
    assert finding.evidence.value == pytest.approx(100 / 500, abs=0.03)
    assert finding.fix is not None and finding.fix.mended is not None
    assert len(finding.fix.mended(leaky).test) == 400


def test_a_fix_branches_a_new_run(data: Dataset, tmp_path: Path) -> None:
    """Far too small a rate: the finding says so, and the branch with its fix learns."""
    torch.manual_seed(0)
    slow = replace(RECIPE, learning_rate=1e-5)
    run = rw.train(rw.resnet(depth=8, width=8, in_channels=1), data, slow, directory=tmp_path / "slow")
    run.wait(300)
    found = rw.diagnose(run)
    assert _kinds(found)[0] == "rate_too_low"
    fix = found[0].fix
    assert fix is not None and str(fix.changes[0]) == "recipe: learning_rate 1e-05 → 0.1"
    better = fix.branch(run, directory=tmp_path / "better")
    better.wait(300)
    assert better.history.last("top1/test") > run.history.last("top1/test") + 0.3
    told = outcome(found[0], run, better)
    assert told.gone and told.after == better.history.last("top1/test") and told.before is not None
    assert "learning_rate 1e-05 → 0.1" in told.sentence and "not found any more" in told.sentence


def test_masks_are_not_asked_about_labels() -> None:
    scenes = rw.datasets.scenes(train=8, test=4, size=16)
    found = rw.diagnose(rw.unet(num_classes=7, depth=8, width=4), scenes)
    assert found.not_asked["label_noise"] == "the targets are masks, not labels"


def test_a_network_that_cannot_take_the_images_is_still_asked_the_rest(data: Dataset) -> None:
    found = rw.diagnose(rw.resnet(depth=8, width=4, in_channels=3), data.subset(100, 50))
    assert "channels" in found.not_asked["constant_outputs"] and "leakage" in found.asked


def test_what_cannot_be_asked_or_branched_gets_a_sentence() -> None:
    with pytest.raises(InvalidSetting, match="neither a run nor a network"):
        rw.diagnose(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="by hand: Look"):
        Fix("Look.").branch(None)  # type: ignore[arg-type]


def test_a_glance_is_silent_on_a_good_run_and_needs_a_hundred_steps(run: rw.LiveRun) -> None:
    assert not at_a_glance(run) and not at_a_glance(run).asked


def test_a_glance_tells_a_rate_that_is_too_low_and_the_page_takes_its_fix(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line shows why, asks about everything, trains the fix beside, and says what it brought."""
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, in_channels=1)
    slow = replace(RECIPE, steps=100, learning_rate=1e-5)
    run = rw.train(model, data.subset(300, 50), slow, directory=tmp_path / "slow")
    run.wait(300)
    found = at_a_glance(run)
    assert _kinds(found) == ["rate_too_low"]
    assert found.not_asked["leakage"] == "only the record was looked at"
    view = RunView(run)
    line = view.doctor
    row = line.rows["rate_too_low"]
    assert line.view.layout.display is None
    assert "Doctor:" in row.words.value and "learning_rate 1e-05 → 0.1" in row.words.value
    row.why.click()
    assert "Hide" in row.why.description and row.figure is not None and row.figure.summary
    row.why.click()
    assert row.figure is None
    line.ask.click()
    assert line.wait(300) and line.ask.layout.display == "none" and "rate_too_low" in line.rows
    line.rows["rate_too_low"].take.click()
    new = view.run
    assert new is not None and new is not run and new.recipe.learning_rate == 0.1
    assert "tries the fix of rate_too_low, beside slow" in line.told.value
    new.wait(300)
    view.refresh()
    assert line.wait(300) and "rate_too_low is not found any more" in line.told.value
    view.refresher.stop()
    close_tree(view.bar)
