"""Two models beside each other, each number beside a slow or somebody else's computation of it."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from reswork.contrast import (
    average,
    changed_answers,
    compare_models,
    feature_distances,
    mcnemar,
    weight_distances,
)
from reswork.contrast.comparison import ModelComparison
from reswork.datasets.augmentation import normalise
from reswork.errors import InvalidSetting
from reswork.models.network import ResNet, resnet
from reswork.surgery import Delete, Scale, operated
from tests.surgery.networks import lively


@pytest.fixture
def pair(tiny_data) -> tuple[ResNet, ResNet]:
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(lively(resnet(depth=8, width=4, in_channels=1, num_classes=2)))
    return made[0], made[1]


@pytest.fixture
def inputs(tiny_data) -> torch.Tensor:
    return normalise(tiny_data.test.images, tiny_data.mean, tiny_data.std)


@pytest.mark.parametrize(
    ("worse", "better"), [(0, 0), (1, 0), (1, 9), (12, 12), (30, 11), (0, 40), (200, 260)]
)
def test_mcnemar_is_the_exact_binomial_test(worse: int, better: int) -> None:
    n, k = worse + better, min(worse, better)
    slow = min(Fraction(1), 2 * Fraction(sum(comb(n, i) for i in range(k + 1)), 2**n))
    assert mcnemar(worse, better) == pytest.approx(float(slow), abs=1e-9)
    if n:
        assert mcnemar(worse, better) == pytest.approx(binomtest(worse, n).pvalue, abs=1e-9)


def test_changed_answers_are_those_of_two_forwards(pair, tiny_data, inputs) -> None:
    found = changed_answers(*pair, tiny_data)
    with torch.no_grad():
        first, second = (model(inputs).argmax(1) for model in pair)
    labels = tiny_data.test.labels
    for images, wanted in (
        (found.became_wrong, (first == labels) & (second != labels)),
        (found.became_right, (first != labels) & (second == labels)),
        (found.wrong_otherwise, (first != labels) & (second != labels) & (first != second)),
    ):
        assert images.tolist() == wanted.nonzero().flatten().tolist()
    assert found.metrics["top1"] == (
        pytest.approx(float((first == labels).float().mean())),
        pytest.approx(float((second == labels).float().mean())),
    )
    assert (
        sorted(found.changed) == np.flatnonzero(found.different).tolist()
        and str(len(found)) in found.sentence
    )
    few = changed_answers(*pair, tiny_data, images=3)
    assert few.images.tolist() == [0, 4, 7] and few.total == 8
    same = changed_answers(pair[0], pair[0], tiny_data)
    assert not same.different.any() and same.p_value == 1 and "alike" in same.sentence


def test_distances_of_weights_and_features_are_those_written_out(pair, inputs) -> None:
    found = weight_distances(*pair)
    block = [
        torch.cat([p.detach().flatten() for p in model.layer2[0].parameters()]).double() for model in pair
    ]
    wanted = float((block[0] - block[1]).norm() / block[0].norm())
    assert found.values[found.names.index("layer2.0")] == pytest.approx(wanted, abs=1e-6)
    assert found.names == ("conv1", "bn1", "layer1.0", "layer2.0", "layer3.0", "fc") and not found.missing
    features = feature_distances(*pair, inputs)
    with torch.no_grad():
        one, two = (m.layer1(m.relu(m.bn1(m.conv1(inputs)))) for m in pair)
    assert features.names == ("layer1.0", "layer2.0", "layer3.0")
    assert features.values[0] == pytest.approx(float((one - two).norm() / one.norm()), abs=1e-6)


def test_cka_by_block_is_the_formula(pair, tiny_data, inputs) -> None:
    """Unbiased linear CKA of arXiv 2010.15327, equation 3, from its definition."""
    found = ModelComparison(*pair, tiny_data, None, ("a", "b")).cka
    grams = []
    for model in pair:
        with torch.no_grad():
            x = model.layer2(model.layer1(model.relu(model.bn1(model.conv1(inputs))))).flatten(1).double()
        grams.append((x @ x.T).fill_diagonal_(0).numpy())
    n = len(inputs)

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        ones = np.ones(n)
        total = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (total - 2 * (ones @ k @ m @ ones) / (n - 2)) / (n * (n - 3))

    wanted = hsic(*grams) / np.sqrt(hsic(grams[0], grams[0]) * hsic(grams[1], grams[1]))
    place = (found.rows.index("layer2.0"), found.columns.index("layer2.0"))
    assert found.values[place] == pytest.approx(wanted, abs=1e-6)


def test_they_part_where_one_was_changed(pair, tiny_data) -> None:
    changed = operated(pair[0], [Scale("layer2.0", 5.0)])
    comparison = compare_models(pair[0], changed, tiny_data)
    found = comparison.parting(2)
    assert (
        found.block == "layer2.0" and found.distances.values[0] == 0 and "there they part" in found.sentence
    )
    assert comparison.features.values[0] == 0 and comparison.weights.values.max() == 0
    assert comparison.parting(2, limit=1e9).block is None
    with pytest.raises(InvalidSetting, match="0 to 7"):
        comparison.parting(8)


def test_the_average_is_the_mean_of_the_weights(pair, tiny_data) -> None:
    plain = average(*pair)
    for name, value in plain.state_dict().items():
        one, two = (model.state_dict()[name] for model in pair)
        if value.is_floating_point():
            torch.testing.assert_close(value, (one + two) / 2)
    mended = average(*pair, tiny_data)
    assert torch.equal(mended.fc.weight, plain.fc.weight)
    assert not torch.equal(mended.bn1.running_mean, plain.bn1.running_mean)
    torch.testing.assert_close(average(*pair, share=1.0).fc.weight, pair[1].fc.weight)


def test_the_path_begins_and_ends_at_both(pair, tiny_data, inputs) -> None:
    path = compare_models(*pair, tiny_data).path(points=3)
    for end, model in ((0, pair[0]), (-1, pair[1])):
        with torch.no_grad():
            loss = nn.functional.cross_entropy(model(inputs), tiny_data.test.labels)
        assert path.metrics["loss"][end] == pytest.approx(float(loss), abs=1e-6)
    assert path.shares.tolist() == [0, 0.5, 1] and len(path.reestimated["loss"]) == 3
    middle = (path.metrics["loss"][0] + path.metrics["loss"][2]) / 2
    assert path.barrier == pytest.approx(max(0, path.metrics["loss"][1] - middle), abs=1e-9)
    with pytest.raises(InvalidSetting, match="2 to 101"):
        compare_models(*pair, tiny_data).path(points=1)


def test_other_architectures_are_compared_as_far_as_they_can(pair, tiny_data) -> None:
    torch.manual_seed(2)
    other = lively(resnet(depth=14, width=6, in_channels=1, num_classes=2))
    comparison = compare_models(pair[0], other, tiny_data, names=("<b>", "deep"))
    assert comparison.cka.values.shape == (3, 6) and len(comparison.changed) == 8
    assert not comparison.weights.names and not comparison.features.names
    assert any("another shape" in one for one in comparison.missing)
    with pytest.raises(InvalidSetting, match="same form"):
        comparison.average()
    assert "&lt;b&gt;" in comparison._repr_html_() and "<b>" not in comparison._repr_html_()
    cut = operated(pair[0], [Delete("layer1.0")])
    with pytest.raises(InvalidSetting, match="switched off"):
        average(pair[0], cut)


def test_figures_say_what_they_show(pair, tiny_data) -> None:
    comparison = compare_models(*pair, tiny_data)
    drawn = comparison.figures()
    assert {"Weights apart", "Features apart", "Likeness of blocks"} <= set(drawn)
    for figure in drawn.values():
        assert figure.layout.meta["summary"]
