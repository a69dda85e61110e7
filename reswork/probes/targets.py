"""What is to be explained: a class, the predicted one, the best few, or one class against another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from reswork.errors import InvalidSetting


@dataclass(frozen=True)
class Difference:
    """Why this class rather than that one: the difference of two scores.

    Args:
        of: number of the class that is explained.
        against: number of the class that it is compared with.
    """

    of: int
    against: int


@dataclass(frozen=True)
class Top:
    """The classes with the highest scores, each explained by a map of its own.

    Args:
        count: how many.
    """

    count: int = 3


Target = int | Sequence[int] | Literal["predicted"] | Difference | Top


@dataclass(frozen=True, eq=False)
class Question:
    """The target of each map, as weights of the net's outputs: any linear combination of them is a score.

    Args:
        rows: (M,) which picture each map belongs to.
        weights: (M, K) float.
        names: (M,) the target in words, ``"3"`` or ``"3 - 5"``.
    """

    rows: Tensor
    weights: Tensor
    names: tuple[str, ...]


def question(target: Target, logits: Tensor) -> Question:
    """The target for these answers.

    Args:
        target: a class for all pictures, one class for each of them, ``"predicted"``, or one of the above.
        logits: (N, K).

    Raises:
        InvalidSetting: for classes that there are not, or as many classes as there are not pictures.
    """
    count, classes = logits.shape
    rows = torch.arange(count)
    if isinstance(target, Top):
        chosen = logits.topk(_within("target", target.count, 1, classes, "classes"), dim=1).indices
        return _one_hot(rows.repeat_interleave(target.count), chosen.flatten(), logits)
    if isinstance(target, Difference):
        for value in (target.of, target.against):
            _within("target", value, 0, classes - 1, "class")
        weights = torch.zeros_like(logits)
        weights[:, target.of] += 1
        weights[:, target.against] -= 1
        return Question(rows, weights, (f"{target.of} - {target.against}",) * count)
    if isinstance(target, str):
        if target != "predicted":
            raise InvalidSetting(
                "target", f"target={target!r}: give a class's number, 'predicted', Top(3) or Difference(3, 5)"
            )
        return _one_hot(rows, logits.argmax(dim=1), logits)
    alone = hasattr(target, "__index__") and not getattr(
        target, "shape", ()
    )  # numpy's and torch's numbers too
    numbers = [int(target)] * count if alone else [int(value) for value in target]  # type: ignore[arg-type, union-attr]
    if len(numbers) != count:
        raise InvalidSetting(
            "target", f"{len(numbers)} targets for {count} images: give one number, or one for each image"
        )
    for value in numbers:
        _within("target", value, 0, classes - 1, "class")
    return _one_hot(rows, torch.tensor(numbers), logits)


def _one_hot(rows: Tensor, chosen: Tensor, logits: Tensor) -> Question:
    weights = torch.zeros(len(rows), logits.shape[1], dtype=logits.dtype, device=logits.device)
    weights.scatter_(1, chosen.to(logits.device)[:, None], 1)
    return Question(rows, weights, tuple(str(value) for value in chosen.tolist()))


def _within(field: str, value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise InvalidSetting(field, f"{field}={value} ({what}): this net has {low} to {high}")
    return value
