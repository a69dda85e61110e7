"""Worlds: what a residual network can be asked to do, and what is offered for each of them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reswork import datasets
from reswork.datasets import Dataset
from reswork.datasets.inputs import ONE, InputKind
from reswork.datasets.table import csv_table
from reswork.errors import InvalidSetting
from reswork.experiment.presets import PRESETS, Preset
from reswork.models.config import ResNetConfig
from reswork.store import AnyRun
from reswork.tasks import CLASSIFICATION, config_for, task_for

_ONE: dict[InputKind, str] = {
    "images": "picture", "volumes": "volume", "signals": "signal", "tables": "row", "tokens": "text",
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """One kind of work, and what the workbench offers for it.

    Nothing is stored of it: the world of a data set or of a run follows from what goes in and from its task, see
    `world_of`.

    Attributes:
        name: as code and the command line spell it.
        title: what the menu shows.
        explanation: what goes in, what comes out, and where another tool is better.
        inputs: what its data sets hold.
        tasks: kinds of `Task` that are learned in it.
        data: words of a menu -> name for `reswork.datasets.load`; the first is where it begins.
        own: what one's own data may be, in one sentence.
        read: reads them from a path.
        asks: keywords of ``read`` that a person may give.
        baseline: what the field would take first.
        network: settings of `ResNetConfig` to begin with, besides those that follow from the data.
        presets: names of recipes, the first to begin with.
        panels: parts of the workbench that not every world has: ``"film"``, pinned pictures while it learns;
            ``"inspector"``, one picture and the network's inside; ``"debug"``, report and reasons; ``"ship"``, made
            smaller, exported, served; ``"answers"``, truth and answer to some test inputs, for those that have no
            inspector; ``"simple methods"``, what those reach on the same split. See `reswork.widgets.workbench`.
    """

    name: str
    title: str
    explanation: str
    inputs: InputKind
    tasks: tuple[str, ...]
    data: Mapping[str, str]
    own: str
    read: Callable[..., Dataset]
    asks: tuple[str, ...]
    baseline: str
    network: Mapping[str, Any] = field(default_factory=dict)
    presets: tuple[str, ...] = ("quick look", "paper's", "fast", "fine-tuning")
    panels: tuple[str, ...] = ("film", "inspector", "debug", "ship")

    @property
    def one(self) -> str:
        """What a page calls one input."""
        return _ONE[self.inputs]

    @property
    def many(self) -> str:
        """The same of several."""
        return f"{self.one}s"

    @property
    def unit(self) -> str:
        """What is counted in a second."""
        return f"{ONE[self.inputs]}s"

    def load(self, name: str | os.PathLike[str] = "", **how: Any) -> Dataset:
        """A data set by its name, or one's own from a path, read as this world reads them.

        Args:
            name: of `reswork.datasets.NAMES`, or a path; nothing: the set that the world begins with.
            **how: what ``asks`` lists, for a path; None counts as not given.

        Raises:
            InvalidSetting: for what cannot be read, is of another world, or is asked for elsewhere.

        Example:
            >>> worlds()["tables"].load("cancer").input_kind
            'tables'
        """
        text = os.fspath(name) or next(iter(self.data.values()))
        given = {key: value for key, value in how.items() if value is not None}
        for key in (key for key in given if key not in self.asks):
            raise InvalidSetting(
                key, f"{key}={given[key]!r} means nothing for {self.title}; it asks for {_listed(self.asks)}"
            )
        if text in datasets.NAMES and given:
            key = next(iter(given))
            raise InvalidSetting(key, f"{key} is for data of one's own; {text!r} is as it is: leave it out")
        data = datasets.load(text) if text in datasets.NAMES else self.read(text, **given)
        if not self.fits(data):
            raise InvalidSetting(
                "data", f"{data.name!r} is not for {self.title}: {world_of(data).title} is its world"
            )
        return data

    def fits(self, data: Dataset) -> bool:
        """Whether a data set belongs to it."""
        return data.input_kind == self.inputs and task_for(data).kind in self.tasks

    def config(self, data: Dataset, **settings: Any) -> ResNetConfig:
        """The network that it begins with for a data set, see `config_for`."""
        return config_for(data, **(dict(self.network) | settings))

    @property
    def recipes(self) -> dict[str, Preset]:
        """Its presets by name, the first to begin with."""
        return {name: PRESETS[name] for name in self.presets}

    def __str__(self) -> str:
        return f"{self.title}. {self.explanation}"


def worlds() -> dict[str, World]:
    """What the bench is for, by name: data sets, networks, presets and panels of each kind of work.

    Example:
        >>> list(worlds())[:3]
        ['classification', 'segmentation', 'volumes']
    """
    return {world.name: world for world in WORLDS}


def world_named(name: str) -> World:
    """The world of a name.

    Raises:
        InvalidSetting: if there is none.
    """
    found = worlds()
    if name not in found:
        raise InvalidSetting("world", f"world={name!r} is unknown; choose {', '.join(map(repr, found))}")
    return found[name]


def world_of(subject: Dataset | AnyRun) -> World:
    """The world that a data set or a run belongs to, by what goes in and what is learned.

    A task that no world has, as one of your own, counts as the first world with such inputs.
    """
    if isinstance(subject, Dataset):
        inputs, task = subject.input_kind, task_for(subject).kind
    else:
        inputs, task = _inputs_of(subject), subject.task_kind
    alike = [world for world in WORLDS if world.inputs == inputs]
    return next((world for world in alike if task in world.tasks), alike[0])


def _inputs_of(run: AnyRun) -> InputKind:
    config = run.config
    if config is not None:
        kinds: dict[int, InputKind] = {0: "tables", 1: "signals", 3: "volumes"}
        return "tokens" if config.vocabulary is not None else kinds.get(config.dims, "images")
    if run.is_live:
        return run.data.input_kind
    axes: dict[int, InputKind] = {1: "tables", 2: "signals", 4: "volumes"}
    return axes.get(len(run.input_shape), "images")


def _with_masks(path: str | os.PathLike[str], **how: Any) -> Dataset:
    is_array = os.fspath(path).lower().endswith(".npz")
    return datasets.load(path, **how) if is_array else datasets.load(path, targets="masks", **how)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing else"


WORLDS: tuple[World, ...] = (
    World(
        CLASSIFICATION,
        "Pictures: a class each",
        "A picture goes in, the name of what is on it comes out.",
        inputs="images",
        tasks=(CLASSIFICATION, "regression"),
        data={
            "Fashion: clothes": "fashion",
            "Digits: handwritten": "digits",
            "Shapes: drawn": "shapes",
            "CIFAR-10 (download)": "cifar10",
            "CIFAR-100 (download)": "cifar100",
        },
        own="A folder with one sub-folder for each class (or train/ and test/ with such), a zip of it, or an npz with "
        "images and labels.",
        read=datasets.load,
        asks=("size", "targets", "labels", "cache"),
        baseline="logistic regression on pixels",
    ),
    World(
        "segmentation",
        "Pictures: a class for each pixel",
        "A picture goes in, a mask comes out that says for each pixel what it belongs to.",
        inputs="images",
        tasks=("segmentation",),
        data={"Scenes: drawn, with masks": "scenes"},
        own="A folder in which images/ and masks/ lie, of pictures and of masks with the same names, or a zip of it.",
        read=_with_masks,
        asks=("size", "cache"),
        baseline="a threshold, the colour of a pixel; the same U-Net without shortcuts",
        network={"depth": 14, "width": 8},
        presets=("masks", "quick look", "paper's", "fast", "fine-tuning"),
        panels=("film", "inspector", "debug", "ship", "simple methods"),
    ),
    World(
        "volumes",
        "Volumes: a class for each point",
        "A volume goes in slice upon slice, as of a scanner; what each of its points belongs to comes out.",
        inputs="volumes",
        tasks=("segmentation", CLASSIFICATION),
        data={"Solids: drawn": "solids"},
        own="An npz with images and masks, slices by rows by columns each, or a folder of npz files, each with one "
        "image and its mask.",
        read=datasets.volumes,
        asks=("size", "classes"),
        baseline="a threshold",
        network={"width": 8},
        presets=("volumes", "masks"),
        panels=("film", "answers", "simple methods"),
    ),
    World(
        "detection",
        "Pictures: boxes around things",
        "A picture goes in; what is in it and a box around each come out.",
        inputs="images",
        tasks=("detection",),
        data={"Scattered: drawn, with boxes": "scattered"},
        own="A folder or a zip of pictures with COCO's JSON, PASCAL VOC's XML files or YOLO's text files.",
        read=datasets.boxes,
        asks=("size", "format"),
        baseline="a classifier slid over the picture (rw.sliding_window)",
        network={"depth": 14, "width": 8},
        presets=("boxes",),
        panels=("film", "inspector", "ship"),
    ),
    World(
        "restoration",
        "Pictures: larger, or without noise",
        "A small or noisy photograph goes in, the photograph as it was comes out; the network learns only what "
        "bicubic interpolation leaves out.",
        inputs="images",
        tasks=("restoration",),
        data={
            "Photographs, made smaller": "photographs",
            "Photographs with noise": "photographs-noisy",
        },
        own="A folder or a zip of photographs; they are made smaller here, and the network learns the way back.",
        read=datasets.photographs,
        asks=("scale", "noise"),
        baseline="bicubic interpolation",
        network={"depth": 14, "width": 20},
        presets=("photographs",),
        panels=("film", "inspector", "ship", "simple methods"),
    ),
    World(
        "verification",
        "Pictures: the same one or another",
        "Two pictures go in, and how alike they are comes out, also of identities that were never seen. What it must "
        "not be used for stands in docs/look-alikes.md.",
        inputs="images",
        tasks=("verification",),
        data={"Faces: drawn": "drawn-faces"},
        own="A folder with one sub-folder for each identity (or train/ and test/ with such), or a zip of it; whole "
        "identities are kept for the test, those of a list of pairs if one is given.",
        read=datasets.identities,
        asks=("size", "pairs"),
        baseline="pixels, principal components",
        network={"depth": 8},
        presets=("look-alikes",),
        panels=("film", "inspector", "answers", "ship"),
    ),
    World(
        "anomalies",
        "Pictures: good, or not",
        "Good pictures alone are learned; of any other one a map comes out that says where it is unlike them. "
        "Principal components, or the nearest good picture, are often better and need no training: look at them first.",
        inputs="images",
        tasks=("anomalies",),
        data={"Defects: drawn plates": "defects", "Fashion without bags": "odd-fashion"},
        own="A folder with good/, bad/ and perhaps masks/ in it, or as MVTec AD has it, or a zip of it.",
        read=datasets.anomalies,
        asks=("size",),
        baseline="the nearest good picture, principal components",
        network={"depth": 8},
        presets=("good alone",),
        panels=("film", "inspector", "ship", "simple methods"),
    ),
    World(
        "signals",
        "Signals: a class, a value, next steps",
        "A curve of one or several channels goes in; a class, a value or its next steps come out. Random convolution "
        "kernels with one linear layer are often as good, and train in a second.",
        inputs="signals",
        tasks=(CLASSIFICATION, "regression"),
        data={"Pulses: simulated": "pulses", "Traffic: simulated, next day": "traffic"},
        own="A CSV with a row for each signal (where next steps are told, a row for each moment), an npz, a .ts file "
        "of the UCR archive, or a folder of wave files for each class.",
        read=datasets.signals,
        asks=("target", "horizon", "season"),
        baseline="nearest neighbour or a season ago, ridge on random kernels",
        presets=("signals", "next steps"),
        panels=("answers", "simple methods"),
    ),
    World(
        "tables",
        "Tables: a class or a value for each row",
        "A row of a table goes in, a class or a value comes out. Gradient boosted trees are quicker and mostly better; "
        "look at them first.",
        inputs="tables",
        tasks=(CLASSIFICATION, "regression"),
        data={"Cancer: cells": "cancer", "Fraud: simulated payments": "fraud"},
        own="A CSV with a header; words, dates and gaps become numbers, and what was done is said. The last column is "
        "told unless another is named.",
        read=csv_table,
        asks=("target",),
        baseline="histogram boosting, logistic regression",
        presets=("tables",),
        panels=("answers", "simple methods"),
    ),
    World(
        "text",
        "Texts: a class each",
        "A text goes in sign by sign or word by word, a class comes out. TF-IDF with logistic regression is mostly "
        "better where texts are few.",
        inputs="tokens",
        tasks=(CLASSIFICATION,),
        data={"Languages of names": "languages"},
        own="A CSV with a column of texts and one of classes, or a folder of .txt files for each class.",
        read=datasets.text,
        asks=("target", "column", "by"),
        baseline="TF-IDF with logistic regression",
        presets=("texts",),
        panels=("answers", "simple methods"),
    ),
)
