import numpy as np
import torch
from captum import attr
from captum._utils.models.linear_model import SkLearnRidge
from torch.utils.data import DataLoader, TensorDataset

from reswork.probes.scalar_model import ScalarModel
from reswork.probes.superpixels import lime_values, shapley_values, superpixels


def _weights(count: int, target: int) -> torch.Tensor:
    weights = torch.zeros(count, 5)
    weights[:, target] = 1
    return weights


def test_regions_cover_the_picture_and_follow_colour() -> None:
    images = torch.zeros(1, 3, 16, 16)
    images[:, :, :, 9:] = 5
    regions = superpixels(images, 4)[0]
    assert regions.unique().tolist() == list(range(int(regions.max()) + 1))
    assert not set(regions[:, :9].unique().tolist()) & set(regions[:, 9:].unique().tolist())
    assert superpixels(torch.rand(2, 1, 8, 8), 64).amax((1, 2)).min() > 20


def _setting(plain, images, count):
    regions = superpixels(images, count)
    return ScalarModel(plain), _weights(len(images), 3), torch.zeros_like(images), regions


def test_kernel_shap_is_exact_where_all_ways_are_tried(plain, images) -> None:
    scalar_model, weights, none, regions = _setting(plain, images[:2], 4)
    found = shapley_values(
        scalar_model, images[:2], weights, none, regions=regions, samples=5_000, at_once=64, seed=0
    )
    for row in range(2):
        mask = regions[row][None, None].repeat(1, 3, 1, 1)
        exact = attr.ShapleyValues(plain).attribute(
            images[row : row + 1], none[:1], target=3, feature_mask=mask
        )
        for region in range(int(regions[row].max()) + 1):
            inside = regions[row] == region
            value = float(found[row, 0][inside].sum())
            np.testing.assert_allclose(value, float(exact[0, 0][inside][0]), rtol=1e-4, atol=1e-5)


def test_sampled_kernel_shap_comes_near_and_always_sums_up(plain, images) -> None:
    scalar_model, weights, none, regions = _setting(plain, images[:1], 9)
    exact, sampled = (
        shapley_values(
            scalar_model, images[:1], weights, none, regions=regions, samples=samples, at_once=64, seed=3
        )
        for samples in (5_000, 200)
    )
    with torch.no_grad():
        change = plain(images[:1])[0, 3] - plain(none[:1])[0, 3]
    torch.testing.assert_close(sampled.sum(), change, rtol=1e-4, atol=1e-5)
    assert float((exact - sampled).abs().max()) < 0.1 * float(exact.abs().max())


def test_lime_finds_a_linear_rule(images) -> None:
    class Linear(torch.nn.Module):
        def forward(self, x):
            return x.sum((1, 2, 3))[:, None].repeat(1, 5)

    regions = superpixels(images[:1], 9)
    found = lime_values(
        ScalarModel(Linear()), images[:1], _weights(1, 0), torch.zeros(1, 3, 16, 16), regions=regions, samples=400,
        at_once=64, seed=0,
    )[0, 0]  # fmt: skip
    for region in range(int(regions.max()) + 1):
        inside = regions[0] == region
        wanted = float(images[0][:, inside].sum())
        assert abs(float(found[inside][0]) - wanted) < 0.05 * (abs(wanted) + 1)


def test_the_least_regions(plain, images) -> None:
    one = torch.zeros(1, 16, 16, dtype=torch.int64)
    settings = {"regions": one, "samples": 8, "at_once": 4, "seed": 0}
    found = shapley_values(
        ScalarModel(plain), images[:1], _weights(1, 2), torch.zeros(1, 3, 16, 16), **settings
    )
    with torch.no_grad():
        change = plain(images[:1])[0, 2] - plain(torch.zeros(1, 3, 16, 16))[0, 2]
    torch.testing.assert_close(found.sum(), change, rtol=1e-4, atol=1e-5)


def test_lime_is_captums_where_the_same_regions_are_covered(plain, images) -> None:
    """Captum draws from the global generators; given our covers it finds the same rule."""
    scalar_model, weights, none, regions = _setting(plain, images[:1], 9)
    count = int(regions.max()) + 1
    shown = np.random.default_rng(0).random((256, count)) < 0.5
    shown[0] = True
    covers = iter(torch.from_numpy(shown).float()[:, None])

    def nearness(original, perturbed, interpretable, **more):
        distance = 1 - interpretable.mean().sqrt()
        return torch.exp(-((distance / 0.25) ** 2) / 2)

    class Weighed(SkLearnRidge):  # captum's weights do not sum up to 1
        def fit(self, train_data, **more):
            inputs, outputs, importance = train_data.dataset.tensors
            normed = TensorDataset(inputs, outputs, importance / importance.sum())
            return super().fit(DataLoader(normed, batch_size=len(normed)), **more)

    theirs = attr.Lime(
        plain,
        Weighed(alpha=1e-2 / 256),
        similarity_func=nearness,
        perturb_func=lambda image, **more: next(covers),
    ).attribute(
        images[:1], none, target=3, feature_mask=regions[:, None], n_samples=256, perturbations_per_eval=64
    )
    ours = lime_values(
        scalar_model, images[:1], weights, none, regions=regions, samples=256, at_once=64, seed=0
    )  # fmt: skip
    torch.testing.assert_close(ours, theirs[:, :1], rtol=1e-3, atol=1e-4)
