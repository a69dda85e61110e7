"""The page Ship: each button on the run at hand, and each refusal beside its field."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import ipywidgets as w
import pytest

import reswork as rw
from reswork.compression import Way, search
from reswork.shipping.output_form import output_form
from reswork.widgets import ship_panel
from reswork.widgets.ship_panel import ShipPanel
from reswork.widgets.tree import close_tree
from tests.compression.timing import timed

RECIPE = rw.Recipe(steps=2, batch_size=16, device="cpu", compile="off", precision="fp32")


@pytest.fixture(scope="module")
def data():
    return rw.datasets.digits().subset(60, 40)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    net = rw.resnet(depth=8, width=4, in_channels=1)
    made = rw.train(net, data, RECIPE, directory=tmp_path_factory.mktemp("runs") / "run", moments_bytes=0)
    made.wait()
    return made


@pytest.fixture
def panel(run, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = ShipPanel()
    made.watch(run, data)
    made.view.show()
    yield made
    made.close()
    close_tree(made.view)


def test_nothing_is_made_before_it_is_opened_and_nothing_done_without_a_run() -> None:
    made = ShipPanel()
    assert not made.view.children
    made.view.show()
    assert "Train a network" in made._about.value and made.smaller.disabled and made.export.disabled
    close_tree(made.view)


def test_it_is_exported_checked_and_timed_and_refusals_stand_beside_their_fields(
    panel, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(ship_panel, "latency", timed)
    assert "about 5 s" in panel.costs["export"].value
    panel.check.click()
    assert panel.wait() and "no exported model" in panel.form.fields["folder"].error
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    panel.form.set(folder="taken")
    panel.export.click()
    assert panel.wait() and "holds other files" in panel.form.fields["folder"].error
    panel.form.set(folder="shipped", format="torch", precision="int8")
    panel.export.click()
    assert panel.wait() and "int8" in panel.form.fields["precision"].error
    panel.form.set(precision="fp32")
    assert panel.form.fields["precision"].error == ""
    panel.export.click()
    assert not panel.stop.disabled or panel.wait()
    assert panel.wait() and "equal to the network" in panel.result.value and not panel.export.disabled
    panel.check.click()
    assert panel.wait() and "is as it was exported" in panel.result.value
    panel.form.set(batch_sizes="1, many")
    panel.time.click()
    assert panel.wait() and "'1, many' are no numbers" in panel.form.fields["batch_sizes"].error
    panel.form.set(batch_sizes="1, 8")
    panel.time.click()
    assert panel.wait() and panel.times.numbers
    table = panel.result.value
    assert "<th>p50 ms<br>" in table and "first answer after" in table and "<pre" not in table


@pytest.mark.slow
def test_forms_are_made_and_one_of_them_is_exported(panel, monkeypatch, run) -> None:
    monkeypatch.setattr(search, "latency", timed)
    monkeypatch.setattr(
        search, "find_spec", lambda _name: None
    )  # programs of torch are written in half of the time
    monkeypatch.setattr(search, "usual_ways", lambda *_given: (Way(blocks=1), Way(depth=4000)))
    panel.form.set(max_megabytes=-1)
    panel.smaller.click()
    assert panel.wait() and "max_megabytes=-1" in panel.form.fields["max_megabytes"].error
    panel.form.set(max_megabytes=1.0, epochs=1)
    panel.smaller.click()
    assert panel.wait(), panel.said.value
    assert panel.error.value == "" and "About" in panel.costs["smaller"].value
    assert "1 block less" in panel.table.value and "depth 4000" in panel.table.value
    assert "Within 1 MB" in panel.table.value or "is within 1 MB" in panel.table.value
    assert panel.worth.numbers and panel.deletions.numbers
    before = dict(panel.pareto.frame["layout"]["xaxis"]["title"])
    panel.against.value = "operations"
    assert panel.pareto.frame["layout"]["xaxis"]["title"] != before
    panel.form.set(form="1 block less", format="torch")
    assert "1 block less" in panel._told_changed.value
    panel.export.click()
    assert panel.wait() and "equal to the network" in panel.result.value
    assert "without layer" in rw.open_artefact("shipped").facts["origin"]


def test_what_it_costs_and_brings_stands_below_and_is_saved(panel, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(ship_panel, "plan", partial(rw.plan, seconds=0.02))
    panel.form.set(prices="nowhere.json")
    panel.plan.click()
    assert panel.wait() and "nowhere.json" in panel.form.fields["prices"].error and not panel.money.children
    table = rw.prices()
    replace(table, currency="EUR").save(tmp_path / "mine.json")
    panel.form.set(prices="mine.json")
    panel.count.click()
    assert panel.wait() and panel.money.children[0].sheet["error now"] >= 0
    panel.plan.click()
    assert panel.wait()
    plan, sheet = panel.money.children
    for word in ("as planned", "<th>EUR</th>", "early stopping"):
        assert word in plan.children[0].value
    assert "none was measured" in plan.children[1].value and "<td>EUR</td>" in sheet.table.value
    plan.saver.save.click()
    assert (tmp_path / "plan.csv").is_file() and "plan.csv" in plan.saver.said.value
    plan.saver.path.value = "plan.xlsx"
    plan.saver.save.click()
    assert "does not end with .csv" in plan.saver.error.value
    panel.plan.click()
    assert panel.wait() and panel.money.children[0] is not plan and plan.comm is None


def test_a_server_is_started_and_ended(panel, monkeypatch) -> None:
    class Stub:
        url, version = "http://127.0.0.1:1", "abc"
        stopped = 0

        def stop(self) -> int:
            Stub.stopped += 1
            return 0

    monkeypatch.setattr(panel, "_folder", lambda: SimpleNamespace(form=output_form("classification")))
    monkeypatch.setattr(ship_panel, "serve", lambda folder, port: Stub())
    monkeypatch.setattr(ship_panel, "ServerView", lambda server: w.HTML(server.url))
    panel.start.click()
    assert panel.wait() and "http://127.0.0.1:1" in panel.address.value
    assert panel.start.disabled and not panel.end.disabled and len(panel.dashboard.children) == 1
    panel.end.click()
    assert panel.wait() and Stub.stopped == 1 and "status 0" in panel.address.value and panel.end.disabled
    assert not panel.dashboard.children


def test_a_network_for_photographs_is_exported_timed_and_served_and_what_it_cannot_is_told(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ship_panel, "latency", timed)
    data = rw.datasets.photographs(scale=2, patches=16, patch=16).subset(test=8)
    recipe = replace(RECIPE, augmentation=rw.Augmentation())
    run = rw.train(rw.edsr(depth=8, width=4), data, recipe, directory=tmp_path / "run", moments_bytes=0)
    run.wait()
    assert "ship" in rw.worlds()["restoration"].panels
    panel = ShipPanel()
    panel.watch(run, data)
    panel.view.show()
    panel.form.set(format="script")
    panel.export.click()
    assert panel.wait() and "at 31x29 pixels equal to the network" in panel.result.value, panel.error.value
    panel.check.click()
    assert panel.wait() and "is as it was exported" in panel.result.value
    panel.time.click()
    assert panel.wait() and panel.times.numbers
    served = w.HTML()
    served.url, served.version, served.stop = "http://127.0.0.1:1", "abc", lambda: 0
    monkeypatch.setattr(ship_panel, "serve", lambda folder, port: served)
    monkeypatch.setattr(ship_panel, "ServerView", lambda server: w.HTML())
    panel.start.click()
    assert panel.wait() and "-o answer.png http://127.0.0.1:1/predict" in panel.address.value
    panel.smaller.click()
    assert (
        panel.wait()
        and "'restoration' cannot be shipped in this way" in panel.form.fields["max_megabytes"].error
    )
    panel.count.click()
    assert panel.wait() and "does not tell classes apart" in panel.money.children[0].error.value
    panel.close()
    close_tree(panel.view)


@pytest.mark.parametrize(
    ("world", "data", "served"),
    [
        ("detection", lambda: rw.datasets.scattered(train=16, test=8), True),
        ("verification", lambda: rw.datasets.drawn_faces(identities=4, test_identities=2, images=4), False),
        ("anomalies", lambda: rw.datasets.defects(train=16, test=8), False),
    ],
)
def test_other_worlds_of_pictures_are_exported_and_served_or_refused_in_a_sentence(
    world, data, served, monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ship_panel, "latency", timed)
    known, data = rw.worlds()[world], data()
    assert "ship" in known.panels
    recipe = replace(
        known.recipes[known.presets[0]].recipe, epochs=1, batch_size=8, device="cpu", compile="off"
    )
    net = rw.resnet(known.config(data, depth=8, width=4))
    run = rw.train(net, data, recipe, directory=tmp_path / "run", moments_bytes=0)
    run.wait()
    panel = ShipPanel()
    panel.watch(run, data)
    panel.view.show()
    panel.form.set(format="torch")
    panel.export.click()
    assert panel.wait() and "equal to the network" in panel.result.value, panel.error.value
    panel.check.click()
    assert panel.wait() and "is as it was exported" in panel.result.value
    panel.time.click()
    assert panel.wait() and panel.times.numbers
    made = w.HTML()
    made.url, made.version, made.stop = "http://127.0.0.1:1", "abc", lambda: 0
    monkeypatch.setattr(ship_panel, "ServerView", lambda server: w.HTML())
    if served:
        monkeypatch.setattr(ship_panel, "serve", lambda folder, port: made)
    panel.start.click()
    assert panel.wait() and ("curl --data-binary" in panel.address.value) is served
    if not served:
        assert "cannot be served yet" in panel.form.fields["port"].error
    panel.close()
    close_tree(panel.view)
