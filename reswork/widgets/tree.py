"""Closing widgets whole: ipywidgets closes neither children nor layouts nor styles by itself."""

import ipywidgets as w


def close_tree(widget: w.Widget) -> None:
    """Close a widget and every widget that it holds, at any depth; nothing of it stays alive in the kernel."""
    parts = [value for name, value in widget.trait_values().items() if name != "comm"]
    w.Widget.close(widget)
    for part in parts:
        for each in part if isinstance(part, list | tuple) else (part,):
            if isinstance(each, w.Widget) and each.comm is not None:
                close_tree(each)
