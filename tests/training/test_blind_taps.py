import ctypes
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reswork as rw
from reswork.datasets.dataset import Dataset
from reswork.tasks import Classification
from reswork.training.batches import Batch
from reswork.training.blind_taps import BlindTaps, blind_taps
from reswork.training.events import CompilingDone
from reswork.training.modes import Mode

BF16 = Mode("cpu", "bf16")


def pixels_seen(size: int, taps: int, stride: int, padding: int | str, dilation: int) -> list[bool]:
    """By pushing a 1 through each tap alone: whether any output differs from 0 for inputs of ones."""
    seen = []
    for tap in range(taps):
        weight = torch.zeros(1, 1, taps)
        weight[..., tap] = 1
        out = nn.functional.conv1d(torch.ones(1, 1, size), weight, None, stride, padding, dilation)
        seen.append(bool(out.any()))
    return seen


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
@pytest.mark.parametrize("padding", [0, 1, 2, 3, "same", "valid"])
def test_taps_are_blind_where_a_convolution_of_ones_gives_nothing(padding: int | str) -> None:
    tried = 0
    for size, taps, stride, dilation in product(range(1, 7), range(1, 8), (1, 2, 3), (1, 2, 4)):
        pad = 0 if isinstance(padding, str) else padding
        span = dilation * (taps - 1)
        fits = size + 2 * pad > span or padding == "same"
        if not fits or (padding == "same" and stride > 1):
            continue
        tried += 1
        found = blind_taps((size,), (taps,), stride, padding, dilation)
        seen = [True] * taps if found is None else (~found).tolist()
        assert seen == pixels_seen(size, taps, stride, padding, dilation), (size, taps, stride, dilation)
    assert tried > 20


def test_a_tap_is_blind_where_one_axis_is() -> None:
    found = blind_taps((1, 5), (3, 3), (2, 1), (1, 1), 1)
    assert found is not None
    assert found.tolist() == [[True] * 3, [False] * 3, [True] * 3]
    assert blind_taps((2, 2, 2), (3, 3, 3), 1, 1, 1) is None


@pytest.fixture
def filled_memory() -> Iterator[None]:
    """Memory that is taken and not filled holds 3e38, in bf16 and in fp32, where the C library is GNU's."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        yield
        return
    perturb, from_system = -6, -3  # M_PERTURB, and M_MMAP_THRESHOLD: what the system gives is 0
    library.mallopt(from_system, 1 << 25)
    library.mallopt(perturb, 0x80)
    yield
    library.mallopt(perturb, 0)


class Down(nn.Module):
    """Comes down to one pixel, and uses one convolution at two sizes."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, 2, 1)
        self.shared = nn.Conv2d(64, 64, 3, 2, 1)
        self.head = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        large = self.first(images).relu()
        small = self.shared(large).relu()
        smaller = self.shared(small)
        return self.head((small.mean((2, 3)) + smaller.mean((2, 3))).relu())


def gradients(precision: str, watched: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model, images, labels = Down(), torch.randn(16, 3, 4, 4), torch.randint(5, (16,))
    mode = Mode("cpu", precision)  # type: ignore[arg-type]
    batch, blind = Batch(images, labels), BlindTaps(model, Classification(), mode)
    if watched:
        blind.look(batch)
        assert blind.are_met == (precision == "bf16")
    with blind.left_out(batch):
        with mode.autocast():
            logits = model(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.usefixtures("filled_memory")
def test_gradients_are_those_of_fp32_where_a_convolution_sees_one_pixel() -> None:
    right = gradients("fp32", watched=False)
    found = gradients("bf16", watched=True)
    for name, gradient in right.items():
        assert (found[name] - gradient).norm() < 0.2 * gradient.norm(), name


def test_other_modes_and_networks_without_kernels_are_left_alone() -> None:
    batch = Batch(torch.randn(4, 3, 4, 4), torch.zeros(4, dtype=torch.int64))
    flat = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 5))
    for model, mode in ((Down(), Mode("cpu")), (flat, BF16), (Down(), Mode("cuda:0", "bf16"))):
        blind = BlindTaps(model, Classification(), mode)
        blind.look(batch)
        assert not blind.are_met


def test_looking_changes_neither_network_nor_random_numbers() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Dropout(), nn.Flatten(), nn.Linear(8, 5)
    )
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    blind = BlindTaps(model, Classification(), BF16)
    blind.look(Batch(torch.randn(4, 3, 1, 1, generator=torch.Generator()), torch.zeros(4, dtype=torch.int64)))
    assert blind.are_met
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [part.training for part in model] == [True, True, False, True, True]


@pytest.mark.usefixtures("filled_memory")
@pytest.mark.parametrize("more", [{}, {"checkpoint_activations": True}, {"accumulate": 2}, {"compile": "on"}])
def test_a_training_leaves_weights_alone_that_see_nothing(
    make_data: Callable[..., Dataset], more: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    model = Down(4)
    before = model.shared.weight.detach().clone()
    recipe = rw.Recipe(
        steps=3, batch_size=16, precision="bf16", device="cpu", clip_norm=1.0, weight_decay=0.0, **more
    )
    events = [*rw.fit(model, make_data(size=4), recipe)]
    told = [event.mode for event in events if isinstance(event, CompilingDone)]
    assert ["some convolutions see less than their kernel has" in mode for mode in told] == (
        [True] if more.get("compile") == "on" else []
    )
    moved = (model.shared.weight - before).abs().amax((0, 1))
    assert (moved > 0).tolist() == [[False] * 3, [False, True, True], [False, True, True]]
    assert moved.max() < 1
