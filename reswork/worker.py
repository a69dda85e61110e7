"""``python -m reswork.worker <run directory> <private folder>``: the process of one run.

Kernels start it (`train` with ``engine="process"``); nobody needs to call it by hand. It trains, writes the run's
folder, obeys any kernel that connects, and ends with the run. When the kernel that started it ends, it stops and saves,
or goes on, as it was told.
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

if TYPE_CHECKING:
    from reswork.datasets.dataset import Dataset
    from reswork.experiment.processes.job import Job
    from reswork.models.network import ResNet
    from reswork.training.progress import TrainingState
    from reswork.training.run import Run

_LOOK_S = 0.25  # between two looks whether the kernel is there
_log = logging.getLogger("reswork.worker")


def main(arguments: Sequence[str]) -> int:
    """Do one run; returns the exit status, 0 also where the run itself failed, which its folder tells."""
    directory, folder = (Path(argument) for argument in arguments)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        _work(directory, folder)
    except Exception as error:
        _log.exception("The run cannot go on.")
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # last, for those who read one line
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _work(directory: Path, folder: Path) -> None:
    import torch

    from reswork.experiment.processes.job import read_job
    from reswork.experiment.processes.server import Server
    from reswork.store.worker_file import WORKER_FILE, worker_of, write_worker

    write_worker(directory, worker_of(os.getpid(), folder))
    job, model, data, state = read_job(folder)
    torch.set_num_threads(job.threads)
    torch.set_float32_matmul_precision(job.matmul_precision)
    run = _resumed(directory, job, data) if job.resumes else _begun(directory, job, model, data, state)
    _log.info("Process %d trains %s.", os.getpid(), run.name)
    server = Server(run, folder, job.config)
    try:
        _watch(run, job)
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


def _watch(run: "Run", job: "Job") -> None:
    """Until the run is over: look after the kernel that started it, and end it if the system asks."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    kernel_is_there = True
    while not run.done:
        run.wait_for_change(run.state, run.steps_done, _LOOK_S)
        if asked:
            run.stop()
        if kernel_is_there and os.getppid() != job.kernel:
            kernel_is_there = False
            stops = job.when_kernel_ends == "stop"
            run.history.note(run.steps_done, "kernel ended", then="stop" if stops else "go on")
            _log.info("The kernel (%d) has ended; the run %s.", job.kernel, "stops" if stops else "goes on")
            if stops:
                run.stop()
            else:
                run.start()  # it may have ended before it could say so


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
