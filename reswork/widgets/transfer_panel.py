"""Begin with trained weights: where they are from, what of them stands still, and what they are worth."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import ipywidgets as w

from reswork import figures
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.sheet import spec_sheet
from reswork.store import AnyRun
from reswork.store.run_table import runs
from reswork.store.saved_run import load_run
from reswork.training.recipe import LayerNumbers, Recipe, innermost
from reswork.transfer.adoption import Adopted, adopt
from reswork.transfer.before_and_after import before_and_after
from reswork.transfer.sources import Source, open_source
from reswork.transfer.stages import BODY, frozen_to, joining_in_turn, rates_by_stage, stages
from reswork.widgets.compare_view import CompareView
from reswork.widgets.form import ErrorLine, Field, Form, button, menu_field, number_or_none, text_of
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part, accordion
from reswork.widgets.recipe_panel import RecipePanel
from reswork.widgets.steps_view import StepsView, forgetting_steps_view, worth_steps_view
from reswork.widgets.working_view import note

TITLE = "Begin with trained weights (fine-tuning)"
_MOST_RUNS = 50  # in the list
_WORDS = (
    "A run of yours, a file of weights, or published ones: the network is then theirs, with an answer for each class "
    "of these data."
)
_DRAWN = (
    "Click a block: all up to it stands still. Where rates differ, colour says by what factor; 0: frozen."
)


class TransferPanel:
    """A closed section of the page Recipe; what it says about layers it writes into the recipe's own fields.

    Args:
        recipe: the panel whose form it fills.
        data: gives the chosen data set.
        took: called after weights were chosen or left, with the settings of their network where they are known.

    Attributes:
        view: the part of the page.
        form: its fields.
        source: the weights to begin with; None: new ones.
    """

    def __init__(
        self,
        recipe: RecipePanel,
        data: Callable[[], Dataset],
        took: Callable[[ResNetConfig | None], None] = lambda config: None,
    ) -> None:
        self._recipe, self._data, self._took = recipe, data, took
        self.source: Source | None = None
        self._run: AnyRun | None = None
        self.worth: StepsView | None = None
        self.forgetting: StepsView | None = None
        self.compared: CompareView | None = None
        self._worker = LatestJob(self._failed)
        self.form = Form(_fields(), self._changed)
        self._inner: Part | None = None  # what is in the section, from when the page is first shown
        self.view = Part(self._closed)

    def settings(self, adopted: Adopted, recipe: Recipe) -> dict[str, Any]:
        """What ``run.json`` keeps of a network that `adopted` gave; of the stages what the recipe really says."""
        values, model = self.form.values, adopted.model
        last, decay, every = values["frozen_to"], values["rate_decay"] or 1.0, values["unfreeze_every"]
        if last is not None and frozen_to(model, last) != recipe.frozen:
            last = None
        if rates_by_stage(model, decay) != dict(recipe.layer_rates):
            decay = None
        if every is not None and joining_in_turn(model, recipe.frozen, every) != dict(recipe.unfreeze_epochs):
            every = None
        return {**adopted.settings, "frozen_to": last, "rate_decay": decay, "unfreeze_every": every}

    def adopted(self, data: Dataset, seed: int, config: ResNetConfig | None) -> Adopted:
        """The network to be trained.

        Raises:
            InvalidSetting: where the weights do not fit these data or this network.
        """
        assert self.source is not None
        values = self.form.values
        return adopt(
            self.source,
            data,
            head=values["head"],
            stem=values["stem"],
            norms=values["norms"],
            seed=seed,
            config=config if self.source.config is not None else None,
        )

    def watch(self, run: AnyRun) -> None:
        """Offer what was before and after for this run."""
        self._run = run
        if self._inner is not None and self._inner.is_made:
            self.compare.disabled = False

    def apply(self) -> None:
        """Write what is asked into the recipe again, after a preset has filled its form."""
        self._changed()

    @property
    def _is_open(self) -> bool:
        return self._inner is not None and self._inner.is_shown

    def renew(self) -> None:
        """Go through everything once more, after the data or the recipe changed elsewhere."""
        if self._is_open:
            self._draw()

    def wait(self, seconds: float = 60) -> bool:
        """Wait until what was asked for last is there; False after so many seconds."""
        return self._worker.wait(seconds)

    def show(self) -> None:
        """Open the section."""
        self._accordion.selected_index = 0

    def close(self) -> None:
        """End what is computed; the widgets are closed with their tree."""
        self._worker.cancel()
        for view in (self.worth, self.forgetting, self.compared):
            if view is not None:
                view.close()

    def _closed(self) -> list[w.Widget]:
        self._inner = Part(self._made, self._draw)
        self._inner.add_class("reswork-note")
        self._accordion = accordion({TITLE: self._inner})
        return [self._accordion]

    def _made(self) -> list[w.Widget]:
        self.take = button("Take them", "Begin the next training with these weights", self._ask, "primary")
        self.leave = button("New weights", "Begin the next training with new weights", self._leave)
        self.compare = button(
            "Before and after",
            "What the run that is shown changed: answers, features, weights",
            self._ask_compared,
        )
        self.compare.disabled = self._run is None
        self.error, self._said = ErrorLine(), w.HTML()
        self.drawing = LiveFigure()
        self.drawing.on_click(self._freeze_to)
        self._place, self._compared_place = w.VBox(), w.VBox()
        self._worker.submit(self._list_runs)
        left = w.VBox([
            w.HTML(f'<span class="reswork-muted">{_WORDS}</span>'),
            *self.form.views("source", "download"), w.HBox([self.take, self.leave]), self._said,
            *self.form.views("head", "stem", "norms", "frozen_to", "rate_decay", "unfreeze_every"),
            w.HBox([self.compare]), self.error,
        ])  # fmt: skip
        self._right = w.VBox([note(f'<span class="reswork-muted">{_DRAWN}</span>'), self.drawing])
        columns = w.Box([left, self._right])
        columns.add_class("reswork-columns")
        return [columns, self._place, self._compared_place]

    def _list_runs(self) -> Iterator[None]:
        """The names of runs to choose from, read beside the page."""
        found = [run.name for run in runs() if run.unreadable is None and run.config is not None and run.done]
        self.form.offer("source", tuple(found[:_MOST_RUNS]), self.form.values["source"])
        yield

    def _ask(self) -> None:
        self.form.clear_errors()
        wanted = self.form.values["source"]
        if not wanted:
            self.form.show_error("source", "Name a run, a file, or published weights.", otherwise="source")
            return
        self._said.value = f'<span class="reswork-muted">Opening {escape(wanted)} ...</span>'
        self._worker.submit(lambda: self._taken(wanted, bool(self.form.values["download"])))

    def _taken(self, wanted: str, download: bool) -> Iterator[None]:
        try:
            source = open_source(wanted, download=download)
        except InvalidSetting as error:
            self._said.value = ""
            self.form.show_error(
                "download" if error.field == "download" else "source", error.message, otherwise="source"
            )
            return
        old = _known_data(source, self._data())
        yield
        self.source = source
        names = tuple(stage.name for stage in stages(source.model)[:-1])
        self.form.offer("frozen_to", (*names, BODY), self.form.values["frozen_to"] or "")
        self._took(source.config)
        self._changed()
        self._show_worth(old)

    def _leave(self) -> None:
        self.form.clear_errors()
        if self.source is None:
            return
        self.source = None
        self.form.set(frozen_to=None, rate_decay=None, unfreeze_every=None, norms="batch")
        self._recipe.form.set(
            frozen=(), layer_rates=LayerNumbers(), unfreeze_epochs=LayerNumbers(), norm_statistics="batch"
        )
        self._close_worth()
        self._took(None)
        self._draw()

    def _freeze_to(self, name: str) -> None:
        """Freeze up to the block that was clicked; clicked once more, nothing."""
        if self.source is not None:
            same = self.form.values["frozen_to"] == name
            self.form.set(frozen_to=None if same else name)

    def _changed(self) -> None:
        """Write what was asked of the stages into the recipe."""
        if self.source is None:
            return
        self.form.clear_errors()
        values, model = self.form.values, self.source.model
        try:
            frozen = () if values["frozen_to"] is None else frozen_to(model, values["frozen_to"])
            rates = rates_by_stage(model, 1.0 if values["rate_decay"] is None else values["rate_decay"])
            every = values["unfreeze_every"]
            joins = {} if every is None else joining_in_turn(model, frozen, every)
        except InvalidSetting as error:
            self.form.show_error(error.field, error.message, otherwise="source")
            return
        self._recipe.form.set(
            frozen=frozen,
            layer_rates=LayerNumbers(rates),
            unfreeze_epochs=LayerNumbers(joins),
            norm_statistics="batch" if values["norms"] == "batch" else "kept",
        )
        if self._is_open:
            self._draw()

    def _draw(self) -> None:
        self.leave.disabled = self.source is None
        source = self.source
        self._right.layout.display = None if source is not None and source.config is not None else "none"
        if source is None:
            self._said.value = ""
            return
        data = self._data()
        try:
            told = adopt(source, data, head=self.form.values["head"], stem=self.form.values["stem"])
        except InvalidSetting as error:
            self._said.value = ""
            self.form.show_error(error.field, error.message, otherwise="source")
            return
        self._said.value = escape(told.sentence)
        config = getattr(told.model, "config", None)
        if isinstance(config, ResNetConfig):
            recipe = self._recipe.recipe or Recipe()
            sheet = spec_sheet(config, data.input_shape)
            rates = {block.name: _rate(block.name, recipe) for block in sheet.blocks}
            coloured = rates if any(rate != 1 for rate in rates.values()) else None
            self.drawing.show(figures.network(sheet, coloured, self.form.values["frozen_to"]))

    def _show_worth(self, old: Dataset | None) -> None:
        """Offer to compare, and where the old data are known and alike, to ask what is forgotten of them."""
        self._close_worth()
        data = self._data()
        if self.source is None or data.target_kind != "labels":
            return
        fewest = int(data.class_counts("train").min())
        images = tuple(count for count in (20, 100, 500) if count <= fewest) or (fewest,)
        self.worth = worth_steps_view(self.source, data, images=images)
        heading = (
            "<b>Is it worth it?</b> Against training from nothing, with few images of a class and with more."
        )
        parts: list[w.Widget] = [note(heading), self.worth]
        if old is not None:
            self.forgetting = forgetting_steps_view(self.source, old, data)
            asked = f"the network learns {escape(data.name)} and is asked for {escape(old.name)}."
            parts += [note(f"<b>What is forgotten?</b> While {asked}"), self.forgetting]
        self._place.children = tuple(parts)

    def _close_worth(self) -> None:
        self._place.children = ()
        for view in (self.worth, self.forgetting):
            if view is not None:
                view.leave()
        self.worth = self.forgetting = None

    def _ask_compared(self) -> None:
        self.error.tell("")
        run = self._run
        if run is not None:
            self._worker.submit(lambda: self._compared(run))

    def _compared(self, run: AnyRun) -> Iterator[None]:
        data = self._data()
        known = (data.name, data.classes) == (run.dataset_name, run.classes)
        found = before_and_after(run, data if known else None)
        yield
        before = self.compared
        self.compared = CompareView(found, has_assets=False)
        self._compared_place.children = (note(f"<b>{escape(run.name)}, before and after</b>"), self.compared)
        if before is not None:
            before.leave()

    def _failed(self, error: Exception) -> None:
        self._said.value = ""
        self.error.tell(str(error))


def _known_data(source: Source, data: Dataset) -> Dataset | None:
    """What a run learned from, where it is built in, other than the chosen data, and of their form."""
    if source.kind != "run" or data.target_kind != "labels":
        return None
    try:
        old = load_run(source.name).load_data()
    except InvalidSetting:
        return None
    alike = old.target_kind == "labels" and old.input_shape == data.input_shape
    return old if alike and old.fingerprint != data.fingerprint else None


def _rate(block: str, recipe: Recipe) -> float:
    """What the learning rate of a block is multiplied by when the training begins; 0: it is frozen."""
    if innermost(block, recipe.frozen) is not None:
        return 0.0
    layer = innermost(block, recipe.layer_rates)
    return 1.0 if layer is None else recipe.layer_rates[layer]


def _fields() -> dict[str, Field]:
    def typed(label: str, placeholder: str, tip: str) -> Field:
        return Field(
            label,
            w.Text,
            tip,
            placeholder=placeholder,
            continuous_update=False,
            read=number_or_none,
            write=text_of,
        )

    return {
        "source": Field("Weights from", w.Combobox, "Name or folder of a run, a file of weights, or published weights "
                        "such as torchvision/resnet18 or timm/resnet18.a1_in1k.", options=(), read=str.strip,
                        placeholder="a run, a file, a name", continuous_update=False,
                        ensure_option=False),
        "download": Field("May download", w.Checkbox, "Fetch published weights that are not on this machine.",
                          value=False, indent=True),
        "head": menu_field("Head", "What stands behind the stages.", ("new", "new"),
                           ("kept: as many answers", "kept"), ("extended: known classes stay", "extended")),
        "stem": menu_field("First layer", "Where the weights are for other channels.", ("kept", "kept"),
                           ("averaged over channels", "averaged"), ("new", "new")),
        "norms": menu_field("Norm statistics", "What batch norms use while they train.",
                            ("each batch's", "batch"), ("the trained ones, kept", "kept"),
                            ("measured anew, then kept", "reestimated")),
        "frozen_to": Field("Frozen up to", w.Combobox, "Stage or block up to which nothing is trained; body: all but "
                           "the head.", options=(), placeholder="layer2, layer2.0 or body",
                           continuous_update=False, ensure_option=False, read=lambda text: text.strip() or None,
                           write=text_of),
        "rate_decay": typed("Rate by stage", "1: all alike, or 0.4",
                            "What the learning rate is multiplied by from stage to stage, towards the input."),
        "unfreeze_every": typed("One more every", "never, or 1 (epochs)",
                                "Epochs after which one more frozen stage joins, the last first."),
    }  # fmt: skip
