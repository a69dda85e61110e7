"""The stages of a network in the order in which they run, and settings of a recipe that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from torch import nn

from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import block_names
from reswork.training.recipe import Recipe

STEM, HEAD, BODY = "stem", "head", "body"
_HEADS: Final = ("fc", "decoder", "classifier", "head")
_EVEN = 1.0  # a rate that does not fall from stage to stage


@dataclass(frozen=True)
class Stage:
    """A part of a network that is frozen, or gets its learning rate, as a whole.

    Attributes:
        name: ``"stem"``, a stage such as ``"layer2"``, or ``"head"``.
        layers: names of the children of the network in it.
    """

    name: str
    layers: tuple[str, ...]


def stages(model: nn.Module) -> tuple[Stage, ...]:
    """The stem, the stages and the head of a network, from the input on.

    What stands before the first list of blocks is the stem, the last layer (or decoder) is the head; norms between
    belong to the stage before them. Of a network without such lists each child is a stage.

    Example:
        >>> from reswork.models.network import resnet
        >>> [(each.name, each.layers) for each in stages(resnet(depth=8))][::4]
        [('stem', ('conv1', 'bn1')), ('head', ('fc',))]
    """
    own = [name for name, child in model.named_children() if next(child.parameters(), None) is not None]
    if not own:
        return ()
    head = next((name for name in own if name in _HEADS), own[-1])
    of_blocks = {name.partition(".")[0] for name in block_names(model)}
    lists = [name for name in own if name != head and name in of_blocks]
    before = own[: own.index(lists[0])] if lists else []
    found: list[Stage] = [Stage(STEM, tuple(before))] if before else []
    for name in own[len(before) :]:
        if name == head:
            continue
        if lists and name not in lists and found:
            found[-1] = Stage(found[-1].name, (*found[-1].layers, name))
        else:
            found.append(Stage(name, (name,)))
    return (*found, Stage(HEAD, (head,)))


def frozen_to(model: nn.Module, last: str) -> tuple[str, ...]:
    """Layers up to a stage or a block, it included: for ``Recipe(frozen=...)``.

    Args:
        model: that is to be trained.
        last: ``"stem"``, a stage such as ``"layer2"``, a block such as ``"layer2.0"``, or ``"body"``: all but the head.

    Raises:
        InvalidSetting: for a stage or block that the network has not.

    Example:
        >>> from reswork.models.network import resnet
        >>> frozen_to(resnet(depth=14), "layer2.0")
        ('conv1', 'bn1', 'layer1', 'layer2.0')
    """
    *body, _head = stages(model)
    names: list[str] = []
    top, _, block = last.partition(".")
    for stage in body:
        if last == BODY or stage.name != top:
            names += stage.layers
            continue
        if not block:
            return (*names, *stage.layers)
        inner = [name for name, _ in model.get_submodule(top).named_children()]
        if block in inner:
            return (*names, *(f"{top}.{name}" for name in inner[: inner.index(block) + 1]))
        break
    if last == BODY:
        return tuple(names)
    known = ", ".join(repr(stage.name) for stage in body)
    raise InvalidSetting(
        "frozen_to",
        f"frozen_to={last!r} is no stage or block of this network; choose {known}, a block in them such as "
        f"{_some_block(model, body)!r}, or {BODY!r} for all but the head",
    )


def rates_by_stage(model: nn.Module, decay: float) -> dict[str, float]:
    """A factor on the learning rate for each stage before the head: for ``Recipe(layer_rates=...)``.

    The head has the rate itself, the stage before it ``decay`` times that, the one before ``decay ** 2`` times, and
    so on to the stem. 1 / 2.6 is ULMFiT's; 1: all alike.

    Args:
        model: that is to be trained.
        decay: above 0, at most 1.

    Reference:
        Howard and Ruder 2018, arXiv 1801.06146, section 3.2.

    Example:
        >>> from reswork.models.network import resnet
        >>> rates_by_stage(resnet(depth=8), 0.5)["layer3"], rates_by_stage(resnet(depth=8), 0.5)["conv1"]
        (0.5, 0.0625)
    """
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay <= _EVEN:
        raise InvalidSetting("rate_decay", f"rate_decay={decay!r} must be above 0 and at most 1 (all alike)")
    if decay == _EVEN:
        return {}
    *body, _head = stages(model)
    found: dict[str, float] = {}
    for place, stage in enumerate(reversed(body), start=1):
        found |= {layer: decay**place for layer in stage.layers}
    return found


def joining_in_turn(model: nn.Module, frozen: tuple[str, ...], every: float) -> dict[str, float]:
    """Epochs after which frozen stages join, the last first: for ``Recipe(unfreeze_epochs=...)``.

    Args:
        model: that is to be trained.
        frozen: layers, as `frozen_to` gives them.
        every: epochs between two stages.

    Raises:
        InvalidSetting: where nothing is frozen, or for epochs that are not above 0.

    Reference:
        Howard and Ruder 2018, arXiv 1801.06146, section 3.3: gradual unfreezing.

    Example:
        >>> from reswork.models.network import resnet
        >>> joining_in_turn(resnet(depth=8), ("conv1", "bn1", "layer1"), 2)
        {'layer1': 2, 'conv1': 4, 'bn1': 4}
    """
    if not frozen:
        raise InvalidSetting(
            "unfreeze_every", "unfreeze_every needs something frozen; give frozen_to as well"
        )
    if isinstance(every, bool) or not isinstance(every, int | float) or not 0 < every < float("inf"):
        raise InvalidSetting("unfreeze_every", f"unfreeze_every={every!r} must be a number of epochs above 0")
    found: dict[str, float] = {}
    turn = 0
    for stage in reversed(stages(model)[:-1]):
        own = [name for name in frozen if name.partition(".")[0] in stage.layers]
        if own:
            turn += 1
            found |= {name: turn * every for name in own}
    return found


def planned(
    model: nn.Module,
    recipe: Recipe,
    *,
    last: str | None = None,
    rate_decay: float = 1.0,
    unfreeze_every: float | None = None,
    keep_statistics: bool = False,
) -> Recipe:
    """A recipe with what follows from the stages of a network.

    Args:
        model: that is to be trained.
        recipe: how; what it says about layers itself must not be said once more.
        last: stage or block up to which all is frozen, as `frozen_to` takes it; None: nothing is.
        rate_decay: as `rates_by_stage` takes it.
        unfreeze_every: as `joining_in_turn` takes it; None: what is frozen stays so.
        keep_statistics: whether norms keep the running statistics that they came with.

    Raises:
        InvalidSetting: for a stage that there is not, or a setting that the recipe has already.
    """
    changes: dict[str, Any] = {}
    if last is not None:
        changes["frozen"] = frozen_to(model, last)
    if rates := rates_by_stage(model, rate_decay):
        changes["layer_rates"] = rates
    if unfreeze_every is not None:
        frozen = changes.get("frozen", recipe.frozen)
        changes["unfreeze_epochs"] = joining_in_turn(model, frozen, unfreeze_every)
    _check_once(recipe, changes)
    if keep_statistics:
        changes["norm_statistics"] = "kept"
    return replace(recipe, **changes)


def _check_once(recipe: Recipe, changes: Mapping[str, Any]) -> None:
    said = {"frozen": "frozen_to", "layer_rates": "rate_decay", "unfreeze_epochs": "unfreeze_every"}
    for field in changes:
        if getattr(recipe, field):
            raise InvalidSetting(
                said[field],
                f"{said[field]} says what the recipe's {field} says already ({getattr(recipe, field)!r}); say it once",
            )


def _some_block(model: nn.Module, body: list[Stage]) -> str:
    """A name of a block, for a sentence."""
    return next((name for name in block_names(model) if "." in name), body[-1].name if body else HEAD)
