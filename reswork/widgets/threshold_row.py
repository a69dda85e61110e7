"""A threshold of a report that can be moved, and what it leaves as a file."""

from collections.abc import Callable

import ipywidgets as w

from reswork.reporting.report import Report
from reswork.reporting.saving import csv_text
from reswork.reporting.thresholds import THRESHOLDS
from reswork.widgets.download import Download

_STEPS = 200


class ThresholdRow(w.HBox):
    """A slider, and a button that downloads the list as CSV.

    Args:
        report: with the section.
        name: of the section.
        moved: called after the threshold was moved.
    """

    def __init__(self, report: Report, name: str, moved: Callable[[], None]) -> None:
        value, low, high = report.threshold(name)
        low, high = min(low, value), max(high, value)
        self._report, self._section, self._moved = report, name, moved
        self.slider = w.FloatSlider(
            value=value, min=low, max=high, step=(high - low) / _STEPS or 1e-3, readout_format=".3g",
            description=THRESHOLDS[name].label, continuous_update=False, style={"description_width": "190px"},
            layout=w.Layout(width="480px"),
        )  # fmt: skip
        self.slider.observe(lambda change: self._move(change["new"]), names="value")
        self.download = Download()
        self.download.offer_text(f"{name}.csv", lambda: csv_text(report, name))
        super().__init__(
            [self.slider, self.download], layout=w.Layout(flex_flow="row wrap", align_items="center")
        )

    def _move(self, value: float) -> None:
        self._report.move_threshold(self._section, value)
        self._moved()
