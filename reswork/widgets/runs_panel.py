"""The table of runs, with ticks for drawing several over each other."""

import threading
from collections.abc import Callable, Mapping
from html import escape

import ipywidgets as w

from reswork import store
from reswork.history import History
from reswork.store import SavedRun
from reswork.widgets.tree import close_tree

SHOWN = 12
HEADS = ("run", "state", "network", "data", "step", "accuracy", "loss")


class RunsPanel:
    """The newest runs on disk, one line each.

    Args:
        compare: called with name -> history of the ticked runs, whenever the ticks change.
        open_run: called with a saved run whose Show button was pressed.
    """

    def __init__(
        self,
        compare: Callable[[Mapping[str, History]], None],
        open_run: Callable[[SavedRun], None],
    ) -> None:
        self._compare, self._open = compare, open_run
        self._lock = threading.RLock()
        self._ticks: dict[str, tuple[w.Checkbox, SavedRun]] = {}
        self._body = w.VBox([])
        renew = w.Button(description="Look again", tooltip="Read the folder of runs again")
        renew.on_click(lambda _button: self.renew())
        self.view = w.VBox(
            [
                w.HTML(
                    "<b>Runs</b>: tick some to draw their curves over the present one. Accuracy and loss are those "
                    "on the test pictures."
                ),
                self._body,
                renew,
            ]
        )
        self.view.add_class("reswork-note")
        self.renew()

    def renew(self) -> None:
        """Read the table from disk again; ticks stay."""
        with self._lock:  # a person may press the button while a run's end brings the table up to date
            rows = {run.name: self._row(run) for run in store.runs()[:SHOWN]}
            head = _line(HEADS, "reswork-run reswork-heads") if rows else "No runs yet."
            old = self._body.children
            self._body.children = (w.HTML(head), *(row for row, _, _ in rows.values()))
            self._ticks = {name: (tick, run) for name, (_, tick, run) in rows.items()}
            for row in old:
                close_tree(row)

    def _row(self, run: SavedRun) -> tuple[w.Widget, w.Checkbox, SavedRun]:
        ticked = run.name in self._ticks and self._ticks[run.name][0].value
        tick = w.Checkbox(value=ticked, indent=False, layout=w.Layout(width="24px"),
                          tooltip=f"Draw {run.name} over the present run")  # fmt: skip
        tick.observe(lambda _change: self._ticks_changed(), names="value")
        show = w.Button(description="Show", tooltip=f"Show {run.name}", layout=w.Layout(width="64px"))
        show.on_click(lambda _button: self._open(run))
        row = w.HBox([tick, show, w.HTML(_line(_cells(run)))])
        row.add_class("reswork-row")
        return row, tick, run

    def _ticks_changed(self) -> None:
        self._compare({name: run.history for name, (tick, run) in self._ticks.items() if tick.value})


def _cells(run: SavedRun) -> tuple[str, ...]:
    facts = run.summary()
    top1, loss = facts["top1/test"], facts["loss/test"]
    return (
        str(facts["name"]),
        str(facts["state"]),
        str(facts["network"]),
        str(facts["data"]),
        f"{facts['step']:,} of {facts['total_steps']:,}",
        "" if top1 is None else f"{top1:.1%}",
        "" if loss is None else f"{loss:.3f}",
    )


def _line(cells: tuple[str, ...], kind: str = "reswork-run") -> str:
    return f'<div class="{kind}">' + "".join(f"<span>{escape(cell)}</span>" for cell in cells) + "</div>"
