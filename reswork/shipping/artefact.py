"""`Artefact`: the folder of an exported model, opened again; its files are known by their hashes."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.datasets.decoder import Decoder, Picture
from reswork.datasets.texts import tokens_of
from reswork.errors import InvalidSetting
from reswork.shipping.engines import Engine, Format, check_format, open_engine
from reswork.shipping.output_form import OutputForm, output_form
from reswork.store.atomic_files import open_regular, read_json

if TYPE_CHECKING:
    from reswork.reporting.report import Report

FORM = 1  # raise it where an older reswork would read a folder wrongly
FACTS, MANIFEST, EXAMPLES, CARD, EXAMPLE = (
    "model.json", "manifest.json", "examples.npz", "README.md", "example.py",
)  # fmt: skip
PICTURES = "examples"  # a folder
_MOST_BYTES = 4 * 1024**2
_BATCH = 250


@dataclass(frozen=True, eq=False)
class Examples:
    """Test images that are kept with an artefact, with what the network said.

    Attributes:
        pixels: (N, C, H, W) uint8.
        outputs: float32, what the network as it was gave for each.
        targets: what is known of each.
    """

    pixels: np.ndarray
    outputs: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True, eq=False)
class Artefact:
    """An exported model on disk; made by `reswork.export`, opened by `open_artefact`.

    Attributes:
        folder: where it lies.
        facts: what ``model.json`` says of it, as plain values.
        manifest: file name -> ``{"bytes": ..., "sha256": ...}``.
    """

    folder: Path
    facts: Mapping[str, Any]
    manifest: Mapping[str, Mapping[str, Any]]

    @property
    def format(self) -> Format:
        """How it is written."""
        return check_format(str(self.facts["format"]))

    @property
    def path(self) -> Path:
        """The file of the model itself."""
        return self.folder / str(self.facts["file"])

    @property
    def version(self) -> str:
        """Twelve letters that are others as soon as any file is another."""
        text = json.dumps({name: self.manifest[name]["sha256"] for name in sorted(self.manifest)})
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the output."""
        return tuple(map(str, self.facts["classes"]))

    @property
    def form(self) -> OutputForm:
        """What it gives."""
        return output_form(str(self.facts["task"]))

    @property
    def scale(self) -> int:
        """How many times as high and wide the pictures are that come out; 1 where none do."""
        return int((self.facts.get("picture") or {}).get("scale", 1))

    @cached_property
    def decoder(self) -> Decoder:
        """How pictures are read for it: the data set's own settings.

        Raises:
            InvalidSetting: it takes no pictures.
        """
        if self.facts["decoder"] is None:
            raise InvalidSetting(
                "artefact",
                f"{str(self.folder)!r} takes {self.facts['inputs']['kind']} and no pictures: give it numbers in a "
                "process of yours, by its ask() or as its example.py does",
            )
        return Decoder.from_dict(self.facts["decoder"])

    @cached_property
    def examples(self) -> Examples:
        """The kept examples.

        Raises:
            InvalidSetting: they cannot be read.
        """
        try:
            with np.load(self.folder / EXAMPLES, allow_pickle=False) as arrays:
                return Examples(arrays["pixels"], arrays["outputs"], arrays["targets"])
        except (OSError, ValueError, KeyError) as error:
            raise InvalidSetting(
                "folder",
                f"{EXAMPLES} of {str(self.folder)!r} cannot be read: {error}; export the model again",
            ) from error

    def report(self, data: Dataset) -> "Report":
        """What it gets wrong on test images, as `reswork.report` tells it; two are compared by `Report.against`.

        Args:
            data: with labels, of its classes and size.

        Raises:
            InvalidSetting: it is of another kind.
        """
        from reswork.reporting.report import report  # which takes seconds to import

        if (
            self.facts["task"] != "classification"
            or data.target_kind != "labels"
            or data.input_shape != self.decoder.shape
            or data.classes != self.classes
        ):
            raise InvalidSetting(
                "data",
                f"{data.name!r} has other classes, targets or sizes than {str(self.folder)!r} answers for",
            )
        engine, images = self.open(), data.test.images.cpu()
        logits = np.concatenate([engine(self.inputs(part.numpy())) for part in images.split(_BATCH)])
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
        found = report(
            probabilities=shifted / shifted.sum(axis=1, keepdims=True),
            labels=data.test.labels,
            images=images,
            classes=data.classes,
        )
        found.name = self.folder.name
        return found

    def ask(
        self, pictures: Picture | Sequence[Picture] | np.ndarray, top: int = 3, threads: int | None = None
    ) -> list[dict[str, Any]]:
        """What it says about pictures, in this process; a server with the same engine says the same to the last bit.

        Args:
            pictures: one or several, each a path or the bytes of a file. Of signals, volumes and rows of a table
                numbers (N, ...) in their own unit; of texts the texts.
            top: classes to be named.
            threads: of the engine; None: as many as torch takes here.

        Returns:
            For each picture what `Server.ask` gives; ``values`` by their names. Of look-alikes the ``embedding``; of
            anomalies ``map``, ``score``, and whether it is an ``alarm``, above the threshold that was chosen for 5 %
            false alarms. Of pictures that come out ``png``, the bytes of a file, with ``height`` and ``width``; those
            that go in keep their own size.

        Raises:
            InvalidSetting: no picture that can be read.
        """
        from reswork.shipping.answering import measured, restored, said
        from reswork.tasks import task_of_kind

        if self.form.is_picture:
            single = isinstance(pictures, str | bytes | os.PathLike)
            several = cast("Sequence[Picture]", [pictures] if single else pictures)
            engine = self.open(threads)
            return [restored(engine, self.inputs(self.read(each)[None])) for each in several]
        if self.facts["decoder"] is None:
            inputs = self._numbers(pictures)
        else:
            inputs = self.decoder.inputs(cast("Picture | Sequence[Picture]", pictures)).numpy()
        output = self.open(threads)(inputs)
        if not self.form.has_classes:
            return measured(self.form, output, self.facts["threshold"], self.facts.get("values", ()))
        task = task_of_kind(str(self.facts["task"]))
        size = (0, 0) if self.facts["decoder"] is None else self.decoder.size
        return said(self.classes, task, output, top, size)[0]

    def read(self, picture: Picture) -> np.ndarray:
        """A picture as it goes in, uint8 (C, H, W): where pictures come out, in its own height and width.

        Raises:
            InvalidSetting: no picture that can be read.
        """
        return self.decoder(picture, whole=self.form.is_picture).numpy()

    def _numbers(self, given: Any) -> np.ndarray:
        """What goes in where that is no picture, (N, ...) float32."""
        known = self.facts["inputs"]
        shape = tuple(map(int, known["shape"]))
        try:
            if known["kind"] == "tokens" and not isinstance(given, np.ndarray):
                texts = [given] if isinstance(given, str) else [str(each) for each in given]
                return tokens_of(texts, known["names"], shape[0]).astype(np.float32)
            found = np.asarray(given, np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidSetting(
                "inputs", f"no numbers: {error}; give (N, {', '.join(map(str, shape))})"
            ) from error
        if found.shape[1:] != shape:
            raise InvalidSetting(
                "inputs",
                f"{known['kind']} of shape {found.shape}: give (N, {', '.join(map(str, shape))}), in their own unit",
            )
        return found

    def check_answered(self) -> None:
        """Refuse what servers cannot answer for.

        Raises:
            InvalidSetting: it is of such a task, or takes no pictures.
        """
        _ = self.decoder
        if not self.form.is_served:
            raise InvalidSetting(
                "artefact",
                f"{str(self.folder)!r} is of the task {self.facts['task']!r}, which cannot be served yet: ask it in a "
                "process of yours, by its ask() or as its example.py does",
            )

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """What it takes in for (N, C, H, W) uint8: float32, normalised; other inputs as they are."""
        return pixels.astype(np.float32) if self.facts["decoder"] is None else inputs_of(self.decoder, pixels)

    def open(self, threads: int | None = None) -> Engine:
        """What computes it; see `open_engine`.

        Raises:
            InvalidSetting: the model is no longer what was exported.
        """
        self.check_model()
        return open_engine(self.path, threads)

    def check_model(self) -> None:
        """Refuse a model that is no longer what was exported; other files may have changed.

        Raises:
            InvalidSetting: in one sentence.
        """
        own = {name for name in self.manifest if self.path in (place := self.folder / name, *place.parents)}
        if wrong := self.changed(own):
            raise InvalidSetting(
                "folder",
                f"{wrong[0]}, in {str(self.folder)!r}: put back what was exported, or export it again",
            )

    def changed(self, names: Collection[str] | None = None) -> tuple[str, ...]:
        """Files that are missing or are no longer what was exported, each with what is wrong.

        Args:
            names: of the files that are looked at; None: all.
        """
        return tuple(
            f"{name} {wrong}"
            for name, known in self.manifest.items()
            if (names is None or name in names) and (wrong := _wrong(self.folder / name, known))
        )

    def __repr__(self) -> str:
        size = sum(int(each["bytes"]) for each in self.manifest.values())
        return (
            f"<Artefact {str(self.folder)!r}: {self.facts['label']} as {self.facts['told']}, {size / 1e6:.2f} MB, "
            f"{self.facts['proof']['sentence']}>"
        )


def open_artefact(folder: str | Path) -> Artefact:
    """Read what lies in an exported folder; nothing is computed, and no file is compared with its hash.

    Raises:
        InvalidSetting: it is none, or of a newer reswork.
    """
    folder = Path(folder)
    try:
        facts, manifest = (read_json(folder / name, _MOST_BYTES) for name in (FACTS, MANIFEST))
        if facts["form"] != FORM:
            raise ValueError(f"{FACTS} has form {facts['form']!r}, and this reswork reads {FORM}")
        files = {str(name): {"bytes": int(each["bytes"]), "sha256": str(each["sha256"])}
                 for name, each in manifest["files"].items()}  # fmt: skip
        for name in (*files, str(facts["file"])):
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"it names {name!r}, which lies outside of it")
        found = Artefact(folder, facts, files)
        _ = (
            found.format,
            found.facts["inputs"]["kind"] if found.facts["decoder"] is None else found.decoder,
            found.classes,
            facts["label"],
            facts["told"],
            facts["proof"]["sentence"],
        )
        return found
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        raise InvalidSetting(
            "folder",
            f"{str(folder)!r} has no {name}, so that it is no exported model; make one: rw.export(run, folder)",
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{FACTS} has no entry {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidSetting(
            "folder", f"{str(folder)!r} cannot be read as an exported model: {reason}"
        ) from error


def inputs_of(decoder: Decoder, pixels: np.ndarray) -> np.ndarray:
    """What a model takes in for (N, C, H, W) uint8: float32, normalised."""
    assert decoder.mean is not None and decoder.std is not None
    found: np.ndarray = normalise(torch.tensor(pixels), decoder.mean, decoder.std).numpy()
    return found


def fingerprint(path: Path) -> dict[str, Any]:
    """Length and sha256 of a file.

    Raises:
        OSError, ValueError: it cannot be read, or is no file.
    """
    with open_regular(path) as fileno, open(fileno, "rb", closefd=False) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def _wrong(path: Path, known: Mapping[str, Any]) -> str:
    try:
        found = fingerprint(path)
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    return "" if found == dict(known) else "has changed since it was exported"
