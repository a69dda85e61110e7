"""Every write, synchronisation, rename and new folder of a run made to fail in turn, once and for good."""

import errno
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import reswork as rw
from reswork.store import atomic_files
from reswork.store.checkpoints import Checkpoints
from reswork.training import pace
from tests.faults.sequences import DATA

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
RECIPE = rw.Recipe(steps=8, batch_size=8, device="cpu", precision="fp32", compile="off")  # two epochs


class Disk:
    """Counts what is done to files and lets the n-th of it fail, or everything from then on.

    Args:
        fails_at: number of the first call that fails, from 0; None: none does.
        for_good: whether all later ones fail too.
        code: of the error.
    """

    def __init__(self, fails_at: int | None = None, *, for_good: bool = False, code: int = errno.EIO) -> None:
        self.calls: list[str] = []
        self.failures = 0
        self._fails_at, self._for_good, self._code = fails_at, for_good, code

    def _fails(self, name: str) -> bool:
        number = len(self.calls)
        self.calls.append(name)
        if self._fails_at is None:
            return False
        return number == self._fails_at or (self._for_good and number > self._fails_at)

    def _watched(
        self, name: str, real: Callable[..., Any], writes: Callable[..., bool]
    ) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if writes(*arguments, **options) and self._fails(name):
                self.failures += 1
                raise OSError(self._code, os.strerror(self._code))
            return real(*arguments, **options)

        return call

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within it this disk is there."""
        always = lambda *_arguments, **_options: True  # noqa: E731
        places = [
            (os, "fsync", always),
            (Path, "mkdir", always),
            (Path, "rename", always),
            (Path, "replace", always),
            (Path, "write_text", always),
            (Path, "open", lambda _path, mode="r", *_rest, **_options: mode != "r" and mode != "rb"),
            (atomic_files, "save_file", always),
        ]
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
        try:
            for owner, name, writes in places:
                setattr(owner, name, self._watched(name, getattr(owner, name), writes))
            yield
        finally:
            for owner, name, real in before:
                setattr(owner, name, real)


def trained(folder: Path, disk: Disk) -> tuple[rw.Run | None, list[str]]:
    """A short run on this disk, and the warnings of its end; None where it was refused with a sentence."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    with disk.used(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = rw.train(
            network, DATA, RECIPE, directory=folder, recorders=[rw.recorders.losses], save_every_s=0.0
        )
        run.wait(300)
    return run, [str(each.message) for each in told]


def check(folder: Path, run: rw.Run, told: list[str], disk: Disk, *, for_good: bool) -> str:
    """What came of it, in a word; the training itself always ends well.

    Raises:
        AssertionError: if something is half there, or lost without a word.
    """
    assert run.state is rw.RunState.FINISHED, run
    assert len(run.history.series("loss/train")) == RECIPE.steps
    kinds = {note.kind for note in run.history.notes}
    if not (folder / "run.json").exists():
        assert kinds & {"not_saved"} and any("not saved" in each for each in told)
        return "nothing on disk, and said so"
    saved = rw.load_run(folder)
    assert saved.unreadable is None
    steps = saved.history.series("loss/train").steps.tolist()
    assert steps == list(range(1, len(steps) + 1)), "the record has a gap"
    for checkpoint in Checkpoints(folder).all():
        found, state, problems = Checkpoints(folder).newest(checkpoint.step)
        assert found.step == state.step and not problems
    complete = saved.state is rw.RunState.FINISHED and len(steps) == RECIPE.steps
    if not complete or for_good:
        assert kinds & {"not_saved", "no_checkpoint"} or not disk.failures, kinds
    if not complete:
        assert any("not saved" in each for each in told), told
        return "an older state on disk, and said so"
    return "complete, and said so" if kinds & {"not_saved", "no_checkpoint"} else "complete"


def campaign(count: int, seed: int = 0, errors: tuple[int, ...] = ERRORS) -> str:
    """Every call in turn, at most `count` of them, with these errors, once and for good."""
    pace.COST_SHARE = float("inf")
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        clean = Disk()
        trained(Path(place) / "clean", clean)
        kinds = Counter(clean.calls)
        numbers = range(0, len(clean.calls), max(1, len(clean.calls) // count))
        for number in numbers:
            for for_good in (False, True):
                for code in errors:
                    folder = Path(place) / f"{number}-{for_good}-{code}"
                    disk = Disk(number, for_good=for_good, code=code)
                    run, told = trained(folder, disk)
                    assert run is not None
                    found[check(folder, run, told, disk, for_good=for_good)] += 1
    calls = ", ".join(f"{times} {name}" for name, times in sorted(kinds.items()))
    told_found = ", ".join(f"{times} times {what}" for what, times in found.most_common())
    return (
        f"A run makes {len(clean.calls)} calls ({calls}); {len(numbers)} of them failed in turn, "
        f"with {len(errors)} errors, once and for good: the training always ended well; {told_found}."
    )
