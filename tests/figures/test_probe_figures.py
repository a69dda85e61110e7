"""Figures of what probes found: the numbers that are drawn, odd sizes, missing values."""

import io
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from reswork import figures
from reswork.errors import InvalidSetting
from reswork.figures.colouring import as_pictures, coloured, enlarged
from reswork.figures.images import mosaic_of
from tests.figures import made_results as made
from tests.figures.test_canvas import checked


def decoded(figure: object) -> np.ndarray:
    source = figure.data[0].source  # type: ignore[attr-defined]
    return np.asarray(Image.open(io.BytesIO(b64decode(source.partition(",")[2]))))


def test_colours_are_plotlys() -> None:
    from plotly.colors import sample_colorscale

    values = np.linspace(0, 1, 11)
    for scale in ("Viridis", "RdBu_r"):
        theirs = [
            [float(part) for part in text[4:-1].split(",")] for text in sample_colorscale(scale, list(values))
        ]
        ours = coloured(values[None, None], 0, 1, scale)[0, :, 0].T  # type: ignore[arg-type]
        assert np.abs(ours - np.array(theirs)).max() <= 2
    assert (coloured(np.array([[[np.nan, np.inf]]]), 0, 1) == 128).all()
    assert (coloured(np.full((1, 2, 2), 3.0), 3, 3) == coloured(np.zeros((1, 2, 2)), 0, 1)).all()


def test_pictures_are_stretched_one_by_one() -> None:
    images = np.stack([np.linspace(-1, 1, 12).reshape(3, 2, 2), np.zeros((3, 2, 2))])
    pictures = as_pictures(images)
    assert pictures.min() == 0 and pictures[0].max() == 255 and not pictures[1].any()
    assert as_pictures(np.ones((2, 5, 4, 4))).shape == (2, 3, 4, 4)
    assert as_pictures(np.ones((2, 0, 0, 0))).shape == (2, 3, 1, 1)
    blocks = enlarged(np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2), 4, 6)
    assert blocks[0, 0].tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2


def test_the_image_and_each_map_are_in_the_picture() -> None:
    found = made.feature_maps()
    figure = figures.feature_maps(found, image=1)
    pixels = decoded(figure)
    info = mosaic_of(np.zeros((6, 3, 16, 16), np.uint8), ("",) * 6)
    low, high = float(found.maps[1].min()), float(found.maps[1].max())
    wanted = [as_pictures(found.images[1:])[0], *enlarged(coloured(found.maps[1], low, high), 16, 16)]
    for index, picture in enumerate(wanted):
        left, top = info.corner(index)
        assert np.array_equal(pixels[top : top + 16, left : left + 16, :3], picture.transpose(1, 2, 0))
    titles = [note.text for note in figure.layout.annotations]
    assert titles[0] == "image" and titles[1].startswith(f"{found.channels[1, 0]}: ")
    assert "5 of 20 channels of layer2.0" in figure.layout.meta["summary"]


def test_maps_without_an_image_of_one_pixel_or_broken() -> None:
    found = made.feature_maps(size=1)
    plain = replace(found, images=np.zeros((2, 0, 0, 0), np.float32), uses=2)
    figure = figures.feature_maps(plain)
    assert len(figure.layout.annotations) == 5 and "ran 2 times" in figure.layout.meta["summary"]
    broken = replace(
        found, maps=np.full_like(found.maps, np.nan), strengths=np.full_like(found.strengths, np.nan)
    )
    assert "not a number" in figures.feature_maps(broken).layout.meta["summary"]
    with pytest.raises(InvalidSetting, match="choose 0 to 1"):
        figures.feature_maps(found, image=2)


def test_frames_lie_where_the_boxes_are() -> None:
    found = made.channel_examples()
    figure = figures.channel_examples(found)
    info = mosaic_of(np.zeros((4, 3, 16, 16), np.uint8), ("",) * 4)
    for index, shape in enumerate(figure.layout.shapes):
        left, top = info.corner(index)
        assert (shape.x0, shape.x1) == (left + 2 - 0.5, left + 9 - 0.5)
        assert (shape.y0, shape.y1) == (top - 0.5, top + 7 - 0.5)
    assert len(figure.layout.shapes) == 4


def test_frames_shrink_with_large_images() -> None:
    images = np.zeros((4, 3, 600, 600), np.float32)
    boxes = np.array([[0, 0, 600, 300]] * 4)
    figure = figures.channel_examples(replace(made.channel_examples(), images=images, boxes=boxes))
    width = decoded(figure).shape[1]
    assert width <= 1100
    shape = figure.layout.shapes[0]
    assert shape.x1 - shape.x0 == pytest.approx(width / 4 / 2, rel=0.1)


@pytest.mark.parametrize("inputs", [1, 3, 8])
def test_filters_come_largest_first_and_at_most_64(inputs: int) -> None:
    found = made.filters(80, inputs)
    figure = figures.filters(found)
    titles = [int(note.text.partition(":")[0]) for note in figure.layout.annotations]
    assert titles == np.argsort(-found.norms).tolist()[:64]
    spectra = figures.filter_spectra(found)
    assert [note.text for note in spectra.layout.annotations] == [n.text for n in figure.layout.annotations]
    assert "80 filters of 3x3" in figure.layout.meta["summary"]


