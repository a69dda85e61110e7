"""Each study, so small that it says nothing: its numbers against a slow computation, stopping, figures, verdict."""

from itertools import count, product

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.studies import lock_step
from reswork.studies.findings import (
    block_recipes,
    lesions,
    loss_surface,
    ode_solver,
    optimizers,
    path_lengths,
    residual_as_difference,
    shattered_gradients,
    stochastic_depth,
    wide_or_deep,
)
from reswork.studies.trained import flat_weights
from reswork.surgery import Delete

TINY = {"epochs": 1, "width": 2, "seeds": 1}
SMALL = {
    "degradation": {**TINY, "depths": (8, 14), "seeds": 2},
    "twin_race": {**TINY, "depth": 8},
    "lesions": {**TINY, "depth": 14, "plain_depth": 14, "deleted": (1, 3), "swapped": (1,), "draws": 2},
    "path_lengths": {**TINY, "depth": 14, "paths": 8},
    "shattered_gradients": {"depths": (2, 6), "width": 20, "points": 64, "seeds": 6},
    "signal_propagation": {
        "recipes": ("pre-activation", "plain"),
        "depth": 20,
        "width": 4,
        "size": 16,
        "seeds": 1,
    },
    "loss_surface": {**TINY, "depth": 8, "points": 5, "images": 16},
    "block_recipes": {
        **TINY,
        "depths": (8, 14),
        "orders": ("norm after addition", "full pre-activation", "no ReLU after addition"),
        "batch_size": 256,
    },
    "without_norm": {
        **TINY,
        "depths": (8, 14),
        "kinds": ("He initialisation", "Fixup", "SkipInit"),
        "batch_size": 256,
    },
    "stochastic_depth": {**TINY, "depth": 14},
    "wide_or_deep": {**TINY, "depths": (8, 14)},
    "residual_as_difference": {**TINY, "depth": 14, "images": 32},
    "ode_solver": {"steps": 4, "width": 4, "updates": 40, "seeds": 1},
    "optimizers": {**TINY, "depth": 8, "range_steps": 10, "schedules": ("constant", "one_cycle")},
    "fewer_operations": {
        "data": "digits",
        "images": 64,
        "tests": 40,
        "epochs": 2,
        "share": 0.5,
        "width": 2,
        "seeds": 1,
    },
    "small_data": {
        "depths": (8, 14),
        "repair_depth": 8,
        "images": (20, 60),
        "steps": 2,
        "width": 2,
        "seeds": 1,
    },
    "other_learners": {
        "data": "digits",
        "images": 60,
        "tests": 50,
        "epochs": 1,
        "width": 2,
        "trees": 3,
        "rounds": 1,
        "seeds": 1,
    },
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A folder for each study to be computed in once; with one for all, networks would come from other studies."""
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Each step of a training takes a second, on a slow machine too."""
    ticks = count()
    monkeypatch.setattr(lock_step, "working_seconds", lambda device: float(next(ticks)))


def test_all_studies_are_tried():
    assert set(SMALL) == set(rw.studies.NAMES)


@pytest.mark.parametrize("name", SMALL)
def test_a_study_stopped_in_the_middle_ends_as_one_that_went_through(name, folder, computed):
    study = rw.studies.catalogue()[name]
    through = study(folder=computed / name, **SMALL[name])
    results = study.results(folder=folder / "part", **SMALL[name])
    seen = []
    for result in results:
        seen.append(result.share)
        if result.share > 0.4:
            break
    results.close()
    assert seen == sorted(seen)
    further = study(folder=folder / "part", **SMALL[name])
    assert through.numbers.keys() == further.numbers.keys()
    for key, values in through.numbers.items():
        if key.startswith("measured/"):  # seconds and the machine's load
            continue
        np.testing.assert_array_equal(values, further.numbers[key], err_msg=key)
    left = {path.name for path in (folder / "part" / name).rglob("*") if path.is_file()}
    assert left == {"study.json", "numbers.safetensors"}, "states of finished trainings are gone"
    assert through.verdict.state in ("open", "repeated", "not repeated") and through.verdict.sentence
    assert all(row.ours for row in through.compared) and through.verdict.tolerance
    for title, figure in through.figures.items():
        assert figure.layout.title.text == f"<b>{title}</b>" and figure.layout.meta["summary"].endswith(".")
        go.Figure(figure.to_plotly_json())
    answer = study.guess.answer(through)
    assert answer is None or answer in study.guess.choices


@pytest.mark.parametrize("name", SMALL)
def test_too_few_seeds_leave_it_open(name, computed):
    settings = {**SMALL[name], "seeds": 1}
    result = rw.studies.catalogue()[name](folder=computed / name, **settings)
    assert result.verdict.state == "open" and "seeds" in result.verdict.sentence


def test_what_it_will_cost_is_measured():
    for name in ("degradation", "signal_propagation"):
        found = rw.studies.catalogue()[name].estimate(**SMALL[name])
        assert 0 < found.seconds < 60 and found.bytes > 0


def test_lesions_are_what_they_say(folder):
    settings = lesions.LesionSettings(**SMALL["lesions"])
    configs = lesions.configs_of(settings)
    done = [*lesions.lesions_of(settings, configs, 0)]
    assert [len(operations) for key, _, operations in done if key == "residual/deleted"] == [1, 1, 3, 3]
    plain = [operations[0].name for key, _, operations in done if key == "plain/one"]
    assert plain == ["layer1.0", "layer1.1", "layer2.1", "layer3.1"], (
        "what changes the shape cannot be passed by"
    )
    swaps = [operation for key, _, operations in done for operation in operations if "swapped" in key]
    assert swaps and all(swap.first.partition(".")[0] == swap.second.partition(".")[0] for swap in swaps)
    with pytest.raises(InvalidSetting, match="has 6 blocks"):
        rw.studies.lesions(folder=folder, depth=14, deleted=(7,))


def test_an_error_after_a_lesion_is_that_of_the_network_without_the_branch():
    torch.manual_seed(0)
    data = rw.datasets.digits().subset(test=100)
    model = rw.resnet(depth=14, width=4, in_channels=1).eval()
    by_hand = rw.resnet(depth=14, width=4, in_channels=1).eval()
    by_hand.load_state_dict(model.state_dict())
    torch.nn.init.zeros_(by_hand.layer1[1].bn2.weight)
    images = rw.datasets.normalise(data.test.images, data.mean, data.std)
    wrong = (by_hand(images).argmax(1) != data.test.labels).double().mean()
    found = lesions.error_after(model, [Delete("layer1.1")], data)
    assert found == pytest.approx(float(wrong), abs=0.011)


def test_paths_add_up_to_the_whole_gradient():
    torch.manual_seed(0)
    model = rw.resnet(depth=14, width=4, in_channels=1).eval()  # 6 blocks, 64 paths
    image, label = torch.randn(1, 1, 8, 8), torch.tensor([3])
    ways = torch.tensor([*product((False, True), repeat=6)])
    parts = path_lengths.path_gradients(model, image.expand(64, -1, -1, -1), label.expand(64), ways)
    leaf = image.clone().requires_grad_()
    torch.nn.functional.cross_entropy(model(leaf), label).backward()
    torch.testing.assert_close(parts.sum(0), leaf.grad[0], rtol=1e-4, atol=1e-6)


def test_a_derivative_along_the_line_is_that_of_differences():
    gradients = shattered_gradients.input_gradients(3, 30, 64, residual=False, seed=1)
    assert gradients.shape == (64,) and len(np.unique(gradients.round(5))) > 5, "the line has kinks"


def test_gradients_along_the_line_are_drawn_about_their_mean_and_none_is_cut(folder):
    result = rw.studies.shattered_gradients(folder=folder, depths=(2, 10), width=4, points=64, seeds=1)
    assert not any("Covariance" in title for title in result.figures), "of one seed it is 1 everywhere"
    for trace in result.figures["Gradients along the line"].data:
        np.testing.assert_allclose([np.mean(trace.y), np.std(trace.y)], [0, 1], atol=1e-3)
    drawn = result.figures["Autocorrelation of gradients"]
    assert drawn.layout.yaxis.range[0] < min(np.min(trace.y) for trace in drawn.data)
    assert (
        drawn.layout.meta["summary"].startswith("Autocorrelation")
        and "1 seed." in drawn.layout.meta["summary"]
    )


def test_directions_are_as_long_as_the_filters_and_a_loss_leaves_the_weights():
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, in_channels=1).eval()
    pair = loss_surface.filter_normalised(model, 0)
    torch.testing.assert_close(
        pair[0][1].flatten(1).norm(dim=1), model.layer1[0].conv1.weight.flatten(1).norm(dim=1)
    )
    before = flat_weights(model).clone()
    images, labels = torch.randn(8, 1, 8, 8), torch.arange(8)
    moved = loss_surface.loss_at(model, images, labels, pair, (0.5, -0.25))
    assert torch.equal(flat_weights(model), before)
    by_hand = rw.resnet(depth=8, width=4, in_channels=1).eval()
    by_hand.load_state_dict(model.state_dict())
    with torch.no_grad():
        weights = [weight for weight in by_hand.parameters() if weight.dim() > 1]
        for weight, one, other in zip(weights, *pair, strict=True):
            weight += 0.5 * one - 0.25 * other
        expected = torch.nn.functional.cross_entropy(by_hand(images), labels)
    assert moved == pytest.approx(float(expected), rel=1e-5)


