"""The inspector: one picture, the network that looks at it, and why it answers as it does."""

import copy
import threading
from collections.abc import Iterator, Sequence
from html import escape
from itertools import chain
from typing import Any, cast

import ipywidgets as w
import numpy as np
import torch
from torch import Tensor, nn

from reswork import figures, probes
from reswork.causes import Why, why
from reswork.datasets import Dataset, normalise
from reswork.datasets.decoder import Decoder
from reswork.datasets.decoding import Unreadable
from reswork.datasets.targets import NO_BOX
from reswork.errors import InvalidSetting
from reswork.figures.text import shortened
from reswork.probes import BASELINES, METHODS, Difference
from reswork.probes.attribution_methods import Name
from reswork.results import Attribution, Trust
from reswork.results.answers import (
    AnomalyAnswers,
    BoxAnswers,
    ClassAnswers,
    IdentityAnswers,
    ImageAnswers,
    MaskAnswers,
)
from reswork.tasks import explained_model, task_for
from reswork.widgets.block_values import QUANTITIES, block_values
from reswork.widgets.form import ErrorLine, menu_field
from reswork.widgets.latest_job import LatestJob
from reswork.widgets.legend import legend_html
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.sketch import Sketch
from reswork.widgets.why_view import WhyPlace

PAGES = ("Feature maps", "Attributions", "Over the depth")
METHOD_CHOICE = tuple(probes.EIGHT)
_MOST_UPLOAD = 20 * 1024**2
_BEST = 5
_NO_NETWORK = "No network yet: start a training first."
_DRAWN = ("masks", "images", "boxes")  # targets, and answers to them, that are drawn beside the picture


