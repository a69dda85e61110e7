"""The page of operations: clicks on the drawing, the list, and numbers that follow; without a browser."""

from collections.abc import Iterator

import pytest
import torch

from reswork import operate
from reswork.models.network import resnet
from reswork.surgery import Copy, Delete, Freeze, Reestimate, Reset, Scale, Shuffle, Swap
from reswork.widgets.operate_view import OperateView


@pytest.fixture
def view(small_data) -> Iterator[OperateView]:
    torch.manual_seed(0)
    net = resnet(depth=14, width=4, in_channels=1, num_classes=3).eval()
    made = operate(net, small_data)
    assert made.wait()
    yield made
    made.close()


def drawn_off(view: OperateView) -> list[str]:
    (trace,) = [each for each in view.drawing.frame["data"] if each.get("name") == "block, branch off"]
    return list(trace["customdata"])


def test_a_block_is_deleted_by_clicks_and_put_back(view: OperateView) -> None:
    before = view.score.value
    assert "accuracy now" in before and "all 20 test images" in before and view.undo.disabled
    view.choose("layer1.1")
    view.acts["Delete"].click()
    assert view.wait() and view.operations.active == (Delete("layer1.1"),)
    assert drawn_off(view) == ["layer1.1"] and "layer1.1" in str(view.maps.frame)
    assert view.changed is not None and int(view.changed.different.sum()) == len(view.changed.changed)
    changed = view.score.value
    view.lines.children[0].children[0].value = False  # the line's checkbox
    assert view.wait() and view.score.value == before and drawn_off(view) == []
    view.undo.click()
    assert view.wait() and view.score.value == changed
    view.undo.click()
    assert view.wait() and view.score.value == before and not view.operations.entries
    view.redo.click()
    assert view.wait() and view.score.value == changed and len(view.lines.children) == 1


def test_each_button_does_its_operation_to_what_was_chosen(view: OperateView) -> None:
    view.choose("layer2.1 shortcut")
    view.acts["Delete"].click()
    view.factor.value = 2.0
    view.acts["Scale"].click()
    view.choose("layer1.0")
    view.acts["Shuffle"].click()
    view.acts["Reset"].click()
    view.acts["Freeze"].click()
    view.other.value = "layer1.1"
    view.acts["Swap"].click()
    view.acts["Copy"].click()
    view.norm_images.value = 16
    view.acts["Estimate norms"].click()
    view.part.value, view.channels.value = "conv1", "1, 3"
    view.acts["Delete"].click()
    view.acts["Freeze"].click()
    view.other.value = "conv1[0, 2]"
    view.acts["Copy"].click()
    assert view.operations.active == (
        Delete("layer2.1", "shortcut"), Scale("layer2.1", 2.0, "shortcut"), Shuffle("layer1.0"), Reset("layer1.0"),
        Freeze("layer1.0"), Swap("layer1.0", "layer1.1"), Copy("layer1.0", "layer1.1"), Reestimate(16),
        Scale("conv1", 0.0, channels=(1, 3)), Freeze("conv1[1, 3]"), Copy("conv1[1, 3]", "conv1[0, 2]"),
    )  # fmt: skip
    assert view.wait() and view.error.layout.display == "none" and len(view.lines.children) == 11
    assert "frozen=('layer1.0', 'conv1[1, 3]')" in view.hint.value.replace("&#x27;", "'")
    second = view.lines.children[1]
    second.children[1].children[0].click()  # up
    assert view.operations.active[0] == Scale("layer2.1", 2.0, "shortcut")
    view.lines.children[0].children[1].children[2].click()  # remove
    assert view.operations.active[0] == Delete("layer2.1", "shortcut") and view.wait()
    view.lines.children[0].children[1].children[1].click()  # down
    assert view.operations.active[1] == Delete("layer2.1", "shortcut") and view.wait()


def test_what_cannot_be_done_is_said_and_nothing_changes(view: OperateView, tmp_path) -> None:
    before = view.score.value
    view.acts["Delete"].click()
    assert "no part is chosen" in view.error.value
    view.choose("layer9")
    view.acts["Delete"].click()
    assert "the nearest are" in view.error.value
    view.choose("layer1.0 shortcut")
    view.acts["Freeze"].click()
    assert "has no weights" in view.error.value
    view.choose("layer1.0")
    view.acts["Delete"].click()
    assert view.wait() and view.error.layout.display == "none"
    view.path.value = str(tmp_path / "net.safetensors")
    view.save.click()
    assert (tmp_path / "net.safetensors").is_file() and "net.safetensors" in view.saved.value
    view.undo.click()
    assert view.wait() and view.score.value == before
