import math

import numpy as np
import pytest

from reswork.figures import over_depth


def test_a_line_holds_its_numbers_from_depth_0():
    plain, residual = over_depth({"plain": [1.0, 0.1], "residual": [1.0, 1.5, 2.0]}, of="signal").data
    assert plain.x.tolist() == [0, 1] and plain.y.tolist() == pytest.approx([1.0, 0.1])
    assert residual.x.tolist() == [0, 1, 2] and residual.y.tolist() == [1.0, 1.5, 2.0]


def test_what_cannot_be_drawn_is_a_hole():
    values = [1.0, 0.0, -1.0, math.nan, math.inf]
    (log,) = over_depth({"a": values}, of="signal").data
    (linear,) = over_depth({"a": values}, of="signal", y_scale="linear").data
    assert np.isfinite(log.y).tolist() == [True, False, False, False, False]
    assert np.isfinite(linear.y).tolist() == [True, True, True, False, False]


def test_lines_differ_in_colour_and_in_dash():
    traces = over_depth({str(index): [1.0, 2.0] for index in range(12)}, of="signal").data
    assert len({(trace.line.color, trace.line.dash) for trace in traces}) == 12
    assert len({trace.line.dash for trace in traces[:6]}) == 6


def test_one_line_is_named_too():
    figure = over_depth({"plain": [1.0]}, of="signal")
    assert figure.layout.showlegend and figure.data[0].mode == "lines+markers"


def test_a_long_line_has_no_markers():
    assert over_depth({"a": np.ones(61)}, of="signal").data[0].mode == "lines"


def test_names_are_escaped():
    figure = over_depth({"<b>$x$</b>": [1.0]}, of="<i>length</i>")
    assert figure.data[0].name == "&lt;b&gt;&#36;x&#36;&lt;/b&gt;"
    assert figure.layout.yaxis.title.text == "&lt;i&gt;length&lt;/i&gt;"


def test_summary_has_both_ends():
    summary = over_depth({"a": [4.0, 2.0, 0.5], "b": []}, of="signal").layout.meta["summary"]
    assert summary == "a: signal 4 at depth 0 and 0.5 at depth 2. b: no signal yet."