def test_a_path_in_its_main_directions_is_scikit_learns():
    from sklearn.decomposition import PCA

    course = np.random.default_rng(0).normal(size=(9, 30)).cumsum(axis=0)
    path, pair, shares = loss_surface.main_directions(np.vstack([course, -course, np.zeros((1, 30))]))
    other = PCA(2).fit(np.vstack([course, -course]))  # their mean is the end, so both see the same
    np.testing.assert_allclose(np.abs(pair @ other.components_.T), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(shares, other.explained_variance_ratio_, rtol=1e-6)
    assert path.shape == (19, 2) and np.allclose(path[-1], 0)


def test_coarse_cells_come_first_and_all_come_once():
    cells = loss_surface.coarse_to_fine(21)
    assert len(cells) == len(set(cells)) == 441
    assert all(row % 8 == column % 8 == 0 for row, column in cells[:9])


def test_summands_and_early_answers_are_those_of_a_slow_computation():
    torch.manual_seed(0)
    model = rw.resnet(depth=14, width=4, in_channels=1).eval()
    images = torch.randn(16, 1, 8, 8)
    ratio, cosine = residual_as_difference.summand_sizes(model, images)
    with torch.no_grad():
        x = model.relu(model.bn1(model.conv1(images)))
        block = model.layer1[0]
        branch = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
        labels = model(images).argmax(1)
    assert ratio[0] == pytest.approx(float(branch.norm() / x.norm()), rel=1e-4)
    angle = torch.nn.functional.cosine_similarity(branch.flatten(), x.flatten(), dim=0)
    assert cosine[0] == pytest.approx(float(angle), abs=1e-5)
    assert residual_as_difference.early_answers(model, images, labels)[-1] == 1.0


def test_a_block_without_its_last_relu_adds_and_nothing_more():
    torch.manual_seed(0)
    model = rw.resnet(depth=8, width=4, in_channels=1).eval()
    block, x = model.layer1[0], torch.rand(2, 4, 8, 8)
    block_recipes.bare(model)
    with torch.no_grad():
        by_hand = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x))))) + x
        torch.testing.assert_close(block(x), by_hand)
        assert by_hand.min() < 0


