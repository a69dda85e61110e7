"""Two reports on the same images beside each other: what got better and what worse."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reswork.errors import InvalidSetting
from reswork.reporting.calibration import BINS
from reswork.reporting.verdicts import Verdicts

if TYPE_CHECKING:
    from reswork.reporting.report import Report

FORMAT, VERSION = "reswork-report", 2
DRAWS = 1000
_BY_CLASS = ("recall", "precision", "f1")
_LOWER_IS_BETTER = ("loss", "ece")
_LOG_FLOOR = float(np.finfo(np.float32).tiny)
_ENDS = (2.5, 97.5)  # percent of the draws: an interval of 95 %


@dataclass(frozen=True)
class Change:
    """One number, before and after.

    Attributes:
        name: of the metric, or of the class.
        before: of the other report.
        after: of this one.
        low: lower end of the interval of 95 % of ``after - before``; NaN where there is none.
        high: upper end.
        higher_is_better: False for losses and calibration errors.
    """

    name: str
    before: float
    after: float
    low: float = float("nan")
    high: float = float("nan")
    higher_is_better: bool = True

    @property
    def difference(self) -> float:
        """``after - before``."""
        return self.after - self.before

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval leaves out 0, else empty."""
        if not (self.low > 0 or self.high < 0):
            return ""
        return "better" if (self.low > 0) == self.higher_is_better else "worse"

    @property
    def error_reduction(self) -> float:
        """Share of the error before that is gone; negative where there is more of it, NaN where there was none."""
        before, after = (
            (1 - self.before, 1 - self.after) if self.higher_is_better else (self.before, self.after)
        )
        return (before - after) / before if before > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class ReportComparison:
    """What two reports on the same images differ in; made by `Report.against`.

    Attributes:
        before: name of the other report.
        after: of this one.
        count: images.
        metrics: every metric that both have.
        by_class: ``recall``, ``precision`` and ``f1``, or ``iou`` of masks -> a change for each class.
        mended: (M,) int64, images that were wrong and are right now.
        broken: (B,) int64, images that were right and are wrong now.
        p_value: chance of such a split of the changed images or a more uneven one, were both models equally good.
        report: the one with the images.
    """

    before: str
    after: str
    count: int
    metrics: tuple[Change, ...]
    by_class: Mapping[str, tuple[Change, ...]]
    mended: np.ndarray
    broken: np.ndarray
    p_value: float
    report: "Report" = field(repr=False)

    @property
    def headline(self) -> Change:
        """The metric that says most: top-1, or the mean IoU."""
        return next(each for each in self.metrics if each.name in ("top1", "mean_iou"))

    def __str__(self) -> str:
        lines = [f"{self.after} against {self.before}, {self.count:,} images"]
        for each in self.metrics:
            interval = "" if np.isnan(each.low) else f" ({each.low:+.4f} to {each.high:+.4f})"
            gone = "" if np.isnan(each.error_reduction) else f", error reduced by {each.error_reduction:.1%}"
            lines.append(f"{each.name} {each.before:.4f} -> {each.after:.4f}: {each.difference:+.4f}{interval}{gone}"
                         + (f", {each.verdict}" if each.verdict else ""))  # fmt: skip
        return "\n".join(lines)

    def save(self, path: str | Path) -> Path:
        """Write it as one page (``.html``) that needs no network, or as numbers (``.json``).

        Raises:
            InvalidSetting: another ending, or it cannot be written.
        """
        from reswork.reporting.comparison_page import save_comparison

        return save_comparison(self, Path(path))


def compare(
    after: "Report", before: "Report | Mapping[str, Any] | str | Path", *, draws: int = DRAWS, seed: int = 0
) -> ReportComparison:
    """A report against another one on the same test images.

    Intervals are of the paired bootstrap: images are drawn again and again, each time the same for both, and the
    middle 95 of 100 differences kept. Each is for itself: of twenty classes one looks changed by chance.

    Args:
        after: the new one.
        before: the old one, or what was saved of it as JSON, or that file.
        draws: of the bootstrap.
        seed: of the draws.

    Raises:
        InvalidSetting: the reports are of different images, labels or classes, one has no labels, or a file that is
            none of a report.

    Reference:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; McNemar 1947 for the p value.
    """
    new, old = after.record(), _record(before)
    _check_same(new, old)
    try:
        one, two = (Verdicts.unpacked(each["verdicts"]) for each in (old, new))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidSetting(
            "other", "the other report's verdicts cannot be read; write its JSON anew"
        ) from error
    count = len(two.iou) if after.is_masks else len(two.labels)
    if count != (len(one.iou) if after.is_masks else len(one.labels)):
        raise InvalidSetting(
            "other", "the other report's verdicts are not of as many images; write its JSON anew"
        )
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count), dtype=np.int32)
    if after.is_masks:
        return _of_masks(after, old, new, drawn)
    wide = len(after.classes)
    whole = [_numbers(each, np.ones(count), wide) for each in (one, two)]
    samples = []
    for rows in drawn:
        weights = np.bincount(rows, minlength=count).astype(np.float64)
        (was, was_by_class), (now, now_by_class) = (_numbers(each, weights, wide) for each in (one, two))
        samples.append(({name: now[name] - was[name] for name in now}, now_by_class - was_by_class))
    metrics = []
    for name, value in new["metrics"].items():
        if old["metrics"].get(name) is not None and value is not None:
            low, high = _ends([sample[name] for sample, _ in samples])
            better = name not in _LOWER_IS_BETTER
            metrics.append(Change(name, old["metrics"][name], value, float(low), float(high), better))
    low, high = _ends(np.stack([sample for _, sample in samples]))  # (3, K) each
    four = np.stack([whole[0][1], whole[1][1], low, high], axis=-1).tolist()  # (3, K, 4)
    by_class = {
        name: tuple(
            Change(label, was, now, least, most)
            for label, (was, now, least, most) in zip(after.classes, four[row], strict=True)
        )
        for row, name in enumerate(_BY_CLASS)
    }
    mended, broken = np.flatnonzero(~one.right & two.right), np.flatnonzero(one.right & ~two.right)
    return ReportComparison(old["name"], new["name"], count, tuple(metrics), by_class, mended, broken,
                            _mcnemar(len(mended), len(broken)), after)  # fmt: skip


