"""`rw.returns_view`: the sheet of what a network costs and brings, with boxes for what only a person knows."""

from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.planning.prices import Prices
from reswork.planning.returns import Returns, returns, told
from reswork.store import AnyRun
from reswork.widgets.form import ErrorLine
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.sheet_saver import SheetSaver
from reswork.widgets.tree import close_tree


class ReturnsView(w.VBox):
    """Boxes and the sheet below them, which follows what is entered.

    Args:
        run: that is counted.
        data: what it learned from; None: the run's own.
        prices: as for `reswork.plan`.

    Attributes:
        sheet: as it stands; None where something entered cannot be.
    """

    def __init__(
        self, run: AnyRun, data: Dataset | None = None, prices: Prices | str | Path | None = None
    ) -> None:
        super().__init__()
        self._run, self._data, self._prices = run, data, prices
        self._prediction_s: float | None = None  # timed once
        self.sheet: Returns | None = None
        self.error, self.table = ErrorLine(), w.HTML()
        self.boxes = {
            "error_cost": _box("An error costs", 1.0, "Money that a wrong answer costs"),
            "predictions": _box("Predictions a month", 10_000.0, "How often it is asked"),
            "error_before": _box(
                "Wrong before, %", None, "Of people, or of the last version; nothing: of guessing"
            ),
            "months": _box("Months", 12.0, "That are looked at"),
            "other_costs": _box("Other costs, once", 0.0, "Such as people and labels"),
        }
        for each in self.boxes.values():
            each.observe(lambda _change: self._count(), names="value")
        self.saver = SheetSaver("sheet.csv")
        boxes = w.Box(list(self.boxes.values()), layout=w.Layout(flex_flow="row wrap"))
        self.children = (PageAssets(), boxes, self.error, self.table, self.saver)
        self.add_class("reswork")
        self._count()

    def close(self) -> None:
        """Take the view off the page and free its widgets."""
        if self.comm is not None:
            close_tree(self)

    def _count(self) -> None:
        """The sheet for what is entered; the last one stays where that cannot be."""
        try:
            values: dict[str, Any] = {name: _number(name, box.value) for name, box in self.boxes.items()}
            if values["error_before"] is not None:
                values["error_before"] /= 100
            sheet = returns(
                self._run, data=self._data, latency=self._prediction_s, prices=self._prices, **values
            )
        except InvalidSetting as error:
            self.sheet = None
            self.saver.offer(None)
            self.error.tell(error.message)
            return
        self.error.tell("")
        self.saver.offer(sheet)
        self._prediction_s = sheet["a prediction"] / 1e3
        self.sheet = sheet
        rows = "".join(
            f"<tr><td>{escape(each.name)}</td><td>{told(each.value)}</td><td>{escape(each.unit)}</td>"
            f"<td>{escape(each.how)}</td></tr>"
            for each in sheet.lines
        )
        self.table.value = f'<table class="reswork-trust">{rows}</table>'


def returns_view(
    run: AnyRun, data: Dataset | None = None, *, prices: Prices | str | Path | None = None
) -> ReturnsView:
    """What a trained network cost and what it brings, on the page: enter what an error costs, and the sheet follows.

    Args:
        run: a run that tells classes apart, from `reswork.train` or `reswork.load_run`.
        data: what it learned from; None: the run's own, where it can be loaded again.
        prices: as for `reswork.plan`.

    Example:
        >>> returns_view(run)                             # doctest: +SKIP
    """
    return ReturnsView(run, data, prices)


def _box(label: str, value: float | None, tip: str) -> w.Text:
    return w.Text(
        value="" if value is None else f"{value:g}", description=label, tooltip=tip, continuous_update=False,
        style={"description_width": "initial"}, layout=w.Layout(width="250px"),
    )  # fmt: skip


def _number(name: str, text: str) -> float | None:
    """What stands in a box; None for nothing, where that may be."""
    if not text.strip() and name == "error_before":
        return None
    try:
        return float(text.replace(",", "").strip())
    except ValueError:
        raise InvalidSetting(name, f"{name}={text!r} must be a number") from None
