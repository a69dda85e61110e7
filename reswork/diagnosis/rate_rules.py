"""Rules about the learning rate and the course of the loss."""

import math

import numpy as np

from reswork.diagnosis.facts import Course, Facts, Settings, known
from reswork.diagnosis.finding import Change, Fix
from reswork.diagnosis.remedies import falling_rate, rate_not_above_usual, usual_rate
from reswork.diagnosis.rule import Measured, Rule
from reswork.training.recipe import Recipe

_FAST = 0.05  # change of the weights in the first step, as a share of their size
_SANE = 3.0  # first loss over that of guessing
_EARLY = 4  # measurements
_JUMPED = 3.0  # highest early loss over that of guessing
_BY_JUMP = 4.0  # times that a step counts after which the loss jumped
_NOT_HURT = 0.85  # loss at the end over that of guessing
_WORSE = 1.1  # the same: whoever is worse than guessing is still thrown about, as equal answers cost no more than that
_FELL = 0.1  # rate at the end over the highest
_JUMP = 1.5  # highest early loss over where it began
_AT_A_HIGH_RATE = 1.6  # what such a jump counts where the rate alone is a reason for it
_HIGH = 3.0  # times the usual rate
_SWINGS = 0.4  # rises of the loss, over that of guessing
_WITH_MOMENTUM = 10.0  # what such rises count where the momentum alone is a reason for them
_HEAVY = 4.0  # times the usual rate over what momentum leaves of the last update
_PARTS = 20  # pieces of the loss whose means are compared


def guessing_loss(classes: int) -> float:
    """Cross-entropy of somebody who calls all classes equally likely."""
    return math.log(max(2, classes))


