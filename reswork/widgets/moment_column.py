"""One moment on the page: its answers, where it looks, its maps and weights, its drawing and its confusion."""

from html import escape

import ipywidgets as w
import numpy as np

from reswork import figures, probes
from reswork.datasets import Dataset, normalise
from reswork.experiment.looking_back import Look
from reswork.experiment.pinned_examples import pinned_truth
from reswork.widgets.block_values import block_values
from reswork.widgets.live_figure import LiveFigure

_MAPS = 8  # feature maps that are shown
_HINT = '<span class="reswork-muted">Move the slider to a moment.</span>'


class MomentColumn:
    """Everything that is shown of one moment; two of them stand side by side.

    Attributes:
        view: the widget.
        look: the moment that is shown; None before the first.
    """

    def __init__(self) -> None:
        self.look: Look | None = None
        self._facts = w.HTML(_HINT)
        nothing = np.zeros((0, 1, 1, 1), np.uint8)
        self.strip = LiveFigure(figures.film_strip(nothing, []))
        self.maps = LiveFigure(figures.image_grid(nothing, title="Feature maps"))
        self.filters = LiveFigure(figures.image_grid(nothing, title="Filters"))
        self.drawing = LiveFigure(figures.image_grid(nothing, title="Blocks"))
        self.confusion = LiveFigure(figures.confusion_matrix(np.zeros((0, 0)), ()))
        self.grid = w.Box([self.strip, self.maps, self.filters, self.drawing, self.confusion])
        self.grid.add_class("reswork-grid")
        self.view = w.VBox([self._facts, self.grid])

    def show_answers(self, look: Look, data: Dataset) -> None:
        """The quick part: the pinned pictures."""
        self.look = look
        self._facts.value = facts_html(look)
        images = data.test.images[list(look.pictures)].cpu().numpy()
        truth = pinned_truth(data, look.pictures)
        shown = None if truth is None else truth.numpy()
        self.strip.show(figures.film_strip(images, [look.frame], look.classes, truth=shown))

    def show_inside(self, look: Look, data: Dataset, layer: str, quantity: str) -> None:
        """Feature maps, weights and drawing, for the first of the pinned pictures."""
        device = next(look.model.parameters()).device
        image = normalise(
            data.test.images[list(look.pictures[:1])].to(device), data.mean, data.std
        )  # (1, C, H, W)
        found = probes.feature_maps(look.model, image, layer=layer, count=_MAPS)
        self.maps.show(figures.feature_maps(found))
        self.filters.show(figures.filters(probes.filters(look.model, layer=layer)))
        values = block_values(look.model, image, quantity) if quantity != "none" else {}
        self.drawing.show(figures.network(probes.outline(look.model, image), values))

    def show_judgement(self, look: Look) -> None:
        """The slow part: the confusion matrix and the numbers with it."""
        self.look = look
        self._facts.value = facts_html(look)
        if look.found is not None:
            table = look.found.tables.get("confusion", np.zeros((0, 0)))
            pixels = look.task.kind == "segmentation"
            self.confusion.show(
                figures.confusion_matrix(table, look.classes, of="pixels" if pixels else "pictures")
            )


def facts_html(look: Look) -> str:
    """Run, step and numbers of a moment; the sentence where it is of another step than was asked for."""
    facts = [f"<b>{escape(look.name)}</b>, step {look.step:,}"]
    if look.found is not None:
        score = look.headline.told(look.found.metrics.get(look.headline.name))
        facts.append(f"{look.headline.label} {score} on {look.counted:,} test pictures")
        facts.append(f"loss {look.found.loss:.3f}")
    else:
        facts.append("test pictures are being counted ...")
    note = f'<div class="reswork-muted">{escape(look.sentence)}</div>' if look.sentence else ""
    return f"<div>{' · '.join(facts)}</div>{note}"
