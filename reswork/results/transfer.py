"""What a trained network is worth for other data, and what it forgets while it learns them."""

from dataclasses import dataclass
from html import escape

import numpy as np


@dataclass(frozen=True, eq=False)
class Worth:
    """Accuracy after training from nothing and after fine-tuning, for some numbers of images.

    Attributes:
        ways: (W,) names, training from nothing first.
        images: (N,) training images of each class, as many of all.
        accuracy: (W, N, S) on the test split, 0 to 1, for each of S seeds; NaN where it is not computed yet.
        source: what the weights came from, in words.
        data: name of what was learned.
    """

    ways: tuple[str, ...]
    images: tuple[int, ...]
    accuracy: np.ndarray
    source: str = ""
    data: str = ""

    @property
    def gain(self) -> np.ndarray:
        """(W - 1, N) mean of what each other way is better than training from nothing, seed by seed."""
        difference: np.ndarray = self.accuracy[1:] - self.accuracy[:1]
        return _mean(difference)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        means = _mean(self.accuracy)
        parts = []
        for place, count in enumerate(self.images):
            if not np.isfinite(means[:, place]).all():
                continue
            told = ", ".join(f"{way} {means[row, place]:.3f}" for row, way in enumerate(self.ways))
            parts.append(f"with {count} images of a class: {told}")
        if not parts:
            return "Nothing is computed yet."
        seeds = self.accuracy.shape[2]
        return f"Accuracy, {seeds} seed{'s' * (seeds > 1)}: {'; '.join(parts)}. {self.verdict}"

    @property
    def verdict(self) -> str:
        """Where the best other way is better than training from nothing with every seed, and where it is not."""
        better: list[str] = []
        other: list[str] = []
        for place, count in enumerate(self.images):
            apart = self.accuracy[1:, place] - self.accuracy[0, place]  # (W - 1, S)
            if not np.isfinite(apart).all():
                continue
            best = int(_mean(apart).argmax())
            (better if (apart[best] > 0).all() else other).append(str(count))
        told = []
        if better:
            told.append(f"the trained weights help with every seed at {_listed(better)} images of a class")
        if other:
            told.append(f"they do not, or not with every seed, at {_listed(other)}")
        return f"{'; '.join(told).capitalize()}." if told else ""

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{count} a class</th>" for count in self.images)
        rows = "".join(
            _row(way, [self.accuracy[row, place] for place in range(len(self.images))])
            for row, way in enumerate(self.ways)
        )
        return f"<table><tr><th></th>{head}</tr>{rows}</table><p>{self.verdict}</p>"


@dataclass(frozen=True, eq=False)
class Forgetting:
    """Accuracy on what was known and on what is new, while a network learns on.

    Attributes:
        ways: (W,) names of how it learned on.
        old: (W, S, E + 1) accuracy on the old test images before, and after each of E epochs; NaN: not computed yet.
        new: (W, S, E + 1) likewise on the new ones.
        old_name: what was known.
        new_name: what arrived.
    """

    ways: tuple[str, ...]
    old: np.ndarray
    new: np.ndarray
    old_name: str = "old"
    new_name: str = "new"

    @property
    def forgotten(self) -> np.ndarray:
        """(W,) how much of the accuracy on the old is lost at the end, mean over seeds."""
        return _mean(self.old[:, :, 0] - self.old[:, :, -1])

    @property
    def sentence(self) -> str:
        """The finding in words."""
        old, new = _mean(self.old[:, :, -1]), _mean(self.new[:, :, -1])
        known = [row for row in range(len(self.ways)) if np.isfinite(old[row])]
        if not known:
            return "Nothing is computed yet."
        before = float(np.nanmean(self.old[:, :, 0]))
        told = "; ".join(f"{self.ways[row]}: {old[row]:.3f} and {new[row]:.3f}" for row in known)
        both = f"{self.old_name} and {self.new_name}"
        return f"On {self.old_name} {before:.3f} were right before; afterwards on {both}: {told}."

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        cells = {
            "old, before": self.old[:, :, 0],
            "old, after": self.old[:, :, -1],
            "new, after": self.new[:, :, -1],
            "mean of both": (self.old[:, :, -1] + self.new[:, :, -1]) / 2,
        }
        head = "".join(f"<th scope='col'>{name}</th>" for name in cells)
        rows = "".join(_row(way, [each[row] for each in cells.values()]) for row, way in enumerate(self.ways))
        return f"<table><tr><th></th>{head}</tr>{rows}</table>"


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, the seeds; NaN where none is known."""
    known = np.isfinite(values)
    counts = known.sum(axis=-1)
    sums = np.where(known, values, 0).sum(axis=-1)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _row(name: str, cells: list[np.ndarray]) -> str:
    return (
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(f'<td>{_cell(each)}</td>' for each in cells)}</tr>"
    )


def _cell(values: np.ndarray) -> str:
    """Mean, and the smallest and the largest."""
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    spread = f" ({known.min():.3f} to {known.max():.3f})" if len(known) > 1 else ""
    return f"{known.mean():.3f}{spread}"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
