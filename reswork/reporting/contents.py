"""What a section of a report shows: sentences, tables and figures, for a page and for a widget alike."""

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork import figures

if TYPE_CHECKING:
    from reswork.reporting.report import Report

Figures = dict[str, Any]  # title -> figure
Content = str | Figures  # HTML in which every name is escaped, or figures side by side

_SHOWN = 24  # images of a list
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
    return f"<p>{escape(told)}{', the surest first' if len(rows) else ''}.</p>", _images(
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
    yield _table(head, rows)
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
    yield _images(report, found.images, titles, "The surest wrong answers")


def _slices(report: "Report") -> Iterator[Content]:
    found = report.slices()
    yield {"Parts that are worse than the rest": figures.slices(found)}
    for each in found.found[:_SLICES]:
        wrong = each.images[~report.predictions.right[each.images]]
        titles = [f"is {report.classes[k]}" for k in report.predictions.known_labels[wrong]]
        yield _images(report, wrong, titles, f"Wrong answers where {each.name}")


def _label_issues(report: "Report") -> Iterator[Content]:
    found, names = report.label_issues(), report.classes
    titles = [f"label {names[given]}\nrather {names[suggested]}"
              for given, suggested in zip(found.given, found.suggested, strict=True)]  # fmt: skip
    yield (
        f"<p>{len(found):,} images are surely called something else than their label. They are mistakes of the model "
        "or of whoever labelled them; look before you change anything.</p>"
    )
    yield _images(report, found.images, titles, "Look at these first")
    rows = [(str(image), names[given], names[suggested], f"{score:.3f}") for image, given, suggested, score in
            zip(found.images[:_ROWS], found.given, found.suggested, found.score, strict=False)]  # fmt: skip
    yield _table(("image", "label", "rather", "fits"), rows)


def _alike_classes(report: "Report") -> Iterator[Content]:
    found, names = report.alike_classes(), report.classes
    if not len(found):
        yield "<p>Every two classes are told apart.</p>"
        return
    rows = [(names[one], names[two], f"{area:.2f}", str(count)) for one, two, area, count in
            zip(found.first, found.second, found.separation, found.confused, strict=True)]  # fmt: skip
    yield "<p>These are hardly told apart (0.5: not at all, 1: always).</p>"
    yield _table(("class", "and", "told apart", "confused"), rows[:_ROWS])


def _embedding(report: "Report") -> Iterator[Content]:
    found, given = report.embedding(), report.predictions
    named = given.labels if given.labels is not None else given.predicted
    titles = [f"{row}: {report.classes[k]}" for row, k in zip(found.images, named[found.images], strict=True)]
    names = [report.classes[k] for k in named[found.images]]
    shown = {"By class": figures.embedding_map(found, names, titles, title="Images by class")}
    if given.labels is not None:
        groups = np.where(given.right[found.images], "right", "wrong").tolist()
        shown["Right and wrong"] = figures.embedding_map(
            found, groups, titles, title="Right and wrong answers"
        )
    yield shown


def _outliers(report: "Report") -> Iterator[Content]:
    found = report.outliers()
    yield f"<p>Far from all others, by what the stages make of them: {len(found):,} of {report.count:,}.</p>"
    titles = [f"image {row}" for row in found.images]
    yield _images(report, found.images, titles, "The farthest")


def _duplicates(report: "Report") -> Iterator[Content]:
    found = report.duplicates()
    leaks = len(found.leaks)
    yield f"<p>{len(found) - leaks:,} pairs within the test images, {leaks:,} between test and training images.</p>"
    rows = [(str(one), f"{'training' if other else 'test'} image {two}", kind, f"{score:.3f}")
            for one, two, other, kind, score in zip(found.first[:_ROWS], found.second, found.other_split, found.kind,
                                                    found.score, strict=False)]  # fmt: skip
    if rows:
        yield _table(("test image", "is", "kind", "likeness"), rows)
    pairs = [image for k in range(min(len(found), _SHOWN // 2)) for image in report.pair(k)]
    if pairs:
        titles = [
            f"{'train' if each else 'test'} {two}"
            for each, two in zip(found.other_split, found.second, strict=True)
        ]
        both = [text for one, two in zip(found.first, titles, strict=True) for text in (f"test {one}", two)]
        rows_of = zip(found.first, found.second, found.other_split, strict=True)
        named = [name for one, two, other in rows_of
                 for name in image_names([one]) + image_names([two], "train" if other else "test")]  # fmt: skip
        grid = figures.image_grid(small(np.stack(pairs)), both[: len(pairs)], columns=6, names=named[: len(pairs)],
                                  title="Pairs side by side")  # fmt: skip
        yield {"Pairs side by side": grid}


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


def small(images: np.ndarray) -> np.ndarray:
    """Thumbnails, (N, C, h, w) uint8 of at most 64 pixels a side; smaller images as they are."""
    step = -(-max(images.shape[2:]) // _SIDE)
    if step == 1:
        return images
    height, width = images.shape[2] // step * step, images.shape[3] // step * step
    cut = images[:, :, :height, :width].astype(np.float32)
    shape = (*images.shape[:2], height // step, step, width // step, step)
    return cut.reshape(shape).mean(axis=(3, 5)).round().astype(np.uint8)


def _images(report: "Report", rows: np.ndarray, titles: Sequence[str], title: str) -> Figures:
    images = report.images
    if images is None or not len(rows):
        return {}
    shown = rows[:_SHOWN]
    grid = figures.image_grid(
        small(images[shown]), titles[:_SHOWN], columns=6, title=title, names=image_names(shown)
    )
    return {title: grid}


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f} %"
