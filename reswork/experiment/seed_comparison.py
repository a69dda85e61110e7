"""`compare_seeds`: is the difference between two groups of runs larger than their spread?"""

import math
from collections.abc import Sequence
from typing import Any

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.results.metrics import Metric
from reswork.results.seed_comparison import SeedComparison
from reswork.tasks import TASKS
from reswork.training.live_run import RunState

_LEVEL = 0.05
_FEW = 5  # runs in a group below which the spread itself is poorly known


def compare_seeds(
    a: Any, b: Any, *, series: str | None = None, names: tuple[str, str] | None = None
) -> SeedComparison:
    """Whether the runs of one group end higher than those of another by more than seeds alone explain.

    Each run counts with its last value. Welch's t test asks how often two groups that differ in nothing but
    their seeds would lie so far apart; below 5 in 100 the difference counts as larger than the spread. With two
    or three runs each only large differences can show, and "not larger" does not mean "equal".

    Args:
        a: what `train_seeds` returned, or a sequence of runs, saved runs or histories.
        b: the other group.
        series: what to compare; None: the headline metric on the test split.
        names: what to call the groups; None: what their runs are called.

    Raises:
        InvalidSetting: for a run that is not over, or has no finite value of this series, or an empty group.

    Reference:
        Welch 1947, Biometrika 34, 28-35: the t test without equal variances.

    Example:
        >>> def run(accuracy):
        ...     history = History()
        ...     history.record(1, {"loss/test": accuracy})
        ...     return history
        >>> groups = [run(0.90), run(0.91)], [run(0.93), run(0.93)]
        >>> found = compare_seeds(*groups, series="loss/test", names=("plain", "residual"))
        >>> found.larger_than_spread, round(found.difference, 3), round(found.p_value, 3)
        (False, 0.025, 0.126)
    """
    groups = [_members(a, "a"), _members(b, "b")]
    series = series if series is not None else _headline(groups[0][0])
    values = tuple(tuple(_last_value(run, series) for run in group) for group in groups)
    first, second = values
    called = names if names is not None else _names(a, b, groups)
    means = _mean(first), _mean(second)
    deviations = _deviation(first), _deviation(second)
    difference = means[1] - means[0]
    p_value, interval = _welch(first, second)
    larger = None if p_value is None else p_value < _LEVEL
    facts = (called, series, (first, second), means, deviations, difference, interval, p_value, larger)
    return SeedComparison(*facts, _sentence(*facts))


def _members(group: Any, argument: str) -> list[Any]:
    members = list(getattr(group, "runs", group))
    if not members:
        raise InvalidSetting(argument, f"{argument} holds no run; give at least one, better three or more")
    return members


def _headline(run: Any) -> str:
    """The series of the metric that says most, by what a run learns, or by what a history has."""
    metric: Metric | None = getattr(run, "headline", None)
    if metric is not None:
        return metric.test
    known = [task.metrics[0].test for task in TASKS.values()]
    history: History = run if isinstance(run, History) else run.history
    return next((name for name in known if name in history.names), known[0])


def _last_value(run: Any, series: str) -> float:
    history: History = run if isinstance(run, History) else run.history
    name = getattr(run, "name", "a history")
    state = getattr(run, "state", RunState.FINISHED)
    if not state.over:
        raise InvalidSetting("runs", f"run {name!r} is {state.value}; wait for its end before comparing it")
    value = history.last(series)
    if value is None or not math.isfinite(value):
        told = "no value" if value is None else f"{value}"
        have = ", ".join(each for each in history.names if "/" in each) or "none"
        raise InvalidSetting(
            "series",
            f"run {name!r} ends with {told} of {series!r}; leave it out, or choose another of: {have}",
        )
    return value


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return 0.0
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _welch(
    first: Sequence[float], second: Sequence[float]
) -> tuple[float | None, tuple[float, float] | None]:
    """P of the t test without equal variances, and the 95 % interval; None where no spread is known."""
    spreads = [_deviation(first), _deviation(second)]
    if spreads[0] is None or spreads[1] is None or not any(spreads):
        return None, None
    from scipy.special import stdtr, stdtrit

    parts = [spread**2 / len(values) for spread, values in zip(spreads, (first, second), strict=True)]  # type: ignore[operator]
    error = math.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    difference = _mean(second) - _mean(first)
    p_value = 2 * float(stdtr(freedom, -abs(difference) / error))
    reach = float(stdtrit(freedom, 1 - _LEVEL / 2)) * error
    return p_value, (difference - reach, difference + reach)


