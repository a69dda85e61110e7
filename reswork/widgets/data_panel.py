"""Data: choose a set or bring your own, look at its pictures, and at what augmentation does to one of them."""

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np
import torch

from reswork import datasets, figures
from reswork.datasets import Augmentation, Dataset
from reswork.datasets.progress import Progress, watched
from reswork.datasets.volumes import shown_slices
from reswork.errors import InvalidSetting
from reswork.experiment.worlds import World, world_of
from reswork.tasks import task_for
from reswork.training.recipe import Recipe
from reswork.widgets.form import Field, Form, button, menu_field, number_or_none, text_of
from reswork.widgets.legend import legend_of
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.refresh import in_background

OWN = "own"
ASKED = (
    "size",
    "target",
    "column",
    "by",
    "horizon",
    "season",
    "scale",
    "noise",
    "pairs",
)  # of one's own data, by world
EXAMPLES = 20
_ROWS, _COLUMNS, _SIGNS = 10, 8, 80  # of a table or of texts that are shown


class DataPanel:
    """A menu of a world's data sets, a path for one's own, examples, class counts and augmentation.

    Args:
        data: the set to begin with.
        changed: called after another set was read or the augmentation changed.

    Attributes:
        view: the widget.
        data: the chosen set; stays the former one while a new one cannot be read.
        world: what the sets are for; that of ``data`` unless a set of another one is being read.
        augmentation: what the form says; None while it holds something impossible.
    """

    def __init__(self, data: Dataset, changed: Callable[[], None] = lambda: None) -> None:
        self._announce = changed
        self.data, self.world = data, world_of(data)
        self.augmentation: Augmentation | None = Augmentation()
        self.source = Form(_source_fields(data, self.world), self._source_changed)
        self._show_asked()
        self.form = Form(_augmentation_fields(), self._augmentation_changed)
        self._picture = 0
        self._told = ""  # what is being read, or that it could not be
        self._is_reading = False
        self._wanted = object()  # what was chosen last, by a token of its own
        self.view = Part(self._made, self._draw)
        self.view.add_class("reswork-columns")
        self.view.add_class("reswork-note")

    def _made(self) -> list[w.Widget]:
        self.load = button(
            "Read it", "Read the data set from this path", lambda: self._read(self.source.values["path"])
        )
        self._own_told = w.HTML()
        self._own = w.VBox([*self.source.views("path", *ASKED), self._own_told, w.HBox([self.load])])
        self._status, self._augmentation_told = w.HTML(), w.HTML()
        self.another = button(
            "Another picture", "Show augmentation on another training picture", self._next_picture
        )
        self.examples, self.augmented, self.counts = LiveFigure(), LiveFigure(), LiveFigure()
        self.rows, self.legend = w.HTML(), w.HTML()
        left = w.VBox(
            [*self.source.views("name"), self._own, self._status, self._augmentation_told,
             *self.form.views("crop_padding", "flip", "translate", "cutout"), w.HBox([self.another])]
        )  # fmt: skip
        return [left, w.VBox([self.examples, self.legend, self.rows, self.augmented, self.counts])]

    def set_data(self, data: Dataset, name: str | None = None) -> None:
        """Show and use another data set, and offer those of its world.

        Args:
            data: the set.
            name: what the menu calls it; None: as it calls itself.
        """
        self.data, self.world = data, world_of(data)
        self._picture = 0
        name = name or data.name
        self._offer(name if name in self.world.data.values() else OWN)
        if self.view.is_shown:
            self._draw()
        self._announce()

    def choose(
        self,
        world: World,
        name: str = "",
        *,
        otherwise: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """Offer the sets of another world, and read one of them.

        Args:
            world: that they are for.
            name: of a set; one that comes with nothing, or nothing: the first one.
            otherwise: called with the reason where it could not be read; what was chosen before stays.
        """
        self.world = world
        self._offer(name if name in world.data.values() else next(iter(world.data.values())))
        self._read(self.source.values["name"], otherwise)

    def _offer(self, name: str) -> None:
        """Put the sets of the present world into the menu, without reading one."""
        self.source.offer("name", _menu(self.world), name)
        self._show_asked()

    def _show_asked(self) -> None:
        for name in ASKED:
            self.source.fields[name].fits = name in self.world.asks

    def set_augmentation(self, augmentation: Augmentation) -> None:
        """Set the form to an augmentation."""
        self.form.set(**augmentation.to_dict())

    def _source_changed(self) -> None:
        name = self.source.values["name"]
        if name != OWN:
            self._read(name)
        elif self.view.is_shown:
            self._draw_status()

    def _read(
        self,
        name: str,
        otherwise: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """Read a set in the background: a large zip may take a minute, and buttons must answer meanwhile."""
        self.source.clear_errors()
        if not name:
            self.source.show_error("path", f"Give a path. {self.world.own}", otherwise="path")
            return
        values = self.source.values
        asked = {
            key: values[key] for key in ASKED if key in self.world.asks and values[key] not in ("", None)
        }
        own = values["name"] == OWN
        read = partial(self.world.read, name, **asked) if own else partial(datasets.load, name)
        self._tell(f'<span class="reswork-muted">Reading {escape(name)} ...</span>', reading=True)
        self._wanted = wanted = object()
        in_background(lambda: self._read_now(read, wanted, otherwise, values["name"]))

    def _read_now(
        self,
        read: Callable[[], Dataset],
        wanted: object,
        otherwise: Callable[[str], None],
        name: str,
    ) -> None:
        """Read it, and show and use it unless something else was chosen meanwhile."""
        try:
            with watched(self._show_progress):
                data = read()
        except Exception as error:
            if wanted is not self._wanted:
                return
            field = error.field if isinstance(error, InvalidSetting) and error.field in ASKED else "path"
            shown = field if self.source.values["name"] == OWN else "name"
            if not self.world.fits(self.data):  # back to where we were
                self.world = world_of(self.data)
                self._offer(self.data.name if self.data.name in self.world.data.values() else OWN)
                shown = "name"
            self.source.show_error(shown, str(error), otherwise="name")
            self._tell(f"Still using: {escape(self.data.summary())}")
            otherwise(str(error))
        else:
            if wanted is not self._wanted:
                return
            try:
                self.set_data(data, name)
            finally:
                self._tell("")

    def _show_progress(self, progress: Progress) -> None:
        self._tell(
            f'<span class="reswork-muted">{escape(str(progress))}</span><br>'
            f'<progress max="1" value="{progress.share:.4f}" aria-label="{escape(progress.what)}"></progress>',
            reading=True,
        )

    def _augmentation_changed(self) -> None:
        try:
            self.augmentation = Augmentation(**self.form.values)
        except InvalidSetting as error:
            self.augmentation = None
            self.form.show_error(error.field, error.message, otherwise="crop_padding")
        else:
            self.form.clear_errors()
            if self.view.is_shown:
                self._draw_augmented()
        self._announce()

    def _next_picture(self) -> None:
        self._picture = (self._picture + 1) % len(self.data.train)
        self._draw_augmented()

    def _tell(self, told: str, *, reading: bool = False) -> None:
        """Say something in place of the data set's summary."""
        self._told, self._is_reading = told, reading
        if self.view.is_shown:
            self._draw_status()

    def _draw(self) -> None:
        examples, counts = _examples(self.data), _counts(self.data, self.world)
        for place, figure in ((self.examples, examples), (self.counts, counts)):
            place.layout.display = "none" if figure is None else None
            if figure is not None:
                place.show(figure)
        self.rows.value, self.legend.value = _rows_html(self.data), legend_of(self.data)
        self._draw_augmented()
        self._draw_status()

    def _draw_augmented(self) -> None:
        images = self.data.input_kind == "images"
        for widget in (self.augmented, self.another):
            widget.layout.display = None if images else "none"
        if images:
            self.augmented.show(_augmented(self.data, self.augmentation or Augmentation(), self._picture))

    def _draw_status(self) -> None:
        self._own.layout.display = None if self.source.values["name"] == OWN else "none"
        self._own_told.value = f'<span class="reswork-muted">{escape(self.world.own)}</span>'
        self._status.value = self._told or escape(self.data.summary()) + _skipped_html(self.data)
        kind = self.data.input_kind
        self._augmentation_told.value = (
            "Nothing is augmented: columns and signs have no neighbours to be moved to."
            if kind in ("tables", "tokens")
            else f"<b>Augmentation</b>: each training {self.world.one} is changed a little each time it is used."
        )
        for name, field in self.form.fields.items():
            mirrored, moved = kind in ("images", "volumes"), kind in ("images", "signals")
            field.fits = (mirrored if name == "flip" else moved) and _takes(self.data, name)
        self.load.disabled = self._is_reading


def _takes(data: Dataset, name: str) -> bool:
    """Whether what is learned from a data set allows an augmentation."""
    chosen: dict[str, Any] = {name: True if name == "flip" else 1}
    try:
        task_for(data).check_recipe(Recipe(augmentation=Augmentation(**chosen)))
    except InvalidSetting:
        return False
    return True


def _menu(world: World) -> tuple[tuple[str, str], ...]:
    return (*world.data.items(), ("My own data", OWN))


def _source_fields(data: Dataset, world: World) -> dict[str, Field]:
    def asked(label: str, placeholder: str, tip: str, **how: Any) -> Field:
        return Field(label, w.Text, tip, placeholder=placeholder, continuous_update=False, **how)

    number: dict[str, Any] = {"read": number_or_none, "write": text_of}
    return {
        "name": Field("Data set", w.Dropdown, "What to learn from.", options=_menu(world),
                      value=data.name if data.name in world.data.values() else OWN),
        "path": Field("Path", w.Text, "Of a file or a folder on this machine.", read=str.strip,
                      placeholder="a file or a folder", continuous_update=False),
        "size": asked("Size", "as it fits, or 64", "Height and width in pixels that all are brought to.", **number),
        "target": asked("Column", "found, or its name", "The column that is to be told.", read=str.strip),
        "column": asked("Text column", "the longest, or its name", "The column with the texts.", read=str.strip),
        "by": menu_field("Read by", "What goes in one after the other.", ("signs", "signs"), ("words", "words")),
        "pairs": asked("List of pairs", "none, or a file", "A list of pairs to judge by, LFW's form or a CSV of two "
                       "images and 1 or 0.", read=str.strip),
        "horizon": asked("Next steps", "none, or 24", "How many next steps of one long series are told; empty: each "
                         "signal has a class or a value.", **number),
        "season": asked("Season", "none, or 168", "Moments of a season: what is told is then the difference to one "
                        "season ago.", **number),
        "scale": asked("Times larger", "2", "2, 3 or 4 times; 1 keeps the size.", **number),
        "noise": asked("Noise", "none, or 25", "Standard deviation of what is added, in bytes, 0 to 100.", **number),
    }  # fmt: skip


def _augmentation_fields() -> dict[str, Field]:
    def pixels(label: str, high: int, tip: str) -> Field:
        return Field(label, w.IntSlider, tip, value=0, min=0, max=high)

    return {
        "crop_padding": pixels("Crop padding", 8, "Pad by so many pixels, cut a random window (paper: 4)."),
        "flip": Field("Mirror", w.Checkbox, "Half of the pictures are mirrored.", value=False, indent=True),
        "translate": pixels("Shift", 8, "Move by up to so many pixels; what moves in is black."),
        "cutout": pixels("Cutout", 24, "Grey out one random square of this size."),
    }


def _examples(data: Dataset) -> Any:
    """A few pictures, of each class in turn; of masks, each with its mask over it; of signals some curves."""
    if data.input_kind == "signals":
        split = data.train.take(slice(0, 5))
        titles = [f"training signal {row}" for row in range(len(split))]
        if data.target_kind == "labels":
            titles = [data.classes[label] for label in split.labels.tolist()]
        return figures.signal_answers(split.inputs[:, 0].cpu().numpy(), titles)
    if data.input_kind != "images" and (data.input_kind, data.target_kind) != ("volumes", "masks"):
        return None
    if data.task == "anomalies":
        return _good_and_bad(data)
    if data.target_kind == "masks":
        shown, classes = (part[: EXAMPLES // 2].cpu() for part in (data.train.inputs, data.train.masks))
        if data.input_kind == "volumes":
            shown, slices = shown_slices(shown, classes)
            classes = classes[torch.arange(len(classes)), slices]
        images, masks = shown.numpy(), classes.numpy()
        pairs = np.stack([in_colour(images), figures.under_masks(images, masks)], axis=1)  # (N, 2, 3, H, W)
        titles = ["picture", "mask"] * len(images)
        return figures.image_grid(pairs.reshape(-1, *pairs.shape[2:]), titles, title="Training pictures")
    if data.target_kind == "images":
        given, truth = (
            part[: EXAMPLES // 2].cpu().numpy() for part in (data.train.images, data.train.targets)
        )
        return figures.restored_pictures(given[:3], truth[:3])
    if data.target_kind == "boxes":
        images, boxes = (
            part[: EXAMPLES // 2].cpu().numpy() for part in (data.train.images, data.train.boxes)
        )
        told = [figures.things(each, data.classes) for each in boxes]
        return figures.image_grid(figures.in_boxes(images, boxes), told, title="Training pictures")
    labels = data.train.labels.cpu().numpy()
    few = (
        min(len(data.classes), 5) if data.task == "verification" else len(data.classes)
    )  # each several times
    rounds = -(-EXAMPLES // few)
    by_class = [np.flatnonzero(labels == c)[:rounds] for c in range(few)]
    chosen = [indices[r] for r in range(rounds) for indices in by_class if r < len(indices)][:EXAMPLES]
    images = data.train.images[torch.as_tensor(chosen, device=data.train.images.device)].cpu().numpy()
    titles = [data.classes[labels[i]] for i in chosen]
    return figures.image_grid(images, titles, title="Training pictures")


def _good_and_bad(data: Dataset) -> Any:
    """Training pictures, which are all good, and bad ones of the test with what is wrong with them."""
    bad = (data.test.masks.cpu() != 0).flatten(1).any(1).nonzero().flatten()[: EXAMPLES // 3]
    wrong, masks = data.test.images.cpu()[bad].numpy(), data.test.masks.cpu()[bad].numpy()
    good = data.train.images[: EXAMPLES // 3].cpu().numpy()
    rows = [(good, "good"), (wrong, "bad"), (figures.under_masks(wrong, masks), "wrong")]
    pictures = np.concatenate([in_colour(images) for images, _ in rows])
    titles = [title for images, title in rows for _ in images]
    return figures.image_grid(pictures, titles, columns=EXAMPLES // 3, title="Good and bad pictures")


def _augmented(data: Dataset, augmentation: Augmentation, image: int) -> Any:
    """One picture as it is, then as the network may see it; with its mask where it has one."""
    if data.target_kind == "masks":
        one, mask = (part[image : image + 1].cpu() for part in (data.train.images, data.train.masks))
        many = one.expand(8, -1, -1, -1), mask.expand(8, -1, -1)
        images, masks = datasets.augment_with_masks(*many, augmentation, torch.Generator().manual_seed(0))
        drawn = figures.under_masks(torch.cat([one, images]).numpy(), torch.cat([mask, masks]).numpy())
        titles = ["original"] + ["augmented"] * 8
        return figures.image_grid(drawn, titles, title="Augmentation of one picture")
    if data.target_kind == "boxes":
        one, boxes = (part[image : image + 1].cpu() for part in (data.train.images, data.train.boxes))
        all_boxes = boxes.expand(8, -1, -1)
        images, moved = datasets.augment_with_boxes(
            one.expand(8, -1, -1, -1), all_boxes, augmentation, torch.Generator().manual_seed(0)
        )
        drawn = figures.in_boxes(torch.cat([one, images]).numpy(), torch.cat([boxes, moved]).numpy())
        titles = ["original"] + ["augmented"] * 8
        return figures.image_grid(drawn, titles, title="Augmentation of one picture")
    images = datasets.preview(data, augmentation, picture=image, n=9)
    titles = ["original"] + ["augmented"] * (len(images) - 1)
    return figures.image_grid(images.numpy(), titles, title="Augmentation of one picture")


def in_colour(images: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) of images with any number of channels."""
    return images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)


def _counts(data: Dataset, world: World) -> Any:
    if data.target_kind in ("values", "images") or data.task is not None:
        return None  # identities are in one split each, and nothing bad is in the training split
    return figures.class_counts(
        {"train": data.class_counts("train"), "test": data.class_counts("test")},
        data.classes,
        of={"masks": "points" if data.input_kind == "volumes" else "pixels", "boxes": "boxes"}.get(
            data.target_kind, world.many
        ),
    )


def _rows_html(data: Dataset) -> str:
    """The first rows of a table as a network sees them, or the first texts; nothing for pictures and signals."""
    if data.input_kind not in ("tables", "tokens"):
        return ""
    split = data.train.take(slice(0, _ROWS))
    if data.target_kind == "labels":
        answers = [data.classes[label] for label in split.labels.tolist()]
    else:
        answers = [f"{value:.5g}" for value in data.in_units(split.values).reshape(len(split), -1)[:, 0]]
    if data.input_kind == "tokens":
        head, rows = ["text"], [[text[:_SIGNS]] for text in datasets.words_of(data, "train")[:_ROWS]]
    else:
        head = list(data.features[:_COLUMNS])
        rows = [[f"{number:.4g}" for number in row[:_COLUMNS]] for row in split.inputs.tolist()]
    told = data.classes[0] if data.target_kind == "values" else "class"
    lines = [[answer, *row] for row, answer in zip(rows, answers, strict=True)]
    top = "".join(f"<th>{escape(name)}</th>" for name in (told, *head))
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    more = len(data.features) - _COLUMNS if data.input_kind == "tables" else 0
    note = f'<p class="reswork-muted">and {more:,} more columns</p>' if more > 0 else ""
    kind = " reswork-words" if data.input_kind == "tokens" else ""
    return (
        f'<table class="reswork-rows{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{note}'
    )


def _skipped_html(data: Dataset) -> str:
    if not data.skipped:
        return ""
    lines = "".join(f"<li>{escape(str(item))}</li>" for item in data.skipped[:20])
    more = f"<li>and {len(data.skipped) - 20:,} more</li>" if len(data.skipped) > 20 else ""
    return f"<details><summary>{len(data.skipped):,} files were skipped</summary><ul>{lines}{more}</ul></details>"
