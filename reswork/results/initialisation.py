"""What a network is like before its first step, and what that says about its training."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Outcome = Literal["diverges", "does not train", "trains"]

TOLD: dict[Outcome, str] = {
    "diverges": "This will diverge",
    "does not train": "This will not train",
    "trains": "This should train",
}


@dataclass(frozen=True, eq=False)
class Initialisation:
    """A fresh network on one batch, before anything is learned.

    Attributes:
        blocks: (B,) names.
        stream: (B,) float64, average channel variance of what leaves each block.
        branch: (B,) the same of F(x) before the addition; NaN where there is no branch.
        likeness: (B,) mean cosine between what two different images became, -1 to 1.
        layers: (L,) names of convolutions and the last layer.
        gradients: (L,) norms of the gradient of their weights.
        updates: (L,) learning rate times gradient over weight, how far plain gradient descent would move each layer at
            its first step; where the weights are zeros, over what He's initialisation gives.
        curvature: learning rate times the loss's curvature along the gradient; above 2 a step of plain gradient descent
            goes too far.
        autocorrelation: (P,) of the gradient by the input, along a line between two images, 0 to P - 1 places apart;
            1 at first.
        jacobian: (n, K) singular values of the derivative of the outputs by the input at n images, largest first.
        loss: of the batch, which guessing makes log K.
        learning_rate: for which it was asked.
        normed: whether it has norms.
        classes: K.
        seconds: that this took.
    """

    blocks: tuple[str, ...]
    stream: np.ndarray
    branch: np.ndarray
    likeness: np.ndarray
    layers: tuple[str, ...]
    gradients: np.ndarray
    updates: np.ndarray
    autocorrelation: np.ndarray
    jacobian: np.ndarray
    curvature: float
    loss: float
    learning_rate: float
    normed: bool
    classes: int
    seconds: float

    @property
    def condition(self) -> float:
        """Largest over smallest singular value of the Jacobian, the geometric mean over the images."""
        with np.errstate(all="ignore"):
            ratios = self.jacobian[:, 0] / self.jacobian[:, -1]
            return float(np.exp(np.log(ratios).mean()))

    @property
    def signs(self) -> dict[str, float]:
        """The numbers from which the forecast is made; each may be infinite or NaN.

        ``update`` is the largest of the updates; ``gradient`` the largest gradient; ``loss`` the batch's over that of
        guessing; ``spread`` the largest gradient over the smallest that is not zero; ``likeness`` that of the last
        block; ``shattering`` 1 less the autocorrelation one place apart; ``condition`` that of the Jacobian;
        ``curvature`` and ``rate`` as they are; ``normed`` 1 or 0; ``asleep`` the share of layers without a gradient.
        """
        with np.errstate(all="ignore"):
            moving = self.gradients[self.gradients > 0]
            return {
                "update": float(self.updates.max()),
                "gradient": float(self.gradients.max()),
                "loss": self.loss / float(np.log(self.classes)),
                "spread": float(moving.max() / moving.min()) if len(moving) else np.nan,
                "likeness": float(self.likeness[-1]),
                "shattering": 1 - float(self.autocorrelation[1]),
                "condition": self.condition,
                "curvature": self.curvature,
                "rate": self.learning_rate,
                "normed": float(self.normed),
                "asleep": float((self.gradients == 0).mean()),
            }


@dataclass(frozen=True)
class Forecast:
    """What will become of a network that is trained by the recipe the forecast was tested with.

    Attributes:
        outcome: one of three.
        because: the sign that told, with its number and the limit.
        right: forecasts that came true, of the trainings that had no part in choosing the limits.
        judged: how many these were.
        usual: of these, how many had the outcome that was most frequent: what always saying the same would give.
    """

    outcome: Outcome
    because: str
    right: int
    judged: int
    usual: int

    @property
    def sentence(self) -> str:
        """What will happen, and why."""
        return f"{TOLD[self.outcome]}: {self.because}."

    @property
    def trust(self) -> str:
        """How often such forecasts came true."""
        return (
            f"Forecasts like this were right for {self.right} of {self.judged} short trainings "
            f"({self.right / self.judged:.0%}) that had no part in choosing the limits; always saying the "
            f"most frequent outcome is right for {self.usual}."
        )

    def __str__(self) -> str:
        return f"{self.sentence} {self.trust}"


def autocorrelation(rows: np.ndarray, lags: int) -> np.ndarray:
    """Of each row with itself, moved by 0 to ``lags`` places; (S, lags + 1).

    Args:
        rows: (S, P); its mean is taken off.
        lags: at most P - 1.
    """
    rows = np.asarray(rows, np.float64)
    rows = rows - rows.mean(axis=1, keepdims=True)
    squares = (rows**2).sum(axis=1)
    products = [(rows[:, : rows.shape[1] - lag] * rows[:, lag:]).sum(axis=1) for lag in range(lags + 1)]
    return np.divide(
        np.stack(products, axis=1),
        squares[:, None],
        where=squares[:, None] > 0,
        out=np.full((len(rows), lags + 1), np.nan),
    )
