"""`PinnedExamples`: pinned pictures looked at again and again while a network learns, from snapshots."""

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets import Dataset, normalise
from reswork.datasets.targets import NO_BOX
from reswork.datasets.volumes import shown_slices
from reswork.errors import InvalidSetting
from reswork.probes import attribution
from reswork.results.answers import ClassAnswers, Frame, IdentityAnswers, MaskAnswers
from reswork.tasks import Task, explained_model, task_for

MOST_FRAMES = 7  # columns that a page of 850 pixels shows with their words


class PinnedExamples:
    """Frames of a few test pictures, one for each time that `shoot` is called with another step.

    When there are more frames than fit, those between the first and the newest are thinned out, so that they stay
    spread over the whole training.

    Args:
        data: where the pictures are from.
        pictures: places in the test split; None: the first one of each of the first four classes.
        task: what is learned; None: as the data's targets say.
        most: frames that are kept.

    Raises:
        InvalidSetting: for a place that is not there.
    """

    def __init__(
        self,
        data: Dataset,
        images: tuple[int, ...] | None = None,
        *,
        task: Task | None = None,
        most: int = MOST_FRAMES,
    ) -> None:
        self.data = data
        self.task = task or task_for(data)
        self.pictures = first_of_each_class(data) if images is None else tuple(images)
        _check_places(self.pictures, data)
        self.frames: tuple[Frame, ...] = ()
        self._most = most

    @property
    def images(self) -> Tensor:
        """(M, C, H, W) uint8, the pinned pictures; of volumes a slice of each, (M, 1, H, W)."""
        return pinned_images(self.data, self.pictures)

    @property
    def truth(self) -> Tensor | None:
        """What should have come out; None for labels.

        (M, H, W) uint8, masks, of volumes those of the slices; (M, C, H, W) uint8, as they were; or (M, B, 5) boxes.
        """
        return pinned_truth(self.data, self.pictures)

    def shoot(self, snapshot: nn.Module, step: int) -> None:
        """Add a frame; nothing happens where the newest one is of the same step.

        Args:
            snapshot: of the network, such as ``run.snapshot()``.
            step: updates so far.
        """
        if self.frames and self.frames[-1].step == step:
            return
        frame = frame_of(snapshot, self.data, self.pictures, step, self.task)
        self.frames = thinned((*self.frames, frame), self._most)


def frame_of(
    model: nn.Module, data: Dataset, pictures: tuple[int, ...], step: int, task: Task | None = None
) -> Frame:
    """What a network answers to a few test pictures, and where it looks; of volumes in the slices of `pinned_images`.

    Raises:
        InvalidSetting: for a picture that is not there, and for inputs that are neither images nor volumes with masks.
    """
    _check_places(pictures, data)
    weight = next(model.parameters())
    split = data.test.take(torch.as_tensor(pictures))
    images = split.inputs if _slices(data) else split.images
    images = normalise(images.to(weight.device), data.mean, data.std)
    task = task or task_for(data)
    with torch.no_grad():
        answers = task.answers(task.call(model, images))
    if isinstance(answers, MaskAnswers) and _slices(data):
        slices = shown_slices(split.inputs.cpu(), split.masks.cpu())[1].numpy()
        answers = MaskAnswers(answers.masks[np.arange(len(slices)), slices], answers.sure)
    if not isinstance(answers, ClassAnswers | IdentityAnswers):
        return Frame(step, None, answers)
    explained = explained_model(model, task, images)
    found = attribution(explained, images, method="grad_cam", target=answers.classes.tolist())
    return Frame(step, found.maps, answers)


def pinned_truth(data: Dataset, pictures: tuple[int, ...]) -> Tensor | None:
    """What should have come out for pictures of the test split, where that can be drawn."""
    if data.target_kind not in ("masks", "images", "boxes"):
        return None
    targets = data.test.targets[list(pictures)].cpu()
    if not _slices(data):
        return targets
    slices = shown_slices(data.test.inputs[list(pictures)].cpu(), targets)[1]
    return targets[torch.arange(len(slices)), slices]


def pinned_images(data: Dataset, pictures: tuple[int, ...]) -> Tensor:
    """(M, C, H, W) uint8 of the test split; of volumes the slice that shows most classes, (M, 1, H, W)."""
    if not _slices(data):
        return data.test.images[list(pictures)].cpu()
    split = data.test.take(torch.as_tensor(pictures))
    return shown_slices(split.inputs.cpu(), split.masks.cpu())[0]


def _slices(data: Dataset) -> bool:
    return data.input_kind == "volumes" and data.target_kind == "masks"


def _check_places(images: tuple[int, ...], data: Dataset) -> None:
    for index in images:
        if not 0 <= index < len(data.test):
            raise InvalidSetting(
                "pictures", f"picture {index} is not there; choose 0 to {len(data.test) - 1}"
            )


def first_of_each_class(data: Dataset, count: int = 4) -> tuple[int, ...]:
    """Places of the first test picture of each of the first classes; of masks, of the first ones that show each.

    Of images as targets those with most contrast, of boxes those with most of them.
    """
    if data.target_kind == "boxes":
        counts = (data.test.boxes[..., 4] != NO_BOX).sum(1).cpu()
        return tuple(counts.argsort(descending=True, stable=True)[:count].tolist())
    if data.target_kind == "images":
        contrast = data.test.targets.cpu().float().flatten(1).std(1)
        return tuple(contrast.argsort(descending=True)[:count].tolist())
    if data.task == "anomalies":  # three bad ones and a good one
        bad = (data.test.masks != 0).flatten(1).any(1).cpu()
        return (*bad.nonzero().flatten().tolist()[: count - 1], *(~bad).nonzero().flatten().tolist()[:1])
    if data.target_kind == "masks":
        masks, found = data.test.masks.cpu(), list[int]()
        for label in range(1, len(data.classes)):  # the first is mostly the ground, and on all of them
            shows = (masks == label).flatten(1).any(1).nonzero().flatten().tolist()
            found += [index for index in shows if index not in found][:1]
        return tuple(found or [0])[:count]
    if data.target_kind != "labels":  # nothing to choose by
        return tuple(range(min(count, len(data.test))))
    labels = data.test.labels.cpu()
    indices = [(labels == label).nonzero() for label in range(len(data.classes))]
    return tuple(int(index[0]) for index in indices if len(index))[:count]


def thinned(frames: tuple[Frame, ...], most: int) -> tuple[Frame, ...]:
    """At most so many frames: the one goes that leaves the smallest gap, but never the first or the newest."""
    while len(frames) > max(most, 2):
        gaps = [later.step - earlier.step for earlier, later in zip(frames, frames[2:], strict=False)]
        gone = 1 + gaps.index(min(gaps))
        frames = frames[:gone] + frames[gone + 1 :]
    return frames
