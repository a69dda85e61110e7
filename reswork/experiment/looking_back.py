"""`look_back`: what a network of an earlier moment answers, and what changed between two moments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.experiment.pinned_examples import first_of_each_class, frame_of
from reswork.results.answers import Frame
from reswork.results.metrics import Metric
from reswork.store.moments import Moments, moments
from reswork.store.saved_run import AnyRun
from reswork.tasks import Evaluation, Task, task_for
from reswork.training.evaluation import evaluate

MOST_PICTURES = 1_000  # of the test split, that a moment is judged by


@dataclass(frozen=True, eq=False)
class Look:
    """A network of one moment, and what it answers.

    Attributes:
        name: of the run.
        step: that the network is of.
        model: in evaluation mode.
        sentence: why it is of another step than was asked for; empty where it is not.
        pictures: (M,) places of the pinned pictures in the test split.
        frame: answers to them and where it looked.
        found: metrics and tables on the first pictures of the test split; None: not yet computed.
        counted: how many pictures those were.
        classes: names.
        task: that judges.
    """

    name: str
    step: int
    model: nn.Module
    sentence: str
    pictures: tuple[int, ...]
    frame: Frame
    found: Evaluation | None
    counted: int
    classes: tuple[str, ...]
    task: Task

    @property
    def headline(self) -> Metric:
        """The metric that says most."""
        return self.task.metrics[0]


def look_back(
    run: AnyRun,
    step: int,
    data: Dataset,
    *,
    pictures: Sequence[int] | None = None,
    most: int = MOST_PICTURES,
    task: Task | None = None,
) -> Look:
    """The network of a run at a step, with its answers to a few pictures and its metrics.

    Everything is computed from the weights that the run kept; give ``.model`` to any probe for more.

    Args:
        run: live or from disk.
        step: updates made; where no moment was kept the nearest one is taken, and ``.sentence`` says so.
        data: whose test pictures it answers.
        pictures: places of pinned pictures in the test split; None: one of each of the first four classes.
        most: test pictures that it is judged by.
        task: what judges it; None: as the data's targets say.

    Raises:
        InvalidSetting: if the run kept no moments, or a picture is not there.

    Example:
        >>> look_back(run, 40, data).found.metrics["loss"]  # doctest: +SKIP
    """
    look = first_look(moments(run), run.name, step, data, pictures, task)
    return with_judgement(look, data, most)


def first_look(
    found: Moments,
    name: str,
    step: int,
    data: Dataset,
    pictures: Sequence[int] | None = None,
    task: Task | None = None,
) -> Look:
    """The quick part of `look_back`: the network and the pinned pictures."""
    moment, task = found.at(step), task or task_for(data)
    chosen = first_of_each_class(data) if pictures is None else tuple(pictures)
    frame = frame_of(moment.model, data, chosen, moment.step, task)
    return Look(name, moment.step, moment.model, moment.sentence, chosen, frame, None, 0, data.classes, task)


def with_judgement(
    look: Look, data: Dataset, most: int = MOST_PICTURES, stopped: Callable[[], bool] = lambda: False
) -> Look:
    """The slow part: metrics and tables; unchanged where ``stopped`` became true meanwhile."""
    device = next(look.model.parameters()).device
    part = data.test.take(slice(most)).to(device)
    judged = replace(data, test=part, extras={})
    found = evaluate(look.model, judged, look.task, batch_size=250, stopped=stopped)
    return look if found is None else replace(look, found=found, counted=len(part))


def what_changed(before: Look, after: Look) -> tuple[str, ...]:
    """What is different between two moments, in sentences: accuracy, classes, pinned pictures, weights.

    Args:
        before: from `look_back`.
        after: the same of another step, or of another run on the same data.
    """
    sentences = []
    if before.found is not None and after.found is not None:
        sentences += _judged(before, after)
    sentences += _answered(before, after)
    sentences += _weighed(before.model.state_dict(), after.model.state_dict())
    return tuple(sentences)


def _judged(before: Look, after: Look) -> list[str]:
    assert before.found is not None and after.found is not None
    old, new = before.found, after.found
    metric = after.headline
    score, was = (metric.told(each.metrics.get(metric.name)) or "unknown" for each in (new, old))
    sentences = [
        f"On {after.counted:,} test pictures the {metric.label} of {after.name} at step {after.step:,} is {score}, of "
        f"{before.name} at step {before.step:,} {was}; the loss is {new.loss:.3f} against {old.loss:.3f}."
    ]
    shares, were = new.by_class, old.by_class
    if shares.shape != were.shape or not len(shares):
        return sentences
    gains = np.nan_to_num(shares - were)
    for index, word in ((int(gains.argmax()), "gained"), (int(gains.argmin()), "lost")):
        if (gains[index] > 0) == (word == "gained") and abs(gains[index]) >= 0.01:
            sentences.append(
                f"{after.classes[index]} {word} most: {were[index]:.0%} before, {shares[index]:.0%} after."
            )
    return sentences


def _answered(before: Look, after: Look) -> list[str]:
    if before.pictures != after.pictures:
        return []
    names, old, new = after.classes, before.frame.answers, after.frame.answers
    changed = [
        f"picture {index}, {old.told(row, names)} before and {new.told(row, names)} after"
        for row, index in enumerate(before.pictures)
        if new.differs(old, row)
    ]
    if not changed:
        return [f"All {len(after.pictures)} pinned pictures keep their answers."]
    return [
        f"{len(changed)} of {len(after.pictures)} pinned pictures get another answer: {'; '.join(changed)}."
    ]


def _weighed(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> list[str]:
    both = [
        name
        for name, value in new.items()
        if name in old and value.is_floating_point() and value.shape == old[name].shape and value.dim() > 1
    ]
    sentences = []
    if both:
        with torch.no_grad():
            moved = {
                name: float((new[name] - old[name]).norm() / old[name].norm().clamp_min(1e-12))
                for name in both
            }
        most = max(moved, key=lambda name: moved[name])
        if moved[most] == 0:
            sentences.append("No weight differs.")
        else:
            middle = sorted(moved.values())[len(moved) // 2]
            sentences.append(
                f"Half of the layers' weights moved by {middle:.1%} of their length or more; most of all those of "
                f"{most.removesuffix('.weight')}, by {moved[most]:.0%}."
            )
    alone = sorted({*old} ^ {*new})
    if alone:
        sentences.append(f"{len(alone)} tensors are in one of the two networks only, such as {alone[0]}.")
    return sentences
