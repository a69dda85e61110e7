"""What is checked before the first step, so that a wrong net or data set gives a sentence and not a stack."""

import copy
from collections.abc import Sized

import torch
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.channel_rows import split_channels
from reswork.models.network import ResNet
from reswork.tasks import Task
from reswork.training.evaluation import evaluating
from reswork.training.failures import is_out_of_memory
from reswork.training.frozen_channels import FrozenChannels
from reswork.training.image_sizes import resized, size_at
from reswork.training.recipe import Recipe, innermost


def check_before_training(model: nn.Module, data: Dataset, recipe: Recipe, task: Task) -> None:
    """Refuse what cannot be trained.

    Raises:
        InvalidSetting: for fewer than two training images, a shift as large as an image, targets or settings that
            the task cannot use, nothing to train, a net that cannot take these images or does not give what the
            task judges.
    """
    count = len(data.train)
    if count < 2:
        raise InvalidSetting("data", f"{data.name} has {count} training image(s); at least 2 are needed")
    recipe.augmentation.check(data.input_shape, data.input_kind)
    if recipe.channels_last is True and data.input_kind != "images":
        raise InvalidSetting(
            "channels_last",
            f"channels_last=True is for images, and the inputs are {data.input_kind}; choose 'auto'",
        )
    task.check_data(data)
    task.check_recipe(recipe)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise InvalidSetting(
            "model",
            f"{type(model).__name__} has no weights that want gradients; "
            "call requires_grad_(True) on those to train",
        )
    check_layers(model, recipe)
    _check_output(model, data, task)
    if recipe.image_scale < 1:
        _check_smaller(model, data, recipe, task)


def check_shares(data: Dataset, recipe: Recipe, ranks: int) -> None:
    """Refuse batches that are too small for so many ranks.

    Raises:
        InvalidSetting: where one of them would have less than two images.
    """
    images = min(recipe.batch_size, len(data.train))
    if images < 2 * ranks:
        raise InvalidSetting(
            "batch_size",
            f"a batch of {images} images is too small for {ranks} ranks, each of which needs two; choose "
            f"batch_size={2 * ranks} or more, or fewer ranks",
        )


def check_movable(model: nn.Module) -> None:
    """Refuse weights without numbers, before the model is moved to where it trains.

    Raises:
        InvalidSetting: for weights on the device "meta".
    """
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise InvalidSetting(
            "model",
            f'{type(model).__name__} has weights on the device "meta", which are shapes without numbers; fill it '
            "first: model.to_empty(device='cpu'), then its reset_parameters or model.load_state_dict(...)",
        )


def check_layers(model: nn.Module, recipe: Recipe) -> None:
    """Refuse a recipe that names layers which a model has not, or freezes all of it.

    Raises:
        InvalidSetting: under the name of the setting.
    """
    known = {name for name, _ in model.named_modules() if name}
    for field in ("frozen", "layer_rates", "unfreeze_epochs"):
        for layer in (split_channels(name)[0] for name in getattr(recipe, field)):
            if layer not in known:
                parts = ", ".join(name for name, _ in model.named_children())
                raise InvalidSetting(
                    field,
                    f"{field} names {layer!r}, which {type(model).__name__} has not; choose {parts}, or what is "
                    "within them, such as 'layer1.0.conv1'",
                )
    try:
        FrozenChannels(model, recipe.frozen)
    except InvalidSetting as error:
        raise InvalidSetting("frozen", error.message) from None
    if recipe.frozen and not any(
        weight.requires_grad and innermost(name, recipe.frozen) is None
        for name, weight in model.named_parameters()
    ):
        raise InvalidSetting(
            "frozen", "frozen leaves nothing to train; take at least one layer with weights out of it"
        )


def _check_output(model: nn.Module, data: Dataset, task: Task) -> None:
    """One pass of two images in evaluation mode: no weight, statistic or random state changes."""
    first = data.train.inputs[:2].to(data.train.device)
    images = normalise(first, data.mean, data.std, torch.float32, torch.contiguous_format)
    shape = tuple(images.shape[1:])
    try:
        with evaluating(model), torch.no_grad():
            output = task.call(model, images, data.train.targets[:2].to(images.device))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        told, remedy = f"{data.input_kind} of shape {shape}", "rw.resnet(rw.config_for(data))"
        if data.input_kind == "images":
            told = f"images of shape (C, H, W) = {shape}"
            remedy = f"in_channels={shape[0]} and images of {shape[1]}x{shape[2]}"
        raise InvalidSetting(
            "model",
            f"{type(model).__name__} cannot take {told} ({reason}); build it for {remedy}",
        ) from error
    task.check_output(model, output, data)
    if not isinstance(model, ResNet):
        _check_output_in_training(model, images, data, task)


def _check_smaller(model: nn.Module, data: Dataset, recipe: Recipe, task: Task) -> None:
    """Refuse smaller images where they would not fit their targets, or the model."""
    told = f"image_scale={recipe.image_scale!r}"
    if data.input_kind != "images" or data.target_kind not in ("labels", "values"):
        raise InvalidSetting(
            "image_scale",
            f"{told} makes images smaller that have a class or values each, and {data.name} has {data.input_kind} with "
            f"{data.target_kind}; choose image_scale=1",
        )
    height, width = data.input_shape[-2:]
    size = size_at(recipe, (height, width), 0, 1)
    first = data.train.inputs[:2].to(data.train.device)
    images = resized(normalise(first, data.mean, data.std, torch.float32, torch.contiguous_format), size)
    try:
        with evaluating(model), torch.no_grad():
            output = task.call(model, images, data.train.targets[:2].to(images.device))
            task.check_output(model, output, data)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        raise InvalidSetting(
            "image_scale",
            f"{told} begins with images of {size[0]}x{size[1]} pixels, which {type(model).__name__} cannot take "
            f"({str(error).splitlines()[0]}); choose image_scale=1, or a network that ends with a mean over all places",
        ) from error


def _check_output_in_training(model: nn.Module, images: Tensor, data: Dataset, task: Task) -> None:
    """The same pass in training mode, by a copy: some nets give more answers while they learn."""
    devices = [images.device] if images.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            output = task.call(copy.deepcopy(model).train(), images, data.train.targets[:2].to(images.device))
    except (
        Exception
    ) as error:  # what only two images break, such as a norm over one number; the first step will tell
        if is_out_of_memory(error):
            raise
        return
    if isinstance(output, Tensor):
        return
    count = f" of {len(output)}" if isinstance(output, Sized) else ""
    raise InvalidSetting(
        "model",
        f"{type(model).__name__} gives one tensor in evaluation, but a {type(output).__name__}{count} while it trains "
        "(auxiliary answers); build it without them (aux_logits=False in torchvision), or wrap it in a module that "
        "gives the logits alone",
    )
