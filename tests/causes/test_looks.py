"""Each look beside a slow, obvious computation, or another library's."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import nn

import reswork as rw
from reswork.causes import why
from reswork.causes.case import Case
from reswork.causes.flips import brightened, shifted, trials
from reswork.causes.removal import Part, Removal
from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import stratified_order
from reswork.reporting.answers import outputs
from tests.store.foreign_networks import PreActivationBlock, Small


def features(model, data, rows, layer):
    """Means over the positions of a layer's output, by a hook of one's own."""
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o.mean((2, 3))))
    with torch.no_grad():
        model(
            normalise(
                data.train.images[rows] if rows is not None else data.test.images[:1], data.mean, data.std
            )
        )
    hook.remove()
    return kept[0].numpy()


def test_neighbours_are_those_of_scikit_learn(planted, planted_model, planted_data):
    rows = planted.case.rows
    for stage, layer in enumerate(planted.neighbours().layers):
        sample = features(planted_model, planted_data, torch.as_tensor(rows), layer)
        own = features(planted_model, planted_data, None, layer)
        mean = sample.mean(axis=0)
        fitted = NearestNeighbors(n_neighbors=20, metric="cosine").fit(sample - mean)
        distance, nearest = fitted.kneighbors(own - mean)
        found = planted.neighbours()
        assert np.array_equal(rows[nearest[0]], found.images[stage])
        np.testing.assert_allclose(1 - distance[0], found.similarity[stage], atol=1e-5)
        weights = np.exp((1 - distance[0]) / 0.07)
        labels = planted_data.train.labels.numpy()[rows[nearest[0]]]
        votes = [weights[labels == k].sum() / weights.sum() for k in range(3)]
        np.testing.assert_allclose(votes, found.votes[stage], atol=1e-4)


def test_the_probe_is_a_ridge_regression(planted, planted_model, planted_data):
    found, case = planted.turning(), planted.case
    order = stratified_order(case.labels, 2)
    judges = order[: round(0.3 * len(order))]
    fitted = np.setdiff1d(order, judges)
    assert found.fitted == len(fitted) and found.probe_images == len(judges)
    for place, layer in enumerate(found.blocks):
        sample = features(planted_model, planted_data, torch.as_tensor(case.rows), layer)
        scale = StandardScaler().fit(sample[fitted])
        probe = RidgeClassifier(alpha=1.0).fit(scale.transform(sample[fitted]), case.labels[fitted])
        scores = probe.decision_function(scale.transform(features(planted_model, planted_data, None, layer)))[
            0
        ]
        assert scores[1] - scores[0] == pytest.approx(found.probe_margin[place], abs=1e-3)
        right = probe.score(scale.transform(sample[judges]), case.labels[judges])
        assert found.probe_accuracy[place] == pytest.approx(right, abs=0.02)


def logits_of(model, data):
    with torch.no_grad():
        return model.eval()(normalise(data.test.images[:1], data.mean, data.std))[0].numpy()


def test_blocks_are_deleted_as_by_hand(planted, planted_model, planted_data):
    """The last norm of a branch set to zero is a branch that gives nothing."""
    found, turning = planted.carriers(), planted.turning()
    for row in found.rows("block"):
        without = copy.deepcopy(planted_model)
        norm = without.get_submodule(f"{found.names[row]}.bn2")
        nn.init.zeros_(norm.weight), nn.init.zeros_(norm.bias)
        logits = logits_of(without, planted_data)
        assert logits[1] - logits[0] == pytest.approx(found.margin + found.change[row], abs=1e-4)
        assert found.answers[row] == logits.argmax()
    after = copy.deepcopy(planted_model)
    for place in range(len(turning.blocks) - 1, -1, -1):
        logits = logits_of(after, planted_data)
        assert logits[1] - logits[0] == pytest.approx(turning.head_margin[place], abs=1e-4)
        norm = after.get_submodule(f"{turning.blocks[place]}.bn2")
        nn.init.zeros_(norm.weight), nn.init.zeros_(norm.bias)


class Nothing(nn.Module):
    """A shortcut that carries nothing."""

    def __init__(self, inner: nn.Module | None) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.zeros_like(x if self.inner is None else self.inner(x))


@pytest.mark.parametrize("settings", [{}, {"shortcut": "B"}, {"order": "pre"}, {"block": "bottleneck"}])
def test_shortcuts_are_cut_as_by_hand(planted_data, settings):
    torch.manual_seed(0)
    depth = 11 if settings.get("block") == "bottleneck" else 8
    model = rw.resnet(depth=depth, width=4, num_classes=3, **settings).eval()
    found = why(model, planted_data, 0, training_images=30).carriers()
    rows = found.rows("shortcut")
    assert len(rows) == 3
    for row in rows:
        without = copy.deepcopy(model)
        block = without.get_submodule(found.names[row])
        block.downsample = Nothing(block.downsample)
        logits = logits_of(without, planted_data)
        assert logits[found.other] - logits[found.predicted] == pytest.approx(
            found.margin + found.change[row], abs=1e-4
        )


def test_channels_are_set_to_their_means_as_by_hand(planted, planted_model, planted_data):
    found = planted.carriers()
    rows = found.rows("channel")
    assert len(rows) == found.channels_in_all == 4 + 8 + 16
    for row in (*rows[:3], *rows[-3:]):
        name, channel = found.names[row], int(found.channels[row])
        mean = features(planted_model, planted_data, torch.as_tensor(planted.case.rows), name)[
            :, channel
        ].mean()

        def constant(module, inputs, output, channel=channel, mean=mean):
            output = output.clone()
            output[:, channel] = float(mean)
            return output

        hook = planted_model.get_submodule(name).register_forward_hook(constant)
        logits = logits_of(planted_model, planted_data)
        hook.remove()
        assert logits[1] - logits[0] == pytest.approx(found.margin + found.change[row], abs=1e-4)


def test_parts_of_one_image_leave_the_others_alone(planted_model, planted_data):
    case = Case(planted_model, planted_data, 0, "test", None, 30)
    removal = Removal(case)
    images = planted_data.test.images[:3]
    lacking = [[], [Part("block", "layer1.0"), Part("shortcut", "layer3.0")], []]
    both = removal.answers(images, lacking)
    whole = case.answers(images)
    np.testing.assert_array_equal(both[[0, 2]], whole[[0, 2]])
    assert not np.allclose(both[1], whole[1])
    alone = removal.answers(images[1:2], lacking[1:2])
    np.testing.assert_allclose(both[1], alone[0], atol=1e-5)


def test_the_smallest_changes_are_the_smallest(planted, planted_model, planted_data):
    """Every smaller change of the same grid, tried one by one, leaves the answer."""

    def said(images):
        with torch.no_grad():
            inputs = normalise(torch.from_numpy(np.stack(images)), planted_data.mean, planted_data.std)
            return planted_model(inputs).argmax(1).numpy()

    image = planted.case.image
    patch, shift, brightness = planted.flips()
    assert said([patch.image])[0] == patch.answer
    side = int(patch.amount)
    for smaller in range(1, side):
        covered = []
        for top in range(0, 17 - smaller, max(1, smaller // 2)):
            for left in range(0, 17 - smaller, max(1, smaller // 2)):
                covered.append(image.copy())
                covered[-1][:, top : top + smaller, left : left + smaller] = 128
        assert (said(covered) == 0).all()
    moves = {(y, x): shifted(image, y, x) for y in range(-4, 5) for x in range(-4, 5)}
    turned = {move for move, answer in zip(moves, said(list(moves.values())), strict=True) if answer != 0}
    assert shift.found == bool(turned)
    if turned:
        assert shift.amount == pytest.approx(min(np.hypot(*move) for move in turned))
    amounts = [sign * step for step in range(4, 129, 4) for sign in (1, -1)]
    found = [amount for amount, answer in zip(amounts, said([brightened(image, each) for each in amounts]), strict=True)
             if answer != 0]  # fmt: skip
    assert brightness.found == bool(found)
    if found:
        assert abs(brightness.amount) == min(map(abs, found))
    assert trials((16, 16)) >= patch.tried + shift.tried + brightness.tried


def test_a_shift_repeats_the_border():
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert shifted(image, 1, 0)[0].tolist() == [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7]]
    assert shifted(image, 0, -2)[0, 0].tolist() == [2, 3, 3, 3]
    assert brightened(image, -3)[0, 0].tolist() == [0, 0, 0, 0]


def test_the_look_alike_is_the_nearest_right_one(planted, planted_model, planted_data):
    found = planted.look_alike()
    rows = np.flatnonzero(planted_data.train.labels.numpy() == 1)
    said = np.concatenate(
        [out.argmax(1).numpy() for out, _, _ in outputs(planted_model, planted_data, planted_data.train)]
    )
    rows = rows[said[rows] == 1]
    assert found.count == len(rows)
    for place, layer in enumerate(found.blocks):
        sample = features(planted_model, planted_data, torch.as_tensor(rows), layer)
        own = features(planted_model, planted_data, None, layer)
        away = pairwise_distances(own, sample, metric="cosine")[0]
        between = pairwise_distances(sample, metric="cosine")[np.triu_indices(len(rows), 1)]
        if layer == found.blocks[-1]:
            assert rows[away.argmin()] == found.image
        assert away[list(rows).index(found.image)] == pytest.approx(found.distance[place], abs=1e-5)
        assert np.median(between) == pytest.approx(found.usual[place], abs=1e-5)
        assert np.quantile(between, 0.95) == pytest.approx(found.limit[place], abs=1e-5)


def test_a_shortcut_that_runs_before_its_branch_is_cut_as_by_hand(planted_data):
    """kuangliu's block: its projection reads what the branch reads, and is there before it."""
    torch.manual_seed(0)
    model = Small(PreActivationBlock, stem_norm=False, widths=(4, 8)).eval()
    model.linear = nn.Linear(8, 3)
    found = why(model, planted_data, 0, training_images=20).carriers()
    rows = found.rows("shortcut")
    assert len(rows) == 4
    for row in rows:
        without = copy.deepcopy(model)
        block = without.get_submodule(found.names[row])

        def branch(x, block=block):
            return block.conv2(block.bn2(block.conv1(block.bn1(x).relu())).relu())

        block.forward = branch
        logits = logits_of(without, planted_data)
        margin = logits[found.other] - logits[found.predicted]
        assert margin == pytest.approx(found.margin + found.change[row], abs=1e-4)


class Crowd(nn.Module):
    """A norm without statistics of its own: the answer to an image depends on the others beside it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        body = rw.resnet(depth=8, width=4, num_classes=3)
        for norm in (module for module in body.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
        self.body = body

    def forward(self, x):
        return self.body(x)


def test_where_images_change_each_others_answers_each_is_asked_alone(planted_data):
    case = Case(Crowd(), planted_data, 0, "test", None, 12)
    assert case.batch == 1 and "one at a time" in " ".join(case.notes)
    alone = logits_of(case.net, planted_data)
    np.testing.assert_allclose(case.answers(planted_data.test.images[:3])[0], alone, atol=1e-4)
    removal = Removal(case)
    both = removal.answers(planted_data.test.images[:2], [[], [Part("block", "body.layer2.0")]])
    np.testing.assert_allclose(both[0], alone, atol=1e-4)
