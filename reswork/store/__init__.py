"""Runs on disk: one folder for each training, written as it goes, readable while it grows and afterwards."""

from reswork.store.checkpoint import Checkpoint, open_checkpoint
from reswork.store.directory import create_run_directory, runs_folder
from reswork.store.resuming import resume
from reswork.store.run_table import runs
from reswork.store.saved_run import AnyRun, SavedRun, load_run
from reswork.store.writer import RunWriter

__all__ = [
    "AnyRun",
    "Checkpoint",
    "RunWriter",
    "SavedRun",
    "create_run_directory",
    "load_run",
    "open_checkpoint",
    "resume",
    "runs",
    "runs_folder",
]
