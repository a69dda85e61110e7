"""Rules about what flows through the network: dead units, gradients, shortcuts against branches."""

import math

import numpy as np

from reswork.diagnosis.facts import Course, Facts, Settings, known
from reswork.diagnosis.finding import Change, Fix
from reswork.diagnosis.rate_rules import guessing_loss
from reswork.diagnosis.remedies import FRESH, built_anew, rate_not_above_usual, usual_rate
from reswork.diagnosis.rule import Measured, Rule

_TINY = 1e-12
_ENDS_IN_NORM = ("post", "relu_only_pre")  # orders with a norm right before the addition
_BEGUN_AT_0 = 0.01  # root mean square of a layer's weights, over that of a typical layer
_WITH_NORMS = (
    1.0  # log10 by which gradients differ between layers that have norms, whose weights' scale does not count
)
_SANE = 3.0  # first loss over that of guessing
_SCALED = 3.0  # answers over what the last layer gives
_BLOWN_UP = 1e3  # branch over shortcut: of weights that a training threw away


def _dead_units(facts: Facts) -> Measured | None:
    signals = known(facts.signals)
    dead = signals.dead[np.isfinite(signals.dead)]
    if not len(dead):
        return None
    share, course = float(dead.mean()), facts.course
    begun = (
        course is not None and len(course.loss) > 0 and course.loss[0] > _SANE * guessing_loss(course.classes)
    )
    return Measured(
        0.0 if begun else share,  # what made the first loss so large killed them too
        f"{share:.0%} of the units are dead: channels that give 0 at every position of every one of the images.",
        _begun_again(facts.settings),
        "share of dead channels",
        signals.blocks,
        signals.dead,
    )


def _begun_again(settings: Settings | None) -> Fix:
    words = (
        "Begin again from fresh weights, at a lower rate where they died on the way; where they were dead in the first "
        "step, look at the biases before the ReLUs."
    )
    if settings is None or settings.config is None or settings.recipe is None:
        return Fix(words)
    return Fix(words, (FRESH, *rate_not_above_usual(settings.recipe)), fresh=True)


def _relative_gradients(facts: Facts) -> tuple[tuple[str, ...], np.ndarray] | None:
    """Gradient over weight of each layer: at the first measured step of the record, else now."""
    course = facts.course
    if course is not None and course.gradients.size and course.norms.size:
        return tuple(course.layers), course.gradients[0] / np.maximum(course.norms[0], _TINY)
    return _relative_now(facts)


def _relative_now(facts: Facts) -> tuple[tuple[str, ...], np.ndarray] | None:
    signals, weights = facts.signals, facts.weights
    if signals is not None and weights is not None and len(signals.gradients) == len(weights.norms):
        return tuple(signals.layers), signals.gradients / np.maximum(weights.norms, _TINY)
    return None


