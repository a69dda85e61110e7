"""A server on the page, live: what it is asked, how long it takes, whether its inputs drift."""

import math
from collections.abc import Iterator
from html import escape

import ipywidgets as w

from reswork import figures
from reswork.errors import InvalidSetting
from reswork.results.serving import ServerState
from reswork.shipping.serving import Server
from reswork.shipping.watching import ServerWatch
from reswork.widgets.form import ErrorLine
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.refresh import Refresher
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import grid

EVERY_S = 1.0


class ServerView(w.VBox):
    """Numbers and plots of a server, a look each second until it stops.

    Args:
        server: from `reswork.serve`; it is asked for its metrics, and otherwise left alone.

    Attributes:
        watch: what was seen.
    """

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.watch = ServerWatch(server)
        self.error, self.sums = ErrorLine(), w.HTML()
        self.sums.add_class("reswork-note")
        self.load, self.times, self.drift = (LiveFigure() for _ in range(3))
        self.children = (PageAssets(), self.sums, self.error, grid([self.load, self.times, self.drift]))
        self.add_class("reswork")
        self.refresher = Refresher(self.refresh, interval_s=EVERY_S)
        if self.refresh():
            self.refresher.start()

    def refresh(self) -> bool:
        """Look once; False where it does not answer any more."""
        try:
            self.watch.look()
        except InvalidSetting:
            self.error.tell("The server has stopped, or does not answer; this is how it was last.")
            return False
        self.sums.value = sums_html(self.watch.state)
        load = self.watch.load
        self.load.show(figures.server_load(load))
        self.times.show(figures.server_times(load))
        self.drift.show(figures.server_drift(self.watch.state.drift))
        return True

    def close(self) -> None:
        """Take the view off the page and free its widgets; the server is not touched."""
        self.refresher.stop()
        if self.comm is not None:
            close_tree(self)


def sums_html(state: ServerState) -> str:
    """The numbers that a person looks at first."""
    cells = "".join(
        f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in _sums(state)
    )
    return f'<div class="reswork-sums">{cells}</div>'


def _sums(state: ServerState) -> Iterator[tuple[str, str]]:
    yield "version", state.version
    yield "up for", _time(state.uptime_s)
    yield "requests", f"{state.requests:,}"
    yield "p95, last minute", _known(state.p95_ms, "{:.3g} ms")
    yield "failed", f"{state.failed:,}"
    yield "refused", f"{state.refused:,}"
    yield "engine restarts", f"{state.restarts:,}"
    yield (
        "deployments that succeeded",
        f"{state.deployed} of {state.tried} ({state.deployed / state.tried:.0%})",
    )
    yield "errors on test images", _known(state.error, "{:.1%}")
    yield "fewer than the version before", _known(state.error_reduction, "{:.0%}")


def _known(value: float, form: str) -> str:
    return "?" if math.isnan(value) else form.format(value)


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
