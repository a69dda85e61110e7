"""What the page needs once: plotly.js and the style sheet.

plotly's own ``FigureWidget`` carries 5 MB of JavaScript in each instance; a panel of eight would send 40 MB to
each of thirty learners. Here one widget sends the text once, gzipped, and all live figures wait for it.
"""

import gzip
from functools import cache
from pathlib import Path

import anywidget
import traitlets
from plotly.offline import get_plotlyjs

STATIC = Path(__file__).parent / "static"


def static_text(name: str) -> str:
    """A script or a style sheet for a widget's class.

    Given as a path, anywidget would watch the file, and the watch would hold every widget for ever.
    """
    return (STATIC / name).read_text(encoding="utf-8")


@cache
def _compressed_plotly() -> bytes:
    return gzip.compress(get_plotlyjs().encode(), compresslevel=6, mtime=0)


class PageAssets(anywidget.AnyWidget):
    """Brings plotly.js (about 1.5 MB on the wire) and the style sheet; a panel owns one and closes it with itself."""

    _esm = static_text("page_assets.js")
    _css = static_text("reswork.css")
    source = traitlets.Bytes().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(source=_compressed_plotly())
