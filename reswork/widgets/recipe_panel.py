"""Recipe: presets that explain themselves, every setting of a training, and its schedule drawn beforehand."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets as w

from reswork import figures
from reswork.datasets import Augmentation
from reswork.errors import InvalidSetting
from reswork.experiment.presets import PRESETS, Preset
from reswork.experiment.worlds import WORLDS, World
from reswork.tasks import Task, task_of_kind
from reswork.training.recipe import Recipe, steps_per_epoch, total_steps
from reswork.training.schedules import learning_rates
from reswork.widgets.form import (
    Field,
    Form,
    layer_numbers,
    listed,
    listed_numbers,
    menu_field,
    number_or_none,
    text_of,
    text_of_layer_numbers,
)
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part, accordion

_OF_SOME_TASKS: dict[str, Any] = {"label_smoothing": 0.1, "mixup": 0.2}
_OF_CLASSES = {"classification", "segmentation", "detection"}
_OF_ANY_SIZE = {
    "classification",
    "regression",
    "verification",
}  # tasks whose targets fit smaller pictures too
_NAMED = 4  # settings that are other than a preset's
FINE_TUNING = ("frozen", "unfreeze_epochs", "layer_rates", "norm_statistics", "class_weights")


class RecipePanel:
    """Presets, the form, and the learning rate over the run as a picture.

    Args:
        count: of the training inputs, which turns epochs into steps.
        changed: called after each change.
        preset_chosen: called with a preset's recipe, whose augmentation belongs to another panel.
        world: whose presets are offered.

    Attributes:
        view: the widget.
        recipe: the settings as they stand, None while the form holds something impossible.
    """

    def __init__(
        self,
        count: int,
        changed: Callable[[], None] = lambda: None,
        preset_chosen: Callable[[Recipe], None] = lambda recipe: None,
        *,
        world: World = WORLDS[0],
    ) -> None:
        self._count, self._world = count, world
        self._announce = changed
        self._preset_chosen = preset_chosen
        self._augmentation = Augmentation()
        self.recipe: Recipe | None = None
        self._preset = world.presets[0]
        self.form = Form(_fields(), self._update)
        self._offer_what_fits()
        self.view = Part(self._made, self._draw)
        self.view.add_class("reswork-columns")
        self.view.add_class("reswork-note")
        self.use_preset(self._preset)

    def _made(self) -> list[w.Widget]:
        self.preset = w.ToggleButtons(
            options=_buttons(self._world.recipes),
            tooltips=_tooltips(self._world.recipes),
            value=self.chosen,
            style={"button_width": "auto"},
        )  # fmt: skip
        self.preset.observe(lambda change: self._pressed(change["new"]), names="value")
        self._explanation, self._sums = w.HTML(), w.HTML()
        self.curve = LiveFigure()
        self._more = accordion({
            "Regularisation": self._section("weight_decay", "decay_norm_and_bias", "label_smoothing", "mixup",
                                            "clip_norm", "ema", "target_score"),
            "Machine": self._section("device", "precision", "channels_last", "compile", "image_scale",
                                     "full_size_at", "accumulate", "checkpoint_activations", "deterministic", "seed"),
            "Fine-tuning": self._section(*FINE_TUNING),
        })  # fmt: skip
        left = w.VBox([
            w.HTML("<b>Presets</b>"), self.preset, self._explanation,
            *self.form.views("epochs", "steps", "batch_size", "optimizer", "learning_rate", "momentum", "nesterov",
                             "schedule", "warmup_epochs", "milestones"),
            self._more,
        ])  # fmt: skip
        return [left, w.VBox([self.curve, self._sums])]

    @property
    def chosen(self) -> str | None:
        """The preset of the world that the form is equal to; None: it is equal to none."""
        if self.recipe is None or self._others(self._nearest) or self._nearest not in self._world.presets:
            return None
        return self._nearest

    @property
    def _nearest(self) -> str:
        """The preset that differs in the fewest settings, the last one that was used first."""
        names = (self._preset, *self._world.presets)
        return min(names, key=lambda name: len(self._others(name)))

    def _others(self, name: str) -> list[str]:
        """What the form has otherwise than a preset."""
        assert self.recipe is not None
        recipe, inputs = PRESETS[name].recipe, self._world.inputs
        labels = {key: field.label for key, field in self.form.fields.items()}
        other = [label for key, label in labels.items() if getattr(recipe, key) != getattr(self.recipe, key)]
        wanted, found = (each.augmentation.fitting(inputs) for each in (recipe, self.recipe))
        return other + ["augmentation"] * (wanted != found)

    def _pressed(self, name: str | None) -> None:
        if name is not None and name != self.chosen:
            self.use_preset(name)

    def use_preset(self, name: str) -> None:
        """Set the form to a preset."""
        self._preset, preset = name, PRESETS[name]
        self._augmentation = preset.recipe.augmentation
        self.set(preset.recipe)
        self._preset_chosen(preset.recipe)

    def set(self, recipe: Recipe) -> None:
        """Set the form to a recipe (its augmentation stands in the data panel)."""
        self.form.set(**{name: getattr(recipe, name) for name in self.form.fields})

    def show_fine_tuning(self) -> None:
        """Open the part of the form that names layers."""
        self._more.selected_index = len(self._more.children) - 1

    def set_data(self, count: int, world: World) -> None:
        """Fit the schedule to another number of training inputs, and offer the presets of their world."""
        self._count, before, self._world = count, self._world.presets, world
        self._offer_what_fits()
        if world.presets == before:
            self.form.renew()
            return
        if self.view.is_made:
            self.preset.tooltips = _tooltips(world.recipes)
            self.preset.options = _buttons(world.recipes)  # chooses the first
        else:
            self.use_preset(world.presets[0])

    def _offer_what_fits(self) -> None:
        """Take from the page what no task of the world takes, and what is about pictures where none go in."""
        tasks = [task_of_kind(kind) for kind in self._world.tasks]
        for name, value in _OF_SOME_TASKS.items():
            self.form.fields[name].fits = any(_takes(task, Recipe(**{name: value})) for task in tasks)
        self.form.fields["class_weights"].fits = bool({*self._world.tasks} & _OF_CLASSES)
        pictures = self._world.inputs == "images"
        self.form.fields["channels_last"].fits = pictures
        for name in ("image_scale", "full_size_at"):
            self.form.fields[name].fits = pictures and bool({*self._world.tasks} & _OF_ANY_SIZE)

    def set_augmentation(self, augmentation: Augmentation) -> None:
        """The augmentation that the recipe shall hold."""
        self._augmentation = augmentation
        self.form.renew()

    def _update(self) -> None:
        fields = self.form.fields
        fields["milestones"].fits = fields["schedule"].value == "step"
        fields["nesterov"].fits = fields["optimizer"].value == "sgd" or fields["nesterov"].value
        try:
            self.recipe = Recipe(**self.form.values, augmentation=self._augmentation)
        except InvalidSetting as error:
            self.recipe = None
            self.form.show_error(error.field, error.message, otherwise="epochs")
            if error.field in fields:
                fields[error.field].fits = True
        else:
            self.form.clear_errors()
            if self.view.is_shown:
                self._draw()
        if self.view.is_made and self.preset.value != self.chosen:
            self.preset.value = self.chosen
        self._announce()

    def _draw(self) -> None:
        nearest = PRESETS[self._preset if self.recipe is None else self._nearest]
        told = escape(nearest.explanation)
        if self.recipe is not None and (other := self._others(nearest.name)):
            named = ", ".join(other[:_NAMED]) + f" and {len(other) - _NAMED} more" * (len(other) > _NAMED)
            told = f"No preset as it stands: other than {escape(nearest.label)} in {escape(named)}."
        self._explanation.value = f'<span class="reswork-muted">{told}</span>'
        if self.recipe is not None:
            planned = learning_rates(self.recipe, self._count, points=400)
            self.curve.show(figures.schedule(*planned, factors=self.recipe.layer_rates))
            steps = total_steps(self.recipe, self._count)
            per_epoch = steps_per_epoch(self.recipe, self._count)
            self._sums.value = (
                f'<span class="reswork-muted">{steps:,} steps in all, {per_epoch:,} in one pass over '
                f"{self._count:,} training {self._world.many}.</span>"
            )

    def _section(self, *names: str) -> Part:
        return Part(lambda: self.form.views(*names))


def _takes(task: Task, recipe: Recipe) -> bool:
    try:
        task.check_recipe(recipe)
    except InvalidSetting:
        return False
    return True


def _buttons(presets: Mapping[str, Preset]) -> list[tuple[str, str]]:
    return [(preset.label, name) for name, preset in presets.items()]


def _tooltips(presets: Mapping[str, Preset]) -> list[str]:
    return [preset.explanation for preset in presets.values()]


def _fields() -> dict[str, Field]:
    def text(label: str, placeholder: str, tip: str, **how: Any) -> Field:
        return Field(label, w.Text, tip, placeholder=placeholder, continuous_update=False, **how)

    def typed(label: str, placeholder: str, tip: str) -> Field:
        return text(label, placeholder, tip, read=number_or_none, write=text_of)

    def tick(label: str, tip: str) -> Field:
        return Field(label, w.Checkbox, tip, value=False, indent=True)

    return {
        "epochs": typed("Epochs", "", "Passes over all that is trained on."),
        "steps": typed("or steps", "as the epochs say", "Optimizer updates; replaces the epochs when given."),
        "batch_size": typed("Batch size", "", "How many are in one step."),
        "optimizer": menu_field("Optimizer", "How a gradient becomes a change of the weights.",
                                ("SGD with momentum", "sgd"), ("Adam", "adam"), ("AdamW", "adamw"), ("Muon", "muon")),
        "learning_rate": typed("Learning rate", "", "Length of the steps: near 0.1 for SGD, 0.001 for Adam, 0.01 for "
                               "Muon."),
        "momentum": typed("Momentum", "", "How much of the last step is kept; Adam's first beta."),
        "nesterov": tick("Nesterov", "Look ahead along the momentum (SGD only)."),
        "schedule": menu_field("Schedule", "How the learning rate changes over the run.",
                               ("one cycle: up and down", "one_cycle"), ("cosine: down smoothly", "cosine"),
                               ("steps: at milestones", "step"), "constant"),
        "warmup_epochs": typed("Warm-up epochs", "", "The rate rises from near 0 for so long."),
        "milestones": text("Milestones", "0.5, 0.75", "Fractions of the run where the rate is divided by 10.",
                            read=listed_numbers, write=lambda v: ", ".join(f"{x:g}" for x in v)),
        "weight_decay": typed("Weight decay", "", "Pulls weights towards zero."),
        "decay_norm_and_bias": tick("Decay all", "Also norms and biases; the paper does, newer recipes don't."),
        "label_smoothing": typed("Label smoothing", "", "Share of the target given to all classes."),
        "mixup": typed("Mixup", "", "Blends pairs of inputs; 0 is off, 0.2 is usual."),
        "clip_norm": typed("Clip gradient at", "off", "Largest length of the whole gradient."),
        "ema": typed("Average weights", "off, or 0.999", "Test a running average of the weights."),
        "target_score": typed("Target score", "none, or 0.9", "Note the step at which the test reaches it."),
        "device": text("Device", "", "auto, cpu, cuda, cuda:1 or mps.", read=str.strip),
        "precision": menu_field("Precision", "Number format of the heavy work.", "auto", "fp32", "bf16", "fp16"),
        "channels_last": menu_field("Channels last", "Memory order of pictures; mostly faster.",
                                    "auto", ("yes", True), ("no", False)),
        "compile": menu_field("Compile", "torch.compile: a wait, then faster. auto: in runs of over 20 minutes only.",
                              "auto", "on", "off"),
        "image_scale": typed("First images", "1, or 0.5", "Side of the training images at the beginning, as a share of "
                             "their own; small ones cost less, and grow."),
        "full_size_at": typed("Full size at", "0.5", "Fraction of the run from which on they have their own size."),
        "accumulate": typed("Parts per batch", "", "Work through a batch in so many parts, for less memory."),
        "checkpoint_activations": tick("Less memory", "Compute blocks twice instead of keeping activations."),
        "deterministic": tick("Repeatable", "Same result each time, a little slower."),
        "seed": typed("Seed", "", "Start of all randomness."),
        "frozen": text("Frozen layers", "none, or conv1, bn1, layer1",
                        "These stand still, their norms too; conv1[3, 7]: only these channels of it.",
                        read=listed, write=", ".join),
        "unfreeze_epochs": text("Join after", "never, or layer1: 2",
                                 "Epochs after which frozen layers learn too.",
                                 read=layer_numbers, write=text_of_layer_numbers),
        "layer_rates": text("Rates by layer", "all alike, or layer1: 0.1, fc: 10",
                             "What the learning rate is multiplied by in a layer and all that is in it.",
                             read=layer_numbers, write=text_of_layer_numbers),
        "norm_statistics": menu_field("Norm statistics", "What norms use while they train; kept: those that they came "
                                       "with, for a network that was trained before.",
                                       ("each batch's", "batch"), ("kept", "kept")),
        "class_weights": text("Class weights", "all alike, balanced, or 1, 2, 1",
                               "What each class counts in the training loss; balanced: rare classes more.",
                               read=_class_weights,
                               write=lambda v: v if isinstance(v, str) else ", ".join(f"{x:g}" for x in v or ())),
    }  # fmt: skip


def _class_weights(text: str) -> Any:
    """Nothing, a word, or a number for each class."""
    values = listed_numbers(text)
    word = len(values) == 1 and isinstance(values[0], str)
    return values[0] if word else values or None
