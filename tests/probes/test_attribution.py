import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from captum import attr
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.probes import METHODS, Difference, Options, Top, attribution, attributions, stage_attributions

COMPLETE = [name for name, spec in METHODS.items() if spec.complete]
LAYERED = [name for name, spec in METHODS.items() if spec.layer]
QUICK = Options(samples=4, superpixels=9, window=4, stride=4, steps=8)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def values(*settings, **more) -> Tensor:
    return torch.from_numpy(attribution(*settings, **more).values)


def same(before, after) -> bool:
    """Equal states, also to the last bit of every tensor."""
    if isinstance(before, Tensor):
        return torch.equal(before, after)
    if isinstance(before, tuple | list):
        return len(before) == len(after) and all(same(a, b) for a, b in zip(before, after, strict=True))
    return before is after or before == after


# --- numbers that we did not compute ---


def test_saliency_is_the_absolute_gradient(plain, images) -> None:
    leaf = images.clone().requires_grad_()
    plain(leaf)[:, 3].sum().backward()
    torch.testing.assert_close(values(plain, images, method="saliency", target=3), leaf.grad.abs(), **CLOSE)


def _captums(net: nn.Module, method: str) -> Callable[..., Tensor]:
    kinds = {
        "saliency": attr.Saliency, "input_x_gradient": attr.InputXGradient, "deconvolution": attr.Deconvolution,
        "guided_backprop": attr.GuidedBackprop,
    }  # fmt: skip
    return kinds[method](net).attribute


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["saliency", "input_x_gradient", "deconvolution", "guided_backprop"])
def test_gradient_methods_are_captums(reused, plain, images, method) -> None:
    """On the net with reused in-place ReLUs we give what captum gives on the same net written out."""
    leaf = images.clone().requires_grad_()
    theirs = _captums(plain, method)(leaf, target=[0, 3, 4]).detach()
    for net in (plain, reused):
        torch.testing.assert_close(values(net, images, method=method, target=[0, 3, 4]), theirs, **CLOSE)


@pytest.mark.filterwarnings("ignore")
def test_captum_alone_is_wrong_or_refuses_on_reused_relus(reused, plain, images) -> None:
    """What the separation of calls is for."""
    right = attr.GuidedBackprop(plain).attribute(images.clone().requires_grad_(), target=3)
    raw = attr.GuidedBackprop(copy.deepcopy(reused)).attribute(images.clone().requires_grad_(), target=3)
    assert not torch.allclose(right, raw, atol=1e-3)
    with pytest.raises(RuntimeError, match="used more than once"):
        attr.DeepLift(copy.deepcopy(reused)).attribute(images.clone().requires_grad_(), target=3)


def test_integrated_gradients_are_captums(plain, images) -> None:
    theirs = attr.IntegratedGradients(plain).attribute(images, torch.zeros_like(images), target=2, n_steps=40)
    ours = values(plain, images, method="integrated_gradients", target=2, options=Options(steps=40))
    torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=1e-5)


def test_integrated_gradients_by_hand(plain, images) -> None:
    """The midpoint rule with many small steps, one at a time."""
    leaf, total = images * 0.2, torch.zeros_like(images)
    for step in range(400):
        point = torch.lerp(leaf, images, (step + 0.5) / 400).requires_grad_()
        total += torch.autograd.grad(plain(point)[:, 2].sum(), point)[0] / 400
    ours = values(
        plain, images, method="integrated_gradients", target=2, baseline=leaf, options=Options(steps=100)
    )
    torch.testing.assert_close(ours, total * (images - leaf), rtol=0.02, atol=0.02 * float(total.abs().max()))


