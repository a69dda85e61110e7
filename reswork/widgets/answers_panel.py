"""What a network answers to a few test volumes, signals, rows, texts or faces, looked at while it learns."""

import time
from typing import Any

import ipywidgets as w
import numpy as np
import torch
from torch import nn

from reswork import figures
from reswork.datasets import Dataset, normalise
from reswork.datasets.volumes import shown_slices
from reswork.experiment.look_alikes import embeddings
from reswork.probes.curve_map import curve_map, volume_map
from reswork.results.answers import ClassAnswers, MaskAnswers, ValueAnswers
from reswork.tasks import explained_model, task_for
from reswork.tasks.baselines import one_season_ago
from reswork.training.live_run import LiveRun
from reswork.widgets.legend import legend_html
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.refresh import Refresher
from reswork.widgets.text_rows import texts_html

INTERVAL_S = 2.0
_SIGNALS = 5
_BEFORE = 4  # times the next steps, of what went before them
_VOLUMES = 4
_ROWS = 500
_GALLERY, _ASKED, _LIKE = 600, 5, 6  # images that are compared, looked for, and shown for each


class AnswersPanel:
    """Truth and answer where inputs are no images, and who is like whom, from snapshots of the run every two seconds.

    Attributes:
        view: the part of the page.
    """

    def __init__(self) -> None:
        self._data: Dataset | None = None
        self._run: LiveRun | None = None
        self._looked: tuple[nn.Module, int] | None = None
        self._last_s = 0.0
        self.view = Part(self._made, self._opened)
        self.refresher = Refresher(self._shoot, interval_s=0.5, share=0.2)

    def follow(self, run: LiveRun, data: Dataset) -> None:
        """Follow a run from now on."""
        self._run, self._data, self._looked = run, data, None
        self.refresher.start()

    def look_at(self, model: nn.Module, data: Dataset, step: int) -> None:
        """Show the answers of one network."""
        self._run, self._data, self._looked = None, data, (model, step)
        self._draw()

    def close(self) -> None:
        """Look no more; the widgets are closed with their tree."""
        self.refresher.stop()

    def _made(self) -> list[w.Widget]:
        self._note = w.HTML('<span class="reswork-muted">No network yet: start a training first.</span>')
        self.figure = LiveFigure()
        self.figure.layout.display = "none"  # until there is an answer
        self.own = w.Text(
            description="A text of yours",
            placeholder="write it, press Enter",
            continuous_update=False,
            layout=w.Layout(width="min(100%, 560px)", display="none"),
            style={"description_width": "100px"},
        )
        self.own.observe(lambda _change: self._draw(), names="value")
        self._words = w.HTML()
        return [self._note, self.own, self.figure, self._words]

    def _opened(self) -> None:
        if self._run is not None and self._run.done:
            self._shoot()  # a run that ended before the page was opened: nobody else looks at it any more
        else:
            self._draw()

    def _shoot(self) -> bool:
        run = self._run
        if run is None:
            return False
        over, step = run.done, run.steps_done
        due = over or time.monotonic() - self._last_s >= INTERVAL_S
        if due and self.view.is_shown and (self._looked is None or self._looked[1] != step):
            self._last_s = time.monotonic()
            self._looked = run.snapshot(), step
            self._draw()
        return not over

    def _draw(self) -> None:
        if self._looked is None or self._data is None or not self.view.is_shown:
            if self._run is not None and self.view.is_made:
                told = "The first answers come in a few seconds."
                self._note.value = f'<span class="reswork-muted">{told}</span>'
            return
        model, step = self._looked
        are_texts = self._data.input_kind == "tokens"
        self.own.layout.display = None if are_texts else "none"
        figure, words = answers_drawn(model, self._data, self.own.value if are_texts else "")
        self._note.value = (
            f'<span class="reswork-muted">Test answers of the network after {step:,} steps.</span>'
        )
        self.figure.layout.display = "none" if figure is None else None
        if figure is not None:
            self.figure.show(figure)
        self._words.value = words


