"""A small canvas: the picture that is asked about, on which parts can be erased or drawn."""

from collections.abc import Callable

import anywidget
import numpy as np
import traitlets
from ipywidgets.widgets.trait_types import CByteMemoryView

from reswork.widgets.page_assets import static_text


class Sketch(anywidget.AnyWidget):
    """A picture that a person changes with the mouse; each change comes back at once.

    Args:
        changed: called with the picture after a stroke, (C, H, W) uint8.

    Attributes:
        picture: (C, H, W) uint8, as it stands.
    """

    _esm = static_text("sketch.js")
    pixels = CByteMemoryView().tag(sync=True)  # (H, W, C), from the kernel
    edited = CByteMemoryView().tag(sync=True)  # the same, from the page; buffers arrive as memoryviews
    size = traitlets.List([1, 1, 1]).tag(sync=True)  # C, H, W

    def __init__(self, changed: Callable[[np.ndarray], None] = lambda image: None) -> None:
        super().__init__()
        self._changed = changed
        self.observe(self._take, names="edited")

    @property
    def picture(self) -> np.ndarray:
        """(C, H, W) uint8."""
        return self._read(self.edited if len(self.edited) else self.pixels)

    def show(self, picture: np.ndarray) -> None:
        """Put another picture, (C, H, W) uint8, on the canvas; ``changed`` is not called."""
        with self.hold_sync():
            self.size = list(picture.shape)
            self.edited = b""
            self.pixels = np.ascontiguousarray(picture.transpose(1, 2, 0)).tobytes()

    def _take(self, change: dict[str, memoryview]) -> None:
        if len(change["new"]) == int(np.prod(self.size)):
            self._changed(self._read(change["new"]))

    def _read(self, pixels: memoryview) -> np.ndarray:
        channels, height, width = self.size
        flat = np.frombuffer(pixels, np.uint8)
        if flat.size != channels * height * width:
            return np.zeros((channels, height, width), np.uint8)
        return flat.reshape(height, width, channels).transpose(2, 0, 1).copy()
