"""Data: choose a set or bring your own, look at its pictures, and at what augmentation does to one of them."""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np
import torch

from reswork import datasets, figures
from reswork.datasets import Augmentation, Dataset
from reswork.datasets.progress import Progress, watched
from reswork.errors import InvalidSetting
from reswork.widgets.form import Field, Form, button
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.refresh import in_background

MENU = {
    "Fashion: clothes": "fashion",
    "Digits: handwritten": "digits",
    "Shapes: drawn": "shapes",
    "Scenes: drawn, with masks": "scenes",
    "Pulses: simulated signals": "pulses",
    "Traffic: simulated, next day": "traffic",
    "Cancer: a table": "cancer",
    "Fraud: a simulated table": "fraud",
    "Languages of names: texts": "languages",
    "Photographs, made smaller": "photographs",
    "Photographs with noise": "photographs-noisy",
    "CIFAR-10 (download)": "cifar10",
    "CIFAR-100 (download)": "cifar100",
    "My own data": "own",
}
EXAMPLES = 20


class DataPanel:
    """A menu of data sets, a path for one's own, example pictures, class counts and augmentation.

    Args:
        data: the set to begin with.
        changed: called after another set was read or the augmentation changed.

    Attributes:
        view: the widget.
        data: the chosen set; stays the former one while a new one cannot be read.
        augmentation: what the form says; None while it holds something impossible.
    """

    def __init__(self, data: Dataset, changed: Callable[[], None] = lambda: None) -> None:
        self._announce = changed
        self.data = data
        self.augmentation: Augmentation | None = Augmentation()
        self.source = Form(_source_fields(data), self._source_changed)
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
        self._own = w.VBox([*self.source.views("path"), w.HBox([self.load])])
        self._status = w.HTML()
        another = button(
            "Another picture", "Show augmentation on another training picture", self._next_picture
        )
        self.examples, self.augmented, self.counts = LiveFigure(), LiveFigure(), LiveFigure()
        left = w.VBox(
            [*self.source.views("name"), self._own, self._status,
             w.HTML("<b>Augmentation</b>: each training picture is changed a little each time it is used."),
             *self.form.views("crop_padding", "flip", "translate", "cutout"), w.HBox([another])]
        )  # fmt: skip
        return [left, w.VBox([self.examples, self.augmented, self.counts])]

    def set_data(self, data: Dataset) -> None:
        """Show and use another data set."""
        self.data = data
        self._picture = 0
        if self.view.is_shown:
            self._draw()
        self._announce()

    def set_augmentation(self, augmentation: Augmentation) -> None:
        """Set the form to an augmentation."""
        self.form.set(**augmentation.to_dict())

    def _source_changed(self) -> None:
        name = self.source.values["name"]
        if name != "own":
            self._read(name)
        elif self.view.is_shown:
            self._draw_status()

    def _read(self, name: str) -> None:
        """Read a set in the background: a large zip may take a minute, and buttons must answer meanwhile."""
        self.source.clear_errors()
        if not name:
            self.source.show_error(
                "path", "Give the path of a folder, a zip, an npz, a CSV or a .ts file.", otherwise="path"
            )
            return
        self._tell(f'<span class="reswork-muted">Reading {escape(name)} ...</span>', reading=True)
        self._wanted = wanted = object()
        in_background(lambda: self._read_now(name, wanted))

    def _read_now(self, name: str, wanted: object) -> None:
        """Read it, and show and use it unless something else was chosen meanwhile."""
        try:
            with watched(self._show_progress):
                data = datasets.load(name)
        except Exception as error:
            if wanted is not self._wanted:
                return
            field = "path" if self.source.values["name"] == "own" else "name"
            self.source.show_error(field, str(error), otherwise="name")
            self._tell(f"Still using: {escape(self.data.summary())}")
        else:
            if wanted is not self._wanted:
                return
            try:
                self.set_data(data)
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
        examples, counts = _examples(self.data), _counts(self.data)
        for place, figure in ((self.examples, examples), (self.counts, counts)):
            place.layout.display = "none" if figure is None else None
            if figure is not None:
                place.show(figure)
        self._draw_augmented()
        self._draw_status()

    def _draw_augmented(self) -> None:
        self.augmented.layout.display = None if self.data.input_kind == "images" else "none"
        if self.data.input_kind != "images":
            return
        self.augmented.show(_augmented(self.data, self.augmentation or Augmentation(), self._picture))

    def _no_augmentation(self) -> str:
        if self.data.input_kind in ("images", "signals"):
            return ""
        return " <i>Nothing is augmented: columns and signs have no neighbours to be moved to.</i>"

    def _draw_status(self) -> None:
        self._own.layout.display = None if self.source.values["name"] == "own" else "none"
        self._status.value = self._told or escape(
            self.data.summary()
        ) + self._no_augmentation() + _skipped_html(self.data)
        self.load.disabled = self._is_reading


