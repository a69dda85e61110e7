"""Rules about what the network answers: outputs that say nothing, and how well it fits."""

import math
from dataclasses import replace

import numpy as np

from reswork.diagnosis.facts import Facts, known
from reswork.diagnosis.finding import Change, Fix
from reswork.diagnosis.rate_rules import guessing_loss, pieces
from reswork.diagnosis.remedies import shifted
from reswork.diagnosis.rule import Measured, Rule

SATURATED = 30.0  # points of a logit
_SMALL_STEP = 0.1  # change of the last layer in the first step
_LARGE_WEIGHT = 1.0  # root mean square
_SCALED = 3.0  # times that answers are larger than what the last layer gives
_LEARNS_BY_HEART = 2  # weights for each training image, with which any labels can be learned
_FEW = 1  # the same: what a network of fewer lacks is size
_SHORT_OF_ALL = (
    0.5  # what an image counts that a small network has wrong, beside one that its neighbour has right
)
_LIMIT = "limit from the trainings of docs/doctor.md"


def _softmax_before_loss(facts: Facts) -> Measured | None:
    answers = known(facts.answers)
    within = answers.low >= 0 and answers.high <= 1 + 1e-4
    spread = answers.spread > 1e-4  # constant outputs are another matter
    sums = answers.sum_error < 1e-3
    value = 2.0 if within and sums else 1.0 if within and spread else 0.0
    what = (
        "are probabilities already, so that the loss takes a second softmax"
        if sums
        else "lie between 0 and 1"
    )
    return Measured(
        value,
        f"The network's outputs {what}; cross-entropy wants logits, and its gradients are small without them.",
        Fix("Take the softmax or sigmoid out of the network, and apply it where probabilities are shown."),
        numbers={
            "smallest": answers.low,
            "largest": answers.high,
            "distance of sums from 1": answers.sum_error,
        },
    )


def _constant_outputs(facts: Facts) -> Measured | None:
    answers = known(facts.answers)
    size = (
        facts.weights_per_image < _FEW and answers.scaled > 0
    )  # nothing behind the last layer takes it away
    return Measured(
        0.0 if size else -math.log10(max(answers.spread, 1e-9)),
        f"The network says the same of every image: its outputs differ by {answers.spread:.2g} between images, and "
        f"{answers.named.max():.0%} are called one class.",
        Fix("Look at what stands behind the last layer (a ReLU?) and whether its weights are 0."),
        "share of images called so",
        tuple(str(number) for number in range(len(answers.named))),
        answers.named,
    )


def _saturated_outputs(facts: Facts) -> Measured | None:
    answers, course = known(facts.answers), facts.course
    numbers = {"confidence": answers.confidence, "accuracy": answers.test_score}
    fix = Fix("Take out what scales the answers, or make the last layer's first weights smaller.")
    if course is None or not len(course.loss):
        sentence = (
            f"The outputs are saturated: the highest logit is {answers.range:.0f} above the others, so that every "
            f"answer is given with a probability of {answers.confidence:.0%}, and {answers.test_score:.0%} of the test "
            "images are right."
        )
        return Measured(answers.range, sentence, fix, numbers=numbers)
    # what a training makes large later has another cause; a sure first answer that is wrong costs its logit
    begun = float(course.loss[0]) - guessing_loss(course.classes)
    if answers.scaled < _SCALED and not _begins_large(
        facts
    ):  # large within the network, which is another matter
        begun = 0.0
    sentence = (
        f"The outputs were saturated from the first step on: the loss was {course.loss[0]:.0f}, and guessing gives "
        f"{guessing_loss(course.classes):.1f}."
    )
    return Measured(
        4 * begun,
        sentence,
        fix,
        "loss of the batches",
        tuple(course.steps.tolist()),
        course.loss,
    )


def _begins_large(facts: Facts) -> bool:
    """Whether a weight of the last layer is far from where any initialisation puts it."""
    course, weights = facts.course, facts.weights
    if course is None or weights is None or not course.norms.size or course.layers != weights.layers:
        return False
    if course.updates.shape != course.norms.shape or not course.updates[0, -1] < _SMALL_STEP:
        return False  # norms are those after a step
    return bool(course.norms[0, -1] / weights.sizes[-1] ** 0.5 > _LARGE_WEIGHT)


