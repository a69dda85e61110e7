"""What simple methods reach on the same split: the numbers that a network has to beat."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.tasks.kinds import task_for
from reswork.tasks.likeness_baselines import anomaly_methods, look_alike_methods
from reswork.tasks.picture_baselines import mask_methods, picture_methods

KERNELS = 200


@dataclass(frozen=True)
class Baseline:
    """One simple method on the test split.

    Attributes:
        name: in words.
        metrics: of the data's task, by name; with two classes also ``average_precision``, of the rarer one.
        seconds: to learn and to answer.
        output: (N, K) log-probabilities or scores of classes, or (N, T) values, as the task takes them; of masks and
            pictures uint8 as they are; embeddings (N, E) for identities, maps (N, H, W) for anomalies.
    """

    name: str
    metrics: dict[str, float]
    seconds: float
    output: np.ndarray


def baselines(data: Dataset, *, season: int = 24, seed: int = 0) -> list[Baseline]:
    """Simple methods that the field would name for such data, learned from the same training split.

    For signals the nearest neighbour and ridge on random convolution kernels, for next steps the value of one season
    ago instead of the neighbour; for tables histogram gradient boosting and logistic regression (or ridge); for texts
    TF-IDF of pieces of words with logistic regression. For masks Otsu's threshold and the class that pixels of a colour
    mostly have; for pictures that shall come out interpolation, or a blur against noise; for identities and anomalies
    pixels and principal components.

    Args:
        data: with signals, tables or tokens, with masks, with pictures that shall come out, identities or anomalies.
        season: moments of a season, for next steps.
        seed: of kernels and trees.

    Raises:
        InvalidSetting: for images with labels.

    Reference:
        Kernels: Dempster et al. 2020, arXiv:1910.13051 (ROCKET), here 200.
    """
    if data.task in _OF_IMAGES:
        return [_timed(name, method) for name, method in _OF_IMAGES[data.task](data, seed).items()]
    kind, values = data.input_kind, data.target_kind == "values"
    own = {"masks": mask_methods, "images": picture_methods}.get(data.target_kind)
    if kind in ("images", "volumes") and own is None:
        raise InvalidSetting(
            "data",
            f"the inputs of {data.name} are {kind} with {data.target_kind}: baselines are for signals, tables, texts, "
            "masks, pictures that shall come out, identities and anomalies",
        )
    methods: dict[str, Callable[[], np.ndarray]] = own(data) if own is not None else {
        "signals": {
            **({"seasonal naive": lambda: seasonal_naive(data, season)} if values and len(data.classes) > 1 else {
                "nearest neighbour": lambda: _neighbour(data)}),
            "ridge on random kernels": lambda: _ridge(data, *_kernel_features(data, seed)),
        },
        "tables": {
            "histogram boosting": lambda: _boosting(data, seed),
            ("ridge" if values else "logistic regression"): lambda: _linear(data, *_flat(data)),
        },
        "tokens": {"TF-IDF, logistic regression": lambda: _linear(data, *_tfidf(data))},
    }[kind]  # fmt: skip

    def told(method: Callable[[], np.ndarray]) -> tuple[np.ndarray, dict[str, float]]:
        output = method()
        return output, judged(data, output)

    return [_timed(name, partial(told, method)) for name, method in methods.items()]


_OF_IMAGES = {"verification": look_alike_methods, "anomalies": anomaly_methods}


def _timed(name: str, method: Callable[[], tuple[np.ndarray, dict[str, float]]]) -> Baseline:
    begin = time.perf_counter()
    output, metrics = method()
    return Baseline(name, metrics, time.perf_counter() - begin, output)


def judged(data: Dataset, output: np.ndarray) -> dict[str, float]:
    """The task's metrics of any answers to the test split; of two classes also the average precision of the rarer.

    Args:
        data: whose test split was answered.
        output: (N, K) logits or log-probabilities; or (N, T) values, standardised as the targets are; or masks or
            pictures, uint8, as the targets are.
    """
    meter = task_for(data).meter(data, torch.device("cpu"))
    if data.target_kind in ("masks", "images"):
        answered = torch.from_numpy(np.asarray(output, np.uint8))
        for part, truth in zip(answered.split(100), data.test.targets.cpu().split(100), strict=True):
            meter.update(_certain(part, data), truth)
        return dict(meter.compute().metrics)
    meter.update(torch.from_numpy(np.asarray(output, np.float32)), data.test.targets.cpu())
    metrics = dict(meter.compute().metrics)
    if data.target_kind == "labels" and len(data.classes) == 2:
        from sklearn.metrics import average_precision_score

        rare = int(data.class_counts("train").argmin())
        truth = data.test.labels.cpu().numpy() == rare
        metrics["average_precision"] = float(
            average_precision_score(truth, output[:, rare] - output[:, 1 - rare])
        )
    return metrics


def _certain(answered: torch.Tensor, data: Dataset) -> torch.Tensor:
    """Masks as logits (N, K, ...) that leave no doubt, pictures from 0 to 1."""
    if data.target_kind == "images":
        return answered.float() / 255
    chosen = torch.nn.functional.one_hot(answered.long(), len(data.classes)).movedim(-1, 1)
    return torch.where(chosen > 0, 0.0, -30.0)


def seasonal_naive(data: Dataset, season: int, split: str = "test") -> np.ndarray:
    """The first channel one season ago as answer, (N, T), standardised as the targets are.

    Where the data set tells differences to one season ago, that is a difference of zero.

    Raises:
        InvalidSetting: a season longer than what is seen, or no next steps.
    """
    if data.input_kind != "signals" or data.target_scale is None:
        raise InvalidSetting("data", f"{data.name} has no next steps of signals to be told")
    seen, horizon = data.input_shape[1], len(data.classes)
    if not 1 <= season <= seen:
        raise InvalidSetting("season", f"season={season} moments, and {seen} are seen: choose 1 to {seen}")
    mean, std = (np.asarray(each) for each in data.target_scale)
    if tells_differences(data):
        return np.tile(-mean / std, (len(getattr(data, split)), 1))
    places = seen - season + np.arange(horizon) % season
    past = getattr(data, split).inputs[:, 0].cpu().numpy()[:, places]
    return np.asarray((past - mean) / std)


def tells_differences(data: Dataset) -> bool:
    """Whether the values are differences to one season ago, as `reswork.datasets.windows` makes them with a season."""
    return _season_told(data) is not None


def one_season_ago(data: Dataset, inputs: np.ndarray) -> np.ndarray | float:
    """What the told values are the difference to, (N, T) in the signals' unit; 0 where they are no differences.

    Args:
        data: next steps of signals.
        inputs: (N, C, L) of them.
    """
    season = _season_told(data)
    if season is None:
        return 0.0
    return np.asarray(inputs[:, 0, inputs.shape[2] - season + np.arange(len(data.classes)) % season])


def _season_told(data: Dataset) -> int | None:
    found = [re.search(r" as the difference to (\d+) moments ago", note) for note in data.notes]
    return next((int(each[1]) for each in found if each), None)


def mase(data: Dataset, output: np.ndarray, season: int = 24) -> float:
    """Mean absolute scaled error of answers to the test split: below 1 is better than one season ago in training.

    Args:
        data: with next steps.
        output: (N, T) values, standardised as the targets are.
        season: moments of a season; where the data set tells differences, its own counts.

    Reference:
        Hyndman and Koehler 2006, Another look at measures of forecast accuracy, section 2.
    """
    truth, train = data.test.values.cpu().numpy(), data.train.values.cpu().numpy()
    naive = np.abs(train - seasonal_naive(data, season, "train")).mean()
    return float(np.abs(truth - output).mean() / naive)


@dataclass(frozen=True)
class Intervals:
    """Answers with intervals that hold the truth as often as they say, in the values' own unit.

    Attributes:
        answers: (M, T), of the second half of the test split.
        low: (M, T), lower ends.
        high: (M, T), upper ends.
        truth: (M, T).
        level: how often the truth shall lie inside.
    """

    answers: np.ndarray
    low: np.ndarray
    high: np.ndarray
    truth: np.ndarray
    level: float

    @property
    def coverage(self) -> float:
        """How often the truth lies inside, 0 to 1."""
        return float(((self.truth >= self.low) & (self.truth <= self.high)).mean())

    @property
    def widths(self) -> np.ndarray:
        """(T,) mean width of each step's interval."""
        found: np.ndarray = (self.high - self.low).mean(0)
        return found


