"""The only place for captum: its gradient methods and its two measures, on a net that is one score.

Every function takes the target as weights of the net's outputs (M, K), which captum hands through to the net
and repeats as it repeats the pictures; so differences of classes need nothing of their own.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from reswork.probes.scalar_model import ScalarModel
from reswork.probes.separate_calls import Elementwise


@cache
def _captum() -> Any:
    """Imported when it is first used: that takes as long as half of torch, and who only trains never needs it."""
    import captum.attr
    import captum.metrics
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear

    SUPPORTED_NON_LINEAR[Elementwise] = nonlinear  # captum's own rescale rule, for a module that only we have
    return captum


def saliency(scalar_model: ScalarModel, images: Tensor, weights: Tensor) -> Tensor:
    """Absolute gradient, (M, C, H, W)."""
    with _silence():
        return _captum().attr.Saliency(scalar_model).attribute(_leaf(images), additional_forward_args=weights)


def input_x_gradient(scalar_model: ScalarModel, images: Tensor, weights: Tensor) -> Tensor:
    """Input times gradient, (M, C, H, W)."""
    with _silence():
        return (
            _captum()
            .attr.InputXGradient(scalar_model)
            .attribute(_leaf(images), additional_forward_args=weights)
        )


def deep_lift(scalar_model: ScalarModel, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    """DeepLift's rescale rule, (M, C, H, W); the net's calls must be separate."""
    with _silence():
        return (
            _captum()
            .attr.DeepLift(scalar_model)
            .attribute(_leaf(images), references, additional_forward_args=weights)
        )


def guided_backprop(scalar_model: ScalarModel, images: Tensor, weights: Tensor) -> Tensor:
    """Gradients without what is negative on the way back, (M, C, H, W); the net's calls must be separate."""
    with _silence():
        return (
            _captum()
            .attr.GuidedBackprop(scalar_model)
            .attribute(_leaf(images), additional_forward_args=weights)
        )


def deconvolution(scalar_model: ScalarModel, images: Tensor, weights: Tensor) -> Tensor:
    """Only positive gradients passed back, (M, C, H, W); the net's calls must be separate."""
    with _silence():
        return (
            _captum()
            .attr.Deconvolution(scalar_model)
            .attribute(_leaf(images), additional_forward_args=weights)
        )


def integrated_gradients(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    steps: int,
    at_once: int,
) -> Tensor:
    """The path integral from the references to the images, (M, C, H, W), never more than `at_once` together."""
    # nodes of the better rule take long to find, and beyond that many the midpoints are as good
    rule = "gausslegendre" if steps <= 128 else "riemann_middle"
    found = (
        _captum()
        .attr.IntegratedGradients(scalar_model)
        .attribute(
            images,
            references,
            additional_forward_args=weights,
            n_steps=steps,
            method=rule,
            internal_batch_size=max(at_once, len(images)),
        )
    )
    return found.to(images.dtype)


@torch.no_grad()
def occlusion(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    patches: tuple[int, int],
    at_once: int,
) -> Tensor:
    """Mean fall of the score over all patches that cover a pixel, (M, 1, H, W); many patches in one pass.

    Args:
        scalar_model: the net.
        images: (M, C, H, W).
        weights: (M, K).
        references: (M, C, H, W), what a patch is covered with.
        patches: side of a patch, and from patch to patch, in pixels; a last patch may reach over the edge.
        at_once: pictures in one pass.
    """
    channels, (window, stride) = images.shape[1], patches
    parts = [
        _captum()
        .attr.Occlusion(scalar_model)
        .attribute(
            image,
            (channels, window, window),
            (channels, stride, stride),
            baselines=reference,
            additional_forward_args=weight,
            perturbations_per_eval=at_once,
        )[:, :1]
        for image, reference, weight in _parts(1, images, references, weights)
    ]
    return torch.cat(parts)


def feature_ablation(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    regions: Tensor,
    at_once: int,
) -> Tensor:
    """Fall of the score when one region is replaced, (M, 1, H, W); regions are int64, (M, H, W)."""
    parts = [
        _captum()
        .attr.FeatureAblation(scalar_model)
        .attribute(
            image,
            reference,
            additional_forward_args=weight,
            feature_mask=region[:, None],
            perturbations_per_eval=at_once,
        )[:, :1]
        for image, reference, weight, region in _parts(1, images, references, weights, regions)
    ]
    return torch.cat(parts)


def unexplained_share(
    scalar_model: ScalarModel,
    image: Tensor,
    weights: Tensor,
    values: Tensor,
    noise: Callable[[Tensor], Tensor],
    samples: int,
) -> float:
    """Infidelity as a share: of the score's changes under noise, how much the map does not explain; 0 to 1.

    Args:
        scalar_model: the net.
        image: (1, C, H, W).
        weights: (1, K).
        values: (1, C, H, W) the map; scaled freely, so that maps of any unit compare.
        noise: what is taken away from the pictures that it gets, (n, C, H, W).
        samples: pictures with noise.

    Reference:
        Yeh 2019, arXiv:1901.09392.
    """
    changes: list[Tensor] = []

    def perturbed(images: Tensor) -> tuple[Tensor, Tensor]:
        taken = noise(images)
        with torch.no_grad():
            base = scalar_model(images[:1], weights)
            changes.append(base - scalar_model(images - taken, weights.expand(len(images), -1)))
        return taken, images - taken

    with torch.no_grad():
        missed = _captum().metrics.infidelity(
            scalar_model,
            perturbed,
            image,
            values,
            additional_forward_args=weights,
            n_perturb_samples=samples,
            max_examples_per_batch=min(32, samples),
            normalize=True,
        )
    total = float(torch.cat(changes).pow(2).mean())
    return float(missed[0]) / total if total > 0 else float("nan")


def largest_change(
    explain: Callable[[Tensor], Tensor], image: Tensor, noise: Callable[[Tensor], Tensor], samples: int
) -> float:
    """Sensitivity: the map's largest change under noise that nobody sees, in lengths of the map itself.

    Args:
        explain: pictures (n, C, H, W) to maps (n, ...).
        image: (1, C, H, W).
        noise: what is added to pictures.
        samples: pictures with noise.

    Reference:
        Yeh 2019, arXiv:1901.09392.
    """

    def explained(images: Tensor | tuple[Tensor, ...]) -> tuple[Tensor]:
        with torch.enable_grad():
            maps = explain(images[0] if isinstance(images, tuple) else images)
        return (maps.detach().contiguous(),)  # captum views them, and a channels_last net's are not

    return float(
        _captum().metrics.sensitivity_max(
            explained, image, lambda images: images + noise(images), n_perturb_samples=samples
        )[0]
    )


def _leaf(images: Tensor) -> Tensor:
    return images.detach().clone().requires_grad_()


def _parts(at_once: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(at_once) for tensor in tensors), strict=True)


@contextmanager
def _silence() -> Iterator[None]:
    """Captum announces its hooks each time; they are on a private copy and nobody needs to know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
