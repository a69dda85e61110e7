"""``python -m reswork.worker <run directory> <private folder> [<ranks>]``: the process of one run.

Kernels start it (`train` with ``engine="process"`` or ``"torchrun"``); nobody needs to call it by hand. It trains,
writes the run's folder, obeys any kernel that connects, and ends with the run. When the kernel that started it ends,
it stops and saves, or goes on, as it was told. With a number of ranks it has torchrun start so many of
itself; the first of them does all that, and the others train along.
"""

import contextlib
import faulthandler
import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from reswork.datasets.dataset import Dataset
    from reswork.experiment.processes.job import Job
    from reswork.models.network import ResNet
    from reswork.training.progress import TrainingState
    from reswork.training.ranks import Ranks
    from reswork.training.run import Run

_LOOK_S = 0.25  # between two looks whether the kernel is there
_log = logging.getLogger("reswork.worker")


def main(arguments: Sequence[str]) -> int:
    """Do one run; returns the exit status, 0 also where the run itself failed, which its folder tells."""
    directory, folder = (Path(argument) for argument in arguments[:2])
    if arguments[2:]:
        return _torchrun(directory, folder, int(arguments[2]))
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    in_ranks = False
    try:
        from reswork.training.ranks import torchrun_ranks

        with torchrun_ranks() as ranks:
            in_ranks = ranks.count > 1
            if not ranks.is_first:
                return _work_along(folder, ranks)
            _work(directory, folder, ranks)
    except Exception as error:
        _log.exception("The run cannot go on.")
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # last, for those who read one line
        return 1
    finally:
        if not in_ranks:  # else others still read there
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _torchrun(directory: Path, folder: Path, count: int) -> int:
    """Torchrun's agent: it starts the ranks, and ends all when one has failed."""
    os.environ |= {
        "RESWORK_RANKS_STORE": str(
            folder / "ranks"
        ),  # a new one for each start: nobody waits for those of before
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    logging.disable()  # the ranks have said what there is to say
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(
            ["--standalone", f"--nproc-per-node={count}", "-m", "reswork.worker", str(directory), str(folder)]
        )
    except (ChildFailedError, SignalException):
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _work_along(folder: Path, ranks: "Ranks") -> int:
    """What a rank does that is not the first."""
    import torch

    from reswork.experiment.processes.job import read_job
    from reswork.tasks import task_of_kind
    from reswork.training.loop import train_along
    from reswork.training.ranks import disregard_signals
    from reswork.training.recipe import Recipe

    disregard_signals()
    job, model, data, _ = read_job(folder, keep=True)
    torch.set_num_threads(job.threads)
    torch.set_float32_matmul_precision(job.matmul_precision)
    return train_along(model, data, Recipe.from_dict(job.recipe), ranks, task_of_kind(job.task))


def _work(directory: Path, folder: Path, ranks: "Ranks") -> None:
    import torch
    import torch.distributed as dist

    from reswork.experiment.processes.job import read_job
    from reswork.experiment.processes.server import Server
    from reswork.store.worker_file import WORKER_FILE, worker_of, write_worker

    agent = os.getppid() if dist.is_torchelastic_launched() else None
    write_worker(directory, worker_of(agent or os.getpid(), folder))
    job, model, data, state = read_job(folder, keep=agent is not None)
    torch.set_num_threads(job.threads)
    torch.set_float32_matmul_precision(job.matmul_precision)
    run = _resumed(directory, job, data) if job.resumes else _begun(directory, job, model, data, state)
    run.join(ranks)
    _log.info("Process %d trains %s.", os.getpid(), run.name)
    server = Server(run, folder, job.config)
    try:
        _watch(run, job, agent)
    finally:
        server.close()
        with contextlib.suppress(OSError):
            (directory / WORKER_FILE).unlink()
    _log.info("%s is %s after %d steps.", run.name, run.state.value, run.steps_done)


def _resumed(directory: Path, job: "Job", data: "Dataset") -> "Run":
    """The run that is in the folder."""
    from reswork.experiment.processes.portable import recorders_from_specs
    from reswork.store.resuming import resume
    from reswork.store.saved_run import load_run

    more = partial(recorders_from_specs, job.recorders)
    return resume(load_run(directory), data=data, step=job.step, recorders=[more], start=False)


def _begun(
    directory: Path, job: "Job", model: "ResNet", data: "Dataset", state: "TrainingState | None"
) -> "Run":
    """A new run, recorded and saved like one in a kernel."""
    from reswork.experiment.processes.portable import recorders_from_specs
    from reswork.store.assembly import assemble_run
    from reswork.tasks import task_of_kind
    from reswork.training.recipe import Recipe

    return assemble_run(
        model,
        data,
        Recipe.from_dict(job.recipe),
        job.description,
        directory,
        recorders=[partial(recorders_from_specs, job.recorders)],
        moments_bytes=job.moments_bytes,
        task=task_of_kind(job.task),
        state=state,
        save_every_s=job.save_every_s,
    )


def _watch(run: "Run", job: "Job", agent: int | None) -> None:
    """Until the run is over: look after the kernel that started it, and end it if the system asks.

    Torchrun's agent stands between the kernel and its ranks; it asks them to end by a signal, and they end with it.
    """
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    kernel_is_there = True
    while not run.done:
        run.wait_for_change(run.state, run.steps_done, _LOOK_S)
        if asked or (agent is not None and os.getppid() != agent):
            run.stop()
        if kernel_is_there and _parent_of(agent) != job.kernel:
            kernel_is_there = False
            stops = job.when_kernel_ends == "stop"
            run.history.note(run.steps_done, "kernel ended", then="stop" if stops else "go on")
            _log.info("The kernel (%d) has ended; the run %s.", job.kernel, "stops" if stops else "goes on")
            if stops:
                run.stop()
            else:
                run.start()  # it may have ended before it could say so


def _parent_of(agent: int | None) -> int:
    """The number of the kernel, as long as it lives."""
    if agent is None:
        return os.getppid()
    try:
        return psutil.Process(agent).ppid()
    except psutil.Error:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
