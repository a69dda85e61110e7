"""One method ready to be asked: pictures, targets and references in, values out, as often as wanted."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.attribution_methods import METHODS, Method, MethodSpec, method_spec
from reswork.probes.batch_limit import images_at_once
from reswork.probes.options import Options
from reswork.probes.sampling import smoothed
from reswork.probes.scalar_model import ScalarModel
from reswork.probes.separate_calls import SeparateCalls


@dataclass(frozen=True, eq=False)
class Explainer:
    """A method with its net and its settings.

    Args:
        method: which.
        scalar_model: the private copy.
        apart: the same with a module for each activation's call, for methods that need that.
        layer: for methods that look at a layer; None: the last one with a map.
        options: settings.
        smooth: noisy copies to take the mean of; 0: none.
        at_once: pictures that may go through the net together.
    """

    method: MethodSpec
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
        scalar_model, apart = _scores(self.method, net, self.scalar_model, example)
        return replace(self, scalar_model=scalar_model, apart=apart)

    def notes(self) -> tuple[str, ...]:
        """Sentences about what the method meets in this net."""
        separated = self.apart.net
        if not isinstance(separated, SeparateCalls):
            return ()
        guides = self.method.apart == "relus"
        if guides and not len(separated.calls):
            return ("This net calls no ReLU, so there is nothing to guide: the map is the plain gradient's.",)
        if not separated.untreated:
            return ()
        names = ", ".join(sorted(separated.untreated)) + (", only for ReLUs" if guides else "")
        return (f"The method has no rule for {names}: there it takes the plain gradient.",)

    def _plain(self, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
        parts = zip(*(tensor.split(self.at_once) for tensor in (images, weights, references)), strict=True)
        return torch.cat([self.method.compute(self, *part).detach() for part in parts])


def explainer(
    method: Method,
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
    spec = check_method(method, layer, smooth)
    plain, apart = _scores(spec, scalar_model.net, scalar_model, images[:1])
    few = spec.one_pass and len(images) <= 4
    at_once = len(images) if few else images_at_once(scalar_model, images[:1])
    return Explainer(spec, plain, apart, layer, options, smooth, at_once)


def check_method(method: Method, layer: str | None, smooth: int) -> MethodSpec:
    """The method's entry, if these go together.

    Raises:
        InvalidSetting: where they do not.
    """
    spec = method_spec(method)
    if layer is not None and not spec.layer:
        layered = ", ".join(each.name for each in METHODS.values() if each.layer)
        raise InvalidSetting(
            "layer", f"layer={layer!r}: {spec.name} looks at the pixels; leave it out, or choose {layered}"
        )
    if not 0 <= smooth <= 10_000:
        raise InvalidSetting("smooth", f"smooth={smooth} noisy copies: choose 0 (none) to 10,000")
    return spec


def _scores(
    spec: MethodSpec, model: nn.Module, like: ScalarModel, example: Tensor
) -> tuple[ScalarModel, ScalarModel]:
    scalar_model = ScalarModel(model, like.output, like.alone)
    if spec.apart is None:
        return scalar_model, scalar_model
    if like.alone and spec.apart == "relus and pools":
        raise InvalidSetting(
            "method",
            f"method={spec.name!r} puts a picture and its baseline through the net together, and this net's pictures "
            "change each other's answer (norms without statistics): choose integrated_gradients",
        )
    separated = SeparateCalls(model, example, pools=spec.apart == "relus and pools")
    return scalar_model, ScalarModel(separated, like.output, like.alone)
