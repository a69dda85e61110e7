"""One training with several seeds, one after another: what of its result is the setting, and what is luck."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.launch import default_name, train
from reswork.experiment.processes import Engine, WhenKernelEnds
from reswork.history import History
from reswork.models.network import ResNet, resnet
from reswork.recorders import RecorderFactory
from reswork.results.metrics import Metric
from reswork.store.directory import check_name
from reswork.store.moment_keeper import DEFAULT_BYTES
from reswork.tasks import Task
from reswork.training.cores import drop_helpers
from reswork.training.live_run import LiveRun, RunState
from reswork.training.pace import EVERY_S
from reswork.training.recipe import Recipe

MOST_SEEDS = 1_000


class SeedRuns:
    """The runs of one training with several seeds; the next begins when the one before has ended.

    A run that fails does not keep the others from being trained. A run that is stopped, with `stop` or by its
    own button, ends the series.

    Args:
        make: gives a run for a seed, not started yet.
        seeds: in the order in which they are trained.
        name: of the whole.

    Attributes:
        seeds: all of them.
        name: of the whole.
    """

    def __init__(self, make: Callable[[int], LiveRun], seeds: Sequence[int], name: str) -> None:
        self.seeds = tuple(seeds)
        self.name = name
        self._make = make
        self._changed = threading.Condition()
        self._runs: list[LiveRun] = [make(self.seeds[0])]
        self._thread: threading.Thread | None = None
        self._stopped = self._over = False
        self._error: BaseException | None = None

    @property
    def runs(self) -> tuple[LiveRun, ...]:
        """The runs that have begun so far, in the order of the seeds."""
        with self._changed:
            return tuple(self._runs)

    @property
    def current(self) -> LiveRun:
        """The run that goes on, or the last one."""
        return self.runs[-1]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What judges them, the headline first."""
        return self.current.metrics

    @property
    def histories(self) -> tuple[History, ...]:
        """Their records; ``rw.figures.loss_curves({"mine": seed_runs.histories})`` draws mean and band."""
        return tuple(run.history for run in self.runs)

    @property
    def done(self) -> bool:
        """Whether all are over, or the series was stopped."""
        return self._over

    @property
    def error(self) -> BaseException | None:
        """What made the first failed run fail."""
        return self._error or next((run.error for run in self.runs if run.error is not None), None)

    def start(self) -> None:
        """Begin with the first; however often it is called, each seed is trained once."""
        with self._changed:
            if self._thread is None and not self._over:
                drop_helpers()  # whoever waits for the runs next could not
                self._thread = threading.Thread(target=self._main, name=f"reswork {self.name}", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the run that goes on after its present step, and begin no other."""
        with self._changed:
            self._stopped = True
            self._over = self._over or self._thread is None
            current = self._runs[-1]
            self._changed.notify_all()
        current.stop()

    def wait(self, timeout_s: float | None = None) -> tuple[RunState, ...]:
        """Wait until all are over, or for so many seconds.

        Returns:
            The states of the runs that have begun.

        Raises:
            RuntimeError: if nothing was started.
            BaseException: the error of the first run that failed, once all are over.
        """
        with self._changed:
            if self._thread is None and not self._over:
                raise RuntimeError("these runs were not started; call start() first")
            self._changed.wait_for(lambda: self._over, timeout_s)
        if self._over and self.error is not None:
            raise self.error
        return tuple(run.state for run in self.runs)

    def __repr__(self) -> str:
        states = ", ".join(
            f"seed {seed} {run.state.value}" for seed, run in zip(self.seeds, self.runs, strict=False)
        )
        return f"<SeedRuns {self.name!r}: {len(self.runs)} of {len(self.seeds)}: {states}>"

    def _main(self) -> None:
        try:
            for index, seed in enumerate(self.seeds):
                run = self._next(index, seed)
                if run is None:
                    break
                run.start()
                if self._stopped:  # in the meantime
                    run.stop()
                with suppress(BaseException):  # the run keeps it
                    run.wait()
                if run.state is RunState.STOPPED:
                    break
        except BaseException as error:  # a network that cannot be made a second time, a full disk
            self._error = error
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _next(self, index: int, seed: int) -> LiveRun | None:
        """The run of this seed; None once somebody stopped the series."""
        if self._stopped:
            return None
        if index:
            made = self._make(seed)
            with self._changed:
                self._runs.append(made)
                self._changed.notify_all()
        return self.current


def train_seeds(
    model: nn.Module | Callable[[], nn.Module],
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    seeds: int = 3,
    directory: str | Path | None = None,
    recorders: Sequence[RecorderFactory] | None = None,
    name: str | None = None,
    start: bool = True,
    save_every_s: float = EVERY_S,
    moments_bytes: int = DEFAULT_BYTES,
    task: Task | None = None,
    engine: Engine = "thread",
    when_kernel_ends: WhenKernelEnds = "stop",
) -> SeedRuns:
    """Train the same several times, one after another, each with new weights and a seed of its own; returns at once.

    What is not said here means the same as for `train`.

    Args:
        model: a network from `resnet`, whose settings are used and not its weights, or a function that makes a new
            network.
        data: what to learn.
        recipe: how; its seed is the first one, and those that follow it are the others.
        seeds: so many runs, 1 to 1,000.
        directory: holds a folder for each; None: they are under ``runs``.
        recorders: of each run.
        name: of the whole; each run's has ``-seed-0`` and so on behind it.
        start: False gives runs that wait for ``start()``.
        save_every_s: seconds between two checkpoints.
        moments_bytes: disk for the weights of earlier steps of each run.
        task: what is learned; None: as the data's targets say.
        engine: where each computes.
        when_kernel_ends: what a process of its own does then.

    Raises:
        InvalidSetting: as `train` does, or for a number that is none, or a network that cannot be made anew.

    Example:
        >>> train_seeds(resnet(cfg), data, seeds=3)     # doctest: +SKIP
    """
    recipe = Recipe() if recipe is None else recipe
    numbers = seeds_from(recipe.seed, seeds)
    first = fresh_network(model, numbers[0])
    whole = check_name(name) if name is not None else default_name(first)

    def make(seed: int) -> LiveRun:
        return train(
            first if seed == numbers[0] else fresh_network(model, seed),
            data,
            replace(recipe, seed=seed),
            directory=None if directory is None else Path(directory) / f"seed-{seed}",
            name=f"{whole}-seed-{seed}" if directory is None else None,
            recorders=recorders,
            start=False,
            save_every_s=save_every_s,
            moments_bytes=moments_bytes,
            task=task,
            engine=engine,
            when_kernel_ends=when_kernel_ends,
        )

    runs = SeedRuns(make, numbers, whole)
    if start:
        runs.start()
    return runs


def seeds_from(first: int, count: object) -> tuple[int, ...]:
    """The recipe's seed and those that follow it.

    Raises:
        InvalidSetting: if the count is no whole number from 1 to 1,000.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_SEEDS:
        raise InvalidSetting(
            "seeds", f"seeds={count!r} must be a whole number of runs from 1 to {MOST_SEEDS:,}, such as 3"
        )
    return tuple(range(first, first + count))


def fresh_network(model: nn.Module | Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network of the same kind with initial weights of this seed, as ``torch.manual_seed(seed)`` makes them.

    Args:
        model: a network that was built here, whose settings are used and not its weights; or a function that
            makes one.
        seed: of the weights; torch's own random state stays as it was.

    Raises:
        InvalidSetting: for a network that was not built here, or a function that makes none.
    """
    if isinstance(model, nn.Module) and not isinstance(model, ResNet):
        raise InvalidSetting(
            "model",
            f"each seed needs new weights, and how a {type(model).__name__} is made is not known here; "
            "give a function that makes one, such as train_seeds(lambda: MyNet(), data)",
        )
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        made = resnet(model.config) if isinstance(model, ResNet) else model()
    if not isinstance(made, nn.Module):
        raise InvalidSetting("model", f"the function for the network gave {made!r}; it must return a network")
    return made
