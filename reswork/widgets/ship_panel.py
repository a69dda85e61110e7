"""Ship: the run at hand made smaller, exported, checked, timed, served, and what it costs and brings."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, get_args

import ipywidgets as w
import numpy as np

from reswork import figures
from reswork.compression.search import Form, Search, Smaller
from reswork.compression.tuning import TUNING
from reswork.contrast.answers import as_inputs
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.sheet import Outline, SpecSheet
from reswork.planning.plan import plan
from reswork.planning.prices import Prices, chosen
from reswork.probes.outline import as_built
from reswork.reporting.answers import model_of
from reswork.results.latency import Latency, Quantile
from reswork.results.smaller import SizedTable
from reswork.shipping.artefact import Artefact, open_artefact
from reswork.shipping.check import check_artefact
from reswork.shipping.engines import Format
from reswork.shipping.export import Precision, export
from reswork.shipping.latency import latency
from reswork.shipping.serving import Server, serve
from reswork.store import AnyRun
from reswork.widgets.debug_panel import data_of
from reswork.widgets.form import ErrorLine, Field, button, menu_field, number_or_none, text_of
from reswork.widgets.form import Form as Fields
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.plan_view import PlanView
from reswork.widgets.returns_view import ReturnsView
from reswork.widgets.server_view import ServerView
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import note

_NOTHING = (
    "Train a network, or show a run from the table of the page Train: then it can be shipped from here."
)
_EXPORT_S, _CHECK_S, _SERVE_S, _PLAN_S = 5, 2, 6, 6  # about, for a small network
_COSTS = {"size of the file": "megabytes", "time of a call": "ms", "operations": "macs"}
_SHOWN = 24  # thumbnails
_AS_IT_IS = "the run as it is"
_TO_FILE = " -H 'Accept: image/png' -o answer.png"  # of a model that gives pictures


class ShipPanel:
    """Buttons from a run to its use; each says what it costs before it is pressed, and can be stopped.

    One thing is done at a time. What cannot be interrupted in the middle, such as writing a file, ends with its step,
    and nothing half done stays.

    Attributes:
        view: the part of the page.
        found: the forms that were made; None before there are any.
        server: that answers; None: none.
        dashboard: shows the server live.
        money: what a training costs, and what the run brings.
    """

    def __init__(self) -> None:
        self.view = Part(self._made, self._opened)
        self.found: Smaller | None = None
        self.server: Server | None = None
        self.dashboard, self.money = w.VBox(), w.VBox()
        self._run: AnyRun | None = None
        self._data: Dataset | None = None
        self._shown: AnyRun | None = None  # the run that the results on the page are about
        self._field = "max_megabytes"  # under which an error without a field of its own stands
        self._judged_on: Dataset | None = None  # what the forms were judged on
        self._sheet: Outline | SpecSheet | None = None  # of the network whose blocks are drawn
        self._worker = LatestJob(self._failed)

    def watch(self, run: AnyRun, data: Dataset) -> None:
        """Be about another run from when the page is opened next; its data set is taken where it fits."""
        self._run, self._data = run, data

    def wait(self, seconds: float = 300) -> bool:
        """Wait until nothing is done any more; False after so many seconds."""
        return self._worker.wait(seconds)

    def close(self) -> None:
        """End what is done, and the server."""
        self._worker.cancel()
        self._worker.wait(10)
        self._empty(self.dashboard)
        self._empty(self.money)
        if self.server is not None:
            self.server.stop()
            self.server = None
        close_tree(self.dashboard)
        close_tree(self.money)

    @staticmethod
    def _empty(place: w.VBox) -> None:
        views, place.children = place.children, ()
        for each in views:
            each.close()

    # --- what is on the page ---------------------------------------------------------------------

    def _made(self) -> list[w.Widget]:
        wide = {"width": "97%", "max_width": "520px"}
        number: dict[str, Any] = {
            "read": number_or_none,
            "write": text_of,
            "layout": wide,
            "continuous_update": False,
        }
        self.form = Fields(
            {
                "max_megabytes": Field("Largest file, MB", w.Text, "The budget of the file; nothing means any size",
                                       placeholder="any", **number),
                "max_ms": Field("Longest call, ms", w.Text, "The budget of the middle call with one image, on this "
                                "machine; nothing means any time", placeholder="any", **number),
                "epochs": Field("Epochs after", w.BoundedIntText, "Training after something was taken away",
                                value=TUNING.epochs, min=1, max=1000, layout=wide),
                "form": Field("Form", w.Dropdown, "What is exported", options=(_AS_IT_IS,),
                              value=_AS_IT_IS, layout=wide),
                "format": menu_field("Format", "What the folder is written in", *get_args(Format), value="onnx",
                                     layout=wide),
                "precision": menu_field("Precision", "Of the numbers in the file", *get_args(Precision), layout=wide),
                "folder": Field("Folder", w.Text, "A new folder, or an export to be replaced, checked, timed and "
                                "served", value="shipped", layout=wide, continuous_update=False),
                "batch_sizes": Field("Images in a call", w.Text, "Numbers of images that are answered together",
                                     value="1, 8", layout=wide, continuous_update=False),
                "port": Field("Port", w.BoundedIntText, "0: any that is free", value=0, min=0, max=65535, layout=wide),
                "prices": Field("Prices", w.Text, "A file of prices, such as rw.prices().save(...) writes; nothing "
                                "means those of reswork", placeholder="those of reswork", value="", layout=wide,
                                continuous_update=False),
            },
            self._explain,
        )  # fmt: skip
        self.smaller = button(
            "Make smaller", "Prune, teach and export it in several ways", self._make_smaller, "primary"
        )
        self.export = button(
            "Export", "Write it as a folder that needs no reswork, and prove it equal", self._export
        )
        self.check = button(
            "Check", "Compare every file with its hash, and kept answers with new ones", self._check
        )
        self.time = button("Time it", "How long a call takes, in a process of its own", self._time)
        self.start = button("Serve", "Answer over HTTP, on this machine only", self._serve)
        self.end = button("End the server", "After what has come is answered", self._end_server)
        self.plan = button("Plan", "What its training costs, here and elsewhere", self._plan)
        self.count = button(
            "Count", "What it cost, and what it brings where you say what an error costs", self._count
        )
        self.stop = button("Stop", "After the step that goes on; what is there stays", self._stop)
        self.costs = {name: note("") for name in ("smaller", "export", "time", "serve", "plan")}
        self.said = note("")
        self.table = w.HTML()
        self.table.add_class("reswork-wide")
        self.against = w.ToggleButtons(options=tuple(_COSTS), style={"button_width": "auto"},
                                       tooltips=tuple(f"Worth against {each}" for each in _COSTS))  # fmt: skip
        self.against.observe(lambda _change: self._draw_table(), names="value")
        empty = SizedTable((), "", 0)
        self.pareto = LiveFigure(figures.pareto(empty))
        self.worth, self.deletions = LiveFigure(), LiveFigure()
        self.worth.add_class("reswork-network")
        self._blocks = w.VBox([self.worth, self.deletions])
        self.changed, self._told_changed = LiveFigure(), note("")
        self._results = w.VBox([w.HBox([w.HTML("Worth against"), self.against]), self.pareto, self.table,
                                self._told_changed, self.changed, self._blocks])  # fmt: skip
        for each in (self._results, self._blocks, self.changed):
            each.layout.display = "none"
        self.result = note("")
        self.times = LiveFigure()
        self.times.layout.display = "none"
        self.address = note("")
        self.error = ErrorLine()
        self._about = note("")
        left = w.VBox(
            [
                w.HTML("<h3>Smaller</h3>"),
                *self.form.views("max_megabytes", "max_ms", "epochs"),
                w.HBox([self.smaller]),
                self.costs["smaller"],
                w.HTML("<h3>Export</h3>"),
                *self.form.views("form", "format", "precision", "folder"),
                w.HBox([self.export, self.check]),
                self.costs["export"],
                w.HTML("<h3>How long it takes</h3>"),
                *self.form.views("batch_sizes"),
                w.HBox([self.time]),
                self.costs["time"],
                w.HTML("<h3>Served</h3>"),
                *self.form.views("port"),
                w.HBox([self.start, self.end]),
                self.costs["serve"],
                w.HTML("<h3>What it costs and brings</h3>"),
                *self.form.views("prices"),
                w.HBox([self.plan, self.count]),
                self.costs["plan"],
            ]
        )
        right = w.VBox([w.HBox([self.stop, self.said]), self.error, self._results, self.result, self.times,
                        self.address, self.dashboard, self.money])  # fmt: skip
        columns = w.Box([left, right])
        columns.add_class("reswork-columns")
        self._set_busy(False)
        return [self._about, columns]

    def _opened(self) -> None:
        run = self._run
        if run is not None and run is not self._shown:
            self._shown, self.found = run, None
            self._results.layout.display = "none"
            self._empty(self.money)
            self.form.offer("form", (_AS_IT_IS,), _AS_IT_IS)
        self._about.value = (
            f'<span class="reswork-muted">{_NOTHING}</span>'
            if run is None
            else f"From the network of <b>{escape(run.name)}</b>"
            + (", as it is now." if run.is_live and not run.done else ".")
        )
        self._set_busy(not self._worker.wait(0))
        self._explain()

    def _explain(self) -> None:
        """What each button costs."""
        if not self.view.is_made:
            return
        self.form.clear_errors()
        self._draw_changed()
        told = {
            "export": f"Export: about {_EXPORT_S} s. Check: about {_CHECK_S} s, of what lies in the folder.",
            "time": f"About {_timing_s(self.form.fields['batch_sizes'].value):.0f} s: what lies in the folder, in a "
            "process of its own.",
            "serve": f"About {_SERVE_S} s until it answers with what lies in the folder. It takes a core while it "
            "answers, and ends with this kernel.",
            "plan": f"Plan: about {_PLAN_S} s, in which this very training is begun anew, timed and given up. Count: "
            "about a second.",
            "smaller": "What it costs is measured when it begins: some seconds for each form, and the training.",
        }
        for name, text in told.items():
            if name != "smaller" or not self.costs[name].value:
                self.costs[name].value = f'<span class="reswork-muted">{escape(text)}</span>'

    def _set_busy(self, busy: bool) -> None:
        none = self._run is None
        for each in (self.smaller, self.export, self.plan, self.count):
            each.disabled = busy or none
        for each in (self.check, self.time):
            each.disabled = busy
        self.start.disabled = busy or self.server is not None
        self.end.disabled = self.server is None
        self.stop.disabled = not busy

    def _begin(self, field: str, job: Callable[[], Iterator[None]]) -> None:
        """Do something in the background, unless something is done already."""
        if not self._worker.wait(0):
            return
        self.error.tell("")
        self.form.clear_errors()
        self._field = field
        self._set_busy(True)

        def whole() -> Iterator[None]:
            try:
                yield from job()
            finally:
                self._set_busy(False)
                self._set_said("")

        self._worker.submit(whole)

    def _stop(self) -> None:
        self._set_said("stops after this step")
        self._worker.cancel()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, InvalidSetting):
            self.form.show_error(error.field, error.message, otherwise=self._field)
        else:
            self.error.tell(str(error))

    def _set_said(self, text: str) -> None:
        self.said.value = f'<span class="reswork-muted">{escape(text)}</span>' if text else ""

    # --- smaller ---------------------------------------------------------------------------------

    def _make_smaller(self) -> None:
        self._begin("max_megabytes", self._searched)

    def _searched(self) -> Iterator[None]:
        run, values = self._run, self.form.values
        assert run is not None
        data = data_of(run, self._data)
        search = Search(run, data, max_megabytes=values["max_megabytes"], max_ms=values["max_ms"],
                        recipe=replace(TUNING, epochs=values["epochs"]))  # fmt: skip
        self._judged_on, self._sheet = data, None
        self._set_said("measured what it costs")
        yield
        seconds = search.seconds()
        told = f"About {_duration(seconds)} for {len(search.ways)} ways, by the time that one batch took."
        self.costs["smaller"].value = f'<span class="reswork-muted">{escape(told)}</span>'
        yield
        self.found, shown = search.found, 0
        for said in search.steps():
            if said:
                self._set_said(said)
            if len(search.found.forms) + len(search.found.skipped) != shown:
                shown = len(search.found.forms) + len(search.found.skipped)
                self._draw_forms()
            yield
        self._draw_forms()

    def _draw_forms(self) -> None:
        found, run = self.found, self._run
        if found is None or run is None or not found.forms:
            return
        self._draw_table()
        names = (_AS_IT_IS, *(each.numbers.name for each in found.forms[1:]))
        chosen = self.form.fields["form"].value
        self.form.offer("form", names, chosen if chosen in names else _AS_IT_IS)
        if found.worth is not None and self._sheet is None and self._judged_on is not None:
            self._sheet = as_built(found.forms[0].network, as_inputs(self._judged_on, np.array([0])))
            self.worth.show(figures.block_worth(found.worth, self._sheet))
            self.deletions.show(figures.deletions(found.worth))
            self._blocks.layout.display = None
        self._results.layout.display = None

    def _draw_table(self) -> None:
        if self.found is None:
            return
        table = self.found.table
        self.pareto.show(figures.pareto(table, _COSTS[self.against.value]))  # type: ignore[arg-type]
        self.table.value = _table_html(table)

    # --- export, check, time, serve --------------------------------------------------------------

    def _export(self) -> None:
        self._begin("folder", self._exported)

    def _exported(self) -> Iterator[None]:
        run, values = self._run, self.form.values
        assert run is not None
        self._set_said("written and proved")
        yield
        form = self._form(values["form"])
        given: Any = run
        if form is not None:
            given = form.network if form.weights is None else form.checkpoint
        made = export(given, values["folder"], data=data_of(run, self._data), format=values["format"],
                      precision=values["precision"])  # fmt: skip
        self._tell(f"<b>{escape(str(made.folder))}</b>: {escape(made.facts['told'])}; "
                   f"{escape(made.facts['proof']['sentence'])}")  # fmt: skip
        yield

    def _draw_changed(self) -> None:
        """The images that a form answers otherwise than the network as it was."""
        form, data = self._form(self.form.fields["form"].value), self._judged_on
        changed = None if form is None else form.numbers.changed
        self.changed.layout.display = "none"
        if changed is None or data is None or form is None:
            self._told_changed.value = ""
            return
        self._told_changed.value = f"<b>{escape(form.numbers.name)}</b>: {escape(changed.sentence)}"
        rows = changed.changed[:_SHOWN]
        if not len(rows) or not len(changed.first_answers):
            return
        titles = [
            f"{data.classes[changed.first_answers[k]]} → {data.classes[changed.second_answers[k]]}"
            for k in rows
        ]
        images = data.test.images[rows.tolist()].cpu().numpy()
        self.changed.show(figures.image_grid(images, titles, title="Answered otherwise"))
        self.changed.layout.display = None

    def _form(self, name: str) -> Form | None:
        if self.found is None or name == _AS_IT_IS:
            return None
        with suppress(KeyError):
            return self.found[name]
        return None

    def _folder(self) -> Artefact:
        return open_artefact(Path(str(self.form.fields["folder"].value).strip() or "shipped"))

    def _check(self) -> None:
        self._begin("folder", self._checked)

    def _checked(self) -> Iterator[None]:
        self._set_said("looks at every file")
        yield
        found = check_artefact(self._folder())
        word = "is as it was exported" if found.holds else "is NOT as it was exported"
        lines = "".join(f"<li>{escape(each)}</li>" for each in found.sentences)
        self._tell(f"<b>{escape(found.folder)}</b> (version {escape(found.version)}) {word}.<ul>{lines}</ul>")
        yield

    def _time(self) -> None:
        self._begin("batch_sizes", self._timed)

    def _timed(self) -> Iterator[None]:
        sizes, artefact = _sizes(self.form.fields["batch_sizes"].value), self._folder()
        self._set_said("timed, in a process of its own")
        yield
        found = latency(artefact, batch_sizes=sizes, seconds=1.0)
        self.times.show(figures.latency(found))
        self.times.layout.display = None
        self._tell(_latency_html(found))
        yield

    def _serve(self) -> None:
        self._begin("port", self._served)

    def _served(self) -> Iterator[None]:
        self._set_said("started and checked")
        yield
        folder = self._folder()
        self.server = serve(folder, port=self.form.fields["port"].value)
        url, picture = escape(self.server.url), _TO_FILE if folder.form.is_picture else ""
        self.address.value = (
            f"Answers at <code>{url}</code> with version {escape(self.server.version)}. "
            f"<code>curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'{picture} {url}/predict</code>"
        )
        self.dashboard.children = (ServerView(self.server),)
        yield

    def _end_server(self) -> None:
        self._begin("port", self._ended)

    def _ended(self) -> Iterator[None]:
        server, self.server = self.server, None
        self._set_said("answers what has come, then ends")
        yield
        if server is not None:
            self._empty(self.dashboard)
            status = server.stop()
            self.address.value = f"The server ended with status {status}."
        yield

    # --- what it costs and brings ----------------------------------------------------------------

    def _plan(self) -> None:
        self._begin("prices", self._planned)

    def _planned(self) -> Iterator[None]:
        run, prices = self._run, self._prices()
        assert run is not None
        self._set_said("begins this training anew, to time it")
        yield
        network = model_of(run)
        config = getattr(network, "config", None)
        found = plan(config if isinstance(config, ResNetConfig) else network, data_of(run, self._data), run.recipe,
                     prices=prices)  # fmt: skip
        self._show_money(PlanView(found))
        yield

    def _count(self) -> None:
        self._begin("prices", self._counted)

    def _counted(self) -> Iterator[None]:
        run, prices = self._run, self._prices()
        assert run is not None
        self._set_said("counts")
        yield
        self._show_money(ReturnsView(run, data_of(run, self._data), prices))
        yield

    def _prices(self) -> Prices:
        return chosen(str(self.form.fields["prices"].value).strip() or None)

    def _show_money(self, view: PlanView | ReturnsView) -> None:
        """In the place of the last one of its kind."""
        last = [each for each in self.money.children if type(each) is type(view)]
        kept = [each for each in self.money.children if each not in last]
        self.money.children = tuple(sorted((*kept, view), key=lambda each: isinstance(each, ReturnsView)))
        for each in last:
            each.close()

    def _tell(self, html: str) -> None:
        self.result.value = html


def _timing_s(sizes: str) -> float:
    try:
        return 3.0 + 1.5 * len(_sizes(sizes))
    except InvalidSetting:
        return 3.0


def _sizes(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise InvalidSetting("batch_sizes", f"{text!r} are no numbers of images; give such as 1, 8")
    return found


def _table_html(table: SizedTable) -> str:
    """All forms with their numbers, two lines each; the best within the budget stands out."""
    heads = (("form", ""), (table.original.metric, "95 %"), ("changed", "images"), ("MB", "parameters"),
             ("p50 ms", "p95, p99"), ("MMACs", "MiB"))  # fmt: skip
    rows = ["".join(f"<th>{_two_lines(*each)}</th>" for each in heads)]
    best = table.best
    for each in table.forms:
        p95, p99 = (1e3 * each.times.quantile(q).value for q in (0.95, 0.99))
        cells = (
            (
                f"{each.value:.1%}",
                "" if np.isnan(each.low) else f"{100 * each.low:.1f} to {100 * each.high:.1f}",
            ),
            ("" if each.changed is None else f"{int(each.changed.different.sum()):,}", ""),
            (f"{each.megabytes:.2f}", f"{each.parameters:,}"),
            (f"{each.p50_ms:.2f}", f"{p95:.2f}, {p99:.2f}"),
            (f"{each.macs / 1e6:.2f}", f"{each.memory_bytes / 2**20:.0f}"),
        )
        name = f"<b>{escape(each.name)}</b>" if each is best else escape(each.name)
        rows.append(f"<td>{name}</td>" + "".join(f"<td>{_two_lines(*cell)}</td>" for cell in cells))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    words = "".join(f"<p>{escape(each)}</p>" for each in (*table.skipped, table.sentence))
    return f'<div class="reswork-wide"><table class="reswork-table reswork-forms">{body}</table></div>{words}'


def _latency_html(found: Latency) -> str:
    """Milliseconds of a call, an interval of 95 % below each, and what the engines cost beside their calls."""
    heads = (("engine", "calls"), ("images", "a second"), ("p50 ms", "95 %"), ("p95", ""), ("p99", ""))
    rows = ["".join(f"<th>{_two_lines(*each)}</th>" for each in heads)]
    for each in found.times:
        spans = [each.quantile(q) for q in (0.5, 0.95, 0.99)]
        cells = [
            (each.name, f"{len(each.seconds):,}"), (str(each.batch_size), f"{each.images_per_second:,.0f}"),
            *((f"{1e3 * span.value:.3g}", _between(span)) for span in spans),
        ]  # fmt: skip
        rows.append("".join(f"<td>{_two_lines(*cell)}</td>" for cell in cells))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    words = "".join(f"<p>{escape(each)}</p>" for each in (*found.sentences, f"On {found.machine}."))
    return f'<div class="reswork-wide"><table class="reswork-table reswork-forms">{body}</table></div>{words}'


def _between(span: Quantile) -> str:
    known = np.isfinite([span.low, span.high]).all()
    return f"{1e3 * span.low:.2g} to {1e3 * span.high:.2g}" if known else ""


def _two_lines(first: str, second: str) -> str:
    below = f'<br><span class="reswork-muted">{escape(second)}</span>' if second else ""
    return escape(first) + below


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
