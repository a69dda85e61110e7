"""The last state as a picture and a text, which stay in a saved notebook when kernel and widgets are gone."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any
from uuid import uuid4

import numpy as np
from IPython.display import display
from PIL import Image, ImageDraw, ImageFont

from reswork.history import History, Series
from reswork.results.metrics import Metric
from reswork.store import AnyRun

WIDTH, HEIGHT = 760, 240
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#787878"


class StaticOutput:
    """One output beside a live panel that holds a picture and a text of the run, and is renewed now and then."""

    def __init__(self) -> None:
        self._id = f"reswork-{uuid4().hex}"
        self._shown = False
        self._last: tuple[Any, ...] = ()

    def show(self, run: AnyRun | None) -> None:
        """Put the output into the cell that runs now."""
        display(still_bundle(run), raw=True, display_id=self._id)
        self._shown = True

    def renew(self, run: AnyRun) -> None:
        """Bring the output up to date, where it is shown and an epoch or the run has ended since."""
        mark = (run.name, run.state, run.history.last("epoch"))
        if self._shown and mark != self._last:
            self._last = mark
            display(still_bundle(run), raw=True, display_id=self._id, update=True)


def still_bundle(run: AnyRun | None) -> dict[str, str]:
    """The mime bundle: HTML with a picture inside, and plain text."""
    if run is None:
        text = "A picture of the last state will stand here, and stays when the notebook is saved."
        html = f'<span style="font-size:12px;opacity:.7">{text}</span>'
        return {"text/plain": text, "text/html": html}
    text = still_text(run)
    picture = base64.b64encode(still_png(run.history, run.metrics)).decode()
    image = f'<img alt="{escape(text)}" src="data:image/png;base64,{picture}" width="{WIDTH}">'
    return {"text/plain": text, "text/html": f"<details><summary>{escape(text)}</summary>{image}</details>"}


def still_text(run: AnyRun) -> str:
    """One line: name, state, step and the numbers so far."""
    last = run.history.last
    parts = [f"{run.name}: {run.state.name.lower()}"]
    steps = run.history.series("loss/train").steps[-1:]
    parts += [f"step {int(step):,}" for step in steps]
    for name, label, form in (
        ("loss/train", "training loss", ".3f"),
        ("loss/test", "test loss", ".3f"),
        *((metric.test, f"test {metric.label}", metric.form) for metric in run.metrics[:1]),
    ):
        if (value := last(name)) is not None:
            parts.append(f"{label} {value:{form}}")
    return ", ".join(parts)


def still_png(history: History, metrics: Sequence[Metric]) -> bytes:
    """Loss and headline metric over steps, side by side, as a PNG of 760 x 240 pixels on white."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    half = WIDTH // 2
    for left, title, names in (
        (0, "loss", ("loss/train", "loss/test")),
        *((half, metric.label, (metric.train, metric.test)) for metric in metrics[:1]),
    ):
        _draw_axes(image, left, title, [history.series(name, max_points=600) for name in names])
    out = io.BytesIO()
    image.quantize(32).save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw_axes(image: Image.Image, left: int, title: str, curves: list[Series]) -> None:
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=12)
    x0, y0, x1, y1 = left + 52, 28, left + WIDTH // 2 - 12, HEIGHT - 26
    pen.rectangle((x0, y0, x1, y1), outline="#cccccc")
    pen.text((x0, 8), title, fill=GREY, font=font)
    pen.text((x0 + 80, 8), "train", fill=BLUE, font=font)
    pen.text((x0 + 125, 8), "test", fill=ORANGE, font=font)
    finite = [curve.values[np.isfinite(curve.values)] for curve in curves]
    values = np.concatenate(finite) if finite else np.empty(0)
    if not len(values):
        return
    low, high = min(0.0, float(values.min())), float(values.max()) or 1.0
    end = max(int(curve.steps[-1]) for curve in curves if len(curve))
    pen.text((left + 4, y0 - 6), f"{high:.3g}", fill=GREY, font=font)
    pen.text((left + 4, y1 - 10), f"{low:.3g}", fill=GREY, font=font)
    pen.text((x1 - 70, y1 + 6), f"step {end:,}", fill=GREY, font=font)
    for curve, colour, width in zip(curves, (BLUE, ORANGE), (1, 3), strict=True):
        good = np.isfinite(curve.values)
        x = x0 + curve.steps[good] / max(end, 1) * (x1 - x0)
        y = y1 - (curve.values[good] - low) / (high - low) * (y1 - y0)
        points = list(zip(x.tolist(), y.tolist(), strict=True))
        if len(points) > 1:
            pen.line(points, fill=colour, width=width)
        elif points:
            pen.ellipse((points[0][0] - 3, points[0][1] - 3, points[0][0] + 3, points[0][1] + 3), fill=colour)
