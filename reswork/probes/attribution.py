"""Attribution: which parts of a picture spoke for the answer, by fourteen methods."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.attribution_methods import METHODS, Method, MethodSpec, Name, class_activation
from reswork.probes.attribution_request import AttributionRequest, Settings, request_for
from reswork.probes.baselines import Baseline
from reswork.probes.explainer import check_method
from reswork.probes.inputs import numbers
from reswork.probes.isolation import OwnRandomness
from reswork.probes.layer_signals import signals
from reswork.probes.options import Options
from reswork.probes.private_copy import private_copy
from reswork.probes.sampling import noisy_baselines
from reswork.probes.scalar_model import (
    Output,
    ScalarModel,
    answer_beside,
    checked_images,
    first_answer,
    mixed,
)
from reswork.probes.targets import Question, Target, Top, question
from reswork.results.attributions import COARSE, Attribution

_GAP = 0.05  # of the change of the score, from which on it is told
EIGHT = cast(tuple[Name, ...], tuple(name for name, spec in METHODS.items() if spec.by_default))


def attribution(
    model: nn.Module,
    images: Tensor,
    *,
    method: Method = "grad_cam",
    target: Target = "predicted",
    layer: str | None = None,
    baseline: Baseline = "black",
    smooth: int = 0,
    output: Output = None,
    options: Options | None = None,
) -> Attribution:
    """Maps of what spoke for an answer, and against it.

    Works on a private copy of the model in evaluation mode: nothing about the given one changes, also when
    this raises. Of a model that is being trained give a snapshot.

    Args:
        model: any module that takes (N, C, H, W).
        images: (N, C, H, W) float, prepared as for the training; or one image (C, H, W).
        method: its name, or a `MethodSpec` of your own; `METHODS` has a few sentences about each.
        target: a class, a class for each image, ``"predicted"``, ``Top(3)`` (three maps for each image) or
            ``Difference(3, 5)`` (why 3 rather than 5).
        layer: for ``grad_cam``, ``layer_cam`` and ``guided_grad_cam`` the dotted name of a layer; None: the
            last one whose output is larger than one cell.
        baseline: what stands for nothing: ``"black"``, ``"mean"``, ``"blur"``, ``"noise"`` or a picture.
        smooth: SmoothGrad over the method: the mean over so many noisy copies; 0: none.
        output: which part of a dict or tuple holds the answers, or a function that makes (N, K) out of it.
        options: settings of single methods.

    Returns:
        As many maps as images, or more for ``Top``.

    Raises:
        InvalidSetting: for what does not fit, with what would.

    Example:
        >>> import torch, reswork as rw
        >>> images = torch.rand(2, 3, 32, 32)
        >>> found = attribution(rw.resnet(depth=20), images, method="grad_cam", target=3)
        >>> found.layer, found.values.shape, found.maps.shape
        ('layer3', (2, 1, 8, 8), (2, 32, 32))
    """
    check_method(method, layer, smooth)
    (found,) = attributions(
        model, images, methods=(method,), target=target, layer=layer, baseline=baseline, smooth=smooth,
        output=output, options=options,
    )  # fmt: skip
    return found


def attributions(
    model: nn.Module,
    images: Tensor,
    *,
    methods: Sequence[Method] = EIGHT,
    target: Target = "predicted",
    layer: str | None = None,
    baseline: Baseline = "black",
    smooth: int = 0,
    output: Output = None,
    options: Options | None = None,
) -> Iterator[Attribution]:
    """Several methods for the same images, each as soon as it is done, quick ones first by default.

    Args:
        model: as in `attribution`, like all else.
        images: (N, C, H, W).
        methods: their names, in the wanted order.
        target: what to explain.
        layer: for those methods that look at one.
        baseline: what stands for nothing.
        smooth: noisy copies.
        output: which of several outputs.
        options: settings.

    Yields:
        One result for each method.
    """
    specs = [check_method(method, None, smooth) for method in methods]
    options = options or Options()
    for spec in specs:
        begin = time.perf_counter()
        copied, notes = private_copy(model)
        scalar_model = ScalarModel(copied, output)
        taken = checked_images(scalar_model, images)
        notes = (*notes, *separated(scalar_model, taken, one_pass=spec.one_pass))
        own_layer = layer if spec.layer else None
        if spec.of_layer is not None and not smooth and not isinstance(target, Top):
            with OwnRandomness():
                found = _activation(scalar_model, taken, spec, target, own_layer)
        else:
            with OwnRandomness() as randomness:
                logits = scored_answers(scalar_model, taken)
            with randomness.if_drawn():
                settings = Settings(spec, target, own_layer, baseline, smooth, options)
                found = _general(scalar_model, taken, logits, settings)
        all_notes = (*notes, *found.notes, *_coarse(found))
        yield replace(found, notes=all_notes, seconds=time.perf_counter() - begin)


def stage_attributions(
    model: nn.Module,
    images: Tensor,
    *,
    method: Method = "layer_cam",
    target: Target = "predicted",
    layers: Sequence[str] | None = None,
    output: Output = None,
) -> tuple[Attribution, ...]:
    """The same class activation method at several layers, of a single forward and backward.

    Args:
        model: as in `attribution`.
        images: (N, C, H, W).
        method: ``grad_cam`` or ``layer_cam``.
        target: what to explain.
        layers: their names; None: the last layer at each size of the signal, which are a ResNet's stages.
        output: which of several outputs.

    Returns:
        One result for each layer, in order of computation.

    Raises:
        InvalidSetting: for what does not fit, with what would.
    """
    spec = check_method(method, "", 0)
    if spec.of_layer is None:
        raise InvalidSetting("method", f"method={spec.name!r}: layers are compared by grad_cam or layer_cam")
    begin = time.perf_counter()
    copied, notes = private_copy(model)
    scalar_model = ScalarModel(copied, output)
    taken = checked_images(scalar_model, images)
    notes = (*notes, *separated(scalar_model, taken, one_pass=True))
    with OwnRandomness():
        if isinstance(target, Top):
            asked = question(target, scored_answers(scalar_model, taken))
            taken, target = taken[asked.rows], [int(name) for name in asked.names]
        else:
            asked = None
        kept = signals(scalar_model, taken, layers)
        weighed = question(target, kept.logits.detach())
        names = tuple(kept.outputs)
        gradients = kept.gradient(names, weighed.weights)
    if asked is not None:
        weighed = replace(weighed, rows=asked.rows)
    seconds = (time.perf_counter() - begin) / len(names)
    found = []
    for name, gradient in zip(names, gradients, strict=True):
        maps = spec.of_layer(kept.outputs[name], gradient).detach()
        scores = (kept.logits.detach() * weighed.weights).sum(1)
        one = _result(spec, maps, taken, weighed, scores, layer=name, notes=_called(name, kept.calls[name]))
        found.append(replace(one, notes=(*notes, *one.notes, *_coarse(one)), seconds=seconds))
    return tuple(found)


def _activation(
    scalar_model: ScalarModel, images: Tensor, spec: MethodSpec, target: Target, layer: str | None
) -> Attribution:
    """Class activation needs no forward beforehand: the target is taken from the one that it makes."""
    assert spec.of_layer is not None
    asked: list[Question] = []

    def weigh(logits: Tensor) -> Tensor:
        asked.append(question(target, logits))
        return asked[-1].weights

    maps, name, logits, calls = class_activation(scalar_model, images, spec.of_layer, layer, weigh)
    scores = (logits * asked[0].weights).sum(1)
    return _result(spec, maps, images, asked[0], scores, layer=name, notes=_called(name, calls))


def _general(scalar_model: ScalarModel, images: Tensor, logits: Tensor, settings: Settings) -> Attribution:
    request = request_for(settings, scalar_model, images, logits)
    asked, explain = request.asked, request.explain
    spec = explain.method
    if spec.layer and explain.layer is None:
        explain = replace(explain, layer=list(signals(scalar_model, images[:1], None).outputs)[-1])
    values = explain.values(request.images, asked.weights, request.references)
    found = _result(spec, values, images, asked, request.scores, layer=explain.layer, notes=explain.notes())
    if spec.complete and not settings.smooth:
        found = replace(found, reference_scores=numbers(_without(scalar_model, request)))
        if spec.apart is not None:
            found = replace(found, notes=(*found.notes, *_unexplained(found)))
    if spec.baseline:
        name = settings.baseline if isinstance(settings.baseline, str) else "a given picture"
        found = replace(found, baseline=name, notes=(*found.notes, *request.notes))
    return replace(found, smooth=settings.smooth)


def separated(scalar_model: ScalarModel, images: Tensor, *, one_pass: bool) -> tuple[str, ...]:
    """Let the net see one picture at a time where others change its answer; a sentence about that."""
    if one_pass and len(images) == 1:
        return ()
    answers = []
    for index in (0, 1):
        with OwnRandomness():  # the same numbers for both
            answers.append(answer_beside(scalar_model, images[:1], index))
    if not mixed(*answers):
        return ()
    scalar_model.alone = True
    return (
        "The answer to a picture depends on the others given with it (norms without statistics compute them from the "
        "batch): each was put through the net alone, one at a time.",
    )


@torch.no_grad()
def scored_answers(scalar_model: ScalarModel, images: Tensor) -> Tensor:
    """Logits (N, K), of as many images as there are."""
    return torch.cat([first_answer(scalar_model, part) for part in images.split(64)])


def _without(scalar_model: ScalarModel, request: AttributionRequest) -> Tensor:
    """Scores of the baseline pictures, (M,); some methods have many for each."""
    if not request.explain.method.noisy_baseline:
        return (scored_answers(scalar_model, request.references) * request.asked.weights).sum(1)
    pairs = zip(request.images, request.references, strict=True)
    each = (noisy_baselines(*pair, request.explain.options) for pair in pairs)
    means = torch.stack([scored_answers(scalar_model, baselines).mean(0) for baselines in each])
    return (means * request.asked.weights).sum(1)


def _result(
    spec: MethodSpec,
    values: Tensor,
    images: Tensor,
    asked: Question,
    scores: Tensor,
    *,
    layer: str | None,
    notes: tuple[str, ...],
) -> Attribution:
    return Attribution(
        method=spec.name,
        label=spec.label,
        values=numbers(values),
        size=(images.shape[2], images.shape[3]),
        images=asked.rows.cpu().numpy(),
        targets=asked.names,
        scores=numbers(scores),
        reference_scores=np.full(len(scores), np.nan, np.float32),
        layer=layer,
        notes=notes,
    )


def _unexplained(found: Attribution) -> tuple[str, ...]:
    """A sentence where the rules lose a part of the score: some calls cannot be seen, such as autograd functions."""
    gap = float(np.nan_to_num(found.gaps, nan=0.0).max(initial=0.0))
    if gap <= _GAP:
        return ()
    end = (
        "" if any("no rule" in note for note in found.notes) else ": it has no rule for something in this net"
    )
    return (f"The map's sum misses the change of the score by {gap:.0%}{end}; compare integrated_gradients.",)


def _called(layer: str, calls: int) -> tuple[str, ...]:
    if calls < 2:
        return ()
    return (f"{layer} is called {calls} times in one forward; the map is of the last call.",)


def _coarse(found: Attribution) -> tuple[str, ...]:
    height, width = found.values.shape[2:]
    if min(height, width) >= COARSE or found.layer is None:
        return ()
    return (
        f"{found.layer} has only {height}x{width} cells: the map cannot say where in the picture. Choose an "
        "earlier layer, or larger pictures.",
    )
