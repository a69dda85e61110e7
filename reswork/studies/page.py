"""A result of a study in a file: one page with its figures, or its numbers as JSON."""

import json
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import write_text

if TYPE_CHECKING:
    from reswork.studies.study import StudyResult


def save_result(result: "StudyResult", path: str | Path) -> Path:
    """Write a result: ``.html`` is one page that needs no network, ``.json`` the numbers.

    Raises:
        InvalidSetting: another ending.
    """
    path = Path(path)
    texts = {".html": page_text, ".json": json_text}
    if path.suffix.lower() not in texts:
        raise InvalidSetting("path", f"{str(path)!r} ends with {path.suffix!r}; choose .html or .json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, texts[path.suffix.lower()](result))
    return path


def page_text(result: "StudyResult") -> str:
    """One page: question, verdict, the paper's numbers beside these, figures, settings."""
    from reswork.store.page import document, drawn

    study, settings = result.study, result.settings
    rows = "".join(
        f'<tr><th scope="row">{escape(each.metadata.get("label", each.name))}</th>'
        f"<td>{escape(_told(getattr(settings, each.name)))}</td><td>{escape(each.metadata.get('what', ''))}</td></tr>"
        for each in fields(settings)
    )
    return document(
        study.title,
        f"<h1>{escape(study.title)}</h1><p>{escape(study.question)} {escape(str(study.source))}.</p>"
        f"{result._repr_html_()}{drawn(result.figures, study.name)}"
        f"<h2>What it is about</h2><p>{escape(study.texts.beginner)}</p><p>{escape(study.texts.expert)}</p>"
        f'<h2>Settings</h2><div class="wide"><table>{rows}</table></div>'
        f'<p class="muted">{result.seconds:.0f} s ({result.processor_seconds:.0f} s of processor) '
        f"on {escape(result.machine)}, begun {escape(result.begun)}.</p>",
    )


def _told(value: object) -> str:
    """A setting as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def json_text(result: "StudyResult") -> str:
    """Settings, numbers, verdict and where they come from."""
    values = {
        "study": result.study.name,
        "settings": result.settings.to_dict(),
        "share": result.share,
        "verdict": result.verdict.state,
        "sentence": result.verdict.sentence,
        "machine": result.machine,
        "begun": result.begun,
        "seconds": result.seconds,
        "numbers": {name: _listed(array) for name, array in result.numbers.items()},
    }
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _listed(array: np.ndarray) -> object:
    """With None for what is not finite, which JSON does not know."""
    if array.dtype.kind != "f":
        return array.tolist()
    values = array.astype(object)
    values[~np.isfinite(array)] = None
    return values.tolist()
