"""Opening a hostile file as people do: the answer is an object or one sentence, soon, and nothing else happens."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reswork import datasets
from reswork.datasets.augmentation import Augmentation
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.sheet import spec_sheet
from reswork.store import load_run, open_checkpoint, runs
from reswork.store.checkpoints import Checkpoints
from reswork.training.recipe import Recipe

MOST_S = 5.0  # of the processor: the clock on the wall would blame other programs
MOST_WALL_S = 60.0  # a wait for a pipe takes no processor
LONGEST = 1_000  # of a sentence, in characters


@dataclass(frozen=True)
class Case:
    """One hostile file.

    Args:
        name: of the case.
        kind: how it is opened, a key of `OPENERS`.
        what: its path, or text.
    """

    name: str
    kind: str
    what: Path | str


class Misbehaved(AssertionError):
    """What must not happen, and with which file."""


def told(case: Case) -> str:
    """Open it; returns "opened" or the sentence of the refusal.

    Raises:
        Misbehaved: for any other exception, a sentence that is none, or more than five seconds.
    """
    begin, begin_wall = time.process_time(), time.perf_counter()
    try:
        OPENERS[case.kind](case.what)
        answer = "opened"
    except (InvalidSetting, OSError) as error:
        answer = str(error)
        if not answer.strip() or len(answer) > LONGEST:
            raise Misbehaved(f"{case}: {len(answer)} characters are no sentence: {answer[:200]}") from error
    except BaseException as error:
        raise Misbehaved(f"{case}: {type(error).__name__}: {str(error)[:300]}") from error
    seconds, wall = time.process_time() - begin, time.perf_counter() - begin_wall
    if seconds > MOST_S or wall > MOST_WALL_S:
        raise Misbehaved(f"{case} took {seconds:.1f} s of the processor, {wall:.1f} s in all")
    return answer


def _checkpoint(path: Any) -> None:
    found = open_checkpoint(path)
    repr(found)
    if found.model is not None:
        repr(found.model)


def _run(folder: Any) -> None:
    """Everything that a table of runs and a panel ask of a run."""
    for each in runs(folder):
        repr(each), each.summary(), each.state_word, each.can_be_resumed
        each.history.to_dict()
        for act in (each.model, each.load_data, lambda path=each.directory: open_checkpoint(path)):
            _may_refuse(act)
        _may_refuse(lambda path=each.directory: load_run(path).history)
        _may_refuse(lambda path=each.directory: Checkpoints(path).newest())
    refused = []
    for each in runs(folder):
        refused += _may_refuse(lambda saved=each: _resumed(saved))
    if refused:
        raise refused[0]


def _resumed(saved: Any) -> None:
    run = saved.resume(data=small_data(), start=False)
    run.stop()
    for recorder in run.recorders:
        if hasattr(recorder, "close"):
            recorder.close()


def _may_refuse(act: Callable[[], object]) -> list[Exception]:
    try:
        act()
    except (InvalidSetting, OSError) as error:
        return [error]
    return []


def _config(text: Any) -> None:
    config = ResNetConfig.from_json(text)
    repr(config), config.label, config.resolved(), len(config.block_names)
    if config.resolved().depth < 200 and config.in_channels < 10:
        spec_sheet(config, (config.in_channels, 32, 32))
    assert ResNetConfig.from_json(config.to_json()) == config


def _recipe(text: Any) -> None:
    recipe = Recipe.from_json(text)
    assert Recipe.from_json(recipe.to_json()) == recipe
    repr(recipe)


def _dataset(path: Any) -> None:
    found = datasets.load(path)
    found.summary(), repr(found), found.fingerprint
    assert found.train.images.dtype == torch.uint8 and len(found.classes) > int(found.train.labels.max())


def _record(folder: Any) -> None:
    """What a table of runs asks."""
    for each in runs(folder):
        repr(each), each.summary(), each.history.to_dict()
        load_run(each.directory).model()


def _resume(folder: Any) -> None:
    """What going on asks."""
    for each in runs(folder):
        Checkpoints(each.directory).all(), _resumed(each)


OPENERS: dict[str, Callable[[Any], None]] = {
    "checkpoint": _checkpoint,
    "run": _run,
    "record": _record,
    "resume": _resume,
    "config": _config,
    "recipe": _recipe,
    "dataset": _dataset,
}


def small_data() -> Dataset:
    """The images of the run that is mutated."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(24) % 2
    splits = Split(images[:16], labels[:16]), Split(images[16:], labels[16:])
    return Dataset("tiny", *splits, classes=("one", "two"), mean=(0.5,), std=(0.3,), source="made up")


@contextmanager
def nothing_else(sandbox: Path, *but: str) -> Iterator[None]:
    """Within it nothing in a folder may change, apart from these entries."""
    before = _seen(sandbox, but)
    yield
    after = _seen(sandbox, but)
    if before != after:
        raise Misbehaved(f"written, changed or removed: {sorted(before ^ after)[:5]}")


def _seen(sandbox: Path, but: tuple[str, ...]) -> set[tuple[str, int, int]]:
    found = set()
    for folder, names, files in os.walk(sandbox):
        if Path(folder) == sandbox:
            names[:] = [name for name in names if name not in but]
            files = [name for name in files if name not in but]
        for name in (*names, *files):
            path = Path(folder, name)
            status = path.lstat()
            found.add(
                (
                    str(path),
                    status.st_size if name in files else 0,
                    status.st_mtime_ns if name in files else 0,
                )
            )
    return found


__all__ = ["OPENERS", "Augmentation", "Case", "Misbehaved", "nothing_else", "small_data", "told"]
