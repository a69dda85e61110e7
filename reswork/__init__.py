"""A workbench for residual networks: build by depth, train live, watch it learn.

Everything public is reached as ``import reswork as rw``; a name is imported when it is first used, so that
the import itself brings neither torch, plotly nor ipywidgets.

Example:
    >>> import reswork as rw
    >>> rw.ResNetConfig(depth=20).label
    'ResNet-20'
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reswork import datasets, figures, probes, recorders, results
    from reswork.datasets.augmentation import Augmentation
    from reswork.errors import InvalidSetting
    from reswork.experiment import presets
    from reswork.experiment.launch import train
    from reswork.experiment.processes import ProcessRun, attach
    from reswork.experiment.standalone import show_code
    from reswork.history import History
    from reswork.models.comparison import spec_table
    from reswork.models.config import ResNetConfig
    from reswork.models.network import ResNet, resnet
    from reswork.models.sheet import spec_sheet
    from reswork.store.checkpoint import open_checkpoint
    from reswork.store.saved_run import SavedRun, load_run, runs
    from reswork.training.loop import fit
    from reswork.training.recipe import Recipe
    from reswork.training.run import Run, RunState, active_runs
    from reswork.widgets import Workbench, inspect, live

__version__ = "0.1.0"

__all__ = [
    "Augmentation",
    "History",
    "InvalidSetting",
    "ProcessRun",
    "Recipe",
    "ResNet",
    "ResNetConfig",
    "Run",
    "RunState",
    "SavedRun",
    "Workbench",
    "active_runs",
    "attach",
    "datasets",
    "figures",
    "fit",
    "inspect",
    "live",
    "load_run",
    "open_checkpoint",
    "presets",
    "probes",
    "recorders",
    "resnet",
    "results",
    "runs",
    "show_code",
    "spec_sheet",
    "spec_table",
    "train",
]

_MODULES = {
    "datasets": "reswork.datasets",
    "figures": "reswork.figures",
    "presets": "reswork.experiment.presets",
    "probes": "reswork.probes",
    "recorders": "reswork.recorders",
    "results": "reswork.results",
}

_HOMES = {
    "Augmentation": "reswork.datasets.augmentation",
    "History": "reswork.history",
    "InvalidSetting": "reswork.errors",
    "ProcessRun": "reswork.experiment.processes",
    "Recipe": "reswork.training.recipe",
    "ResNet": "reswork.models.network",
    "ResNetConfig": "reswork.models.config",
    "Run": "reswork.training.run",
    "RunState": "reswork.training.run",
    "SavedRun": "reswork.store.saved_run",
    "Workbench": "reswork.widgets",
    "active_runs": "reswork.training.run",
    "attach": "reswork.experiment.processes",
    "fit": "reswork.training.loop",
    "inspect": "reswork.widgets",
    "live": "reswork.widgets",
    "load_run": "reswork.store.saved_run",
    "open_checkpoint": "reswork.store.checkpoint",
    "resnet": "reswork.models.network",
    "runs": "reswork.store.saved_run",
    "show_code": "reswork.experiment.standalone",
    "spec_sheet": "reswork.models.sheet",
    "spec_table": "reswork.models.comparison",
    "train": "reswork.experiment.launch",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'reswork' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
