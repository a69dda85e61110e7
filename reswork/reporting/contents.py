"""What a section of a report shows: sentences, tables and figures, for a page and for a widget alike."""

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork import figures
from reswork.figures.images import thumbnail_sheet
from reswork.results.embedding_map import EmbeddingMap
from reswork.results.slices import Slice

if TYPE_CHECKING:
    from reswork.reporting.report import Report

Figures = dict[str, Any]  # title -> figure
Content = str | Figures  # HTML in which every name is escaped, or figures side by side

_SHOWN = 24  # images of a list
_LAST = 12  # images at the threshold
_THUMBNAILS, _THUMBNAIL = 1000, 32  # images to point at in a map, and pixels of each at most
_GROUPS = 12  # values of a column that a map is coloured by
SPLIT = "Split"  # the colouring of a map that has training images too
_SIDE = 64  # pixels of a thumbnail at most
_ROWS = 25  # of a table
_SLICES = 3  # of which images are shown
_NAME = re.compile(r"(test|train) image (\d+)")


def contents(report: "Report", name: str) -> Iterator[Content]:
    """What one section shows, in order; it is computed if it was not yet.

    Args:
        report: of which.
        name: of the section.
    """
    yield from (each for each in CONTENTS[name](report) if each)


def confused_images(report: "Report", true: int, predicted: int) -> tuple[str, Figures]:
    """The images of one class that are called another, or the same: a sentence and a grid."""
    given, names = report.predictions, report.classes
    rows = np.flatnonzero((given.known_labels == true) & (given.predicted == predicted))
    rows = rows[np.argsort(-given.confidence[rows], kind="stable")]
    titles = [f"{row}: {100 * given.confidence[row]:.0f} %" for row in rows]
    told = f"{len(rows):,} images of {names[true]} are called {names[predicted]}"
    return f"<p>{escape(told)}{', the surest first' if len(rows) else ''}.</p>", image_grid_of(
        report, rows, titles, told
    )


def _scores(report: "Report") -> Iterator[Content]:
    found = report.scores()
    ordered = [report.classes[k] for k in found.order]
    confusion = found.confusion[np.ix_(found.order, found.order)]
    yield {
        "Which classes are confused": figures.confusion_matrix(confusion, ordered),
        "Scores by class": figures.class_scores(found, report.classes),
    }
    yield '<p class="muted">Classes that are confused stand together.</p>'


def _masks(report: "Report") -> Iterator[Content]:
    found = report.masks()
    head = ("class", "IoU", "small", "medium", "large")
    rows = [(name, *(_percent(value) for value in (found.iou[k], *found.iou_by_size[k])))
            for k, name in enumerate(report.classes)]  # fmt: skip
    yield table(head, rows)
    yield (
        f"<p>{_percent(found.boundary)} of the pixels at most {found.boundary_width} from a border are named right, "
        f"{_percent(found.inside)} of the others.</p>"
    )
    images = report.images
    assert images is not None and report.data is not None
    truth = report.data.test.masks.cpu().numpy()
    shown = found.worst[:6]
    titles = ("image", "answer", "truth")
    worst = figures.mask_overlays(
        images[shown], [found.worst_answers[: len(shown)], truth[shown]], titles, report.classes,
        names=image_names(shown),
    )  # fmt: skip
    confusion = figures.confusion_matrix(found.confusion, report.classes, of="pixels")
    yield {"Worst images": worst, "Which classes are confused": confusion}


def _calibration(report: "Report") -> Iterator[Content]:
    yield {"Confidence against accuracy": figures.reliability(report.calibration())}


def _coverage(report: "Report") -> Iterator[Content]:
    found = report.coverage()
    yield {
        "Accuracy against coverage": figures.coverage(found),
        "Confidence of right and wrong": figures.confidence_counts(found),
    }


def _mistakes(report: "Report") -> Iterator[Content]:
    found, names = report.mistakes(), report.classes
    titles = [f"{names[said]} {100 * sure:.0f} %\nis {names[true]}"
              for said, sure, true in zip(found.predicted, found.confidence, found.true, strict=True)]  # fmt: skip
    yield f"<p>{len(found.images):,} answers are wrong.</p>"
    yield image_grid_of(report, found.images, titles, "The surest wrong answers")


def _slices(report: "Report") -> Iterator[Content]:
    found = report.slices()
    right = report.right
    assert right is not None
    figure = figures.slices(found)
    if not found.found:
        yield f"<p>{figure.layout.meta['summary']}</p>"
        return
    yield {"Parts that are worse than the rest": figure}
    for each in found.found[:_SLICES]:
        wrong = each.images[~right[each.images]]
        yield image_grid_of(report, wrong, titles_of(report, wrong), f"Wrong answers where {each.name}")


