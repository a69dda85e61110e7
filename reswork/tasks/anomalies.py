"""Anomalies: learned from good images alone, what is not like them stands out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.datasets.dataset import Dataset
from reswork.datasets.targets import IGNORED
from reswork.errors import InvalidSetting
from reswork.results.answers import AnomalyAnswers
from reswork.results.metrics import Metric
from reswork.tasks.output import check_output_shape
from reswork.tasks.roc import roc
from reswork.tasks.task import Evaluation

if TYPE_CHECKING:
    from reswork.training.recipe import Recipe

WISHED = 0.05  # false alarms
MOST_PIXELS = 2_000_000  # that are sorted for the curve by pixel
_WORST = 0.05  # of the pixels, whose mean is the score of an image
_SPREAD = 2  # pixels to each side over which an error is averaged


@dataclass(frozen=True)
class Anomalies:
    """Good images alone are learned: an autoencoder gives back what goes in, through a code of few channels.

    What it has never seen does not come through. The map of an image is the squared error of each pixel, the mean over
    5x5 of them; its score the mean of the highest twentieth of its map. Targets are masks (N, H, W) uint8: 0 where all
    is good, 1 where it is not, 255 where nobody knows, as all over an image of which only the whole is known to be
    bad. Outputs (N, 2C, H, W): what came out, and what went in.

    ``found`` is the share of bad images with a score above a threshold that is exceeded by 5 % of the first half of
    the good test images; ``false_alarms`` is the share of the second half of them that exceeds it. Of a training batch,
    which has good images alone, no score is defined.

    Reference:
        Bergmann et al. 2019, MVTec AD: autoencoders, AUROC by image and by pixel.
    """

    kind = "anomalies"
    metrics = (
        Metric("auroc", "AUROC by image", ".3f", True,
               "How often a bad image has a higher score than a good one; 0.5 is chance."),
        Metric("auroc_pixel", "AUROC by pixel", ".3f", True,
               "How often a bad pixel has a higher value in the map than a good one, where that is known."),
        Metric("found", "found", ".1%", True,
               "The share of bad images that raise an alarm, at a threshold chosen for 5 % false alarms."),
        Metric("false_alarms", "false alarms", ".1%", False,
               "The share of good images that raise an alarm, on others than those the threshold was chosen by."),
    )  # fmt: skip

    def check_data(self, data: Dataset) -> None:
        """Refuse targets that are no masks, bad images to learn from, and a test without either kind.

        Raises:
            InvalidSetting: in one sentence.
        """
        if data.target_kind != "masks":
            raise InvalidSetting(
                "task",
                f"{data.name} has {data.target_kind}; anomalies are judged by masks, see datasets.anomalies",
            )
        if bool((data.train.masks != 0).any()):
            raise InvalidSetting(
                "train", f"{data.name} has bad pixels to learn from: train on good images alone"
            )
        bad = is_bad(data.test.masks)
        if not bool(bad.any()) or bool(bad.all()):
            raise InvalidSetting(
                "test",
                f"all test images of {data.name} are {'bad' if bad.any() else 'good'}: give some of both",
            )

    def check_recipe(self, recipe: "Recipe") -> None:
        """Refuse what is about classes, and pictures over each other.

        Raises:
            InvalidSetting: in one sentence.
        """
        for name, off in (("mixup", 0), ("label_smoothing", 0), ("class_weights", None)):
            value = getattr(recipe, name)
            if value != off:
                raise InvalidSetting(
                    name,
                    f"{name}={value!r} is about classes, and what goes in shall come out; choose {off!r}",
                )

    def check_output(self, model: nn.Module, output: object, data: Dataset) -> None:
        """Refuse a model that does not give an image of the size and the channels of what goes in.

        Raises:
            InvalidSetting: in one sentence.
        """
        channels, height, width = data.input_shape
        needs = (
            f"{data.name} needs the channels and the size of what goes in, with that behind what comes out"
        )
        build = "rw.resnet(rw.config_for(data))"
        check_output_shape(model, output, (2, 2 * channels, height, width), "images", needs, "head", build)

    def head(self, data: Dataset) -> dict[str, Any]:
        """The fields of `ResNetConfig` that follow from the data."""
        channels = data.input_shape[0]
        return {"in_channels": channels, "num_classes": channels, "head": "autoencoder"}

    def call(self, model: Callable[..., Any], inputs: Tensor, targets: Tensor | None = None) -> Any:
        """What came out, and behind it what went in, (N, 2C, H, W), float32."""
        output = model(inputs)
        if not isinstance(output, Tensor) or output.dim() != 4 or output.shape[2:] != inputs.shape[2:]:
            return output
        return torch.cat((output.float(), inputs.float()), dim=1)

    def loss(
        self, output: Tensor, targets: Tensor, recipe: "Recipe", class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean squared error, in standard deviations of a channel."""
        came_out, went_in = output.chunk(2, dim=1)
        return F.mse_loss(came_out, went_in)

    def weight(self, targets: Tensor, class_weights: Tensor | None = None) -> float | Tensor:
        """Images."""
        return len(targets)

    def score(self, output: Tensor, targets: Tensor) -> Tensor:
        """AUROC by image of the batch; not a number where all of it is good, or bad."""
        scores, bad = image_scores(error_maps(output.detach())), is_bad(targets)
        higher = (scores[bad][:, None] > scores[~bad][None]).float()
        higher += 0.5 * (scores[bad][:, None] == scores[~bad][None]).float()
        return higher.mean()

    def meter(self, data: Dataset, device: torch.device) -> "AnomalyMeter":
        """AUROC by image and by pixel, and alarms."""
        return AnomalyMeter()

    def answers(self, output: Tensor) -> AnomalyAnswers:
        """The map and the score of each image, and what came out."""
        maps = error_maps(output.detach())
        restored = output.detach().chunk(2, dim=1)[0]
        return AnomalyAnswers(
            maps.cpu().numpy(), image_scores(maps).cpu().numpy(), restored.float().cpu().numpy()
        )

    def right(self, output: Tensor, targets: Tensor) -> Tensor:
        """Whether each image is on its side of the middle between the mean scores of good and of bad ones.

        Where only one kind is there, whether its score is at most twice the median.
        """
        scores, bad = image_scores(error_maps(output)), is_bad(targets)
        if bool(bad.any()) and not bool(bad.all()):
            return (scores > (scores[bad].mean() + scores[~bad].mean()) / 2) == bad
        return (scores <= 2 * scores.median()) != bad

    def explained(self, output: Tensor, reference: Tensor | None = None) -> Tensor:
        """The score of each image, (N, 1), over the pixels that have the highest values for the image as it is."""
        maps = error_maps(output)
        chosen = error_maps((output if reference is None else reference).detach()).flatten(1)
        top = chosen >= chosen.topk(_worst(chosen.shape[1]), dim=1).values[:, -1:]
        return (maps.flatten(1) * top).sum(1, keepdim=True) / top.sum(1, keepdim=True)


