"""The loop that somebody writes who knows how, and the data and settings that it shares with reswork's."""

import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.nn import functional as F

from reswork.datasets import Augmentation, Dataset, Preparation, Split
from reswork.models.network import resnet
from reswork.training.events import RunStarted
from reswork.training.loop import fit
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe

IMAGES = 50_000
BATCH = 128
DEPTH = 20
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
CROP_AND_FLIP = Augmentation(crop_padding=4, flip=True)


def made_data(images: int = IMAGES) -> Dataset:
    """Noise of CIFAR-10's size: what the images show does not change the speed."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    train = Split(pixels, torch.arange(images) % 10)
    test = Split(pixels[:500], train.labels[:500])
    return Dataset("noise", train, test, tuple("0123456789"), MEAN, STD, "made up")


def settled(recipe: Recipe, data: Dataset) -> tuple[Recipe, Mode]:
    """The mode that reswork chooses here, and the recipe with just that mode asked for."""
    started = next(fit(resnet(depth=DEPTH), data, recipe))
    assert isinstance(started, RunStarted)
    mode = started.choice
    return replace(recipe, precision=mode.precision, channels_last=mode.channels_last), mode


def bare_steps(data: Dataset, recipe: Recipe, mode: Mode, depth: int = DEPTH) -> Iterator[None]:
    """Training without end; one pull is one step."""
    device = torch.device(mode.device)
    data = data.to(device)
    model = resnet(depth=depth).to(device, memory_format=mode.memory_format).train()
    optimizer = torch.optim.SGD(
        model.parameters(),
        recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    prepare = Preparation(
        data.train, data.mean, data.std, recipe.augmentation, channels_last=mode.channels_last
    )
    generator = torch.Generator(device).manual_seed(0)
    while True:
        order = torch.randperm(len(data.train), device=device)
        for chosen in order.split(recipe.batch_size)[: len(order) // recipe.batch_size]:
            images, labels = prepare(chosen, generator)
            with mode.autocast():
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield


def seconds_bare(steps: Iterator[None], count: int) -> float:
    """Time of so many steps."""
    begin = time.perf_counter()
    for _ in range(count):
        next(steps)
    wait_for_device()
    return time.perf_counter() - begin


def wait_for_device() -> None:
    """Until all that was queued is done."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
