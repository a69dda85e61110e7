"""What `attribution` and `trust` are asked for, and what that becomes for a net and its pictures."""

from dataclasses import dataclass

from torch import Tensor

from reswork.probes.attribution_methods import Method
from reswork.probes.baselines import Baseline, references
from reswork.probes.explainer import Explainer, explainer
from reswork.probes.options import Options
from reswork.probes.scalar_model import ScalarModel
from reswork.probes.targets import Question, Target, question


@dataclass(frozen=True, eq=False)
class Settings:
    """The arguments that both share; `attribution` says what each means."""

    method: Method
    target: Target
    layer: str | None
    baseline: Baseline
    smooth: int
    options: Options


@dataclass(frozen=True, eq=False)
class AttributionRequest:
    """For each map a picture, a target and a picture to compare with."""

    asked: Question
    images: Tensor  # (M, C, H, W)
    references: Tensor  # (M, C, H, W)
    scores: Tensor  # (M,)
    explain: Explainer
    notes: tuple[str, ...]  # about the references


def request_for(
    settings: Settings, scalar_model: ScalarModel, images: Tensor, logits: Tensor
) -> AttributionRequest:
    """What is to be done for these pictures (N, C, H, W) and the net's answers to them (N, K).

    Raises:
        InvalidSetting: for what does not fit them.
    """
    asked = question(settings.target, logits)
    rows = asked.rows.to(images.device)
    stand_ins, notes = references(images, settings.baseline, settings.options)
    explain = explainer(
        settings.method,
        scalar_model,
        images,
        layer=settings.layer,
        options=settings.options,
        smooth=settings.smooth,
    )
    scores = (logits[rows] * asked.weights).sum(1)
    return AttributionRequest(asked, images[rows], stand_ins[rows], scores, explain, notes)
