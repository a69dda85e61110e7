"""Trained networks that several studies look at: trained once, kept, and found again."""

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from reswork.experiment.seed_runs import fresh_network
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.store.atomic_files import write_tensors
from reswork.studies.lock_step import LockStep
from reswork.studies.settings import TrainingSettings
from reswork.studies.shelf import Shelf, mark_of
from reswork.studies.study import Partial


@dataclass(frozen=True, eq=False)
class Trained:
    """A network in evaluation mode, and where it came from.

    Attributes:
        model: on the processor.
        course: (E + 1, P) float32, its `weights` before the first and after each epoch; (0, P) unless asked for.
    """

    model: ResNet
    course: np.ndarray


def kept_network(settings: TrainingSettings, config: ResNetConfig, seed: int, root: Path) -> ResNet | None:
    """A network that a study has trained, in evaluation mode; None: it is not there.

    Args:
        settings: it was trained with.
        config: which.
        seed: of weights and order of images.
        root: the folder of all studies.
    """
    found = _kept(settings, config, seed, root, courses=False)
    return found.model if found is not None else None


def weights(model: torch.nn.Module) -> list[Tensor]:
    """The weights of convolutions and linear layers: no biases, nothing of norms."""
    return [weight for weight in model.parameters() if weight.dim() > 1]


def flat_weights(model: torch.nn.Module) -> Tensor:
    """(P,) `weights` as one vector."""
    return torch.cat([weight.detach().flatten() for weight in weights(model)])


def trained(
    settings: TrainingSettings,
    configs: Sequence[ResNetConfig],
    seed: int,
    shelf: Shelf,
    numbers: dict[str, np.ndarray],
    span: tuple[float, float],
    *,
    courses: bool = False,
) -> Generator[Partial, None, list[Trained]]:
    """Networks that were trained as the settings say; those of one depth side by side, kept ones without training.

    Args:
        settings: how.
        configs: which.
        seed: of weights and order of images.
        shelf: of the study; networks lie beside all studies, so that others find them.
        numbers: what the study has so far, to be yielded.
        span: shares of the study's work at which the training begins and ends.
        courses: also the weights after each epoch.

    Yields:
        Step by step.

    Returns:
        One for each config.
    """
    found = [_kept(settings, config, seed, shelf.root, courses) for config in configs]
    missing = [index for index, each in enumerate(found) if each is None]
    data = settings.dataset()
    for turn, depth in enumerate(
        depths := sorted({configs[index].resolved().depth or 0 for index in missing})
    ):
        own = [index for index in missing if configs[index].resolved().depth == depth]
        models = [fresh_network(resnet(configs[index], input_shape=data.input_shape), seed) for index in own]
        name = f"training-{mark_of({'of': [_mark(settings, configs[i], seed) for i in own], 'courses': courses})}"
        start = shelf.kept(name)
        training = LockStep(models, data, settings.recipe(), [seed] * len(own), start=start)  # type: ignore[arg-type]
        paths = [[_flat(state) for state in training.net.states()]] if courses and start is None else []
        if courses and start is not None:
            paths = [list(start[f"course/{epoch}"]) for epoch in range(training.epoch + 1)]
        try:
            while not training.done:
                training.make_step()
                if courses and training.ends_epoch:
                    paths.append([_flat(state) for state in training.net.states()])
                done = (turn + training.step / training.total) / len(depths)
                share = span[0] + (span[1] - span[0]) * done
                yield Partial(
                    numbers, share, f"training, seed {seed}, step {training.step} of {training.total}"
                )
        finally:
            if training.done:
                shelf.drop(name)
            else:
                kept = {f"course/{epoch}": torch.stack(each) for epoch, each in enumerate(paths)}
                shelf.keep(name, training.state() | kept)
        for place, (index, state) in enumerate(zip(own, training.net.states(), strict=True)):
            course = torch.stack([each[place] for each in paths]) if courses else torch.empty(0, 0)
            _keep(settings, configs[index], seed, shelf, state, course)
            found[index] = _made(configs[index], state, course)
    return [each for each in found if each is not None]


def _mark(settings: TrainingSettings, config: ResNetConfig, seed: int) -> str:
    return mark_of(
        {"config": config.to_dict(), "recipe": settings.recipe(seed).to_dict(), "data": settings.data}
    )


def _flat(state: dict[str, Tensor]) -> Tensor:
    return torch.cat(
        [value.flatten() for name, value in state.items() if name.endswith("weight") and value.dim() > 1]
    )


def _made(config: ResNetConfig, state: dict[str, Tensor], course: Tensor) -> Trained:
    model = resnet(config)
    model.load_state_dict({name: value for name, value in state.items() if name in model.state_dict()})
    return Trained(model.eval(), course.cpu().numpy())


def _kept(
    settings: TrainingSettings, config: ResNetConfig, seed: int, root: Path, courses: bool
) -> Trained | None:
    path = root / "networks" / f"{_mark(settings, config, seed)}.safetensors"
    with suppress(OSError, SafetensorError, RuntimeError, KeyError):
        tensors = safetensors.torch.load_file(path)
        course = tensors.pop("course")
        if len(course) or not courses:
            return _made(config, tensors, course)
    return None


def _keep(
    settings: TrainingSettings,
    config: ResNetConfig,
    seed: int,
    shelf: Shelf,
    state: dict[str, Tensor],
    course: Tensor,
) -> None:
    folder = shelf.root / "networks"
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / f"{_mark(settings, config, seed)}.safetensors", {**state, "course": course}, {})
