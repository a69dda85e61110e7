"""What a model says about a split: probabilities or counted pixels, and embeddings, in one pass."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.errors import InvalidSetting
from reswork.probes.capture import pooled, watched
from reswork.probes.inputs import first_tensor, numbers
from reswork.probes.layer_lookup import block_names, unwrapped
from reswork.probes.readable import check_readable
from reswork.reporting.predictions import Predictions, checked_predictions
from reswork.store.checkpoint import Checkpoint
from reswork.store.saved_run import SavedRun
from reswork.training.live_run import LiveRun
from reswork.training.run import active_runs

BATCH = 250  # images at once
_ALREADY = 1e-4  # that a row may be away from a sum of 1 and still be probabilities
_MOST_LAYERS = 4


class Stopped(Exception):
    """Somebody asked for the end of a computation."""


def model_of(given: Any) -> nn.Module:
    """The network to look at: a module, an opened checkpoint, a run from disk, or a copy out of one that trains.

    Raises:
        InvalidSetting: there is none.
    """
    if isinstance(given, LiveRun):
        return given.snapshot()
    if isinstance(given, SavedRun):
        return given.model()
    if isinstance(given, Checkpoint):
        if given.model is None:
            raise InvalidSetting("model", f"{given.path.name}: {given.sentence}")
        return given.model
    if not isinstance(given, nn.Module):
        raise InvalidSetting(
            "model",
            f"model is a {type(given).__name__}: give a torch.nn.Module, a run, or an opened checkpoint",
        )
    check_readable(unwrapped(given))
    owner = next((run for run in active_runs() if run.model is given), None)
    return given if owner is None else owner.snapshot()


def stage_layers(model: nn.Module, data: Dataset) -> tuple[str, ...]:
    """The last block at each size of the signal, at most four, the deepest last; none where blocks do not run."""
    names = block_names(model)
    try:
        with watched(model, names, take=lambda output: tuple(output.shape[1:])) as seen:
            seen(normalise(data.test.inputs[:1], data.mean, data.std))
            shapes = [seen[name] for name in names]
    except InvalidSetting:
        return ()
    last = {
        shape: name for name, shape in zip(names, shapes, strict=True)
    }  # a later one of the same size wins
    return tuple(name for name in names if name in set(last.values()))[-_MOST_LAYERS:]


def outputs(
    model: nn.Module,
    data: Dataset,
    split: Split,
    layers: tuple[str, ...] = (),
    *,
    stopped: Callable[[], bool] = lambda: False,
    batch_size: int = BATCH,
) -> Iterator[tuple[Tensor, Tensor, dict[str, np.ndarray]]]:
    """Output, targets and pooled signals of some layers, batch by batch; the model stays as it was.

    Raises:
        Stopped: when ``stopped`` says so.
        InvalidSetting: the model cannot take the images.
    """
    with watched(model, layers, take=pooled) as seen:
        for images, targets in zip(
            split.inputs.split(batch_size), split.targets.split(batch_size), strict=True
        ):
            if stopped():
                raise Stopped
            inputs = normalise(
                images, data.mean, data.std, memory_format=torch.channels_last
            )  # a third faster
            output = first_tensor(seen(inputs))
            if output is None:
                raise InvalidSetting(
                    "model", f"{type(model).__name__} returns no tensor; wrap it so that it does"
                )
            yield output.float(), targets.to(output.device), {name: numbers(seen[name]) for name in layers}


def predictions_of(
    model: nn.Module,
    data: Dataset,
    layers: tuple[str, ...] | None = None,
    *,
    columns: Mapping[str, Any] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Predictions:
    """What a classifier says about a data set's test images, or other inputs.

    Args:
        model: any network that takes the images, normalised, and gives (N, K) logits, or probabilities.
        data: with labels.
        layers: whose pooled outputs become embeddings; None: the ends of the stages.
        columns: name -> (N,) values that are known of each image.
        stopped: asked between batches.

    Raises:
        Stopped: when ``stopped`` says so.
        InvalidSetting: the output has another shape, or values that are NaN.
    """
    names = stage_layers(model, data) if layers is None else layers
    found: list[np.ndarray] = []
    embedded: dict[str, list[np.ndarray]] = {name: [] for name in names}
    wide = len(data.classes)
    for output, _, signals in outputs(model, data, data.test, names, stopped=stopped):
        if output.dim() != 2 or output.shape[1] != wide:
            raise InvalidSetting(
                "model",
                f"for {len(output)} images {type(model).__name__} gives a tensor of shape {tuple(output.shape)}, and "
                f"{data.name} has {wide} classes; the shape must be ({len(output)}, {wide})",
            )
        found.append(numbers(probabilities(output)))
        for name in names:
            embedded[name].append(signals[name])
    return checked_predictions(
        np.concatenate(found),
        data.test.labels,
        images=data.test.images if data.input_kind == "images" else None,
        embeddings={name: np.concatenate(parts) for name, parts in embedded.items()},
        classes=data.classes,
        columns=columns,
    )


def reference_embeddings(
    model: nn.Module,
    data: Dataset,
    layers: tuple[str, ...],
    most: int,
    *,
    stopped: Callable[[], bool] = lambda: False,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Pooled outputs of some layers for the training images of `reference_rows`, layer name -> (M, D).

    Args:
        model: as for `predictions_of`.
        data: whose training images.
        layers: names.
        most: images of the sample.
        stopped: asked between batches.
        seed: of the sample.

    Raises:
        Stopped: when ``stopped`` says so.
    """
    rows = reference_rows(data, most, seed)
    split = data.train.take(torch.from_numpy(rows).to(data.train.images.device))
    parts = [signals for _, _, signals in outputs(model, data, split, layers, stopped=stopped)]
    return {name: np.concatenate([part[name] for part in parts]) for name in layers}


def reference_rows(data: Dataset, most: int, seed: int = 0) -> np.ndarray:
    """Numbers of a sample of the training images, (M,) int64, in order."""
    return np.sort(np.random.default_rng(seed).permutation(len(data.train))[:most])


def probabilities(output: Tensor) -> Tensor:
    """Softmax of logits (N, K); what is probabilities already stays as it is."""
    sums = output.sum(dim=1)
    already = bool((output >= 0).all() and ((sums - 1).abs() < _ALREADY).all())
    return output if already else output.softmax(dim=1)


def first_seconds(model: nn.Module, data: Dataset) -> float:
    """Seconds for one image, measured on one batch after a first one that does not count."""
    import time

    split = data.test.take(slice(0, 2 * BATCH))
    size = max(1, len(split) // 2)
    begin = time.perf_counter()
    for count, _ in enumerate(outputs(model, data, split, batch_size=size)):
        if count == 0 and len(split) > size:
            begin = time.perf_counter()
    return (time.perf_counter() - begin) / size
