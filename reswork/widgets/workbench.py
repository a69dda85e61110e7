"""The workbench: build a network, choose data and a recipe, train, and watch, in one notebook cell."""

import threading
from html import escape
from importlib import import_module
from itertools import chain
from typing import Any

import ipywidgets as w
import torch
from IPython.display import display
from torch import nn

from reswork import datasets
from reswork.datasets import Augmentation, Dataset
from reswork.diagnosis import Finding
from reswork.errors import InvalidSetting
from reswork.experiment import processes
from reswork.experiment.launch import train
from reswork.experiment.looking_back import Look
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.store import AnyRun, SavedRun
from reswork.tasks import task_for
from reswork.training.checks import check_layers
from reswork.training.live_run import LiveRun
from reswork.training.recipe import Recipe
from reswork.training.run import active_runs
from reswork.widgets.answers_panel import AnswersPanel
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.data_panel import DataPanel
from reswork.widgets.debug_panel import DebugPanel
from reswork.widgets.engine_choice import EngineChoice
from reswork.widgets.film_panel import FilmPanel
from reswork.widgets.first_steps import FirstSteps, first_steps_seen
from reswork.widgets.inside_panel import InsidePanel
from reswork.widgets.inspector import InspectorPanel
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.parts import Part
from reswork.widgets.recipe_panel import FINE_TUNING, RecipePanel
from reswork.widgets.refresh import in_background
from reswork.widgets.run_view import RunView
from reswork.widgets.runs_panel import RunsPanel
from reswork.widgets.static_output import StaticOutput
from reswork.widgets.time_machine import TimeMachine
from reswork.widgets.transfer_panel import TransferPanel
from reswork.widgets.tree import close_tree

_IMAGES_ONLY = "Report and reasons are of pictures; for signals, tables and texts see the page Inspect."
PAGES = ("Build", "Data", "Recipe", "Train", "Inside", "Inspect", "Debug")


