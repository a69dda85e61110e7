"""What ranks do in the tests: functions that every rank calls, and networks for them."""

import itertools
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # DDP wants it
import torchmetrics.classification  # noqa: F401
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from reswork import cli
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.targets import IGNORED
from reswork.training.controls import Controls
from reswork.training.evaluation import evaluate
from reswork.training.events import BatchReady, EpochDone, GradientsReady, StepDone
from reswork.training.loop import fit
from reswork.training.ranks import ALONE, Ranks, torchrun_ranks
from reswork.training.recipe import Recipe
from reswork.training.run import Run

PLAIN: dict[str, Any] = {"precision": "fp32", "channels_last": False, "compile": "off", "device": "cpu"}


def toy(train: int = 160, test: int = 40) -> Dataset:
    """Images whose brightness tells their class."""
    generator = torch.Generator().manual_seed(7)

    def split(count: int) -> Split:
        labels = torch.arange(count) % 4
        noise = torch.rand(count, 3, 8, 8, generator=generator) * 60
        return Split((noise + labels[:, None, None, None] * 45).to(torch.uint8), labels)

    return Dataset("toy", split(train), split(test), tuple("abcd"), (0.4,) * 3, (0.3,) * 3, "made up")


def recipe(**settings: Any) -> Recipe:
    return Recipe(**{"steps": 6, "batch_size": 32, "learning_rate": 0.05, **PLAIN, **settings})


class StandingNorm(nn.BatchNorm2d):
    """A batch norm that keeps its evaluation form."""

    def train(self, mode: bool = True) -> "StandingNorm":
        super().train(False)
        return self


class Net(nn.Module):
    """A small network that can be made to do something at a step, on one rank."""

    def __init__(self, norm: str = "group", dropout: float = 0.0, seed: int = 3) -> None:
        super().__init__()
        torch.manual_seed(seed)
        norms = {"group": nn.GroupNorm(2, 8), "batch": nn.BatchNorm2d(8), "standing": StandingNorm(8)}
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norms[norm], nn.ReLU())
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(32, 4)
        )
        self.seen: list[Tensor] = []
        self.mishap: tuple[int, int, str] | None = None  # rank, training forward pass, what happens
        self._passes = 0

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(images.detach().clone())
            self._passes += 1
            if self.mishap is not None and self.mishap[:2] == (int(os.environ["RANK"]), self._passes):
                images = images * happen(self.mishap[2])
        return self.head(self.body(images))


def happen(what: str) -> float:
    match what:
        case "nan":
            return float("nan")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
    raise ValueError(what)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained(settings: dict[str, Any], norm: str, dropout: float = 0.0) -> dict[str, Any]:
    """Losses, first gradients and final weights of a rank, and the images that its network saw."""
    seeds = int(os.environ.get("RANK", 0))  # other weights on each rank, which take the first one's
    with torchrun_ranks() as ranks:
        return train_with(ranks, Net(norm, dropout, seed=3 + seeds), settings)


def train_with(
    ranks: Ranks, model: nn.Module, settings: dict[str, Any], data: Dataset | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"losses": [], "batches": [], "metrics": []}
    for event in fit(model, data or toy(), recipe(**settings), ranks=ranks):
        match event:
            case BatchReady() if ranks.is_first:
                found["batches"].append(event.inputs.clone())
            case GradientsReady() if "gradients" not in found:
                found["gradients"] = {
                    name: weight.grad.clone()
                    for name, weight in model.named_parameters()
                    if weight.grad is not None
                }
            case StepDone():
                found["losses"].append(event.loss.item())
            case EpochDone():
                found["metrics"].append(dict(event.metrics))
    return {**found, "weights": tensors(model), "seen": getattr(model, "seen", [])}


def trained_on_masks() -> dict[str, Any]:
    """The same for masks of which some pixels, or all, count nowhere."""
    generator = torch.Generator().manual_seed(9)
    data = toy()
    masks = torch.randint(0, 4, (200, 8, 8), generator=generator, dtype=torch.uint8)
    masks[torch.rand(200, 8, 8, generator=generator) < torch.rand(200, 1, 1, generator=generator) ** 0.3] = (
        IGNORED
    )
    masks[::5] = IGNORED
    splits = Split(data.train.images, masks[:160]), Split(data.test.images, masks[160:])
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    with torchrun_ranks() as ranks:
        settings = {"accumulate": 2, "batch_size": 9}
        return train_with(ranks, model, settings, replace(data, train=splits[0], test=splits[1]))


