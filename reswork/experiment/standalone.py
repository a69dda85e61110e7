"""A network and its training as one script that needs PyTorch and no reswork."""

import re
from collections.abc import Mapping
from typing import Any

from reswork.errors import InvalidSetting
from reswork.experiment.network_code import network_code, network_imports
from reswork.experiment.training_code import check_transfer, training_code, training_imports
from reswork.models.config import ResNetConfig
from reswork.models.layout import MASK_HEADS
from reswork.training.recipe import Recipe


def show_code(
    config: ResNetConfig, recipe: Recipe | None = None, *, transfer: Mapping[str, Any] | None = None
) -> str:
    """A stand-alone PyTorch script that rebuilds this network and this training.

    Read it to see what the settings stand for, or take it along: it imports torch, numpy and, for two kinds
    of layers, torchvision. The network has the same state_dict keys, and starts with the same weights for the
    same seed. The training follows the recipe with random numbers of its own, so it repeats a run's losses in
    kind, not to the digit. Where the recipe leaves a choice to the machine, the script decides by a rule.

    Args:
        config: the network.
        recipe: the training; None: the defaults.
        transfer: of a run that began with trained weights, its ``transfer`` (`SavedRun.transfer`): the script then
            takes a file of the source's weights besides, under names as they are here.

    Returns:
        Source of a script that takes the path of an npz file with ``train_images`` uint8 ``(N, C, H, W)``,
        ``train_labels`` ``(N,)``, ``test_images`` and ``test_labels``; of a U-Net and an FCN labels are ``(N, H, W)``.

    Raises:
        InvalidSetting: for masks with a recipe that changes images and masks together, or mixes or splits them; for
            a network whose inputs are no images, or that gives another picture.

    Example:
        >>> print(show_code(ResNetConfig(depth=20)).splitlines()[0])
        \"\"\"ResNet-20 and its training, in plain PyTorch.
    """
    if config.dims != 2:
        raise InvalidSetting(
            "dims",
            f"the script is for networks of images, and dims={config.dims}; print(rw.resnet(config)) has the layers",
        )
    if config.head not in ("classifier", *MASK_HEADS):
        gives = "numbers" if config.head == "embedding" else "pictures"
        raise InvalidSetting(
            "head",
            f"the script is for networks that give classes, and head={config.head!r} gives {gives}; "
            "print(rw.resnet(config)) has the layers",
        )
    recipe = recipe or Recipe()
    if transfer is not None:
        check_transfer(transfer)
    gap = " "
    labels = f"whole numbers from 0 to {config.num_classes - 1}"
    if config.head in MASK_HEADS:
        gap = "\n"
        labels = f"(N, H, W) from 0 to {config.num_classes - 1}, or 255 where nothing counts"
    file = re.sub(r"[^a-z0-9]+", "-", config.label.lower()) + ".pt"
    header = (
        f'"""{config.label} and its training, in plain PyTorch.\n\n'
        f"    python this_file.py data.npz{' weights.safetensors' * (transfer is not None)}\n\n"
        f"data.npz holds train_images and test_images, uint8 (N, {config.in_channels}, H, W), and train_labels and\n"
        f"test_labels, {labels}; the trained weights go to{gap}{file}.\n"
        '"""'
    )
    model = network_code(config, checkpointed=recipe.checkpoint_activations)
    lines = {*training_imports(recipe), *network_imports(config)}
    own = lines & {"import copy", "import math", "import sys"}  # Python's own modules first
    others = sorted(lines - own, key=lambda line: (line.startswith("from"), line))
    imports = "\n\n".join("\n".join(part) for part in (sorted(own), others))
    return f"{header}\n\n{imports}\n\n\n{model}\n\n{training_code(recipe, file, config.head, transfer)}"
