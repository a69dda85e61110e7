"""Where a network looked, and what it answered, from the beginning of its training until now."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.figures.anomaly_maps import ABOUT_ANOMALIES
from reswork.figures.boxes import ABOUT_BOXES, in_boxes
from reswork.figures.canvas import about
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.map_overlays import laid_over, under_maps
from reswork.figures.masks import under_masks
from reswork.figures.restored import (
    ABOUT_RESTORED,
    ADDED_TIMES,
    added_pictures,
    enlarged_pictures,
    in_colour,
)
from reswork.results.answers import (
    AnomalyAnswers,
    BoxAnswers,
    Frame,
    ImageAnswers,
    MaskAnswers,
    ValueAnswers,
)

_TITLE = "Pinned pictures"
_ABOUT = about(
    "A row for each pinned picture, a column for each moment: orange marks where the network looked for the answer "
    "above it (Grad-CAM), blue what spoke against it. Before the answer stands the step.",
    "In the first columns it looks anywhere and is sure of nothing; then the orange settles on the thing and the "
    "answers stay.",
    "Lower the learning rate when answers keep jumping; if it settles on the background, look at more pictures of "
    "that class.",
)

_ABOUT_MASKS = about(
    "A row for each pinned picture, a column for each moment: each pixel has the colour of the class that it was "
    "given; the first class, which is mostly the ground, has none. Before the answer stands the step.",
    "In the first columns there is one class or noise; then the things appear, and their outlines sharpen.",
    "When a thing never appears, weigh rare classes more; when outlines stay coarse, train longer.",
)


def film_strip(
    images: np.ndarray,
    frames: Sequence[Frame],
    classes: Sequence[str] = (),
    *,
    truth: np.ndarray | None = None,
    restored: np.ndarray | None = None,
) -> go.Figure:
    """Pinned pictures in rows, moments in columns.

    Read from it when the network began to look at the right place, and whether it changes its mind.

    Args:
        images: (M, C, H, W) uint8, the pinned pictures.
        frames: from ``experiment.film.PinnedExamples``, oldest first.
        classes: names of the classes.
        truth: (M, H, W) uint8, the true masks, for answers that are masks; they stand before the moments. For answers
            that are images (M, C, H, W) uint8, as they were; they stand behind. For boxes (M, B, 5); they stand before.
        restored: (M, C, H, W) uint8, what an autoencoder gave back at the last moment; it stands behind.

    Returns:
        Figure with one picture made of all.
    """
    images = np.asarray(images)
    if not len(images) or not frames:
        mosaic = mosaic_of(np.zeros((0, 3, 1, 1), np.uint8))
        return mosaic_figure(mosaic, title=_TITLE, summary="No moments yet.", explained=_ABOUT)
    if isinstance(frames[-1].answers, ImageAnswers):
        return _restored(images, frames, truth)
    if isinstance(frames[-1].answers, BoxAnswers):
        return _boxed(images, frames, classes, truth)
    columns = [images if images.shape[1] == 3 else np.repeat(images[:, :1], 3, axis=1)]
    before = ["picture"]
    if truth is not None:
        columns.append(under_masks(images, truth))
        before.append("what is wrong" if isinstance(frames[-1].answers, AnomalyAnswers) else "true mask")
    columns += [_seen(images, frame) for frame in frames]
    if restored is not None:
        columns.append(in_colour(restored))
    behind = () if restored is None else ("given back",)
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *images.shape[2:])  # row by row
    titles = [
        title
        for row in range(len(images))
        for title in (*before, *(_title(frame, row, classes) for frame in frames), *behind)
    ]
    mosaic = mosaic_of(tiles, tuple(titles), len(columns))
    explained = _ABOUT if frames[-1].maps is not None else _ABOUT_MASKS
    if isinstance(frames[-1].answers, AnomalyAnswers):
        explained = ABOUT_ANOMALIES
    return mosaic_figure(mosaic, title=_TITLE, summary=_summary(frames, classes), explained=explained)


def _boxed(
    images: np.ndarray, frames: Sequence[Frame], classes: Sequence[str], truth: np.ndarray | None
) -> go.Figure:
    """Of a network that gives boxes: the true ones, then those of all moments."""
    moments = [(frame.step, frame.answers) for frame in frames if isinstance(frame.answers, BoxAnswers)]
    columns = [in_boxes(images, answers.boxes) for _, answers in moments]
    words = [
        [f"{step}: {answers.told(row, classes)}" for step, answers in moments] for row in range(len(images))
    ]
    if truth is not None:
        columns.insert(0, in_boxes(images, truth))
        words = [["true boxes", *each] for each in words]
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *columns[0].shape[2:])  # row by row
    mosaic = mosaic_of(tiles, tuple(word for each in words for word in each), len(columns))
    step, last = moments[-1]
    told = "; ".join(last.told(row, classes) for row in range(min(8, len(images))))
    summary = f"{len(moments)} moments up to step {step}; now it finds {told}."
    return mosaic_figure(mosaic, title=_TITLE, summary=summary, explained=ABOUT_BOXES)


def _restored(images: np.ndarray, frames: Sequence[Frame], truth: np.ndarray | None) -> go.Figure:
    """Of a network that gives pictures: what went in, all moments, what the last one added, and the truth."""
    moments = [
        (frame.step, frame.answers.images) for frame in frames if isinstance(frame.answers, ImageAnswers)
    ]
    given = enlarged_pictures(images, moments[-1][1].shape[2:])
    columns = [
        given,
        *(in_colour(answered) for _, answered in moments),
        added_pictures(given, moments[-1][1]),
    ]
    words = ["goes in", *(f"step {step}" for step, _ in moments), f"added, x{ADDED_TIMES}"]
    if truth is not None:
        columns.append(in_colour(truth))
        words.append("as it was")
    tiles = np.stack(columns, axis=1).reshape(-1, 3, *given.shape[2:])
    off = np.abs(in_colour(moments[-1][1]).astype(np.int16) - given).mean()
    last = f"now {off:.1f} of 255 is added to the enlarged pictures"
    summary = f"{len(moments)} moments up to step {moments[-1][0]}; {last}."
    mosaic = mosaic_of(tiles, tuple(words * len(images)), len(columns))
    return mosaic_figure(mosaic, title=_TITLE, summary=summary, explained=ABOUT_RESTORED)


def _seen(images: np.ndarray, frame: Frame) -> np.ndarray:
    """(M, 3, H, W) uint8: the masks or maps that were answered, or where the network looked."""
    if isinstance(frame.answers, AnomalyAnswers):
        return under_maps(images, frame.answers.maps)
    if isinstance(frame.answers, MaskAnswers):
        return under_masks(images, frame.answers.masks)
    return laid_over(images, frame.maps) if frame.maps is not None else images


def _title(frame: Frame, row: int, classes: Sequence[str]) -> str:
    if isinstance(frame.answers, MaskAnswers):
        return f"step {frame.step}"  # the mask says the rest
    if isinstance(frame.answers, AnomalyAnswers):
        return (
            f"step {frame.step}\n{frame.answers.scores[row]:.3g}"  # in two lines, as ten columns are narrow
        )
    return f"{frame.step}: {frame.answers.told(row, classes)}"


def _summary(frames: Sequence[Frame], classes: Sequence[str]) -> str:
    last = frames[-1]
    if isinstance(last.answers, ValueAnswers | AnomalyAnswers):
        count = len(last.answers.values if isinstance(last.answers, ValueAnswers) else last.answers.scores)
        rows = range(min(8, count))
        answers = "; ".join(last.answers.told(row, classes) for row in rows)
    else:
        assert not isinstance(
            last.answers, ImageAnswers | BoxAnswers
        )  # `_restored` and `_boxed` have their own
        answers = "; ".join(
            f"{last.answers.told(row, classes)} ({100 * sure:.0f} %)"
            for row, sure in enumerate(last.answers.sure[:8])
        )
    if len(frames) == 1:
        return f"At step {last.step} the answers are {answers}."
    return f"{len(frames)} moments from step {frames[0].step} to {last.step}; now the answers are {answers}."
