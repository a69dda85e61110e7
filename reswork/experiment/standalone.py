"""A network and its training as one script that needs PyTorch and no reswork."""

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from reswork.errors import InvalidSetting
from reswork.experiment.training_code import check_transfer, training_code, training_imports, work_of
from reswork.models.config import ResNetConfig
from reswork.models.layout import BOX_HEADS, MASK_HEADS
from reswork.models.network_code import network_code, network_imports
from reswork.training.recipe import Recipe


def show_code(
    config: ResNetConfig,
    recipe: Recipe | None = None,
    *,
    transfer: Mapping[str, Any] | None = None,
    values: bool = False,
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
        values: whether the network tells values and no classes (``data.target_kind == "values"``).

    Returns:
        Source of a script that takes the path of an npz file with ``train_images`` uint8 ``(N, C, H, W)``,
        ``train_labels`` ``(N,)``, ``test_images`` and ``test_labels``; with masks labels are ``(N, H, W)``, of a
        network that gives pictures these, uint8. For signals, rows of a table and tokens they are called
        ``train_inputs``, ``train_targets`` and so on, and are what `Split.inputs` and `Split.targets` hold.

    Raises:
        InvalidSetting: for a recipe that does to inputs and targets what the script does to images and labels only,
            such as changing an image and its mask together; for a U-Net of volumes, and one that gives numbers.

    Example:
        >>> print(show_code(ResNetConfig(depth=20)).splitlines()[0])
        \"\"\"ResNet-20 and its training, in plain PyTorch.
    """
    has_no_script = config.head in ("embedding", *BOX_HEADS)
    if has_no_script or (config.head in MASK_HEADS and config.dims != 2):
        setting, value = ("head", config.head) if has_no_script else ("dims", config.dims)
        raise InvalidSetting(
            setting,
            f"{setting}={value!r} is not written out; print(rw.resnet(config)) has the layers",
        )
    recipe = recipe or Recipe()
    if transfer is not None:
        check_transfer(transfer)
    work = work_of(config, values=values)
    words = {
        "int64 labels (N,)": f"whole numbers from 0 to {config.num_classes - 1}",
        "int64 labels (N, H, W)": f"(N, H, W) from 0 to {config.num_classes - 1}, or 255 where nothing counts",
    }
    told = words.get(work.targets, work.targets)
    given = work.inputs.replace("images ", "").replace("(N, C,", f"(N, {config.in_channels},")
    file = re.sub(r"[^a-z0-9]+", "-", config.label.lower()) + ".pt"
    inputs, targets = work.words
    holds = (
        f"data.npz holds train_{inputs} and test_{inputs}, {given}, and train_{targets} and test_{targets}, {told}; "
        f"the trained weights go to {file}."
    )
    weights = " weights.safetensors" if transfer is not None else ""
    header = "\n".join([
        f'"""{config.label} and its training, in plain PyTorch.', "", f"    python this_file.py data.npz{weights}", "",
        *textwrap.wrap(holds, 108, break_on_hyphens=False), '"""',
    ])  # fmt: skip
    model = network_code(config, checkpointed=recipe.checkpoint_activations)
    lines = {*training_imports(recipe), *network_imports(config)}
    own = lines & {"import copy", "import math", "import sys"}  # Python's own modules first
    others = sorted(lines - own, key=lambda line: (line.startswith("from"), line))
    imports = "\n\n".join("\n".join(part) for part in (sorted(own), others))
    return f"{header}\n\n{imports}\n\n\n{model}\n\n{training_code(recipe, file, config, transfer, values=values)}"
