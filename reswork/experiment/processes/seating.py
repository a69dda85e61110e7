"""The recorders of any run that can be steered."""

from reswork.experiment.processes.process_run import ProcessRun
from reswork.recorders.seats import RunSeats, Seats
from reswork.training.live_run import LiveRun
from reswork.training.run import Run


def seats_of(run: LiveRun) -> Seats | None:
    """Which recorders it has, to be switched and paced; None for a kind of run that cannot tell."""
    if isinstance(run, ProcessRun):
        return run.seats
    return RunSeats(run) if isinstance(run, Run) else None
