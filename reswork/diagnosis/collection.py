"""`facts_of_run` and `facts_of_model`: what is asked is collected once, without a change of anything."""

from collections.abc import Callable
from typing import Any

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.diagnosis.course_facts import course_facts
from reswork.diagnosis.data_facts import data_facts
from reswork.diagnosis.facts import PARTS, Facts, Part, Settings
from reswork.diagnosis.model_facts import answer_facts, signal_facts, weight_facts
from reswork.errors import InvalidSetting
from reswork.probes.readable import check_readable
from reswork.store.saved_run import AnyRun
from reswork.tasks import CLASSIFICATION
from reswork.training.recipe import Recipe

_NO_DATA = "no data were given"
_NO_RUN = "a network alone has no record of its training"


def facts_of_run(run: AnyRun, data: Dataset | None = None) -> Facts:
    """Everything about a run, live or from disk; of a live one as it stands between two steps.

    Args:
        run: from `train` or `load_run`.
        data: another data set to look at; None: the run's own, where it can be had.
    """
    missing: dict[str, str] = {}
    model = _tried(missing, ("weights", "signals", "answers"), lambda: _model_of(run))
    if data is None:
        data = _tried(
            missing, ("signals", "answers", "data"), lambda: run.data if run.is_live else run.load_data()
        )
    record = facts_of_record(run)
    if run.task_kind != CLASSIFICATION:
        missing["course"] = record.missing["course"]
    return _facts(missing, model, data, run.recipe, settings=record.settings, course=record.course)


def facts_of_record(run: AnyRun) -> Facts:
    """What a run's record and settings say alone, without its network and data: some milliseconds."""
    settings = Settings(run.recipe, run.config, run.total_steps)
    missing: dict[str, str] = dict.fromkeys(PARTS, "only the record was looked at")
    if run.task_kind != CLASSIFICATION:
        missing["course"] = "the record is not of a classification"
        return Facts(settings, missing=missing)
    metric = run.headline.name if run.headline is not None else ""
    failure = "" if run.error is None else str(run.error)
    course = course_facts(run.history, metric, len(run.classes), failure)
    return Facts(settings, course if len(course.steps) else None, missing=missing)


def facts_of_model(model: nn.Module, data: Dataset | None = None) -> Facts:
    """Everything about a network whose training nobody saw.

    Args:
        model: any, only read.
        data: with labels; None: its weights are all that is looked at.
    """
    check_readable(model)
    missing: dict[str, str] = {"settings": _NO_RUN, "course": _NO_RUN}
    if data is None:
        missing |= dict.fromkeys(("signals", "answers", "data"), _NO_DATA)
    return _facts(missing, model, data, None)


def _facts(
    missing: dict[str, str],
    model: nn.Module | None,
    data: Dataset | None,
    recipe: Recipe | None,
    **known: Any,
) -> Facts:
    """The parts that are known, and those that model and data give."""
    if data is not None and (data.target_kind != "labels" or data.task is not None):
        kind = "identities" if data.task == "verification" else data.target_kind
        missing |= dict.fromkeys(("signals", "answers", "data"), f"the targets are {kind}, not labels")
        data = None
    data = None if data is None else data.to("cpu")
    augmentation = None if recipe is None else recipe.augmentation
    found: dict[str, Any] = dict(known)
    if model is not None:
        found["weights"] = _tried(missing, ("weights",), lambda: weight_facts(model))
    if data is not None:
        found["data"] = _tried(missing, ("data",), lambda: data_facts(data, augmentation))
    if model is not None and data is not None:
        found["signals"] = _tried(missing, ("signals",), lambda: signal_facts(model, data, recipe))
        found["answers"] = _tried(missing, ("answers",), lambda: answer_facts(model, data, augmentation))
    for part in PARTS:
        if found.get(part) is None:
            missing.setdefault(part, "nothing was recorded yet")
    return Facts(**found, missing={part: missing[part] for part in PARTS if found.get(part) is None})


def _model_of(run: AnyRun) -> nn.Module:
    if not run.is_live:
        return run.model()
    return run.model if run.done else run.snapshot()


def _tried(missing: dict[str, str], parts: tuple[Part, ...], make: Callable[[], Any]) -> Any:
    """What is made; None, with the reason under these parts, where that cannot be."""
    try:
        return make()
    except (InvalidSetting, RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        missing |= {part: reason for part in parts if part not in missing}
        return None
