"""A workbench for residual networks: build by depth, train live, watch it learn.

Everything public is reached as ``import reswork as rw``; a name is imported when it is first used, so that
the import itself brings neither torch, plotly nor ipywidgets.

Example:
    >>> import reswork as rw
    >>> rw.ResNetConfig(depth=20).label
    'ResNet-20'
"""

import gc
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reswork import (
        compression,
        datasets,
        figures,
        probes,
        recorders,
        results,
        studies,
        surgery,
        tasks,
        transfer,
    )
    from reswork.causes.why import Why, why
    from reswork.compression.search import Smaller, smaller
    from reswork.contrast.comparison import compare_models
    from reswork.datasets.augmentation import Augmentation
    from reswork.diagnosis import diagnose
    from reswork.environment.checkup import doctor
    from reswork.errors import InvalidSetting
    from reswork.experiment import presets
    from reswork.experiment.anomaly_features import feature_distances
    from reswork.experiment.branching import branch, relatives
    from reswork.experiment.cloud_job import cloud_job
    from reswork.experiment.divergence import divergence
    from reswork.experiment.launch import train
    from reswork.experiment.look_alikes import embeddings, search, verified
    from reswork.experiment.looking_back import look_back, what_changed
    from reswork.experiment.processes import ProcessRun, attach
    from reswork.experiment.seed_comparison import compare_seeds
    from reswork.experiment.seed_runs import SeedRuns, train_seeds
    from reswork.experiment.sliding_window import sliding_window
    from reswork.experiment.standalone import show_code
    from reswork.experiment.whole_images import restoration_scores, restore, segment
    from reswork.experiment.worlds import worlds
    from reswork.history import History
    from reswork.models.comparison import spec_table
    from reswork.models.config import ResNetConfig
    from reswork.models.network import ResNet, detector, edsr, fcn, resnet, retinanet, unet, vdsr
    from reswork.models.sheet import spec_sheet
    from reswork.models.tiles import in_tiles
    from reswork.planning.plan import Plan, plan
    from reswork.planning.prices import Prices, prices
    from reswork.planning.returns import Returns, returns
    from reswork.reporting.report import Report, report
    from reswork.shipping.artefact import Artefact, open_artefact
    from reswork.shipping.bundle import bundle
    from reswork.shipping.check import check_artefact
    from reswork.shipping.export import export
    from reswork.shipping.latency import latency
    from reswork.shipping.serving import Server, serve
    from reswork.store.checkpoint import open_checkpoint
    from reswork.store.differences import compare_settings
    from reswork.store.export import export_csv, export_page, export_pictures
    from reswork.store.moments import Moments, moments
    from reswork.store.run_table import runs
    from reswork.store.saved_run import SavedRun, load_run
    from reswork.store.seed_groups import seed_groups
    from reswork.tasks.kinds import config_for
    from reswork.training.live_run import LiveRun
    from reswork.training.loop import fit
    from reswork.training.recipe import Recipe
    from reswork.training.run import Run, RunState, active_runs
    from reswork.transfer.fine_tuning import fine_tune
    from reswork.widgets import Workbench, inspect, live
    from reswork.widgets.compare_view import compare_view
    from reswork.widgets.debug_view import debug
    from reswork.widgets.microscope_view import microscope
    from reswork.widgets.operate_view import operate
    from reswork.widgets.returns_view import returns_view
    from reswork.widgets.steps_view import forgetting_view, worth_view

__version__ = "0.1.0"

__all__ = [
    "Artefact",
    "Augmentation",
    "History",
    "InvalidSetting",
    "LiveRun",
    "Moments",
    "Plan",
    "Prices",
    "ProcessRun",
    "Recipe",
    "Report",
    "ResNet",
    "ResNetConfig",
    "Returns",
    "Run",
    "RunState",
    "SavedRun",
    "SeedRuns",
    "Server",
    "Smaller",
    "Why",
    "Workbench",
    "active_runs",
    "attach",
    "branch",
    "bundle",
    "check_artefact",
    "cloud_job",
    "compare_models",
    "compare_seeds",
    "compare_settings",
    "compare_view",
    "compression",
    "config_for",
    "datasets",
    "debug",
    "detector",
    "diagnose",
    "divergence",
    "doctor",
    "edsr",
    "embeddings",
    "export",
    "export_csv",
    "export_page",
    "export_pictures",
    "fcn",
    "feature_distances",
    "figures",
    "fine_tune",
    "fit",
    "forgetting_view",
    "in_tiles",
    "inspect",
    "latency",
    "live",
    "load_run",
    "look_back",
    "microscope",
    "moments",
    "open_artefact",
    "open_checkpoint",
    "operate",
    "plan",
    "presets",
    "prices",
    "probes",
    "recorders",
    "relatives",
    "report",
    "resnet",
    "restoration_scores",
    "restore",
    "results",
    "retinanet",
    "returns",
    "returns_view",
    "runs",
    "search",
    "seed_groups",
    "segment",
    "serve",
    "show_code",
    "sliding_window",
    "smaller",
    "spec_sheet",
    "spec_table",
    "studies",
    "surgery",
    "tasks",
    "train",
    "train_seeds",
    "transfer",
    "unet",
    "vdsr",
    "verified",
    "what_changed",
    "why",
    "worlds",
    "worth_view",
]

