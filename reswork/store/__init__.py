"""Runs on disk: one folder for each training, written as it goes, readable while it grows and afterwards."""

from reswork.store.directory import create_run_directory, runs_folder
from reswork.store.saved_run import SavedRun, load_run, runs
from reswork.store.writer import RunWriter

__all__ = ["RunWriter", "SavedRun", "create_run_directory", "load_run", "runs", "runs_folder"]
