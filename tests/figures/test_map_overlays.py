import io
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from reswork.errors import InvalidSetting
from reswork.figures import attribution_maps
from reswork.figures.map_overlays import _maps_info, laid_over


def test_the_colours_are_centred_on_zero() -> None:
    grey = np.full((1, 1, 3, 3), 100, np.uint8)
    maps = np.array([[[0, 0, 0], [2, 1, 0], [-1, -2, 0]]], np.float32)
    laid = laid_over(grey, maps)[0].transpose(1, 2, 0)
    assert laid[0, 0].tolist() == [114] * 3  # no colour where the map is zero: the picture, paler
    assert laid[1, 0].tolist() == [213, 94, 0] and laid[2, 1].tolist() == [0, 114, 178]
    assert laid[1, 1, 0] > laid[1, 1, 2] and laid[2, 0, 2] > laid[2, 0, 0]


def test_a_map_scales_itself_and_an_empty_one_stays_grey() -> None:
    grey, maps = np.zeros((1, 1, 4, 4), np.uint8), np.random.default_rng(0).normal(size=(1, 4, 4))
    assert np.array_equal(laid_over(grey, maps), laid_over(grey, maps * 1e-9))
    assert (laid_over(grey, np.zeros((1, 4, 4))) == 64).all()
    assert (laid_over(grey, np.full((1, 4, 4), np.nan)) == 64).all()


def test_rows_are_pictures_and_columns_methods(make_attribution) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), np.uint8)
    columns = [make_attribution(), make_attribution(method="occlusion")]
    info = _maps_info(images, tuple(columns), ("cat", "<b>dog</b>"))
    assert info.tiles.shape == (6, 3, 8, 8) and info.columns == 3
    assert np.array_equal(info.tiles[0], images[0]) and np.array_equal(info.tiles[3], images[1])
    figure = attribution_maps(images, columns, ["cat", "<b>dog</b>"])
    texts = [note.text for note in figure.layout.annotations]
    assert (
        texts[0].startswith("&lt;b&gt;dog")
        and texts[1].startswith("Grad-CAM")
        and texts[2].startswith("Occlusion")
    )
    assert [trace.type for trace in figure.data] == ["image", "scatter"]
    assert figure.data[1].marker.cmin == -figure.data[1].marker.cmax
    shown = np.asarray(Image.open(io.BytesIO(b64decode(figure.data[0].source.partition(",")[2]))))
    assert shown[..., 3].max() == 255
    assert figure.layout.meta["summary"].startswith(
        "Grad-CAM, layer3, Occlusion, layer3 for <b>dog</b>, score 1, and 1"
    )


def test_a_difference_is_named_and_unknown_classes_keep_their_numbers(make_attribution) -> None:
    one = replace(make_attribution(1), targets=("0 - 5",))
    info = _maps_info(np.zeros((1, 1, 8, 8), np.uint8), (one,), ("cat",))
    assert info.titles[0] == "cat rather than 5"


def test_what_does_not_belong_together_is_refused(make_attribution) -> None:
    with pytest.raises(InvalidSetting, match="8, 8"):
        attribution_maps(np.zeros((2, 3, 9, 9), np.uint8), [make_attribution()])
    with pytest.raises(InvalidSetting, match="one figure each"):
        attribution_maps(np.zeros((2, 3, 8, 8), np.uint8), [make_attribution(), make_attribution(1)])


def test_many_pictures_are_cut_off(make_attribution) -> None:
    info = _maps_info(np.zeros((100, 3, 8, 8), np.uint8), (make_attribution(100),), ())
    assert len(info.tiles) == 60


def test_the_maps_of_one_picture_can_stand_in_several_rows(make_attribution) -> None:
    images = np.zeros((1, 3, 8, 8), np.uint8)
    found = [make_attribution(count=1) for _ in range(8)]
    wide, tall = (attribution_maps(images, found, columns=columns) for columns in (None, 5))
    assert len(wide.layout.annotations) == len(tall.layout.annotations) == 9
    assert tall.layout.yaxis.range[0] > 1.5 * wide.layout.yaxis.range[0]