_MODULES = {
    "compression": "reswork.compression",
    "datasets": "reswork.datasets",
    "figures": "reswork.figures",
    "presets": "reswork.experiment.presets",
    "probes": "reswork.probes",
    "recorders": "reswork.recorders",
    "results": "reswork.results",
    "studies": "reswork.studies",
    "surgery": "reswork.surgery",
    "tasks": "reswork.tasks",
    "transfer": "reswork.transfer",
}

_HOMES = {
    "Artefact": "reswork.shipping.artefact",
    "Augmentation": "reswork.datasets.augmentation",
    "History": "reswork.history",
    "InvalidSetting": "reswork.errors",
    "LiveRun": "reswork.training.live_run",
    "Moments": "reswork.store.moments",
    "Plan": "reswork.planning.plan",
    "Prices": "reswork.planning.prices",
    "ProcessRun": "reswork.experiment.processes",
    "Recipe": "reswork.training.recipe",
    "Report": "reswork.reporting.report",
    "ResNet": "reswork.models.network",
    "ResNetConfig": "reswork.models.config",
    "Returns": "reswork.planning.returns",
    "Run": "reswork.training.run",
    "RunState": "reswork.training.run",
    "SavedRun": "reswork.store.saved_run",
    "SeedRuns": "reswork.experiment.seed_runs",
    "Server": "reswork.shipping.serving",
    "Smaller": "reswork.compression.search",
    "Why": "reswork.causes.why",
    "Workbench": "reswork.widgets",
    "active_runs": "reswork.training.run",
    "attach": "reswork.experiment.processes",
    "branch": "reswork.experiment.branching",
    "bundle": "reswork.shipping.bundle",
    "check_artefact": "reswork.shipping.check",
    "cloud_job": "reswork.experiment.cloud_job",
    "compare_models": "reswork.contrast.comparison",
    "compare_seeds": "reswork.experiment.seed_comparison",
    "compare_settings": "reswork.store.differences",
    "compare_view": "reswork.widgets.compare_view",
    "config_for": "reswork.tasks.kinds",
    "detector": "reswork.models.network",
    "diagnose": "reswork.diagnosis",
    "doctor": "reswork.environment.checkup",
    "edsr": "reswork.models.network",
    "embeddings": "reswork.experiment.look_alikes",
    "export": "reswork.shipping.export",
    "export_csv": "reswork.store.export",
    "export_page": "reswork.store.export",
    "export_pictures": "reswork.store.export",
    "fcn": "reswork.models.network",
    "feature_distances": "reswork.experiment.anomaly_features",
    "fine_tune": "reswork.transfer.fine_tuning",
    "fit": "reswork.training.loop",
    "forgetting_view": "reswork.widgets.steps_view",
    "in_tiles": "reswork.models.tiles",
    "inspect": "reswork.widgets",
    "latency": "reswork.shipping.latency",
    "live": "reswork.widgets",
    "load_run": "reswork.store.saved_run",
    "look_back": "reswork.experiment.looking_back",
    "microscope": "reswork.widgets.microscope_view",
    "moments": "reswork.store.moments",
    "operate": "reswork.widgets.operate_view",
    "open_artefact": "reswork.shipping.artefact",
    "open_checkpoint": "reswork.store.checkpoint",
    "debug": "reswork.widgets.debug_view",
    "divergence": "reswork.experiment.divergence",
    "plan": "reswork.planning.plan",
    "prices": "reswork.planning.prices",
    "relatives": "reswork.experiment.branching",
    "report": "reswork.reporting.report",
    "resnet": "reswork.models.network",
    "retinanet": "reswork.models.network",
    "restoration_scores": "reswork.experiment.whole_images",
    "restore": "reswork.experiment.whole_images",
    "runs": "reswork.store.run_table",
    "search": "reswork.experiment.look_alikes",
    "seed_groups": "reswork.store.seed_groups",
    "segment": "reswork.experiment.whole_images",
    "serve": "reswork.shipping.serving",
    "show_code": "reswork.experiment.standalone",
    "sliding_window": "reswork.experiment.sliding_window",
    "smaller": "reswork.compression.search",
    "spec_sheet": "reswork.models.sheet",
    "spec_table": "reswork.models.comparison",
    "train": "reswork.experiment.launch",
    "train_seeds": "reswork.experiment.seed_runs",
    "unet": "reswork.models.network",
    "vdsr": "reswork.models.network",
    "verified": "reswork.experiment.look_alikes",
    "what_changed": "reswork.experiment.looking_back",
    "why": "reswork.causes.why",
    "worlds": "reswork.experiment.worlds",
    "worth_view": "reswork.widgets.steps_view",
    "returns": "reswork.planning.returns",
    "returns_view": "reswork.widgets.returns_view",
}


def __getattr__(name: str) -> object:
    home = _MODULES.get(name) or _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'reswork' has no attribute {name!r}")
    module = import_module(home) if "torch" in sys.modules else _imported_with_torch(home)
    value: object = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def _imported_with_torch(name: str) -> ModuleType:
    """A module, without looking for garbage among the half million objects of torch, now or later.

    It takes a third of a second each time, two or three times while torch is imported, and then again as the page is
    made and as a run goes on.
    """
    collects = gc.isenabled()
    gc.collect()  # what is garbage already, while that is quick
    gc.disable()
    try:
        module = import_module(name)
        if "torch" in sys.modules:
            gc.freeze()
    finally:
        if collects:
            gc.enable()
    return module


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
