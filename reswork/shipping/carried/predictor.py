"""Pictures to answers with an exported model; needs numpy, pillow and onnxruntime."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from reswork.datasets.decoding import Unreadable, opened, pixels, reason_of

MOST_PICTURES = 32  # in one request
MOST_PIXELS = 16_000_000  # of one picture, before it is scaled


class Refused(Exception):
    """A request that is not answered; its text is for whoever sent it.

    Args:
        sentence: what is wrong with it.
        status: of HTTP.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class Predictor:
    """Answers with the model of a folder that was exported as ONNX.

    Args:
        folder: with ``model.json``, ``manifest.json`` and the model; also one that holds such a folder.
        threads: for one answer; None: as many as onnxruntime takes.

    Raises:
        ValueError: the folder has no model, or another than what was exported.
    """

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        place = _found(Path(folder))
        self._facts = json.loads((place / "model.json").read_text(encoding="utf-8"))
        files = json.loads((place / "manifest.json").read_text(encoding="utf-8"))["files"]
        hashes = {name: files[name]["sha256"] for name in sorted(files)}
        for name in ("model.json", self._facts["file"]):
            if hashlib.sha256((place / name).read_bytes()).hexdigest() != hashes[name]:
                raise ValueError(f"{name} has changed since it was exported")
        self.version = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:12]
        self.classes: list[str] = list(self._facts["classes"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        path = str(place / self._facts["file"])
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._mean, self._std = (
            np.float32(self._facts["decoder"][name]).reshape(-1, 1, 1) for name in ("mean", "std")
        )
        self.logits(np.zeros((1, self._mean.size, *self._facts["decoder"]["size"]), np.float32))

    def inputs(self, picture: bytes, index: int = 0) -> np.ndarray:
        """What the model takes in for a picture's file, float32 (C, H, W).

        Args:
            picture: the file's content.
            index: its number, for the sentence.

        Raises:
            Refused: it cannot be read, or has too many pixels.
        """
        known = self._facts["decoder"]
        try:
            with opened(picture) as image:
                width, height = image.size
            if width * height > MOST_PIXELS:
                raise Refused(
                    f"picture {index} has {width}x{height} pixels; at most {MOST_PIXELS:,} are read", 413
                )
            found = pixels(picture, tuple(known["size"]), known["channels"], known["value_range"])
        except Unreadable as error:
            raise Refused(f"picture {index} cannot be read: {reason_of(error)}") from error
        found = found.reshape(*known["size"], -1).transpose(2, 0, 1)
        return (found.astype(np.float32) / 255 - self._mean) / self._std

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """The model's output for float32 (N, C, H, W)."""
        found: np.ndarray = self._session.run(None, {"images": np.ascontiguousarray(inputs, np.float32)})[0]
        return found

    def answers(self, pictures: Sequence[bytes], top: int = 3) -> list[dict[str, Any]]:
        """What is said about each picture.

        Args:
            pictures: files' contents.
            top: classes that are named.

        Returns:
            For each ``{"top": [{"class": ..., "probability": ...}], "probabilities": [...]}``; for masks
            ``{"shares": {class: share of the picture}}``.

        Raises:
            Refused: one cannot be read, or there are too many.
        """
        if not 1 <= len(pictures) <= MOST_PICTURES:
            raise Refused(f"{len(pictures)} pictures in one request: send 1 to {MOST_PICTURES}")
        logits = self.logits(np.stack([self.inputs(each, index) for index, each in enumerate(pictures)]))
        if self._facts["task"] == "segmentation":
            return [self._shares(mask, top) for mask in logits.argmax(1)]
        chances = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        return [self._named(row, top) for row in chances / chances.sum(axis=1, keepdims=True)]

    def _named(self, row: np.ndarray, top: int) -> dict[str, Any]:
        best = np.argsort(-row, kind="stable")[:top]
        named = [{"class": self.classes[k], "probability": float(row[k])} for k in best]
        return {"top": named, "probabilities": row.tolist()}

    def _shares(self, mask: np.ndarray, top: int) -> dict[str, Any]:
        row = np.bincount(mask.reshape(-1), minlength=len(self.classes)) / mask.size
        best = np.argsort(-row, kind="stable")[:top]
        return {"shares": {self.classes[k]: float(row[k]) for k in best if row[k]}}


def pictures_of(texts: object) -> list[bytes]:
    """Files from a list of base64 texts, or of ``{"b64": text}`` as Google's clients send them.

    Raises:
        Refused: it is something else.
    """
    if not isinstance(texts, list):
        raise Refused("a list of pictures is missing, each a base64 text")
    found = []
    for index, each in enumerate(texts):
        text = each.get("b64") if isinstance(each, dict) else each
        try:
            if not isinstance(text, str):
                raise ValueError("no text")
            found.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Refused(f"picture {index} is no base64 text") from error
    return found


def top_of(value: object) -> int:
    """How many classes are to be named.

    Raises:
        Refused: no whole number from 1 to 1,000.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise Refused("top is the number of classes to be named: a whole number from 1 to 1000")
    return value


def _found(folder: Path) -> Path:
    place = next((each.parent for each in sorted(folder.rglob("model.json"))), None)
    if place is None:
        raise ValueError(f"{str(folder)!r} has no model.json")
    return place
