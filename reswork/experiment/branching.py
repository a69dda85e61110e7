"""`branch`: a new run that begins with the weights of an earlier moment of another one, with changed settings."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.launch import train
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.results.run_tree import RunNode, family
from reswork.store.checkpoints import Checkpoints
from reswork.store.moments import Moments, moments
from reswork.store.run_table import runs
from reswork.store.saved_run import AnyRun, SavedRun, load_run
from reswork.training.live_run import LiveRun
from reswork.training.progress import TrainingState
from reswork.training.recipe import Recipe, total_steps

_SCHEDULED = ("epochs", "steps", "learning_rate", "schedule", "warmup_epochs", "milestones", "decay_factor",
              "target_score")  # fmt: skip # what may change without touching what the optimizer remembers


def branch(
    run: AnyRun,
    step: int,
    recipe: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    data: Dataset | None = None,
    name: str | None = None,
    directory: str | Path | None = None,
    start: bool = True,
    fresh: bool = False,
) -> LiveRun:
    """Train on from an earlier moment of a run, with other settings; the old run stays as it is.

    The new run begins with the weights of the moment that is nearest to the step, and the schedule and the order
    of the pictures go on there. What the optimizer remembers is taken over where the run has a checkpoint of just
    this step and no other optimizer is asked for; otherwise it begins afresh. The history's note ``branched`` says
    all this in a sentence. Of a run that began with trained weights it keeps where those came from and how they were
    fitted, ``transfer``, unless all weights are fresh.

    Args:
        run: live or from disk; it must have kept moments.
        step: updates made before the branch.
        recipe: settings of `Recipe` that change, such as ``{"learning_rate": 0.01}``.
        config: settings of `ResNetConfig` that change, such as ``{"shortcuts_off": ("layer2.1",)}``. Weights that fit
            are taken over, the others are new.
        data: needed for a run from disk whose data set is not a built-in one.
        name: of the new run's folder.
        directory: a new or empty folder for it; None: a new one under ``runs``.
        start: False gives a run that waits for ``start()``.
        fresh: True begins with new weights of a network as its settings say, whatever was done to the old one; for
            step 0 of a network that was built here.

    Raises:
        InvalidSetting: for an impossible setting, a step that leaves nothing to train, or a run without moments.

    Example:
        >>> branch(run, 200, {"learning_rate": 0.01})       # doctest: +SKIP
    """
    data = data if data is not None else run.data if run.is_live else run.load_data()
    old_config = run.config
    new_recipe = Recipe.from_dict({**run.recipe.to_dict(), **(recipe or {})})
    found = moments(run)
    if fresh and step:
        raise InvalidSetting("fresh", f"fresh weights begin at step 0, not at {step:,}")
    state, words = _state(run, found, step, new_recipe, changed=bool(config))
    if state.step >= total_steps(new_recipe, len(data.train)):
        raise InvalidSetting(
            "step",
            f"step {state.step:,} is the end of a training of {total_steps(new_recipe, len(data.train)):,} steps; "
            "choose an earlier one, or more epochs",
        )
    model, new_config, lost = (
        _fresh_network(run, config or {}) if fresh else _network(run, found, state, old_config, config or {})
    )
    own = {f"model/{key}": value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    memory = {key: value for key, value in state.tensors.items() if not key.startswith("model/")}
    state = replace(state, tensors={**memory, **own})
    changes = _changes(run.recipe, new_recipe) | _changes(old_config, new_config)
    changes |= {"weights": ["as they were", "fresh"]} if fresh else {}
    parent = {"run": run.name, "step": state.step, "changes": changes}
    saved = load_run(found.folder.parent) if run.is_live else run
    new = train(
        model,
        data,
        new_recipe,
        name=name,
        directory=directory,
        parent=parent,
        state=state,
        start=False,
        transfer=None if fresh else saved.transfer,
    )
    sentence = " ".join([f"Branched off {run.name} at step {state.step:,}.", *words, *lost])
    new.history.note(state.step, "branched", sentence=sentence, run=run.name, changes=changes)
    if start:
        new.start()
    return new


def tree_of(found: "list[SavedRun]") -> tuple[RunNode, ...]:
    """The runs as nodes of trees, for ``results.family`` and ``figures.run_tree``.

    Args:
        found: from `reswork.runs`; those that cannot be read are left out.
    """
    return tuple(
        RunNode(
            run.name,
            int(run.progress.get("step", 0)),
            None if run.parent is None else str(run.parent["run"]),
            0 if run.parent is None else int(run.parent["step"]),
            () if run.parent is None else told_changes(run.parent["changes"]),
            run.state_word,
            "" if run.headline is None else run.headline.told(run.score),
        )
        for run in found
        if run.unreadable is None
    )


def relatives(run: AnyRun, root: str | Path | None = None) -> tuple[RunNode, ...]:
    """The runs that share an ancestor with a run, itself among them; give them to ``figures.run_tree``.

    Args:
        run: live or from disk.
        root: the folder of all runs; None: the usual one.

    Example:
        >>> relatives(run)                                  # doctest: +SKIP
    """
    return family(tree_of(runs(root)), run.name)


def settings_between(run: AnyRun | None, other: AnyRun | None) -> dict[str, list[Any]]:
    """Settings of recipe and network in which two runs differ: name -> value of the first and of the second."""
    if run is None or other is None:
        return {}
    return _changes(run.recipe, other.recipe) | _changes(run.config, other.config)


def told_changes(changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Each changed setting in a few words.

    Example:
        >>> told_changes({"learning_rate": [3.0, 0.1], "shortcuts_off": [[], ["layer2.1"]]})
        ('learning_rate 3 → 0.1', 'shortcuts_off none → layer2.1')
    """
    return tuple(f"{name} {_told(old)} → {_told(new)}" for name, (old, new) in changes.items())


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _state(
    run: AnyRun, found: Moments, step: int, recipe: Recipe, *, changed: bool
) -> tuple[TrainingState, list[str]]:
    """Weights and, where they are known and still fit, what the optimizer remembers; and how that went in words."""
    near = found.nearest(step)
    reusable = not changed and all(name in _SCHEDULED for name in _changes(run.recipe, recipe))
    if reusable:
        kept = _checkpoint(found.folder.parent, near)
        if kept is not None:
            values = {key: value for key, value in kept.values.items() if key not in ("recorders", "seconds")}
            if "learning_rate" in _changes(run.recipe, recipe):
                values["rate_factor"] = 1.0
            tensors = {key: value for key, value in kept.tensors.items() if not key.startswith("recorder/")}
            words = [] if near == step else [f"Step {step:,} was not kept."]
            return TrainingState(near, tensors, values), [*words, "The optimizer goes on as it was."]
    moment = found.at(step)
    weights = {f"model/{key}": value for key, value in moment.model.state_dict().items()}
    words = [moment.sentence] if moment.sentence else []
    fresh = [] if moment.step == 0 else ["The optimizer begins afresh."]
    if run.recipe.ema is not None and moment.step:
        fresh.append("The weights are the averaged ones.")
    return TrainingState(moment.step, weights, {}), [*words, *fresh]


