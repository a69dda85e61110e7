"""What each attribution method and baseline means, in sentences for those who look at the maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class MethodText:
    """One method in words.

    Args:
        label: its name as people write it.
        answers: the question that it answers.
        normal: what its map usually looks like.
        misleads: when it says something wrong.
        reference: where it is from.
    """

    label: str
    answers: str
    normal: str
    misleads: str
    reference: str


METHODS: Mapping[str, MethodText] = MappingProxyType(
    {
        "saliency": MethodText(
            "Saliency",
            "Which pixels would move the score most if they changed a little?",
            "Speckled, denser on the object.",
            "Where a pixel matters much and is saturated, its gradient is near zero and the map is blind to it.",
            "Simonyan 2013, arXiv:1312.6034",
        ),
        "input_x_gradient": MethodText(
            "Input x gradient",
            "How much does each pixel's value times its slope add to the score?",
            "Speckled like saliency, with two signs.",
            "Pixels at zero (black, or mean grey after a normalisation) get nothing, however important they are.",
            "Shrikumar 2016, arXiv:1605.01713",
        ),
        "integrated_gradients": MethodText(
            "Integrated gradients",
            "How is the difference between this score and the baseline's shared out among the pixels?",
            "Speckled, strongest on the object's edges; the sum is the difference of the scores.",
            "With a black baseline dark pixels get nothing; another baseline tells another story, so compare two.",
            "Sundararajan 2017, arXiv:1703.01365",
        ),
        "gradient_shap": MethodText(
            "Gradient SHAP",
            "The same as integrated gradients, on average over many noisy baselines and places on the way?",
            "Like integrated gradients with more noise; calmer with more samples.",
            "Few samples leave chance in the map: change the seed and see what stays.",
            "Lundberg 2017, arXiv:1705.07874",
        ),
        "deep_lift": MethodText(
            "DeepLift",
            "How do the differences from the baseline pass through each layer down to the pixels?",
            "Close to integrated gradients at a fraction of the time; the sum is the difference of the scores.",
            "Has no rule for products and for some activations: then the completeness gap grows.",
            "Shrikumar 2017, arXiv:1704.02685",
        ),
        "guided_backprop": MethodText(
            "Guided backprop",
            "Which pixels excite the net, when every negative signal on the way back is dropped?",
            "Sharp drawings of edges, beautiful to look at.",
            "Hardly depends on the class or even on the weights: it redraws edges. See the randomisation check.",
            "Springenberg 2014, arXiv:1412.6806",
        ),
        "guided_grad_cam": MethodText(
            "Guided Grad-CAM",
            "Which edges lie where Grad-CAM looks?",
            "Sharp edges inside a soft blob.",
            "The place is Grad-CAM's, the detail is guided backprop's and says little about the class.",
            "Selvaraju 2016, arXiv:1610.02391",
        ),
        "deconvolution": MethodText(
            "Deconvolution",
            "Which pixels excite the net, when only positive signals are passed back?",
            "Textured, with checkerboards from strides and pools.",
            "Ignores which units were active at all, so it depends even less on this picture.",
            "Zeiler 2013, arXiv:1311.2901",
        ),
        "grad_cam": MethodText(
            "Grad-CAM",
            "Which places of a layer's map carry the features that speak for the class?",
            "A soft blob on the object, as coarse as the layer.",
            "Coarse: at the last stage of a small net a cell is a quarter of the picture. Two objects melt into one.",
            "Selvaraju 2016, arXiv:1610.02391",
        ),
        "layer_cam": MethodText(
            "LayerCAM",
            "The same, with a weight for each place instead of one for each channel?",
            "Finer blobs; usable at early stages too.",
            "At early stages it lights up every edge, of the object or not.",
            "Jiang 2021, doi:10.1109/TIP.2021.3089943",
        ),
        "occlusion": MethodText(
            "Occlusion",
            "How much does the score fall when a patch is covered?",
            "Blocky, strongest on the object; honest and slow.",
            "The cover is itself a shape that the net may take for something; two equal clues hide each other.",
            "Zeiler 2013, arXiv:1311.2901",
        ),
        "feature_ablation": MethodText(
            "Feature ablation",
            "How much does the score fall when one region of similar colour is covered?",
            "A few regions with one value each.",
            "As occlusion; and the regions are guessed from colour alone.",
            "Zeiler 2013, arXiv:1311.2901",
        ),
        "kernel_shap": MethodText(
            "KernelSHAP",
            "What does each region add, on average over all ways of covering the others?",
            "A few regions with one value each; the sum is the difference of the scores.",
            "Too few samples for so many regions leave chance in the values.",
            "Lundberg 2017, arXiv:1705.07874",
        ),
        "lime": MethodText(
            "LIME",
            "Which linear rule over regions imitates the net near this picture?",
            "A few regions with one value each.",
            "The rule may fit badly; another seed or another number of regions may give another rule.",
            "Ribeiro 2016, arXiv:1602.04938",
        ),
    }
)

BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "black": "A black picture stands for nothing. Dark parts of the picture then get no attribution.",
        "mean": "The picture's own mean colour stands for nothing. Parts of just that colour get no attribution.",
        "blur": "The picture out of focus stands for nothing: it asks for detail, not for large areas of colour.",
        "noise": "Noise with the picture's mean and spread stands for nothing; another seed is another nothing.",
    }
)
