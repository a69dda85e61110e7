"""A model as attribution methods want it: one number for each class of an image."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from reswork.tasks.classification import Classification
from reswork.tasks.task import Task


def explained_model(model: nn.Module, task: Task, inputs: Tensor) -> nn.Module:
    """A model whose output are the numbers that attribution explains, (N, K); its layers keep their names.

    For classification that is the model itself. For masks it is a copy that gives of each class the mean logit within
    the pixels that the unchanged inputs are answered with it, so that a method which covers parts of an image asks
    about the same pixels all the time; for boxes the logit of each class at the place of its best box. Hand it to
    ``rw.probes.attribution`` and the like, with these inputs.

    Args:
        model: of the task; not changed.
        task: what it learned.
        inputs: (N, C, H, W), normalised, of one image or of as many as are explained together.

    Example:
        >>> from reswork.tasks import Segmentation
        >>> net = nn.Conv2d(3, 4, 3, padding=1)
        >>> explained_model(net, Segmentation(), torch.rand(1, 3, 8, 8))(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 4])
    """
    if isinstance(task, Classification):
        return model
    copied, kind = copy.deepcopy(model).eval(), type(model)
    with torch.no_grad():
        reference = task.call(copied, inputs)

    def forward(self: nn.Module, *images: Tensor) -> Any:
        output = task.call(lambda inputs: kind.forward(self, inputs), *images)
        fits = len(reference) in (1, len(output))
        return task.explained(output, reference if fits else None)

    copied.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return copied