def _checkpoint(directory: Path, step: int) -> TrainingState | None:
    try:
        checkpoint, state, _ = Checkpoints(directory).newest(step)
    except InvalidSetting:
        return None
    return state if checkpoint.step == step else None


def _network(
    run: AnyRun,
    found: Moments,
    state: TrainingState,
    old: ResNetConfig | None,
    changes: Mapping[str, Any],
) -> tuple[nn.Module, ResNetConfig | None, list[str]]:
    """The new run's network with all weights that fit, and in words which do not."""
    weights = state.part("model")
    if old is None or not changes:
        if changes:
            raise InvalidSetting(
                "config", f"the network of {run.name!r} was not built here; only its recipe can change"
            )
        model = found.model(state.step)
        model.load_state_dict(weights)
        return model.train().requires_grad_(True), old, []
    model, config, _ = _fresh_network(run, changes)
    own = model.state_dict()
    fitting = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    lost = []
    if new := sorted({*own} - {*fitting}):
        lost.append(f"{len(new)} tensors are new, such as {new[0]}.")
    if gone := sorted({*weights} - {*fitting}):
        lost.append(f"{len(gone)} tensors have no place any more, such as {gone[0]}.")
    return model, config, lost


def _fresh_network(run: AnyRun, changes: Mapping[str, Any]) -> tuple[nn.Module, ResNetConfig, list[str]]:
    """A network as the settings with these changes say, with new weights."""
    if run.config is None:
        raise InvalidSetting(
            "fresh", f"the network of {run.name!r} was not built here, so that no new one can be made"
        )
    config = ResNetConfig.from_dict({**run.config.to_dict(), **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.recipe.seed)
        return resnet(config), config, ["All weights are new."]


def _changes(old: Any, new: Any) -> dict[str, list[Any]]:
    """Setting -> old and new value, as JSON has them, of two recipes or two networks."""
    if old is None or new is None:
        return {}
    before, after = old.to_dict(), new.to_dict()
    names = [each.name for each in fields(old)]
    return {name: [before[name], after[name]] for name in names if before[name] != after[name]}
