"""The workbench with data that are no images: it trains, and shows what fits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import reswork as rw
from reswork.datasets.texts import texts_of
from reswork.widgets.answers_panel import AnswersPanel, answers_drawn
from reswork.widgets.workbench import Workbench
from tests.waiting import wait_for

SETS = {
    "signals": lambda: rw.datasets.pulses(train=24, test=12, length=32),
    "next steps": lambda: rw.datasets.windows(np.sin(np.arange(120.0)), 4, 16, name="sines"),
    "table": lambda: rw.datasets.cancer().subset(train=40, test=20),
    "values": lambda: rw.datasets.table(
        {"a": np.arange(40.0), "b": np.arange(40) % 3, "y": np.arange(40.0)}, "y"
    ),
    "texts": lambda: rw.datasets.load("languages").subset(train=32, test=16),
}


@pytest.mark.parametrize("name", SETS)
def test_it_trains_and_shows_what_fits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = SETS[name]()
    recipe = rw.Recipe(steps=3, batch_size=8, device="cpu", precision="fp32", compile="off")
    bench = Workbench(rw.config_for(data, depth=8, width=4), data, recipe, first_steps=False)
    try:
        assert bench.config is not None and bench.config.dims == (0 if data.input_kind == "tables" else 1)
        bench.start()
        assert bench.run is not None and bench.run.wait(300)
        headline = rw.tasks.task_for(data).metrics[0]
        assert np.isfinite(bench.run.history.last(headline.test))
        assert "Debug" not in bench.pages.options  # it has nothing to show
        for page in ("Data", "Inspect", "Inside"):
            bench.pages.value = page
        shown = {
            part for part in (bench.answers.view, bench.inspector.view, bench.debug.view) if part.is_shown
        }
        assert not shown
        bench.pages.value = "Inspect"
        assert bench.answers.view.is_shown and not bench.inspector.view.is_shown
        assert "after 3 steps" in bench.answers._note.value  # a run that was over before the page was opened
        figure, words = answers_drawn(bench.run.model, data)
        assert (figure is None) == (data.input_kind == "tokens") and (figure is None) == bool(words)
        saved = rw.load_run(bench.run.directory)
        assert saved.input_shape == data.input_shape and saved.model().config == bench.config
        bench.watch(saved)
    finally:
        bench.close()


def test_texts_show_what_spoke_for_their_answers_wrong_ones_first_and_ones_own_above() -> None:
    class Zebras(nn.Module):
        """Says 'b' where there is a z."""

        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.tensor([2.0 * (each == "z") for each in data.features]))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            score = self.weights[tokens].sum(1) - 1
            return torch.stack([-score / 2, score / 2], 1)

    texts = ["we saw a zebra today", "one fine day it was", "it was a <b>bad</b> day"] * 4
    data = texts_of(texts, ["b", "a", "b"] * 4, "toy", "made up", test_fraction=0.5)
    model = Zebras()
    figure, words = answers_drawn(model, data)
    rows = words.split("<div>")[1:]
    assert figure is None and len(rows) == len(data.test)
    wrong = [row for row in range(len(data.test)) if "bad" in rw.datasets.words_of(data)[row]]
    assert wrong and all("<b>wrong</b>, it is b: answered <b>a</b>" in row for row in rows[: len(wrong)])
    assert all("right: answered" in row for row in rows[len(wrong) :])
    assert "&lt;b&gt;bad" in words and "<b>bad" not in words
    zebra = next(row for row in rows if "zebra" in row)
    assert 'class="reswork-for" style="--share:1.00" title="+2.00">zebra<' in zebra
    assert 'class="reswork-against" style="--share:0.00" title="+0.00">saw<' in zebra

    panel = AnswersPanel()
    panel.look_at(model, data, 3)
    panel.view.show()
    assert panel.own.layout.display is None and "Yours" not in panel._words.value
    panel.own.value = "zebras saw it"
    assert "Yours: answered <b>b</b>" in panel._words.value.split("<div>")[1]
    panel.own.value = "zebras saw it " + "and it was a fine day " * 9
    length = data.input_shape[-1]
    assert f"Yours, of which only the first {length} signs are read: answered" in panel._words.value
    panel.own.value = "z" * length
    assert "Yours: answered" in panel._words.value
    panel.look_at(rw.resnet(rw.config_for(SETS["table"](), depth=8, width=4)), SETS["table"](), 3)
    assert panel.own.layout.display == "none"
    panel.close()


@pytest.mark.parametrize(("rare", "told"), [(0.1, " (one class for all: 90.0%)"), (0.45, "")])
def test_an_accuracy_stands_beside_that_of_one_answer_where_most_are_of_one_class(
    rare: float, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.arange(200)
    data = rw.datasets.table(
        {"a": rows % 7, "b": rows % 3, "y": np.where(rows % 20 < 20 * rare, "yes", "no")}, "y"
    )
    recipe = rw.Recipe(steps=2, batch_size=8, device="cpu", precision="fp32", compile="off")
    bench = Workbench(rw.config_for(data, depth=8, width=4), data, recipe, first_steps=False)
    try:
        bench.start()
        assert bench.run is not None and bench.run.wait(300)
        accuracy = bench.run.history.last("top1/test")
        wait_for(lambda: f"test accuracy {accuracy:.1%}{told} ·" in bench.run_view.status.value)
    finally:
        bench.close()


def test_next_steps_go_on_where_the_series_ends_also_where_differences_are_told() -> None:
    series = np.sin(np.arange(400) / 4) + np.arange(400) / 50
    truths = []
    for season in (None, 10):
        data = rw.datasets.windows(series, horizon=6, window=40, season=season)
        figure, _ = answers_drawn(rw.resnet(rw.config_for(data, depth=8, width=2)), data)
        signal, truth = figure.data[:2]
        assert len(signal.x) == 5 * (4 * 6 + 1) and "off" in figure.layout.yaxis.ticktext[0]
        split = data.test.take(slice(0, 1))
        whole = np.concatenate([split.inputs[0, 0].numpy(), [np.nan] * 6])
        begin = int(np.argmin(np.abs(series - whole[0])))
        after = series[begin + 40 : begin + 46]
        steps = (np.array(truth.y[:6]) - truth.y[0]) / (signal.y[23] - signal.y[22])
        wanted = (after - after[0]) / (series[begin + 39] - series[begin + 38])
        np.testing.assert_allclose(steps, wanted, rtol=1e-3, atol=1e-3)
        truths.append(steps)
    assert len(truths) == 2


def test_images_have_their_own_pages() -> None:
    bench = Workbench(data=rw.datasets.digits(), first_steps=False)
    try:
        bench.pages.value = "Inspect"
        assert bench.inspector.view.is_shown and not bench.answers.view.is_shown
        bench.data_panel.set_data(SETS["table"]())
        assert bench.answers.view.is_shown and not bench.inspector.view.is_shown
        assert bench.config is not None and bench.config.dims == 0
        assert torch.equal(bench.data.train.inputs, SETS["table"]().train.inputs)
        bench.data_panel.set_data(rw.datasets.digits())
        assert bench.inspector.view.is_shown and bench.config.dims == 2
    finally:
        bench.close()
