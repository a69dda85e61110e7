"""Runs in processes of their own: they have their own memory, and can survive the kernel."""

from reswork.experiment.processes.process_run import ProcessRun
from reswork.experiment.processes.seating import seats_of
from reswork.experiment.processes.starting import attach, check_process_engine, going_on, process_run
from reswork.experiment.processes.status import WorkerFailed

__all__ = [
    "ProcessRun",
    "WorkerFailed",
    "attach",
    "check_process_engine",
    "going_on",
    "process_run",
    "seats_of",
]
