"""A plotly figure that a run can keep up to date from its own thread."""

import threading
from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import plotly.graph_objects as go
import traitlets

from reswork.widgets.page_assets import static_text

_KINDS = {"float32": "f4", "float64": "f8", "int32": "i4", "uint8": "u1"}

Packed = tuple[str, tuple[int, ...], bytes]


class LiveFigure(anywidget.AnyWidget):
    """A figure on the page whose numbers can be replaced at any time, from any thread.

    The page gets the frame (layout, and traces without their numbers) when it changes, and otherwise only the
    numbers, as binary buffers in one message. A reloaded page or a second tab finds the last state.

    Args:
        figure: what to show first; None: nothing until `show`.

    Example:
        >>> import plotly.graph_objects as go
        >>> live = LiveFigure(go.Figure({"data": [{"type": "scatter", "y": np.array([1.0, 2.0])}]}))
        >>> live.show(go.Figure({"data": [{"type": "scatter", "y": np.array([1.0, 2.0, 3.0])}]}))
        >>> sorted(live.numbers)
        ['0/y', 'revision']
        >>> live.close()
    """

    _esm = static_text("live_figure.js")
    frame = traitlets.Dict().tag(sync=True)
    numbers = traitlets.Dict().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)
    thumbnails = traitlets.Dict().tag(
        sync=True
    )  # of `thumbnail_sheet`: shown where a point of that name is pointed at

    def __init__(self, figure: go.Figure | None = None) -> None:
        self._lock = threading.Lock()
        self._revision = 0
        frame, numbers = _split(figure) if figure is not None else ({}, {})
        words = _words(figure) if figure is not None else {}
        super().__init__(frame=frame, numbers=numbers | {"revision": 0}, **words)

    def show(self, figure: go.Figure) -> None:
        """Replace what is drawn; sends nothing but the numbers when only they differ."""
        frame, numbers = _split(figure)
        with self._lock:
            unchanged = {key: value for key, value in self.numbers.items() if key != "revision"}
            if (
                frame == self.frame
                and numbers.keys() == unchanged.keys()
                and all(tuple(unchanged[key]) == value for key, value in numbers.items())
            ):
                return
            self._revision += 1
            with self.hold_sync():
                if frame != self.frame:
                    self.frame = frame
                self.numbers = numbers | {"revision": self._revision}
                for name, value in _words(figure).items():
                    setattr(self, name, value)

    def on_click(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with the clicked point's name (its ``customdata``)."""

        def handle(_widget: Any, content: dict[str, Any], _buffers: Any) -> None:
            if content.get("kind") == "click" and isinstance(content.get("name"), str):
                callback(content["name"])

        self.on_msg(handle)

    def on_select(self, callback: Callable[[list[float], list[float]], None]) -> None:
        """Call ``callback`` with x and y of the corners of the area that a person drew around points."""

        def handle(_widget: Any, content: dict[str, Any], _buffers: Any) -> None:
            x, y = content.get("x"), content.get("y")
            if content.get("kind") != "select" or not (isinstance(x, list) and isinstance(y, list)):
                return
            numbers = [each for each in (*x, *y) if isinstance(each, int | float)]
            if len(x) == len(y) >= 3 and len(numbers) == 2 * len(x):
                callback([float(each) for each in x], [float(each) for each in y])

        self.on_msg(handle)


def _split(figure: go.Figure) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Frame and numbers apart: every numeric numpy array leaves the frame for a buffer."""
    numbers: dict[str, Packed] = {}
    traces = [trace.to_plotly_json() for trace in figure.data]  # unlike the figure's, with arrays as arrays
    data = [_without_arrays(trace, str(index), numbers) for index, trace in enumerate(traces)]
    layout = {
        key: value for key, value in figure.layout.to_plotly_json().items() if key not in ("template", "meta")
    }
    frame = {"data": data, "layout": _listed(layout)}
    ratio = (figure.layout.meta or {}).get("ratio")
    return (frame if ratio is None else frame | {"ratio": ratio}), numbers


def _without_arrays(part: Any, path: str, numbers: dict[str, Packed]) -> Any:
    if isinstance(part, dict):
        return {key: _without_arrays(value, f"{path}/{key}", numbers) for key, value in part.items()}
    if isinstance(part, np.ndarray) and part.dtype.kind in "fiub" and part.ndim in (1, 2):
        numbers[path] = _packed(part)
        return None
    return _listed(part)


def _packed(array: np.ndarray) -> Packed:
    if array.dtype.kind in "iub" and array.dtype.name not in _KINDS:
        array = array.astype("int32" if array.size == 0 or np.abs(array).max() < 2**31 else "float64")
    elif array.dtype.name not in _KINDS:
        array = array.astype("float32")
    return _KINDS[array.dtype.name], array.shape, np.ascontiguousarray(array).tobytes()


def _listed(part: Any) -> Any:
    """The same with arrays as lists, tuples as lists: what JSON gives back, so that frames compare equal."""
    if isinstance(part, dict):
        return {key: _listed(value) for key, value in part.items()}
    if isinstance(part, np.ndarray):
        return part.tolist()
    if isinstance(part, list | tuple):
        return [_listed(value) for value in part]
    return part.item() if isinstance(part, np.generic) else part


def _words(figure: go.Figure) -> dict[str, Any]:
    meta = figure.layout.meta or {}
    return {"summary": str(meta.get("summary", "")), "about": dict(meta.get("about", {}))}