def test_blocks_that_are_left_out_are_not_computed_and_stand_still():
    settings = stochastic_depth.DepthSettings(width=2, depth=14, epochs=1, seeds=1, drop=0.9)
    trainings = dict(stochastic_depth.trainings_of(settings, None))
    training = trainings["stochastic-0"]
    np.testing.assert_allclose(stochastic_depth.chances_of(settings), 0.9 * np.arange(1, 7) / 6)
    drawn = np.stack([training.left_out(step) for step in range(4000)])
    np.testing.assert_allclose(drawn.mean(axis=0), stochastic_depth.chances_of(settings), atol=0.03)
    step = next(step for step in range(1, 100) if training.left_out(step)[-1])
    training.step = step - 1
    last = training.net.net.layer3[1]
    before = last.conv1.weight.detach().clone()
    training.make_step()
    assert torch.equal(last.conv1.weight, before) and last.conv1.weight.grad is None
    assert not trainings["constant-0"].left_out(step).any()


def test_a_branch_counts_as_often_as_it_was_there():
    settings = stochastic_depth.DepthSettings(width=2, depth=8, epochs=1, seeds=1, drop=0.6)
    training = dict(stochastic_depth.trainings_of(settings, None))["stochastic-0"]
    training.net.eval()
    block, x = training.net.net.layer1[0], torch.rand(2, 2, 8, 8)
    with torch.no_grad():
        branch = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
        torch.testing.assert_close(block(x), torch.relu(x + 0.8 * branch))  # 1 - 0.6 / 3


