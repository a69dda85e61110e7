"""Runs in processes of their own: they have their own memory, and can survive the kernel."""

from reswork.experiment.processes.job import (
    Engine,
    ProcessSettings,
    WhenKernelEnds,
    check_engine,
    check_ranks,
)
from reswork.experiment.processes.process_run import ProcessRun
from reswork.experiment.processes.starting import attach, newest_going_on, process_run, resume_in_process
from reswork.experiment.processes.status import WorkerFailed

__all__ = [
    "Engine",
    "ProcessRun",
    "ProcessSettings",
    "WhenKernelEnds",
    "WorkerFailed",
    "attach",
    "check_engine",
    "check_ranks",
    "newest_going_on",
    "process_run",
    "resume_in_process",
]
