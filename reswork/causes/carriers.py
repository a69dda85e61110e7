"""Which blocks, shortcuts and channels carry an answer: each is taken out, and the margin looked at again."""

import numpy as np
import torch

from reswork.causes.case import Case
from reswork.causes.removal import Part, Removal
from reswork.errors import InvalidSetting
from reswork.probes.inputs import numbers
from reswork.probes.layer_signals import signals
from reswork.results.causes import Carriers

MOST_CHANNELS = 128  # that are set to their means one by one
_JUDGED = 3  # channels, the strongest, whose effect on other images is looked at


def carriers(case: Case) -> Carriers:
    """The change of the margin without each block, each shortcut, and each of the channels that matter most.

    A part may be taken out and the mistake be gone because the network answers nothing any more. So other images, which
    are answered rightly, are asked without it as well: a part that carries this mistake can go, and they stay right.

    Args:
        case: what is explained.

    Returns:
        Blocks, shortcuts and channels, each with the margin's change and what is named without it. Of many channels
        those are taken out for which slope times distance from the mean says most.

    Reference:
        Veit et al. 2016, arXiv 1605.06431, for deleted blocks; Morcos et al. 2018, arXiv 1803.06959, for channels.
    """
    removal, answer = Removal(case), case.answer
    parts = [Part("block", name) for name in removal.blocks]
    parts += [Part("shortcut", name) for name in removal.shortcuts]
    channels, in_all = _channels(case)
    parts += channels
    one = torch.as_tensor(case.image[None])
    logits = removal.answers(one, [[part] for part in parts]) if parts else np.zeros((0, len(case.logits)))
    change = logits[:, answer.other] - logits[:, answer.predicted] - np.float32(answer.margin)
    strongest = sorted(
        (row for row, part in enumerate(parts) if part.kind == "channel"), key=lambda row: -change[row]
    )[:_JUDGED]
    judged = [row for row, part in enumerate(parts) if part.kind != "channel"] + strongest
    kept, (images, labels) = np.full(len(parts), np.nan), case.controls
    for row in judged if len(images) else ():
        said = removal.answers(images, [[parts[row]]] * len(images)).argmax(axis=1)
        kept[row] = (said == labels).mean()
    return Carriers(
        tuple(part.kind for part in parts),
        tuple(part.name for part in parts),
        np.array([part.channel for part in parts], np.int64),
        change.astype(np.float32),
        logits.argmax(axis=1),
        kept,
        answer.margin,
        answer.predicted,
        answer.other,
        tuple(name for name in case.blocks if name not in removal.blocks),
        len(images),
        in_all,
    )


def _channels(case: Case) -> tuple[list[Part], int]:
    """Channels of the stages' outputs with their means, at most so many, and how many there are."""
    if not case.stages:
        return [], 0
    weights = torch.zeros(1, len(case.logits), device=case.device, dtype=case.inputs.dtype)
    weights[0, case.answer.other] += 1
    weights[0, case.answer.predicted] -= 1
    try:
        with case.quiet():
            kept = signals(case.scalar, case.inputs, case.stages)
            gradients = kept.gradient(case.stages, weights)
    except InvalidSetting:  # its outputs are no maps, or there is no slope towards them
        return [], 0
    found, slopes = [], []
    for name, gradient in zip(case.stages, gradients, strict=True):
        means = case.sample[0][name].mean(axis=0)
        slope, value = numbers(gradient[0]), numbers(kept.outputs[name][0])  # (C, h, w)
        slopes.append(np.abs((slope * (means[:, None, None] - value)).sum(axis=(1, 2))))
        found += [Part("channel", name, channel, float(mean)) for channel, mean in enumerate(means)]
    order = np.argsort(-np.concatenate(slopes), kind="stable")[:MOST_CHANNELS]
    return [found[row] for row in np.sort(order)], len(found)
