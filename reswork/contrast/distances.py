"""How far two networks are apart, block by block: in their weights, and in what they make of images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from reswork.probes.capture import watched
from reswork.probes.inputs import batches
from reswork.probes.layer_lookup import block_names, find_layers, unwrapped
from reswork.results.contrast import Distances, FeaturePairs, Parting

APART = 0.1  # of the features' norm
_BATCH = 100


def parts(model: nn.Module) -> tuple[str, ...]:
    """Names of the blocks and of the weighted layers outside of them, from input to output as they are listed."""
    blocks = block_names(model)
    found = []
    for name, module in unwrapped(model).named_modules():
        if name in blocks or (
            next(module.parameters(recurse=False), None) is not None
            and not name.startswith(tuple(f"{block}." for block in blocks))
        ):
            found.append(name)
    return tuple(found)


def weight_distances(first: nn.Module, second: nn.Module) -> Distances:
    """For each block that both have, the norm of the weights' difference over the norm of the first's weights.

    Read from it where a network moved: after fine-tuning mostly its end; between two seeds everything is about 1.4
    apart (independent directions), which says nothing about what they compute.

    Args:
        first: any network.
        second: any other; blocks are compared that have the same name and shapes.
    """
    names, values, missing = [], [], []
    theirs = set(parts(second))
    with torch.no_grad():
        for name in parts(first):
            if name not in theirs:
                missing.append(f"{name!r} is in the first network alone")
                continue
            one, two = (_weights(each, name) for each in (first, second))
            if [value.shape for value in one] != [value.shape for value in two]:
                missing.append(f"{name!r} has weights of other shapes in the second network")
                continue
            apart = sum(float((a - b).square().sum()) for a, b in zip(one, two, strict=True))
            whole = sum(float(a.square().sum()) for a in one)
            names.append(name)
            values.append(_relative(apart, whole))
    missing += [
        f"{name!r} is in the second network alone" for name in parts(second) if name not in parts(first)
    ]
    return Distances("weights", tuple(names), np.array(values), tuple(missing))


def feature_distances(first: nn.Module, second: nn.Module, images: Tensor) -> Distances:
    """For each block that both have, the norm of the difference of its outputs over the norm of the first's.

    Args:
        first: any network.
        second: any other that takes the same images; blocks are compared that have the same name and shape of output.
        images: (N, C, H, W), normalised.
    """
    ours, theirs = block_names(first), block_names(second)
    shared = [name for name in ours if name in theirs]
    missing = [f"{name!r} is in one network alone" for name in (*ours, *theirs) if name not in shared]
    apart, whole = np.zeros(len(shared)), np.zeros(len(shared))
    other: list[str] = []
    with watched(first, shared) as seen, watched(second, shared) as beside:
        for batch in batches(images, _BATCH):
            seen(batch)
            beside(batch)
            for row, name in enumerate(shared):
                one, two = seen[name].double(), beside[name].to(seen[name].device).double()
                if one.shape != two.shape:
                    other.append(name)
                    continue
                apart[row] += float((one - two).square().sum())
                whole[row] += float(one.square().sum())
    missing += [f"{name!r} gives another shape in the second network" for name in dict.fromkeys(other)]
    rows = [row for row, name in enumerate(shared) if name not in other]
    values = np.array([_relative(apart[row], whole[row]) for row in rows])
    return Distances("features", tuple(shared[row] for row in rows), values, tuple(missing))


def parting(
    first: nn.Module,
    second: nn.Module,
    image: Tensor,
    *,
    number: int = 0,
    classes: Sequence[str] = (),
    limit: float = APART,
) -> Parting:
    """The first block at which two networks make something else of one image.

    Args:
        first: any network.
        second: any other with blocks of the same names.
        image: (1, C, H, W), normalised.
        number: of the image, which the result names.
        classes: names of classes.
        limit: from which distance on they are apart, a fraction of the features' norm.
    """
    distances = feature_distances(first, second, image)
    beyond = np.flatnonzero(distances.values > limit)
    said = []
    for each in (first, second):
        with watched(each, []) as seen:
            output = seen(image)
        if output.dim() != 2:
            said.append("a mask")
            continue
        answer = int(output.argmax(1)[0])
        said.append(classes[answer] if answer < len(classes) else str(answer))
    block = distances.names[int(beyond[0])] if len(beyond) else None
    return Parting(number, distances, limit, block, *said)


def feature_pairs(
    first: nn.Module,
    second: nn.Module,
    image: Tensor,
    number: int,
    layers: Sequence[str],
    channels: int,
    names: tuple[str, str],
) -> FeaturePairs:
    """The channels of some layers that differ most between two networks on one image.

    Args:
        first: any network.
        second: any other.
        image: (1, C, H, W), normalised.
        number: of the image, which the result names.
        layers: of the first; those that the second has not, or whose outputs have no positions, are left out.
        channels: so many of each layer.
        names: what the two are called.
    """
    theirs = set(block_names(second))
    wanted = [name for name in layers if name in theirs]
    shown, chosen, maps, apart = [], [], [], []
    with watched(first, wanted) as seen, watched(second, wanted) as beside:
        seen(image)
        beside(image)
        for name in wanted:
            one, two = seen[name].float().cpu(), beside[name].float().cpu()
            if one.shape != two.shape or one.dim() != 4:
                continue
            moved = (one - two)[0].flatten(1).norm(dim=1)  # (C,)
            order = moved.argsort(descending=True, stable=True)[:channels]
            shown.append(name)
            chosen.append(tuple(order.tolist()))
            maps.append((one[0, order].numpy(), two[0, order].numpy()))
            apart.append(_relative(float((one - two).square().sum()), float(one.square().sum())))
    return FeaturePairs(number, names, tuple(shown), tuple(chosen), tuple(maps), tuple(apart))


def _weights(model: nn.Module, name: str) -> list[Tensor]:
    layer = find_layers(model, [name])[name]
    return [weight.detach().double().cpu() for weight in layer.parameters()]


def _relative(apart: float, whole: float) -> float:
    """Roots of two sums of squares, one over the other."""
    if whole == 0:
        return 0.0 if apart == 0 else float("inf")
    return float(np.sqrt(apart / whole))
