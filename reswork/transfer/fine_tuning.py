"""`fine_tune`: a run that begins with the weights of a trained network."""

from typing import Any

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.launch import train
from reswork.experiment.presets import FINE_TUNING
from reswork.training.live_run import LiveRun
from reswork.training.recipe import Recipe
from reswork.transfer.adoption import HeadChoice, NormChoice, StemChoice, adopt
from reswork.transfer.stages import planned


def fine_tune(
    source: Any,
    data: Dataset,
    recipe: Recipe | None = None,
    *,
    head: HeadChoice = "new",
    stem: StemChoice = "kept",
    norms: NormChoice = "batch",
    norm_images: int = 1000,
    frozen_to: str | None = None,
    rate_decay: float = 1.0,
    unfreeze_every: float | None = None,
    download: bool = False,
    **how: Any,
) -> LiveRun:
    """Train a trained network on for other data, in the background; returns at once.

    The network is that of the source, with a head (and, if asked, a stem) for these data. Everything that is said here
    stands in the run's ``run.json`` under ``transfer``, and what it makes of the recipe under ``recipe``.

    Args:
        source: a run, or its name or folder; a file that `open_checkpoint` reads, or what it gave; published weights
            such as ``"torchvision/resnet18"`` or ``"timm/resnet18.a1_in1k"``; any network. It stays as it is.
        data: what to learn.
        recipe: how; None: that of the preset `FINE_TUNING`: small batches, half of the usual learning rate.
        head: ``"new"``, ``"kept"`` (as many answers), or ``"extended"`` (classes of the same name keep their weights).
        stem: where the source takes other channels: ``"kept"`` refuses that, ``"averaged"`` or ``"new"``.
        norms: statistics of batch norms in training: ``"batch"``: each batch's, and the running ones follow (frozen
            layers keep theirs); ``"kept"``: the source's, everywhere; ``"reestimated"``: measured anew on training
            images beforehand, and then kept.
        norm_images: how many images that takes.
        frozen_to: stage or block up to which nothing is trained: ``"stem"``, ``"layer2"``, ``"layer2.0"``, or
            ``"body"``, which leaves the head alone; None: all is trained.
        rate_decay: what the learning rate is multiplied by from stage to stage, from the head towards the input.
        unfreeze_every: epochs after which one more frozen stage joins, the last first; None: never.
        download: fetch published weights that are not on this machine.
        **how: as `train` takes it: ``name``, ``directory``, ``engine``, ``recorders``, ``start`` ...

    Raises:
        InvalidSetting: for a source that does not fit, a stage that there is not, or what `train` refuses.

    Example:
        >>> data = fashion()                                                    # doctest: +SKIP
        >>> run = fine_tune("six", data.of_classes(data.classes[6:]), frozen_to="layer1")  # doctest: +SKIP
    """
    recipe = FINE_TUNING.recipe if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        raise InvalidSetting("recipe", f"recipe={recipe!r} is no Recipe")
    adopted = adopt(
        source,
        data,
        head=head,
        stem=stem,
        norms=norms,
        norm_images=norm_images,
        seed=recipe.seed,
        download=download,
    )
    plan = planned(
        adopted.model,
        recipe,
        last=frozen_to,
        rate_decay=rate_decay,
        unfreeze_every=unfreeze_every,
        keep_statistics=norms != "batch",
    )
    asked = {"frozen_to": frozen_to, "rate_decay": rate_decay, "unfreeze_every": unfreeze_every}
    return train(adopted.model, data, plan, transfer={**adopted.settings, **asked}, **how)
