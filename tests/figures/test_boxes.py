"""Boxes drawn into images: which pixels have which colour, and what the figure says."""

import numpy as np

from reswork.figures import box_colours, box_overlays, film_strip, in_boxes
from reswork.results.answers import BoxAnswers, Frame

CLASSES = ("cat", "dog")


def test_a_box_has_the_colour_of_its_class_along_its_edges_and_nowhere_else() -> None:
    images = np.full((2, 1, 32, 32), 100, np.uint8)
    boxes = [np.array([[4, 6, 12, 20, 0], [0, 0, 0, 0, -1]], np.float32), np.zeros((0, 6), np.float32)]
    drawn = in_boxes(images, boxes, enlarged=2)
    assert drawn.shape == (2, 3, 64, 64) and (drawn[1] == 60).all()
    colour = [int(box_colours(2)[0][k : k + 2], 16) for k in (1, 3, 5)]
    is_line = (drawn[0] == np.array(colour)[:, None, None]).all(0)
    rows, columns = np.nonzero(is_line)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 39, 8, 23)
    inner = is_line[14:38, 10:22]
    assert not inner.any() and is_line[12, 8:24].all() and (drawn[0][:, ~is_line] == 60).all()
    dashed = in_boxes(images[:1], [np.array([[4, 6, 28, 20, 1]])], enlarged=4)
    line = (dashed[0] != 60).any(0)[24]
    assert line[16:22].all() and not line[22:26].any()


def test_answers_and_truth_stand_beside_each_other_and_are_told() -> None:
    images = np.zeros((1, 3, 16, 16), np.uint8)
    truth = np.array([[[2, 2, 9, 9, 1], [0, 0, 0, 0, -1]]], np.float32)
    answer = np.array([[2, 2, 9, 9, 1, 0.9], [1, 1, 5, 5, 0, 0.5]], np.float32)
    figure = box_overlays(images, [[answer], truth], ["answer", "true boxes"], CLASSES)
    assert "answer: 2 boxes; true boxes: 1 box." in str(figure.layout)
    assert "1 cat, 1 dog" in str(figure.layout)
    assert "No images yet" in str(box_overlays(images[:0], [], []).layout)
    frames = [Frame(step, None, BoxAnswers((answer[:step],))) for step in (0, 1, 2)]
    strip = film_strip(images, frames, CLASSES, truth=truth)
    assert "3 moments up to step 2; now it finds 1 cat, 1 dog" in str(strip.layout)
    assert "0: nothing" in str(strip.layout) and "true boxes" in str(strip.layout)
