"""Runs as one HTML page that needs no kernel and no network, and runs no script but its own two."""

import base64
import hashlib
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from reswork.errors import InvalidSetting
from reswork.figures.embedding import embedded, plotly_script
from reswork.figures.text import number
from reswork.store.differences import compare_settings, settings_of
from reswork.store.run_figures import curves, figures_of, metrics_among
from reswork.store.saved_run import SavedRun
from reswork.store.seed_groups import seed_groups

_STATIC = Path(__file__).parent / "static"
_ABOUT = {"what": "What it shows", "normal": "What is normal", "try": "What to try"}


def page_text(runs: list[SavedRun]) -> str:
    """The page: curves over each other, differences, then each run by itself.

    Every name is escaped, figures stand as JSON in elements that are never run, and the page's own policy
    forbids every script but plotly.js and the one that draws.
    """
    body = "".join([_head(runs), *_together(runs), *(_one_run(run, index) for index, run in enumerate(runs))])
    return document(_title(runs), body)


def document(title: str, body: str) -> str:
    """A whole page that needs no network, light or dark as the browser is, whose figures are drawn when it opens.

    Args:
        title: plain text.
        body: HTML in which every name is escaped; figures as `drawn` writes them.
    """
    scripts = [plotly_script(), (_STATIC / "page.js").read_text(encoding="utf-8")]
    style = (_STATIC / "page.css").read_text(encoding="utf-8")
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n<body>\n{body}\n"
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body></html>\n"
    )


def _policy(scripts: list[str]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _title(runs: list[SavedRun]) -> str:
    return runs[0].name if len(runs) == 1 else f"{len(runs)} runs"


def _head(runs: list[SavedRun]) -> str:
    """Title, when it was written, and of several runs a table that leads to them."""
    now = datetime.now().astimezone()
    title = (
        f"<h1>{escape(_title(runs))}</h1>"
        f'<p class="muted">Written by reswork on {now:%Y-%m-%d at %H:%M}. The page needs no network.</p>'
    )
    if len(runs) == 1:
        return title
    head = "".join(f'<th scope="col">{name}</th>' for name in ("run", *_facts(runs[0])))
    rows = "".join(
        f'<tr><th scope="row"><a href="#run-{index}">{escape(run.name)}</a></th>'
        + "".join(f"<td>{escape(value)}</td>" for value in _facts(run).values())
        + "</tr>"
        for index, run in enumerate(runs)
    )
    return f"{title}<table><tr>{head}</tr>{rows}</table>"


def _together(runs: list[SavedRun]) -> list[str]:
    """Curves over each other; runs that differ only in the seed also as mean and band."""
    parts = [drawn(curves({run.name: run.history for run in runs}, metrics_among(runs)), "all")]
    groups = seed_groups(runs)
    if len(groups) < len(runs):
        means = {
            name: [run.history for run in group] if len(group) > 1 else group[0].history
            for name, group in groups.items()
        }
        parts += ["<h2>Mean and band over seeds</h2>", drawn(curves(means, metrics_among(runs)), "seeds")]
    if len(runs) > 1:
        parts += [
            "<h2>Settings that differ</h2>",
            f'<div class="wide">{compare_settings(runs)._repr_html_()}</div>',
        ]
    return parts


def _one_run(run: SavedRun, index: int) -> str:
    facts = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(run).items()
    )
    settings = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in settings_of(run).items()
    )
    problem = f'<p class="problem">{escape(run.error)}</p>' if run.error else ""
    try:
        note = run.note
    except InvalidSetting as error:
        note = error.message
    if note:
        note = f'<div class="note">{escape(note)}</div>'
    return (
        f'<section id="run-{index}"><h2>{escape(run.name)}</h2><dl>{facts}</dl>{problem}{note}'
        f"{drawn(figures_of(run), str(index))}"
        f"<details><summary>All settings</summary><table>{settings}</table></details></section>"
    )


def _facts(run: SavedRun) -> dict[str, str]:
    last = run.history.last
    return {
        "state": run.state_word,
        "network": run.model_label,
        "data": run.dataset_name,
        "steps": f"{int(run.progress.get('step', 0)):,} of {run.total_steps:,}",
        "test score": run.told_score,
        "test loss": "" if last("loss/test") is None else number(last("loss/test")),
        "seed": str(run.recipe.seed),
        "begun": f"{run.created.astimezone():%Y-%m-%d %H:%M}",
    }


def drawn(figures: dict[str, Any], mark: str) -> str:
    """Figures side by side, each with its summary and what it is, as parts of a `document`.

    Args:
        figures: title -> figure.
        mark: that no other part of the page has.
    """
    parts = []
    for index, (title, figure) in enumerate(figures.items()):
        meta = figure.layout.meta
        height = int(figure.layout.height or 280)
        about = "".join(
            f"<p><b>{label}.</b> {escape(meta['about'].get(key, ''))}</p>" for key, label in _ABOUT.items()
        )
        parts.append(
            f'<figure aria-label="{escape(title)}"><div class="plot" id="plot-{mark}-{index}" '
            f'data-title="{escape(title)}" style="height:{height}px"></div>'
            f'<script type="application/json">{embedded(figure)}</script>'
            f'<p class="muted">{escape(meta["summary"])}</p>'
            f"<details><summary>What is this?</summary>{about}</details></figure>"
        )
    return f'<div class="grid">{"".join(parts)}</div>'