def _names(a: Any, b: Any, groups: Sequence[Sequence[Any]]) -> tuple[str, str]:
    """The groups' own names, else those of their networks where that tells them apart."""
    found = []
    for group, members in zip((a, b), groups, strict=True):
        labels = {getattr(run, "model_label", "") for run in members}
        found.append(str(getattr(group, "name", "") or "") or (labels.pop() if len(labels) == 1 else ""))
    if found[0] and found[1] and found[0] != found[1]:
        return found[0], found[1]
    return "the first", "the second"


def _sentence(
    names: tuple[str, str],
    series: str,
    values: tuple[tuple[float, ...], tuple[float, ...]],
    means: tuple[float, float],
    deviations: tuple[float | None, float | None],
    difference: float,
    interval: tuple[float, float] | None,
    p_value: float | None,
    larger: bool | None,
) -> str:
    groups = zip(names, values, means, deviations, strict=True)
    told = "; ".join(_group(name, len(each), mean, spread, series) for name, each, mean, spread in groups)
    gap = _gap(abs(difference), series)
    ways = "higher" if difference > 0 else "lower"
    against = f"{len(values[0])} against {len(values[1])} runs"
    if p_value is None or interval is None:
        return f"{told}. {against}: {_why_unknown(values, gap)}"
    reach = f"95 % interval {_signed(interval[0], series)} to {_signed(interval[1], series)}"
    few = min(map(len, values)) < _FEW
    if larger:
        text = (
            f"the difference of {gap} is larger than the spread: groups that differ only in their seeds would lie "
            f"so far apart in {_chance(p_value)} (Welch's t test, {reach}); {names[1]} is {ways}"
        )
        more = " With so few runs the spread itself is poorly known; more seeds would make this firmer."
    else:
        text = (
            f"the difference of {gap} is not larger than the spread: groups that differ only in their seeds would "
            f"lie at least so far apart in {_chance(p_value)} (Welch's t test, {reach})"
        )
        more = " That does not show that they are equal: so few runs can only show large differences."
    return f"{told}. {against}: {text}.{more if few else ''}"


def _why_unknown(values: tuple[tuple[float, ...], tuple[float, ...]], gap: str) -> str:
    if min(map(len, values)) < 2:
        return (
            f"whether the difference of {gap} is larger than the spread cannot be said, because a single run has "
            "no spread; train at least two seeds of each, better five."
        )
    return (
        f"all runs of a group gave the same number, so the spread is not known and the difference of {gap} cannot "
        "be weighed; use more test pictures, or compare the loss."
    )


def _group(name: str, count: int, mean: float, spread: float | None, series: str) -> str:
    runs = f"{count} run{'s' if count > 1 else ''}"
    if _is_share(series):
        return f"{name}: {mean:.1%}" + (f" ± {100 * spread:.1f}" if spread is not None else "") + f" ({runs})"
    return f"{name}: {mean:.4g}" + (f" ± {spread:.2g}" if spread is not None else "") + f" ({runs})"


def _gap(size: float, series: str) -> str:
    if _is_share(series):
        return f"{100 * size:.1f} points" if size >= 0.0005 else f"{100 * size:.2g} points"
    return f"{size:.2g}"


def _signed(value: float, series: str) -> str:
    return f"{100 * value:+.1f}" if _is_share(series) else f"{value:+.2g}"


def _chance(p_value: float) -> str:
    if p_value < 0.001:
        return "fewer than 1 of 1,000 cases"
    count = f"{p_value * 100:.0f} of 100" if p_value >= 0.01 else f"{p_value * 1000:.0f} of 1,000"
    return f"about {count} cases"


def _is_share(series: str) -> bool:
    """Whether it is of a metric that is a fraction, told in percent."""
    return any(
        series.startswith(f"{metric.name}/") and metric.is_share
        for task in TASKS.values()
        for metric in task.metrics
    )
