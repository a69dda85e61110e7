"""One network that trains with all that a recipe can say, step by step, and goes on after a stop."""

from collections.abc import Mapping

import torch
from torch import Tensor

from reswork.datasets.dataset import Dataset
from reswork.models.network import ResNet
from reswork.studies.lock_step import working_seconds
from reswork.tasks import task_for
from reswork.training.alone import error_of
from reswork.training.batches import Batches
from reswork.training.modes import Mode, choose_device
from reswork.training.progress import TrainingState
from reswork.training.randomness import global_state
from reswork.training.recipe import Recipe, total_steps
from reswork.training.schedules import learning_rates
from reswork.training.train_step import TrainStep


class WholeRecipe:
    """Trains with the step of a run; what it learns depends on recipe, data and weights alone.

    Where `LockStep` has several networks with plain recipes at once, this has one with averaged weights, smaller
    images, smoothed labels and so on, in fp32 where the recipe leaves the precision open.

    Args:
        net: trained in place.
        data: what it learns.
        recipe: how, its seed included.
        start: state of an earlier one, from `state`, to go on from there.
        stops: fraction of the run from which on a layer stands still with all that is in it, such as
            ``{"conv1": 0.8}``: no gradient, no decay, and its norms use and keep the statistics that they have.

    Attributes:
        step: steps that are made.
        total: steps there are.
        seconds: that the steps took, as `working_seconds` counts them.
    """

    def __init__(
        self,
        net: ResNet,
        data: Dataset,
        recipe: Recipe,
        start: dict[str, Tensor] | None = None,
        *,
        stops: Mapping[str, float] | None = None,
    ) -> None:
        self.device = choose_device(recipe.device)[0]
        self.net, self.data = net.to(self.device, memory_format=torch.channels_last), data.to(self.device)  # type: ignore[call-overload]
        self.total, self.step, self.seconds = total_steps(recipe, len(data.train)), 0, 0.0
        self._batches = Batches(self.data, recipe, channels_last=True)
        self.per_epoch = self._batches.per_epoch
        self._sum = torch.zeros((), dtype=torch.float64)  # of the scores since the epoch began
        self._recipe, self._stops = recipe, dict(stops or {})
        self._made = self._steps(None)
        if start is not None:
            self.step, self.seconds, self._sum = (
                int(start["step"]),
                float(start["seconds"]),
                start["sum"].clone(),
            )
            own = {name: value for name, value in start.items() if "/" in name}
            values = {**self._made.state(self.step).values, "averaged_updates": self.step}
            self._made = self._steps(TrainingState(self.step, own, values))

    def _steps(self, start: TrainingState | None) -> TrainStep:
        precision = "fp32" if self._recipe.precision == "auto" else self._recipe.precision
        mode = Mode(str(self.device), precision, channels_last=True)
        rates = learning_rates(self._recipe, len(self.data.train))[1]
        self.net.train()
        return TrainStep(
            self.net, self._batches, task_for(self.data), self._recipe, mode, rates.tolist(), start
        )

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.total

    @property
    def epoch(self) -> int:
        """Epochs that are over."""
        return self.step // self.per_epoch

    @property
    def ends_epoch(self) -> bool:
        """Whether the last step was the last of an epoch."""
        return self.step > 0 and (self.done or self.step % self.per_epoch == 0)

    def make_step(self) -> None:
        """One step."""
        begun = working_seconds(self.device)
        if self.step % self.per_epoch == 0:
            self._sum.zero_()
        self.step += 1
        self._stand_still()
        with global_state(self.device, deterministic=False):
            _, score = self._made.backward(self._batches.cut(self.step), self.step)
        self._made.apply(self.step)
        self._sum += score.double().cpu()
        self.seconds += working_seconds(self.device) - begun

    def _stand_still(self) -> None:
        """What has learned long enough, the same after a stop: it depends on the step alone."""
        for layer, fraction in self._stops.items():
            if self.step > fraction * self.total:
                self.net.get_submodule(layer).requires_grad_(False).eval()

    def train_error(self) -> float:
        """Share of the training images that were named wrong as they came, over the epoch so far."""
        return 1 - float(self._sum) / ((self.step - 1) % self.per_epoch + 1)

    def test_error(self) -> float:
        """Of the averaged weights where the recipe averages them."""
        return error_of(self._made.evaluated, self.data)

    def state(self) -> dict[str, Tensor]:
        """All that going on needs."""
        found = dict(self._made.state(self.step).tensors)
        found["step"], found["sum"] = torch.tensor(self.step), self._sum.clone()
        found["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        return found
