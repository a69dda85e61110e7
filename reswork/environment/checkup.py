"""`doctor`: everything that is looked at, in one table."""

from pathlib import Path

from reswork.environment.context import look_around
from reswork.environment.devices import device_finding, look_at_device
from reswork.environment.front_ends import front_end_finding, live_plot_finding
from reswork.environment.report import Checkup
from reswork.environment.resources import (
    busy_cores,
    cores_finding,
    disk_finding,
    free_disk,
    free_memory,
    memory_finding,
)
from reswork.environment.versions import version_findings
from reswork.environment.write_trial import write_finding
from reswork.places import cache_root, runs_folder


def doctor(runs: str | Path | None = None) -> Checkup:
    """Whether this environment is fit: versions, front end, device, cores, memory, disk, writing, live panels.

    Shows a table, in a notebook and in a terminal. Each line is ``good``, ``look`` (read it) or ``bad`` (will not
    work, with what to do). It changes nothing and downloads nothing; it takes some seconds where torch was
    not imported yet.

    Args:
        runs: the folder of all runs; None: ``runs``, or what ``RESWORK_RUNS`` says.

    Returns:
        The table; ``.fit`` is whether nothing is bad, ``.findings`` are the lines.

    Example:
        >>> [finding.name for finding in doctor().findings][:2]
        ['Python', 'packages']
    """
    context, folder, device = look_around(), runs_folder(runs), look_at_device()
    return Checkup(
        (
            *version_findings(context),
            front_end_finding(context),
            live_plot_finding(context),
            device_finding(device),
            cores_finding(busy_cores(), device.cores, device.threads),
            memory_finding(free_memory()),
            disk_finding(free_disk(folder), folder),
            write_finding(
                "folder of runs", folder, locks=True,
                remedy="set RESWORK_RUNS to a folder on a local disk that you may write to",
            ),
            write_finding(
                "cache of images", cache_root(), locks=False,
                remedy="set RESWORK_CACHE to a folder that you may write to; until then folders of images are "
                "decoded each time",
            ),
        )
    )  # fmt: skip