def alone(settings: dict[str, Any], norm: str, dropout: float = 0.0) -> dict[str, Any]:
    return train_with(ALONE, Net(norm, dropout), settings)


def evaluated(batch_size: int) -> dict[str, Any] | None:
    """The evaluation of a network that all ranks have alike."""
    data, model = toy(test=45), Net("batch")
    with torchrun_ranks() as ranks, ranks.together(torch.device("cpu")):
        found = evaluate(model, data, batch_size=batch_size, ranks=ranks)
    assert found is not None
    return {**found.metrics, **{name: table.tolist() for name, table in found.tables.items()}}


def mishap(rank: int, step: int, what: str) -> dict[str, Any]:
    """A training in which something happens in a rank's forward pass."""
    model = Net("batch")
    model.mishap = (rank, step, what)
    before: list[dict[str, Tensor]] = [tensors(model)]
    with torchrun_ranks() as ranks:
        try:
            for event in fit(model, toy(), recipe(steps=50), ranks=ranks):
                if isinstance(event, StepDone):
                    before.append(tensors(model))
        except Exception as error:
            same = all(
                torch.equal(value, tensors(model)[name])
                for name, value in before[-1].items()
                if "body.1" not in name
            )
            return {"error": f"{type(error).__name__}: {error}", "steps": len(before) - 1, "unchanged": same}
    return {"error": "", "steps": len(before) - 1}


def steered(what: str) -> dict[str, Any]:
    """A run whose first rank is steered after ten steps; the others follow."""
    with torchrun_ranks() as ranks:
        model, data, how = Net("group"), toy(), recipe(steps=5000, schedule="constant")
        rates: list[float] = []
        if not ranks.is_first:
            for event in fit(model, data, how, ranks=ranks):
                if isinstance(event, StepDone):
                    rates.append(event.learning_rate)
            return {"steps": len(rates), "rates": rates, "weights": tensors(model)}
        run = Run(
            model,
            data,
            how,
            recorders=[
                lambda event: rates.append(event.learning_rate) if isinstance(event, StepDone) else None
            ],
        )
        run.join(ranks)
        run.step(10)
        run.wait_until_still(300)
        found: dict[str, Any] = {"paused": run.steps_done}
        if what == "pause":
            time.sleep(1.0)
            found["still"] = run.steps_done
        if what == "set":
            run.set(learning_rate=0.01, weight_decay=0.0)
        run.step(10)
        run.wait_until_still(300)
        run.stop()
        found["state"] = run.wait(300).name
        return {**found, "steps": run.steps_done, "rates": rates, "weights": tensors(model)}


def command(*arguments: str) -> int:
    """The command line."""
    return cli.main(arguments)


def held_command(go: str, *arguments: str) -> int:
    """The command line, whose training stands still after its second step until there is a file."""
    steps = itertools.count(1)

    def hold(*_: object) -> None:
        if next(steps) == 2:
            while not Path(go).exists():
                time.sleep(0.01)

    register_optimizer_step_post_hook(hold)
    return cli.main(arguments)


def dropped() -> Tensor:
    """What dropout leaves of ones in the first step of a rank."""
    found: list[Tensor] = []
    model = Net("group", dropout=0.5)
    model.head[2].register_forward_hook(lambda _, inputs, output: found.append((output != 0)[:16]))
    with torchrun_ranks() as ranks:
        next(event for event in fit(model, toy(), recipe(), ranks=ranks) if isinstance(event, StepDone))
    return found[-1]


def stopped_in_evaluation() -> str:
    """The last event of a rank, where the first is stopped between two batches of an evaluation."""
    model, last, controls = Net("group"), "", Controls()
    passes: list[int] = []

    def stop(_: nn.Module, __: Any, ___: Any) -> None:
        if not model.training and len(passes) > 0:
            controls.stop = True

    with torchrun_ranks() as ranks:
        if ranks.is_first:
            model.register_forward_hook(stop)
        for event in fit(model, toy(test=1600), recipe(steps=2), controls=controls, ranks=ranks):
            last = type(event).__name__
            passes.append(1)
    return last