def answers_drawn(model: nn.Module, data: Dataset, own: str = "") -> tuple[Any, str]:
    """A figure of truth and answer to the first test inputs, of volumes slices; texts are words, one's own first."""
    count = {"signals": _SIGNALS, "volumes": _VOLUMES}.get(data.input_kind, min(_ROWS, len(data.test)))
    split = data.test.take(slice(0, count))
    device = next(model.parameters()).device
    inputs = normalise(split.inputs, data.mean, data.std).to(device)
    task = task_for(data)
    if data.task == "verification":
        return look_alikes_drawn(model, data)
    with torch.no_grad():
        answers = task.answers(task.call(model.eval(), inputs))
    titles = [f"test {row}: {answers.told(row, data.classes)}" for row in range(len(split))]
    if isinstance(answers, ClassAnswers):
        labels = split.labels.cpu().numpy()
        titles = [
            f"{data.classes[label]}, answered {answers.told(row, data.classes)}"
            for row, label in enumerate(labels)
        ]
        if data.input_kind == "tokens":
            return None, texts_html(model, data, answers.classes, labels, own)
        if data.input_kind == "tables":
            return figures.true_class_probabilities(answers.probabilities, labels, data.classes), ""
        maps = curve_map(model, inputs, answers.classes.tolist()) if _has_stages(model) else None
        return figures.signal_answers(split.inputs[:, 0].cpu().numpy(), titles, maps=maps), ""
    if isinstance(answers, MaskAnswers):
        images, slices = shown_slices(split.inputs.cpu(), split.masks.cpu())
        chosen = (np.arange(len(split)), slices.numpy())
        masks = [answers.masks[chosen], split.masks.cpu().numpy()[chosen]]
        looked = None
        if _has_stages(model):
            counts = [np.bincount(each.ravel(), minlength=2)[1:] for each in answers.masks]
            most = [int(each.argmax()) + 1 if each.any() else 0 for each in counts]  # besides the ground
            looked = volume_map(explained_model(model, task, inputs), inputs, most)[chosen]
        shown = figures.mask_overlays(images.numpy(), masks, ["answer", "truth"], data.classes, maps=looked)
        return shown, legend_html(data.classes)
    assert isinstance(answers, ValueAnswers)
    truth, told = data.in_units(split.values.view(answers.values.shape)), data.in_units(answers.values)
    if data.input_kind == "signals" and len(data.classes) > 1:
        seen = split.inputs.cpu().numpy()
        ago = one_season_ago(data, seen)
        off = np.abs(told - truth).mean(1)
        names = [f"test {row}, {each:.3g} off" for row, each in enumerate(off)]
        before = seen[
            :, 0, -_BEFORE * truth.shape[1] :
        ]  # in a longer one the next steps would hardly be seen
        return figures.signal_answers(before, names, answers=ago + told, truth=ago + truth), ""
    return figures.value_answers(truth[:, 0], told[:, 0], data.classes[0]), ""


def _has_stages(model: nn.Module) -> bool:
    return hasattr(model, "layer1")


def look_alikes_drawn(model: nn.Module, data: Dataset) -> tuple[Any, str]:
    """Some test images, each with those that are most like it, and how often the first shows the same identity."""
    step = -(-len(data.test) // _GALLERY)
    split = data.test.take(slice(0, None, step))
    images, labels = split.images.cpu(), split.labels.cpu()
    unit = embeddings(model, images, data)
    alike = unit @ unit.T
    alike.fill_diagonal_(-2)
    asked = torch.linspace(0, len(images) - 1, min(_ASKED, len(images))).round().long()
    best = alike[asked].topk(min(_LIKE, len(images) - 1), dim=1)
    same = labels[best.indices] == labels[asked, None]
    first = float((labels[alike.argmax(1)] == labels).float().mean())
    figure = figures.look_alikes(
        images[asked].numpy(),
        images[best.indices].numpy(),
        best.values.numpy(),
        same.numpy(),
        [data.classes[label] for label in labels[asked].tolist()],
    )
    return figure, (
        f"Of {len(images):,} test images {first:.1%} have one of the same identity first. Nobody of the test was seen "
        "in training."
    )
