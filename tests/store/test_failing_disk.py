"""A disk that fails in the middle of a run; `python -m tests.faults failing_disk 1000` lets every call fail in turn."""

import errno
from pathlib import Path

from reswork.widgets.run_view import RunView
from tests.faults import failing_disk
from tests.faults.failing_disk import Disk, trained


def test_whatever_fails_the_training_ends_well_and_what_is_lost_is_told() -> None:
    assert "the training always ended well" in failing_disk.campaign(8, errors=(errno.EIO,))


def test_the_panel_says_what_is_not_saved(tmp_path: Path) -> None:
    run, told = trained(tmp_path / "run", Disk(30, for_good=True, code=28))
    assert run is not None and any("No space left on device" in each for each in told)
    view = RunView(run)
    assert "not saved" in view.unsaved.value and "No space left on device" in view.unsaved.value
