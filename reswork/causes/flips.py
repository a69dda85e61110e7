"""The smallest patch, shift or brightness that turns an answer, of those that were tried."""

import math

import numpy as np

from reswork.causes.case import Case
from reswork.results.causes import ChangeKind, Flip

_SIDES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16)  # of patches, in units
_PLACES = 16  # of a patch along each axis, about
_FARTHEST = 4  # shift, in units
_BRIGHTEST, _BRIGHTER = 128, 4  # of 255


def flips(case: Case) -> tuple[Flip, Flip, Flip]:
    """Patch, shift and brightness, each searched from the smallest change on until one turns the answer.

    A unit is a pixel of an image of up to 63 pixels, and a 32nd of the shorter side of a larger one. The search is a
    grid: a smaller change between its points may exist.

    Args:
        case: what is explained.

    Returns:
        The smallest patch in the mean colour of the data set, the shortest shift (the border is repeated), the smallest
        amount that is added to every pixel.
    """
    return _patch(case), _shift(case), _brightness(case)


def trials(size: tuple[int, int]) -> int:
    """How many changes are looked at, at most, for images of this height and width."""
    unit = max(1, min(size) // 32)
    patches = sum(len(_places(size[0], s)) * len(_places(size[1], s)) for s in _sides(size, unit))
    return patches + (2 * _FARTHEST + 1) ** 2 - 1 + 2 * _BRIGHTEST // _BRIGHTER


def _patch(case: Case) -> Flip:
    height, width = case.image.shape[1:]
    unit = max(1, min(height, width) // 32)
    colour = np.round(255 * np.array(case.data.mean)).astype(np.uint8)[:, None, None]
    sides, tried = _sides((height, width), unit), 0
    for side in sides:
        places = [(top, left) for top in _places(height, side) for left in _places(width, side)]
        images = np.repeat(case.image[None], len(places), axis=0)
        for image, (top, left) in zip(images, places, strict=True):
            image[:, top : top + side, left : left + side] = colour
        tried += len(places)
        row, answer = _turned(case, images)
        if row is not None:
            return Flip(
                "patch", True, side, places[row], answer, images[row], tried, sides[-1], _fine_patch(unit)
            )
    return _none("patch", tried, sides[-1] if sides else 0, _fine_patch(unit))


def _fine_patch(unit: int) -> str:
    return (
        f"squares with sides of {', '.join(str(unit * side) for side in _SIDES[:4])} ... pixels, each at "
        f"places half a "
        f"side apart, at most about {_PLACES} along an axis"
    )


def _sides(size: tuple[int, int], unit: int) -> list[int]:
    return [unit * side for side in _SIDES if unit * side <= min(size) // 2]


def _places(length: int, side: int) -> list[int]:
    """Where a patch begins along an axis, the last one at the border."""
    step = max(1, side // 2, math.ceil((length - side) / _PLACES))
    return sorted({*range(0, length - side, step), length - side})


def _shift(case: Case) -> Flip:
    unit = max(1, min(case.image.shape[1:]) // 32)
    reach = range(-_FARTHEST, _FARTHEST + 1)
    moves = sorted(
        ((unit * y, unit * x) for y in reach for x in reach if y or x), key=lambda move: math.hypot(*move)
    )
    images = np.stack([shifted(case.image, *move) for move in moves])
    tested = f"every shift by {unit} pixel{'s' if unit > 1 else ''} more, along and across"
    logits = case.answers(images)
    said = logits.argmax(axis=1)
    rows = np.flatnonzero(said != case.answer.predicted)
    if not len(rows):
        return _none("shift", len(moves), unit * _FARTHEST, tested)
    row = int(rows[0])
    return Flip("shift", True, math.hypot(*moves[row]), moves[row], int(said[row]), images[row], len(moves),
                unit * _FARTHEST, tested)  # fmt: skip


def _brightness(case: Case) -> Flip:
    steps = range(_BRIGHTER, _BRIGHTEST + 1, _BRIGHTER)
    amounts = [sign * step for step in steps for sign in (1, -1)]
    images = np.stack([brightened(case.image, amount) for amount in amounts])
    tested = f"every {_BRIGHTER} of 255, brighter and darker"
    said = case.answers(images).argmax(axis=1)
    rows = np.flatnonzero(said != case.answer.predicted)
    if not len(rows):
        return _none("brightness", len(amounts), _BRIGHTEST, tested)
    row = int(rows[0])
    return Flip(
        "brightness", True, amounts[row], (), int(said[row]), images[row], len(amounts), _BRIGHTEST, tested
    )


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """An image (C, H, W) moved by whole pixels; its border is repeated."""
    height, width = image.shape[1:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    moved: np.ndarray = image[:, rows][:, :, columns]
    return moved


def brightened(image: np.ndarray, amount: int) -> np.ndarray:
    """An image (C, H, W) uint8 with the same number added everywhere, cut at black and white."""
    return (image.astype(np.int16) + amount).clip(0, 255).astype(np.uint8)


def _turned(case: Case, images: np.ndarray) -> tuple[int | None, int]:
    """The image whose answer is another one, the surest for the class that is compared with."""
    logits = case.answers(images)
    said, answer = logits.argmax(axis=1), case.answer
    rows = np.flatnonzero(said != answer.predicted)
    if not len(rows):
        return None, -1
    margin = logits[rows, answer.other] - logits[rows, answer.predicted]
    row = int(rows[np.lexsort((margin, said[rows] == answer.other))[-1]])
    return row, int(said[row])


def _none(kind: ChangeKind, tried: int, limit: float, tested: str) -> Flip:
    return Flip(kind, False, float("nan"), (), -1, None, tried, limit, tested)
