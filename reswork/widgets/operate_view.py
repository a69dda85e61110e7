"""`rw.operate`: parts of a trained network switched off, scaled, swapped and put back, and what that does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np
import torch
from torch import nn

from reswork import figures, probes
from reswork.contrast.answers import Judged, as_inputs, changes, judging, sample
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.figures.network_drawing import SHORTCUT
from reswork.models.channel_rows import with_channels
from reswork.models.sheet import Outline, SpecSheet
from reswork.probes.outline import as_built, as_operated
from reswork.reporting.answers import first_seconds
from reswork.reporting.contents import small
from reswork.results.answers import (
    AnomalyAnswers,
    BoxAnswers,
    ClassAnswers,
    IdentityAnswers,
    ImageAnswers,
    MaskAnswers,
)
from reswork.results.contrast import ChangedAnswers
from reswork.surgery import (
    Copy,
    Delete,
    Freeze,
    Operation,
    Operations,
    Reestimate,
    Reset,
    Scale,
    Shuffle,
    Swap,
)
from reswork.surgery.operation import Part, block_of
from reswork.tasks import task_for
from reswork.widgets.form import button, listed_numbers
from reswork.widgets.inspector import (
    answer_html,
    boxes_html,
    first_layer,
    identities_html,
    mask_html,
    picture_html,
    score_html,
)
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.tree import close_tree
from reswork.widgets.working_view import WorkingView

SAMPLE = (100, 500)  # test images that are answered after each change, at least and at most
MOMENT_S = 0.5  # that they shall take
_SHOWN = 24  # thumbnails
_MAPS = 8


class OperateView(WorkingView):
    """The drawing of a network, the operations on it, and what they do to its answers.

    Everything is computed in the background; a newer change ends what an older one had begun.

    Args:
        operations: on the network.
        data: test images; training images for batch norms.

    Attributes:
        operations: the list.
        changed: what differs from the original's answers; None before the first are there.
    """

    def __init__(self, operations: Operations, data: Dataset) -> None:
        super().__init__()
        self.operations = operations
        self.changed: ChangedAnswers | None = None
        self._data, self._task = data, task_for(data)
        self._images: np.ndarray | None = (
            None  # which test images are answered; None: as many as take a moment
        )
        self._before: Judged | None = None  # of the original, on these images
        self._sheet: Outline | SpecSheet | None = None
        self._due: set[str] = set()
        self._sections = {  # in the order in which a person wants to see them
            "score": self._judged,
            "drawing": self._drawn,
            "maps": self._mapped,
            "picture": self._pictured,
            "thumbnails": self._thumbnailed,
        }
        self.score = w.HTML()
        self.lines = w.VBox()
        self.hint = w.HTML()
        empty = np.zeros((0, 1, 1, 1), np.uint8)
        self.drawing = LiveFigure(figures.image_grid(empty, title="The network"))
        self.drawing.on_click(self.choose)
        self.thumbnails = LiveFigure(figures.image_grid(empty, title="Changed answers"))
        self.maps = LiveFigure(figures.image_grid(empty, title="Feature maps"))
        self.picture = LiveFigure(figures.image_grid(empty, title="The picture"))
        self.answer = w.HTML()
        for widget, name in (
            (self.score, "reswork-note"), (self.hint, "reswork-note"), (self.drawing, "reswork-network"),
            (self.lines, "reswork-operations"), (self.answer, "reswork-note"),
        ):  # fmt: skip
            widget.add_class(name)
        self._make_controls()
        left = w.VBox([self.score, self.lines, self.history, self.saving, self._one_image()])
        right = w.VBox(
            [self.drawing, self.chosen, self.buttons, self.error, self.hint, self.maps, self.thumbnails]
        )
        columns = w.Box([left, right])
        columns.add_class("reswork-columns")
        self.children = (PageAssets(), columns)
        self.add_class("reswork")
        self._show_lines()
        self._renew(*self._sections)

    # --- controls --------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        wide = w.Layout(width="auto", min_width="230px")
        self.part = w.Text(
            description="Part", placeholder="click a block, or the point on its arc", continuous_update=False,
            tooltip="A block, a block and the word shortcut, or the name of any layer", layout=wide,
        )  # fmt: skip
        self.part.observe(lambda _change: self._chose(), names="value")
        self.channels = w.Text(
            description="Channels", placeholder="all, or such as 3, 7", continuous_update=False, layout=wide,
            tooltip="Numbers of channels that are changed, frozen or copied; nothing means all",
        )  # fmt: skip
        self.factor = w.FloatText(value=0.5, step=0.1, description="Factor", layout=w.Layout(width="170px"))
        self.other = w.Combobox(
            description="Other", placeholder="another block", ensure_option=False, layout=wide
        )
        self.norm_images = w.BoundedIntText(
            value=min(1000, len(self._data.train)), min=2, max=len(self._data.train), description="Images",
            tooltip="Training images for the statistics", layout=w.Layout(width="170px"),
        )  # fmt: skip
        row = w.Layout(flex_flow="row wrap")
        self.chosen = w.HBox(
            [self.part, self.channels, self.factor, self.other, self.norm_images], layout=row
        )
        acts: tuple[tuple[str, str, Callable[[], Operation]], ...] = (
            ("Delete", "Switch the branch, the shortcut or the channels off", self._delete),
            ("Scale", "Multiply by the factor", self._scale),
            ("Shuffle", "Give the channels another order", self._shuffle),
            ("Reset", "Back to initial weights", lambda: Reset(*self._name(), channels=self._channels())),
            ("Freeze", "Mark as not to be trained", self._freeze),
            (
                "Swap",
                "Exchange it with the other block",
                lambda: Swap(*self._name(), self.other.value.strip()),
            ),
            (
                "Copy",
                "Copy it onto the other block, or channels onto others, such as layer1.1.conv1[5]",
                self._copy,
            ),
            (
                "Estimate norms",
                "Estimate the batch norms' statistics anew from training images",
                lambda: Reestimate(self.norm_images.value),
            ),
        )
        self.acts = {label: button(label, tip, self._doing(make)) for label, tip, make in acts}
        self.buttons = w.HBox(list(self.acts.values()), layout=row)
        self.undo = button(
            "Undo", "Take the last change of the list back", lambda: self._turned(self.operations.undo)
        )
        self.redo = button("Redo", "Make it again", lambda: self._turned(self.operations.redo))
        self.every = button(
            f"All {len(self._data.test):,} images", "Answer all test images after each change", self._take_all
        )
        self.history = w.HBox([self.undo, self.redo, self.every], layout=row)
        self.path = w.Text(value="operated.safetensors", layout=w.Layout(width="190px"))
        self.save = button("Save", "Write the network and what was done to it into this file", self._save)
        self.saved = w.HTML()
        self.saving = w.VBox([w.HBox([self.path, self.save]), self.saved])

    def _one_image(self) -> w.VBox:
        self.index = w.BoundedIntText(
            value=0,
            min=0,
            max=len(self._data.test) - 1,
            description="Test picture",
            layout=w.Layout(width="200px"),
        )
        self.index.observe(lambda _change: self._renew("picture", "maps"), names="value")
        step = button("Next changed", "The next picture whose answer has changed", self._next_changed)
        return w.VBox([w.HBox([self.index, step]), self.picture, self.answer])

    def choose(self, name: str) -> None:
        """Choose a block, or a shortcut by its block's name and ``" shortcut"``, as a click on the drawing does."""
        self.part.value = name

    def act(self, operation: Operation) -> None:
        """Do an operation at the end of the list."""
        self._turned(lambda: self.operations.append(operation))

    def _doing(self, make: Callable[[], Operation]) -> Callable[[], None]:
        return lambda: self._turned(lambda: self.operations.append(make()))

    def _turned(self, change: Callable[[], object]) -> None:
        """Change the list, say why where that cannot be, and compute what comes of it."""
        self.error.tell("")
        self.saved.value = ""
        try:
            change()
        except InvalidSetting as error:
            self.error.tell(error.message)
            return
        self._show_lines()
        self._renew(*self._sections)

    def _name(self) -> tuple[str]:
        name = self.part.value.strip().removesuffix(SHORTCUT)
        if not name:
            raise InvalidSetting(
                "name", "no part is chosen; click a block of the drawing, or write a layer's name"
            )
        return (name,)

    def _part(self) -> Part:
        return "shortcut" if self.part.value.strip().endswith(SHORTCUT) else "branch"

    def _channels(self) -> tuple[int, ...]:
        return listed_numbers(self.channels.value)

    def _delete(self) -> Operation:
        (name,) = self._name()
        if self._channels() or block_of(self.operations.original, name) is None:
            return Scale(name, 0.0, self._part(), self._channels())
        return Delete(name, self._part())

    def _scale(self) -> Operation:
        return Scale(*self._name(), self.factor.value, self._part(), self._channels())

    def _shuffle(self) -> Operation:
        return Shuffle(*self._name(), part=self._part(), channels=self._channels())

    def _freeze(self) -> Operation:
        (name,) = self._name()
        if self._part() == "shortcut":
            found = block_of(self.operations.original, name)
            layers = dict(self.operations.original.named_modules())
            inside = [each for each, layer in layers.items() if found is not None and layer is found.shortcut]
            if not inside:
                raise InvalidSetting(
                    "name", f"the shortcut of {name!r} has no weights, so it does not learn anyway"
                )
            name = inside[0]
        return Freeze(with_channels(name, self._channels()))

    def _copy(self) -> Operation:
        (name,) = self._name()
        return Copy(with_channels(name, self._channels()), self.other.value.strip())

    def _chose(self) -> None:
        self.error.tell("")
        self._renew("drawing", "maps")

    def _take_all(self) -> None:
        self._images, self._before = sample(self._data, None), None  # a job that goes on is given up
        self.every.disabled = True
        self._renew("score", "thumbnails")

    def _next_changed(self) -> None:
        if self.changed is None or not len(self.changed.changed):
            self.error.tell("No answer has changed.")
            return
        rows = np.sort(self.changed.changed)
        later = rows[rows > self.index.value]
        self.index.value = int(later[0] if len(later) else rows[0])

    def _save(self) -> None:
        self.error.tell("")
        try:
            path = self.operations.save(self.path.value)
        except InvalidSetting as error:
            self.error.tell(error.message)
            return
        self.saved.value = (
            f'<span class="reswork-muted">Saved: rw.open_checkpoint({escape(repr(str(path)))})</span>'
        )

    # --- the list --------------------------------------------------------------------------------

    def _show_lines(self) -> None:
        before = self.lines.children
        entries = self.operations.entries
        self.lines.children = tuple(self._line(row) for row in range(len(entries))) or (
            w.HTML(
                '<span class="reswork-muted">Nothing done yet: this is the network as it was given.</span>'
            ),
        )
        for each in before:
            close_tree(each)
        self.undo.disabled, self.redo.disabled = not self.operations.can_undo, not self.operations.can_redo
        frozen = self.operations.frozen
        self.hint.value = (
            f'<span class="reswork-muted">To train it on: rw.train(view.operations.model(), data, '
            f"rw.Recipe(frozen={escape(repr(frozen))}))</span>"
            if frozen
            else ""
        )

    def _line(self, row: int) -> w.HBox:
        entry = self.operations.entries[row]
        on = w.Checkbox(
            value=entry.on,
            indent=False,
            description=entry.operation.sentence,
            layout=w.Layout(flex="1 1 auto"),
        )
        on.observe(
            lambda change: self._turned(lambda: self.operations.switch(row, change["new"])), names="value"
        )
        moves = [
            button("Up", "Do it earlier", self._listed(lambda: self.operations.move(row, row - 1))),
            button("Down", "Do it later", self._listed(lambda: self.operations.move(row, row + 1))),
            button("Remove", "Take it out of the list", self._listed(lambda: self.operations.remove(row))),
        ]
        moves[0].disabled, moves[1].disabled = row == 0, row == len(self.operations) - 1
        return w.HBox([on, w.HBox(moves)], layout=w.Layout(flex_flow="row wrap"))

    def _listed(self, change: Callable[[], object]) -> Callable[[], None]:
        return lambda: self._turned(change)

    # --- jobs, in the background -----------------------------------------------------------------

    def _renew(self, *sections: str) -> None:
        """Compute some sections anew; what a click ends half done is still due for the next job."""
        self._due.update(sections)
        self._worker.submit(self._work)

    def _work(self) -> Iterator[None]:
        model = self.operations.model()
        for name, compute in self._sections.items():
            if name not in self._due:
                continue
            self._due.discard(name)
            try:
                yield from compute(model)
            except GeneratorExit:  # something newer is asked for
                self._due.add(name)
                raise
            except Exception as error:  # the other sections can be shown all the same
                self.error.tell(str(error))
            yield

    def _judged(self, model: nn.Module) -> Iterator[None]:
        """The score, and which answers are others than the original's."""
        if self._images is None:
            self._images = sample(self._data, sample_size(self.operations.original, self._data))
            self.every.disabled = len(self._images) == len(self._data.test)
        found: list[Judged] = []
        for each in (self.operations.original, model):
            if each is self.operations.original and self._before is not None:
                found.append(self._before)
                continue
            found.append((yield from judging(each, self._data, self._images)))
            yield
        self._before, now = found
        self.changed = changes(self._before, now, self._images, len(self._data.test))
        self._show_score(self.changed)

    def _drawn(self, model: nn.Module) -> Iterator[None]:
        if self._sheet is None:
            self._sheet = as_built(self.operations.original, self._input())
            self.other.options = [block.name for block in self._sheet.blocks]
        chosen = self.part.value.strip() or None
        self.drawing.show(figures.network(as_operated(self._sheet, model), selected=chosen, handles=True))
        yield

    def _mapped(self, model: nn.Module) -> Iterator[None]:
        layer = self.part.value.strip().removesuffix(SHORTCUT) or first_layer(model)
        found = probes.feature_maps(model, self._input(), layer=layer, count=_MAPS)
        self.maps.show(figures.feature_maps(found))
        yield

    def _pictured(self, model: nn.Module) -> Iterator[None]:
        """One picture and the answers to it, now and before."""
        image = self._data.test.images[self.index.value].cpu().numpy()
        self.picture.show(figures.image_grid(image[None], title="The picture"))
        target, told = self._data.test.targets[self.index.value].cpu(), []
        for title, each in (("Now", model), ("Before", self.operations.original)):
            with probes.watched(each, []) as seen:
                output = self._task.call(seen, self._input())
            answers = self._task.answers(output)
            if isinstance(answers, ClassAnswers):
                table = torch.from_numpy(answers.probabilities[0])
                shown = answer_html(table, self._data.classes, int(target))
            elif isinstance(answers, IdentityAnswers):
                shown = identities_html(answers, self._data.classes)
            elif isinstance(answers, AnomalyAnswers):
                shown = score_html(answers)
            elif isinstance(answers, BoxAnswers):
                shown = boxes_html(answers, self._data.classes, target)
            elif isinstance(answers, ImageAnswers):
                score = float(self._task.score(output.cpu(), target[None]))
                shown = picture_html(self._task.metrics[0].told(score))
            else:
                assert isinstance(answers, MaskAnswers)
                score = float(self._task.score(output.cpu(), target[None]))
                shown = mask_html(answers, self._data.classes, self._task.metrics[0].told(score))
            told.append(f"<div><b>{title}</b></div>{shown}")
        self.answer.value = "".join(told)
        yield

    def _thumbnailed(self, model: nn.Module) -> Iterator[None]:
        if self.changed is not None:
            self._show_thumbnails(self.changed)
        yield

    def _input(self) -> torch.Tensor:
        weight = next(self.operations.original.parameters())
        return as_inputs(self._data, np.array([self.index.value])).to(weight.device)

    def _show_score(self, found: ChangedAnswers) -> None:
        headline = self._task.metrics[0]
        before, now = found.metrics[headline.name]
        of = f"{len(found):,} of {found.total:,}" if len(found) < found.total else f"all {found.total:,}"
        self.score.value = (
            f'<div class="reswork-sums"><div><span>{escape(headline.label)} now</span>'
            f'<b class="reswork-now">{headline.told(now)}</b></div>'
            f"<div><span>before</span><b>{headline.told(before)}</b></div>"
            f"<div><span>changed answers</span><b>{int(found.different.sum()):,}</b></div></div>"
            f'<div class="reswork-muted">{escape(found.sentence)} ({of} test images.)</div>'
        )

    def _show_thumbnails(self, found: ChangedAnswers) -> None:
        shown = found.changed[:_SHOWN]
        names, place = self._data.classes, {int(image): row for row, image in enumerate(found.images)}
        rows = [place[int(image)] for image in shown]
        titles = [f"{names[found.first_answers[row]]}\nnow {names[found.second_answers[row]]}" for row in rows
                  if len(found.first_answers)]  # fmt: skip
        images = self._data.test.images[torch.as_tensor(shown)].cpu().numpy()
        images = small(images) if len(images) else np.zeros((0, 1, 1, 1), np.uint8)
        self.thumbnails.show(figures.image_grid(images, titles, columns=6, title="Changed answers"))


def sample_size(model: nn.Module, data: Dataset) -> int:
    """How many test images a network answers in a moment, 100 to 500; a first few are timed."""
    few = replace(data, test=data.test.take(slice(0, 64)))
    fewest, most = SAMPLE
    return int(np.clip(MOMENT_S / max(first_seconds(model, few), 1e-6), fewest, most))


def operate(model: Any, data: Dataset, *, initial: nn.Module | None = None) -> OperateView:
    """Operate on a trained network: click a block or a shortcut, switch it off, and see what that does.

    The network itself stays as it is: operations are done to copies, and each can be taken back.

    Args:
        model: any network that takes the data set's images, normalised; a run, or an opened checkpoint.
        data: test images, names of classes, training images for batch norms.
        initial: the network before its training, for resetting blocks; None: a run's own where it kept it.

    Raises:
        InvalidSetting: for what is no network.

    Example:
        >>> operate(run, data)                    # doctest: +SKIP
    """
    return OperateView(Operations(model, data, initial=initial), data)
