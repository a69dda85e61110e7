"""`why`: several looks at one image and the model that answers it, each computed when it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import numpy as np

from reswork.causes.carriers import MOST_CHANNELS, carriers
from reswork.causes.case import MOST_TRAINING, Case, Label
from reswork.causes.flips import flips, trials
from reswork.causes.look_alike import look_alike
from reswork.causes.maps import METHODS, maps
from reswork.causes.neighbours import neighbours
from reswork.causes.turning import turning
from reswork.causes.words import by_strength, remarks
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.probes.attribution_methods import METHODS as KNOWN_METHODS
from reswork.reporting.answers import Stopped, model_of
from reswork.reporting.planned import Planned
from reswork.results.attributions import Attribution, Trust
from reswork.results.causes import Carriers, Flip, LookAlike, Neighbours, Remark, TopAnswers, Turning

_LOOKS = 600  # images that a map and its trust ask the model about


@dataclass(frozen=True)
class Look:
    """One way to look at the case.

    Args:
        name: as in `Why`.
        title: on a page.
        images: how many answers of the model it costs.
        compute: what it finds.
        needs_blocks: whether a network without layers to look at lacks something.
        needs_sample: whether it compares with a sample of training images.
        seconds: that it takes besides those answers.
    """

    name: str
    title: str
    images: Callable[["Why"], float]
    compute: Callable[["Why"], Any]
    needs_blocks: bool = True
    needs_sample: bool = False
    seconds: Callable[["Why"], float] = lambda why: 0.1


class Why:
    """Why one image is answered as it is; each look is computed when it is first asked for, and kept.

    Walk over `fill` for all of them one by one; not to go on, or `stop` from elsewhere, ends it, and what is there
    stays. Made by `why`.

    Attributes:
        name: of the model.
        case: the image, its answer, and what it is compared with.
        methods: of attribution.
    """

    def __init__(self, case: Case, name: str, methods: Sequence[str] = METHODS) -> None:
        self.case, self.name, self.methods = case, name, tuple(methods)
        self._found: dict[str, Any] = {}
        self._took: dict[str, float] = {}
        self._lacks: dict[str, str] = {}  # what only computing has shown
        self._asked_to_stop = False
        case.stopped = lambda: self._asked_to_stop

    def __repr__(self) -> str:
        answer, classes = self.answer(), self.case.data.classes
        truth = "" if answer.label is None else f", it is {classes[answer.label]}"
        what = "a picture" if self.case.index is None else f"{self.case.split} image {self.case.index}"
        parts = [
            f"{each.name}{'' if each.done else f' (about {each.seconds:.0f} s)'}"
            for each in self.plan()
            if not each.missing
        ]
        return f"<Why {self.name} answers {what} with {classes[answer.predicted]}{truth}: {', '.join(parts)}>"

    def plan(self) -> tuple[Planned, ...]:
        """Every look in order: what it costs or cost, or what it lacks."""
        seconds, found = self.case.image_seconds, []
        waits = not self.case.has_sample  # whoever comes first pays for the sample
        for look in LOOKS:
            missing, done = self._missing(look), look.name in self._found
            cost = self._took.get(look.name, 0.0)
            if not done and not missing:
                cost = look.seconds(self) + seconds * look.images(self)
                if look.needs_sample and waits:
                    cost += seconds * len(self.case.rows)
                    waits = False
            found.append(Planned(look.name, look.title, cost, missing, done))
        return tuple(found)

    def fill(self, names: Sequence[str] | None = None) -> Iterator[str]:
        """Compute what is not there yet, and name each look when it is ready.

        Args:
            names: of some; None: all for which there is what they need.

        Raises:
            InvalidSetting: a look that is not known.
        """
        self._asked_to_stop = False
        for look in LOOKS if names is None else [_look(name) for name in names]:
            if self._asked_to_stop:
                return
            if self._missing(look):
                continue
            try:
                self._get(look.name)
            except Stopped:
                return
            except (
                InvalidSetting
            ) as error:  # what only computing could show, such as no image answered rightly
                self._lacks[look.name] = error.message
                continue
            yield look.name

    def stop(self) -> None:
        """End `fill` at its next look, from any thread; what is computed stays."""
        self._asked_to_stop = True

    @property
    def has_looked(self) -> bool:
        """Whether any look was computed."""
        return bool(self._found)

    def found(self, name: str) -> Any:
        """What a look found, or None where it was not computed."""
        return self._found.get(name)

    def answer(self) -> TopAnswers:
        """The best five answers, and the two classes that are compared."""
        return self.case.answer

    def flips(self) -> tuple[Flip, Flip, Flip]:
        """The smallest patch, shift and change of brightness that turn the answer."""
        return cast(tuple[Flip, Flip, Flip], self._get("flips"))

    def maps(self) -> tuple[tuple[Attribution, tuple[Trust, ...]], ...]:
        """For each method maps of the predicted class, the other one and the difference, and how far to trust each."""
        return cast(tuple[tuple[Attribution, tuple[Trust, ...]], ...], self._get("maps"))

    def neighbours(self) -> Neighbours:
        """The training images that are most like it at each stage, and what they speak for."""
        return cast(Neighbours, self._get("neighbours"))

    def turning(self) -> Turning:
        """At which block the answer turned, read by the head and by a linear probe."""
        return cast(Turning, self._get("turning"))

    def carriers(self) -> Carriers:
        """What becomes of the answer without each block, shortcut and channel."""
        return cast(Carriers, self._get("carriers"))

    def look_alike(self) -> LookAlike:
        """A training image of the true class that is answered rightly, and the block at which the two part."""
        return cast(LookAlike, self._get("look_alike"))

    def remarks(self) -> tuple[Remark, ...]:
        """What the looks that were computed so far found and did not find, one sentence each, with its strength."""
        missing = {look.name: text for look in LOOKS if (text := self._missing(look))}
        return remarks(self.case, self._found, missing)

    @property
    def paragraph(self) -> str:
        """All remarks as one text, what is strong first; looks that are not there yet are computed."""
        list(self.fill())
        return " ".join(
            f"{head} {' '.join(sentences)}".strip() for head, sentences in by_strength(self.remarks())
        )

    def _missing(self, look: Look) -> str:
        """What would have to be given, in words; empty where all is there."""
        if look.name in self._lacks:
            return self._lacks[look.name]
        if look.name == "maps" and not self.methods:
            return "it needs a method of attribution"
        if look.needs_blocks and not self.case.blocks:
            return "it needs a network with layers that can be looked at one by one"
        if look.needs_sample and (len(self.case.rows) < 10 or len(np.unique(self.case.labels)) < 2):
            return "it needs at least 10 training images of at least two classes"
        return ""

    def _get(self, name: str) -> Any:
        if name not in self._found:
            look = _look(name)
            if missing := self._missing(look):
                raise InvalidSetting(name, f"{look.title}: {missing}")
            begin = perf_counter()
            self._found[name] = look.compute(self)
            self._took[name] = perf_counter() - begin
        return self._found[name]


def why(
    model: Any,
    data: Dataset,
    image: Any,
    split: str = "test",
    *,
    label: Label = None,
    methods: Sequence[str] = METHODS,
    training_images: int = MOST_TRAINING,
) -> Why:
    """Why a model answers one image as it does: where it looked, what carries the answer, what turns it.

    Nothing but the answer is computed before it is asked for; each look says beforehand what it costs (`Why.plan`). In
    a notebook ``rw.debug(why)`` shows it.

    Args:
        model: any network that takes the data set's images, normalised, and gives (N, classes); a run, or an opened
            checkpoint. It stays as it was; of a run that is training a snapshot is taken.
        data: with one label an image; the training split is what the image is compared with.
        image: an index of the split; or a picture of your own: a path, the bytes of a file, or (C, H, W) uint8.
        split: ``"test"`` or ``"train"``, of the index.
        label: name or number of the true class of a picture of your own, if it is known.
        methods: of attribution.
        training_images: at most so many are compared with.

    Raises:
        InvalidSetting: masks instead of labels, an index outside of the split, a network of other classes.

    Example:
        >>> import reswork as rw
        >>> found = why(rw.resnet(depth=8, width=4, in_channels=1), rw.datasets.digits(), 7)
        >>> found.answer().margin <= 0
        True
    """
    for method in methods:
        if method not in KNOWN_METHODS:
            raise InvalidSetting("methods", f"{method!r} is no method; choose of {', '.join(KNOWN_METHODS)}")
    network = model_of(model)
    case = Case(network, data, image, split, label, training_images)
    return Why(case, getattr(model, "name", "") or type(network).__name__, methods)


def _head_readings(found: Why) -> float:
    return 50.0 * len(found.case.blocks)


LOOKS: tuple[Look, ...] = (
    Look("flips", "What turns the answer", lambda w: 0.7 * trials(w.case.image.shape[1:]), lambda w: flips(w.case),
         needs_blocks=False),
    Look("neighbours", "Training images like it", lambda w: 5, lambda w: neighbours(w.case), needs_sample=True),
    Look("turning", "Where the answer turned", _head_readings, lambda w: turning(w.case), needs_sample=True,
         seconds=lambda w: 1 + 0.02 * len(w.case.blocks)),
    Look("carriers", "What carries it", lambda w: 2 * _head_readings(w) + 2 * MOST_CHANNELS, lambda w: carriers(w.case),
         needs_sample=True),
    Look("look_alike", "A look-alike answered rightly", lambda w: 200, lambda w: look_alike(w.case), needs_sample=True),
    Look("maps", "Where it looked", lambda w: 3.0 * _LOOKS * len(w.methods), lambda w: maps(w.case, w.methods),
         needs_blocks=False, seconds=lambda w: 3.0 * len(w.methods)),
)  # fmt: skip


def _look(name: str) -> Look:
    for look in LOOKS:
        if look.name == name:
            return look
    raise InvalidSetting("names", f"{name!r} is no look; choose {', '.join(each.name for each in LOOKS)}")
