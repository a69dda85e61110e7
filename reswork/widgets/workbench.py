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
from reswork.experiment.worlds import WORLDS, World, world_named, world_of
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.store import AnyRun, SavedRun
from reswork.tasks import task_for
from reswork.training.checks import check_layers
from reswork.training.live_run import LiveRun
from reswork.training.recipe import Recipe
from reswork.training.run import Run, active_runs
from reswork.widgets.answers_panel import AnswersPanel
from reswork.widgets.build_panel import BuildPanel
from reswork.widgets.by_code import ByCode
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
from reswork.widgets.ship_panel import ShipPanel
from reswork.widgets.simple_methods import SimpleMethods
from reswork.widgets.static_output import StaticOutput
from reswork.widgets.time_machine import TimeMachine
from reswork.widgets.transfer_panel import TransferPanel
from reswork.widgets.tree import close_tree

PAGES = {  # with what is said of each on hovering
    "Build": "The network",
    "Data": "What it learns from",
    "Recipe": "How it is trained",
    "Train": "The training, live",
    "Inside": "What happens in its layers and blocks, live",
    "Inspect": "Single answers, and where they come from",
    "Debug": "What the network gets wrong, and why",
    "Ship": "Made smaller, exported, timed, served",
}


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
        world: name of what the work is, see `rw.worlds`; None: what ``data`` is for, pictures of classes without any.

    Raises:
        InvalidSetting: there is no such world, ``data`` belongs to another one, or ``config`` is none.

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
        world: str | None = None,
    ) -> None:
        super().__init__()
        if config is not None and not isinstance(config, ResNetConfig):
            raise InvalidSetting(
                "config",
                f"config is a {type(config).__name__}: give a network's settings first, such as "
                "rw.ResNetConfig(depth=20), and a data set by its name, data=...",
            )
        self._starting = threading.Lock()
        self._newest: tuple[nn.Module, int] | None = None  # a snapshot that the inspector has not looked at
        self._listed: str | None = None  # the run that the table shows as begun
        self._still = StaticOutput()
        self._assets = PageAssets()
        data = _data_for(world, data)
        self._world: World | None = None  # that the forms stand for
        self.build = BuildPanel(self._show_plan)
        self.data_panel = DataPanel(data, self._data_changed)
        self.recipe_panel = RecipePanel(
            len(data.train), self._show_plan, self._preset_chosen, world=world_of(data)
        )
        self.engine = EngineChoice()
        self.transfer = TransferPanel(self.recipe_panel, lambda: self.data, self._weights_taken)
        self.run_view = RunView(
            start=self.start, go_on=self.resume, try_fix=self._try_fix, refreshed=self._refreshed
        )
        self.inside = InsidePanel()
        self.inspector = InspectorPanel(data)
        self.film = FilmPanel(self._snapshot_taken)
        self.debug = DebugPanel()
        self.ship = ShipPanel()
        self.runs_panel = RunsPanel(self.run_view.draw_beside, self.watch)
        self.time_machine = TimeMachine(data, self._turned_back, self._moment_seen, self.watch)
        self._plan = w.HTML()
        self._offer = w.HBox([])
        led = not first_steps_seen() if first_steps is None else first_steps
        self._first_steps = w.VBox([FirstSteps(self._take_first_steps_away)] if led else [])
        self.work = w.Dropdown(
            options=[(each.title, each.name) for each in WORLDS],
            value=self.data_panel.world.name,
            description="Work",
            tooltip="What the network is for: brings its data, networks, recipes and panels",
            style={"description_width": "40px"},
            layout=w.Layout(width="370px", flex="0 0 auto"),
        )
        self.work.observe(self._work_chosen, names="value")
        self._by_code = ByCode()
        self._told_work = w.HTML()
        work = w.Box([self.work, self._told_work])
        work.add_class("reswork-work")
        self.pages = w.ToggleButtons(
            options=list(PAGES), tooltips=list(PAGES.values()), value="Build", style={"button_width": "98px"}
        )
        self.pages.observe(self._page_chosen, names="value")
        self._look_row = Part(self._made_look_row, self._look_at_newest)
        self.answers = AnswersPanel()
        self.simple = SimpleMethods(lambda: self.data, lambda: self.run)
        self._sheets: dict[str, tuple[Part, ...]] = {
            "Build": (self.build.view,),
            "Data": (self.data_panel.view,),
            "Recipe": (self.recipe_panel.view, self.engine.view, self.transfer.view),
            "Train": (self.run_view.plots, self.runs_panel.view),
            "Inside": (self.inside.view,),
            "Inspect": (
                self.film.view,
                self._look_row,
                self.inspector.view,
                self.answers.view,
                self.simple.view,
            ),
            "Debug": (self.debug.view,),
            "Ship": (self.ship.view,),
        }
        self._optional: dict[str, tuple[Part, ...]] = {  # by the names in `World.panels`
            "film": (self.film.view,),
            "inspector": (self._look_row, self.inspector.view),
            "debug": (self.debug.view,),
            "ship": (self.ship.view,),
            "answers": (self.answers.view,),
            "simple methods": (self.simple.view,),
        }
        self.children = (
            *(
                self._assets,
                self._first_steps,
                work,
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
        self._data_changed()
        if config is not None:
            self.build.set_config(config)
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
    def world(self) -> World:
        """What the work is: the world of the chosen data set."""
        return world_of(self.data)

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
            self._bring_world_of(run)
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
        self.ship.close()
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

    def _page_chosen(self, change: dict[str, Any]) -> None:
        if not self._by_code:
            self._turn_to(change["new"])

    def _turn_to(self, page: str) -> None:
        shown = self._parts_of(page)
        for part in chain.from_iterable(self._sheets.values()):
            if part not in shown:
                part.hide()
        for part in shown:
            part.show()

    def _parts_of(self, page: str) -> list[Part]:
        """What a page has in the present world; most parts are for all of them."""
        others = [parts for name, parts in self._optional.items() if name not in self.world.panels]
        absent = {*chain.from_iterable(others)}
        return [part for part in self._sheets[page] if part not in absent]

    def _offer_pages(self) -> None:
        """Offer the pages that have something to show, and stay where we are if that is one of them."""
        offered, page = [page for page in PAGES if self._parts_of(page)], self.pages.value
        with self._by_code:
            if offered != list(self.pages.options):
                self.pages.tooltips = [PAGES[each] for each in offered]
                self.pages.options = offered  # turns to the first one
                self.pages.value = page if page in offered else offered[0]
        self._turn_to(self.pages.value)

    def _work_chosen(self, change: dict[str, Any]) -> None:
        """Read a set of the chosen world in the background; everything else follows from it."""
        if self._by_code:
            return
        world = world_named(change["new"])
        self._tell_work(world, f"Reading {next(iter(world.data))} ...")
        self.data_panel.choose(world, otherwise=self._work_refused)

    def _work_refused(self, reason: str) -> None:
        self._tell_work(self.world)
        self.run_view.error.tell(reason)

    def _tell_work(self, world: World, told: str = "") -> None:
        with self._by_code:
            self.work.value = world.name
        self._told_work.value = f'<span class="reswork-muted">{escape(told or world.explanation)}</span>'

    def _bring_world_of(self, run: AnyRun) -> None:
        """Let the pages have a run; where it is of another world turn to that first, with its data if it is known."""
        world = world_of(run)
        if world is self.world:
            self._follow(run)
        elif isinstance(run, Run):
            self.data_panel.set_data(run.data)  # `_data_changed` does the rest
        else:
            self._tell_work(world, f"Reading {run.dataset_name} ...")
            self.data_panel.choose(world, run.dataset_name, otherwise=self._work_refused)

    def _follow(self, run: AnyRun) -> None:
        """Let the pages that look inside have the run; one from disk has no moments to follow."""
        self.inside.watch(run)
        self.transfer.watch(run)
        if "inspector" not in self.world.panels or world_of(run) is not self.world:
            self.time_machine.leave()  # it shows pictures, and those of another run have no place beside this one
            self._follow_others(run)
            return
        if "answers" in self.world.panels:
            self._follow_others(run)
        self.debug.watch(run, self.data)
        self.ship.watch(run, self.data)
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
            if "film" in self.world.panels and "inspector" not in self.world.panels:
                self.film.follow(run, self.data)
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
        if self.run is None or world_of(self.run) is not self.world:
            return  # it takes other inputs
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
        if not hasattr(self, "_optional"):
            return  # the forms are being made
        data, world, before = self.data, self.world, self._world
        begin = world.config(data) if world is not before else None
        self._world = world
        self.build.set_input(data.input_shape, task_for(data).head(data), begin=begin, one=world.one)
        self._tell_work(world)
        self._offer_pages()
        self.recipe_panel.set_data(len(data.train), world)
        chosen = self.data_panel.augmentation or Augmentation()
        self.recipe_panel.set_augmentation(chosen.fitting(data.input_kind))
        self.transfer.renew()
        if before not in (None, world):
            self._look_at_another_world()

    def _weights_taken(self, config: ResNetConfig | None) -> None:
        """Show the network of the weights that were chosen, so that it can be seen and is what is trained."""
        if config is not None:
            self.build.set_config(config)
        self._show_plan()

    def _look_at_another_world(self) -> None:
        """Forget networks that take other inputs; a run of this world that is watched comes back to its pages."""
        self._newest = None
        if "inspector" in self.world.panels:
            self.inspector.begin_anew(self.data)
        run = self.run
        if run is not None and world_of(run) is self.world:
            try:
                self._follow(run)
            except InvalidSetting as error:
                self.run_view.error.tell(error.message)

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


def _data_for(world: str | None, data: Dataset | None) -> Dataset:
    """What to begin with; what is refused says why."""
    if world is None:
        return data if data is not None else datasets.fashion()
    chosen = world_named(world)
    if data is None:
        return chosen.load()
    if not chosen.fits(data):
        raise InvalidSetting(
            "world",
            f"world={world!r}, and {data.name!r} is for world={world_of(data).name!r}: leave world out",
        )
    return data


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