def _overfitting(facts: Facts) -> Measured | None:
    answers, data = known(facts.answers), facts.data
    gap = answers.train_score - answers.test_score
    learned = answers.train_score >= 0.85
    recipe = None if facts.settings is None else facts.settings.recipe
    images = f" on {data.images:,} training images" if data is not None else ""
    fix = Fix("Use more images; those that there are can be shifted at random.", eases=True)
    if recipe is not None:
        fix = replace(fix, changes=shifted(recipe))
    return Measured(
        gap if learned else 0.0,
        f"It overfits{images}: {answers.train_score:.0%} of them are named right, and {answers.test_score:.0%} of the "
        "test images.",
        fix,
        "share named right",
        ("training images", "test images"),
        np.array([answers.train_score, answers.test_score]),
    )


def _underfitting(facts: Facts) -> Measured | None:
    answers, data, weights = known(facts.answers), known(facts.data), known(facts.weights)
    count = int(weights.sizes.sum())
    gap = max(data.neighbours - answers.train_score, _SHORT_OF_ALL * (1 - answers.train_score))
    # a larger network can learn all of them: where it did not, its training is at fault and not its size
    small = facts.weights_per_image < _LEARNS_BY_HEART
    config = None if facts.settings is None else facts.settings.config
    fix = Fix("Use a wider or deeper network, or train longer.")
    if config is not None:
        width = config.resolved().width or 16
        fix = Fix(
            "Use a wider network, or train longer.", (Change("network", "width", width, max(16, 2 * width)),)
        )
    return Measured(
        gap if small else 0.0,
        f"It underfits: {answers.train_score:.0%} of the training images are named right, and their nearest neighbour "
        f"in grey values does so for {data.neighbours:.0%}; {count:,} weights are few for {data.images:,} images.",
        fix,
        "share named right",
        ("the network", "nearest neighbour"),
        np.array([answers.train_score, data.neighbours]),
    )


def _over_regularised(facts: Facts) -> Measured | None:
    settings, answers, weights = known(facts.settings), known(facts.answers), known(facts.weights)
    recipe, config = settings.recipe, settings.config
    if recipe is None:
        return None
    dropout = max(weights.dropout, config.dropout if config is not None else 0.0)
    strengths = {
        "dropout": dropout / 0.5,
        "label_smoothing": recipe.label_smoothing / 0.4,
        "mixup": recipe.mixup / 2.0,
    }
    name = max(strengths, key=lambda each: strengths[each])
    unsure = answers.train_score - answers.confidence
    worse = answers.train_score - answers.training_mode_score
    hurt = answers.train_score < 0.9 or unsure > 0.25 or worse > 0.25
    old = dropout if name == "dropout" else getattr(recipe, name)
    changes = (
        [Change("network", "dropout", dropout, 0.0)]
        if config is not None and strengths["dropout"] > 0.8
        else []
    )
    for each, mild in (("label_smoothing", 0.1), ("mixup", 0.2)):
        if strengths[each] > 0.8:
            changes.append(Change("recipe", each, getattr(recipe, each), mild))
    return Measured(
        strengths[name] if hurt else 0.0,
        f"The regularisation is too strong: {name} of {old:g} leaves {answers.train_score:.0%} of the training images "
        f"right, at a mean confidence of {answers.confidence:.0%}.",
        Fix(f"Use less {name.replace('_', ' ')}.", tuple(changes)),
        "strength, 1 is much",
        tuple(strengths),
        np.array(list(strengths.values())),
    )


