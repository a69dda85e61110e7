from collections.abc import Iterator

import pytest
import torch

from reswork import compare_view
from reswork.models.network import resnet
from reswork.surgery import Delete, operated
from reswork.widgets.compare_view import CompareView


@pytest.fixture
def view(small_data) -> Iterator[CompareView]:
    torch.manual_seed(0)
    net = resnet(depth=8, width=4, in_channels=1, num_classes=3).eval()
    made = compare_view(net, operated(net, [Delete("layer2.0")]), small_data, names=("whole", "<b>cut"))
    assert made.wait()
    yield made
    made.close()


def test_answers_distances_and_where_they_part_are_shown(view: CompareView) -> None:
    assert "&lt;b&gt;cut" in view.said.value and view.comparison.changed.sentence in view.said.value
    assert len(view.drawn.children) >= 3
    assert "at layer2.0 by" in view.parting.value
    changed = sorted(view.comparison.changed.changed)
    view._next_changed()
    assert view.wait() and (not changed or view.index.value in changed)


def test_a_line_that_cannot_be_drawn_says_why(view: CompareView) -> None:
    view.draw_line.click()
    assert view.wait() and "switched off" in view.error.value and not view.draw_line.disabled
    view.comparison.second = operated(view.comparison.first, [])
    view.draw_line.click()
    assert view.wait() and len(view.line.children) == 2 and view.error.layout.display == "none"
