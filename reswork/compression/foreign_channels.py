"""Channels of networks that were not built here, pruned by torch-pruning."""

import copy
import warnings

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.inputs import first_tensor
from reswork.probes.private_copy import private_copy
from reswork.shipping.engines import first_line, require

_STEP = 4


def prune_foreign(model: nn.Module, share: float, images: Tensor | None) -> nn.Module:
    """A copy with fewer channels everywhere, tied ones together; the layers that give the answer keep theirs.

    Args:
        model: any network that can be followed from its input to its output.
        share: of the channels that go.
        images: (N, C, H, W), normalised.

    Raises:
        InvalidSetting: no images, no package, or a network that it cannot follow.
    """
    if images is None:
        raise InvalidSetting(
            "images",
            f"a {type(model).__name__} was not built here, so that it has to be followed: give images=, or data=",
        )
    require("share", "torch_pruning")
    import torch_pruning

    net = copy.deepcopy(private_copy(model)[0]).requires_grad_(True)
    with torch.no_grad():
        before = first_tensor(net(images[:1]))
    if before is None or before.dim() < 2:
        raise InvalidSetting(
            "model", f"{type(model).__name__} returns no tensor (N, K), so that it cannot be pruned"
        )
    last = [
        layer
        for layer in net.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and len(layer.weight) == before.shape[1]
    ][-1:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch_pruning.MagnitudePruner(
                net, images[:1], torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=share,
                ignored_layers=last, round_to=_STEP,
            ).step()  # fmt: skip
            with torch.no_grad():
                after = first_tensor(net.eval()(images[:1]))
    except Exception as error:  # whatever it comes up with
        raise InvalidSetting(
            "model", f"the channels of this {type(model).__name__} cannot be followed: {first_line(error)}"
        ) from error
    if after is None or after.shape != before.shape:
        raise InvalidSetting(
            "model",
            f"pruned, this {type(model).__name__} would answer in another shape; prune its blocks by hand",
        )
    return net
