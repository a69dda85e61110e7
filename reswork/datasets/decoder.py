"""From a picture's file to what a network takes in: the same wherever the picture comes from."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.augmentation import normalise
from reswork.datasets.decoding import Unreadable, ValueRange, by_threads, pixels, reason_of
from reswork.errors import InvalidSetting

if TYPE_CHECKING:
    from reswork.datasets.files import Files

FORM = 1  # raise it where a file would become other pixels than before
Picture = str | os.PathLike[str] | bytes  # a path, or the content of a file


@dataclass(frozen=True)
class Decoder:
    """How the pictures of a data set are read: of files, uploads and whatever is shown to its networks later.

    A picture is turned upright as its exif says, laid on white where it is transparent, becomes grey or colour as the
    data set is, has numbers of more than 8 bits scaled by the data set's own range, and is scaled until it covers the
    size and cut to it around its centre. A data set has one (`Dataset.decoder`), a run keeps it in its folder
    (`SavedRun.decoder`), and everything that reads a picture uses it.

    Args:
        size: height and width in pixels.
        channels: 1 for grey, 3 for colour.
        value_range: the numbers that become black and white where they are no bytes; None: 0 and 65,535.
        mean: of each channel, 0 to 1, which `inputs` takes away; None: it takes no pictures.
        std: standard deviation of each channel, 0 to 1, by which `inputs` divides.

    Raises:
        InvalidSetting: another number of channels, a size that is none.

    Example:
        >>> from reswork.datasets import digits
        >>> Decoder.from_dict(digits().decoder.to_dict()) == digits().decoder
        True
    """

    size: tuple[int, int]
    channels: int
    value_range: ValueRange | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InvalidSetting(
                "channels",
                f"images of {self.channels} channels cannot be read from a picture, which is grey or in colour; give "
                "them as arrays",
            )
        if min(self.size) < 1:
            raise InvalidSetting("size", f"size={self.size}: give height and width in pixels, from 1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what it gives."""
        return self.channels, *self.size

    def __call__(self, picture: Picture, *, whole: bool = False) -> Tensor:
        """The pixels of one picture.

        Args:
            picture: a path, or the bytes of a file.
            whole: in its own height and width, neither scaled nor cut.

        Returns:
            uint8, (C, H, W).

        Raises:
            InvalidSetting: no picture that can be read, with the reason.
        """
        name = "the picture" if isinstance(picture, bytes) else str(picture)
        try:
            data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
            return torch.from_numpy(self.pixels(data, whole=whole))
        except (Unreadable, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidSetting(
                "picture",
                f"{name} cannot be read ({reason}): give a JPEG, PNG, GIF, BMP, WebP, TIFF or PPM that is whole",
            ) from error

    def pixels(self, data: bytes, *, whole: bool = False) -> np.ndarray:
        """The pixels of one file's content, uint8, (C, H, W).

        Args:
            data: of the file.
            whole: in the picture's own height and width, neither scaled nor cut.

        Raises:
            Unreadable: it is no picture, or damaged.
        """
        found = pixels(data, None if whole else self.size, self.channels, self.value_range)
        return np.ascontiguousarray(found.transpose(2, 0, 1)) if self.channels == 3 else found[None].copy()

    def inputs(self, pictures: Picture | Sequence[Picture]) -> Tensor:
        """What the data set's networks take in for these pictures, such as for a probe.

        Args:
            pictures: one or several, each a path or the bytes of a file.

        Returns:
            float32, (N, C, H, W), normalised.

        Raises:
            InvalidSetting: no picture that can be read, or no mean and deviation are known.
        """
        if self.mean is None or self.std is None:
            raise InvalidSetting("mean", "mean and std of the channels are not known: use data.decoder")
        several = [pictures] if isinstance(pictures, str | bytes | os.PathLike) else list(pictures)
        if not several:
            raise InvalidSetting("pictures", "no pictures: give at least one")
        return normalise(torch.stack([self(each) for each in several]), self.mean, self.std)

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary that JSON can hold."""
        return {
            "form": FORM,
            "size": list(self.size),
            "channels": self.channels,
            "value_range": None if self.value_range is None else list(self.value_range),
            "mean": None if self.mean is None else list(self.mean),
            "std": None if self.std is None else list(self.std),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Decoder":
        """From what `to_dict` gave.

        Raises:
            InvalidSetting: it is something else, or of a newer reswork.
        """
        try:
            if values["form"] != FORM:
                raise ValueError(f"form {values['form']!r}, and this reswork has {FORM}")
            height, width = (int(side) for side in values["size"])
            low_high = values["value_range"]
            value_range = None if low_high is None else (float(low_high[0]), float(low_high[1]))
            mean, std = (
                None if values[name] is None else tuple(float(each) for each in values[name])
                for name in ("mean", "std")
            )
            return cls((height, width), int(values["channels"]), value_range, mean, std)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidSetting(
                "decoder", f"these are no settings of a decoder: {type(error).__name__}: {error}"
            ) from error


def decoded(files: "Files", names: Sequence[str], decoder: Decoder) -> tuple[np.ndarray, dict[int, str]]:
    """All images, uint8 (N, C, H, W), and why some could not be decoded; those stay black."""
    images = np.zeros((len(names), decoder.channels, *decoder.size), np.uint8)
    reasons: dict[int, str] = {}

    def read(index: int) -> None:
        try:
            images[index] = decoder.pixels(files.read(names[index]))
        except (Unreadable, OSError) as error:
            reasons[index] = reason_of(error)

    by_threads(len(names), read, "Decoding")
    return images, reasons
