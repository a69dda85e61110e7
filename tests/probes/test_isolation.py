"""Nothing changes by looking: every probe, on every kind of network, also when it fails."""

import threading
from collections import OrderedDict
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork import probes
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.probes import isolation
from reswork.probes.capture import watched
from reswork.probes.inputs import placed
from reswork.probes.isolation import OwnRandomness, undisturbed
from tests.probes.looking import images, net, unchanged


def data() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (24, 3, 32, 32), dtype=torch.uint8, generator=generator)
    splits = Split(pixels[:16], torch.arange(16) % 2), Split(pixels[16:], torch.arange(8) % 2)
    return Dataset("noise", *splits, ("a", "b"), (0.5,) * 3, (0.3,) * 3, "made up")


@cache
def twin() -> nn.Module:
    return net()


PROBES = {
    "feature_maps": lambda model, x: probes.feature_maps(model, x, layer="layer2.0.conv1"),
    "channel_examples": lambda model, x: probes.channel_examples(model, x, layer="layer2.0", channel=1),
    "filters": lambda model, x: probes.filters(model, layer="conv1"),
    "activation_histograms": lambda model, x: probes.activation_histograms(model, x),
    "receptive_field": lambda model, x: probes.receptive_field(model, x, layer="layer2.1"),
    "layer_table": lambda model, x: probes.layer_table(model, x, repeats=1),
    "linear_probe": lambda model, x: probes.linear_probe(model, data(), layers=["layer1.0"]),
    "cka": lambda model, x: probes.cka(model, x),
    "cka of two": lambda model, x: probes.cka(model, x, twin(), layers=["layer1.0"], other_layers=["conv1"]),
    "attribution": lambda model, x: probes.attribution(model, x, method="deep_lift", target=1),
    "attributions": lambda model, x: list(probes.attributions(model, x, methods=("grad_cam", "saliency")))[1],
    "stage_attributions": lambda model, x: probes.stage_attributions(model, x, target=1)[0],
    "trust": lambda model, x: probes.trust(model, x[:1], samples=2, points=1)[0],
    "shortcut_shares": lambda model, x: probes.shortcut_shares(model, x)[0],
    "outline": lambda model, x: probes.outline(model, x),
}
NO_PROBES = {  # names and settings; watched is what probes look with; fresh networks are made for initialisation;
    # curve_map takes signals, volume_map volumes and text_evidence texts: these are asked the same in their own files
    "BASELINES", "curve_map", "Difference", "EIGHT", "METHODS", "MethodSpec", "Options", "Top", "block_names",
    "forecast", "initialisation", "layer_names", "text_evidence", "volume_map", "watched",
}  # fmt: skip


def test_every_probe_is_in_the_list() -> None:
    listed = {name.partition(" ")[0] for name in PROBES}
    assert listed == set(probes.__all__) - NO_PROBES


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_leaves_the_network_as_it_was(name: str) -> None:
    model, x, before = net(), images(), images()
    with unchanged(model), unchanged(twin()):
        found = PROBES[name](model, x)
    assert found is not None
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", [name for name in PROBES if name != "cka of two"])
@pytest.mark.parametrize("wrap", ["compiled", "parallel", "compiled in place", "compiled inside"])
def test_wrapped_networks_answer_as_bare_ones(name: str, wrap: str) -> None:
    model = net()
    expected = PROBES[name](model, images())
    wrapped: nn.Module = model
    if wrap == "compiled":
        wrapped = torch.compile(model)
    elif wrap == "parallel":
        wrapped = nn.DataParallel(model)
    elif wrap == "compiled in place":
        model.layer2[0].compile()
    else:
        model.layer2 = torch.compile(model.layer2)
    with unchanged(wrapped):
        found = PROBES[name](wrapped, images())
    if name == "outline":
        assert found == expected
        return
    for field, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, vars(found)[field], equal_nan=True), field


class Failing(nn.Module):
    """Fails in its last layer, after it has counted its calls in a buffer and drawn a random number."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.register_buffer("calls", torch.zeros(()))
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.register_buffer("extra", torch.ones(3))
        x = F.dropout(self.last(self.first(x)), training=True)
        if self.calls > 1:
            raise self.error
        return x.mean(dim=(2, 3))


@pytest.mark.parametrize("error", [KeyError("inside"), RuntimeError("inside"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", [1, 2])
def test_nothing_stays_when_the_network_fails(error: Exception, call: int) -> None:
    model = Failing(error)
    model.calls += 2 - call
    wanted = InvalidSetting if isinstance(error, RuntimeError) else type(error)
    with unchanged(model), pytest.raises(wanted):  # noqa: SIM117
        with watched(model, ["first", "last"]) as seen:
            for _ in range(call):
                seen(images(2))


@pytest.mark.parametrize(
    "name", ["feature_maps", "activation_histograms", "receptive_field", "cka", "layer_table"]
)
def test_a_failing_probe_leaves_nothing_behind(name: str) -> None:
    model = net()
    with unchanged(model), pytest.raises(InvalidSetting, match="cannot take inputs of shape"):
        PROBES[name](model, torch.zeros(4, 7, 32, 32))


def test_what_a_network_does_to_itself_is_undone() -> None:
    model = Failing(KeyError("never"))
    with unchanged(model):
        with watched(model, ["last"]) as seen:
            seen(images(2))
            assert model.calls == 1 and "extra" in model._buffers
        assert model.calls == 0


class Drawing(nn.Module):
    """Draws random numbers in evaluation mode too, while another thread draws some of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        other = threading.Thread(target=lambda: torch.rand(3))
        other.start()
        other.join()
        return self.layer(F.dropout(x, training=True) + torch.rand(1) + torch.empty(1).normal_())


