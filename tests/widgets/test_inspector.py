"""The inspector without a page: what a person does by hand is done by code, and the jobs really run."""

import io
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from PIL import Image
from torch import nn

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.training.controls import snapshot_of
from reswork.widgets.block_values import QUANTITIES, block_values
from reswork.widgets.inspector import InspectorPanel, answer_html, fitted
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.tree import close_tree


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return rw.resnet(depth=8, width=8, in_channels=1).eval()


@pytest.fixture
def panel(net):
    panel = InspectorPanel(rw.datasets.digits())
    panel.look_at(snapshot_of(net), "")
    panel.view.show()
    settle(panel)
    yield panel
    panel.close()
    close_tree(panel.view)


def settle(panel: InspectorPanel, seconds: float = 300.0) -> None:
    assert panel._worker.wait(seconds)
    assert panel._error.layout.display == "none", panel._error.value


def best(panel: InspectorPanel) -> str:
    return panel._answer.value.split('reswork-answer">')[1].split("</span>")[0]


def test_a_picture_has_its_answer_its_drawing_and_its_feature_maps(panel, net) -> None:
    data = rw.datasets.digits()
    logits = net(rw.datasets.normalise(data.test.images[:1], data.mean, data.std)).detach()
    assert data.classes[int(logits.argmax())] in best(panel)
    assert f"{100 * float(logits.softmax(1).max()):.1f} %" in panel._answer.value
    assert "ResNet-8" in panel.drawing.summary
    assert "conv1" in panel.maps.summary


def test_a_clicked_block_shows_its_maps_and_a_misspelt_name_the_nearest_three(panel) -> None:
    panel._clicked("layer2.0")
    settle(panel)
    assert "layer2.0" in panel.maps.summary
    panel._where.value = "layer2.O"
    assert panel._worker.wait(300)
    assert "layer2.0" in panel._error.value and panel._error.layout.display is None


def test_an_erased_part_changes_the_answer(panel) -> None:
    before = panel._answer.value
    picture = panel._sketch.picture
    picture[:, 2:6, 2:6] = 0
    panel._sketch.set_state(
        {"edited": memoryview(picture.transpose(1, 2, 0).tobytes())}
    )  # as the page sends it
    settle(panel)
    assert panel._answer.value != before
    assert "of your own" in panel._answer.value
    panel._move(1)
    settle(panel)
    assert "It is" in panel._answer.value


def test_eight_methods_appear_and_each_gets_its_verdict(panel) -> None:
    panel.pages.value = "Attributions"
    settle(panel)
    assert "layer1" in panel.stages.summary
    panel._explain.click()
    settle(panel)
    assert [one.method for one in panel._maps] == list(rw.probes.EIGHT)
    panel._maps = panel._maps[:2]  # two are enough here
    panel._trust_button.click()
    settle(panel)
    assert (
        panel.verdicts.value.count("reswork-passed")
        + panel.verdicts.value.count("reswork-failed")
        + (panel.verdicts.value.count("reswork-doubtful"))
        == 2
    )
    assert panel.trust.layout.display is None


def test_one_class_rather_than_another(panel) -> None:
    panel.pages.value = "Attributions"
    panel._target.value, panel._against.value = 3, 5
    panel._explain.click()
    settle(panel)
    assert panel._maps[0].targets == ("3 - 5",)


def test_shares_of_the_shortcuts(panel) -> None:
    panel.pages.value = "Over the depth"
    settle(panel)
    assert "over the shortcuts" in panel.shares.summary


def test_a_wrong_picture_is_found(panel, net) -> None:
    panel._worker.submit(panel._find_wrong)
    settle(panel)
    data = rw.datasets.digits()
    place = panel.place
    answer = int(
        net(rw.datasets.normalise(data.test.images[place : place + 1], data.mean, data.std)).argmax()
    )
    assert answer != int(data.test.labels[place])
    assert "wrong" in panel._answer.value


@pytest.mark.parametrize("quantity", [name for name in QUANTITIES if name != "none"])
def test_every_quantity_has_a_value_for_every_block(net, quantity) -> None:
    values = block_values(net, torch.randn(1, 1, 8, 8), quantity)
    assert list(values) == list(net.config.block_names)
    assert all(np.isfinite(value) for value in values.values())


def test_sizes_are_those_of_the_outputs(net) -> None:
    images = torch.randn(2, 1, 8, 8)
    seen = []
    handle = net.layer2[0].register_forward_hook(lambda _m, _i, output: seen.append(output.detach()))
    net(images)
    handle.remove()
    assert block_values(net, images, "size")["layer2.0"] == pytest.approx(
        float(seen[0].square().mean().sqrt())
    )
    assert block_values(net, images, "zeros")["layer2.0"] == pytest.approx(
        float((seen[0] == 0).float().mean())
    )