class Workbench(w.VBox):
    """The whole workbench as one widget.

    A run that goes on in this kernel, or in a process of its own, is taken up again with its whole history; otherwise
    the last run on disk is offered. The training itself is what `reswork.train` returns, in
    ``workbench.run``; everything the page shows can be had from it.

    Args:
        config: the network to begin with; its input channels and classes follow the data.
        data: the data set to begin with; None: the built-in Fashion-MNIST.
        recipe: the settings to begin with; None: the first preset.
        first_steps: whether to say what to press first; None: until somebody has taken that away on this machine.

    Example:
        >>> workbench = Workbench()                     # doctest: +SKIP
        >>> workbench.run.history.last("loss/test")     # doctest: +SKIP
    """

    def __init__(
        self,
        config: ResNetConfig | None = None,
        data: Dataset | None = None,
        recipe: Recipe | None = None,
        *,
        first_steps: bool | None = None,
    ) -> None:
        super().__init__()
        self._starting = threading.Lock()
        self._newest: tuple[nn.Module, int] | None = None  # a snapshot that the inspector has not looked at
        self._listed: str | None = None  # the run that the table shows as begun
        self._still = StaticOutput()
        self._assets = PageAssets()
        data = data if data is not None else datasets.fashion()
        self.build = BuildPanel(self._show_plan)
        self.data_panel = DataPanel(data, self._data_changed)
        self.recipe_panel = RecipePanel(len(data.train), self._show_plan, self._preset_chosen)
        self.engine = EngineChoice()
        self.transfer = TransferPanel(self.recipe_panel, lambda: self.data, self._weights_taken)
        self.run_view = RunView(
            start=self.start, go_on=self.resume, try_fix=self._try_fix, refreshed=self._refreshed
        )
        self.inside = InsidePanel()
        self.inspector = InspectorPanel(data)
        self.film = FilmPanel(self._snapshot_taken)
        self.debug = DebugPanel()
        self.runs_panel = RunsPanel(self.run_view.draw_beside, self.watch)
        self.time_machine = TimeMachine(data, self._turned_back, self._moment_seen, self.watch)
        self._plan = w.HTML()
        self._offer = w.HBox([])
        led = not first_steps_seen() if first_steps is None else first_steps
        self._first_steps = w.VBox([FirstSteps(self._take_first_steps_away)] if led else [])
        self.pages = w.ToggleButtons(
            options=PAGES,
            value="Build",
            style={"button_width": "110px"},
            tooltips=(
                "The network",
                "The pictures",
                "How it is trained",
                "The training, live",
                "What happens in its layers and blocks, live",
                "One picture: answers, feature maps, attributions",
                "What the network gets wrong, and why",
            ),
        )
        self.pages.observe(lambda change: self._turn_to(change["new"]), names="value")
        self._look_row = Part(self._made_look_row, self._look_at_newest)
        self.answers = AnswersPanel()
        self._images_only = Part(lambda: [w.HTML(f'<span class="reswork-muted">{_IMAGES_ONLY}</span>')])
        self._sheets = {
            "Build": (self.build.view,),
            "Data": (self.data_panel.view,),
            "Recipe": (self.recipe_panel.view, self.engine.view, self.transfer.view),
            "Train": (self.run_view.plots, self.runs_panel.view),
            "Inside": (self.inside.view,),
            "Inspect": (self.film.view, self._look_row, self.inspector.view, self.answers.view),
            "Debug": (self.debug.view, self._images_only),
        }
        self.children = (
            *(
                self._assets,
                self._first_steps,
                self.run_view.bar,
                self._plan,
                self._offer,
                self.time_machine.scrubber.view,
                self.pages,
            ),
            *chain.from_iterable(self._sheets.values()),
            self.time_machine.view,
        )
        self.add_class("reswork")
        if config is not None:
            self.build.set_config(config)
        self._data_changed()
        if recipe is not None:
            self.recipe_panel.set(recipe)
            self.data_panel.set_augmentation(recipe.augmentation.fitting(self.data.input_kind))
        self._attach()
        if self.run is None:
            self._turn_to("Build")

    @property
    def run(self) -> AnyRun | None:
        """The run that is shown, None before the first one."""
        return self.run_view.run

    @property
    def data(self) -> Dataset:
        """The chosen data set."""
        return self.data_panel.data

    @property
    def config(self) -> ResNetConfig | None:
        """The network as the form says; None while it cannot be built."""
        return self.build.config

    @property
    def recipe(self) -> Recipe | None:
        """The settings as the form says; None while they are impossible."""
        return self.recipe_panel.recipe

    def start(self) -> None:
        """Train the network that the forms describe; does nothing while a run goes on."""
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self.run is not None and self.run.is_live and not self.run.done:
                return
            self._check_forms()
            assert self.config is not None and self.recipe is not None
            self.engine.form.clear_errors()
            try:
                model, transfer = self._new_network(self.config, self.recipe)
                check_layers(model, self.recipe)
                run = train(model, self.data, self.recipe, **self.engine.settings, transfer=transfer)
            except InvalidSetting as error:
                self._point_at(error)
                raise
            self.watch(run)
        finally:
            self._starting.release()

    def _new_network(self, config: ResNetConfig, recipe: Recipe) -> tuple[nn.Module, dict[str, Any] | None]:
        """With new weights, or with those that were chosen, and then where they are from."""
        if self.transfer.source is not None:
            adopted = self.transfer.adopted(self.data, recipe.seed, config)
            return adopted.model, self.transfer.settings(adopted, recipe)
        torch.manual_seed(recipe.seed)
        return resnet(config), None

    def resume(self, saved: SavedRun) -> None:
        """Go on with a run from disk that ended before its last step, as if it had never stopped."""
        data = self.data if self.data.fingerprint == saved.dataset_hash else None
        self.watch(self.engine.resume(saved, data))

    def _try_fix(self, finding: Finding, run: AnyRun) -> LiveRun:
        """Train with a fix of the doctor's, and show that beside the run that it is about."""
        assert finding.fix is not None
        saved = not run.is_live and self.data.fingerprint == run.dataset_hash
        new = finding.fix.branch(run, data=self.data if saved else None)
        self.watch(new)
        self.run_view.draw_beside({run.name: run.history})
        return new

    def watch(self, run: AnyRun) -> None:
        """Show a run: a live one with all its buttons, one from disk as it ended."""
        run = _taken_up(run)
        for widget in self._offer.children:
            close_tree(widget)
        self._offer.children = ()
        try:
            self.run_view.watch(run)
            self._follow(run)
        except InvalidSetting as error:
            self.run_view.error.tell(error.message)
        self.runs_panel.renew()
        self.pages.value = "Train"

    def close(self) -> None:
        """Take the workbench off the page and free all its widgets; a run that goes on is not touched."""
        self.run_view.refresher.stop()
        self.film.close()
        self.answers.close()
        self.time_machine.close()
        self.inspector.close()
        self.debug.close()
        self.transfer.close()
        if self.comm is not None:
            close_tree(self)

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        self._still.show(self.run)
        in_background(_import_ahead)

    def _take_first_steps_away(self) -> None:
        for widget in self._first_steps.children:
            close_tree(widget)
        self._first_steps.children = ()

    def _check_forms(self) -> None:
        for form, ready in (
            ("Build", self.config),
            ("Recipe", self.recipe),
            ("Data", self.data_panel.augmentation),
        ):
            if ready is None:
                self.pages.value = form
                raise InvalidSetting(
                    form, f"The {form} form holds a value that cannot be used; see the red sentence."
                )

    def _point_at(self, error: InvalidSetting) -> None:
        """Show what was refused under its field, where the page Recipe has it."""
        for form in (self.recipe_panel.form, self.engine.form, self.transfer.form):
            if error.field in form.fields:
                self.pages.value = "Recipe"
                form.show_error(error.field, error.message, otherwise=error.field)
                if error.field in FINE_TUNING:
                    self.recipe_panel.show_fine_tuning()
                elif form is self.transfer.form:
                    self.transfer.show()

    def _turn_to(self, page: str) -> None:
        shown = [part for part in self._sheets[page] if self._fits(part)]
        for part in chain.from_iterable(self._sheets.values()):
            if part not in shown:
                part.hide()
        for part in shown:
            part.show()

    def _fits(self, part: object) -> bool:
        """Whether a part of a page is for what the data set holds; most parts are for everything."""
        of_images = (self.film.view, self._look_row, self.inspector.view, self.debug.view)
        of_others = (self.answers.view, self._images_only)
        return part not in (of_others if self.data.input_kind == "images" else of_images)

    def _follow(self, run: AnyRun) -> None:
        """Let the pages that look inside have the run; one from disk has no moments to follow."""
        self.inside.watch(run)
        self.transfer.watch(run)
        if self.data.input_kind != "images" or (not run.is_live and len(run.input_shape) != 3):
            self._follow_others(run)
            return
        self.debug.watch(run, self.data)
        self.time_machine.set_data(self.data)
        self.time_machine.watch(run)
        if run.is_live:
            if (run.dataset_name, run.classes) == (self.data.name, self.data.classes):
                self._pictures = self.data
                self.inspector.set_data(self._pictures)
                self.film.follow(run, self._pictures)
        else:
            self.inspector.set_data(self.data)
            self._follow_saved(run)

    def _follow_others(self, run: AnyRun) -> None:
        """Let the page Inspect show what is answered, where inputs are no images."""
        if (run.dataset_name, run.classes) != (self.data.name, self.data.classes):
            return
        if run.is_live:
            self.answers.follow(run, self.data)
        elif run.config is not None and run.input_shape == self.data.input_shape:
            self.answers.look_at(run.model(), self.data, run.steps_done)

    def _follow_saved(self, run: SavedRun) -> None:
        """Let the inspector look at the final network, where it was built here for these pictures."""
        if run.config is not None and run.input_shape == self.data.input_shape:
            self.inspector.look_at(run.model(), run.name)

    def _made_look_row(self) -> list[w.Widget]:
        self._keep_up = w.Checkbox(value=True, description="keep up with the training", indent=False)
        pin = w.Button(
            description="Pin this picture", tooltip="Follow this test picture in the film strip above"
        )
        pin.on_click(lambda _button: self.film.pin(self.inspector.place))
        return [w.HBox([pin, self._keep_up])]

    def _turned_back(self, step: int | None) -> None:
        """Turn curves and plots to a step; from a thread of the time machine."""
        self.run_view.turn_to(step)
        self.inside.turn_to(step)
        self.inside.refresh()
        run = self.run
        if step is None and run is not None and not run.is_live:
            self._follow_saved(run)

    def _moment_seen(self, look: Look) -> None:
        """Give the network of an earlier moment to the inspector, and its tables to the plots."""
        if look.found is not None:
            self.run_view.turn_to(self.time_machine.step, look.found.tables.get("confusion"))
            return
        self._newest = look.model, look.step
        self._look_at_newest()

    def _snapshot_taken(self, snapshot: nn.Module, step: int) -> None:
        """Let the inspector look at it, if its page is open and it has done with the last one."""
        if self.time_machine.step is not None:
            return  # an earlier moment is looked at
        self._newest = snapshot, step
        self._look_at_newest(only_a_glance=True)

    def _look_at_newest(self, *, only_a_glance: bool = False) -> None:
        """Show the newest snapshot on an open page, unless a person holds on to the one that is shown."""
        newest = self._newest
        if newest is None or not self._look_row.is_shown:
            return
        if not (self._keep_up.value or self.inspector.model is None):
            return
        snapshot, step = newest
        note, looked = f"The network after {step:,} steps.", True
        if only_a_glance:
            looked = self.inspector.glance_at(snapshot, note)
        else:
            self.inspector.look_at(snapshot, note)
        if looked and self._newest is newest:
            self._newest = None

    def _data_changed(self) -> None:
        data = self.data_panel.data
        self.build.set_input(data.input_shape, task_for(data).head(data))
        if hasattr(self, "_sheets"):
            self._turn_to(self.pages.value)
        if hasattr(self, "recipe_panel"):
            self.recipe_panel.set_data(len(data.train), task_for(data).kind)
            chosen = self.data_panel.augmentation or Augmentation()
            self.recipe_panel.set_augmentation(chosen.fitting(data.input_kind))
        if hasattr(self, "transfer"):
            self.transfer.renew()

    def _weights_taken(self, config: ResNetConfig | None) -> None:
        """Show the network of the weights that were chosen, so that it can be seen and is what is trained."""
        if config is not None:
            self.build.set_config(config)
        self._show_plan()

    def _preset_chosen(self, recipe: Recipe) -> None:
        if hasattr(self, "transfer"):
            self.transfer.apply()
        self.data_panel.set_augmentation(recipe.augmentation.fitting(self.data.input_kind))

    def _show_plan(self) -> None:
        if not hasattr(self, "_plan"):
            return
        model = self.config.label if self.config else "a network that cannot be built"
        source = self.transfer.source
        begins = "" if source is None else f", beginning with the weights of {escape(source.name)}"
        told = f"Start trains {escape(model)} on {escape(self.data.name)}{begins}."
        self._plan.value = f'<span class="reswork-muted">{told}</span>'

    def _attach(self) -> None:
        """Take up a run that goes on in this kernel or in a process of its own, or offer the last one on disk."""
        run = next(reversed(active_runs()), None) or processes.newest_going_on()
        if run is not None:
            self.watch(run)
            return
        last = self.runs_panel.newest
        if last is not None:
            show = w.Button(description="Show it", tooltip=f"Show {last.name} as it ended")
            show.on_click(lambda _button: self.watch(last))
            words = w.HTML(f"The last run here is <b>{escape(last.name)}</b> ({escape(last.state_word)}).")
            buttons = [show]
            if last.can_be_resumed:
                resume = w.Button(description="Resume it", tooltip="Go on with it as if it had never stopped")
                resume.on_click(lambda _button, run=last: self._resume_offered(run))
                buttons.append(resume)
            self._offer.children = (words, *buttons)

    def _resume_offered(self, saved: SavedRun) -> None:
        try:
            self.resume(saved)
        except InvalidSetting as error:
            self.run_view.error.tell(error.message)

    def _refreshed(self) -> None:
        run = self.run
        if run is not None:
            self._still.renew(run)
            self.time_machine.refresh()
            self.inside.refresh()
            began = run.name if run.steps_done else None  # its folder says more than that it is ready
            if run.done or began not in (None, self._listed):
                self._listed = began
                self.runs_panel.renew()


def _import_ahead() -> None:
    """What the first training would wait three seconds for: the compiler, which any optimizer wants, and metrics."""
    for name in ("torch._dynamo", "torchmetrics"):
        import_module(name)


def _taken_up(run: AnyRun) -> AnyRun:
    """One from disk that goes on in a process of its own, to be steered."""
    if not run.is_live and run.pid is not None:
        try:
            return processes.attach(run.directory)
        except InvalidSetting:  # it has just ended
            return run
    return run
