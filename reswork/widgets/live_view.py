"""One run on the page, without the forms."""

from typing import overload

import ipywidgets as w
from IPython.display import display

from reswork.experiment.seed_runs import SeedRuns
from reswork.shipping.serving import Server
from reswork.store import AnyRun
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.run_view import RunView
from reswork.widgets.seeds_view import SeedsView
from reswork.widgets.server_view import ServerView
from reswork.widgets.static_output import StaticOutput
from reswork.widgets.tree import close_tree


class LiveView(w.VBox):
    """Buttons, progress and plots of one run, live or from disk.

    Args:
        run: what `reswork.train` or `reswork.load_run` returned.
    """

    def __init__(self, run: AnyRun) -> None:
        super().__init__()
        self._still = StaticOutput()
        self.run_view = RunView(refreshed=self._refreshed)
        self.run_view.watch(run)
        self.run_view.plots.show()
        self.children = (PageAssets(), self.run_view.bar, self.run_view.plots)
        self.add_class("reswork")

    @property
    def run(self) -> AnyRun:
        """The run that is shown."""
        assert self.run_view.run is not None
        return self.run_view.run

    def close(self) -> None:
        """Take the view off the page and free its widgets; the run is not touched."""
        self.run_view.refresher.stop()
        if self.comm is not None:
            close_tree(self)

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        self._still.show(self.run)

    def _refreshed(self) -> None:
        if self.run_view.run is not None:
            self._still.renew(self.run_view.run)


@overload
def live(run: AnyRun) -> LiveView: ...
@overload
def live(run: SeedRuns) -> SeedsView: ...
@overload
def live(run: Server) -> ServerView: ...
def live(run: AnyRun | SeedRuns | Server) -> LiveView | SeedsView | ServerView:
    """The view of one run, to be the last line of a cell: plots that move, and buttons that obey at once.

    Args:
        run: what `reswork.train` or `reswork.load_run` returned; of a training with several seeds it shows
            the mean and the band. Of what `reswork.serve` returned it shows requests, times and drift.

    Example:
        >>> live(run)                                   # doctest: +SKIP
    """
    if isinstance(run, Server):
        return ServerView(run)
    return SeedsView(run) if isinstance(run, SeedRuns) else LiveView(run)