def pieces(values: np.ndarray, count: int = _PARTS) -> np.ndarray:
    """Means of so many equal pieces, (count,); of fewer where there are fewer values; one NaN where there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.array([np.nan])
    parts = np.array_split(values, min(count, max(1, len(values))))
    return np.array([part.mean() for part in parts if len(part)])


def _typical_update(course: Course) -> float:
    """Median over layers of the mean |dw| / |w|."""
    if not course.updates.size:
        return math.nan
    moved = np.isfinite(course.updates) & (course.updates > 0)  # what stands still is another matter
    rows = np.where(moved, course.updates, np.nan)
    with np.errstate(all="ignore"):
        means = np.nansum(rows, axis=0) / moved.sum(axis=0)
    return float(np.nanmedian(means)) if np.isfinite(means).any() else math.nan


def _largest_early_update(course: Course) -> float:
    """The largest of the first measured steps: |dw| / |w| of its median layer.

    Where norms make a layer's scale not count, one long step makes the weights so long that all later ones are short.
    """
    rows = [row[np.isfinite(row) & (row > 0)] for row in course.updates[:_EARLY]]
    return max((float(np.median(row)) for row in rows if len(row)), default=math.nan)


def _new_rate(settings: Settings, factor: float, why: str, *others: Change) -> Fix | None:
    recipe = settings.recipe
    if recipe is None:
        return None
    new = float(f"{recipe.learning_rate * factor:.1g}")
    return Fix(
        f"{why}: learning_rate={new:g}.",
        (Change("recipe", "learning_rate", recipe.learning_rate, new), *others),
    )


def _rises(course: Course) -> float:
    """All rises of the smoothed loss after its first fall, over the loss of guessing."""
    parts = pieces(course.loss)[1:]
    return float(np.diff(parts).clip(min=0).sum() / guessing_loss(course.classes))


def _rises_beyond_noise(course: Course) -> float:
    """The same, less one standard error of each rise, which neighbouring batches tell: their scatter, and no trend."""
    loss = course.loss[np.isfinite(course.loss)]
    parts = np.array_split(loss, _PARTS)[1:]
    if len(loss) < 2 * _PARTS:
        return _rises(course)
    means = np.array([part.mean() for part in parts])
    errors = np.array([np.mean(np.diff(part) ** 2) / 2 / len(part) for part in parts])  # squared
    noise = np.sqrt(errors[1:] + errors[:-1])
    return float((np.diff(means) - noise).clip(min=0).sum() / guessing_loss(course.classes))


def _early_peak(course: Course) -> float:
    """The highest loss of the first quarter."""
    early = course.loss[: max(5, len(course.loss) // 4)]
    return float(early[np.isfinite(early)].max(initial=0.0))


def _loss_over_steps(course: Course) -> dict[str, object]:
    return {"title": "loss of the batches", "labels": tuple(course.steps.tolist()), "values": course.loss}


def _jump(course: Course, recipe: Recipe) -> float:
    """How far the loss jumped after a fast first step, over where it began; 0 where the first step was none."""
    first = float(np.nan_to_num(course.updates[0]).mean()) if course.updates.size else 0.0
    begun = max(guessing_loss(course.classes), float(course.loss[0]))
    jump = _early_peak(course) / begun if first > _FAST else 0.0
    return jump * (_AT_A_HIGH_RATE if recipe.learning_rate > _HIGH * usual_rate(recipe) else 1.0)


def _can_be_warmed_up(recipe: Recipe | None) -> bool:
    return recipe is not None and not recipe.warmup_epochs and recipe.schedule != "one_cycle"


def _broke_at_the_start(course: Course, recipe: Recipe | None) -> bool:
    """Whether a rate that was high and fell to little left a network that guesses: its first steps are at fault."""
    if recipe is None or not _can_be_warmed_up(recipe) or len(course.loss) < 20 or not len(course.rates):
        return False
    fell = course.rates[-1] < _FELL * course.rates.max()
    high = recipe.learning_rate > _HIGH * usual_rate(recipe)
    only_guesses = pieces(course.loss)[-3:].mean() < _WORSE * guessing_loss(course.classes)
    return bool(fell and high and only_guesses and _jump(course, recipe) >= _JUMP)


def _rate_too_high(facts: Facts) -> Measured | None:
    course, settings = known(facts.course), known(facts.settings)
    update, chance = _largest_early_update(course), guessing_loss(course.classes)
    late = pieces(course.loss)[-5:].mean() if len(course.loss) else math.nan
    broke = "not finite" in course.failure
    hurt = broke or not late < _NOT_HURT * chance or _rises(course) >= _SWINGS
    if not math.isfinite(update):
        update = 10.0 if broke else 0.0
    jumped = _early_peak(course) > _JUMPED * chance or late > _WORSE * chance
    # before any step a loss says nothing of the rate: where it is far above that of guessing the start is at fault
    began_sanely = bool(len(course.loss)) and not course.loss[0] > _SANE * chance
    by_start = not broke and _broke_at_the_start(course, settings.recipe)
    value = update * (_BY_JUMP if jumped else 1.0) if hurt and began_sanely and not by_start else 0.0
    rate = settings.recipe.learning_rate if settings.recipe is not None else math.nan
    factor = min(0.3, 0.02 / update) if update else 0.1
    if settings.recipe is not None:  # not above what is usual
        factor = (
            min(factor, usual_rate(settings.recipe) / rate) if rate > usual_rate(settings.recipe) else factor
        )
    ended = (
        "the loss became infinite"
        if broke
        else f"the loss ends at {late:.3g}, and guessing gives {chance:.2f}"
    )
    return Measured(
        value,
        f"The learning rate of {rate:g} is too high: a step changed the weights of a typical layer by {update:.0%} of "
        f"their size, and {ended}.",
        _new_rate(settings, factor, "Lower it", *falling_rate(settings.recipe)),
        **_loss_over_steps(course),  # type: ignore[arg-type]
    )


def _rate_too_low(facts: Facts) -> Measured | None:
    course, settings = known(facts.course), known(facts.settings)
    update = _typical_update(course)
    if not math.isfinite(update) or not len(course.score):
        return None
    recipe = settings.recipe
    learned = pieces(course.score)[-2:].mean()
    usual = usual_rate(recipe) if recipe is not None else 0.1
    low = recipe is None or recipe.learning_rate < usual  # else something else holds the updates small
    value = -math.log10(max(update, 1e-12)) if learned < 0.9 and low else 0.0
    factor = usual / recipe.learning_rate if recipe is not None else 10.0
    return Measured(
        value,
        f"The learning rate is too low: a step changed the weights of a typical layer by {update:.2g} of their size "
        f"(about 0.001 to 0.01 is usual), and only {learned:.0%} of the training images are named right.",
        _new_rate(settings, max(3.0, factor), "Raise it"),
        **_loss_over_steps(course),  # type: ignore[arg-type]
    )


def _no_warmup(facts: Facts) -> Measured | None:
    course, settings = known(facts.course), known(facts.settings)
    recipe = settings.recipe
    if recipe is None or not _can_be_warmed_up(recipe) or len(course.loss) < 20:
        return None
    peak, late = _early_peak(course), pieces(course.loss)[-3:].mean()
    recovered = late < _NOT_HURT * guessing_loss(course.classes)
    first = float(np.nan_to_num(course.updates[0]).mean()) if course.updates.size else 0.0
    then = "before it fell" if recovered else "and never came back, though the rate fell"
    return Measured(
        _jump(course, recipe) if recovered or _broke_at_the_start(course, recipe) else 0.0,
        f"The training began too fast: the first step changed the weights by {first:.0%} of their size, and the loss, "
        f"which began at {course.loss[0]:.1f}, jumped to {peak:.1f} {then}; the rate was never warmed up.",
        _warmed_up(recipe),
        **_loss_over_steps(course),  # type: ignore[arg-type]
    )


def _warmed_up(recipe: Recipe) -> Fix:
    rise = Change("recipe", "warmup_epochs", 0.0, 1.0)
    lower = rate_not_above_usual(recipe)
    return Fix(f"Let the rate rise over the first epoch{', and less high' if lower else ''}.", (rise, *lower))


def _decayed_too_soon(facts: Facts) -> Measured | None:
    course, settings = known(facts.course), known(facts.settings)
    recipe, rates = settings.recipe, course.rates
    if recipe is None or len(rates) < 10 or len(course.score) < 10:
        return None
    low = rates < 0.05 * rates.max()
    after_peak = int(rates.argmax())
    place = next((spot for spot in range(after_peak, len(rates)) if low[spot:].all()), len(rates))
    idle = 1 - place / len(rates)
    learned = pieces(course.score)[-2:].mean()
    return Measured(
        idle if learned < 0.9 else 0.0,
        f"The learning rate fell too soon: for the last {idle:.0%} of the training it was below a twentieth of its "
        f"peak, and only {learned:.0%} of the training images are named right.",
        Fix("Let it fall later, along a cosine.", (Change("recipe", "schedule", recipe.schedule, "cosine"),))
        if recipe.schedule != "cosine"
        else None,
        "learning rate",
        tuple(np.linspace(course.steps[0], course.steps[-1], len(rates)).tolist()),
        rates,
    )


def _oscillating_loss(facts: Facts) -> Measured | None:
    course, settings = known(facts.course), known(facts.settings)
    recipe = settings.recipe
    if len(course.loss) < 20 or (recipe is not None and recipe.mixup):
        return None  # with mixup a batch's loss depends on how much was mixed
    heavy, fix, why = 1.0, None, ""
    if recipe is not None and recipe.momentum > 0.95:
        if recipe.optimizer == "sgd":  # all updates that a gradient goes into, together
            heavy = recipe.learning_rate / (1 - recipe.momentum) / (10 * usual_rate(recipe))
            why = f" With a momentum of {recipe.momentum:g} a gradient counts {heavy:.0f} times as much as usual."
        fix = Fix(
            "Keep less of the last updates.",
            (Change("recipe", "momentum", recipe.momentum, 0.9), *falling_rate(recipe)),
        )
    elif recipe is not None:
        fix = _new_rate(settings, 0.3, "Lower the rate", *falling_rate(recipe))
    rises = _rises(course) if heavy >= _HEAVY else _rises_beyond_noise(course)
    beyond = "" if heavy >= _HEAVY else ", beyond the noise of the batches"
    return Measured(
        rises * (_WITH_MOMENTUM if heavy >= _HEAVY else 1.0),
        f"The loss swings: after its first fall it rose again by {rises * guessing_loss(course.classes):.3g} in all, "
        f"{rises:.2g} times the loss of guessing{beyond}.{why}",
        fix,
        **_loss_over_steps(course),  # type: ignore[arg-type]
    )


def _guessing(facts: Facts) -> Measured | None:
    course = known(facts.course)
    if len(course.loss) < 20:
        return None
    late, chance = pieces(course.loss)[-4:].mean(), guessing_loss(course.classes)
    return Measured(
        float(late / chance),
        f"The network guesses: its loss of {late:.2f} is not below the {chance:.2f} of somebody who calls all "
        f"{course.classes} classes equally likely.",
        None,
        **_loss_over_steps(course),  # type: ignore[arg-type]
    )


RULES = (
    Rule(
        "rate_too_high", "Is a step too long?", ("course", "settings"), _rate_too_high,
        "largest change of a typical layer's weights in one of the first steps; fourfold if the loss jumped or ends "
        "above that of guessing", 0.18,
        "about 0.001 is usual (CS231n, ratio of weights to updates); limit from the trainings of docs/doctor.md",
        "a slower training",
        ("oscillating_loss", "no_warmup", "dead_units", "exploding_gradients", "saturated_outputs", "drowned_shortcut",
         "idle_branch", "norm_statistics_wrong", "constant_outputs"),
    ),
    Rule(
        "oscillating_loss", "Does the loss swing?", ("course", "settings"), _oscillating_loss,
        "rises of the smoothed loss beyond the noise of batches, over the loss of guessing; where momentum is heavy "
        "ten times all rises", _SWINGS,
        "AutoTrainer (ICSE 2021), oscillating loss; Goh 2017, doi:10.23915/distill.00006, for the momentum; limit from "
        "the trainings of docs/doctor.md", "a slower training",
    ),
    Rule(
        "no_warmup", "Did it begin too fast?", ("course", "settings"), _no_warmup,
        "highest loss of the first quarter, over the first one or that of guessing, after a fast first step; 1.6 "
        "times that at more than thrice the usual rate", _JUMP,
        "Goyal et al. 2017, arXiv:1706.02677, section 2.2; limit from the trainings of docs/doctor.md",
        "an epoch at a lower rate",
        ("oscillating_loss", "dead_units", "constant_outputs", "drowned_shortcut", "idle_branch",
         "norm_statistics_wrong"),
    ),
    Rule(
        "rate_too_low", "Is a step too short?", ("course", "settings"), _rate_too_low,
        "-log10 of the change of a typical layer's weights in a step", 3.7,
        "as rate_too_high", "a run that is less stable",
    ),
    Rule(
        "decayed_too_soon", "Did the rate fall before the network had learned?", ("course", "settings"),
        _decayed_too_soon, "share of the run below a twentieth of the peak rate", 0.5,
        "limit from the trainings of docs/doctor.md", "a run with another schedule",
        ("rate_too_low",),
    ),
)  # fmt: skip

SYMPTOMS = (
    Rule(
        "guessing", "Does it learn anything?", ("course",), _guessing, "loss at the end over the loss of guessing",
        0.97,
        "cross-entropy of equal probabilities, ln K", "a search for a cause that is not there",
        ("loss_stands_still",),
    ),
)  # fmt: skip
