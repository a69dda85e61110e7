"""A result of a study in a file: one page with its figures, or its numbers as JSON."""

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import write_text

if TYPE_CHECKING:
    from reswork.studies.study import StudyResult

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:2px 12px 2px 0;border-top:1px solid #ccc}"
)


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
    """One page: question, figures, the paper's numbers beside these, verdict, settings."""
    study = result.study
    drawn = []
    for place, figure in enumerate(result.figures.values()):
        told = figure.layout.meta["summary"]
        drawn.append(figure.to_html(full_html=False, include_plotlyjs=place == 0) + f"<p>{escape(told)}</p>")
    settings = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in result.settings.to_dict().items()
    )
    return (
        f"<!doctype html><html lang='en'><meta "
        f"charset='utf-8'><title>{escape(study.title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(study.title)}</h1><p>{escape(study.question)}</p><p>{escape(str(study.source))}</p>"
        f"<p>{escape(study.texts.beginner)}</p><p>{escape(study.texts.expert)}</p>{result._repr_html_()}{''.join(drawn)}"
        f"<h2>Settings</h2><table>{settings}</table><p>{result.seconds:.0f} s "
        f"({result.processor_seconds:.0f} s of processor) "
        f"on {escape(result.machine)}, begun {escape(result.begun)}.</p></html>\n"
    )


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
