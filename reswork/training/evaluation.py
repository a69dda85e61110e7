"""How good a model is on the test split of a data set, as its task judges it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.tasks import Evaluation, Task, task_for
from reswork.training.modes import Mode
from reswork.training.ranks import ALONE, Ranks


def evaluate(
    model: nn.Module,
    data: Dataset,
    task: Task | None = None,
    *,
    mode: Mode | None = None,
    batch_size: int = 500,
    stopped: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> Evaluation | None:
    """Compare a model's outputs with the targets of a data set's test split.

    The model computes in evaluation mode and comes back with each part in the mode that it had.

    Args:
        model: of the task; on the device of the split.
        data: whose test split is used.
        task: what judges; None: as the data's targets say.
        mode: precision and memory format; None: as it comes.
        batch_size: images at once.
        stopped: asked between batches; true ends it.
        ranks: that share the batches; the first one counts the outputs of all, in the order of one process.

    Returns:
        The metrics, on other ranks than the first without a number; None if it was ended, or the split has no images.
    """
    task, split = task or task_for(data), data.test
    if not len(split):
        return None
    device = split.device
    mode, meter = mode or Mode(str(device)), task.meter(data, device)
    batches = list(zip(split.inputs.split(batch_size), split.targets.split(batch_size), strict=True))
    with evaluating(model), torch.no_grad():
        for place in range(0, len(batches), ranks.count):
            if ranks.agree(stopped()):
                return None
            shared = batches[place : place + ranks.count]  # one for each rank
            own = None
            if ranks.index < len(shared):
                given = shared[ranks.index][0].to(device)
                inputs = normalise(given, data.mean, data.std, torch.float32, mode.memory_format)
                with mode.autocast():
                    own = task.call(model, inputs)
            targets = [each.to(device) for _, each in shared]
            outputs = ranks.outputs(own, [len(each) for each in targets])
            for output, truth in zip(outputs, targets, strict=False):
                meter.update(output, truth)
        return meter.compute() if ranks.is_first else Evaluation({})


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode; afterwards each submodule has its own flag again."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, flag in flags:
            module.training = flag
