"""Rules about layers that do not learn, and about norms and modes."""

import numpy as np

from reswork.diagnosis.facts import Facts, known
from reswork.diagnosis.finding import Change, Fix
from reswork.diagnosis.remedies import built_anew, usual_rate
from reswork.diagnosis.rule import Measured, Rule
from reswork.training.recipe import innermost

_SMALL_BATCH = 6
_WRONG = 0.45  # deviations, of a typical norm
_ONE_WRONG = 1.0  # of a single one
_ONE_WRONG_AUGMENTED = (
    3.0  # where training images look otherwise to the first norms than they are asked with here
)


def _told(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _has(names: list[str], one: str, many: str) -> str:
    return f"{_told(names)} {one if len(names) == 1 else many}"


def _frozen_layers(facts: Facts) -> Measured | None:
    weights = known(facts.weights)
    recipe = None if facts.settings is None else facts.settings.recipe
    wanted = () if recipe is None else recipe.frozen
    names = [
        name
        for name, trainable in zip(weights.layers, weights.trainable, strict=True)
        if not trainable and innermost(name, wanted) is None
    ]
    if len(names) == len(weights.layers):  # a network that is only used
        return None
    return Measured(
        float(len(names)),
        f"{_has(names, 'is', 'are')} frozen, and no recipe says so: requires_grad is False.",
        Fix(
            "Call requires_grad_(True) on what shall learn, or name it in the recipe's frozen.",
            () if facts.settings is None else (Change("network", "requires_grad", False, True),),
        ),
        "1: it can be trained",
        weights.layers,
        weights.trainable,
    )


def _not_in_optimizer(facts: Facts) -> Measured | None:
    course = known(facts.course)
    if not course.updates.size or course.gradients.shape != course.updates.shape or len(course.updates) < 2:
        return None
    moved = np.nanmax(np.nan_to_num(course.updates), axis=0)
    still = (moved == 0) & (np.nan_to_num(course.gradients).max(axis=0) > 0)
    names = [name for name, each in zip(course.layers, still, strict=True) if each]
    return Measured(
        float(len(names)),
        f"{_has(names, 'gets', 'get')} gradients and never moved: no optimizer has them.",
        Fix("Give the optimizer model.parameters() after the last change of the network."),
        "largest change in a step",
        course.layers,
        moved,
    )


def _no_gradient(facts: Facts) -> Measured | None:
    weights, signals, course = known(facts.weights), facts.signals, facts.course
    if course is not None and course.gradients.size and len(course.layers) == len(weights.layers):
        gradients = np.nan_to_num(course.gradients).max(axis=0)
    elif signals is not None:
        gradients = signals.gradients
    else:
        return None
    if len(gradients) != len(weights.layers) or not gradients.any():
        return None  # where nothing at all has one, the cause is another
    recipe = None if facts.settings is None else facts.settings.recipe
    wanted = () if recipe is None else recipe.frozen
    asked = (gradients == 0) & (weights.trainable > 0)
    names = [
        name
        for name, each in zip(weights.layers, asked, strict=True)
        if each and innermost(name, wanted) is None
    ]
    return Measured(
        float(len(names)),
        f"{_has(names, 'gets', 'get')} no gradient: the way back from the loss is cut before it, or it is not used.",
        built_anew(facts, "Look for detach(), .data, no_grad() or numpy between there and the answer."),
        "gradient",
        weights.layers,
        gradients,
    )


def _underflow(facts: Facts) -> Measured | None:
    weights, signals = known(facts.weights), known(facts.signals)
    if not weights.half or not len(signals.lost):
        return None
    share = float((signals.lost * weights.sizes).sum() / weights.sizes.sum())
    return Measured(
        share,
        f"{share:.0%} of the updates are lost: the weights are kept in {weights.half}, and an update is too small to "
        "be seen in it.",
        Fix(
            "Keep the weights in float32 (model.float()) and compute in half precision: Recipe(precision='bf16')."
        ),
        "share of lost updates",
        signals.layers,
        signals.lost,
    )


def _norm_statistics_frozen(facts: Facts) -> Measured | None:
    weights = known(facts.weights)
    recipe = None if facts.settings is None else facts.settings.recipe
    wanted = () if recipe is None else recipe.frozen
    if facts.course is None and weights.untouched.all():
        return None  # a network that was never trained has no other
    names = [
        name
        for name, each in zip(weights.batch_norms, weights.untouched, strict=True)
        if each and innermost(name, wanted) is None
    ]
    return Measured(
        float(len(names)),
        f"The statistics of {_told(names)} never moved: mean 0 and variance 1, as they were made.",
        built_anew(
            facts,
            "Train them in training mode with a momentum above 0, or re-estimate them on training images.",
        ),
        "1: never moved",
        weights.batch_norms,
        weights.untouched,
    )


def _norm_statistics_wrong(facts: Facts) -> Measured | None:
    signals, answers = known(facts.signals), known(facts.answers)
    if not len(signals.mismatch):
        return None
    typical, place = float(np.median(signals.mismatch)), int(np.nan_to_num(signals.mismatch).argmax())
    recipe = None if facts.settings is None else facts.settings.recipe
    changed = recipe is not None and (recipe.mixup > 0 or any(recipe.augmentation.to_dict().values()))
    worst = float(signals.mismatch[place])
    single = _WRONG * worst / (_ONE_WRONG_AUGMENTED if changed else _ONE_WRONG)
    told = (
        f"The batch norms' statistics do not fit the training images (a typical one is off by {typical:.1f} standard "
        "deviations)"
        if typical >= _WRONG
        else f"The statistics of {signals.norms[place]} do not fit the training images: they are off by {worst:.1f} "
        "standard deviations"
    )
    return Measured(
        max(typical, single),
        f"{told}. {answers.training_mode_score:.0%} are named right with the batch's own, {answers.train_score:.0%} "
        "with those that are kept.",
        built_anew(
            facts,
            "Estimate the statistics anew: pass some batches through in training mode without a gradient.",
        ),
        "distance of the kept statistics",
        signals.norms,
        signals.mismatch,
    )


def _tiny_batch(facts: Facts) -> Measured | None:
    settings, weights = known(facts.settings), known(facts.weights)
    recipe = settings.recipe
    if recipe is None or not weights.batch_norms:
        return None
    images = recipe.batch_size // recipe.accumulate
    changes = [Change("recipe", "accumulate", recipe.accumulate, 1)] if recipe.accumulate > 1 else []
    usual = usual_rate(recipe)
    if recipe.batch_size < 32:
        changes.append(Change("recipe", "batch_size", recipe.batch_size, 32))
        if recipe.optimizer == "sgd" and recipe.learning_rate < usual:
            rate = min(
                usual, recipe.learning_rate * 32 / recipe.batch_size
            )  # Goyal et al. 2017, linear scaling
            changes.append(Change("recipe", "learning_rate", recipe.learning_rate, float(f"{rate:.2g}")))
    return Measured(
        1 / images,
        f"Batch norm sees {images} images at once: their mean and variance are mostly noise.",
        Fix("Take larger batches at a rate that fits them, or group norm.", tuple(changes)),
        numbers={"images": float(images)},
    )


def _modes_confused(facts: Facts) -> Measured | None:
    answers, weights = known(facts.answers), known(facts.weights)
    stuck = f" {_told(list(weights.stuck))} stays in training mode." if weights.stuck else ""
    return Measured(
        max(answers.drift, 1.0 if weights.stuck else 0.0),
        f"The answers in evaluation mode depend on what else is asked: {answers.drift:.0%} of the probability moves "
        f"between two passes over the same images.{stuck}",
        built_anew(
            facts,
            "Call model.eval() before it answers; dropout must get training=self.training, and norms keep statistics.",
        ),
        numbers={"drift": answers.drift},
    )


_LIMIT = "limit from the trainings of docs/doctor.md"
RULES = (
    Rule(
        "modes_confused", "Is evaluation mode one?", ("answers", "weights"), _modes_confused,
        "probability that moves between two passes", 0.005, _LIMIT, "a look at the code", ("norm_statistics_wrong",),
    ),
    Rule(
        "norm_statistics_frozen", "Did the norms learn their statistics?", ("weights",), _norm_statistics_frozen,
        "batch norms as they were made", 0.5, "mean 0 and variance 1 are PyTorch's start; exact",
        "a pass over some images", ("norm_statistics_wrong", "saturated_outputs"),
    ),
    Rule(
        "tiny_batch", "Are batches large enough for batch norm?", ("settings", "weights"), _tiny_batch,
        "1 over the images that a batch norm sees", 1 / _SMALL_BATCH,
        "Wu and He 2018, arXiv:1803.08494, figure 5: errors rise below 8 images", "memory",
        ("norm_statistics_wrong", "oscillating_loss", "no_warmup"),
    ),
    Rule(
        "norm_statistics_wrong", "Do the norms' statistics fit the images?", ("signals", "answers"),
        _norm_statistics_wrong,
        "distance of kept from seen statistics in deviations, of a typical norm; or 0.45 of that of a single one",
        _WRONG, _LIMIT,
        "a pass over some images", ("saturated_outputs", "constant_outputs"),
    ),
    Rule(
        "not_in_optimizer", "Does the optimizer have every layer?", ("course",), _not_in_optimizer,
        "layers with gradients and no updates", 0.5, "exact: the update is 0", "a look at the code",
    ),
    Rule(
        "no_gradient", "Does every layer get a gradient?", ("weights",), _no_gradient, "layers without a gradient", 0.5,
        "exact: the gradient is 0", "a look at the code",
    ),
    Rule(
        "frozen_layers", "Is anything frozen by mistake?", ("weights",), _frozen_layers,
        "layers that want no gradient, beyond the recipe's", 0.5, "exact: requires_grad", "a look at the code",
        ("no_gradient",),
    ),
    Rule(
        "underflow", "Are updates lost?", ("weights", "signals"), _underflow, "share of updates below half a unit", 0.5,
        "half a unit in the last place of the weight's type", "memory for weights in float32",
        ("rate_too_low", "not_in_optimizer"),
    ),
)  # fmt: skip
