"""Whole blocks taken out of a residual network: what each is worth, and the shallower network without some."""

import copy
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.contrast.answers import as_inputs
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.models.config import ResNetConfig
from reswork.models.layout import names_of
from reswork.models.network import ResNet
from reswork.models.plan import LAST_ACTIVATION, block_plans
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.outline import as_built
from reswork.probes.private_copy import private_copy
from reswork.reporting.answers import model_of, outputs
from reswork.results.smaller import BlockWorth
from reswork.surgery import Delete, operated
from reswork.tasks import task_for

_BLOCK = re.compile(r"(layer\d+\.\d+)(?=\.)")
_SAME = 1e-4  # of the largest output


def block_worth(model: Any, data: Dataset, *, images: int = 500, most: int | None = None) -> BlockWorth:
    """What each block of a residual network is worth: how good it is without, and without one after the other.

    Branches are deleted and shortcuts stay; nothing is trained in between. First each block alone, then, beginning
    with the one that is missed least, always the next that the network without the former ones misses least.

    Args:
        model: a network with residual blocks, a run or an opened checkpoint; it stays as it is.
        data: whose training images judge, so that the test images can judge what is made of it.
        images: how many, spread over the training split.
        most: how many are taken out one after the other; None: all but one.

    Returns:
        The numbers; draw them with ``rw.figures.block_worth`` and ``rw.figures.deletions``.

    Raises:
        InvalidSetting: no residual blocks.

    Reference:
        Veit et al. 2016, arXiv 1605.06431.
    """
    steps = judge_blocks(model, data, images=images, most=most)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: BlockWorth = end.value
            return found


def judge_blocks(
    model: Any, data: Dataset, *, images: int = 500, most: int | None = None
) -> Generator[str, None, BlockWorth]:
    """As `block_worth`, as a generator that yields what comes next, and can be given up there."""
    network = unwrapped(model_of(model))
    names = [each.name for each in residual_blocks(network) if each.has_shortcut and each.branch is not None]
    if not names:
        raise InvalidSetting(
            "model",
            f"{type(network).__name__} has no residual block whose branch could be missing: prune channels",
        )
    sheet = as_built(network, as_inputs(data, np.array([0])))
    costs = {block.name: block.macs for block in sheet.blocks}
    rows = np.linspace(0, len(data.train) - 1, min(images, len(data.train))).round().astype(np.int64)
    split = data.train.take(torch.as_tensor(np.unique(rows), device=data.train.inputs.device))
    task = task_for(data)

    def without(gone: Sequence[str]) -> float:
        changed, meter = operated(network, [Delete(name) for name in gone]), None
        for output, targets, _ in outputs(changed, data, split):
            meter = task.meter(data, output.device) if meter is None else meter
            meter.update(output, targets)
        assert meter is not None
        return float(meter.compute().metrics[task.metrics[0].name])

    whole, alone = without(()), []
    for name in names:
        yield f"without {name}"
        alone.append(without((name,)))
    order: list[str] = []
    after: list[float] = []
    last = dict(zip(names, alone, strict=True))
    for _ in range(min(len(names) - 1 if most is None else most, len(names))):
        if order:
            for name in last:
                yield f"without {', '.join(order)} and {name}"
                last[name] = without((*order, name))
        best = max(last, key=lambda each: (last[each], costs.get(each, 0)))
        order.append(best)
        after.append(last.pop(best))
    return BlockWorth(
        tuple(names),
        whole,
        np.array(alone),
        tuple(order),
        np.array(after),
        np.array([costs.get(name, 0) for name in names]) / max(1, sheet_macs(sheet)),
        task.metrics[0].label,
        len(split),
    )


def sheet_macs(sheet: Any) -> int:
    """Multiply-adds of one image."""
    return int(sum(layer.macs for layer in sheet.layers))


