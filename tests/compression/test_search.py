"""Several forms of one network beside each other, as their exported files answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import reswork as rw
from reswork.compression import Search, Smaller, Way, search
from reswork.datasets.dataset import Dataset
from reswork.figures import deletions, pareto
from reswork.results.latency import CallTimes
from reswork.results.smaller import Sized, SizedTable
from tests.compression.timing import timed

RECIPE = rw.Recipe(steps=2, batch_size=16, device="cpu", compile="off", precision="fp32", learning_rate=0.02)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return rw.datasets.digits().subset(60, 40)


@pytest.fixture(scope="module")
def found(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Smaller:
    torch.manual_seed(0)
    net = rw.resnet(depth=None, stage_blocks=(2, 1), width=8, in_channels=1)
    net(torch.randn(16, 1, 8, 8))
    ways = (Way(blocks=1, channels=0.5), Way(depth=4000), Way(channels=0.1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "latency", timed)
        return rw.smaller(
            net.eval(),
            data,
            ways=ways,
            recipe=RECIPE,
            folder=tmp_path_factory.mktemp("smaller"),
            max_megabytes=0.02,
        )


@pytest.mark.slow
def test_each_form_is_there_as_file_and_as_weights_that_say_how_it_was_made(
    found: Smaller, data: Dataset
) -> None:
    names = [each.numbers.name for each in found.forms]
    assert names == ["as it was", "1 block less, channels 50 % less"]
    assert [each.partition(":")[0] for each in found.skipped] == ["depth 4000, taught", "channels 10 % less"]
    small = found["1 block less, channels 50 % less"]
    opened = small.checkpoint
    assert found.worth is not None and found.worth.order[0] in opened.operations[0]
    assert "channels in blocks 50 % fewer" in opened.sentence and "with the answers of" in opened.sentence
    assert opened.config.inner_channels is not None and opened.assumptions == ()
    images = torch.from_numpy(small.artefact.inputs(data.test.images.numpy()))
    with torch.no_grad():
        logits = opened.model(images)
    answers = logits.argmax(1).numpy()
    assert small.numbers.value == pytest.approx(float((answers == data.test.labels.numpy()).mean()))
    np.testing.assert_allclose(small.artefact.open()(images.numpy()), logits.numpy(), atol=1e-4)
    assert small.numbers.parameters == sum(each.numel() for each in opened.model.parameters())
    assert small.numbers.macs == rw.spec_sheet(opened.config, (1, 8, 8)).macs
    original = found["as it was"].artefact.open()(images.numpy()).argmax(1)
    assert small.numbers.changed is not None
    assert np.array_equal(small.numbers.changed.different, answers != original)
    assert "How" not in small.artefact.facts["origin"] and "operated on" in small.artefact.facts["origin"]
    assert rw.check_artefact(small.artefact.folder).holds


@pytest.mark.slow
def test_a_form_is_trained_on_and_resumed_as_any_run(found: Smaller, data: Dataset, tmp_path) -> None:
    opened = found["1 block less, channels 50 % less"].checkpoint
    run = rw.train(opened.model, data, replace(RECIPE, steps=3), directory=tmp_path / "run")
    run.wait()
    saved = rw.load_run(tmp_path / "run")
    assert saved.config == opened.config and "pruned" in saved.config.label
    assert torch.equal(saved.model().state_dict()["conv1.weight"], run.model.state_dict()["conv1.weight"])


def form(name: str, value: float, size: int, ms: float, precision: str = "fp32") -> Sized:
    times = CallTimes(name, 1, np.full(9, ms / 1e3))
    return Sized(
        name, (), precision, 10, 10, 1000, size, 2**20, times, "accuracy", value, value - 0.1, value + 0.1
    )


def test_the_best_within_a_budget_is_named_with_what_it_costs() -> None:
    forms = (form("as it was", 0.9, 2_000_000, 4), form("a", 0.85, 900_000, 2), form("b", 0.8, 500_000, 1))
    table = SizedTable(forms, "engine", 40, max_megabytes=1.0)
    assert table.best is forms[1]
    assert "the best is a: 0.90 MB instead of 2.00" in table.sentence and "5.0 points less" in table.sentence
    assert SizedTable(forms, "engine", 40, max_ms=1.5).best is forms[2]
    assert SizedTable(forms, "engine", 40, max_megabytes=5).best is forms[0]
    nothing = SizedTable(forms, "engine", 40, max_megabytes=0.1)
    assert nothing.best is None and "the smallest is b with 0.50 MB" in nothing.sentence
    assert "85.0%" in str(table) and "p99" in str(table)


@pytest.mark.parametrize("cost", ["megabytes", "ms", "macs"])
def test_the_front_has_what_nothing_beats(cost) -> None:
    forms = (
        form("as it was", 0.9, 2_000_000, 4),
        form("a", 0.85, 900_000, 2, "int8"),
        form("b", 0.8, 950_000, 3),
    )
    figure = pareto(SizedTable(forms, "engine", 40, max_megabytes=1.0), cost)
    assert len(figure.data) == 4
    if cost != "macs":
        assert list(figure.data[0].y) == pytest.approx([85, 90])
    assert len(pareto(SizedTable((), "", 0), cost).data) == 0


def test_a_budget_that_is_none_and_ways_that_are_none_are_refused(data) -> None:
    net = rw.resnet(depth=8, width=2, in_channels=1)
    for settings, match in (
        ({"max_megabytes": 0}, "max_megabytes=0 is no budget"),
        ({"max_ms": True}, "max_ms=True is no budget"),
        ({"ways": ("int8",)}, "must be one or more"),
    ):
        with pytest.raises(rw.InvalidSetting, match=match):
            Search(net, data, **settings)
    with pytest.raises(rw.InvalidSetting, match="give it alone"):
        Way(depth=8, channels=0.5)
    with pytest.raises(rw.InvalidSetting, match="precision='int4'"):
        Way(precision="int4")
    made = Search(net, data)
    assert made.seconds() > 0 and len(made.ways) > 4


def test_blocks_taken_out_are_drawn(small_data) -> None:
    worth = rw.compression.block_worth(rw.resnet(depth=8, width=2, in_channels=1, num_classes=3), small_data)
    figure = deletions(worth)
    assert len(figure.data[0].x) == 1 + len(worth.order)
    sheet = rw.spec_sheet(rw.ResNetConfig(depth=8, width=2, in_channels=1), (1, 8, 8))
    assert "layer1.0" in str(rw.figures.block_worth(worth, sheet).to_json())
