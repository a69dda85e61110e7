"""Which runs differ in nothing but their seed."""

from collections.abc import Iterable

from reswork.store.differences import settings_of
from reswork.store.saved_run import SavedRun

_SEED = "recipe: seed"


def seed_groups(runs: Iterable[SavedRun]) -> dict[str, list[SavedRun]]:
    """Runs that differ in nothing but the seed, together, under one name; a run alone under its own.

    Use it to draw a mean and its band: ``rw.figures.loss_curves`` takes groups of histories. Runs that cannot be
    read are left out.

    Args:
        runs: from disk, see `runs`.

    Returns:
        Name to runs, in order of first appearance. A group's name is what its runs' names begin with, or
        that of the network.
    """
    found: dict[tuple[tuple[str, str], ...], list[SavedRun]] = {}
    for run in runs:
        if run.unreadable is None:
            settings = settings_of(run)
            settings.pop(_SEED)
            found.setdefault(tuple(settings.items()), []).append(run)
    named: dict[str, list[SavedRun]] = {}
    for group in found.values():
        name = _name(group)
        number = 2
        while name in named:
            name, number = f"{_name(group)} ({number})", number + 1
        named[name] = group
    return named


def _name(group: list[SavedRun]) -> str:
    if len(group) == 1:
        return group[0].name
    start = common_start([run.name for run in group])  # of names that are dates nothing telling
    return start if any(mark.isalpha() for mark in start) else group[0].model_label


def common_start(names: list[str]) -> str:
    """What all names begin with, without a separator or the word "seed" at its end.

    Example:
        >>> common_start(["deep-seed-0", "deep-seed-1"])
        'deep'
    """
    length = 0
    for marks in zip(*names, strict=False):
        if len(set(marks)) > 1:
            break
        length += 1
    start = names[0][:length]
    if any(name[length : length + 1].isdigit() for name in names):
        start = start.rstrip("0123456789")  # the number goes on where the names part
    return start.rstrip("-_ .").removesuffix("seed").rstrip("-_ .")