def test_wide_and_deep_have_about_as_many_weights():
    settings = wide_or_deep.WideSettings()
    weights = [
        sum(weight.numel() for weight in rw.resnet(wide_or_deep.config_of(settings, depth)).parameters())
        for depth in settings.depths
    ]
    assert max(weights) / min(weights) < 1.05, weights


def test_a_peak_rate_is_a_tenth_of_where_the_loss_is_lowest():
    rates = np.geomspace(1e-5, 10, 61)
    losses = np.stack([2.3 + (np.log10(rates) + 1) ** 2, 2.5 + (np.log10(rates) + 1) ** 2])
    losses[:, -5:] = [[np.inf] * 5, [np.nan] * 5]
    found = optimizers.peak_rate(rates, losses)
    assert 0.01 <= found <= 0.02, "behind by the steps over which it is smoothed"


def test_the_steps_of_a_solver_are_those_of_scipy():
    from scipy.integrate import solve_ivp

    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in ((1, 3, 5), (1, 5), (1, 5, 2), (1, 2))]
    inner, bias, outer, shift = (weight[0].double().numpy() for weight in weights)
    points = torch.randn(3, 2, generator=generator)
    ends = ode_solver.solve(weights, points, 2048)[-1].numpy()
    for point, end in zip(points.double().numpy(), ends, strict=True):
        way = solve_ivp(
            lambda t, h: np.tanh(np.append(h, t) @ inner + bias) @ outer + shift, (0, 1), point, rtol=1e-8
        )
        np.testing.assert_allclose(end, way.y[:, -1], atol=0.02)
    twice = [weight.repeat(2, *[1] * (weight.dim() - 1)) for weight in weights]
    torch.testing.assert_close(
        ode_solver.solve(twice, points, 8), ode_solver.solve(weights, points, 8), msg="equal blocks share"
    )


def test_the_network_to_take_blocks_out_of_is_there_after_the_study(folder):
    study, settings = rw.studies.lesions, {**SMALL["lesions"], "deleted": (1,), "swapped": (1,), "draws": 1}
    chosen = study.settings(**settings)
    assert study.network(chosen, folder=folder) is None
    result = study(folder=folder, **settings)
    model, data = study.network(chosen, folder=folder)
    assert lesions.error_after(model, [], data) == pytest.approx(float(result.numbers["residual/whole"][0]))