class InspectorPanel:
    """Choose, upload, draw or erase a picture, and see what the network makes of it.

    Args:
        data: test pictures and names of classes.

    Attributes:
        view: the part of the page.
        model: the network that is looked at, detached from any training; None until `look_at`.
    """

    def __init__(self, data: Dataset) -> None:
        self.model: nn.Module | None = None
        self._answering: nn.Module | None = None  # a copy of it, for answers alone
        self._lock = threading.Lock()
        self._data, self._task = data, task_for(data)
        self._sheet: Any = None
        self._layer: str | None = None
        self._maps: list[Attribution] = []
        self._worker = LatestJob(lambda error: self._error.tell(str(error)))
        self._said = _NO_NETWORK
        self._offered: Dataset | None = None  # the data set whose pictures and classes stand in the controls
        self._is_behind = True  # the page shows another network than this
        self.view = Part(self._made, self._draw)
        self.view.add_class("reswork-note")

    # --- what is looked at -----------------------------------------------------------------------

    def look_at(self, model: nn.Module, note: str) -> None:
        """Look at a network from now on; of one that is being trained give a snapshot.

        Args:
            model: any module that takes (N, C, H, W) and gives (N, classes).
            note: one line about it, such as the step that the snapshot is of.
        """
        self._take(model, note)
        if self.view.is_shown:
            self._draw()

    def glance_at(self, model: nn.Module, note: str) -> bool:
        """As `look_at`, if nothing is computed: what a person asks for at this very moment is not given up for it.

        Returns:
            Whether it is looked at; it is not where something is computed.
        """
        return self._worker.offer(lambda: self._glanced(model, note))

    def _glanced(self, model: nn.Module, note: str) -> Iterator[None]:
        self._take(model, note)
        if self.view.is_shown and self._offered is self._data:
            self._is_behind = False
            self._tell()
            self._show_answer()
            yield from self._whole()

    def _take(self, model: nn.Module, note: str) -> None:
        with self._lock:
            self.model, self._answering = model, copy.deepcopy(model).eval()
        self._said, self._is_behind = note, True

    def set_data(self, data: Dataset) -> None:
        """Take pictures and classes from another data set."""
        self._data, self._task = data, task_for(data)
        if self.view.is_shown:
            self._draw()

    def begin_anew(self, data: Dataset) -> None:
        """Take pictures from a data set of another kind, for which the present network is none."""
        with self._lock:
            self.model = self._answering = None
        self._said, self._is_behind = _NO_NETWORK, True
        self.set_data(data)

    @property
    def place(self) -> int:
        """Which test picture was chosen."""
        return int(self._index.value) if self.view.is_made else 0

    @property
    def is_idle(self) -> bool:
        """Whether everything that was asked for is drawn."""
        return self._worker.wait(0)

    def close(self) -> None:
        """End what is computed; the widgets are closed with their tree."""
        self._worker.cancel()
        self._worker.wait(10)  # what is computed now may still make widgets
        if self.view.is_made:
            self.why.close()

    # --- the page --------------------------------------------------------------------------------

    def _made(self) -> list[w.Widget]:
        self._note = w.HTML()
        columns = w.Box([self._made_left(), self._made_right()])
        columns.add_class("reswork-columns")
        self.why = WhyPlace(self._why_of)
        return [self._note, columns, self.why]

    def _draw(self) -> None:
        """Bring the page up to date; what a person has asked for stays, unless network or data are others."""
        self._tell()
        if self._offered is not self._data:
            self._offered = self._data
            is_class = (
                self._data.target_kind == "labels" and self._data.task is None
            )  # all that `why` explains
            self._ask_why.layout.display = None if is_class else "none"
            self._index.max = len(self._data.test) - 1
            if self._sheets[PAGES[1]].is_made:
                self._offer_classes()
            self._index.value = 0
            self._is_behind = False
            self._pick()
        elif self._is_behind:
            self._is_behind = False
            self._changed()

    def _tell(self) -> None:
        self._note.value = f'<span class="reswork-muted">{escape(self._said)}</span>'

    def _made_left(self) -> w.VBox:
        self._index = w.BoundedIntText(
            value=0, min=0, max=0, description="Test picture", layout=w.Layout(width="200px")
        )
        self._index.observe(lambda _change: self._pick(), names="value")
        step = w.Button(description="Next", tooltip="The next test picture", layout=w.Layout(width="auto"))
        step.on_click(lambda _button: self._move(1))
        wrong = w.Button(
            description="A wrong one",
            tooltip="The next picture that it gets wrong",
            layout=w.Layout(width="auto"),
        )
        wrong.on_click(lambda _button: self._worker.submit(self._find_wrong))
        self._ask_why = w.Button(
            description="Why?",
            tooltip="Why it answers so: where it looked, what carries it, what turns it",
            layout=w.Layout(width="auto"),
        )
        self._ask_why.on_click(lambda _button: self._open_why())
        self._upload = w.FileUpload(accept="image/*", description="Upload", tooltip="A picture of your own")
        self._upload.observe(self._uploaded, names="value")
        self._sketch = Sketch(self._changed)
        self._answer = w.HTML()
        self.masks = LiveFigure(figures.image_grid(np.zeros((0, 1, 1, 1), np.uint8)))
        self.masks.add_class("reswork-masks")
        self._error = ErrorLine()
        return w.VBox(
            [
                self._index,
                w.HBox([step, wrong, self._upload, self._ask_why], layout=w.Layout(flex_flow="row wrap")),
                self._sketch,
                self.masks,
                self._answer,
                self._error,
            ]
        )

    def _made_right(self) -> w.VBox:
        self._quantity = menu_field(
            "Blocks show", "What the colour of each block says, for this picture.",
            *((label, name) for name, label in QUANTITIES.items()),
        )  # fmt: skip
        self._quantity.value = "size"
        self._quantity.changed = lambda: self._worker.submit(self._coloured)
        self.drawing = LiveFigure(figures.image_grid(np.zeros((0, 1, 1, 1), np.uint8), title="The network"))
        self.drawing.on_click(self._clicked)
        self.pages = w.ToggleButtons(options=PAGES, value=PAGES[0], style={"button_width": "130px"})
        self.pages.observe(lambda _change: self._turn(), names="value")
        self._sheets = dict(
            zip(PAGES, map(Part, (self._made_maps, self._made_attributions, self._made_shares)), strict=True)
        )
        self.drawing.add_class("reswork-network")
        self._sheets[PAGES[0]].add_class("reswork-maps")
        self._sheets[PAGES[1]].add_class("reswork-methods")
        self._sheets[self.pages.value].show()
        return w.VBox([self._quantity.view, self.drawing, self.pages, *self._sheets.values()])

    def _made_maps(self) -> list[w.Widget]:
        self._where = w.Text(
            description="Layer", placeholder="a name, or click a block", continuous_update=False
        )
        self._where.observe(lambda change: self._choose(change["new"]), names="value")
        self.maps = LiveFigure(figures.image_grid(np.zeros((0, 1, 1, 1), np.uint8), title="Feature maps"))
        return [self._where, self.maps]

    def _made_shares(self) -> list[w.Widget]:
        self.shares = LiveFigure(figures.shortcut_attributions([]))
        return [self.shares]

    def _made_attributions(self) -> list[w.Widget]:
        self._target, self._against = w.Dropdown(description="Why"), w.Dropdown(description="rather than")
        self._offer_classes()
        self._baseline = menu_field(
            "Baseline", "What stands for nothing. " + " ".join(BASELINES.values()), *BASELINES
        )
        self._smooth = w.Checkbox(value=False, description="SmoothGrad, 8 noisy copies", indent=False)
        self._explain = w.Button(
            description="Explain", button_style="primary", tooltip="Eight methods, each as soon as it is done"
        )
        self._explain.on_click(lambda _button: self._worker.submit(self._attribute))
        self._trust_button = w.Button(
            description="Check trust", tooltip="Put five questions to every map; takes some seconds a map"
        )
        self._trust_button.on_click(lambda _button: self._worker.submit(self._check))
        self.attributions = LiveFigure(figures.attribution_maps(np.zeros((0, 1, 1, 1), np.uint8), []))
        self.verdicts = w.HTML()
        self.trust = LiveFigure(figures.trust_curves(None))
        self.trust.layout.display = "none"
        self.stages = LiveFigure(
            figures.attribution_maps(np.zeros((0, 1, 1, 1), np.uint8), [], title="Every stage")
        )
        controls = w.HBox([self._target, self._against], layout=w.Layout(flex_flow="row wrap"))
        more = w.HBox(
            [self._baseline.view, self._smooth, self._explain, self._trust_button],
            layout=w.Layout(flex_flow="row wrap", align_items="center"),
        )
        self._baseline.view.layout.width = "260px"
        stages = w.HTML("LayerCAM from the first stage to the last, of one pass:")
        return [controls, more, self.attributions, self.verdicts, self.trust, stages, self.stages]

    def _offer_classes(self) -> None:
        names = self._data.classes
        if self._data.task is not None:  # what is explained: identities that were learned, or one score
            names = (
                names[: int(self._data.train.targets.max()) + 1] if self._data.target_kind == "labels" else ()
            )
        classes = [(shortened(name, 40), k) for k, name in enumerate(names)]
        self._target.options = [("what it answers", -1), *classes]
        self._against.options = [("nothing", -1), *classes]
        self._target.value = self._against.value = -1

    def _turn(self) -> None:
        for name, sheet in self._sheets.items():
            if name == self.pages.value:
                sheet.show()
            else:
                sheet.hide()
        self._worker.submit(self._paged)

    # --- the picture -----------------------------------------------------------------------------

    def _move(self, step: int) -> None:
        self._index.value = (self._index.value + step) % (self._index.max + 1)

    def _pick(self) -> None:
        self._sketch.show(self._data.test.images[self._index.value].cpu().numpy())
        self._changed()

    def _changed(self, _picture: np.ndarray | None = None) -> None:
        """Another picture or another network: the answer at once, the rest as soon as it is computed."""
        try:
            self._show_answer()
        except Exception as error:
            self._error.tell(str(error))
        else:
            self._worker.submit(self._whole)

    def _uploaded(self, change: dict[str, Any]) -> None:
        for file in change["new"][:1]:
            try:
                self._sketch.show(
                    fitted(bytes(file["content"]), self._data.decoder.shape, self._data.value_range)
                )
                self._changed()
            except InvalidSetting as error:
                self._error.tell(error.message)
        if change["new"]:
            self._upload.value = ()  # so that the same file can be given again

    def _clicked(self, name: str) -> None:
        self._where.value = name

    def _choose(self, name: str) -> None:
        self._layer = name.strip() or None
        self._worker.submit(lambda: chain(self._coloured(), self._paged()))

    def _open_why(self) -> None:
        """Why the picture that is shown is answered so, as it stands: chosen, drawn on, or uploaded."""
        self._error.tell("")
        try:
            index = self._index.value if self._is_untouched() else None
            self.why.ask(self._why_of(index, "test"))
        except InvalidSetting as error:
            self._error.tell(error.message)

    def _why_of(self, index: int | None, split: str) -> Why:
        if self.model is None:
            raise InvalidSetting("model", "There is no network yet; start a training, or give one.")
        return why(self.model, self._data, self._sketch.picture if index is None else index, split)

    def _is_untouched(self) -> bool:
        """Whether the picture is the chosen test picture as the data set has it."""
        original = self._data.test.images[self._index.value].cpu().numpy()
        return np.array_equal(self._sketch.picture, original)

    # --- jobs, in the background -----------------------------------------------------------------

    def _whole(self) -> Iterator[None]:
        self._maps = []
        yield from self._coloured()
        yield from self._paged()

    def _show_answer(self) -> None:
        """The five best answers, or mask or boxes beside the true ones, from a copy that no job looks at meanwhile."""
        self.masks.layout.display = None if self._data.target_kind in _DRAWN else "none"
        if self.model is None:
            return
        self._error.tell("")
        with self._lock:  # until it is shown: who comes last, the page or the film, has the newest picture
            output = self._output()
            answers = self._task.answers(output)
            truth = self._data.test.targets[self._index.value].cpu() if self._is_untouched() else None
            if isinstance(answers, ClassAnswers):
                true = None if truth is None else int(truth)
                table = torch.from_numpy(answers.probabilities[0])
                self._answer.value = answer_html(table, self._data.classes, true)
                return
            if isinstance(answers, IdentityAnswers):
                self._answer.value = identities_html(answers, self._data.classes)
                return
            if isinstance(answers, AnomalyAnswers):
                truths = None if truth is None else truth[None].numpy()
                self.masks.show(
                    figures.anomaly_maps(
                        self._sketch.picture[None],
                        [answers.maps],
                        ["score"],
                        scores=answers.scores,
                        truth=truths,
                        restored=as_pictures(answers.restored, self._data.mean, self._data.std),
                    )
                )
                self._answer.value = score_html(answers)
                return
            if isinstance(answers, ImageAnswers):
                truths = None if truth is None else truth[None].numpy()
                self.masks.show(figures.restored_pictures(self._sketch.picture[None], answers.images, truths))
                score = None if truth is None else float(self._task.score(output.cpu(), truth[None]))
                self._answer.value = picture_html(self._task.metrics[0].told(score))
                return
            if isinstance(answers, BoxAnswers):
                self.masks.show(box_figure(self._sketch.picture, answers, self._data.classes, truth))
                self._answer.value = boxes_html(answers, self._data.classes, truth)
                return
            assert isinstance(answers, MaskAnswers)
            shown = [answers.masks] if truth is None else [answers.masks, truth[None].numpy()]
            titles = ["answer", "true mask"][: len(shown)]
            picture = self._sketch.picture[None]
            self.masks.show(figures.mask_overlays(picture, shown, titles, self._data.classes))
            score = None if truth is None else float(self._task.score(output.cpu(), truth[None]))
            self._answer.value = mask_html(answers, self._data.classes, self._task.metrics[0].told(score))

    def _coloured(self) -> Iterator[None]:
        if self.model is None:
            return
        self._sheet = probes.outline(self.model, self._input())
        quantity = self._quantity.value
        model = self._explained() if quantity == "share" else self.model
        values = block_values(model, self._input(), quantity) if quantity != "none" else {}
        names = {block.name for block in self._sheet.blocks}
        selected = self._layer if self._layer in names else None
        self.drawing.show(figures.network(self._sheet, values, selected))
        yield

    def _paged(self) -> Iterator[None]:
        if self.model is None:
            return
        if self.pages.value == PAGES[0]:
            layer = self._layer or first_layer(self.model)
            maps = probes.feature_maps(self.model, self._input(), layer=layer, count=15)
            self.maps.show(figures.feature_maps(maps))
            yield
        elif self.pages.value == PAGES[1]:
            self._show_attributions()
            stages = probes.stage_attributions(self._explained(), self._input(), target=self._asked())
            picture = self._sketch.picture[None]
            self.stages.show(
                figures.attribution_maps(picture, stages, self._spoken_for(), title="Every stage")
            )
            yield
        else:
            found = probes.shortcut_shares(self._explained(), self._input())
            self.shares.show(figures.shortcut_attributions(found))
            yield

    def _attribute(self) -> Iterator[None]:
        if self.model is None:
            raise InvalidSetting("model", "There is no network yet; start a training, or give one.")
        self._maps = []
        self._show_attributions()
        for found in probes.attributions(
            self._explained(), self._input(), methods=METHOD_CHOICE, target=self._asked(), **self._settings()
        ):
            self._maps = [*self._maps, found]
            self._show_attributions()
            yield

    def _check(self) -> Iterator[None]:
        """The trust of every map that is shown, each as soon as it is known."""
        if self.model is None or not self._maps:
            raise InvalidSetting("trust", "There is no map to check yet; press Explain first.")
        checked: list[Trust] = []
        for one in self._maps:
            self._show_verdicts(checked, doing=one.method)
            yield
            found = probes.trust(
                self._explained(),
                self._input(),
                method=cast(Name, one.method),
                target=self._asked(),
                **self._settings(),
            )
            checked = [*checked, *found]
            self._show_verdicts(checked)
            self.trust.layout.display = None
            self.trust.show(figures.trust_curves(checked[-1]))

    def _find_wrong(self) -> Iterator[None]:
        if self.model is None:
            raise InvalidSetting("model", "There is no network yet; start a training, or give one.")
        split, begin = self._data.test, self._index.value + 1
        order = [*range(begin, len(split)), *range(begin)]
        for start in range(0, len(order), 250):
            indices = order[start : start + 250]
            images = normalise(split.images[indices].to(self._device()), self._data.mean, self._data.std)
            with torch.no_grad():
                right = self._task.right(
                    self._task.call(self.model, images).cpu(), split.targets[indices].cpu()
                )
            bad = (~right).nonzero()
            if self._worker.is_outdated:  # somebody has chosen another picture meanwhile
                return
            if len(bad):
                self._index.value = indices[int(bad[0])]
                return
            yield
        raise InvalidSetting("picture", "It gets every test picture right.")

    # --- shared ----------------------------------------------------------------------------------

    def _device(self) -> torch.device:
        weight = next(iter(self.model.parameters()), None) if self.model is not None else None
        return weight.device if weight is not None else torch.device("cpu")

    def _input(self) -> Tensor:
        """(1, C, H, W), normalised."""
        image = torch.from_numpy(self._sketch.picture)[None].to(self._device())
        return normalise(image, self._data.mean, self._data.std)

    def _output(self) -> Tensor:
        """(1, K) or (1, K, H, W) logits; of boxes one row for each anchor, too, (1, L, K)."""
        assert self._answering is not None
        with probes.watched(self._answering, []) as seen:
            answer = self._task.call(seen, self._input())
        pixels = self._data.target_kind in _DRAWN
        dimensions, what = ([4], "pixel") if pixels else ([2], "picture")
        if self._data.target_kind == "boxes":
            dimensions = [3, 4]
        if not isinstance(answer, Tensor) or answer.dim() not in dimensions:
            raise InvalidSetting(
                "model", f"The network must answer each {what} with one number for each class."
            )
        return answer.float()

    def _explained(self) -> nn.Module:
        """The network as attribution wants it: one number for each class."""
        assert self.model is not None
        return explained_model(self.model, self._task, self._input())

    def _answered(self) -> int:
        """The class that it answers; of masks the one with most pixels besides the first, of boxes that of the best."""
        with self._lock:
            answers = self._task.answers(self._output())
        if isinstance(answers, ClassAnswers | IdentityAnswers):
            return int(answers.classes[0])
        if isinstance(answers, ImageAnswers | AnomalyAnswers):
            return 0  # the detail in the middle, or the score: the one number that is explained
        if isinstance(answers, BoxAnswers):
            return int(answers.boxes[0][0, 4]) if len(answers.boxes[0]) else 0
        assert isinstance(answers, MaskAnswers)
        counts = np.bincount(answers.masks[0].reshape(-1), minlength=2)
        return int(counts[1:].argmax()) + 1 if counts[1:].any() else 0

    def _asked(self) -> Any:
        target, against = self._target.value, self._against.value
        if against < 0:
            if target < 0 and self._data.target_kind == "labels":
                return "predicted"
            return self._answered() if target < 0 else target
        if target < 0:
            target = self._answered()
        return target if target == against else Difference(target, against)

    def _settings(self) -> dict[str, Any]:
        options = probes.Options(normalisation=(self._data.mean, self._data.std))
        return {
            "baseline": self._baseline.value,
            "smooth": 8 if self._smooth.value else 0,
            "options": options,
        }

    def _spoken_for(self) -> tuple[str, ...]:
        """The names of what attributions explain: classes, or the one number that stands for the answer."""
        one = {"images": "the detail"}.get(self._data.target_kind)
        one = "the score" if self._data.task == "anomalies" else one
        return (one,) if one else self._data.classes

    def _show_attributions(self) -> None:
        self.attributions.show(
            figures.attribution_maps(self._sketch.picture[None], self._maps, self._spoken_for(), columns=3)
        )
        self._show_verdicts([])

    def _show_verdicts(self, checked: list[Trust], doing: str = "") -> None:
        self.verdicts.value = verdicts_html(self._maps, checked, doing)


