from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from reswork.errors import InvalidSetting
from reswork.figures import attribution_maps
from reswork.probes import BASELINES, EIGHT, METHODS, MethodSpec, Options, attribution, trust
from reswork.probes.attribution_methods import Name

QUICK = Options(samples=4, superpixels=9, window=4, stride=4, steps=8)


def test_every_method_and_baseline_is_explained() -> None:
    assert set(METHODS) == set(get_args(Name)) and all(name == spec.name for name, spec in METHODS.items())
    for spec in METHODS.values():
        assert spec.answers.endswith("?") and len(spec.answers) > 30 and spec.cost
        assert spec.normal.endswith(".") and spec.misleads.endswith(".") and len(spec.misleads) > 30
        assert any(source in spec.reference for source in ("arXiv:", "doi:"))
    assert set(BASELINES) == {"black", "mean", "blur", "noise"}
    assert len({spec.label for spec in METHODS.values()}) == len(METHODS)


def test_the_eight_are_the_quick_ones_in_their_order() -> None:
    assert EIGHT == (
        "grad_cam", "saliency", "input_x_gradient", "guided_backprop", "deep_lift", "layer_cam",
        "integrated_gradients", "occlusion",
    )  # fmt: skip
    assert tuple(METHODS)[: len(EIGHT)] == EIGHT


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spec", METHODS.values(), ids=lambda spec: spec.name)
def test_an_entry_says_what_comes_back(reused, images, spec) -> None:
    found = attribution(reused, images, method=spec.name, target=[0, 3, 4], options=QUICK)
    assert (found.method, found.label) == (spec.name, spec.label)
    assert (found.layer is not None) == spec.layer
    assert (found.baseline is not None) == spec.baseline
    assert np.isfinite(found.reference_scores).all() == spec.complete
    assert (found.values < 0).any() == spec.signed
    if not spec.layer:
        with pytest.raises(InvalidSetting, match="looks at the pixels"):
            attribution(reused, images, method=spec.name, layer="conv1")


def _brightness(it: object, images: Tensor, weights: Tensor, references: Tensor) -> Tensor:
    return (images - references) * weights.max()


def test_a_method_of_ones_own_is_one_entry(reused, images) -> None:
    own = MethodSpec(
        "brightness", "Brightness <own>", "covering", _brightness, "Which pixels are bright?", "Bright.", "Always.",
        "none", "nothing", baseline=True,
    )  # fmt: skip
    found = attribution(reused, images, method=own, target=1, baseline="black")
    torch.testing.assert_close(torch.from_numpy(found.values), images)
    assert (found.label, found.baseline) == ("Brightness <own>", "black")
    figure = attribution_maps(np.zeros(images.shape, np.uint8), [found])
    assert "Brightness" in figure.layout.meta["summary"] and "<own>" not in str(figure.layout.annotations)
    (checked, *_) = trust(reused, images[:1], method=own, target=1, samples=6, points=2)
    assert checked.label == "Brightness <own>" and len(checked.checks) == 5
