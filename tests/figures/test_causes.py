import numpy as np

from reswork import figures
from tests.figures import made_results as made

CLASSES = ("cat", "dog", "cow")


def test_the_true_class_is_a_bar_of_its_own():
    true, others = figures.top_answers(made.top_answers(), CLASSES).data
    assert list(true.y) == ["cat"] and list(others.y) == ["dog", "cow"]
    np.testing.assert_allclose(others.x, [10, 60], rtol=1e-5)


def test_votes_of_a_stage_are_a_hundred_percent():
    figure = figures.votes(made.votes(), CLASSES, (2, 0))
    assert [trace.name for trace in figure.data] == ["cow", "cat", "dog"]
    np.testing.assert_allclose(np.sum([trace.y for trace in figure.data], axis=0), 100, rtol=1e-4)


def test_what_is_not_believed_is_hollow_and_what_cannot_be_read_is_a_hole():
    found = made.turning()
    head, probe = figures.turning(found, CLASSES).data
    assert np.isnan(head.y[:2]).all() and np.isfinite(head.y[2:]).all()
    assert [symbol.endswith("-open") for symbol in probe.marker.symbol] == [
        not sure for sure in found.believed("probe")
    ]
    place = found.turned("probe")
    assert found.probe_margin[place] < 0 < found.probe_margin[place - 1]
    assert (
        f"by a probe it turns at {found.blocks[place]}"
        in figures.turning(found, CLASSES).layout.meta["summary"]
    )


def test_the_strongest_parts_of_each_kind_are_drawn_with_the_line_that_turns_the_answer():
    found = made.carriers(12)
    figure = figures.carriers(found, CLASSES)
    assert [(trace.name, len(trace.x), max(trace.x)) for trace in figure.data] == [
        ("block", 8, 2.0), ("shortcut", 8, 2.0), ("channel", 8, 2.0)
    ]  # fmt: skip
    assert figure.layout.shapes[0].x0 == 0.7


def test_where_two_part_is_named():
    found = made.parting()
    assert (
        f"they part at {found.blocks[found.parted]}" in figures.parting(found, CLASSES).layout.meta["summary"]
    )
    assert found.distance[found.parted] > 0.3 >= found.distance[found.parted - 1]


def test_changes_are_drawn_around_zero_on_the_network(make_sheet):
    figure = figures.network(
        make_sheet(depth=8), {"layer1.0": -1.0, "layer2.0": 3.0}, change_of="margin without it"
    )
    bars = next(trace for trace in figure.data if trace.type == "bar" and trace.name == "block")
    assert (
        bars.marker.cmin == -3 and bars.marker.cmax == 3 and list(bars.customdata) == ["layer1.0", "layer2.0"]
    )
    assert "margin without it: most at layer2.0, +3" in figure.layout.meta["summary"]
