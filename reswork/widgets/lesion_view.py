"""A trained network whose blocks are clicked away and back, and its error at once."""

from collections.abc import Iterator
from html import escape

import ipywidgets as w
import numpy as np
from torch import nn

from reswork import figures
from reswork.contrast.answers import as_inputs
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.probes.outline import as_built, as_operated
from reswork.surgery import Delete, operated
from reswork.training.evaluation import evaluate
from reswork.widgets.form import button
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.working_view import WorkingView, note


class LesionView(WorkingView):
    """The drawing of a network: a click deletes a block, another one puts it back; the test error follows.

    Args:
        model: a trained classifier with residual blocks; it stays as it is.
        data: with test images.

    Attributes:
        deleted: names of the blocks that are away.
        errors: share of test images that are named wrong, of the whole network and now; None until it is known.
    """

    def __init__(self, model: nn.Module, data: Dataset) -> None:
        super().__init__()
        self.deleted: tuple[str, ...] = ()
        self.errors: tuple[float, float] | None = None
        self._model, self._data = model, data
        self._names = {block.name for block in residual_blocks(model)}
        self._sheet = as_built(model, as_inputs(data, np.array([0])))
        self.drawing = LiveFigure(figures.network(self._sheet))
        self.drawing.add_class("reswork-network")
        self.drawing.on_click(self.click)
        self.told = note("Click a block of the drawing.")
        self.back = button("Put all back", "The network as it was trained", self._put_back)
        self.children = (self.told, self.drawing, w.HBox([self.back]), self.error)
        self._renew()

    def click(self, name: str) -> None:
        """Delete a block, or put it back; its shortcut stays. What is no block is left alone."""
        if name in self._names:
            away = name in self.deleted
            self.deleted = tuple(each for each in (*self.deleted, name) if not (away and each == name))
            self._renew()

    def _put_back(self) -> None:
        self.deleted = ()
        self._renew()

    def _renew(self) -> None:
        self.error.tell("")
        deleted = self.deleted
        self._worker.submit(lambda: self._judged(deleted))

    def _judged(self, deleted: tuple[str, ...]) -> Iterator[None]:
        try:
            model = operated(self._model, [Delete(name) for name in deleted])
        except InvalidSetting as refused:  # where the shape changes nothing could be passed on
            self.deleted = deleted[:-1]
            self.error.tell(str(refused))
            return
        self.drawing.show(figures.network(as_operated(self._sheet, model)))
        yield
        found = evaluate(model, self._data)
        if found is not None:
            now = 1 - found.metrics["top1"]
            whole = self.errors[0] if self.errors is not None else now  # the first time nothing is deleted
            if self.errors is None and deleted:
                first = evaluate(operated(self._model, []), self._data)
                whole = 1 - first.metrics["top1"] if first is not None else now
            self.errors = (whole, now)
            gone = f"without {', '.join(deleted)}" if deleted else "nothing is deleted"
            self.told.value = (
                f"Test error <b>{100 * now:.1f} %</b>, whole {100 * whole:.1f} %: {escape(gone)}. "
                "A click on a block deletes it, another one puts it back."
            )
        yield
