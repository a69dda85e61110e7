"""Attributions of the predicted class, of the other one and of their difference, and how far to trust them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from reswork.causes.case import Case
from reswork.probes.attribution import attribution
from reswork.probes.attribution_methods import Name
from reswork.probes.options import Options
from reswork.probes.reliability import trust
from reswork.probes.targets import Difference, Target
from reswork.results.attributions import Attribution, Trust

METHODS = ("grad_cam", "integrated_gradients")
_STEPS = 64  # of a path; the trust meter says where they do not do
_SAMPLES, _POINTS = 24, 3  # of the trust meter: half of what it takes alone, as there are six maps


def maps(case: Case, methods: Sequence[str] = METHODS) -> tuple[tuple[Attribution, tuple[Trust, ...]], ...]:
    """What spoke for the predicted class, for the other one, and for the one rather than the other.

    Args:
        case: what is explained.
        methods: names of attribution methods.

    Returns:
        For each method three maps in one `Attribution`, and the trust of each map.
    """
    predicted, other = case.answer.predicted, case.answer.other
    targets: tuple[Target, ...] = (predicted, other, Difference(predicted, other))
    options = Options(steps=_STEPS, normalisation=(case.data.mean, case.data.std))
    found = []
    for method in methods:
        drawn: list[Attribution] = []
        trusted: list[Trust] = []
        for target in targets:
            case.check()
            drawn.append(
                attribution(case.net, case.inputs, method=cast(Name, method), target=target, options=options)
            )
            case.check()
            trusted += trust(
                case.net, case.inputs, method=cast(Name, method), target=target, options=options,
                samples=_SAMPLES, points=_POINTS,
            )  # fmt: skip
        found.append((_joined(drawn), tuple(trusted)))
    return tuple(found)


def _joined(found: Sequence[Attribution]) -> Attribution:
    """Maps of one image by one method for several targets as one result."""
    return replace(
        found[0],
        values=np.concatenate([each.values for each in found]),
        images=np.concatenate([each.images for each in found]),
        targets=tuple(target for each in found for target in each.targets),
        scores=np.concatenate([each.scores for each in found]),
        reference_scores=np.concatenate([each.reference_scores for each in found]),
        notes=tuple(dict.fromkeys(note for each in found for note in each.notes)),
        seconds=sum(each.seconds for each in found),
    )