def delete_blocks(model: Any, names: Sequence[str], *, images: Tensor | None = None) -> nn.Module:
    """A new network without some blocks; what the shortcuts carry goes on past them.

    A block whose shortcut carries its input on as it is leaves nothing behind, so that the network becomes shallower.
    Of one that changes the shape the shortcut stays, which costs nothing or little.

    Args:
        model: a residual network, a run or an opened checkpoint; it stays as it is.
        names: of blocks, such as ``"layer1.1"``.
        images: (N, C, H, W), normalised, for a network that was not built here: to try whether it answers as it does
            with the branches deleted.

    Returns:
        A network of its own in evaluation mode. Of one that was built here the blocks have new numbers, as those of
        any network of its settings.

    Raises:
        InvalidSetting: for what is no residual block, or one that leaves no shape behind that fits.

    Example:
        >>> from reswork.models.network import resnet
        >>> net = delete_blocks(resnet(depth=20), ["layer1.1", "layer3.2"])
        >>> net.config.stage_blocks, net.config.label
        ((2, 3, 2), 'ResNet-16')
    """
    found = unwrapped(model_of(model))
    known = {each.name: each for each in residual_blocks(found)}
    for name in names:
        if name not in known or not known[name].has_shortcut:
            there = [each for each in known if known[each].has_shortcut]
            told = f"choose from {there[0]} to {there[-1]}" if there else "this network has none"
            raise InvalidSetting("names", f"{name!r} is no residual block with a shortcut; {told}")
    if type(found) is ResNet:
        return _shallower(found, tuple(dict.fromkeys(names)))
    return _passed_by(found, names, images)


def _shallower(model: ResNet, names: tuple[str, ...]) -> ResNet:
    config = model.config.resolved()
    plans = block_plans(config)
    if any(name.startswith("decoder.") for name in names):
        raise InvalidSetting(
            "names", "blocks of a decoder bring the size back and stay; choose blocks of the stages"
        )
    assert config.stage_blocks is not None
    gone = set(names)
    free = {
        plan.name
        for plan in plans
        if plan.shortcut == "identity"
        and all(layer.startswith("relu") for layer in plan.after)  # of what a ReLU gave: nothing happens
        and not (plan.name == "layer1.0" and config.order in LAST_ACTIVATION)  # its activation is the stem's
    }
    for stage in range(1, len(config.stage_blocks) + 1):  # one block of a stage stays, if only its shortcut
        inside = [plan.name for plan in plans if plan.stage == stage]
        if set(inside) <= gone & free:
            free.discard(inside[0])
    stays = [plan for plan in plans if plan.name not in gone & free]
    counts = tuple(
        sum(plan.stage == stage for plan in stays) for stage in range(1, len(config.stage_blocks) + 1)
    )
    old = [plan.name for plan in stays]
    new = [f"layer{stage}.{index}" for stage, count in enumerate(counts, start=1) for index in range(count)]
    renamed = dict(zip(old, new, strict=True))
    inner = config.inner_channels
    wanted = replace(
        config,
        depth=None,
        stage_blocks=counts,
        inner_channels=None if inner is None else tuple(inner[[p.name for p in plans].index(n)] for n in old),
        shortcuts_off=_renamed(config.shortcuts_off, renamed),
        branches_off=_renamed((*config.branches_off, *(name for name in names if name not in free)), renamed),
    )
    made = ResNet(wanted)
    there = made.state_dict()
    state = {}
    for name, value in model.state_dict().items():
        block = _BLOCK.match(name)
        if block is not None:
            if block.group(1) not in renamed:
                continue
            name = renamed[block.group(1)] + name[block.end() :]
        if name in there:
            state[name] = value
    made.load_state_dict(state)
    return made.eval()


def _renamed(names: Sequence[str], renamed: Mapping[str, str]) -> tuple[str, ...]:
    kept = (renamed.get(name, name if name.startswith("decoder.") else None) for name in names)
    return tuple(name for name in dict.fromkeys(kept) if name is not None)


def _passed_by(model: nn.Module, names: Sequence[str], images: Tensor | None) -> nn.Module:
    """Somebody's own network with nothing in the place of its blocks, if that is the same as no branch."""
    if images is None:
        raise InvalidSetting(
            "images",
            f"a {type(model).__name__} was not built here, so that it has to be tried: give images=, or data=",
        )
    made = copy.deepcopy(private_copy(model)[0]).requires_grad_(True).eval()
    for name in names:
        parent, _, own = name.rpartition(".")
        made.get_submodule(parent)._modules[own] = nn.Identity()
    with torch.no_grad():
        wanted = operated(model, [Delete(name) for name in names])(images[:2])
        try:
            found = made(images[:2])
            same = bool((found - wanted).abs().max() <= _SAME * max(1.0, float(wanted.abs().max())))
        except (RuntimeError, TypeError):
            same = False
    if not same:
        raise InvalidSetting(
            "names",
            f"{', '.join(names)} of this {type(model).__name__} cannot be left out: one of them changes the shape, or "
            "does something behind its addition; choose blocks inside of a stage",
        )
    return made


def names_in(config: ResNetConfig) -> tuple[str, ...]:
    """Blocks of the stages."""
    return tuple(name for name in names_of(config) if not name.startswith("decoder."))
