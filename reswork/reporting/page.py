"""A report as one HTML page that needs no kernel and no network."""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from reswork.figures.text import number
from reswork.reporting.comparison import ReportComparison
from reswork.reporting.comparison_page import comparison_body
from reswork.reporting.contents import CONTENTS, chosen_slices, contents
from reswork.store.page import document, drawn
from reswork.tasks import task_of_kind

if TYPE_CHECKING:
    from reswork.reporting.report import Report


def page_text(report: "Report", against: ReportComparison | None = None) -> str:
    """The page: numbers, then each section that the report has, with figures and images.

    Sections that were not asked for yet are computed. Every name is escaped.
    """
    list(report.fill())
    parts = [_head(report)]
    if against is not None:
        parts.append(f'<section id="against"><h2>Against {escape(against.before)}</h2>')
        parts += [comparison_body(against), "</section>"]
    for planned in report.plan():
        if planned.done and planned.name in CONTENTS:
            parts.append(f'<section id="{planned.name}"><h2>{escape(planned.title)}</h2>')
            for place, each in enumerate(contents(report, planned.name)):
                parts.append(each if isinstance(each, str) else drawn(each, f"{planned.name}-{place}"))
            parts.append("</section>")
    if report.kept_slices:
        parts.append('<section id="kept_slices"><h2>Slices that were chosen</h2>')
        for place, each in enumerate(chosen_slices(report)):
            if each:
                parts.append(each if isinstance(each, str) else drawn(each, f"kept-{place}"))
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
        f'<a href="#{each.name}">{escape(each.title)}</a>' for each in done if each.name in CONTENTS
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
