import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reswork import figures
from reswork.history import History
from reswork.results import RunNode, family

NODES = (
    RunNode("a", 90, state="finished", score="50.0%"),
    RunNode("b", 60, "a", 30, ("learning_rate 0.1 → 0.01",), "stopped", "75.0%"),
    RunNode("c", 90, "b", 45, ("shortcuts_off none → layer2.0",), "running"),
)


def test_each_run_is_a_line_from_where_it_began_and_hangs_on_its_parent() -> None:
    figure = figures.run_tree(NODES, "b")
    joints, first, second, third, ends = figure.data
    assert [(line.x.tolist(), line.y.tolist()) for line in (first, second, third)] == [
        ([0, 90], [0, 0]), ([30, 60], [-1, -1]), ([45, 90], [-2, -2]),
    ]  # fmt: skip
    assert [line.line.width for line in (first, second, third)] == [2.5, 5, 2.5]
    assert joints.x[:2].tolist() == [30, 30] and joints.y[:2].tolist() == [0, -1]
    assert joints.x[3:5].tolist() == [45, 45] and joints.y[3:5].tolist() == [-1, -2]
    assert np.isnan(joints.x[2])
    assert list(ends.customdata) == ["a", "b", "c"]
    assert [word.strip() for word in ends.text] == ["50.0%", "75.0%", "running"]
    assert [note.text for note in figure.layout.annotations] == [*NODES[1].changes, *NODES[2].changes]
    assert "b branched off a at step 30 (learning_rate 0.1 → 0.01)" in figure.layout.meta["summary"]


def test_names_and_changes_are_escaped() -> None:
    figure = figures.run_tree(
        [
            RunNode("<img src=x onerror=alert(1)>", 5),
            RunNode("$x$", 9, "<img src=x onerror=alert(1)>", 2, ("<b>",)),
        ]
    )
    drawn = [*figure.layout.yaxis.ticktext, *figure.data[-1].hovertext, figure.layout.annotations[0].text]
    assert not any("<" in text or "$" in text for text in drawn)


def test_forty_runs_and_none_are_drawn() -> None:
    many = [RunNode(str(n), n + 1, str(n - 1) if n else None, n) for n in range(60)]
    figure = figures.run_tree(many)
    assert len(figure.data) == 42 and figure.layout.height <= 670
    assert figures.run_tree([]).layout.meta["summary"] == "No runs to draw."


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_a_family_is_whole_and_parents_come_first_whatever_the_parents_are(parents: list[int]) -> None:
    """Also where runs name each other as parents, or a parent that is gone."""
    nodes = [RunNode(str(n), 9, str(parent)) for n, parent in enumerate(parents)]
    for node in nodes:
        found = family(nodes, node.name)
        names = [each.name for each in found]
        assert node.name in names and len(set(names)) == len(names)
        for index, each in enumerate(found[1:], start=1):
            assert each.parent in names[:index]
    assert family(nodes, "nobody") == ()


def test_a_cursor_is_a_line_at_its_step_and_leaves_the_figure_as_it_was() -> None:
    history = History()
    history.extend("loss/train", [1, 2, 3], [3.0, 2.0, 1.0])
    plain = figures.loss_curves(history)
    marked = figures.with_cursor(plain, 2, "<b>here")
    assert not plain.layout.shapes
    assert (marked.layout.shapes[-1].x0, marked.layout.shapes[-1].x1) == (2, 2)
    assert marked.layout.annotations[-1].text == "&lt;b&gt;here"
    assert np.array_equal(marked.data[0].x, plain.data[0].x)
    assert marked.layout.meta == plain.layout.meta
    told = figures.with_cursor(plain, 2, told=figures.loss_curves(history.until(2))).layout.meta["summary"]
    assert told == "At step 2 the training loss is 2; no test loss yet."
    profile = figures.gradient_profile(History())
    assert len(figures.with_cursor(profile, 1).layout.shapes) == len(profile.layout.shapes) + 1