def _source_fields(data: Dataset) -> dict[str, Field]:
    return {
        "name": Field("Data set", w.Dropdown, "What to learn from.", options=tuple(MENU.items()),
                      value=data.name if data.name in MENU.values() else "own"),
        "path": Field("Path", w.Text,
                      "A folder with one sub-folder for each class (or train/ and test/ with such), a zip of it, "
                      "or an npz with images and labels; a CSV table whose last column is told, a .ts file, "
                      "wave files.", read=str.strip,
                      placeholder="pictures/ or pictures.zip or data.npz", continuous_update=False),
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
    if data.input_kind != "images":
        return None
    if data.target_kind == "masks":
        images, masks = (
            part[: EXAMPLES // 2].cpu().numpy() for part in (data.train.images, data.train.masks)
        )
        pairs = np.stack([in_colour(images), figures.under_masks(images, masks)], axis=1)  # (N, 2, 3, H, W)
        titles = ["picture", "mask"] * len(images)
        return figures.image_grid(pairs.reshape(-1, *pairs.shape[2:]), titles, title="Training pictures")
    if data.target_kind == "images":
        given, truth = (
            part[: EXAMPLES // 2].cpu().numpy() for part in (data.train.images, data.train.targets)
        )
        return figures.restored_pictures(given[:3], truth[:3])
    labels = data.train.labels.cpu().numpy()
    rounds = -(-EXAMPLES // len(data.classes))
    by_class = [np.flatnonzero(labels == c)[:rounds] for c in range(len(data.classes))]
    chosen = [indices[r] for r in range(rounds) for indices in by_class if r < len(indices)][:EXAMPLES]
    images = data.train.images[torch.as_tensor(chosen, device=data.train.images.device)].cpu().numpy()
    titles = [data.classes[labels[i]] for i in chosen]
    return figures.image_grid(images, titles, title="Training pictures")


def _augmented(data: Dataset, augmentation: Augmentation, image: int) -> Any:
    """One picture as it is, then as the network may see it; with its mask where it has one."""
    if data.target_kind == "masks":
        one, mask = (part[image : image + 1].cpu() for part in (data.train.images, data.train.masks))
        many = one.expand(8, -1, -1, -1), mask.expand(8, -1, -1)
        images, masks = datasets.augment_with_masks(*many, augmentation, torch.Generator().manual_seed(0))
        drawn = figures.under_masks(torch.cat([one, images]).numpy(), torch.cat([mask, masks]).numpy())
        titles = ["original"] + ["augmented"] * 8
        return figures.image_grid(drawn, titles, title="Augmentation of one picture")
    images = datasets.preview(data, augmentation, picture=image, n=9)
    titles = ["original"] + ["augmented"] * (len(images) - 1)
    return figures.image_grid(images.numpy(), titles, title="Augmentation of one picture")


def in_colour(images: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) of images with any number of channels."""
    return images[:, :3] if images.shape[1] >= 3 else np.repeat(images[:, :1], 3, axis=1)


def _counts(data: Dataset) -> Any:
    if data.target_kind in ("values", "images"):
        return None
    return figures.class_counts(
        {"train": data.class_counts("train"), "test": data.class_counts("test")},
        data.classes,
        of="pixels" if data.target_kind == "masks" else "pictures",
    )


def _skipped_html(data: Dataset) -> str:
    if not data.skipped:
        return ""
    lines = "".join(f"<li>{escape(str(item))}</li>" for item in data.skipped[:20])
    more = f"<li>and {len(data.skipped) - 20:,} more</li>" if len(data.skipped) > 20 else ""
    return f"<details><summary>{len(data.skipped):,} files were skipped</summary><ul>{lines}{more}</ul></details>"