def test_an_upload_is_looked_at_and_a_bad_one_changes_nothing(panel) -> None:
    def upload(content: bytes) -> None:
        file = {"name": "a", "type": "", "size": len(content), "content": memoryview(content)}
        panel._upload.value = ({**file, "last_modified": datetime.now(UTC)},)
        assert panel._worker.wait(300)

    buffer = io.BytesIO()
    Image.fromarray(np.arange(900, dtype=np.uint8).reshape(30, 30)).save(buffer, "PNG")
    good = buffer.getvalue()
    before = panel._sketch.picture
    upload(b"hello, no picture")
    assert "not a picture that can be read; choose" in panel._error.value
    upload(good[: len(good) // 2])
    assert "damaged" in panel._error.value and np.array_equal(panel._sketch.picture, before)
    upload(good)
    assert panel._error.value == "" and not np.array_equal(panel._sketch.picture, before)
    assert panel._upload.value == (), "or the same file could not be given again"


def test_uploads_are_cut_to_a_square_and_refused_if_they_are_no_pictures() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([np.full((40, 60), 200, np.uint8)] * 3)).save(buffer, "PNG")
    assert fitted(buffer.getvalue(), (3, 32, 32)).shape == (3, 32, 32)
    assert fitted(buffer.getvalue(), (1, 8, 8)).tolist() == np.full((1, 8, 8), 200).tolist()
    with pytest.raises(InvalidSetting, match="not a picture"):
        fitted(b"nothing", (3, 32, 32))
    with pytest.raises(InvalidSetting, match="at most 20"):
        fitted(b"0" * (21 * 2**20), (3, 32, 32))


def test_names_are_escaped_and_the_true_one_is_marked() -> None:
    html = answer_html(torch.tensor([0.7, 0.3]), ("<i>cat", "dog"), 1)
    assert "<i>cat" not in html and "&lt;i&gt;cat" in html
    assert "<b>dog</b>" in html and "wrong" in html


def test_a_network_of_somebody_else_and_a_view_that_leaves_nothing() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    foreign = resnet18(num_classes=10)
    foreign.train()
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 64, 64), dtype=np.uint8)
    data = rw.datasets.arrays(images, np.arange(12) % 2, images, np.arange(12) % 2, classes=("a", "b"))
    before = set(_instances)
    state = {name: tensor.clone() for name, tensor in foreign.state_dict().items()}
    view = rw.inspect(foreign, data)
    settle(view.panel)
    assert "ResNet: 8 blocks in 4 stages" in view.panel.drawing.summary
    assert foreign.training
    assert all(torch.equal(state[name], tensor) for name, tensor in foreign.state_dict().items())
    view.close()
    view.panel._worker.wait(300)
    assert set(_instances) == before


def test_what_is_no_network_is_refused_and_one_that_does_not_fit_says_so() -> None:
    with pytest.raises(InvalidSetting, match="give a torch"):
        rw.inspect("resnet18", rw.datasets.digits())  # type: ignore[arg-type]
    view = rw.inspect(nn.Linear(3, 2), rw.datasets.digits())
    assert view.panel._worker.wait(300)
    assert "cannot take" in view.panel._error.value
    view.close()


def test_the_newest_job_wins_and_a_failing_one_is_told() -> None:
    done: list[str] = []
    errors: list[Exception] = []
    latest = LatestJob(errors.append)

    def job(name: str, parts: int = 1):
        for _ in range(parts):
            time.sleep(0.02)
            yield
        done.append(name)

    def bad():
        yield
        raise ValueError("no")

    latest.submit(lambda: job("long", 1000))
    latest.submit(lambda: job("forgotten"))
    latest.submit(lambda: job("last"))
    assert latest.wait(5)
    assert done == ["last"]
    latest.submit(bad)
    assert latest.wait(5)
    assert [str(error) for error in errors] == ["no"]


class Named(nn.Module):
    """Answers under names, as Hugging Face's nets do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 10)

    def forward(self, x):
        features = self.conv(x).relu()
        return {"features": features, "logits": self.fc(features.mean((2, 3)))}


def test_a_part_of_several_answers_is_inspected() -> None:
    net = Named()
    view = rw.inspect(net, rw.datasets.digits(), output="logits")
    try:
        inner = view.panel.model
        x = torch.rand(2, 1, *rw.datasets.digits().input_shape[1:])
        assert torch.equal(inner(x), net(x)["logits"]) and isinstance(net(x), dict)
        assert rw.probes.layer_names(inner) == ("conv", "fc")
    finally:
        view.close()
    with pytest.raises(rw.InvalidSetting, match="shapes without numbers"):
        rw.inspect(net.to("meta"), rw.datasets.digits())


def test_a_snapshot_of_the_training_gives_up_nothing_that_a_person_asked_for(panel, net) -> None:
    ends = threading.Event()

    def asked():
        assert ends.wait(300)
        yield

    panel._worker.submit(asked)
    other = snapshot_of(net)
    assert not panel.glance_at(other, "later") and panel.model is not other
    ends.set()
    settle(panel)
    assert panel.glance_at(other, "later")
    settle(panel)
    assert panel.model is other and "later" in panel._note.value


def test_of_two_that_answer_at_once_the_newest_picture_is_shown(panel, monkeypatch) -> None:
    answers, held, goes_on = panel._task.answers, threading.Event(), threading.Event()

    def answered(output):
        if threading.current_thread() is film:
            held.set()
            assert goes_on.wait(300)
        return answers(output)

    monkeypatch.setattr(panel, "_task", SimpleNamespace(answers=answered, call=panel._task.call))
    film = threading.Thread(target=panel._show_answer)
    film.start()
    assert held.wait(300)
    person = threading.Thread(target=lambda: setattr(panel._index, "value", 5))
    person.start()
    person.join(0.1)  # it may have to wait for the film
    goes_on.set()
    film.join(300)
    person.join(300)
    shown = panel._answer.value
    panel._show_answer()
    assert panel._answer.value == shown


def test_a_wrong_picture_is_not_shown_where_another_was_chosen_meanwhile(panel, monkeypatch) -> None:
    right = panel._task.right

    def choosing(*given):
        panel._index.value = 2
        return right(*given)

    monkeypatch.setattr(type(panel._task), "right", lambda _task, *given: choosing(*given))
    panel._worker.submit(panel._find_wrong)
    settle(panel)
    assert panel.place == 2
