"""One training with several seeds on the page: where each stands, and the mean with its band."""

from html import escape

import ipywidgets as w

from reswork import figures
from reswork.experiment.seed_runs import SeedRuns
from reswork.widgets.form import error_html
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.refresh import Refresher
from reswork.widgets.tree import close_tree


class SeedsView(w.VBox):
    """A Stop button, a line for each seed, and loss and score as mean and band.

    Args:
        runs: what `reswork.train_seeds` returned.
    """

    def __init__(self, runs: SeedRuns) -> None:
        super().__init__()
        self.runs = runs
        self.stop = w.Button(description="Stop", tooltip="End the run that goes on, and begin no other")
        self.stop.on_click(lambda _button: self._stop())
        self.status, self.error = w.HTML(), w.HTML()
        self.loss, self.score = (
            LiveFigure(figures.loss_curves({})),
            LiveFigure(figures.metric_curves({}, runs.metrics)),
        )
        plots = w.Box([self.loss, self.score])
        plots.add_class("reswork-grid")
        self.children = (PageAssets(), w.HBox([self.stop]), self.status, self.error, plots)
        self.add_class("reswork")
        self.refresher = Refresher(self.refresh)
        if self.refresh():
            self.refresher.start()

    def refresh(self) -> bool:
        """Bring the page up to date; True while something may still change."""
        going_on = not self.runs.done
        self.status.value = _status(self.runs)
        self.stop.disabled = not going_on
        self.error.value = error_html(str(self.runs.error)) if self.runs.error is not None else ""
        curves = {self.runs.name: self.runs.histories}
        self.loss.show(figures.loss_curves(curves))
        self.score.show(figures.metric_curves(curves, self.runs.metrics))
        return going_on

    def close(self) -> None:
        """Take the view off the page and free its widgets; the runs are not touched."""
        self.refresher.stop()
        if self.comm is not None:
            close_tree(self)

    def _stop(self) -> None:
        self.runs.stop()
        self.refresh()


def _status(runs: SeedRuns) -> str:
    lines = []
    for seed, run in zip(runs.seeds, runs.runs, strict=False):
        metric = run.headline
        score = run.history.last(metric.test)
        told = "" if score is None else f", test {metric.label} {metric.told(score)}"
        lines.append(f"seed {seed}: {run.state.value}, step {run.steps_done:,} of {run.total_steps:,}{told}")
    lines += [
        f"seed {seed}: {'not trained' if runs.done else 'waits'}" for seed in runs.seeds[len(runs.runs) :]
    ]
    return f"<b>{escape(runs.name)}</b>, {len(runs.seeds)} seeds<br>" + "<br>".join(lines)