def _towards_input(ratios: np.ndarray) -> float:
    """Log10 of the median of the first third over the last layer but one; 0 where all is nothing."""
    ratios = ratios[ratios > 0]  # what has none is frozen or cut off, which is another matter
    if len(ratios) < 3:
        return 0.0
    first, last = np.median(ratios[: max(1, len(ratios) // 3)]), ratios[-3:].max()
    return math.log10(max(first, _TINY) / max(last, _TINY)) if max(first, last) > 1e-9 else 0.0


def _vanishing(facts: Facts) -> Measured | None:
    found = _relative_gradients(facts)
    if found is None or len(found[1]) < 3 or not np.isfinite(found[1]).all():
        return None
    layers, ratios = found
    value = -_towards_input(ratios)
    if (course := facts.course) is not None and course.gradients.size and course.norms.size:
        rows = course.gradients / np.maximum(
            course.norms, _TINY
        )  # a branch that begins at 0 has none at first
        value = -float(np.median([_towards_input(row) for row in rows]))
    return Measured(
        value,
        f"Gradients vanish towards the input: beside their weights those of the first layers are {10**value:.0f} times "
        "smaller than those of the last ones.",
        _with_shortcuts(facts.settings),
        "gradient over weight",
        layers,
        ratios,
    )


def _exploding(facts: Facts) -> Measured | None:
    found = _relative_gradients(facts)
    if found is None or len(found[1]) < 3:
        return None
    layers, ratios = found
    course, recipe = facts.course, None if facts.settings is None else facts.settings.recipe
    by_sgd = recipe is not None and recipe.optimizer == "sgd" and recipe.clip_norm is None
    if by_sgd and course is not None and course.updates.size and course.rates[:1].any():
        were_0 = _were_0(course)
        ratios = np.maximum(ratios, course.updates[0] / course.rates[0])  # norms are those after the update
        ratios = np.where(were_0, 0.0, ratios)
    finite = bool(np.isfinite(ratios).all())
    normed = facts.weights is not None and bool(
        facts.weights.batch_norms
    )  # then size alone says nothing of depth
    size = (
        0.0
        if normed
        else math.log10(max(float(np.nanmax(ratios[_not_begun_at_0(facts, len(layers))])), _TINY))
    )
    value = max(_towards_input(ratios) - (_WITH_NORMS if normed else 0.0), size) if finite else 99.0
    return Measured(
        value,
        f"Gradients explode: in the first layers they are {float(ratios[0]):.3g} times as large as the weights, in the "
        f"last one {float(ratios[-1]):.3g} times.",
        _with_shortcuts(facts.settings),
        "gradient over weight",
        layers,
        ratios,
    )


def _were_0(course: Course) -> np.ndarray:
    """(L,) bool, layers whose first step has no size beside their weights, as these were 0, and broke nothing."""
    sane = [np.isfinite(each[0]) for each in (course.gradients, course.norms) if len(each)]
    return np.logical_and.reduce([~np.isfinite(course.updates[0]), *sane])


def _not_begun_at_0(facts: Facts, layers: int) -> np.ndarray:
    """(L,) bool, all but layers that were 0 a step ago, as that step is all that they are."""
    course, weights = facts.course, facts.weights
    if (
        course is None
        or weights is None
        or course.norms.shape[1:] != (layers,)
        or len(weights.sizes) != layers
    ):
        return np.ones(layers, bool)
    size = course.norms[0] / np.sqrt(weights.sizes)
    return np.asarray(size >= _BEGUN_AT_0 * np.median(size))


def _with_shortcuts(settings: Settings | None) -> Fix:
    config = None if settings is None else settings.config
    changes = []
    if config is not None and not config.residual:
        changes.append(Change("network", "residual", False, True))
    if config is not None and config.norm == "none":
        changes.append(Change("network", "norm", "none", "batch"))
    if changes and settings is not None and settings.recipe is not None:
        rate, usual = settings.recipe.learning_rate, usual_rate(settings.recipe)
        if rate != usual and (config is None or config.norm == "none"):  # chosen for a network without norms
            changes.append(Change("recipe", "learning_rate", rate, usual))
    if changes:
        return Fix(
            "Give the network what carries gradients, shortcuts and norms, and begin with fresh weights at the usual "
            "rate, which norms allow.",
            (*changes, FRESH),
            fresh=True,
        )
    return Fix(
        "Look at the scale of the first weights and at the activation functions; ReLUs with He's start keep it."
    )


def _ratios(facts: Facts) -> tuple[tuple[str, ...], np.ndarray]:
    """Branch over shortcut of each block that has both."""
    signals = known(facts.signals)
    both = np.isfinite(signals.branch) & np.isfinite(signals.shortcut) & (signals.shortcut > 0)
    names = tuple(name for name, chosen in zip(signals.blocks, both, strict=False) if chosen)
    return names, signals.branch[both] / signals.shortcut[both]


def _idle_branch(facts: Facts) -> Measured | None:
    names, ratios = _ratios(facts)
    if not names:
        return None
    worst = int(ratios.argmin())
    count = int((ratios < 10**-IDLE).sum())
    more = f", and {count - 1} more" if count > 1 else ""
    return Measured(
        -math.log10(max(float(ratios[worst]), _TINY)),
        f"The branch of {names[worst]} does nothing{more}: what it adds is {ratios[worst]:.2g} of what comes over the "
        "shortcut.",
        built_anew(
            facts,
            "Take the block out, or look at what holds its branch near 0: a scale, a norm's weights, weight decay.",
        ),
        "branch over shortcut",
        names,
        ratios,
    )


def _drowned_shortcut(facts: Facts) -> Measured | None:
    names, ratios = _ratios(facts)
    first = _first_ratio(facts.course)
    if not names and not math.isfinite(first):
        return None
    # where a training ended in numbers that are none, what it began with is all that is known
    most = float(ratios.max()) if names else first
    worst = names[int(ratios.argmax())] if names else "a block"
    scaled = facts.answers is not None and facts.answers.scaled >= _SCALED
    value = 0.0 if scaled or most >= _BLOWN_UP else most  # broken by what scales the answers, or by a step
    if math.isfinite(
        first
    ):  # how a network was made drowns it at once; what a training drowned has its cause there
        value = min(most, first)
    return Measured(
        value,
        f"The shortcut of {worst} is drowned: what the branch adds is {most:.0f} times what comes over the "
        "shortcut, so that neither signal nor gradient passes untouched.",
        _small_branches(facts.settings),
        "branch over shortcut",
        names,
        ratios,
    )


def _first_ratio(course: Course | None) -> float:
    """The largest branch over shortcut in the first measurement of the record; NaN where there is none."""
    if course is None or not course.branch.size or course.branch.shape != course.shortcut.shape:
        return math.nan
    ratios = course.branch[0] / np.maximum(course.shortcut[0], _TINY)
    return (
        float(np.max(ratios[np.isfinite(ratios)], initial=-math.inf))
        if np.isfinite(ratios).any()
        else math.nan
    )


def _small_branches(settings: Settings | None) -> Fix:
    words = "Look for what scales the branches up, and begin again from fresh weights."
    config = None if settings is None else settings.config
    if config is None or settings is None:
        return Fix(words)
    can_begin_at_0 = (
        config.norm != "none" and config.order in _ENDS_IN_NORM and not config.zero_init_last_norm
    )
    start = (Change("network", "zero_init_last_norm", False, True),) if can_begin_at_0 else ()
    words += " With zero_init_last_norm=True the branches begin by adding nothing." if start else ""
    return Fix(words, (FRESH, *start, *rate_not_above_usual(settings.recipe)), fresh=True)


IDLE = 2.2
RULES = (
    Rule(
        "exploding_gradients", "Do gradients explode?", ("weights",), _exploding,
        "log10 of gradient over weight, or of its growth towards the input, less 1 with norms", 1.8,
        "He et al. 2015, section 4.1; AutoTrainer (ICSE 2021); limit from the trainings of docs/doctor.md",
        "a network with shortcuts or norms that it did not need",
        ("rate_too_high", "saturated_outputs", "no_warmup", "oscillating_loss", "constant_outputs", "dead_units"),
    ),
    Rule(
        "vanishing_gradients", "Do gradients vanish?", ("weights",), _vanishing,
        "log10 of how much smaller they are at the first layers, in the middle of all measurements", 3.0,
        "Glorot and Bengio 2010; AutoTrainer (ICSE 2021); limit from the trainings of docs/doctor.md",
        "a network with shortcuts or norms that it did not need", ("rate_too_low", "constant_outputs"),
    ),
    Rule(
        "dead_units", "Are many units dead?", ("signals",), _dead_units, "share of dead channels, mean over blocks",
        0.42,
        "AutoTrainer (ICSE 2021), dying ReLU; limit from the trainings of docs/doctor.md", "a run at a lower rate",
        ("drowned_shortcut", "idle_branch"),
    ),
    Rule(
        "drowned_shortcut", "Does a shortcut carry anything?", ("signals",), _drowned_shortcut,
        "branch over shortcut, the largest; of a run the smaller of what it was at first and of what it is", 24.0,
        "He et al. 2016, arXiv:1603.05027, section 3; limit from the trainings of docs/doctor.md",
        "a look at the scales",
        ("constant_outputs", "exploding_gradients", "no_warmup", "saturated_outputs", "oscillating_loss",
         "norm_statistics_wrong", "rate_too_high"),
    ),
    Rule(
        "idle_branch", "Does every block do something?", ("signals",), _idle_branch,
        "-log10 of branch over shortcut, the smallest", IDLE,
        "Veit et al. 2016, arXiv:1605.06431; limit from the trainings of docs/doctor.md", "a block less",
        ("vanishing_gradients",),
    ),
)  # fmt: skip
