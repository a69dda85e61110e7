"""Signals: curves of one or several channels, from CSV, npz, the UCR archive's .ts, wave files; simulated ones."""

import io
import os
import warnings
import wave
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.numbers import as_numbers, data_from, filled, read_csv
from reswork.datasets.places import existing
from reswork.errors import InvalidSetting

MOST_MOMENTS = 16_384
_MOST_OF_WAVES = 4_096  # longer ones are averaged
_LABEL_NAMES = ("label", "class", "target", "y")
_TIME_NAMES = ("time", "date", "datetime", "timestamp", "hour", "t")


def signals(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    horizon: int | None = None,
    window: int | None = None,
    season: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Signals with a class or a value each; or, with a horizon, windows of one long series with its next steps.

    | file | what is in it |
    |---|---|
    | CSV | a row for each signal: a column with its class or value (``label``, ``class``, ``target``, ``y``, else the
      first), the others its moments |
    | CSV with ``horizon`` | a row for each moment, a column for each channel; a column with the time is not used |
    | npz | ``signals`` (N, L) or (N, C, L) and ``labels`` or ``values``; or ``series`` (L, C) with ``horizon`` |
    | .ts | as the UCR archive has it, several channels and unequal lengths too; beside ``X_TRAIN.ts`` ``X_TEST.ts`` is
      the test, as published figures count |
    | folder | a folder of wave files for each class |

    Shorter signals go on with their last value, gaps are filled on a line between their neighbours, and what was done
    stands in ``notes``.

    Args:
        path: of the file or folder.
        target: column of the class or value; with a horizon the channel that is told, by default the first one.
        horizon: steps that are told; None: signals with classes or values.
        window: moments that are seen before; None: seven horizons.
        season: moments of a season, see `windows`.
        test_fraction: part kept for the test; of a series its end.
        seed: of the choice.

    Raises:
        InvalidSetting: the file cannot be used, in one sentence.
    """
    place = existing(path)
    source = f"The {'folder' if place.is_dir() else 'file'} {place.name}"
    kind = "folder" if place.is_dir() else place.suffix.lower()
    if horizon is not None:
        names, series, notes = _series(place, kind, target)
        made = windows(
            series,
            horizon,
            window,
            names=names,
            name=place.stem,
            source=source,
            test_fraction=test_fraction,
            season=season,
        )
        return replace(made, notes=(*notes, *made.notes))
    readers = {"folder": _wave_folder, ".csv": _csv, ".tsv": _csv, ".txt": _csv, ".npz": _npz, ".ts": _ts}
    if kind not in readers:
        raise InvalidSetting("path", f"{place.name} is no CSV, npz, .ts file or folder of wave files")
    found, answers, notes = readers[kind](place, target)
    beside, is_test = _test_file(place), None
    if beside is not None:
        more, more_answers, _ = readers[kind](beside, target)
        is_test = np.arange(len(found) + len(more)) >= len(found)
        found, answers = [*found, *more], [*answers, *more_answers]
    if len(found) < 4:
        raise InvalidSetting("path", f"{place.name} has {len(found)} signal(s): give at least 4")
    stacked, told = _one_length(found)
    notes += told
    filled_in, gaps = filled(stacked)
    notes += [f"{gaps:,} missing numbers were filled on a line between their neighbours."] if gaps else []
    notes += [f"The test is {beside.name}."] if beside is not None else []
    return data_from(
        place.stem, filled_in, answers, source, is_test=is_test, notes=notes,
        features=_channels(stacked.shape[1]), test_fraction=test_fraction, seed=seed,
    )  # fmt: skip


def _test_file(place: Path) -> Path | None:
    """The other half of a set of the UCR archive, where it lies beside the training file."""
    if not place.name.endswith("_TRAIN.ts"):
        return None
    beside = place.with_name(place.name.removesuffix("_TRAIN.ts") + "_TEST.ts")
    return beside if beside.is_file() else None


def windows(
    series: np.ndarray,
    horizon: int,
    window: int | None = None,
    *,
    names: Sequence[str] = (),
    name: str = "series",
    source: str = "A series given by hand",
    test_fraction: float = 0.2,
    stride: int = 1,
    season: int | None = None,
) -> Dataset:
    """Windows of one long series, and the next steps of its first channel.

    The test split is the end of the series; no window of the training split sees any of what it tells. One more channel
    says where in the window a moment is, from -1 to 1, as the mean at the end of a network forgets that. With a season
    the network learns what is added to the value of one season ago: a residual, as a block does.

    Args:
        series: (L,) or (L, C) numbers; gaps are NaN.
        horizon: T, steps that are told.
        window: moments that are seen; None: seven horizons.
        names: of the channels.
        name: of the set.
        source: a sentence.
        test_fraction: part of the series at its end.
        stride: moments between two windows.
        season: moments, at most the window; what is told is then the difference to one season ago.

    Returns:
        Signals (N, C + 1, window), values (N, T).

    Raises:
        InvalidSetting: the series is too short, or has no numbers.

    Example:
        >>> windows(np.arange(200.0), horizon=4).input_shape
        (2, 28)
    """
    array = np.asarray(series, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    for setting, value in (("horizon", horizon), ("window", window), ("stride", stride), ("season", season)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InvalidSetting(setting, f"{setting}={value!r}: choose a whole number of moments from 1")
    if array.ndim != 2:
        raise InvalidSetting("series", f"a series of shape {array.shape}: give (L,) or (L, C)")
    window = window or 7 * horizon
    array, gaps = filled(array.T)  # (C, L)
    length = array.shape[1]
    border = length - max(round(length * test_fraction), horizon)
    starts = np.arange(0, length - window - horizon + 1, stride)
    ends = starts + window + horizon
    train, test = starts[ends <= border], starts[starts + window >= border]
    if len(train) < 2 or not len(test):
        raise InvalidSetting(
            "window",
            f"a series of {length:,} moments is too short for windows of {window} and {horizon} next steps; choose a "
            "shorter window or horizon, or give a longer series",
        )
    every = np.concatenate([train, test])
    inputs = np.stack([array[:, at : at + window] for at in every]).astype(np.float32)
    nexts = np.stack([array[0, at + window : at + window + horizon] for at in every])
    known = nexts[: len(train)]
    if season is not None:
        if season > window:
            raise InvalidSetting(
                "season", f"season={season} moments, and {window} are seen: choose at most {window}"
            )
        nexts = nexts - inputs[:, 0, window - season + np.arange(horizon) % season]
        known = nexts[: len(train)]
    scale = ((float(known.mean()),) * horizon, (float(known.std()) or 1.0,) * horizon)
    place = np.broadcast_to(np.linspace(-1, 1, window, dtype=np.float32), (len(inputs), 1, window))
    inputs = np.concatenate([inputs, place], axis=1)
    values = ((nexts - scale[0][0]) / scale[1][0]).astype(np.float32)
    tensors = torch.from_numpy(inputs), torch.from_numpy(values)
    whole, first = Split(*tensors), slice(0, len(train))
    train_split, test_split = whole.take(first), whole.take(slice(len(train), None))
    notes = [
        f"The last {length - border:,} of {length:,} moments are the test; {window} moments are seen, the next "
        f"{horizon} told{f' as the difference to {season} moments ago' if season else ''}."
    ]
    notes += [f"{gaps:,} missing numbers were filled on a line between their neighbours."] if gaps else []
    return assembled(
        name, train_split, test_split, [f"+{step}" for step in range(1, horizon + 1)], source, notes=notes,
        features=[*(list(names) or _channels(len(array))), "place"], target_scale=scale,
    )  # fmt: skip


def traffic(weeks: int = 30, horizon: int = 24, seed: int = 0, season: int | None = 168) -> Dataset:
    """Simulated traffic: cars an hour on one road, of which the next day is to be told.

    Two rush hours on working days, quiet weekends, weather that comes and goes, holidays and accidents; with the
    temperature as a second channel. Nothing of it was ever counted on a road. What is told is the difference to the
    same hour of the week before, unless ``season=None``.

    Args:
        weeks: length.
        horizon: hours that are told.
        seed: equal seeds simulate equal series.
        season: hours, see `windows`.
    """
    random = np.random.RandomState(seed)
    hours = np.arange(weeks * 168)
    day, hour = hours // 24 % 7, hours % 24
    rush = np.exp(-((hour - 8) ** 2) / 5) + 1.2 * np.exp(-((hour - 17) ** 2) / 8)
    weekend = 0.7 * np.exp(-((hour - 14) ** 2) / 25)
    shape = np.where(day < 5, rush, weekend) + 0.15 + 0.1 * np.sin(2 * np.pi * (hour - 9) / 24)
    wet = np.zeros(len(hours))
    for at in range(1, len(hours)):
        wet[at] = 0.97 * wet[at - 1] + random.normal(scale=0.25)
    dry = 1 - 0.25 / (1 + np.exp(-2 * (wet - 1)))
    holiday = np.repeat(random.uniform(size=weeks * 7) < 0.03, 24)
    cars = 900 * dry * np.where(holiday, 0.5, 1) * np.maximum(shape, 0.03)
    for at in random.choice(len(hours) - 6, size=weeks // 2, replace=False):
        cars[at : at + 4] *= 0.4  # an accident
    cars = np.maximum(0, cars + random.normal(scale=25, size=len(hours))).round()
    warmth = (
        12 + 6 * np.sin(2 * np.pi * (hour - 10) / 24) - 3 * wet + random.normal(scale=0.5, size=len(hours))
    )
    return windows(
        np.stack([cars, warmth], axis=1), horizon, 168, names=("cars", "temperature"), name="traffic", stride=6,
        season=season, source="Simulated by reswork: no road was counted",
    )  # fmt: skip


def pulses(train: int = 600, test: int = 300, length: int = 128, seed: int = 0) -> Dataset:
    """Simulated pulses in noise, of four shapes that begin anywhere; a network that looks at fixed places fails.

    Args:
        train: signals to learn from.
        test: signals to be judged by.
        length: moments of each.
        seed: equal seeds simulate equal signals.
    """
    random = np.random.RandomState(seed)
    count, wide = train + test, length // 5
    labels, t = np.arange(count) % 4, np.linspace(0, 1, wide)
    shapes = np.stack(
        [np.sin(np.pi * t), np.sin(2 * np.pi * t), 1.8 * (t - t**4), 1.8 * ((1 - t) - (1 - t) ** 4)]
    )
    found = random.normal(scale=0.15, size=(count, 1, length))
    places = random.randint(0, length - wide, count)
    for row, (label, at) in enumerate(zip(labels, places, strict=True)):
        found[row, 0, at : at + wide] += shapes[label] * random.uniform(0.8, 1.4)
    is_test = np.arange(count) >= train
    names = np.array(["bump", "wave", "slow rise", "fast rise"])[labels]
    return data_from(
        "pulses", found, names.tolist(), "Simulated by reswork", is_test=is_test, features=["pulse"]
    )


def _channels(count: int) -> list[str]:
    return [f"channel {index}" for index in range(count)]


def _one_length(found: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """(N, C, L) of signals (C, l), and what was done."""
    channels = {each.shape[0] for each in found}
    if len(channels) > 1:
        raise InvalidSetting("path", f"signals have {sorted(channels)} channels: give all of them the same")
    lengths, notes = [each.shape[1] for each in found], []
    longest = max(lengths)
    if longest > MOST_MOMENTS:
        raise InvalidSetting(
            "path",
            f"a signal has {longest:,} moments; the limit is {MOST_MOMENTS:,}: cut or average them before",
        )
    if min(lengths) < 2:
        raise InvalidSetting("path", f"a signal has {min(lengths)} moment(s): give at least 2")
    if min(lengths) < longest:
        short = sum(length < longest for length in lengths)
        notes.append(
            f"{short:,} signals are shorter than the longest ({min(lengths)} to {longest} moments) and go on with "
            "their last value."
        )
    edge = [np.pad(each, ((0, 0), (0, longest - each.shape[1])), mode="edge") for each in found]
    return np.stack(edge), notes


def _csv(place: Path, target: str | None) -> tuple[list[np.ndarray], list[Any], list[str]]:
    header, rows, notes = read_csv(place)
    chosen = target or next((name for name in header if name.lower() in _LABEL_NAMES), header[0])
    if chosen not in header:
        raise InvalidSetting(
            "target", f"target={chosen!r} is no column of {place.name}; it has {_some(header)}"
        )
    at = header.index(chosen)
    found = []
    for number, row in enumerate(rows, start=2):
        numbers = as_numbers([*row[:at], *row[at + 1 :]])
        if numbers is None:
            raise InvalidSetting("path", f"line {number} of {place.name} has a word where a number should be")
        known = np.flatnonzero(np.isfinite(numbers))
        if not len(known):
            raise InvalidSetting("path", f"line {number} of {place.name} has no number")
        found.append(numbers[None, : known[-1] + 1])  # what is empty at the end is a shorter signal
    return found, [row[at] for row in rows], notes


def _ts(place: Path, target: str | None) -> tuple[list[np.ndarray], list[Any], list[str]]:
    """``@...`` lines, then a line for each signal: its channels, parted by colons, the last part its class."""
    lines = place.read_text("utf-8", "replace").splitlines()
    start = next((at for at, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise InvalidSetting(
            "path", f"{place.name} has no line @data: give a .ts file as the UCR archive has it"
        )
    head = " ".join(line.lower() for line in lines[:start])
    if "@timestamps true" in head:
        raise InvalidSetting(
            "path", f"{place.name} has a time beside each number, which is not read: leave those out"
        )
    if "@classlabel false" in head and "@targetlabel true" not in head:
        raise InvalidSetting(
            "path", f"{place.name} says that its signals have no class: there is nothing to learn"
        )
    found, answers = [], []
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip() or line.startswith(("#", "%")):
            continue
        *parts, answer = line.strip().split(":")
        numbers = [as_numbers(part.split(",")) for part in parts]
        if not parts or any(each is None for each in numbers):
            raise InvalidSetting(
                "path", f"line {number} of {place.name} is no signal with a class behind a colon"
            )
        longest = max(len(each) for each in numbers if each is not None)
        channels = [
            np.pad(each, (0, longest - len(each)), mode="edge") for each in numbers if each is not None
        ]
        found.append(np.stack(channels))
        answers.append(answer.strip())
    return found, answers, []


def _members(place: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(place, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidSetting(
            "path", f"{place.name} cannot be read as npz ({error}): write it with np.savez"
        ) from error


def _npz(place: Path, target: str | None) -> tuple[list[np.ndarray], list[Any], list[str]]:
    members = _members(place)
    inputs = next((members[name] for name in ("signals", "x", "X", "data") if name in members), None)
    names = [target] if target else ["labels", "values", "y", "target"]
    answers = next((members[name] for name in names if name in members), None)
    if inputs is None or answers is None:
        raise InvalidSetting(
            "path", f"{place.name} holds {_some(members)}: it needs signals and labels (or values)"
        )
    if inputs.ndim not in (2, 3) or inputs.dtype.kind not in "iufb":
        raise InvalidSetting(
            "path", f"signals of {inputs.dtype} and shape {inputs.shape}: give numbers (N, C, L)"
        )
    if len(answers) != len(inputs) or answers.ndim != 1:
        raise InvalidSetting(
            "path", f"{answers.shape} answers for {len(inputs):,} signals: give one for each"
        )
    inputs = inputs[:, None] if inputs.ndim == 2 else inputs
    return [each.astype(np.float64) for each in inputs], answers.tolist(), []


def _wave_folder(place: Path, target: str | None) -> tuple[list[np.ndarray], list[Any], list[str]]:
    files = sorted(place.glob("*/*.wav")) or sorted(place.glob("*/*.WAV"))
    if not files:
        raise InvalidSetting(
            "path", f"{place.name} has no folders with .wav files in them: one folder for each class"
        )
    found = [_waves(file) for file in files]
    rates = sorted({rate for rate, _ in found})
    if len(rates) > 1:
        raise InvalidSetting(
            "path",
            f"wave files of {rates[0]:,} to {rates[-1]:,} numbers a second: bring all of them to the same",
        )
    together = -(-max(numbers.shape[1] for _, numbers in found) // _MOST_OF_WAVES)
    return [_averaged(numbers, together) for _, numbers in found], [file.parent.name for file in files], []


def _averaged(numbers: np.ndarray, together: int) -> np.ndarray:
    """(channels, moments), so many of them averaged into one; alike in all files, so that a second stays a second."""
    kept = numbers.shape[1] // together * together
    if together == 1 or not kept:
        return numbers
    found: np.ndarray = numbers[:, :kept].reshape(len(numbers), -1, together).mean(2)
    return found


def _waves(file: Path) -> tuple[int, np.ndarray]:
    """Numbers a second, and (channels, moments), -1 to 1."""
    try:
        with wave.open(str(file)) as opened:
            width, channels, rate = opened.getsampwidth(), opened.getnchannels(), opened.getframerate()
            raw = opened.readframes(opened.getnframes())
    except wave.Error:  # not whole numbers, or a header of the longer form
        rate, numbers = _other_waves(file)
    except (EOFError, OSError) as error:
        raise _no_wave(file, error) from error
    else:
        numbers = _from_whole_numbers(file, raw, width, channels)
    if not numbers.size:
        raise InvalidSetting("path", f"{file.name} holds no sound: leave it out, or record it again")
    return rate, numbers


def _from_whole_numbers(file: Path, raw: bytes, width: int, channels: int) -> np.ndarray:
    """(channels, moments), -1 to 1; of a file that is cut off what is there."""
    kinds: dict[int, Any] = {1: np.uint8, 2: np.dtype("<i2"), 3: np.dtype("<i4"), 4: np.dtype("<i4")}
    if width not in kinds:
        raise InvalidSetting(
            "path", f"{file.name} has {8 * width} bits a number: write it with 8, 16, 24 or 32"
        )
    read = np.frombuffer(raw[: len(raw) // (width * channels) * width * channels], np.uint8).reshape(
        -1, width
    )
    if width == 3:  # as the upper bytes of a number of four
        read = np.pad(read, ((0, 0), (1, 0)))
    numbers = np.ascontiguousarray(read).view(kinds[width]).astype(np.float64).reshape(-1, channels).T
    return numbers / 128 - 1 if width == 1 else numbers / 2.0 ** (8 * kinds[width].itemsize - 1)


def _other_waves(file: Path) -> tuple[int, np.ndarray]:
    """As `_waves`, by scipy: floating-point numbers, and headers that tell where each channel stands."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that it does not know
            rate, read = wavfile.read(io.BytesIO(file.read_bytes()))
    except Exception as error:  # a damaged header makes it stumble in many ways
        raise _no_wave(file, error) from error
    numbers: np.ndarray = read.reshape(len(read), -1).T.astype(np.float64)
    if read.dtype == np.uint8:
        numbers = numbers / 128 - 1
    elif read.dtype.kind == "i":
        numbers = numbers / 2.0 ** (8 * read.dtype.itemsize - 1)
    return int(rate), numbers


def _no_wave(file: Path, error: Exception) -> InvalidSetting:
    reason = str(error).split(". ")[0].rstrip(".") or type(error).__name__
    return InvalidSetting(
        "path",
        f"{file.name} is no wave file that can be read ({reason}): write it as PCM, or as floating-point numbers",
    )


def _series(place: Path, kind: str, target: str | None) -> tuple[list[str], np.ndarray, list[str]]:
    """Names of the channels, (L, C), the one that is told first, and notes."""
    if kind == ".npz":
        members = _members(place)
        if "series" not in members:
            raise InvalidSetting(
                "path", f"{place.name} holds {_some(members)}: with a horizon it needs series (L, C)"
            )
        series = members["series"].astype(np.float64)
        return [], series, []
    if kind not in (".csv", ".tsv", ".txt"):
        raise InvalidSetting(
            "path", f"{place.name} with a horizon: give a CSV or an npz file with one long series"
        )
    header, rows, notes = read_csv(place)
    columns = {name: as_numbers([row[at] for row in rows]) for at, name in enumerate(header)}
    usable = {
        name: numbers
        for name, numbers in columns.items()
        if numbers is not None and np.isfinite(numbers).any()
    }
    usable = {name: numbers for name, numbers in usable.items() if name.lower() not in _TIME_NAMES}
    if not usable:
        raise InvalidSetting("path", f"{place.name} has no column of numbers: give one for each channel")
    chosen = target or next(iter(usable))
    if chosen not in usable:
        raise InvalidSetting(
            "target", f"target={chosen!r} is no column of numbers; there are {_some(usable)}"
        )
    names = [chosen, *(name for name in usable if name != chosen)]
    return names, np.stack([usable[name] for name in names], axis=1), notes


def _some(names: Any) -> str:
    found = [str(name) for name in names]
    return ", ".join(found[:6]) + (" ..." if len(found) > 6 else "") if found else "nothing"
