"""`before_and_after`: a network when its training began, and as it is now."""

from typing import Any

from reswork.contrast.comparison import ModelComparison, compare_models
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.store.moments import moments
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun


def before_and_after(
    run: Any, data: Dataset | None = None, *, before: Any = None, images: int | None = None
) -> ModelComparison:
    """What a training changed: answers, weights and features block by block, CKA, features of one image.

    Read from ``.weights`` what moved how far (what was frozen is 0), from ``.cka`` which blocks still see the same
    likenesses, from ``.changed`` which answers became right and wrong, from ``.features_of(image)`` one image.

    Args:
        run: live or from disk; a network, where ``before`` is given.
        data: whose test images are answered; None: the run's.
        before: what to compare with, as `compare_models` takes it; None: the run's own network at step 0, from its
            moments.
        images: how many test images are answered, spread evenly; None: all.

    Raises:
        InvalidSetting: for a run that kept no moments, or data that are not known.
    """
    if before is None:
        if not isinstance(run, LiveRun | SavedRun):
            raise InvalidSetting("before", f"run={run!r} is no run; give the network it began as, before=")
        kept = moments(run)
        if not len(kept) or kept.nearest(0) != 0:
            raise InvalidSetting("before", f"run {run.name!r} kept no moment at step 0; give before=")
        before = kept.model(0)
    if data is None:
        if not isinstance(run, LiveRun | SavedRun):
            raise InvalidSetting("data", "a network does not say what it learned from; give data=")
        data = run.data if run.is_live else run.load_data()
    return compare_models(before, run, data, images=images, names=("before", "after"))