def test_zero_is_grey_or_white() -> None:
    found = made.filters(2)
    still = replace(found, kernels=np.zeros_like(found.kernels))
    assert set(decoded(figures.filters(still))[..., 0][decoded(figures.filters(still))[..., 3] == 255]) == {
        128
    }


def test_rows_are_shares_of_each_layer() -> None:
    found = made.histograms(3, 4)
    figure = figures.activation_histograms(found)
    shares = 10.0 ** np.array(figure.data[0].z, float)
    wanted = found.counts / found.counts.sum(axis=1, keepdims=True)
    assert np.allclose(shares, wanted, rtol=1e-5)
    assert figure.data[0].y[0] == "layer1.0 (50 %)"


def test_deep_networks_and_many_bins_share_cells() -> None:
    figure = figures.activation_histograms(made.histograms(150, 450))
    assert np.shape(figure.data[0].z) == (50, 150)
    assert np.allclose((10.0 ** np.array(figure.data[0].z, float)).sum(axis=1), 1, rtol=1e-4)
    assert "3 neighbours" in figure.layout.yaxis.title.text
    assert np.shape(figures.cka(made.similarity(130, 70)).data[0].z) == (44, 35)
    assert len(figures.layer_table(made.table(700)).data[0].y) == 234
    assert np.shape(figures.receptive_field(made.field(300)).data[0].z) == (100, 100)


def test_missing_numbers() -> None:
    none = made.histograms(2, 4)
    empty_row = replace(none, counts=none.counts * [[1], [0]], not_finite=np.array([0, 7]))
    figure = figures.activation_histograms(empty_row)
    assert np.isnan(figure.data[0].z[1]).all() and "7 values are not finite" in figure.layout.meta["summary"]
    nothing = replace(made.field(), influence=np.zeros((32, 32)))
    assert "No pixel counts" in figures.receptive_field(nothing).layout.meta["summary"]
    hole = made.similarity(3, 3)
    hole.values[1] = np.nan
    assert np.isnan(figures.cka(hole).data[0].z[1]).all()
    assert "No similarities" in figures.cka(replace(hole, values=hole.values * np.nan)).layout.meta["summary"]


def test_one_point() -> None:
    for name, figure in made.figures_of(made.filled(1)):
        assert figure.layout.meta["summary"].endswith("."), name
        checked(figure)


def test_the_field_and_its_frame() -> None:
    found = made.field()
    figure = figures.receptive_field(replace(found, box=(3, 4, 20, 22), size=None))
    assert np.allclose(figure.data[0].z, 100 * found.influence / found.influence.max(), atol=1e-4)
    (frame,) = figure.layout.shapes
    assert (frame.y0, frame.x0, frame.y1, frame.x1) == (2.5, 3.5, 19.5, 21.5)
    assert "could see the whole image" in figure.layout.meta["summary"]


def test_probes_in_percent_beside_network_and_chance() -> None:
    found = made.probe(5)
    test, train, network, chance = figures.linear_probe(found).data
    assert np.allclose(test.y, 100 * found.test) and np.allclose(train.y, 100 * found.train)
    assert np.allclose(network.y, [92, 92]) and np.allclose(chance.y, [10, 10])
    unknown = figures.linear_probe(replace(found, network=float("nan")))
    assert len(unknown.data[2].y) == 0 and "the network itself" not in unknown.layout.meta["summary"]


def test_two_networks_are_told_apart() -> None:
    figure = figures.cka(made.similarity(3, 5))
    assert figure.layout.yaxis.title.text == "first network"
    assert figure.layout.xaxis.title.text == "second network"
    assert "most alike" in figure.layout.meta["summary"]
    values = np.array([[1, 0.9, 0.2], [0.9, 1, 0.5], [0.2, 0.5, 1]])
    alone = figures.cka(replace(made.similarity(3, 3), values=values)).layout.meta["summary"]
    assert "layer1.0 and layer2.1 are most alike (0.9), layer1.0 and layer3.2 least (0.2)" in alone


def test_time_and_operations_as_shares() -> None:
    table = made.table(4)
    bars, marks = figures.layer_table(table).data
    assert np.allclose(bars.y, [100 * layer.seconds / table.seconds for layer in table.layers])
    assert np.allclose(marks.y, 25)
    assert bars.text[0] == "layer1.0 (Conv2d): 1 ms, 1 k parameters, 5 k MACs, 4 KiB kept"
    assert "17 % is spent between layers" in figures.layer_table(table).layout.meta["summary"]


def test_names_from_outside_are_escaped() -> None:
    table = made.table(2)
    odd = replace(table, layers=tuple(replace(layer, name="<b>$x</b>") for layer in table.layers))
    assert "<b>" not in figures.layer_table(odd).data[0].text[0]
    assert "<b>" not in figures.cka(replace(made.similarity(2, 2), rows=("<b>a", "b"))).data[0].y[0]
    probe = replace(made.probe(2), layers=("<i>a", "b"))
    assert "<i>" not in figures.linear_probe(probe).data[0].text[0]