def _of_masks(
    after: "Report", old: Mapping[str, Any], new: Mapping[str, Any], drawn: np.ndarray
) -> ReportComparison:
    """Metrics of all pixels have no interval here; the mean over images of their IoU has one."""
    was, now = (Verdicts.unpacked(each["verdicts"]).iou.astype(np.float64) for each in (old, new))
    known = np.isfinite(was) & np.isfinite(now)
    gain = np.where(known, now - was, 0.0)
    means = gain[drawn].sum(axis=1) / np.maximum(known[drawn].sum(axis=1), 1)
    low, high = _ends(means)
    images = Change(
        "IoU of an image", float(was[known].mean()), float(now[known].mean()), float(low), float(high)
    )
    metrics = tuple(
        Change(name, old["metrics"][name], value, higher_is_better=name not in _LOWER_IS_BETTER)
        for name, value in new["metrics"].items()
        if "/" not in name and old["metrics"].get(name) is not None and value is not None
    )  # those with a stroke are of a class
    pairs = zip(after.classes, old["sections"]["masks"]["iou"], new["sections"]["masks"]["iou"], strict=True)
    nan = float("nan")
    by_class = tuple(
        Change(name, nan if one is None else one, nan if two is None else two) for name, one, two in pairs
    )
    none = np.zeros(0, np.int64)
    return ReportComparison(old["name"], new["name"], len(was), (*metrics, images), {"iou": by_class}, none, none,
                            nan, after)  # fmt: skip


def _numbers(given: Verdicts, weights: np.ndarray, wide: int) -> tuple[dict[str, float], np.ndarray]:
    """The metrics of weighted images, as torchmetrics defines them, and (3, K) recall, precision and F1 by class."""
    whole, right = weights.sum(), given.right
    true, called = np.bincount(given.labels, weights, wide), np.bincount(given.predicted, weights, wide)
    both = np.bincount(given.labels[right], weights[right], wide)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_class = np.stack([both / true, both / called, 2 * both / (true + called)])
    shown = (true + called) > 0
    recall, precision, f1 = np.nan_to_num(by_class[:, shown]).mean(axis=1)
    gaps = np.bincount(_bins(given.confidence), weights * (right - given.confidence.astype(np.float64)), BINS)
    losses = -np.log(np.maximum(given.own, _LOG_FLOOR, dtype=np.float64))
    found = {
        "loss": losses @ weights / whole, "top1": right @ weights / whole, "top5": given.in_top5 @ weights / whole,
        "precision": precision, "recall": recall, "f1": f1, "ece": np.abs(gaps).sum() / whole,
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()}, by_class


def _bins(confidence: np.ndarray) -> np.ndarray:
    """The bin of `calibration` that each confidence is in."""
    edges = np.linspace(0, 1, BINS + 1).astype(np.float32)
    found: np.ndarray = np.minimum(np.digitize(confidence, edges) - 1, BINS - 1)
    return found


def _ends(samples: Any) -> Any:
    """Lower and upper end over the draws; NaN where a class was in none of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanpercentile(np.asarray(samples), _ENDS, axis=0)


def _mcnemar(mended: int, broken: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(mended, mended + broken).pvalue) if mended + broken else 1.0


def _record(given: Any) -> Mapping[str, Any]:
    """What was saved of a report, from the report, the file or what is in it."""
    if hasattr(given, "record"):
        found: Mapping[str, Any] = given.record()
        return found
    if isinstance(given, Mapping):
        return _checked(given, "the other report")
    try:
        return _checked(json.loads(Path(given).read_text(encoding="utf-8")), repr(str(given)))
    except OSError as error:
        raise InvalidSetting("other", f"{str(given)!r} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidSetting(
            "other", f"{str(given)!r} is no JSON of a report; write one with save('a.json')"
        ) from error


def _checked(given: Any, told: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or given.get("format") != FORMAT:
        raise InvalidSetting("other", f"{told} is no JSON of a report; write one with save('a.json')")
    if given.get("version") != VERSION:
        raise InvalidSetting(
            "other",
            f"{told} is of version {given.get('version')}, and this is {VERSION}; write its JSON anew",
        )
    return given


def _check_same(new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    for name, each in (("other", old), ("report", new)):
        if not each.get("verdicts"):
            raise InvalidSetting(
                name, f"the report on {each.get('name')!r} has no labels, so nothing got better or worse"
            )
    one, two = old.get("data") or {}, new["data"]
    images = None not in (one.get("images"), two["images"]) and one.get("images") != two["images"]
    for differs, what in (
        (old.get("classes") != new["classes"], "other classes"), (one.get("targets") != two["targets"], "other labels"),
        (images, "other images"),
    ):  # fmt: skip
        if differs:
            raise InvalidSetting(
                "other",
                f"{old.get('name')!r} was judged on {what} than {new['name']!r} ({old.get('images'):,} and "
                f"{new['images']:,} images); compare reports on the same test images, in the same order",
            )
