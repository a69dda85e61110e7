"""Several networks that train in lock step: the same steps, each with its own images or with those of another."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.network import ResNet
from reswork.studies.side_by_side import SideBySide
from reswork.training.batches import Batches
from reswork.training.modes import choose_device
from reswork.training.recipe import Recipe, total_steps
from reswork.training.schedules import learning_rates


class Made(NamedTuple):
    """What one step of S networks gave."""

    losses: np.ndarray  # (S,) float64
    errors: np.ndarray  # (S,) share of the batch's images that are named wrong
    gradients: np.ndarray  # (S, L) norms of the gradient of each convolution; (S, 0) unless asked for


def working_seconds(device: torch.device) -> float:
    """Seconds that this process has worked, all threads together, so that what else the machine does is not counted.

    On other devices than processors those of the clock.
    """
    return time.process_time() if device.type == "cpu" else time.perf_counter()


class LockStep:
    """Trains networks of one form as one, step by step; the recipe's optimizer, cross-entropy.

    A network learns what it would learn alone: nothing of one gets to another. Its seed decides the order of its
    images, so networks with the same seed see the same batches.

    Args:
        models: of one form; copied.
        data: what they learn.
        recipe: optimizer, schedule, batch size and so on; its seed is not used.
        seeds: one for each network.
        start: state of an earlier one, from `state`, to go on from there.
        with_gradients: measure the norm of each convolution's gradient in each step.
        rates: learning rate of each step instead of the schedule's; there are as many steps.

    Attributes:
        step: steps that are made.
        total: steps there are.
        seconds: that the steps took, as `working_seconds` counts them.
    """

    def __init__(
        self,
        models: Sequence[ResNet],
        data: Dataset,
        recipe: Recipe,
        seeds: Sequence[int],
        *,
        start: dict[str, Tensor] | None = None,
        with_gradients: bool = False,
        rates: Sequence[float] | None = None,
    ) -> None:
        self.device = choose_device(recipe.device)[0]
        self.net = SideBySide(models).to(self.device)
        self.data = data.to(self.device)
        self.seeds, self.step = tuple(seeds), 0
        self._batches = {
            seed: Batches(self.data, replace(recipe, seed=seed), channels_last=False) for seed in self.seeds
        }
        self._rates = learning_rates(recipe, len(data.train))[1].tolist() if rates is None else [*rates]
        self.total = total_steps(recipe, len(data.train)) if rates is None else len(rates)
        self.seconds = 0.0
        self.per_epoch = next(iter(self._batches.values())).per_epoch
        self.optimizer = _optimizer(self.net, recipe)
        self._convs = (
            [m for m in self.net.modules() if isinstance(m, torch.nn.Conv2d)] if with_gradients else []
        )
        self._sums = np.zeros((2, len(self.seeds)))  # losses and errors since the epoch began
        if start is not None:
            self._restore(start)

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.total

    @property
    def epoch(self) -> int:
        """Epochs that are over; a last one that is cut short counts."""
        return -(-self.step // self.per_epoch) if self.done else self.step // self.per_epoch

    @property
    def ends_epoch(self) -> bool:
        """Whether the last step was the last of an epoch, or of all."""
        return self.step > 0 and (self.done or self.step % self.per_epoch == 0)

    def make_step(self) -> Made:
        """One step of all networks."""
        begun = working_seconds(self.device)
        if self.step % self.per_epoch == 0:
            self._sums[:] = 0
        self.step += 1
        cut = {seed: batches.cut(self.step) for seed, batches in self._batches.items()}
        inputs = torch.stack([cut[seed].inputs for seed in self.seeds], dim=1)  # (N, S, C, H, W)
        targets = torch.stack([cut[seed].targets for seed in self.seeds], dim=1)  # (N, S)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rates[self.step - 1]
        logits = self.net(inputs)
        losses = (
            F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            .view_as(targets)
            .mean(0)
        )
        losses.sum().backward()
        norms = self._gradient_norms()
        self.optimizer.step()
        self.optimizer.zero_grad()
        errors = (logits.detach().argmax(-1) != targets).double().mean(0)
        made = Made(losses.detach().double().cpu().numpy(), errors.cpu().numpy(), norms)
        self._sums += np.stack([made.losses, made.errors])
        self.seconds += working_seconds(self.device) - begun
        return made

    def epoch_means(self) -> tuple[np.ndarray, np.ndarray]:
        """Loss and error of training over the epoch so far, (S,) each; what the paper draws as training error."""
        steps = (self.step - 1) % self.per_epoch + 1
        return self._sums[0] / steps, self._sums[1] / steps

    @torch.no_grad()
    def test(self, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Loss and error on the test split, (S,) each."""
        losses = torch.zeros(len(self.seeds), dtype=torch.float64, device=self.device)
        errors, split = losses.clone(), self.data.test
        self.net.eval()
        for images, labels in zip(
            split.inputs.split(batch_size), split.labels.split(batch_size), strict=True
        ):
            inputs = normalise(images, self.data.mean, self.data.std, torch.float32, torch.contiguous_format)
            logits = self.net(inputs.unsqueeze(1).expand(-1, len(self.seeds), -1, -1, -1))  # (N, S, K)
            losses += (
                F.cross_entropy(
                    logits.flatten(0, 1), labels.repeat_interleave(len(self.seeds)), reduction="none"
                )
                .view(len(labels), -1)
                .double()
                .sum(0)
            )
            errors += (logits.argmax(-1) != labels.unsqueeze(1)).double().sum(0)
        self.net.train()
        return (losses / len(split)).cpu().numpy(), (errors / len(split)).cpu().numpy()

    def state(self) -> dict[str, Tensor]:
        """All that going on needs."""
        found = {f"net/{name}": value for name, value in self.net.state_dict().items()}
        for index, parameter in enumerate(self.net.parameters()):
            for name, value in self.optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    found[f"optimizer/{index}/{name}"] = value
        found["step"], found["sums"] = torch.tensor(self.step), torch.from_numpy(self._sums.copy())
        found["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        return found

    def _restore(self, start: dict[str, Tensor]) -> None:
        weights = {name[4:]: value for name, value in start.items() if name.startswith("net/")}
        self.net.load_state_dict(weights)
        parameters = [*self.net.parameters()]
        for name, value in start.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                value = value if key == "step" else value.to(self.device)  # Adam counts on the processor
                self.optimizer.state[parameters[int(index)]][key] = value
        self.step, self._sums = int(start["step"]), start["sums"].numpy().copy()
        self.seconds = float(start["seconds"])

    def _gradient_norms(self) -> np.ndarray:
        rows = [
            conv.weight.grad.unflatten(0, (len(self.seeds), -1)).flatten(1).norm(dim=1)  # type: ignore[union-attr]
            for conv in self._convs
        ]
        return torch.stack(rows, dim=1).double().cpu().numpy() if rows else np.zeros((len(self.seeds), 0))


def _optimizer(net: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Works on each number by itself, so that networks side by side learn as they would alone."""
    weights, rate, decay = net.parameters(), recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(weights, rate, recipe.momentum, weight_decay=decay, foreach=True)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if recipe.optimizer not in kinds:
        raise InvalidSetting(
            "optimizer",
            f"optimizer={recipe.optimizer!r} sees weights as a whole, and those of networks side by side are one; "
            f"choose sgd, {', '.join(kinds)}",
        )
    return kinds[recipe.optimizer](weights, rate, (recipe.momentum, 0.999), weight_decay=decay, foreach=True)
