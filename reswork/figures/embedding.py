"""Figures as parts of a page that needs no kernel and no network."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import plotly.graph_objects as go
from plotly.io import write_images
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


def write_pngs(figures: Mapping[str, go.Figure], *, width: int = 900) -> None:
    """Draw figures into PNG files on white, twice as fine as on a page; all with one start of the browser.

    Needs the package kaleido and a Chrome or Chromium on this machine.

    Args:
        figures: by the path of their file.
        width: of each, in pixels of the page.

    Raises:
        ImportError: if kaleido is missing.
        RuntimeError: if there is no browser, or it fails.
    """
    import kaleido  # noqa: F401  plotly's own message does not say what to do here

    drawn = [go.Figure(figure) for figure in figures.values()]
    for figure in drawn:
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    heights = [figure.layout.height or 280 for figure in drawn]
    write_images(drawn, list(figures), format="png", width=width, height=heights, scale=2)
