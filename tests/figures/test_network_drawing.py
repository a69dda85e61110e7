import numpy as np
import pytest

from reswork.figures import network


def trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def arcs(figure, name):
    """How many arcs a trace draws: each ends with a gap."""
    return int(np.isnan(trace(figure, name).x).sum())


@pytest.mark.parametrize("depth", [20, 56, 110])
def test_option_a_has_one_padding_for_each_transition(make_sheet, depth):
    figure = network(make_sheet(depth=depth))
    assert arcs(figure, "shortcut with padding") == 2
    assert arcs(figure, "identity shortcut") == (depth - 2) // 2 - 2
    assert arcs(figure, "shortcut with projection") == 0
    assert trace(figure, "shortcut with padding").line.dash != "solid"


def test_projections_have_their_own_colour_and_a_square_each(make_sheet):
    figure = network(make_sheet((3, 224, 224), depth=50))
    assert arcs(figure, "shortcut with projection") == 4
    colour = trace(figure, "shortcut with projection").line.color
    assert colour != trace(figure, "identity shortcut").line.color
    squares = next(t for t in figure.data if t.type == "scatter" and t.marker.symbol == "square")
    assert len(squares.x) == 4 and squares.marker.color == colour


def test_a_plain_network_has_the_same_boxes_and_no_arcs(make_sheet):
    plain, residual = network(make_sheet(residual=False)), network(make_sheet())
    for name in ("identity shortcut", "shortcut with padding", "shortcut with projection"):
        assert arcs(plain, name) == 0 and trace(plain, name).showlegend is False
    boxes = [[t.x.tolist() for t in figure.data if t.type == "bar"] for figure in (plain, residual)]
    assert boxes[0] == boxes[1]


def test_every_block_can_be_clicked_by_name(make_sheet):
    sheet = make_sheet(depth=20, branches_off=("layer2.1",))
    names = [name for t in network(sheet).data if t.type == "bar" for name in t.customdata]
    assert {block.name for block in sheet.blocks} <= set(names)
    assert len(names) == len(set(names))


def test_switched_off_parts_look_different(make_sheet):
    figure = network(make_sheet(depth=20, branches_off=("layer2.1",), shortcuts_off=("layer1.1",)))
    assert list(trace(figure, "block, branch off").customdata) == ["layer2.1"]
    assert trace(figure, "block, branch off").marker.color == "rgba(0,0,0,0)"
    assert arcs(figure, "identity shortcut") == 9 - 2 - 1
    assert len(trace(figure, "addition").x) == 9 - 2  # neither of the two adds anything


def test_the_traces_are_always_the_same(make_sheet):
    names = [[t.name for t in network(make_sheet(depth=depth)).data] for depth in (8, 20, 1202)]
    assert names[0] == names[1] == names[2] and len(names[0]) <= 13
    assert len(network(make_sheet(residual=False), {"layer1.0": 1.0}, "layer1.0").data) == len(names[0])


@pytest.mark.parametrize("name", ["layer1.0", "layer2.1", "fc"])
def test_the_selected_block_has_a_thick_border_and_the_legend_does_not(make_sheet, name):
    figure = network(make_sheet(), selected=name)
    chosen = trace(figure, "chosen")
    assert list(chosen.customdata) == [name] and not chosen.showlegend
    of = next(t for t in figure.data if t.type == "bar" and t.name != "chosen" and name in t.customdata)
    place = list(of.customdata).index(name)
    for column in ("x", "base", "width"):
        assert chosen[column][0] == of[column][place]
    assert chosen.marker.line.width > 2 and chosen.marker.line.color != of.marker.line.color
    borders = {t.marker.line.color for t in figure.data if t.type == "bar" and t.showlegend}
    assert chosen.marker.line.color not in borders
    assert len(trace(network(make_sheet()), "chosen").x) == 0


def test_values_colour_their_blocks(make_sheet):
    figure = network(make_sheet(), {"layer1.0": 0.5, "layer1.1": float("nan"), "layer3.2": 2.0})
    valued, rest = [t for t in figure.data if t.name in ("block", "no value")]
    assert list(valued.customdata) == ["layer1.0", "layer3.2"]
    assert valued.marker.color.tolist() == [0.5, 2.0]
    assert "value 0.5" in valued.hovertext[0] and len(rest.x) == 7


def test_gaps_lie_between_boxes_not_across(make_sheet):
    figure = network(make_sheet(depth=20))
    path = figure.data[0]
    pieces = np.split(path.x, np.flatnonzero(np.isnan(path.x)))
    assert len(pieces) > 9 and np.nanmin(path.x) > -0.03 and np.nanmax(path.x) < 1.03


def test_height_follows_the_rows(make_sheet):
    heights = [network(make_sheet(depth=depth)).layout.height for depth in (20, 110, 1202)]
    assert heights[0] == heights[1] < heights[2] < 800


def test_a_u_net_shows_what_crosses_from_left_to_right(make_sheet):
    figure = network(make_sheet((3, 64, 64), depth=14, head="unet"))
    skips = trace(figure, "skip connection")
    assert arcs(figure, "skip connection") == 2 and skips.showlegend
    lines = np.column_stack([skips.x, skips.y]).reshape(2, 3, 2)[:, :2]
    assert (lines[:, 0, 1] == lines[:, 1, 1]).all()  # level, as both ends have one size
    assert (lines[:, 0, 0] < 0.6).all() and (lines[:, 1, 0] > 0.6).all()
    blocks = [name for t in figure.data if t.name == "block" for name in t.customdata]
    assert blocks[-2:] == ["decoder.layer2.0", "decoder.layer1.0"] and len(blocks) == 8
    assert arcs(figure, "identity shortcut") == 6
    assert trace(network(make_sheet()), "skip connection").showlegend is False
    plain = network(make_sheet((3, 64, 64), depth=14, head="unet", residual=False))
    assert arcs(plain, "skip connection") == 2 and arcs(plain, "identity shortcut") == 0


def test_a_u_nets_path_ends_at_the_answer(make_sheet):
    for fields in ({"depth": 14}, {"depth": 18}, {"depth": 308}):
        figure = network(make_sheet((3, 64, 64), head="unet", **fields))
        path = figure.data[0]
        assert np.nanmin(path.x) > -0.03 and np.nanmax(path.x) < 1.03
        assert np.nanmin(path.y) > -figure.layout.height
        output = next(note for note in figure.layout.annotations if note.text.startswith("output"))
        assert output.text == "output<br>10×64×64"


def test_summary_of_a_u_net(make_sheet):
    text = network(make_sheet((3, 64, 64), depth=18, head="unet")).layout.meta["summary"]
    assert text.startswith(
        "U-Net on ResNet-18: 8 blocks in 4 stages and 5 in the decoder, shortcuts: 10 identity"
    )


def test_summary_counts_shortcuts(make_sheet):
    text = network(make_sheet()).layout.meta["summary"]
    assert text == "ResNet-20: 9 blocks in 3 stages, shortcuts: 7 identity, 2 padding; 270 k parameters."
    assert "shortcuts: none" in network(make_sheet(residual=False)).layout.meta["summary"]