def first_layer(model: nn.Module) -> str:
    """The first convolution, or the first layer where there is none."""
    names = probes.layer_names(model)
    convs = [
        name for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and name in names
    ]
    return (convs or list(names) or [""])[0]


def fitted(
    content: bytes, shape: tuple[int, int, int], value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """An uploaded picture, (C, H, W) uint8, read by the very code that reads data sets.

    Args:
        content: the file.
        shape: (C, H, W) of the network's images.
        value_range: of the data set, see `Dataset`.

    Raises:
        InvalidSetting: if it is too large or no picture.
    """
    if len(content) > _MOST_UPLOAD:
        raise InvalidSetting(
            "upload", f"the file has {len(content) / 2**20:.0f} MiB; choose one of at most 20"
        )
    channels, height, width = shape
    try:
        return Decoder((height, width), channels, value_range).pixels(content)
    except Unreadable as error:
        reason = str(error)
        if reason in ("no image of a known format", "empty file"):
            told = (
                "the file is not a picture that can be read; choose a PNG, JPEG, GIF, BMP, WebP, TIFF or PPM"
            )
        elif reason.startswith("a pixel bomb"):
            told = f"the picture is too large ({reason}); choose a smaller one"
        else:
            told = f"the picture is damaged ({reason}); choose another, or save it anew as PNG or JPEG"
        raise InvalidSetting("upload", told) from error


def answer_html(probabilities: Tensor, classes: tuple[str, ...], true: int | None) -> str:
    """The best five answers as bars."""
    best = probabilities.topk(min(_BEST, len(probabilities)))
    rows = [
        f"<span>{'<b>' if k == true else ''}{escape(_name(k, classes))}{'</b>' if k == true else ''}</span>"
        f'<i><b style="width:{100 * p:.1f}%"></b></i><span>{100 * p:.1f} %</span>'
        for p, k in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    if true is None:
        told = "A picture of your own."
    else:
        right = int(best.indices[0]) == true
        told = f"It is <b>{escape(_name(true, classes))}</b>: {'right' if right else 'wrong'}."
    return f'<div>{told}</div><div class="reswork-answer">{"".join(rows)}</div>'


def mask_html(answers: MaskAnswers, classes: tuple[str, ...], score: str) -> str:
    """How much of the picture each class is given, and how well that fits."""
    counts = np.bincount(answers.masks[0].reshape(-1), minlength=len(classes))
    shares = 100 * counts / counts.sum()
    rows = [
        f'<span>{escape(_name(int(k), classes))}</span><i><b style="width:{shares[k]:.1f}%"></b></i>'
        f"<span>{shares[k]:.1f} %</span>"
        for k in np.argsort(-shares, kind="stable")[:_BEST]
        if shares[k]
    ]
    told = f"Mean IoU of this picture: <b>{score}</b>." if score else "A picture of your own."
    return (
        f"<div>{told}</div>{legend_html(classes)}<div>Share of the pixels that it calls so:</div>"
        f'<div class="reswork-answer">{"".join(rows)}</div>'
    )


def box_figure(
    picture: np.ndarray, answers: BoxAnswers, classes: tuple[str, ...], truth: Tensor | None
) -> Any:
    """The boxes that are answered, beside the true ones where they are known."""
    shown: list[Any] = [answers.boxes] if truth is None else [answers.boxes, truth[None].numpy()]
    return figures.box_overlays(picture[None], shown, ["answer", "true boxes"][: len(shown)], classes)


def boxes_html(answers: BoxAnswers, classes: tuple[str, ...], truth: Tensor | None) -> str:
    """The best boxes with their scores, and what attributions explain of them."""
    rows = [
        f'<span>{escape(_name(int(box[4]), classes))}</span><i><b style="width:{100 * box[5]:.1f}%"></b></i>'
        f"<span>{100 * box[5]:.0f} %</span>"
        for box in answers.boxes[0][:_BEST]
    ]
    told = "A picture of your own."
    if truth is not None:
        count = int((truth[:, 4] != NO_BOX).sum())
        told = f"It is sure of <b>{len(answers.boxes[0])}</b> boxes, and {count} {'is' if count == 1 else 'are'} true."
    return (
        f"<div>{told}</div>{legend_html(('', *classes))}"
        + "<div>Score of each box; attributions explain the best one of a class:</div>" * bool(rows)
        + f'<div class="reswork-answer">{"".join(rows)}</div>'
    )


def picture_html(score: str) -> str:
    """How near a picture comes to what it was, and what attributions explain of it."""
    told = f"PSNR of this picture: <b>{score} dB</b>." if score else "A picture of your own."
    return (
        f"<div>{told}</div><div>Attributions explain how much detail comes out in the middle: which pixels that go in "
        "the network used for it.</div>"
    )


def identities_html(answers: IdentityAnswers, classes: tuple[str, ...]) -> str:
    """The identities that were learned and are most alike, as bars of their cosines."""
    alike = answers.similarities[0]
    rows = [
        f"<span>{escape(_name(int(k), classes))}</span>"
        f'<i><b style="width:{100 * max(float(alike[k]), 0):.1f}%"></b></i><span>{alike[k]:.2f}</span>'
        for k in np.argsort(-alike, kind="stable")[:_BEST]
    ]
    return (
        "<div>Most like these, of those that were learned; nobody of the test is among them. Attributions explain the "
        f'first.</div><div class="reswork-answer">{"".join(rows)}</div>'
    )


def score_html(answers: AnomalyAnswers) -> str:
    """How unlike the good ones a picture is, and what attributions explain of it."""
    return (
        f"<div>Score <b>{answers.scores[0]:.3g}</b>, the higher the less like the good ones.</div>"
        "<div>Attributions explain the score: which pixels that go in raise it.</div>"
    )


def as_pictures(inputs: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Normalised images (N, C, H, W) as bytes."""
    shape = (1, -1, 1, 1)
    plain = inputs * np.reshape(std, shape) + np.reshape(mean, shape)
    return np.clip(255 * plain, 0, 255).round().astype(np.uint8)


def verdicts_html(maps: list[Attribution], checked: list[Trust], doing: str = "") -> str:
    """A row for each map: what it answers, notes, and its trust once it is known."""
    known = {trust.method: trust for trust in checked}
    rows = []
    for one in maps:
        text = METHODS[one.method]
        trust = known.get(one.method)
        if trust is not None:
            word = f'<b class="reswork-{trust.finding.replace(" ", "-")}">{trust.finding}</b>: {escape(trust.verdict)}'
        else:
            word = "is being checked ..." if one.method == doing else "not checked"
        notes = "".join(f"<br>{escape(note)}" for note in one.notes)
        rows.append(
            f'<tr><td title="{escape(text.cost)}"><b>{escape(text.label)}</b></td>'
            f"<td>{escape(text.answers)}{notes}</td>"
            f"<td>{word}</td><td>{one.seconds:.2f} s</td></tr>"
        )
    if not rows:
        return '<span class="reswork-muted">Press Explain: eight methods, side by side.</span>'
    head = "<tr><th>method</th><th>what it answers</th><th>trust</th><th>took</th></tr>"
    return f'<table class="reswork-trust">{head}{"".join(rows)}</table>'


def _name(index: int, classes: tuple[str, ...]) -> str:
    return classes[index] if index < len(classes) else str(index)