def test_random_numbers_of_another_thread_are_not_drawn_back() -> None:
    """Restoring the whole state at the end would rewind what a training drew meanwhile."""
    torch.manual_seed(0)
    torch.rand(3)
    expected = torch.get_rng_state()
    torch.manual_seed(0)
    with watched(Drawing(), ["layer"]) as seen:
        seen(torch.ones(5))
    assert torch.equal(torch.get_rng_state(), expected)


def test_a_generator_of_ones_own_is_drawn_from_and_the_global_one_let_alone(monkeypatch) -> None:
    """Not even for a moment: another thread may draw from it just then."""
    wanted = torch.rand(3, generator=torch.Generator().manual_seed(5))
    global_ = torch.get_rng_state()
    seeded: list[int] = []
    monkeypatch.setattr(isolation, "_generators", lambda *given: seeded.append(1) or [])
    with OwnRandomness() as randomness:
        assert torch.equal(torch.rand(3, generator=torch.Generator().manual_seed(5)), wanted)
        torch.empty(3).normal_(generator=torch.Generator().manual_seed(5))
        torch.randperm(5, generator=torch.Generator().manual_seed(5))
    assert not seeded and randomness.draws == 0
    assert torch.equal(torch.get_rng_state(), global_)


def test_random_networks_are_seen_alike_each_time_and_vary_inside() -> None:
    def look() -> Tensor:
        with watched(Drawing(), ["layer"]) as seen:
            first = seen(torch.ones(50))
            assert not torch.equal(first, seen(torch.ones(50)))
        return first

    one = look()
    torch.rand(1)
    assert torch.equal(one, look())


class Several(nn.Module):
    """Takes numbers of words and a scale by name, gives a dict; no images anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.mixing = nn.Embedding(11, 6), nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, words: Tensor, scale: Tensor) -> dict[str, Any]:
        mixed, state = self.mixing(self.words(words) * scale)
        return {"logits": self.head(mixed[:, -1]), "more": (state, None)}


def test_several_inputs_dict_outputs_and_no_images() -> None:
    model = Several()
    words, scale = torch.arange(20).reshape(4, 5) % 11, torch.ones(4, 1, 1)
    for inputs in ({"words": words, "scale": scale}, (words, scale), (words.numpy(), scale.numpy())):
        with unchanged(model):
            found = probes.feature_maps(model, inputs, layer="head", count=2)
            assert found.maps.shape == (4, 2, 1, 1) and found.images.shape == (4, 0, 0, 0)
            assert probes.cka(model, inputs, layers=["mixing", "head"]).values.shape == (2, 2)
            table = probes.layer_table(model, inputs, repeats=1)
            assert {layer.name for layer in table.layers} == {"words", "mixing", "head"}
    with pytest.raises(InvalidSetting, match="needs images"):
        probes.receptive_field(model, (words, scale), layer="head")


class Tupled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, OrderedDict[str, Tensor]]:
        x.sub_(1.0)  # in place, on the very input
        out = self.stem(x)
        return out, OrderedDict(again=F.relu_(out))


def test_operations_in_place_spoil_neither_the_input_nor_what_was_seen() -> None:
    model, x = Tupled(), images(2)
    before = x.clone()
    expected = model.stem(x - 1.0)
    with unchanged(model):
        found = probes.feature_maps(model, x, layer="stem", order="index")
        probes.receptive_field(model, x, layer="stem")
    assert np.array_equal(found.maps, expected.detach().numpy())
    assert (found.maps < 0).any()
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    model = net().to(dtype)
    with unchanged(model):
        for name in ("feature_maps", "activation_histograms", "receptive_field", "filters", "cka"):
            found = PROBES[name](model, images())
            for value in vars(found).values():
                assert not isinstance(value, np.ndarray) or value.dtype != np.float16


def test_frozen_parameters() -> None:
    model = net().requires_grad_(False)
    with unchanged(model):
        field = probes.receptive_field(model, images(), layer="layer2.1")
        assert field.influence.sum() == pytest.approx(1)
        assert probes.layer_table(model, images(1), repeats=1).activation_bytes == 0


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: "resnet", "not a network"),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nn.ReLU())),
            "its layer '1' is a TorchScript",
        ),
        (lambda: net().to("meta"), "shapes without numbers"),
        (lambda: torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}), "its layer 'fc' is quantised"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "call it once first"),
        (lambda: torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), "TorchScript"),
    ],
)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:torch.quantize", "ignore:.*torch.ao.quantization"
)
def test_what_cannot_be_watched_says_why(model: Any, sentence: str) -> None:
    given = model()
    with pytest.raises(InvalidSetting, match=sentence), undisturbed(given):
        pass
    for method in ("grad_cam", "saliency", "deep_lift", "occlusion"):
        with pytest.raises(InvalidSetting, match=sentence):
            probes.attribution(given, images(1), method=method)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match=sentence):
        probes.filters(given, layer="0")


def test_pictures_as_bytes_are_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidSetting, match="normalise them first"):
        probes.feature_maps(net(), torch.zeros(1, 3, 32, 32, dtype=torch.uint8), layer="conv1")
    with pytest.raises(InvalidSetting, match="nothing to look at"):
        placed(nn.Linear(2, 2), ())