@torch.no_grad()
def test_occlusion_by_hand(plain, images) -> None:
    window, stride, (height, width) = 6, 4, images.shape[2:]
    falls, times = torch.zeros(len(images), 1, height, width), torch.zeros(height, width)
    for top in range(0, height - window + stride, stride):
        for left in range(0, width - window + stride, stride):
            patch = (slice(top, top + window), slice(left, left + window))
            covered = images.clone()
            covered[:, :, *patch] = 0.3
            falls[:, 0, *patch] += (plain(images) - plain(covered))[:, 1, None, None]
            times[patch] += 1
    ours = values(
        plain, images, method="occlusion", target=1, baseline=torch.tensor(0.3),
        options=Options(window=window, stride=stride),
    )  # fmt: skip
    torch.testing.assert_close(ours, falls / times, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_deep_lift_is_captums_where_pools_do_not_overlap(plain, images) -> None:
    plain.pool = nn.AvgPool2d(2)
    theirs = attr.DeepLift(copy.deepcopy(plain)).attribute(
        images.clone().requires_grad_(), images * 0.1, target=1
    )
    ours = values(plain, images, method="deep_lift", target=1, baseline=images * 0.1)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 2), (5, 3), (3, 1), (16, 16)])
def test_occlusion_is_captums(plain, images, window, stride) -> None:
    with torch.no_grad():
        theirs = attr.Occlusion(plain).attribute(
            images, (3, window, window), (3, stride, stride), baselines=0.3, target=[0, 3, 4]
        )
    ours = values(
        plain, images, method="occlusion", target=[0, 3, 4], baseline=torch.tensor(0.3),
        options=Options(window=window, stride=stride),
    )  # fmt: skip
    torch.testing.assert_close(ours.expand(-1, 3, -1, -1), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layer", ["conv2", "pool", "relu3"])
def test_grad_cam_and_guided_grad_cam_are_captums(plain, images, layer) -> None:
    module = plain.get_submodule(layer)
    theirs = attr.LayerGradCam(plain, module).attribute(images, target=4, relu_attributions=True)
    ours = values(plain, images, method="grad_cam", target=4, layer=layer)
    torch.testing.assert_close(ours, theirs.detach(), **CLOSE)
    theirs = attr.GuidedGradCam(plain, module).attribute(images.clone().requires_grad_(), target=4)
    ours = values(plain, images, method="guided_grad_cam", target=4, layer=layer)
    torch.testing.assert_close(ours, theirs.detach(), **CLOSE)


def test_grad_cam_and_layer_cam_by_hand(plain, images) -> None:
    kept = {}
    hook = plain.relu2.register_forward_hook(lambda m, i, o: kept.update(out=o))
    score = plain(images.clone().requires_grad_())[:, 1].sum()
    hook.remove()
    (slope,) = torch.autograd.grad(score, kept["out"])
    cam = (slope.mean((2, 3), keepdim=True) * kept["out"]).sum(1, keepdim=True).clamp(min=0)
    finer = (slope.clamp(min=0) * kept["out"]).sum(1, keepdim=True).clamp(min=0)
    torch.testing.assert_close(values(plain, images, target=1, layer="relu2"), cam.detach(), **CLOSE)
    ours = values(plain, images, method="layer_cam", target=1, layer="relu2")
    torch.testing.assert_close(ours, finer.detach(), **CLOSE)


def test_a_layer_before_something_in_place_keeps_its_own_output(reused, plain, images) -> None:
    """conv1's output is overwritten by the ReLU behind it; the map is of what conv1 gave."""
    ours = values(reused, images, target=0, layer="conv1")
    torch.testing.assert_close(ours, values(plain, images, target=0, layer="conv1"), **CLOSE)


def test_smooth_is_the_mean_over_noisy_copies(plain, images) -> None:
    found = values(
        plain, images, method="input_x_gradient", target=1, smooth=200, options=Options(noise=0.05)
    )
    span = (images.flatten(1).amax(1) - images.flatten(1).amin(1)).view(-1, 1, 1, 1)
    noisy = images + 0.05 * span * torch.randn(400, *images.shape)
    by_hand = values(plain, noisy.flatten(0, 1), method="input_x_gradient", target=1).view_as(noisy)
    error = (by_hand.std(0) * (1 / 200 + 1 / 400) ** 0.5).clamp(min=1e-6)
    assert ((found - by_hand.mean(0)).abs() / error).mean() < 1.2  # about 0.8 where only chance differs


# --- completeness ---


@pytest.mark.parametrize("build", [torchvision.models.resnet18, torchvision.models.resnet50])
def test_deep_lift_is_complete_on_torchvisions(build) -> None:
    """Shared in-place ReLUs and an overlapping max pool: captum alone raises here."""
    torch.manual_seed(0)
    found = attribution(build(weights=None), torch.randn(2, 3, 64, 64), method="deep_lift", target=3)
    assert (found.gaps < 1e-3).all()


@pytest.mark.parametrize("baseline", ["black", "mean", "blur", "noise"])
def test_integrated_gradients_are_complete_to_one_percent(reused, images, baseline) -> None:
    found = attribution(reused, images, method="integrated_gradients", target=2, baseline=baseline)
    assert (found.gaps < 0.01).all() and found.baseline == baseline


@pytest.mark.parametrize("method", COMPLETE)
def test_a_difference_of_classes_is_shared_out_too(reused, images, method) -> None:
    found = attribution(reused, images, method=method, target=Difference(3, 1), options=Options(samples=128))
    with torch.no_grad():
        logits = reused(images)
    assert found.targets == ("3 - 1",) * 3
    np.testing.assert_allclose(found.scores, (logits[:, 3] - logits[:, 1]).numpy(), rtol=1e-4)
    total = found.values.sum((1, 2, 3))
    np.testing.assert_allclose(
        total, found.scores - found.reference_scores, atol=0.02 * np.abs(found.scores).max()
    )


def test_many_steps_never_meet_the_net_at_once(reused, images) -> None:
    """Ten thousand steps: the largest batch that the net sees stays small, and the sum is right."""
    seen = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = reused

        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return self.net(x)

    found = attribution(
        Watched(),
        images[:1, :, :8, :8],
        method="integrated_gradients",
        target=0,
        options=Options(steps=5_000),
    )
    assert max(seen) <= 64 and sum(seen) >= 5_000
    assert found.gaps[0] < 1e-3


# --- targets, images, outputs ---


def test_targets(reused, images) -> None:
    with torch.no_grad():
        logits = reused(images)
    best = logits.argmax(1)
    found = attribution(reused, images, target="predicted")
    assert found.targets == tuple(str(int(value)) for value in best)
    same_ = attribution(reused, images, target=best.tolist())
    assert np.array_equal(found.values, same_.values)
    top = attribution(reused, images, method="saliency", target=Top(2))
    assert top.images.tolist() == [0, 0, 1, 1, 2, 2] and len(top) == 6
    np.testing.assert_allclose(top.scores, logits.topk(2).values.flatten().numpy(), rtol=1e-5)
    first = attribution(reused, images, method="saliency")
    np.testing.assert_allclose(top.values[::2], first.values, atol=1e-6)
    assert len(attribution(reused, images, target=Top(2))) == 6
    assert attribution(reused, images, target=np.int64(2)).targets == ("2", "2", "2")


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"target": 9}, "target", "0 to 4"),
        ({"target": [1, 2]}, "target", "2 targets for 3 images"),
        ({"target": "best"}, "target", "'predicted'"),
        ({"target": Difference(0, 7)}, "target", "0 to 4"),
        ({"target": Top(9)}, "target", "1 to 5"),
        ({"method": "gradcam"}, "method", "grad_cam"),
        ({"method": "saliency", "layer": "conv1"}, "layer", "grad_cam"),
        ({"layer": "conv4"}, "layer", "conv"),
        ({"layer": "fc"}, "layer", "no map"),
        ({"method": "occlusion", "baseline": "white"}, "baseline", "black"),
        ({"method": "occlusion", "baseline": torch.zeros(2, 7)}, "baseline", "does not fit"),
        ({"method": "occlusion", "options": Options(window=17)}, "window", "does not fit"),
        ({"smooth": -1}, "smooth", "0"),
        ({"output": "logits"}, "output", "leave output out"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(reused, images, more, field, words) -> None:
    with pytest.raises(InvalidSetting, match=words) as caught:
        attribution(reused, images, **more)
    assert caught.value.field == field


def test_a_misspelt_layer_gets_the_nearest_three(reused, images) -> None:
    with pytest.raises(InvalidSetting, match=r"the nearest are 'conv\d', 'conv\d', 'conv\d'"):
        attribution(reused, images, layer="conv_2")


@pytest.mark.parametrize(
    "wrong", [torch.zeros(3, 16), torch.zeros(0, 3, 16, 16), torch.zeros(1, 3, 8, 8).byte()]
)
def test_what_is_no_picture_is_refused(reused, wrong) -> None:
    with pytest.raises(InvalidSetting) as caught:
        attribution(reused, wrong)
    assert caught.value.field == "images"


def test_wrong_channels_are_one_sentence(reused) -> None:
    with pytest.raises(InvalidSetting, match=r"does not take one batch of shape \(1, 1, 16, 16\)"):
        attribution(reused, torch.zeros(1, 1, 16, 16))


class Packed(nn.Module):
    def __init__(self, net: nn.Module, kind: str) -> None:
        super().__init__()
        self.net, self.kind = net, kind

    def forward(self, x: Tensor):
        logits = self.net(x)
        return {
            "dict": {"aux": logits * 2, "out": logits},
            "tuple": (logits, x),
            "map": logits[..., None, None],
        }[self.kind]


@pytest.mark.parametrize(
    ("kind", "output", "words"),
    [
        ("dict", "out", "'aux', 'out'"),
        ("tuple", 0, "0 to 1"),
        ("map", lambda y: y.mean((2, 3)), "segmentation"),
    ],
)
def test_other_outputs_work_or_say_what_to_give(reused, images, kind, output, words) -> None:
    packed = Packed(reused, kind).eval()
    for method in ("grad_cam", "saliency", "deep_lift"):
        with pytest.raises(InvalidSetting, match=words):
            attribution(packed, images, method=method, target=1)
        got = attribution(packed, images, method=method, target=1, output=output)
        np.testing.assert_allclose(
            got.values, attribution(reused, images, method=method, target=1).values, atol=1e-6
        )


def test_half_precision_frozen_parallel_and_compiled(reused, images) -> None:
    wanted = attribution(reused, images, method="saliency", target=1).values
    frozen = copy.deepcopy(reused).requires_grad_(False)
    assert np.array_equal(attribution(frozen, images, method="saliency", target=1).values, wanted)
    wrapped = nn.DataParallel(copy.deepcopy(reused))
    assert np.array_equal(attribution(wrapped, images, method="saliency", target=1).values, wanted)
    compiled = torch.compile(copy.deepcopy(reused))
    assert np.array_equal(attribution(compiled, images, method="saliency", target=1).values, wanted)
    half = copy.deepcopy(reused).half()
    found = attribution(half, images.half(), method="saliency", target=1)
    assert "half precision" in " ".join(found.notes)
    single = attribution(copy.deepcopy(half).float(), images.half().float(), method="saliency", target=1)
    assert np.array_equal(found.values, single.values)
    assert next(half.parameters()).dtype is torch.float16


# --- warnings in words ---


def test_a_coarse_map_says_so() -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(weights=None).eval()
    found = attribution(net, torch.randn(1, 3, 64, 64))
    assert found.layer == "layer4" and "layer4 has only 2x2 cells" in " ".join(found.notes)
    earlier = attribution(net, torch.randn(1, 3, 64, 64), layer="layer2")
    assert not earlier.notes


def test_batch_norm_in_training_mode_is_said_and_left(reused, images, state_of) -> None:
    reused.train()
    before = state_of(reused)
    found = attribution(reused, images, target=1)
    assert "training mode" in " ".join(found.notes) and same(before, state_of(reused))
    assert np.array_equal(found.values, attribution(reused.eval(), images, target=1).values)


def test_what_has_no_rule_is_said(images) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert "rule" not in " ".join(attribution(net, images, method="deep_lift", target=1).notes)
    found = attribution(net, images, method="guided_backprop", target=1)
    assert "plain gradient" in " ".join(found.notes)
    np.testing.assert_allclose(
        np.abs(found.values), attribution(net, images, method="saliency", target=1).values
    )


def test_a_layer_called_twice_is_said(reused, images) -> None:
    assert "relu is called 2 times" in " ".join(attribution(reused, images, layer="relu").notes)


def test_black_is_explained_and_can_be_real(reused, images) -> None:
    found = attribution(reused, images, method="occlusion", target=0, options=QUICK)
    assert "real black" in " ".join(found.notes)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    black = -torch.tensor(mean) / torch.tensor(std)
    real = Options(window=4, stride=4, normalisation=(mean, std))
    found = attribution(reused, images, method="occlusion", target=0, options=real)
    given = attribution(
        reused, images, method="occlusion", target=0, baseline=black.view(3, 1, 1), options=QUICK
    )
    assert not found.notes and np.allclose(found.values, given.values, atol=1e-6)


# --- nothing changes by looking ---


@pytest.mark.parametrize("method", METHODS)
def test_the_model_and_the_random_state_stay(reused, images, state_of, method) -> None:
    reused.train()
    reused.conv3.eval().requires_grad_(False)
    reused.fc.weight.grad = torch.ones_like(reused.fc.weight)
    calls = []
    hooks = [
        reused.conv1.register_forward_hook(lambda *_: calls.append("forward")),
        reused.fc.register_full_backward_hook(lambda *_: calls.append("backward")),
    ]
    torch.rand(3)
    numpy_before = np.random.get_state()[1].copy()
    before = state_of(reused)
    found = attribution(reused, images, method=method, smooth=2, options=QUICK)
    with pytest.raises(InvalidSetting):
        attribution(reused, images, method=method, target=99, options=QUICK)
    assert same(before, state_of(reused))
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert not calls and found.values.dtype == np.float32 and np.isfinite(found.values).all()
    again = attribution(reused, images, method=method, smooth=2, options=QUICK)
    assert np.array_equal(found.values, again.values)
    for hook in hooks:
        hook.remove()


class Failing(nn.Module):
    """Works as often as it is told to, then fails; draws random numbers all the time."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.conv, self.fc, self.left = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), [times]

    def __deepcopy__(self, memo):
        twin = Failing(self.left[0])
        twin.load_state_dict(self.state_dict())
        return twin

    def forward(self, x: Tensor) -> Tensor:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise RuntimeError("no more")
        x = torch.dropout(self.conv(x), 0.5, True).relu().mean((2, 3))
        return self.fc(x)


@pytest.mark.parametrize("times", [0, 1, 2, 3])
@pytest.mark.parametrize("method", ["grad_cam", "deep_lift", "integrated_gradients", "occlusion"])
def test_also_when_it_raises_and_when_the_net_draws(images, state_of, method, times) -> None:
    torch.manual_seed(0)
    net = Failing(times)
    torch.manual_seed(7)
    before = state_of(net)
    state = torch.get_rng_state()
    try:
        attribution(net, images, method=method, target=0)
    except (InvalidSetting, RuntimeError):
        pass
    else:
        assert times  # with none left it must have failed
    torch.manual_seed(7)
    assert same(before[:3], state_of(net)[:3]) and torch.equal(state, torch.get_rng_state())


def test_a_net_that_draws_leaves_the_random_state(images) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        torchvision.ops.Permute([0, 1, 2, 3]),
        Always(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()
    before = torch.get_rng_state()
    for method in ("grad_cam", "saliency"):
        attribution(net, images, method=method, target=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("draws", [True, False])
@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion"])
def test_after_a_first_look_only_a_net_that_draws_is_minded(images, draws, method) -> None:
    """Minding each operation takes a fifth of the time of a single picture's pass."""
    minded = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            minded.append(_get_current_dispatch_mode() is not None)
            return torch.dropout(x, 0.5, draws).mean((2, 3))

    before = torch.get_rng_state()
    attribution(Watched(), images, method=method, target=1, options=QUICK)
    looks = 3  # the picture by itself, and beside two others
    assert all(minded[:looks]) and len(minded) > looks and all(each is draws for each in minded[looks:])
    assert torch.equal(before, torch.get_rng_state())


class Always(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.dropout(x, 0.5, True)


def test_images_stay(reused, images) -> None:
    reused.conv1 = nn.Sequential(nn.ReLU(inplace=True), reused.conv1)  # works in place on its input
    before = images.clone()
    for method in ("grad_cam", "saliency", "occlusion", "deep_lift"):
        attribution(reused, images, method=method, target=1, options=QUICK)
    assert torch.equal(before, images) and not images.requires_grad


# --- several at once ---


def test_results_come_one_by_one(reused, images) -> None:
    found = attributions(reused, images, methods=("saliency", "occlusion"), options=QUICK)
    assert next(found).method == "saliency"
    assert next(found).method == "occlusion"
    assert next(found, None) is None


def test_stages_side_by_side_are_the_single_maps() -> None:
    torch.manual_seed(0)
    net, images = rw.resnet(depth=20).eval(), torch.randn(2, 3, 32, 32)
    for method in ("grad_cam", "layer_cam"):
        found = stage_attributions(net, images, method=method, target=[1, 2])
        assert [one.layer for one in found] == ["layer1", "layer2", "layer3"]
        for one in found:
            alone = attribution(net, images, method=method, target=[1, 2], layer=one.layer)
            np.testing.assert_allclose(one.values, alone.values, rtol=1e-4, atol=1e-6)
    top = stage_attributions(net, images, target=Top(3), layers=("layer2.0.conv1", "layer3"))
    assert [len(one) for one in top] == [6, 6] and top[0].images.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("build", [torchvision.models.resnet18, torchvision.models.resnet50])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_works_on_torchvisions(build, method) -> None:
    if build is torchvision.models.resnet50 and method not in (*LAYERED, "saliency", "deep_lift"):
        pytest.skip("the smaller net is enough")
    torch.manual_seed(0)
    quick = Options(samples=2, superpixels=4, window=16, stride=16, steps=2)
    found = attribution(build(weights=None), torch.randn(1, 3, 64, 64), method=method, options=quick)
    assert np.isfinite(found.values).all() and found.maps.shape == (1, 64, 64)
    assert np.abs(found.values).max() > 0 or method in LAYERED


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_the_device_makes_no_difference(reused, images, method) -> None:
    if not torch.accelerator.is_available():
        pytest.skip("there is no accelerator")
    device = torch.accelerator.current_accelerator()
    here = attribution(reused, images, method=method, target=1, options=QUICK)
    there = attribution(copy.deepcopy(reused).to(device), images, method=method, target=1, options=QUICK)
    np.testing.assert_allclose(here.values, there.values, rtol=1e-3, atol=1e-4)


class InPlaceTail(nn.Module):
    """The last layer's output is changed by what comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.bn(self.conv(x))
        x.relu_()
        return {"logits": self.fc((2 * x).mean((2, 3)))}


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam"])
def test_the_default_map_is_of_the_layer_that_it_names(images, method) -> None:
    torch.manual_seed(0)
    net = InPlaceTail().eval()
    found = attribution(net, images, method=method, target=1)
    assert found.layer == "bn"
    kept = net.bn(net.conv(images)).detach().requires_grad_()
    score = net.fc((2 * kept.relu()).mean((2, 3)))[:, 1].sum()
    (slope,) = torch.autograd.grad(score, kept)
    weights = slope.mean((2, 3), keepdim=True) if method == "grad_cam" else slope.relu()
    by_hand = (weights * kept.detach()).sum(1, keepdim=True).relu()
    torch.testing.assert_close(torch.from_numpy(found.values), by_hand, **CLOSE)


class Whole(nn.Module):
    """Computes in whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.arange(-6, 6).view(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return (x.mean((2, 3)) * 100).round().long() @ self.weight.T


class Ungraded(nn.Module):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@pytest.mark.parametrize("net", [Whole(), Ungraded()])
def test_nets_without_slopes_are_covered_or_refused(net, images) -> None:
    for method in ("saliency", "integrated_gradients", "deep_lift", "guided_backprop", "gradient_shap"):
        with pytest.raises(InvalidSetting, match="no slope"):
            attribution(net, images, method=method, target=1)
    found = attribution(net, images, method="occlusion", target=1, options=Options(window=16, stride=16))
    with torch.no_grad():
        fall = (net(images) - net(torch.zeros_like(images)))[:, 1]
    torch.testing.assert_close(torch.from_numpy(found.values[:, 0, 0, 0]), fall.float())


class Centred(nn.Module):
    """Batch statistics without a norm of torch's."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean((0, 2, 3), keepdim=True)) / (0.5 + x.std((0, 2, 3), keepdim=True))


MIXING = [nn.BatchNorm2d(6, track_running_stats=False), Centred()]
ALONE = [
    "grad_cam",
    "saliency",
    "guided_backprop",
    "integrated_gradients",
    "gradient_shap",
    "occlusion",
    "kernel_shap",
]


@pytest.mark.parametrize("norm", MIXING)
@pytest.mark.parametrize("method", ALONE)
def test_pictures_that_change_each_others_answer_are_looked_at_alone(images, norm, method) -> None:
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 6, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    net, taken = nn.Sequential(*parts).eval(), images * torch.tensor([1.0, 2.0, 4.0])[:, None, None, None]
    settings = {"method": method, "target": [0, 3, 1], "options": replace(QUICK, samples=64, steps=None)}
    found = attribution(net, taken, **settings)
    assert any("one at a time" in note for note in found.notes)
    singles = [attribution(net, image[None], **settings | {"target": target})
               for image, target in zip(taken, (0, 3, 1), strict=True)]  # fmt: skip
    np.testing.assert_allclose(
        found.values, np.concatenate([one.values for one in singles]), rtol=1e-3, atol=1e-5
    )
    with torch.no_grad():
        scores = [float(net(image[None])[0, target]) for image, target in zip(taken, (0, 3, 1), strict=True)]
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)
    if method == "integrated_gradients":
        assert (found.gaps < 0.02).all()
    (first, *_) = stage_attributions(net, taken, target=1)
    assert any("one at a time" in note for note in first.notes)
    with pytest.raises(InvalidSetting, match="choose integrated_gradients"):
        attribution(net, taken, method="deep_lift")


def test_dropout_that_never_ends_is_no_mixing(images) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4), Always())
    assert not any("one at a time" in note for note in attribution(net, images, method="saliency").notes)


def test_a_module_that_hands_the_image_on_is_not_the_last_layer() -> None:
    network = rw.edsr(scale=2, depth=8, width=4)  # adds the enlarged image behind all of its layers
    explained = rw.tasks.explained_model(network, rw.tasks.Restoration(), torch.rand(1, 3, 16, 16))
    found = stage_attributions(explained, torch.rand(1, 3, 16, 16), target=0)
    assert [each.layer for each in found] == ["decoder.last", "decoder"]
