import copy
import html

import numpy as np
import plotly.graph_objects as go
import pytest

import reswork.figures as figures
from reswork.figures.canvas import COLOURS, INK
from reswork.history import History
from reswork.recorders import CATALOGUE
from tests.figures import made_results

MOSAICS = ("feature_maps", "channel_examples", "filter")  # pictures without axes


def checked(figure: go.Figure) -> go.Figure:
    """The same figure built with all of plotly's checks; raises where a name or a value is wrong."""
    data = [copy.deepcopy(trace.to_plotly_json()) for trace in figure.data]
    return go.Figure({"data": data, "layout": copy.deepcopy(figure.layout.to_plotly_json())})


def test_every_figure_is_valid_plotly(all_figures, empty_figures):
    for name, figure in (all_figures() | empty_figures).items():
        same = checked(figure)
        assert len(same.data) == len(figure.data), name
        assert len(figure.to_json()) > 100, name


def test_every_figure_has_the_common_look(all_figures, empty_figures):
    for name, figure in (all_figures() | empty_figures).items():
        layout = figure.layout
        assert layout.font.color == INK == "#787878", name
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)", name
        assert layout.uirevision == "keep" and layout.autosize is True, name
        assert layout.width is None and 90 <= layout.height <= 670, name
        assert not layout.template.layout.to_plotly_json(), name
        assert "sendChartToCloud" in layout.modebar.remove, "a button that would upload the plot"


def test_every_figure_is_titled_above_its_legend_and_its_drawing(all_figures, empty_figures):
    for name, figure in (all_figures() | empty_figures).items():
        title, legend = figure.layout.title, figure.layout.legend
        words = html.unescape(title.text.removeprefix("<b>").removesuffix("</b>"))
        assert 4 <= len(words) <= 31 and words[0].isupper() and not words.endswith("…"), (name, words)
        assert (title.x, title.y, title.yanchor, legend.yref) == (0, 1, "top", "container"), name
        under_title = figure.layout.height * (1 - legend.y)
        assert title.pad.t + title.font.size < under_title <= figure.layout.margin.t, name


def test_a_title_is_cut_and_escaped():
    text = figures.feature_maps(made_results.feature_maps()).layout.title.text
    assert text == "<b>Feature maps of layer2.0</b>"
    hostile = figures.over_depth({"a": [1.0]}, of="<i>" + "x" * 60).layout.title.text
    assert hostile.startswith("<b>&lt;i&gt;x") and hostile.endswith("x…</b>")


@pytest.mark.parametrize(
    "view", [view for quantity in CATALOGUE for view in quantity.views], ids=lambda view: view.figure
)
def test_a_recorded_quantity_is_called_the_same_in_panels_and_on_its_figure(view):
    assert getattr(figures, view.figure)(History()).layout.title.text == f"<b>{view.title}</b>"


def test_every_figure_says_what_it_shows_and_what_it_is(all_figures, empty_figures):
    for name, figure in (all_figures() | empty_figures).items():
        meta = figure.layout.meta
        assert meta["summary"].endswith("."), name
        assert set(meta["about"]) == {"what", "normal", "try"}, name
        assert all(len(text) > 30 and text.endswith((".", "?")) for text in meta["about"].values()), name


def test_axes_are_titled_also_of_empty_figures(all_figures, empty_figures):
    for name, figure in (all_figures() | empty_figures).items():
        if name.startswith(("network", "image_grid", "attribution_maps", *MOSAICS)):
            continue
        assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text, name
        assert figure.layout.xaxis.automargin and figure.layout.yaxis.automargin, name


def test_there_is_no_second_axis_that_could_cover_the_first(all_figures):
    for name, figure in all_figures().items():
        more = [
            key for key in figure.layout.to_plotly_json() if key.startswith(("xaxis", "yaxis")) and key[5:]
        ]
        assert not more, name


def test_empty_figures_hold_no_points(empty_figures):
    for name, figure in empty_figures.items():
        for trace in figure.data:
            drawn = trace.z if trace.type == "heatmap" else trace.y
            assert np.size(drawn) == 0, name


def test_same_numbers_give_the_same_figure(all_figures):
    some, others = all_figures(), all_figures()
    for name in some:
        assert some[name].to_json() == others[name].to_json(), name


def test_a_hundred_thousand_steps_stay_within_two_thousand_points(all_figures):
    for name, figure in all_figures(100_000, 110).items():
        for trace in figure.data:
            if trace.type == "heatmap":
                assert np.shape(trace.z)[0] <= 60 and np.shape(trace.z)[1] <= 200, name
            elif trace.type != "image":
                assert np.size(trace.y) <= 2_000, name


def test_numbers_are_small_types_that_travel_as_they_are(all_figures):
    for name, figure in all_figures().items():
        for trace in figure.data:
            for part in ("x", "y", "z"):
                values = trace.to_plotly_json().get(part)
                if isinstance(values, np.ndarray):
                    assert values.dtype == np.float32, (name, part)


def test_colours_are_okabe_and_itos():
    assert {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"} == set(COLOURS)


def test_all_names_exist():
    assert len(set(figures.__all__)) == len(figures.__all__)
    assert all(callable(getattr(figures, name)) for name in figures.__all__)
