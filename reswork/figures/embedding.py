"""Figures as parts of a page that needs no kernel and no network."""

import json
from functools import cache
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_TABLE = str.maketrans(_UNSAFE)


@cache
def plotly_script() -> str:
    """The text of plotly.js, to be put into a page once."""
    return get_plotlyjs()


def embedded(figure: go.Figure) -> str:
    """A figure's traces and layout as JSON that may stand inside a script element: nothing in it ends the element."""
    return in_script(json.loads(figure.to_json()))


def in_script(values: Any) -> str:
    """JSON without the characters that a page could take for markup.

    Example:
        >>> "<" in in_script({"name": "</script>"})
        False
    """
    return json.dumps(values, allow_nan=False).translate(_TABLE)


def write_png(figure: go.Figure, path: str, *, width: int = 900, height: int | None = None) -> None:
    """Draw a figure into a PNG file on white, twice as fine as on a page.

    Needs the package kaleido and a Chrome or Chromium on this machine.

    Raises:
        ImportError: if kaleido is missing.
        RuntimeError: if there is no browser, or it fails.
    """
    import kaleido  # noqa: F401  plotly's own message does not say what to do here

    drawn = go.Figure(figure, skip_invalid=True)
    drawn.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    drawn.write_image(path, format="png", width=width, height=height or figure.layout.height or 280, scale=2)
