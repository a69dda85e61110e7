"""Attribution methods: what each is called, asks, needs and costs, and how it is computed, in one entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from torch import Tensor
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.probes import captum_methods
from reswork.probes.layer_signals import grad_cam, layer_cam, signals
from reswork.probes.sampling import completed_gradients, expected_gradients
from reswork.probes.scalar_model import ScalarModel
from reswork.probes.superpixels import lime_values, shapley_values, superpixels

if TYPE_CHECKING:
    from reswork.probes.explainer import Explainer

Name = Literal[
    "grad_cam", "saliency", "input_x_gradient", "guided_backprop", "deep_lift", "layer_cam", "integrated_gradients",
    "occlusion", "gradient_shap", "guided_grad_cam", "deconvolution", "feature_ablation", "kernel_shap", "lime",
]  # fmt: skip
LayerMap = Callable[
    [Tensor, Tensor], Tensor
]  # a layer's output and its gradient (N, C, h, w) -> (N, 1, h, w)
Compute = Callable[["Explainer", Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class MethodSpec:
    """One attribution method; `attribution` takes it, or its name where it is one of `METHODS`.

    Args:
        name: of the method.
        label: its name as people write it.
        family: what it looks at: slopes on the way back, a layer's maps, or what happens when parts are covered.
        compute: from an `Explainer`, images (M, C, H, W), targets (M, K) and references like the images to values
            (M, C or 1, h, w).
        answers: the question that it answers.
        normal: what its map usually looks like.
        misleads: when it says something wrong.
        reference: where it is from.
        cost: what it asks of the net for one picture, with the usual options.
        of_layer: of class activation: makes the map out of a layer's output and gradient.
        layer: whether it looks at a layer, which may be chosen.
        baseline: whether it compares with a picture that stands for nothing.
        noisy_baseline: whether that is many pictures, the given one with noise.
        complete: whether it promises that the values sum up to the change of the score.
        apart: calls that must be modules of their own, as `SeparateCalls` makes them; None: the net as it is.
        one_pass: whether a picture is in one pass, so that a few need no measured batch limit.
        signed: whether values speak against the target too.
        slope: whether values are slopes; otherwise they are amounts of the score.
        by_default: whether `attributions` and the page Inspect compute it unless told otherwise.
    """

    name: str
    label: str
    family: Literal["gradient", "class activation", "covering"]
    compute: Compute
    answers: str
    normal: str
    misleads: str
    reference: str
    cost: str
    of_layer: LayerMap | None = None
    layer: bool = False
    baseline: bool = False
    noisy_baseline: bool = False
    complete: bool = False
    apart: Literal["relus", "relus and pools"] | None = None
    one_pass: bool = False
    signed: bool = True
    slope: bool = False
    by_default: bool = False


Method = Name | MethodSpec


def method_spec(method: Method) -> MethodSpec:
    """The entry of a method.

    Raises:
        InvalidSetting: for a name that there is not.
    """
    if isinstance(method, MethodSpec):
        return method
    if method not in METHODS:
        raise InvalidSetting("method", f"method={method!r}: choose one of {', '.join(METHODS)}")
    return METHODS[method]


def class_activation(
    scalar_model: ScalarModel,
    images: Tensor,
    of_layer: LayerMap,
    layer: str | None,
    weigh: Callable[[Tensor], Tensor],
) -> tuple[Tensor, str, Tensor, int]:
    """Maps (N, 1, h, w), the layer, the logits, and how often the layer was called; one forward.

    Args:
        scalar_model: the net.
        images: (N, C, H, W).
        of_layer: makes the maps out of the layer's output and its gradient.
        layer: None: the last one with a map.
        weigh: makes the targets (N, K) out of the logits.
    """
    kept = signals(scalar_model, images, None if layer is None else (layer,))
    layer = list(kept.outputs)[-1] if layer is None else layer
    (gradients,) = kept.gradient((layer,), weigh(kept.logits.detach()))
    maps = of_layer(kept.outputs[layer], gradients)
    return maps.detach(), layer, kept.logits.detach(), kept.calls[layer]


def _cam(it: "Explainer", images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    assert it.method.of_layer is not None
    return class_activation(it.scalar_model, images, it.method.of_layer, it.layer, lambda logits: weights)[0]


def _guided_cam(it: "Explainer", images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    coarse = class_activation(it.scalar_model, images, grad_cam, it.layer, lambda logits: weights)[0]
    guided = captum_methods.guided_backprop(it.apart, images, weights)
    return guided * F.interpolate(coarse, images.shape[2:], mode="nearest")


def _by_regions(compute: Callable[..., Tensor]) -> Compute:
    def of(it: "Explainer", images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
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


_ALL = (  # quick ones first
    MethodSpec(
        "grad_cam",
        "Grad-CAM",
        "class activation",
        _cam,
        "Which places of a layer's map carry the features that speak for the class?",
        "A soft blob on the object, as coarse as the layer.",
        "Coarse: at the last stage of a small net a cell is a quarter of the picture. Two objects melt into one.",
        "Selvaraju 2016, arXiv:1610.02391",
        "one forward, and backward to the layer",
        of_layer=grad_cam,
        layer=True,
        one_pass=True,
        signed=False,
        by_default=True,
    ),
    MethodSpec(
        "saliency",
        "Saliency",
        "gradient",
        lambda it, x, w, b: captum_methods.saliency(it.scalar_model, x, w),
        "Which pixels would move the score most if they changed a little?",
        "Speckled, denser on the object.",
        "Where a pixel matters much and is saturated, its gradient is near zero and the map is blind to it.",
        "Simonyan 2013, arXiv:1312.6034",
        "one forward and backward",
        one_pass=True,
        signed=False,
        slope=True,
        by_default=True,
    ),
    MethodSpec(
        "input_x_gradient",
        "Input x gradient",
        "gradient",
        lambda it, x, w, b: captum_methods.input_x_gradient(it.scalar_model, x, w),
        "How much does each pixel's value times its slope add to the score?",
        "Speckled like saliency, with two signs.",
        "Pixels at zero (black, or mean grey after a normalisation) get nothing, however important they are.",
        "Shrikumar 2016, arXiv:1605.01713",
        "one forward and backward",
        one_pass=True,
        by_default=True,
    ),
    MethodSpec(
        "guided_backprop",
        "Guided backprop",
        "gradient",
        lambda it, x, w, b: captum_methods.guided_backprop(it.apart, x, w),
        "Which pixels excite the net, when every negative signal on the way back is dropped?",
        "Sharp drawings of edges, beautiful to look at.",
        "Hardly depends on the class or even on the weights: it redraws edges. See the randomisation check.",
        "Springenberg 2014, arXiv:1412.6806",
        "one forward and backward",
        apart="relus",
        one_pass=True,
        slope=True,
        by_default=True,
    ),
    MethodSpec(
        "deep_lift",
        "DeepLift",
        "gradient",
        lambda it, x, w, b: captum_methods.deep_lift(it.apart, x, w, b),
        "How do the differences from the baseline pass through each layer down to the pixels?",
        "Close to integrated gradients at a fraction of the time; the sum is the difference of the scores.",
        "Has no rule for products and for some activations: then the completeness gap grows.",
        "Shrikumar 2017, arXiv:1704.02685",
        "two forwards, one backward",
        apart="relus and pools",
        baseline=True,
        complete=True,
        by_default=True,
    ),
    MethodSpec(
        "layer_cam",
        "LayerCAM",
        "class activation",
        _cam,
        "The same, with a weight for each place instead of one for each channel?",
        "Finer blobs; usable at early stages too.",
        "At early stages it lights up every edge, of the object or not.",
        "Jiang 2021, doi:10.1109/TIP.2021.3089943",
        "one forward, and backward to the layer",
        of_layer=layer_cam,
        layer=True,
        one_pass=True,
        signed=False,
        by_default=True,
    ),
    MethodSpec(
        "integrated_gradients",
        "Integrated gradients",
        "gradient",
        lambda it, x, w, b: completed_gradients(
            it.scalar_model, x, w, b, steps=it.options.steps, at_once=it.at_once
        ),
        "How is the difference between this score and the baseline's shared out among the pixels?",
        "Speckled, strongest on the object's edges; the sum is the difference of the scores.",
        "With a black baseline dark pixels get nothing; another baseline tells another story, so compare two.",
        "Sundararajan 2017, arXiv:1703.01365",
        "32 to 1,000 forwards and backwards",
        baseline=True,
        complete=True,
        by_default=True,
    ),
    MethodSpec(
        "occlusion",
        "Occlusion",
        "covering",
        lambda it, x, w, b: captum_methods.occlusion(
            it.scalar_model, x, w, b, patches=it.options.patches((x.shape[2], x.shape[3])), at_once=it.at_once
        ),
        "How much does the score fall when a patch is covered?",
        "Blocky, strongest on the object; honest and slow.",
        "The cover is itself a shape that the net may take for something; two equal clues hide each other.",
        "Zeiler 2013, arXiv:1311.2901",
        "a forward for each patch, some 200",
        baseline=True,
        by_default=True,
    ),
    MethodSpec(
        "gradient_shap",
        "Gradient SHAP",
        "gradient",
        lambda it, x, w, b: expected_gradients(
            it.scalar_model, x, w, b, options=it.options, at_once=it.at_once
        ),
        "The same as integrated gradients, on average over many noisy baselines and places on the way?",
        "Like integrated gradients with more noise; calmer with more samples.",
        "Few samples leave chance in the map: change the seed and see what stays.",
        "Lundberg 2017, arXiv:1705.07874",
        "32 forwards and backwards",
        baseline=True,
        noisy_baseline=True,
        complete=True,
    ),
    MethodSpec(
        "guided_grad_cam",
        "Guided Grad-CAM",
        "class activation",
        _guided_cam,
        "Which edges lie where Grad-CAM looks?",
        "Sharp edges inside a soft blob.",
        "The place is Grad-CAM's, the detail is guided backprop's and says little about the class.",
        "Selvaraju 2016, arXiv:1610.02391",
        "two forwards and backwards",
        apart="relus",
        layer=True,
        one_pass=True,
    ),
    MethodSpec(
        "deconvolution",
        "Deconvolution",
        "gradient",
        lambda it, x, w, b: captum_methods.deconvolution(it.apart, x, w),
        "Which pixels excite the net, when only positive signals are passed back?",
        "Textured, with checkerboards from strides and pools.",
        "Ignores which units were active at all, so it depends even less on this picture.",
        "Zeiler 2013, arXiv:1311.2901",
        "one forward and backward",
        apart="relus",
        one_pass=True,
        slope=True,
    ),
    MethodSpec(
        "feature_ablation",
        "Feature ablation",
        "covering",
        lambda it, x, w, b: captum_methods.feature_ablation(
            it.scalar_model, x, w, b, regions=superpixels(x, it.options.superpixels), at_once=it.at_once
        ),
        "How much does the score fall when one region of similar colour is covered?",
        "A few regions with one value each.",
        "As occlusion; and the regions are guessed from colour alone.",
        "Zeiler 2013, arXiv:1311.2901",
        "a forward for each region, some 36",
        baseline=True,
    ),
    MethodSpec(
        "kernel_shap",
        "KernelSHAP",
        "covering",
        _by_regions(shapley_values),
        "What does each region add, on average over all ways of covering the others?",
        "A few regions with one value each; the sum is the difference of the scores.",
        "Too few samples for so many regions leave chance in the values.",
        "Lundberg 2017, arXiv:1705.07874",
        "256 forwards",
        baseline=True,
        complete=True,
    ),
    MethodSpec(
        "lime",
        "LIME",
        "covering",
        _by_regions(lime_values),
        "Which linear rule over regions imitates the net near this picture?",
        "A few regions with one value each.",
        "The rule may fit badly; another seed or another number of regions may give another rule.",
        "Ribeiro 2016, arXiv:1602.04938",
        "256 forwards",
        baseline=True,
    ),
)
METHODS: Mapping[str, MethodSpec] = MappingProxyType({spec.name: spec for spec in _ALL})
