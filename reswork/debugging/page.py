"""A report as one HTML page that needs no kernel and no network."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork import figures
from reswork.figures.text import number
from reswork.store.page import document, drawn
from reswork.tasks import task_of_kind

if TYPE_CHECKING:
    from reswork.debugging.report import Report

_SHOWN = 24  # images of a list
_SIDE = 64  # pixels of a thumbnail at most
_ROWS = 25  # of a table
_SLICES = 3  # of which images are shown


def page_text(report: "Report") -> str:
    """The page: numbers, then each section that the report has, with figures and images.

    Sections that were not asked for yet are computed. Every name is escaped.
    """
    list(report.fill())
    parts = [_head(report)]
    for planned in report.plan():
        if planned.done and planned.name in _SECTIONS:
            parts.append(f'<section id="{planned.name}"><h2>{escape(planned.title)}</h2>')
            parts += _SECTIONS[planned.name](report)
            parts.append("</section>")
    lacking = [
        f"<li>{escape(each.title)}: {escape(each.missing)}</li>" for each in report.plan() if each.missing
    ]
    if lacking:
        parts.append(f"<section><h2>Not in this report</h2><ul>{''.join(lacking)}</ul></section>")
    return document(f"Report on {report.name}", "".join(parts))


def _head(report: "Report") -> str:
    now = datetime.now().astimezone()
    of = f" of {escape(report.data.name)}" if report.data is not None else ""
    done = [each for each in report.plan() if each.done]
    links = " · ".join(
        f'<a href="#{each.name}">{escape(each.title)}</a>' for each in done if each.name in _SECTIONS
    )
    facts = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in _facts(report))
    return (
        f"<h1>{escape(report.name)}: what it gets wrong</h1>"
        f'<p class="muted">Written by reswork on {now:%Y-%m-%d at %H:%M}, from {report.count:,} test images{of}. '
        f"The page needs no network.</p><dl>{facts}</dl><nav>{links}</nav>"
    )


def _facts(report: "Report") -> Iterator[tuple[str, str]]:
    if not report.judged:
        return
    kind = "segmentation" if report.found("masks") is not None else "classification"
    known = {metric.name: metric for metric in task_of_kind(kind).metrics}
    for name, value in report.metrics.items():
        if name in known:
            yield known[name].label, known[name].told(value)
        elif name in ("loss", "ece"):
            yield {"loss": "loss", "ece": "calibration error (ECE)"}[name], number(value)


def _scores(report: "Report") -> Iterator[str]:
    found = report.scores()
    ordered = [report.classes[k] for k in found.order]
    confusion = found.confusion[np.ix_(found.order, found.order)]
    yield drawn(
        {
            "Which classes are confused": figures.confusion_matrix(confusion, ordered),
            "Scores by class": figures.class_scores(found, report.classes),
        },
        "scores",
    )
    yield '<p class="muted">Classes that are confused stand together.</p>'


def _masks(report: "Report") -> Iterator[str]:
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
        images[shown], [found.worst_answers[: len(shown)], truth[shown]], titles, report.classes
    )
    confusion = figures.confusion_matrix(found.confusion, report.classes, of="pixels")
    yield drawn({"Worst images": worst, "Which classes are confused": confusion}, "masks")


def _calibration(report: "Report") -> Iterator[str]:
    yield drawn({"Confidence against accuracy": figures.reliability(report.calibration())}, "calibration")


def _coverage(report: "Report") -> Iterator[str]:
    found = report.coverage()
    yield drawn(
        {
            "Accuracy against coverage": figures.coverage(found),
            "Confidence of right and wrong": figures.confidence_counts(found),
        },
        "coverage",
    )


def _mistakes(report: "Report") -> Iterator[str]:
    found, names = report.mistakes(), report.classes
    titles = [f"{names[said]} {100 * sure:.0f} %\nis {names[true]}"
              for said, sure, true in zip(found.predicted, found.confidence, found.true, strict=True)]  # fmt: skip
    yield f"<p>{len(found.images):,} answers are wrong.</p>"
    yield _images(report, found.images, titles, "The surest wrong answers", "mistakes")


def _slices(report: "Report") -> Iterator[str]:
    found = report.slices()
    yield drawn({"Parts that are worse than the rest": figures.slices(found)}, "slices")
    for row, each in enumerate(found.found[:_SLICES]):
        wrong = each.images[~report.predictions.right[each.images]]
        titles = [f"is {report.classes[k]}" for k in report.predictions.known_labels[wrong]]
        yield _images(report, wrong, titles, f"Wrong answers where {each.name}", f"slice-{row}")


def _label_issues(report: "Report") -> Iterator[str]:
    found, names = report.label_issues(), report.classes
    titles = [f"label {names[given]}\nrather {names[suggested]}"
              for given, suggested in zip(found.given, found.suggested, strict=True)]  # fmt: skip
    yield (
        f"<p>{len(found):,} images are surely called something else than their label. They are mistakes of the model "
        "or of whoever labelled them; look before you change anything.</p>"
    )
    yield _images(report, found.images, titles, "Look at these first", "label-issues")
    rows = [(str(image), names[given], names[suggested], f"{score:.3f}") for image, given, suggested, score in
            zip(found.images[:_ROWS], found.given, found.suggested, found.score, strict=False)]  # fmt: skip
    yield _table(("image", "label", "rather", "fits"), rows)


def _alike_classes(report: "Report") -> Iterator[str]:
    found, names = report.alike_classes(), report.classes
    if not len(found):
        yield "<p>Every two classes are told apart.</p>"
        return
    rows = [(names[one], names[two], f"{area:.2f}", str(count)) for one, two, area, count in
            zip(found.first, found.second, found.separation, found.confused, strict=True)]  # fmt: skip
    yield "<p>These are hardly told apart (0.5: not at all, 1: always).</p>"
    yield _table(("class", "and", "told apart", "confused"), rows[:_ROWS])


def _embedding(report: "Report") -> Iterator[str]:
    found, given = report.embedding(), report.predictions
    named = given.labels if given.labels is not None else given.predicted
    titles = [f"{row}: {report.classes[k]}" for row, k in zip(found.images, named[found.images], strict=True)]
    shown = {
        "By class": figures.embedding_map(found, [report.classes[k] for k in named[found.images]], titles)
    }
    if given.labels is not None:
        groups = np.where(given.right[found.images], "right", "wrong").tolist()
        shown["Right and wrong"] = figures.embedding_map(found, groups, titles)
    yield drawn(shown, "embedding")


def _outliers(report: "Report") -> Iterator[str]:
    found = report.outliers()
    yield f"<p>Far from all others, by what the stages make of them: {len(found):,} of {report.count:,}.</p>"
    titles = [f"image {row}" for row in found.images]
    yield _images(report, found.images, titles, "The farthest", "outliers")


def _duplicates(report: "Report") -> Iterator[str]:
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
        grid = figures.image_grid(small(np.stack(pairs)), both[: len(pairs)], columns=6)
        yield drawn({"Pairs side by side": grid}, "duplicates")


def _robustness(report: "Report") -> Iterator[str]:
    yield drawn({"Score under worse images": figures.robustness(report.robustness())}, "robustness")


_SECTIONS: dict[str, Callable[["Report"], Iterator[str]]] = {
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


def small(images: np.ndarray) -> np.ndarray:
    """Thumbnails, (N, C, h, w) uint8 of at most 64 pixels a side; smaller images as they are."""
    step = -(-max(images.shape[2:]) // _SIDE)
    if step == 1:
        return images
    height, width = images.shape[2] // step * step, images.shape[3] // step * step
    cut = images[:, :, :height, :width].astype(np.float32)
    shape = (*images.shape[:2], height // step, step, width // step, step)
    return cut.reshape(shape).mean(axis=(3, 5)).round().astype(np.uint8)


def _images(report: "Report", rows: np.ndarray, titles: Sequence[str], title: str, mark: str) -> str:
    images = report.images
    if images is None or not len(rows):
        return ""
    grid = figures.image_grid(small(images[rows[:_SHOWN]]), titles[:_SHOWN], columns=6)
    return drawn({title: grid}, mark)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f} %"