class AnomalyMeter:
    """Maps, scores and masks of a split."""

    def __init__(self) -> None:
        self._found: list[tuple[Tensor, Tensor, Tensor]] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        """Take one more batch."""
        came_out, went_in = output.chunk(2, dim=1)
        losses = (came_out - went_in).square().flatten(1).mean(1)
        self._found.append((losses, error_maps(output), targets))

    def compute(self) -> Evaluation:
        """The metrics of all batches so far."""
        losses, maps, masks = (torch.cat(each) for each in zip(*self._found, strict=True))
        good = losses[~is_bad(masks)]
        metrics = {
            "loss": float((good if len(good) else losses).double().mean())
        }  # of what it shall give back
        return Evaluation(metrics | anomaly_metrics(maps, masks))


def anomaly_metrics(maps: Tensor, masks: Tensor, scores: Tensor | None = None) -> dict[str, float]:
    """The metrics of any maps.

    Args:
        maps: (N, H, W), higher where something is wrong.
        masks: (N, H, W) uint8, as of `Anomalies`.
        scores: (N,) of the images; None: the mean of the highest twentieth of their maps.
    """
    scores = image_scores(maps) if scores is None else scores
    bad, metrics = is_bad(masks), dict[str, float]()
    if bool(bad.any()) and not bool(bad.all()):
        metrics["auroc"] = roc(scores, bad).area
        if int((~bad).sum()) > 1:
            found = alarms(scores, bad, WISHED)
            metrics |= {"found": found.found, "false_alarms": found.false_alarms}
    known = masks != IGNORED
    values, wrong = maps[known], masks[known] == 1
    step = -(-len(values) // MOST_PIXELS)
    values, wrong = values[::step], wrong[::step]
    if bool(wrong.any()) and not bool(wrong.all()):
        metrics["auroc_pixel"] = roc(values, wrong).area
    return metrics


@dataclass(frozen=True)
class Alarms:
    """A threshold that was chosen for a rate of false alarms, and what it does.

    Attributes:
        threshold: a score above it is an alarm.
        wished: share of good images that may raise one.
        false_alarms: share of the good images that did, of those that had no part in choosing it.
        found: share of the bad images that did.
    """

    threshold: float
    wished: float
    false_alarms: float
    found: float


def alarms(scores: np.ndarray | Tensor, bad: np.ndarray | Tensor, wished: float = WISHED) -> Alarms:
    """The threshold that a wished share of the first half of the good images exceeds, judged on all others.

    Args:
        scores: (N,), higher for what is not good.
        bad: (N,) bool.
        wished: share of false alarms, 0 to below 1.

    Raises:
        InvalidSetting: another share, or fewer than two good images.
    """
    if not 0 <= wished < 1:
        raise InvalidSetting(
            "wished", f"wished={wished}: choose a share of false alarms from 0 to below 1, as 0.05"
        )
    values, wrong = np.asarray(scores, np.float64), np.asarray(bad, bool)
    good = values[~wrong]
    if len(good) < 2:
        raise InvalidSetting(
            "bad", f"{len(good)} good image(s): give at least two, half of them to choose by"
        )
    half = -(-len(good) // 2)
    chosen, judged = np.sort(good[:half]), good[half:]
    threshold = float(chosen[max(0, int(np.ceil((1 - wished) * half)) - 1)])
    found = float((values[wrong] > threshold).mean()) if wrong.any() else float("nan")
    return Alarms(threshold, wished, float((judged > threshold).mean()), found)


def is_bad(masks: Tensor) -> Tensor:
    """Which images are not good, (N,) bool, from masks as of `Anomalies`."""
    return (masks != 0).flatten(1).any(1)


def error_maps(output: Tensor) -> Tensor:
    """(N, H, W): the squared error of each pixel, the mean over channels and over 5x5 pixels."""
    came_out, went_in = output.chunk(2, dim=1)
    return smoothed((came_out - went_in).square().mean(1))


def smoothed(maps: Tensor) -> Tensor:
    """(N, H, W): the mean over 5x5 pixels, at the edge over those that are there."""
    return F.avg_pool2d(maps[:, None], 2 * _SPREAD + 1, 1, _SPREAD, count_include_pad=False)[:, 0]


def image_scores(maps: Tensor) -> Tensor:
    """(N,): the mean of the highest twentieth of each map."""
    flat = maps.flatten(1)
    return flat.topk(_worst(flat.shape[1]), dim=1).values.mean(1)


def _worst(pixels: int) -> int:
    return max(1, round(_WORST * pixels))
