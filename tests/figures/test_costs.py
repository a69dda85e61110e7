import numpy as np
import pytest

from reswork.figures import cost_by_layer
from reswork.figures.costs import _block_info, _stage_info


def test_stages_add_up_to_the_sheet(make_sheet):
    sheet = make_sheet(depth=20)
    info = _stage_info(sheet)
    assert info.parts == ("stem", "stage 1", "stage 2", "stage 3", "head")
    assert info.values.sum(axis=1).tolist() == [sheet.parameters, sheet.macs, sheet.activation_bytes]
    assert info.values[0, -1] == 650  # 64 x 10 weights and 10 biases


@pytest.mark.parametrize("depth", [20, 110, 1202])
def test_blocks_add_up_to_the_sheet(make_sheet, depth):
    sheet = make_sheet(depth=depth)
    info = _block_info(sheet)
    assert info.values.sum(axis=1).tolist() == [sheet.parameters, sheet.macs, sheet.activation_bytes]
    assert len(info.parts) == info.values.shape[1] <= 300


def test_blocks_stand_between_stem_and_head(make_sheet):
    sheet = make_sheet(depth=20, order="pre")  # with a norm behind the last stage
    assert _block_info(sheet).parts == ("stem", *(block.name for block in sheet.blocks), "head")
    assert _block_info(sheet).values[0, 1:-1].tolist() == [block.parameters for block in sheet.blocks]


def test_a_decoder_stands_behind_the_stages(make_sheet):
    sheet = make_sheet(depth=8, head="unet")
    info = _stage_info(sheet)
    assert info.parts == ("stem", "stage 1", "stage 2", "stage 3", "decoder")
    assert info.values.sum(axis=1).tolist() == [sheet.parameters, sheet.macs, sheet.activation_bytes]
    parts = ("merge2", "layer2", "merge1", "layer1", "last")
    assert _block_info(sheet).parts[-5:] == tuple(f"decoder.{part}" for part in parts)


def test_bars_are_shares(make_sheet):
    for by in ("stage", "block"):
        figure = cost_by_layer(make_sheet(depth=20), by=by)
        assert len(figure.data) == 3
        assert all(np.sum(trace.y) == pytest.approx(100, abs=0.01) for trace in figure.data)


def test_hover_texts_have_units(make_sheet):
    parameters, macs, memory = cost_by_layer(make_sheet(depth=20)).data
    assert (
        parameters.hovertext[-1] == "650"
        and macs.hovertext[1].endswith("M MACs")
        and "KiB" in memory.hovertext[0]
    )


def test_summary_has_the_sums(make_sheet):
    text = cost_by_layer(make_sheet(depth=20)).layout.meta["summary"]
    assert text.startswith("270 k parameters, 40.6 M multiplications and 1.")
