"""From anybody's arrays to uint8 images (N, C, H, W), labels or masks, and a data set."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from reswork.datasets.dataset import Dataset, Skipped, Split, stratified_order
from reswork.datasets.decoding import ValueRange, scaled
from reswork.datasets.inputs import ONE, input_statistics
from reswork.datasets.targets import IGNORED, MOST_MASK_CLASSES, TargetKind, strata
from reswork.errors import InvalidSetting

Layout = Literal["auto", "NCHW", "NHWC"]
MOST_CLASSES = 100_000


def assembled(
    name: str,
    train: Split,
    test: Split,
    classes: Sequence[str],
    source: str,
    *,
    skipped: Sequence[Skipped] = (),
    extras: Mapping[str, Tensor] | None = None,
    notes: Sequence[str] = (),
    value_range: ValueRange | None = None,
    layout: str = "",
    features: Sequence[str] = (),
    target_scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    task: str | None = None,
) -> Dataset:
    """A data set with mean and deviation of its training inputs."""
    if not len(train):
        one = ONE[train.input_kind]
        raise InvalidSetting("train", f"the train split has no {one}s: give at least one")
    mean, std = input_statistics(train.inputs)
    return Dataset(
        name, train, test, tuple(classes), mean, std, source, tuple(skipped), dict(extras or {}), tuple(notes),
        value_range, layout, tuple(features), target_scale, task,
    )  # fmt: skip


def split_off(inputs: Tensor, targets: Tensor, test_fraction: float, seed: int) -> tuple[Split, Split]:
    """A training and a test split with the classes in the same proportions; both keep the inputs' order.

    A class of two inputs or more has at least one in each. Masks and boxes are balanced by the rarest class that
    each shows, and there is at least one in the test split.
    """
    whole = Split(inputs, targets)
    chosen = torch.from_numpy(held_out(whole.target_kind, targets, test_fraction, seed))
    return whole.take(~chosen), whole.take(chosen)


def held_out(kind: TargetKind, targets: Tensor, test_fraction: float, seed: int) -> np.ndarray:
    """Which images `split_off` puts into the test split, bool, (N,)."""
    check_fraction(test_fraction)
    numbers = strata(kind, targets, MOST_MASK_CLASSES)
    is_test = np.zeros(len(numbers), bool)
    order = stratified_order(numbers, seed)
    if kind in ("masks", "boxes"):
        is_test[order[: max(1, round(len(order) * test_fraction))]] = len(order) > 1
    else:
        for label in np.unique(numbers):
            of_class = order[numbers[order] == label]
            most = len(of_class) - 1
            is_test[of_class[: min(max(round(len(of_class) * test_fraction), 1), most)]] = True
    return is_test


def check_fraction(test_fraction: float) -> None:
    """Refuse a part of the images that is none or all of them."""
    if not 0 < test_fraction < 1:
        raise InvalidSetting(
            "test_fraction", f"test_fraction={test_fraction}: choose a number between 0 and 1, such as 0.2"
        )


def own_range(*values: Any) -> ValueRange | None:
    """The lowest and the highest number of all arrays, where one of them holds neither bytes nor numbers from 0 to 1.

    None too where numbers are not finite or all the same, which `to_images` refuses.
    """
    found = [
        array for each in values if (array := _array(each, "train_images")).size and array.dtype.kind in "iuf"
    ]
    ends = [(float(array.min()), float(array.max())) for array in found]
    if all(_fits_bytes(array, *pair) for array, pair in zip(found, ends, strict=True)):
        return None
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return (low, high) if np.isfinite(low) and np.isfinite(high) and low < high else None


def to_images(
    values: Any, layout: Layout = "auto", field: str = "images", value_range: ValueRange | None = None
) -> Tensor:
    """Uint8, (N, C, H, W), from an array or tensor of bytes or of other numbers.

    Args:
        values: (N, H, W), (N, C, H, W) or (N, H, W, C).
        layout: which of the last two; ``auto`` takes the axis of length 1 or 3 for the channels.
        field: what an error shall name.
        value_range: numbers that become black and white; None: bytes, or floats from 0 to 1.

    Raises:
        InvalidSetting: another shape, NaN, without a range numbers outside of 0 to 1 that are not bytes either.
    """
    array = _array(values, field)
    if value_range is not None and array.dtype.kind in "iuf":
        array = scaled(array, value_range)
    array = _bytes(array, field)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise InvalidSetting(
            field, f"{field} has the shape {array.shape}: give (N, H, W), (N, C, H, W) or (N, H, W, C)"
        )
    if _resolved_layout(array.shape, layout, field) == "NHWC":
        array = array.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(array))


def to_labels(values: Any, field: str = "labels") -> tuple[Tensor, tuple[str, ...] | None]:
    """Int64, (N,), and the class names where the labels are words.

    Raises:
        InvalidSetting: numbers that are not whole, negative ones, more than one label for an image.
    """
    array = _array(values, field)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InvalidSetting(
            field, f"{field} has the shape {array.shape}: give one number for each image, (N,)"
        )
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "backslashreplace")
    if array.dtype.kind == "U":
        words, numbers = np.unique(array.astype(str), return_inverse=True)
        return torch.from_numpy(numbers.astype(np.int64)), tuple(str(word) for word in words)
    if array.dtype.kind not in "iub" and not (
        array.dtype.kind == "f" and bool((array == np.round(array)).all())
    ):
        raise InvalidSetting(field, f"{field} of type {array.dtype}: give whole numbers from 0, or words")
    if len(array) and not 0 <= float(array.min()) <= float(array.max()) < MOST_CLASSES:
        raise InvalidSetting(
            field, f"{field} from {array.min()} to {array.max()}: give numbers of classes, from 0"
        )
    return torch.from_numpy(array.astype(np.int64)), None


def to_masks(values: Any, ignored: int | None = None, field: str = "masks") -> Tensor:
    """Uint8, (N, H, W), numbers of classes from 0, and `IGNORED` where a pixel counts nowhere.

    Args:
        values: (N, H, W), (N, 1, H, W) or (N, H, W, 1); whole numbers from 0 to 254, True and False, or `ignored`.
        ignored: the number of pixels that count nowhere, such as -1; None: 255.
        field: what an error shall name.

    Raises:
        InvalidSetting: another shape, or numbers that are not whole, negative or above 254.
    """
    array = _array(values, field)
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        array = array[:, 0] if array.shape[1] == 1 else array[..., 0]
    if array.ndim != 3 or array.dtype.kind in "US":
        raise InvalidSetting(
            field, f"{field} has the shape {array.shape}: give the class of each pixel as a number, (N, H, W)"
        )
    counts = array != (IGNORED if ignored is None else ignored)
    valid = array[counts]
    if valid.size and not (
        valid.min() >= 0 and valid.max() < MOST_MASK_CLASSES and bool((valid == np.round(valid)).all())
    ):
        raise InvalidSetting(
            field,
            f"{field} with numbers from {valid.min()} to {valid.max()}: give whole numbers of classes, 0 to "
            f"{MOST_MASK_CLASSES - 1}, and say with ignored= which number counts nowhere (255 unless told)",
        )
    return torch.from_numpy(np.where(counts, array, IGNORED).astype(np.uint8))


def renumbered(
    labels: Sequence[Tensor], classes: Sequence[str] | None
) -> tuple[list[Tensor], list[str] | None, str]:
    """Labels from 0 without gaps, the names that follow, and a sentence about it; nothing changes where they fit.

    Args:
        labels: of each split, int64, (N,), not negative.
        classes: names that somebody gave, in the order of the numbers.
    """
    found = torch.cat(list(labels)).unique().tolist()
    if not found or found == list(range(len(found))) or (classes is not None and len(classes) != len(found)):
        return list(labels), None, ""
    if classes is not None and found[-1] < len(classes):
        return list(labels), None, ""
    index = torch.zeros(found[-1] + 1, dtype=torch.int64)
    index[found] = torch.arange(len(found))
    shown = ", ".join(map(str, found[:5])) + (f" ... {found[-1]}" if len(found) > 5 else "")
    names = [str(each) for each in found] if classes is None else list(classes)
    told = f"Labels are the numbers {shown}: they are the {len(found)} classes in this order, and no others."
    return [index[each] for each in labels], names, told


def _array(values: Any, field: str) -> np.ndarray:
    """An array of numbers or words; of objects, such as pandas has, what they are."""
    try:
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
        if array.dtype.kind == "O" and array.size:
            array = _of_objects(array, field)
    except InvalidSetting:
        raise
    except ValueError as error:
        raise InvalidSetting(field, _several_sizes(values, field)) from error
    if array.dtype.kind not in "iubfUS":
        raise InvalidSetting(field, f"{field} of type {array.dtype}: give an array of numbers")
    return array


def _of_objects(array: np.ndarray, field: str) -> np.ndarray:
    """Words, numbers, or arrays of one shape."""
    first = array.ravel()[0]
    if isinstance(first, (np.ndarray, Tensor, list)):
        return np.stack([np.asarray(each) for each in array.ravel()])
    missing = sum(each is None or each != each or str(each) == "<NA>" for each in array.ravel().tolist())
    if missing:
        raise InvalidSetting(field, f"{field} has {missing:,} missing values: leave those images out")
    if all(isinstance(each, (str, bytes)) for each in array.ravel().tolist()):
        words = [
            each.decode("utf-8", "backslashreplace") if isinstance(each, bytes) else each
            for each in array.ravel().tolist()
        ]
        return np.array(words, dtype=str).reshape(array.shape)
    if all(isinstance(each, (bool, int, float, np.number)) for each in array.ravel().tolist()):
        return np.array(array.tolist())
    raise InvalidSetting(
        field, f"{field} holds objects such as {type(first).__name__}: give numbers or words"
    )


def _several_sizes(values: Any, field: str) -> str:
    shapes = sorted({"x".join(map(str, np.shape(each))) for each in values if np.ndim(each)})
    named = ", ".join(shapes[:3]) + (" ..." if len(shapes) > 3 else "")
    return (
        f"{field} has pictures of several sizes ({named}): scale them to one size, or save them as files in a folder "
        "for each class, which rw.datasets.folder(path, size=...) scales"
    )


def _bytes(array: np.ndarray, field: str) -> np.ndarray:
    """The same as uint8."""
    if array.dtype == np.uint8 or not array.size:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind in "US":
        raise InvalidSetting(field, f"{field} of type {array.dtype}: give an array of numbers")
    low, high = float(array.min()), float(array.max())
    if _fits_bytes(array, low, high):
        of_one = array.dtype.kind == "f" and high <= 1
        return np.round(array * 255.0).astype(np.uint8) if of_one else array.astype(np.uint8)
    raise InvalidSetting(
        field, f"{field} holds numbers from {low:g} to {high:g}: give bytes (0 to 255) or floats from 0 to 1"
    )


def _fits_bytes(array: np.ndarray, low: float, high: float) -> bool:
    """Whether numbers are bytes, or floats from 0 to 1."""
    if array.dtype.kind == "f" and high > 1 and not bool((array == np.round(array)).all()):
        return False
    return low >= 0 and high <= 255


def _resolved_layout(shape: tuple[int, ...], layout: Layout, field: str) -> Literal["NCHW", "NHWC"]:
    if layout not in ("auto", "NCHW", "NHWC"):
        raise InvalidSetting("layout", f"layout={layout!r}: choose 'auto', 'NCHW' or 'NHWC'")
    if layout != "auto":
        return layout
    if shape[1] in (1, 3):
        return "NCHW"
    if shape[3] in (1, 3):
        return "NHWC"
    raise InvalidSetting(
        "layout", f"{field} of the shape {shape}: which axis holds the channels? Give layout='NCHW' or 'NHWC'"
    )