def _decay_kills(facts: Facts) -> Measured | None:
    course, settings = known(facts.course), known(facts.settings)
    recipe = settings.recipe
    if recipe is None or not len(course.rates) or recipe.optimizer == "adam" or not len(course.score):
        return None
    shrunk = float(course.rates.mean() * settings.total_steps * recipe.weight_decay)
    if recipe.optimizer == "sgd":
        shrunk /= 1 - recipe.momentum
    learned = pieces(course.score)[-2:].mean()
    size = course.norms if course.norms.size else np.ones((1, 1))
    smaller = float(np.median(size[-1] / np.maximum(size[0], 1e-9)))
    return Measured(
        shrunk if learned < 0.95 and smaller < 0.7 else 0.0,
        f"The weight decay of {recipe.weight_decay:g} kills the weights: over the run it takes them {shrunk:.1f} times "
        f"towards 0, faster than they learn; {learned:.0%} of the training images are named right.",
        Fix("Lower it.", (Change("recipe", "weight_decay", recipe.weight_decay, 1e-4),)),
        "weight norm of the last layer",
        tuple(float(number) for number in range(len(course.norms))) if course.norms.size else (),
        course.norms[:, -1] if course.norms.size else (),
    )


def _stands_still(facts: Facts) -> Measured | None:
    course = known(facts.course)
    if len(course.loss) < 40:
        return None
    parts, chance = pieces(course.loss), guessing_loss(course.classes)
    still = 1 - max(0.0, (parts[len(parts) // 3] - parts[-3:].mean()) / chance) if len(parts) > 6 else 0.0
    high = parts[-3:].mean() / chance
    return Measured(
        float(still) if high > 0.6 else 0.0,
        f"The loss stands still at {parts[-3:].mean():.2f}: over the last two thirds it hardly fell.",
        None,
        "loss of the batches",
        tuple(course.steps.tolist()),
        course.loss,
    )


OUTPUTS = (
    Rule(
        "softmax_before_loss", "Are the outputs logits?", ("answers",), _softmax_before_loss,
        "2: probabilities, 1: numbers from 0 to 1", 0.5, "UMLAUT (CHI 2021), missing or double softmax; exact",
        "a look at the code", ("constant_outputs", "rate_too_low"),
    ),
    Rule(
        "constant_outputs", "Do the answers depend on the image?", ("answers",), _constant_outputs,
        "-log10 of the spread of a logit over images", 2.0, _LIMIT, "a look at the last layer", ("rate_too_low",),
    ),
    Rule(
        "saturated_outputs", "Are the answers saturated?", ("answers",), _saturated_outputs,
        "highest logit above the others; of a run four times the first loss above guessing", SATURATED, _LIMIT,
        "a look at the last layer",
        ("rate_too_high", "oscillating_loss", "no_warmup", "exploding_gradients", "constant_outputs", "dead_units",
         "drowned_shortcut", "idle_branch", "norm_statistics_wrong"),
    ),
)  # fmt: skip
FIT = (
    Rule(
        "decay_kills", "Does weight decay leave anything?", ("course", "settings"), _decay_kills,
        "shrinking by weight decay over the run, in e-folds", 3.0, _LIMIT, "a little overfitting",
        ("rate_too_low", "idle_branch", "constant_outputs", "vanishing_gradients", "dead_units", "rate_too_high",
         "norm_statistics_wrong", "drowned_shortcut"),
    ),
    Rule(
        "over_regularised", "Is the regularisation too strong?", ("settings", "answers", "weights"), _over_regularised,
        "strength against what is usual, 1 is much", 1.0, "settings of the papers; " + _LIMIT, "a little overfitting",
        ("rate_too_low", "constant_outputs"),
    ),
    Rule(
        "overfitting", "Does it learn by heart?", ("answers",), _overfitting,
        "training score above test score", 0.14, _LIMIT, "a search for more images",
    ),
    Rule(
        "underfitting", "Can the network learn these images?", ("answers", "data", "weights"), _underfitting,
        "nearest neighbour's score above the network's, training images, or half of what the network has wrong; with "
        "less than two weights an image", 0.08,
        "Zhang et al. 2017, arXiv:1611.03530, theorem 1: two weights an image learn any labels by heart; " + _LIMIT,
        "a larger network",
    ),
)  # fmt: skip
SYMPTOMS = (
    Rule(
        "loss_stands_still", "Does the loss fall?", ("course",), _stands_still,
        "1 less the fall over the last two thirds, in losses of guessing", 0.97, _LIMIT, "a search for its cause",
    ),
)  # fmt: skip
