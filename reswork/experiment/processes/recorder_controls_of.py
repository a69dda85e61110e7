"""The recorders of any run that can be steered."""

from reswork.experiment.processes.process_run import ProcessRun
from reswork.recorders.recorder_controls import RecorderControls, RunRecorderControls
from reswork.training.live_run import LiveRun
from reswork.training.run import Run


def recorder_controls_of(run: LiveRun) -> RecorderControls | None:
    """Which recorders it has, to be switched and paced; None for a kind of run that cannot tell."""
    if isinstance(run, ProcessRun):
        return run.recorder_controls
    return RunRecorderControls(run) if isinstance(run, Run) else None
