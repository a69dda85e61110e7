"""The colours of classes of pixels, as words beside coloured squares."""

from collections.abc import Sequence
from html import escape

from reswork.datasets import Dataset
from reswork.figures import class_colours

_MOST = 24


def legend_html(classes: Sequence[str]) -> str:
    """A coloured square and a name for each class; the first one is not drawn and has none."""
    colours = class_colours(len(classes))
    items = [
        f'<span style="white-space:nowrap"><span style="color:{colour}">&#9632;</span> {escape(name)}</span>'
        for colour, name in list(zip(colours, classes, strict=True))[1:_MOST]
    ]
    more = f"<span>and {len(classes) - _MOST} more</span>" if len(classes) > _MOST else ""
    return f'<div class="reswork-legend" style="display:flex;flex-wrap:wrap;gap:4px 12px">{"".join(items)}{more}</div>'


def legend_of(data: Dataset) -> str:
    """The legend of a data set's masks or boxes; nothing for other targets."""
    if data.target_kind == "boxes":
        return legend_html(("", *data.classes))
    return legend_html(data.classes) if data.target_kind == "masks" else ""