def chosen_slices(report: "Report") -> Iterator[Content]:
    """The slices that a person kept: a table, and images of each."""
    head = ("slice", "images", "right", "interval of 95 %", "of all others")
    rows = [(each.name, f"{len(each.images):,}", _percent(1 - each.rate),
             "" if np.isnan(each.low) else f"{_percent(1 - each.high)} to {_percent(1 - each.low)}",
             _percent(1 - each.elsewhere)) for each in report.kept_slices]  # fmt: skip
    yield table(head, rows)
    for each in report.kept_slices:
        yield image_grid_of(report, each.images, titles_of(report, each.images), each.name)


def slice_told(found: Slice) -> str:
    """Size, accuracy and interval of a slice in one sentence."""
    if np.isnan(found.rate):
        return f"{len(found.images):,} images; nobody knows what they are."
    return (
        f"{len(found.images):,} images, {_percent(1 - found.rate)} of them right ({_percent(1 - found.high)} to "
        f"{_percent(1 - found.low)}), {_percent(1 - found.elsewhere) or 'none'} of all others."
    )


def slice_images(report: "Report", found: Slice) -> Figures:
    """The images of a slice, the wrong ones first."""
    right = report.right
    rows = found.images if right is None else found.images[np.argsort(right[found.images], kind="stable")]
    return image_grid_of(report, rows, titles_of(report, rows), found.name)


def titles_of(report: "Report", rows: np.ndarray) -> list[str]:
    """What some images are called: their class, and the answer where it is another one."""
    if report.is_masks:
        iou = report.masks().image_iou
        return [f"IoU {_percent(iou[row])}" for row in rows]
    given, names = report.predictions, report.classes
    if given.labels is None:
        return [f"called {names[k]}" for k in given.predicted[rows]]
    pairs = zip(given.labels[rows], given.predicted[rows], strict=True)
    return [f"is {names[one]}" + ("" if one == two else f"\ncalled {names[two]}") for one, two in pairs]


def _label_issues(report: "Report") -> Iterator[Content]:
    found, names = report.label_issues(), report.classes
    titles = [f"label {names[given]}\nrather {names[suggested]}"
              for given, suggested in zip(found.given, found.suggested, strict=True)]  # fmt: skip
    yield (
        f"<p>{len(found):,} images are surely called something else than their label. They are mistakes of the model "
        "or of whoever labelled them; look before you change anything.</p>"
    )
    yield image_grid_of(report, found.images, titles, "Look at these first")
    yield _at_threshold(report, found.images, titles)
    rows = [(str(image), names[given], names[suggested], f"{score:.3f}") for image, given, suggested, score in
            zip(found.images[:_ROWS], found.given, found.suggested, found.score, strict=False)]  # fmt: skip
    if rows:
        yield table(("image", "label", "rather", "fits"), rows)


def _alike_classes(report: "Report") -> Iterator[Content]:
    found, names = report.alike_classes(), report.classes
    if not len(found):
        yield "<p>Every two classes are told apart.</p>"
        return
    rows = [(names[one], names[two], f"{area:.2f}", str(count)) for one, two, area, count in
            zip(found.first, found.second, found.separation, found.confused, strict=True)]  # fmt: skip
    yield "<p>These are hardly told apart (0.5: not at all, 1: always).</p>"
    yield table(("class", "and", "told apart", "confused"), rows[:_ROWS])


def _embedding(report: "Report") -> Iterator[Content]:
    found = report.embedding()
    ways, thumbs = colourings(report), thumbnails(report)
    shown = {title: mapped(report, found, title) for title in ways if title in ("Class", "Right and wrong")}
    if SPLIT in ways:
        shown[SPLIT] = mapped(report, report.embedding(training=True), SPLIT)
    for figure in list(shown.values())[:1]:  # once on a page
        figure.layout.meta = {**figure.layout.meta, "thumbnails": thumbs}
    yield shown


def colourings(report: "Report") -> dict[str, list[str]]:
    """What the points of a map can be coloured by: the name of each image's group."""
    found: dict[str, list[str]] = {}
    right = report.right
    if not report.is_masks:
        given = report.predictions
        named = given.predicted if given.labels is None else given.labels
        found["Class" if given.labels is not None else "Answer"] = [report.classes[k] for k in named]
        fifth = np.minimum((given.confidence * 5).astype(int), 4)
        found["Confidence"] = [f"{20 * k} to {20 * k + 20} %" for k in fifth]
    if right is not None:
        found["Right and wrong"] = np.where(right, "right", "wrong").tolist()
    if report.model is not None and report.data is not None:
        found[SPLIT] = ["test images"] * report.count  # `mapped` has the training images
    for name, values in report.columns.items():
        if values.dtype.kind not in "f" and len(np.unique(values)) <= _GROUPS:
            found[name] = [str(each) for each in values]
    return found


def mapped(report: "Report", found: EmbeddingMap, colouring: str) -> Any:
    """The figure of a map, coloured by one of `colourings`."""
    groups = colourings(report)[colouring]
    titles = [title.replace("\n", ", ") for title in titles_of(report, found.images)]
    title = {
        "Class": "Images by class",
        "Right and wrong": "Right and wrong answers",
        SPLIT: "Images by split",
    }.get(colouring, colouring)
    names = [groups[row] for row in found.images]
    return figures.embedding_map(found, names, titles, title=title, with_training=colouring == SPLIT)


