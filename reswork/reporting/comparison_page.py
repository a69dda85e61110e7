"""Two reports beside each other as one page, or as numbers."""

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from reswork import figures
from reswork.errors import InvalidSetting
from reswork.figures.text import number
from reswork.reporting.comparison import Change, ReportComparison
from reswork.reporting.contents import image_grid_of, table, titles_of
from reswork.store.atomic_files import write_text
from reswork.store.page import document, drawn

_LABELS = {
    "recall": "Recall by class",
    "precision": "Precision by class",
    "f1": "F1 by class",
    "iou": "IoU by class",
}


def save_comparison(found: ReportComparison, path: Path) -> Path:
    """Write a comparison as its ending says, ``.html`` or ``.json``.

    Raises:
        InvalidSetting: another ending, or it cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in (".html", ".json"):
        raise InvalidSetting("path", f"{str(path)!r} ends with {ending!r}; choose .html or .json")
    text = comparison_text(found) if ending == ".html" else json.dumps(
        comparison_values(found), indent=1, allow_nan=False, ensure_ascii=False) + "\n"  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text.encode("utf-8", "replace").decode())
    except OSError as error:
        raise InvalidSetting("path", f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def comparison_values(found: ReportComparison) -> dict[str, Any]:
    """The numbers, what is none as null."""
    return {
        "format": "reswork-report-comparison",
        "version": 1,
        "before": found.before,
        "after": found.after,
        "images": found.count,
        "metrics": [_values(each) for each in found.metrics],
        "by_class": {name: [_values(each) for each in changes] for name, changes in found.by_class.items()},
        "mended": found.mended.tolist(),
        "broken": found.broken.tolist(),
        "p_value": _known(found.p_value),
    }


def comparison_text(found: ReportComparison) -> str:
    """The page, with images of the new report where it has any; every name is escaped."""
    body = f"<h1>{escape(found.after)} against {escape(found.before)}</h1>" + comparison_body(found)
    return document(f"{found.after} against {found.before}", body)


def comparison_body(found: ReportComparison) -> str:
    """The page's sentences, tables and figures, for a page of its own or as a section."""
    best = found.headline
    share, gone = best.error_reduction, ""
    if share >= 0:
        gone = f" Of the errors, {_percent(share)} are gone."
    elif share < 0:
        gone = f" There are {_percent(-share)} more errors."
    sure = {
        "better": "It is better.",
        "worse": "It is worse.",
        "": "Chance alone may make such a difference.",
    }
    told = "" if np.isnan(best.low) else f" {sure[best.verdict]}"
    parts = [
        f"<p>{escape(best.name)} went from {_percent(best.before)} to {_percent(best.after)} on the same "
        f"{found.count:,} images.{gone}{told} Intervals are of 95 %, each for itself.</p>",
        table(("metric", "before", "after", "change", "interval", "error reduced by", ""),
              [_row(each) for each in found.metrics]),
    ]  # fmt: skip
    shown = {
        _LABELS[name]: figures.changes(
            [each.name for each in changes], [each.difference for each in changes],
            [each.low for each in changes], [each.high for each in changes], title=_LABELS[name],
        )
        for name, changes in found.by_class.items()
    }  # fmt: skip
    parts.append(drawn(shown, "by-class"))
    if len(found.mended) or len(found.broken):
        parts.append(
            f"<p>{len(found.mended):,} images that were wrong are right now, {len(found.broken):,} that were right are "
            f"wrong; were both equally good, so uneven a split had a chance of {number(found.p_value)}.</p>"
        )
    for rows, title in ((found.broken, "Right before, wrong now"), (found.mended, "Wrong before, right now")):
        grid = image_grid_of(found.report, rows, titles_of(found.report, rows), title)
        if grid:
            parts.append(drawn(grid, title.split()[0].lower()))
    return "".join(parts)


def _row(each: Change) -> Sequence[str]:
    interval = "" if np.isnan(each.low) else f"{each.low:+.4f} to {each.high:+.4f}"
    return (each.name, f"{each.before:.4f}", f"{each.after:.4f}", f"{each.difference:+.4f}", interval,
            _percent(each.error_reduction), each.verdict)  # fmt: skip


def _values(each: Change) -> dict[str, Any]:
    return {
        "name": each.name, "before": _known(each.before), "after": _known(each.after), "low": _known(each.low),
        "high": _known(each.high), "error_reduction": _known(each.error_reduction), "verdict": each.verdict,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f} %"
