import numpy as np
import pytest
import sklearn.metrics

from reswork.errors import InvalidSetting
from reswork.figures import class_colours, class_iou, film_strip, mask_overlays, under_masks
from reswork.results import Frame
from reswork.results.answers import MaskAnswers

CLASSES = ("ground", "disc", "<b>bar", "star")


def test_a_pixel_has_the_colour_of_its_class_the_first_none_and_an_ignored_one_grey() -> None:
    images = np.full((1, 1, 2, 2), 200, np.uint8)
    red = np.zeros((1, 3, 2, 2), np.uint8)
    red[:, 0] = 200
    masks = np.array([[[0, 1], [2, 255]]], np.uint8)
    found = under_masks(images, masks)
    assert found.shape == (1, 3, 2, 2) and found[0, :, 0, 0].tolist() == [200] * 3
    wanted = class_colours(3)[1]
    colour = [int(wanted[k : k + 2], 16) for k in (1, 3, 5)]
    assert found[0, :, 0, 1].tolist() == [round(0.4 * 200 + 0.6 * part) for part in colour]
    assert found[0, :, 1, 1].tolist() == [round(0.4 * 200 + 0.6 * 128)] * 3
    assert not np.array_equal(found[0, :, 0, 1], found[0, :, 1, 0])
    under = under_masks(red, masks)[0, :, 0, 0]
    assert len(set(under.tolist())) == 1 and 0 < under[0] < 200  # in grey: no colour is the image's own
    with pytest.raises(InvalidSetting, match=r"masks of shape \(1, 3, 2\)"):
        under_masks(images, np.zeros((1, 3, 2), np.uint8))


def test_many_classes_have_different_colours() -> None:
    assert len(set(class_colours(60))) == 60


def test_the_iou_of_each_class_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth, answer = random.integers(0, 3, 400), random.integers(0, 3, 400)
    table = sklearn.metrics.confusion_matrix(truth, answer, labels=range(4))  # no star anywhere
    figure = class_iou(table, CLASSES)
    assert figure.data[0].textposition == "outside", "white words on a hatched bar are lost on a light page"
    each = 100 * sklearn.metrics.jaccard_score(truth, answer, average=None)
    np.testing.assert_allclose(figure.data[0].y, np.sort(each)[::-1], rtol=1e-5)
    assert set(figure.data[1].y) == {np.float32(each.mean())}
    assert "1 of the classes are neither" in figure.layout.meta["summary"]
    assert any("&lt;b&gt;bar" in label for label in figure.data[0].x)


def test_no_pixels_are_an_empty_figure_with_titles() -> None:
    figure = class_iou(np.zeros((0, 0)), ())
    assert figure.layout.meta["summary"] == "No pixels counted yet." and figure.layout.yaxis.title.text
    assert class_iou(np.zeros((4, 4)), CLASSES).layout.meta["summary"] == "No pixels counted yet."
    with pytest.raises(InvalidSetting, match="4 class names"):
        class_iou(np.zeros((2, 2)), CLASSES)
    assert mask_overlays(np.zeros((0, 3, 8, 8), np.uint8), [], []).layout.meta["summary"] == "No images yet."


def test_masks_stand_beside_their_image() -> None:
    images, masks = np.zeros((2, 3, 8, 8), np.uint8), np.ones((2, 8, 8), np.uint8)
    figure = mask_overlays(images, [masks, masks], ["answer", "true mask"], CLASSES)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["picture", "answer", "true mask"] * 2
    assert figure.layout.meta["summary"] == "Images: 2, masks over each: 2; classes: disc."


def test_a_film_of_masks_has_the_truth_and_then_the_moments() -> None:
    images, truth = np.full((1, 1, 8, 8), 90, np.uint8), np.ones((1, 8, 8), np.uint8)
    frames = [
        Frame(step, None, MaskAnswers(np.full((1, 8, 8), label, np.uint8), np.array([0.5], np.float32)))
        for step, label in ((10, 0), (20, 1))
    ]
    figure = film_strip(images, frames, CLASSES, truth=truth)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["picture", "true mask", "step 10", "step 20"]
    assert "now the answers are disc (50 %)" in figure.layout.meta["summary"]
    assert "colour of the class" in figure.layout.meta["about"]["what"]
