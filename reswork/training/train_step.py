"""One optimizer update: forward, backward, clip, step, average."""

import math
import traceback
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.tasks import Task
from reswork.training.averaging import MovingAverage
from reswork.training.batches import Batch, Batches
from reswork.training.blind_taps import BlindTaps
from reswork.training.checkpointing import checkpointed_blocks, checkpointing
from reswork.training.failures import compiler_failure, is_compilers, non_finite_loss
from reswork.training.frozen_channels import FrozenChannels
from reswork.training.frozen_layers import FrozenLayers
from reswork.training.loss_guard import LossGuard
from reswork.training.modes import Mode
from reswork.training.optimizers import (
    is_fused,
    leave_weights_if,
    optimizer_for,
    set_learning_rate,
    set_momentum,
    set_weight_decay,
)
from reswork.training.progress import (
    TrainingState,
    leave_untrained,
    load_optimizer,
    load_weights,
    optimizer_settings,
    optimizer_tensors,
)
from reswork.training.randomness import derived_seed, seed_global
from reswork.training.ranks import ALONE, Ranks
from reswork.training.recipe import Recipe


class TrainStep:
    """Model, optimizer and what belongs to them; `backward` and then `apply` are one step.

    Args:
        model: on the mode's device and in its memory format; trained in place.
        batches: that it learns from.
        task: what it learns.
        recipe: of the run.
        mode: how to compute.
        rates: (total steps,) scheduled learning rates.
        start: where to go on; its weights are put into the model.
        ranks: that make each step together.
        class_weights: (K,) what each class counts in the loss; None: all alike.

    Attributes:
        frozen: the layers that stand still.
        mode: how it computes; another one once the compiler failed.
        failure: what the compiler said when it failed; whoever reads it sets it back to ``""``.

    Raises:
        InvalidSetting: if the start is of another network, optimizer or recipe.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        task: Task,
        recipe: Recipe,
        mode: Mode,
        rates: list[float],
        start: TrainingState | None = None,
        ranks: Ranks = ALONE,
        class_weights: np.ndarray | None = None,
    ) -> None:
        if start is not None:
            load_weights(model, start)
            leave_untrained(model, start)
        self.model = model
        self._ranks = ranks
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._untrained = [name for name, weight in model.named_parameters() if not weight.requires_grad]
        self.frozen = FrozenLayers(model, recipe, batches.per_epoch)
        self.frozen.turn_to(max(1, start.step) if start is not None else 1)
        self._frozen_channels = FrozenChannels(model, recipe.frozen)
        self._replicated = ranks.replicated(model)  # before anything copies the weights
        self.optimizer = optimizer_for(model, recipe, self.frozen.joining)
        self.average = MovingAverage(model, recipe.ema) if recipe.ema is not None else None
        self._batches, self._task, self._recipe = batches, task, recipe
        self.mode, self._rates = mode, rates
        self.failure = ""
        self._forward: Any = self._replicated
        self._is_compiled = False  # a step was made so
        self._blind = BlindTaps(model, task, mode)
        self._blocks = checkpointed_blocks(model) if recipe.checkpoint_activations else []
        self._device = self._weights[0].device
        self._class_weights = (
            None if class_weights is None else torch.from_numpy(class_weights).to(self._device)
        )
        self._guard = (
            None
            if self._device.type == "cpu"
            else LossGuard(self._device, step=start.step if start else 0, waits=ranks.count > 1)
        )
        self._scaler = torch.amp.GradScaler(self._device.type) if mode.precision == "fp16" else None
        self._factor = 1.0
        if start is not None and start.values:
            self._restore(start)

    def state(self, step: int) -> TrainingState:
        """All that going on after so many steps needs; the tensors are those in use."""
        tensors = {f"model/{name}": value for name, value in _tensors(self.model).items()}
        values: dict[str, Any] = {
            "mode": asdict(self.mode),
            "rate_factor": self._factor,
            "optimizer": optimizer_settings(self.optimizer),
        }
        if self._untrained:
            values["untrained"] = self._untrained
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in _tensors(self.average.model).items()}
            values["averaged_updates"] = self.average.updates
        if self._scaler is not None:
            values["scaler"] = self._scaler.state_dict()
        return TrainingState(step, tensors | optimizer_tensors(self.optimizer, self.model), values)

    @property
    def evaluated(self) -> nn.Module:
        """The averaged model where there is one."""
        return self.average.model if self.average is not None else self.model

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 1."""
        return self._rates[step - 1] * self._factor

    def layer_rates(self, step: int) -> dict[str, float]:
        """The learning rate of a step in those layers that have their own, as far as they are trained in it."""
        return {
            layer: self.rate(step) * factor
            for layer, factor in self._recipe.layer_rates.items()
            if not self.frozen.is_frozen(layer, step)
        }

    def unfreeze(self, step: int) -> tuple[str, ...]:
        """Let the layers learn that join in this step; their names."""
        layers = self.frozen.joins(step)
        if layers:
            self.frozen.turn_to(step)
            self._is_compiled = False  # for other gradients it is done anew
        if (
            layers and self._replicated is not self.model
        ):  # ranks share the gradients that were wanted at first
            self._forward = self._replicated = self.model  # the old one lets go of the weights
            self._forward = self._replicated = self._ranks.replicated(self.model)
        return layers

    def change(self, name: str, value: float, step: int) -> None:
        """Use a setting from this step on; a learning rate also scales the rest of the schedule."""
        if name == "learning_rate":
            self._factor = value / self._rates[step - 1]
        elif name == "weight_decay":
            set_weight_decay(self.optimizer, value)
        else:
            set_momentum(self.optimizer, value)

    def seed(self, step: int) -> None:
        """Give the global generators the numbers of a step; before anyone looks at it, and before it is made."""
        purpose = "dropout" if self._ranks.is_first else f"dropout of rank {self._ranks.index}"
        seed_global(self._device, derived_seed(self._recipe.seed, purpose, step))

    def compiles(self, step: int) -> bool:
        """Whether this step is compiled before it is computed."""
        return self.mode.is_compiled(step) and not self._is_compiled

    def backward(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """Gradients of a step's batch into the weights; each rank computes its share of it, and gets all of them.

        Returns:
            Loss and score, both () float32 on the device, without graph.

        Raises:
            NonFiniteLoss: on a processor before a bad loss does anything; on an accelerator, where the
                weights stand still from the first bad loss on, within some steps of it.
            InvalidSetting: where the compiler failed, and other ranks cannot go on without it.
        """
        self._blind.look(batch)
        if self._blind.are_met and self.mode.is_compiled(step):
            self.release()
            self.mode = self.mode.uncompiled(
                "not compiled, because some convolutions see less than their kernel has"
            )
            self._forward = self._replicated
        if not self.mode.is_compiled(step):
            return self._backward(batch, step)
        before = [buffer.clone() for buffer in self.model.buffers()]
        try:
            if self._forward is self._replicated:
                self._forward = torch.compile(self._replicated, dynamic=False)
            found = self._backward(batch, step)
            self._is_compiled = True
            return found
        except Exception as error:
            if not is_compilers(error):
                raise
            self.failure = compiler_failure(error)
            traceback.clear_frames(error.__traceback__)  # they hold batches and activations
        self._give_up_compiling(step, before)
        return self._backward(batch, step)

    def _give_up_compiling(self, step: int, buffers: list[Tensor]) -> None:
        """All as it was before the step, to make it without compiled code."""
        if self._ranks.count > 1:
            raise InvalidSetting(
                "compile",
                f"compile={self._recipe.compile!r}: the compiler failed in step {step} ({self.failure}), and "
                f"{self._ranks.count} ranks cannot change to another mode within a step; choose compile='off'",
            )
        self.release()
        with torch.no_grad():
            for buffer, value in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(value)
        self._forward = self._replicated
        self.mode = self.mode.uncompiled(f"the compiler failed in step {step}, not compiled from there on")

    def _backward(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        self.seed(step)
        own = batch if self._ranks.count == 1 else batch.rows(self._ranks.share(len(batch.targets)))
        *firsts, last = own.parts(self._recipe.accumulate)
        blind = partial(self._blind.left_out, batch)
        kept_activations = checkpointing(self._blocks, blind) if self._blocks else nullcontext()
        with kept_activations, self._ranks.joined_norms(self.model):
            found = []
            for part in firsts:
                with self._ranks.without_sum(self._replicated):
                    found.append(self._part(part, batch, step))
            found.append(self._part(last, batch, step))
        losses, scores = zip(*found, strict=True)
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        score = scores[0] if len(scores) == 1 else torch.stack(scores).sum()
        if self._ranks.count > 1:
            loss, score = self._ranks.sum(loss, score)
            if self._guard is None and not math.isfinite(loss.item()):
                self._raise_if_bad(step)  # all ranks do
            self._ranks.even_statistics(self.model)
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        if self._guard is not None:
            self._watch(self._guard, loss)
        return loss, score

    def apply(self, step: int) -> None:
        """Change the weights, and forget the gradients."""
        self._frozen_channels.drop_gradients()
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._weights, self._recipe.clip_norm, foreach=True)
        set_learning_rate(self.optimizer, self.rate(step))
        if self._scaler is not None:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        else:
            self.optimizer.step()
        self._frozen_channels.put_back()
        self.release()
        if self.average is not None:
            self.average.update()

    def settle(self) -> None:
        """Wait for the device, and raise if any loss so far was not finite."""
        if self._guard is not None:
            self._raise_if_bad(self._guard.settle())

    def release(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    def _restore(self, start: TrainingState) -> None:
        values = start.values
        self._factor = float(values["rate_factor"])
        load_optimizer(self.optimizer, self.model, start.part("optimizer"), values["optimizer"])
        if self.average is not None:
            self.average.restore(start.part("average"), int(values["averaged_updates"]))
        if self._scaler is not None and "scaler" in values:
            self._scaler.load_state_dict(dict(values["scaler"]))

    def _part(self, part: Batch, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """One part's share of the loss and of the score; its gradients are added to the weights'."""
        with self.mode.autocast(), self._blind.left_out(part):
            output = self._task.call(self._forward, part.inputs, part.targets)
        loss, score = self._loss_and_score(output, part, batch)
        if self._guard is None and self._ranks.count == 1 and not math.isfinite(loss.item()):
            self._raise_if_bad(step)
        goal = loss if self._ranks.count == 1 else loss * self._ranks.count  # gradients are means over ranks
        if self._scaler is None:
            goal.backward()
        else:  # the scaler leaves the weights alone where gradients are not finite
            self._scaler.scale(goal if self._guard is None else goal + self._guard.poison).backward()
        return loss.detach(), score

    def _loss_and_score(self, output: Any, part: Batch, batch: Batch) -> tuple[Tensor, Tensor]:
        """A part's share of the batch's loss and score; for mixed inputs the mean over both targets."""
        task = self._task
        loss, score = self._loss(output, part.targets, batch.targets), task.score(output, part.targets)
        if part.other_targets is not None and batch.other_targets is not None:
            other = self._loss(output, part.other_targets, batch.other_targets)
            other_score = task.score(output, part.other_targets)
            loss, score = torch.lerp(other, loss, part.share), torch.lerp(other_score, score, part.share)
        if len(part.targets) < len(batch.targets):
            share = task.weight(part.targets) / task.weight(batch.targets)
            return loss * share if self._class_weights is None else loss, score * share
        return loss, score

    def _loss(self, output: Any, targets: Tensor, whole: Tensor) -> Tensor:
        """The mean loss; with class weights, the share of a batch's weighted mean that these targets have."""
        task, weights = self._task, self._class_weights
        loss = task.loss(output, targets, self._recipe, weights)
        if weights is None or len(targets) == len(whole):
            return loss
        return loss * (task.weight(targets, weights) / task.weight(whole, weights))

    def _watch(self, guard: LossGuard, loss: Tensor) -> None:
        bad = guard.first_bad(loss)
        if self._scaler is None and is_fused(self.optimizer):
            leave_weights_if(self.optimizer, guard.flag)
        elif self._scaler is None:
            bad = guard.settle()
        self._raise_if_bad(bad)

    def _raise_if_bad(self, step: int | None) -> None:
        if step is not None:
            self.release()
            batch = self._batches.cut(step)
            raise non_finite_loss(step, self.model, batch, self.mode, self._recipe, self.rate(step))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