def intervals(
    data: Dataset, output: np.ndarray, level: float = 0.9, *, follow: bool | None = None
) -> Intervals:
    """Intervals around values, as wide as errors on the first half of the test split say, judged on the second.

    Split conformal prediction, for each value by itself: the width is the error that is exceeded in so many of the
    held-out cases. That holds where both halves are alike, as rows of a table in random order are. The weeks of a
    series are not: there the width begins with the errors of the first quarter and follows what came true. After each
    case whose truth is known by then it grows where the truth lay outside and shrinks where it lay inside, so that in
    the long run it holds what it says. The second quarter lets it find its place before it is judged.

    Args:
        data: with values.
        output: (N, T) answers to its test split, standardised as the targets are.
        level: how often the truth shall lie inside, above 0 and below 1.
        follow: whether the width follows what came true; the cases are then in the order of time. None: for next steps
            of signals.

    Raises:
        InvalidSetting: another level, or fewer than 20 test cases.

    Reference:
        Vovk et al. 2005; Angelopoulos and Bates 2021, arXiv:2107.07511, section 1. To follow: quantile tracking,
        Angelopoulos et al. 2023, arXiv:2307.16895, section 2.1, with a step of a tenth of the largest known error.
    """
    if not 0 < level < 1:
        raise InvalidSetting("level", f"level={level}: choose a number between 0 and 1, such as 0.9")
    truth, answers = data.in_units(data.test.values), data.in_units(np.asarray(output))
    truth = truth.reshape(answers.shape)
    half = len(truth) // 2
    if half < 10:
        raise InvalidSetting(
            "data", f"{len(truth)} test cases are too few to calibrate on half of them: give 20"
        )
    errors = np.abs(truth - answers)
    follow = data.input_kind == "signals" and len(data.classes) > 1 if follow is None else follow
    if follow:
        width = _followed(errors, half // 2, level, _until_known(data))[half:]
    else:
        width = np.tile(_exceeded(errors[:half], level), (len(truth) - half, 1))
    return Intervals(answers[half:], answers[half:] - width, answers[half:] + width, truth[half:], level)


def _exceeded(errors: np.ndarray, level: float) -> np.ndarray:
    """(T,) what one more error lies below with a probability of at least ``level``, by errors (N, T) of its kind."""
    rank = min(len(errors), int(np.ceil((len(errors) + 1) * level)))
    found: np.ndarray = np.sort(errors, axis=0)[rank - 1]
    return found


def _followed(errors: np.ndarray, start: int, level: float, delay: int) -> np.ndarray:
    """(N, T) widths from ``start`` on, each from errors (N, T) of cases at least ``delay`` before it; NaN earlier."""
    width = np.full(errors.shape, np.nan)
    width[start] = _exceeded(errors[: max(1, start + 1 - delay)], level)
    for at in range(start + 1, len(width)):
        width[at] = width[at - 1]
        known = at - delay  # the newest case whose truth has come
        if known >= start:
            step = 0.1 * errors[: known + 1].max(0)
            outside = errors[known] > width[known]
            width[at] = np.maximum(0, width[at] + step * (outside - (1 - level)))
    return width


def _until_known(data: Dataset) -> int:
    """How many windows later all that a window tells has come true."""
    horizon = len(data.classes)
    if data.input_kind != "signals" or len(data.test) < 2:
        return 1
    first, second = data.test.inputs[:2, 0].cpu()
    moved = next(
        (by for by in range(1, min(horizon, len(first))) if torch.equal(first[by:], second[:-by])), horizon
    )
    return -(-horizon // moved)


@dataclass(frozen=True)
class Price:
    """What errors cost at the threshold that was cheapest on other rows.

    Attributes:
        threshold: probability of the class from which on it is named.
        cost: for each row, on the second half of the rows.
        never: the same where the class is never named.
        always: the same where it is always named.
    """

    threshold: float
    cost: float
    never: float
    always: float


def cheapest(probabilities: np.ndarray, truth: np.ndarray, *, missed: float, false_alarm: float) -> Price:
    """The threshold at which errors cost least on the first half of the rows, and what they cost on the second.

    Args:
        probabilities: (N,) of the class.
        truth: (N,) bool, whether it is the class.
        missed: price of not naming it where it is.
        false_alarm: price of naming it where it is not.

    Raises:
        InvalidSetting: prices below 0, fewer than 4 rows.
    """
    if missed < 0 or false_alarm < 0 or len(truth) < 4:
        raise InvalidSetting(
            "missed", f"prices {missed} and {false_alarm} for {len(truth)} rows: give prices from 0"
        )
    truth, half = np.asarray(truth, bool), len(truth) // 2

    def cost(threshold: float, rows: slice) -> float:
        named = probabilities[rows] >= threshold
        return float((missed * (truth[rows] & ~named) + false_alarm * (~truth[rows] & named)).mean())

    first, second = slice(0, half), slice(half, None)
    choices = np.unique([*probabilities[first], 2.0])
    best = min(choices.tolist(), key=lambda each: cost(each, first))
    return Price(float(best), cost(best, second), cost(2.0, second), cost(-1.0, second))


def _flat(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    found = [
        normalise(part.inputs, data.mean, data.std).flatten(1).cpu().numpy()
        for part in (data.train, data.test)
    ]
    return found[0], found[1]


def _neighbour(data: Dataset) -> np.ndarray:
    train, test = _flat(data)
    from scipy.spatial.distance import cdist

    nearest = np.concatenate([cdist(test[at : at + 256], train).argmin(1) for at in range(0, len(test), 256)])
    if data.target_kind == "values":
        return data.train.values.cpu().numpy().reshape(len(train), -1)[nearest]
    return np.where(np.eye(len(data.classes))[data.train.labels.cpu().numpy()[nearest]] > 0, 0.0, -30.0)


def _kernel_features(data: Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each random kernel the largest answer and the share above 0 along each signal."""
    random = np.random.RandomState(seed)
    parts = [normalise(part.inputs, data.mean, data.std).cpu() for part in (data.train, data.test)]
    channels, length = data.input_shape
    found: list[list[torch.Tensor]] = [[], []]
    for _ in range(KERNELS):
        size = int(random.choice([each for each in (7, 9, 11) if each <= length] or [max(1, length)]))
        weight = random.normal(size=(1, channels, size))
        weight -= weight.mean(2, keepdims=True)
        most = np.log2(max(1.0, (length - 1) / max(1, size - 1)))
        dilation, bias = int(2 ** random.uniform(0, most)), float(random.uniform(-1, 1))
        padding = (size - 1) * dilation // 2 if random.randint(2) else 0
        kernel = torch.from_numpy(weight.astype(np.float32))
        for part, into in zip(parts, found, strict=True):
            seen = torch.nn.functional.conv1d(part, kernel, padding=padding, dilation=dilation)[:, 0] + bias
            into += [seen.amax(1), (seen > 0).float().mean(1)]
    train, test = (torch.stack(each, 1).numpy() for each in found)
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / np.maximum(std, 1e-6), (test - mean) / np.maximum(std, 1e-6)


def _ridge(data: Dataset, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import RidgeClassifierCV, RidgeCV

    strengths = np.logspace(-2, 4, 7)
    if data.target_kind == "values":
        found = RidgeCV(strengths).fit(train, data.train.values.cpu().numpy())
        return np.asarray(found.predict(test)).reshape(len(test), -1)
    found = RidgeClassifierCV(strengths).fit(train, data.train.labels.cpu().numpy())
    output = np.full((len(test), len(data.classes)), -30.0)
    scores = found.decision_function(test)
    output[:, found.classes_] = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores
    return output


def _linear(data: Dataset, train: Any, test: Any) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if data.target_kind == "values":
        found = RidgeCV(np.logspace(-2, 4, 7)).fit(train, data.train.values.cpu().numpy())
        return np.asarray(found.predict(test)).reshape(test.shape[0], -1)
    found = LogisticRegression(max_iter=2_000, C=1.0 if data.input_kind == "tables" else 30.0)
    return _scores(data, found.fit(train, data.train.labels.cpu().numpy()), test)


def _scores(data: Dataset, found: Any, inputs: Any) -> np.ndarray:
    """Log-probabilities of all classes, those that the training split lacks at the bottom."""
    output = np.full((inputs.shape[0], len(data.classes)), -30.0)
    output[:, found.classes_] = np.log(np.clip(found.predict_proba(inputs), 1e-13, 1))
    return output


def _boosting(data: Dataset, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    train, test = _flat(data)
    if data.target_kind == "values":
        values = data.train.values.cpu().numpy().reshape(len(train), -1)
        made = [HistGradientBoostingRegressor(random_state=seed).fit(train, each) for each in values.T]
        return np.stack([each.predict(test) for each in made], axis=1)
    found = HistGradientBoostingClassifier(random_state=seed).fit(train, data.train.labels.cpu().numpy())
    return _scores(data, found, test)


def _tfidf(data: Dataset) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from reswork.datasets.texts import words_of

    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), sublinear_tf=True, max_features=50_000)
    return pieces.fit_transform(words_of(data, "train")), pieces.transform(words_of(data, "test"))
