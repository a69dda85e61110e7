"""What several rules advise: the usual rate, and a network that is built anew as its settings say."""

from reswork.diagnosis.facts import Facts
from reswork.diagnosis.finding import Change, Fix
from reswork.training.recipe import Recipe

FRESH = Change("network", "weights", "as they were", "fresh")
_USUAL = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001, "muon": 0.01}  # learning rates, as `Recipe` says


def usual_rate(recipe: Recipe) -> float:
    """The learning rate that an optimizer usually begins with."""
    return _USUAL[recipe.optimizer]


def falling_rate(recipe: Recipe | None) -> tuple[Change, ...]:
    """A rate that never falls ends in noise as large as it is; along a cosine it comes to rest."""
    constant = recipe is not None and recipe.schedule == "constant"
    return (Change("recipe", "schedule", "constant", "cosine"),) if constant else ()


def rate_not_above_usual(recipe: Recipe | None) -> tuple[Change, ...]:
    """The usual rate, where the recipe's is higher."""
    if recipe is None or recipe.learning_rate <= usual_rate(recipe):
        return ()
    return (Change("recipe", "learning_rate", recipe.learning_rate, usual_rate(recipe)),)


def shifted(recipe: Recipe) -> tuple[Change, ...]:
    """Images that are moved by a pixel at random, where nothing is done to them so far."""
    old = recipe.augmentation.to_dict()
    return () if any(old.values()) else (Change("recipe", "augmentation", old, {**old, "translate": 1}),)


def built_anew(facts: Facts, words: str) -> Fix:
    """These words, and, of a network that is not as its settings say any more, one that is.

    Args:
        facts: whose weights name the layers that were changed by hand.
        words: what to do, where that is all.
    """
    weights = facts.weights
    config = None if facts.settings is None else facts.settings.config
    if config is None or weights is None or not weights.altered:
        return Fix(words)
    places = len(weights.altered)
    more = f" and {places - 1} more" if places > 1 else ""
    return Fix(
        f"{words} {weights.altered[0]}{more} is not what the network's settings say; build it anew from them.",
        (FRESH,),
        fresh=True,
    )
