import gc
import weakref

import pytest
import torch
from torch import nn

from reswork.tasks import Classification
from reswork.training.batches import Batches
from reswork.training.events import GradientsReady, RunStarted, StepDone
from reswork.training.failures import NonFiniteLoss, OutOfMemory, is_out_of_memory
from reswork.training.loop import fit
from reswork.training.loss_guard import LossGuard
from reswork.training.modes import Mode
from reswork.training.train_step import TrainStep


class Overflow(nn.Module):
    """Gives infinities while it trains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.abs() + 200).exp() if self.training else x


class Hungry(nn.Module):
    """Asks for a pebibyte while it trains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        held = torch.ones(3)
        seen.append(weakref.ref(held))
        if self.training:
            torch.empty(2**50, dtype=torch.uint8, device=x.device)
        return x * held.mean()


seen: list[weakref.ref] = []


def plain_net(*extra: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *extra, nn.Flatten(), nn.Linear(144, 4))


def test_a_bad_loss_names_the_step_the_layer_and_the_remedy(make_data, make_recipe, device):
    model = plain_net(Overflow())
    before = [weight.detach().clone() for weight in model.parameters()]
    with pytest.raises(NonFiniteLoss, match=r"at step 1; .* output is 2\. Lower .*clip_norm=1") as caught:
        list(fit(model, make_data(), make_recipe(device=device, steps=40)))
    assert (caught.value.step, caught.value.layer) == (1, "2")
    assert all(torch.equal(a, b.cpu()) for a, b in zip(before, model.parameters(), strict=True))


def test_weights_that_are_bad_themselves_are_told_from_activations(make_data, make_recipe, device):
    model = plain_net()
    nn.init.constant_(model[0].weight, float("inf"))
    with pytest.raises(NonFiniteLoss, match="weights are not finite themselves") as caught:
        list(fit(model, make_data(), make_recipe(device=device, steps=40)))
    assert (caught.value.step, caught.value.layer) == (1, "0")


def test_on_the_processor_nothing_has_happened_when_a_bad_loss_is_found(make_data, make_recipe):
    events = []
    with pytest.raises(NonFiniteLoss):
        events.extend(fit(plain_net(Overflow()), make_data(), make_recipe()))
    assert not any(isinstance(event, GradientsReady | StepDone) for event in events)


def test_an_endless_wait_free_run_stops_where_it_went_bad(make_data, make_recipe):
    """The accelerator's way, on the processor: nobody reads the loss, and the weights stand still."""
    recipe, data = make_recipe(steps=60, schedule="constant", learning_rate=1e38), make_data()
    model = plain_net()
    batches = Batches(data, recipe, channels_last=False)
    train_step = TrainStep(model, batches, Classification(), recipe, Mode("cpu"), [recipe.learning_rate] * 60)
    train_step._guard = LossGuard(torch.device("cpu"), every=8)
    weights = []
    with pytest.raises(NonFiniteLoss) as caught:
        for step in range(1, 61):
            train_step.backward(batches.cut(step), step)
            train_step.apply(step)
            weights.append(model[0].weight.detach().clone())
    assert (caught.value.step, caught.value.layer) == (2, "3")
    assert len(weights) == 7  # looked at the eighth loss
    assert all(torch.equal(weights[0], weight) for weight in weights)


def test_the_guard_counts_to_the_first_bad_loss_whatever_follows(device):
    guard = LossGuard(torch.device(device), every=100)
    for loss in [1.0, 2.0, float("inf"), 3.0, float("nan"), 1.0]:
        assert guard.first_bad(torch.tensor(loss, device=device)) is None
    assert guard.flag.item() == 1
    assert guard.settle() == 3
    fine = LossGuard(torch.device(device))
    assert fine.first_bad(torch.tensor(1e30, device=device)) is None
    assert fine.flag.item() == 0
    assert fine.settle() is None


def test_out_of_memory_says_what_was_needed_and_what_to_lower(make_data, make_recipe):
    seen.clear()
    with pytest.raises(OutOfMemory) as caught:
        list(fit(plain_net(Hungry()), make_data(), make_recipe(accumulate=2)))
    text = str(caught.value)
    assert "1048576.00 GiB" in text
    assert "GiB free" in text
    assert "batch_size (now 32; try 16), accumulate=4, checkpoint_activations=True" in text
    gc.collect()
    assert seen[-1]() is None  # what the failed step held is free while the error still lives


@pytest.mark.gpu
def test_out_of_memory_on_the_gpu_gives_the_memory_back(cuda, make_data, make_recipe):
    before = torch.cuda.memory_allocated()
    model = plain_net()
    with pytest.raises(OutOfMemory, match=r"a step needed another .* GiB with .* GiB free"):
        list(fit(nn.Sequential(model, Greedy()), make_data(), make_recipe(device=cuda)))
    model.to("cpu")
    assert torch.cuda.memory_allocated() <= before + 2**20
    assert torch.ones(3, device=cuda).sum().item() == 3


class Greedy(nn.Module):
    """Fills the GPU while it trains."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        held = [x]
        while self.training:
            held.append(torch.empty(2**33, dtype=torch.uint8, device=x.device))
        return x


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_the_ways_to_say_that_memory_is_short(error, expected):
    assert is_out_of_memory(error) is expected


def test_other_errors_stay_what_they_are(make_data, make_recipe):
    class Wrong(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                raise RuntimeError("my own mistake")
            return x

    events = fit(plain_net(Wrong()), make_data(), make_recipe())
    assert isinstance(next(events), RunStarted)
    with pytest.raises(RuntimeError, match="my own mistake"):
        list(events)


@pytest.mark.gpu
def test_fp16_skips_overflowing_gradients_and_goes_on(cuda, make_net, make_data, make_recipe):
    recipe = make_recipe(device=cuda, precision="fp16", steps=60, learning_rate=0.05)
    losses = [e.loss.item() for e in fit(make_net(), make_data(), recipe) if isinstance(e, StepDone)]
    assert losses[-1] < losses[0]
