"""One method ready to be asked: pictures, targets and references in, values out, as often as wanted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.probes import captum_methods
from reswork.probes.batch_limit import images_at_once
from reswork.probes.layer_signals import grad_cam, layer_cam, signals
from reswork.probes.occlusion import occluded
from reswork.probes.options import Options
from reswork.probes.sampling import completed_gradients, expected_gradients, smoothed
from reswork.probes.scalar_model import ScalarModel
from reswork.probes.separate_calls import SeparateCalls
from reswork.probes.superpixels import lime_values, shapley_values, superpixels
from reswork.results import METHODS

Method = Literal[
    "saliency", "input_x_gradient", "integrated_gradients", "gradient_shap", "deep_lift", "guided_backprop",
    "guided_grad_cam", "deconvolution", "grad_cam", "layer_cam", "occlusion", "feature_ablation", "kernel_shap", "lime",
]  # fmt: skip

CLASS_ACTIVATION = {"grad_cam": grad_cam, "layer_cam": layer_cam}
LAYERED = (*CLASS_ACTIVATION, "guided_grad_cam")
COMPLETE = ("integrated_gradients", "gradient_shap", "deep_lift", "kernel_shap")  # promise a sum
REFERRING = (*COMPLETE, "occlusion", "feature_ablation", "lime")  # compare with a baseline
_SINGLE = ("saliency", "input_x_gradient", "guided_backprop", "deconvolution", *LAYERED)  # a picture, a pass
_SEPARATE = {"deep_lift": True, "guided_backprop": False, "guided_grad_cam": False, "deconvolution": False}


@dataclass(frozen=True, eq=False)
class Explainer:
    """A method with its net and its settings.

    Args:
        method: one of `METHODS`.
        scalar_model: the private copy.
        apart: the same with a module for each activation's call, for methods that need that.
        layer: for methods that look at a layer; None: the last one with a map.
        options: settings.
        smooth: noisy copies to take the mean of; 0: none.
        at_once: pictures that may go through the net together.
    """

    method: str
    scalar_model: ScalarModel
    apart: ScalarModel
    layer: str | None
    options: Options
    smooth: int
    at_once: int

    def values(self, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
        """Values (M, C, h, w) for images (M, C, H, W), targets (M, K) and references like the images."""
        if self.smooth:
            return smoothed(
                self._plain, images, weights, references, samples=self.smooth, options=self.options
            )
        return self._plain(images, weights, references)

    def on(self, net: nn.Module, example: Tensor) -> "Explainer":
        """The same for another private net, such as one with shuffled weights."""
        scalar_model, apart = _scores(self.method, net, self.scalar_model.output, example)
        return replace(self, scalar_model=scalar_model, apart=apart)

    def notes(self) -> tuple[str, ...]:
        """Sentences about what the method meets in this net."""
        separated = self.apart.net
        if not isinstance(separated, SeparateCalls):
            return ()
        if self.method != "deep_lift" and not len(separated.calls):
            return ("This net calls no ReLU, so there is nothing to guide: the map is the plain gradient's.",)
        return separated.notes() if self.method == "deep_lift" else ()

    def _plain(self, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
        parts = zip(*(tensor.split(self.at_once) for tensor in (images, weights, references)), strict=True)
        return torch.cat([_METHODS[self.method](self, *part).detach() for part in parts])


def explainer(
    method: str,
    scalar_model: ScalarModel,
    images: Tensor,
    *,
    layer: str | None,
    options: Options,
    smooth: int,
) -> Explainer:
    """An explainer for images (N, C, H, W).

    Raises:
        InvalidSetting: for a method that there is not, or a layer where the method has none.
    """
    check_method(method, layer, smooth)
    separate, apart = _scores(method, scalar_model.net, scalar_model.output, images[:1])
    few = method in _SINGLE and len(images) <= 4
    at_once = len(images) if few else images_at_once(scalar_model, images[:1])
    return Explainer(method, separate, apart, layer, options, smooth, at_once)


def check_method(method: str, layer: str | None, smooth: int) -> None:
    """Whether these go together.

    Raises:
        InvalidSetting: where they do not.
    """
    if method not in METHODS:
        raise InvalidSetting("method", f"method={method!r}: choose one of {', '.join(METHODS)}")
    if layer is not None and method not in LAYERED:
        raise InvalidSetting(
            "layer",
            f"layer={layer!r}: {method} looks at the pixels; leave it out, or choose {', '.join(LAYERED)}",
        )
    if not 0 <= smooth <= 10_000:
        raise InvalidSetting("smooth", f"smooth={smooth} noisy copies: choose 0 (none) to 10,000")


def class_activation(
    scalar_model: ScalarModel,
    images: Tensor,
    method: str,
    layer: str | None,
    weigh: Callable[[Tensor], Tensor],
) -> tuple[Tensor, str, Tensor, int]:
    """Maps (N, 1, h, w), the layer, the logits, and how often the layer was called; one forward.

    Args:
        scalar_model: the net.
        images: (N, C, H, W).
        method: ``grad_cam`` or ``layer_cam``.
        layer: None: the last one with a map.
        weigh: makes the targets (N, K) out of the logits.
    """
    kept = signals(scalar_model, images, None if layer is None else (layer,))
    layer = list(kept.outputs)[-1] if layer is None else layer
    (gradients,) = kept.gradient((layer,), weigh(kept.logits.detach()))
    maps = CLASS_ACTIVATION[method](kept.outputs[layer], gradients)
    return maps.detach(), layer, kept.logits.detach(), kept.calls[layer]


def _scores(method: str, net: nn.Module, output: object, example: Tensor) -> tuple[ScalarModel, ScalarModel]:
    scalar_model = ScalarModel(net, output)  # type: ignore[arg-type]
    if method not in _SEPARATE:
        return scalar_model, scalar_model
    return scalar_model, ScalarModel(SeparateCalls(net, example, pools=_SEPARATE[method]), output)  # type: ignore[arg-type]


def _cam(it: Explainer, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    return class_activation(it.scalar_model, images, it.method, it.layer, lambda logits: weights)[0]


def _guided_cam(it: Explainer, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    coarse = class_activation(it.scalar_model, images, "grad_cam", it.layer, lambda logits: weights)[0]
    guided = captum_methods.guided_backprop(it.apart, images, weights)
    return guided * F.interpolate(coarse, images.shape[2:], mode="nearest")


def _occlusion(it: Explainer, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    window, stride = it.options.patches((images.shape[2], images.shape[3]))
    return occluded(
        it.scalar_model, images, weights, references, window=window, stride=stride, at_once=it.at_once
    )


def _ablation(it: Explainer, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    regions = superpixels(images, it.options.superpixels)
    return captum_methods.feature_ablation(
        it.scalar_model, images, weights, references, regions=regions, at_once=it.at_once
    )


def _by_regions(compute: Callable[..., Tensor]) -> "Compute":
    def of(it: Explainer, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
        return compute(
            it.scalar_model,
            images,
            weights,
            references,
            regions=superpixels(images, it.options.superpixels),
            samples=8 * it.options.samples,
            at_once=it.at_once,
            seed=it.options.seed,
        )

    return of


Compute = Callable[[Explainer, Tensor, Tensor, Tensor], Tensor]
_METHODS: dict[str, Compute] = {
    "saliency": lambda it, x, w, b: captum_methods.saliency(it.scalar_model, x, w),
    "input_x_gradient": lambda it, x, w, b: captum_methods.input_x_gradient(it.scalar_model, x, w),
    "integrated_gradients": lambda it, x, w, b: completed_gradients(
        it.scalar_model, x, w, b, steps=it.options.steps, at_once=it.at_once
    ),
    "gradient_shap": lambda it, x, w, b: expected_gradients(
        it.scalar_model, x, w, b, options=it.options, at_once=it.at_once
    ),
    "deep_lift": lambda it, x, w, b: captum_methods.deep_lift(it.apart, x, w, b),
    "guided_backprop": lambda it, x, w, b: captum_methods.guided_backprop(it.apart, x, w),
    "guided_grad_cam": _guided_cam,
    "deconvolution": lambda it, x, w, b: captum_methods.deconvolution(it.apart, x, w),
    "grad_cam": _cam,
    "layer_cam": _cam,
    "occlusion": _occlusion,
    "feature_ablation": _ablation,
    "kernel_shap": _by_regions(shapley_values),
    "lime": _by_regions(lime_values),
}