def thumbnails(report: "Report") -> dict[str, Any]:
    """Small images for pointing at a map's points, at most 1,000: wrong answers, then others, spread over the images.

    Returns:
        As `thumbnail_sheet`; empty where there are no images.
    """
    images, right = report.images, report.right
    if images is None:
        return {}
    order = np.random.default_rng(0).permutation(report.count)
    if right is not None:
        order = order[np.argsort(right[order], kind="stable")]
    rows = np.sort(order[:_THUMBNAILS])
    return thumbnail_sheet(small(images[rows], _THUMBNAIL), image_names(rows))


def _outliers(report: "Report") -> Iterator[Content]:
    found = report.outliers()
    before = "the training images" if report.data is not None else "all others"
    yield f"<p>Far from {before}, by what the stages make of them: {len(found):,} of {report.count:,}.</p>"
    titles = [f"image {row}" for row in found.images]
    yield image_grid_of(report, found.images, titles, "The farthest")
    yield _at_threshold(report, found.images, titles)


def _duplicates(report: "Report") -> Iterator[Content]:
    found = report.duplicates()
    leaks = len(found.leaks)
    yield f"<p>{len(found) - leaks:,} pairs within the test images, {leaks:,} between test and training images.</p>"
    rows = [(str(one), f"{'training' if other else 'test'} image {two}", kind, f"{score:.3f}")
            for one, two, other, kind, score in zip(found.first[:_ROWS], found.second, found.other_split, found.kind,
                                                    found.score, strict=False)]  # fmt: skip
    if rows:
        yield table(("test image", "is", "kind", "likeness"), rows)
    shown = list(range(min(len(found), _SHOWN // 2)))
    last = list(range(max(len(found) - _LAST // 2, len(shown)), len(found)))
    yield _pairs(report, shown, "Pairs side by side")
    yield _pairs(report, last, "At the threshold")


def _pairs(report: "Report", rows: Sequence[int], title: str) -> Figures:
    found = report.duplicates()
    if not rows:
        return {}
    images = np.stack([image for k in rows for image in report.pair(k)])
    splits = ["train" if found.other_split[k] else "test" for k in rows]
    names = [name for k, split in zip(rows, splits, strict=True)
             for name in image_names([found.first[k]]) + image_names([found.second[k]], split)]  # fmt: skip
    titles = [name.replace(" image", "") for name in names]
    return {title: figures.image_grid(small(images), titles, columns=6, title=title, names=names)}


def _robustness(report: "Report") -> Iterator[Content]:
    yield {"Score under worse images": figures.robustness(report.robustness())}


CONTENTS: dict[str, Callable[["Report"], Iterator[Content]]] = {
    "scores": _scores,
    "masks": _masks,
    "calibration": _calibration,
    "coverage": _coverage,
    "mistakes": _mistakes,
    "slices": _slices,
    "label_issues": _label_issues,
    "alike_classes": _alike_classes,
    "embedding": _embedding,
    "outliers": _outliers,
    "duplicates": _duplicates,
    "robustness": _robustness,
}


def image_names(rows: Sequence[int] | np.ndarray, split: str = "test") -> list[str]:
    """What images are called when pointed at, and what a click on one says; `image_of` reads it."""
    return [f"{split} image {int(row)}" for row in rows]


def image_of(name: str) -> tuple[int, str] | None:
    """Number and split of the image of that name; None where it is none."""
    found = _NAME.fullmatch(name)
    return (int(found[2]), found[1]) if found else None


def small(images: np.ndarray, side: int = _SIDE) -> np.ndarray:
    """Thumbnails, (N, C, h, w) uint8 of at most ``side`` pixels a side; smaller images as they are."""
    step = -(-max(images.shape[2:]) // side)
    if step == 1:
        return images
    height, width = images.shape[2] // step * step, images.shape[3] // step * step
    cut = images[:, :, :height, :width].astype(np.float32)
    shape = (*images.shape[:2], height // step, step, width // step, step)
    return cut.reshape(shape).mean(axis=(3, 5)).round().astype(np.uint8)


def image_grid_of(report: "Report", rows: np.ndarray, titles: Sequence[str], title: str) -> Figures:
    """The first of some test images as one figure, which says at a click which image it is; none without images."""
    images = report.images
    if images is None or not len(rows):
        return {}
    shown = rows[:_SHOWN]
    grid = figures.image_grid(
        small(images[shown]), titles[:_SHOWN], columns=6, title=title, names=image_names(shown)
    )
    return {title: grid}


def _at_threshold(report: "Report", rows: np.ndarray, titles: Sequence[str]) -> Figures:
    """The last images of a list that is too long to be shown whole."""
    if len(rows) <= _SHOWN:
        return {}
    return image_grid_of(report, rows[-_LAST:], titles[-_LAST:], "At the threshold")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as HTML, every cell escaped."""
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f} %"
