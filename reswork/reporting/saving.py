"""A report in files: numbers as JSON by a schema, lists as CSV."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.errors import InvalidSetting
from reswork.reporting.comparison import FORMAT, VERSION, ReportComparison
from reswork.reporting.comparison_page import comparison_values
from reswork.reporting.page import page_text
from reswork.reporting.verdicts import Verdicts, fingerprint
from reswork.store.atomic_files import write_text
from reswork.store.export import plain_cell

if TYPE_CHECKING:
    from reswork.reporting.report import Report

_MOST_LISTED = 1000  # entries of a list in JSON; a CSV file has all
_LEFT_OUT = (
    "embedding",
    "all_distances",
    "image_iou",
    "worst_answers",
    "embeddings",
)  # as large as the data


def save_report(report: "Report", path: Path, against: ReportComparison | None = None) -> Path:
    """Write a report as its ending says: ``.html``, ``.json``, or a folder with CSV files.

    Raises:
        InvalidSetting: another ending, or it cannot be written.
    """
    ending = path.suffix.lower()
    try:
        if ending in (".json", ".html"):
            text = json_text(report, against) if ending == ".json" else page_text(report, against)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(
                path, text.encode("utf-8", "replace").decode()
            )  # a name may hold bytes that are no text
        elif not ending:
            path.mkdir(parents=True, exist_ok=True)
            for name, text in csv_texts(report).items():
                write_text(path / f"{name}.csv", text)
        else:
            raise InvalidSetting(
                "path", f"{str(path)!r} ends with {ending!r}; choose .html, .json, or a folder for CSV files"
            )
    except OSError as error:
        raise InvalidSetting("path", f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of `json_text`."""
    text = (Path(__file__).parent / "static" / "report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def json_text(report: "Report", against: ReportComparison | None = None) -> str:
    """All numbers of a report, lists up to 1,000 entries; what is not a number is null."""
    values = report_values(report)
    if against is not None:
        values["against"] = comparison_values(against)
    return json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def report_values(report: "Report") -> dict[str, Any]:
    """What `json_text` writes, as plain values."""
    planned = report.plan()
    list(report.fill())
    return {
        **report.record(),
        "left_out": {each.name: each.missing for each in planned if each.missing},
        "kept_slices": [_plain(each) for each in report.kept_slices],
        "sections": {
            each.name: _section(report.found(each.name))
            for each in report.plan()
            if each.done and each.name not in _LEFT_OUT
        },
    }


def record(report: "Report") -> dict[str, Any]:
    """What is written of any report, and is all that another one is compared with."""
    verdicts = targets = None
    if report.is_masks:
        assert report.data is not None
        targets = report.data.test.masks.cpu().numpy()
        verdicts = Verdicts.of_masks(report.masks().image_iou)
    elif report.predictions.labels is not None:
        targets, verdicts = report.predictions.labels, Verdicts.of(report.predictions)
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": report.name,
        "images": report.count,
        "classes": list(report.classes),
        "data": fingerprint(report.images, targets),
        "metrics": _plain(report.metrics) if report.judged else {},
        "verdicts": None if verdicts is None else verdicts.packed(),
        "sections": {"masks": _section(report.masks())} if report.is_masks else {},
    }


def csv_texts(report: "Report") -> dict[str, str]:
    """The lists of a report, each as the text of a CSV file: only those for which there is what they need."""
    list(report.fill([each.name for each in report.plan() if each.name in _LISTS and not each.missing]))
    return {
        name: csv_text(report, name)
        for name in _LISTS
        if (report.kept_slices if name == "kept_slices" else report.found(name) is not None)
    }


def csv_text(report: "Report", name: str) -> str:
    """One list as the text of a CSV file; see `csv_texts`."""
    head, rows = _LISTS[name]
    return _csv(head, rows(report))


def _section(found: Any) -> dict[str, Any]:
    """A frozen result as plain values; long arrays of what is odd are cut."""
    return {
        field.name: _plain(getattr(found, field.name))
        for field in fields(found)
        if field.name not in _LEFT_OUT
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value[:_MOST_LISTED].tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value[:_MOST_LISTED]]
    if is_dataclass(value):
        return _section(value)
    return value


def _csv(head: Sequence[str], rows: Iterator[Sequence[Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([plain_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()


def _label_rows(report: "Report") -> Iterator[Sequence[Any]]:
    found, names = report.label_issues(), report.classes
    for image, given, suggested, score in zip(
        found.images, found.given, found.suggested, found.score, strict=True
    ):
        yield int(image), names[given], names[suggested], f"{score:.6f}"


def _mistake_rows(report: "Report") -> Iterator[Sequence[Any]]:
    found, names = report.mistakes(), report.classes
    for image, true, predicted, sure in zip(
        found.images, found.true, found.predicted, found.confidence, strict=True
    ):
        yield int(image), names[true], names[predicted], f"{sure:.6f}"


def _duplicate_rows(report: "Report") -> Iterator[Sequence[Any]]:
    found = report.duplicates()
    columns = (found.first, found.second, found.other_split, found.kind, found.score)
    for first, second, other, kind, score in zip(*columns, strict=True):
        yield int(first), int(second), "train" if other else "test", str(kind), f"{score:.6f}"


def _outlier_rows(report: "Report") -> Iterator[Sequence[Any]]:
    found = report.outliers()
    for image, distance in zip(found.images, found.distance, strict=True):
        yield int(image), f"{distance:.6g}"


def _slice_rows(report: "Report") -> Iterator[Sequence[Any]]:
    for each in report.slices().found:
        numbers = (each.rate, each.low, each.high, each.elsewhere, each.p_value)
        yield each.name, len(each.images), each.errors, *(f"{number:.6g}" for number in numbers)


def _kept_rows(report: "Report") -> Iterator[Sequence[Any]]:
    right = report.right
    for each in report.kept_slices:
        for image in each.images:
            yield each.name, int(image), "" if right is None else "yes" if right[image] else "no"


_LISTS: dict[str, tuple[Sequence[str], Callable[["Report"], Iterator[Sequence[Any]]]]] = {
    "label_issues": (("image", "label", "suggested", "score"), _label_rows),
    "mistakes": (("image", "label", "predicted", "confidence"), _mistake_rows),
    "duplicates": (("image", "other", "split of the other", "kind", "likeness"), _duplicate_rows),
    "outliers": (("image", "distance"), _outlier_rows),
    "slices": (("slice", "images", "errors", "share", "low", "high", "elsewhere", "p"), _slice_rows),
    "kept_slices": (("slice", "image", "right"), _kept_rows),
}
