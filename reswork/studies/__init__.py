"""Studies: published findings about residual networks, computed again, with the paper's number beside one's own.

``rw.studies.degradation()`` computes one, in seconds as a toy, and gives numbers, figure and verdict;
``rw.studies.gallery()`` shows all of them on the page. A study is imported when it is first used.

Example:
    >>> import reswork as rw
    >>> rw.studies.NAMES[:2]
    ('degradation', 'twin_race')
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reswork.studies.study import Study
    from reswork.widgets.study_gallery import StudyGallery

    degradation: Study
    twin_race: Study
    lesions: Study
    path_lengths: Study
    shattered_gradients: Study
    signal_propagation: Study
    loss_surface: Study
    block_recipes: Study
    without_norm: Study
    stochastic_depth: Study
    wide_or_deep: Study
    residual_as_difference: Study
    ode_solver: Study
    small_data: Study
    other_learners: Study
    optimizers: Study
    fewer_operations: Study

# Each is a module in `findings`; in the order in which a course would take them.
NAMES = (
    "degradation",
    "twin_race",
    "lesions",
    "path_lengths",
    "shattered_gradients",
    "signal_propagation",
    "loss_surface",
    "block_recipes",
    "without_norm",
    "stochastic_depth",
    "wide_or_deep",
    "residual_as_difference",
    "ode_solver",
    "small_data",
    "other_learners",
    "optimizers",
    "fewer_operations",
)

__all__ = ["NAMES", "catalogue", "gallery", *NAMES]


def __getattr__(name: str) -> "Study":
    if name not in NAMES:
        raise AttributeError(f"module 'reswork.studies' has no attribute {name!r}")
    study: Study = import_module(f"reswork.studies.findings.{name}").STUDY
    globals()[name] = study
    return study


def __dir__() -> list[str]:
    return sorted(__all__)


def catalogue() -> "dict[str, Study]":
    """All studies by name."""
    return {name: __getattr__(name) for name in NAMES}


def gallery(folder: str | Path | None = None, *, names: Sequence[str] = ()) -> "StudyGallery":
    """Studies on the page: run them, watch them draw themselves, compare with the paper, guess first.

    Args:
        folder: where results are kept; None: ``.studies`` in the folder of the runs.
        names: which of `NAMES`, in this order; empty: all.

    Raises:
        InvalidSetting: for a name that there is not.
    """
    from reswork.errors import InvalidSetting
    from reswork.studies.guesses import GuessBook
    from reswork.studies.shelf import studies_folder
    from reswork.widgets.study_gallery import StudyGallery

    for name in names:
        if name not in NAMES:
            raise InvalidSetting("names", f"{name!r} is not a study; choose {', '.join(NAMES)}")
    chosen = {name: __getattr__(name) for name in names or NAMES}
    return StudyGallery(chosen, GuessBook(studies_folder(folder)), folder)
