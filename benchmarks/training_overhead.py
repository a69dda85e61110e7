"""What `Run` with its default recorders costs, against a loop written by hand.

Both train the same ResNet on the same tensors with the same mode and the same preparation of batches. They
take turns in one process; each number is the median over the rounds. Run it on an idle machine:

    python benchmarks/training_overhead.py --rounds 21 --steps 6
"""

import argparse
import statistics
import time
from collections.abc import Iterator

import torch
from torch.nn import functional as F

from reswork.datasets import Augmentation, Dataset, Preparation, Split
from reswork.history import History
from reswork.models.network import resnet
from reswork.recorders import default_recorders
from reswork.training.events import RunStarted
from reswork.training.loop import fit
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe
from reswork.training.run import Run

TARGET = 0.98


def made_data(images: int) -> Dataset:
    """Noise of CIFAR's size: what the images show does not change the speed."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = Split(pixels, torch.arange(images) % 10)
    test = Split(pixels[:500], split.labels[:500])
    names = tuple("0123456789")
    return Dataset("noise", split, test, names, (0.5,) * 3, (0.25,) * 3, "made up")


def bare_steps(data: Dataset, recipe: Recipe, mode: Mode, depth: int) -> Iterator[None]:
    """The loop that somebody writes who knows how: one pull is one step."""
    device = torch.device(mode.device)
    data = data.to(device)
    model = resnet(depth=depth).to(device, memory_format=mode.memory_format).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, fused=True)
    prepare = Preparation(
        data.train, data.mean, data.std, recipe.augmentation, channels_last=mode.channels_last
    )
    generator = torch.Generator(device).manual_seed(0)
    while True:
        order = torch.randperm(len(data.train), device=device)
        for chosen in order.split(recipe.batch_size):
            images, labels = prepare(chosen, generator)
            with mode.autocast():
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield


def seconds_bare(steps: Iterator[None], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        next(steps)
    _wait()
    return time.perf_counter() - begin


def seconds_run(run: Run, count: int) -> float:
    begin = time.perf_counter()
    run.step(count)
    run.wait_until_still()
    _wait()
    return time.perf_counter() - begin


def _wait() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()
    steps = options.rounds * options.steps + 5
    recipe = Recipe(
        steps=steps + 1,  # it never ends, so that no evaluation is timed
        batch_size=options.batch_size,
        augmentation=Augmentation(crop_padding=4, flip=True),
        deterministic=False,
        compile="off",
        schedule="constant",
    )
    data = made_data((steps + 2) * options.batch_size)
    started = next(fit(resnet(depth=options.depth), data, recipe))
    assert isinstance(started, RunStarted)
    mode = started.choice
    fixed = Recipe.from_dict(
        {**recipe.to_dict(), "precision": mode.precision, "channels_last": mode.channels_last}
    )

    history = History()
    run = Run(resnet(depth=options.depth), data, fixed, history=history, recorders=default_recorders(history))
    bare = bare_steps(data, fixed, mode, options.depth)
    seconds_bare(bare, 3)
    seconds_run(run, 3)
    times: dict[str, list[float]] = {"bare": [], "run": []}
    for round_ in range(options.rounds):
        for arm in ("bare", "run") if round_ % 2 == 0 else ("run", "bare"):
            took = seconds_bare(bare, options.steps) if arm == "bare" else seconds_run(run, options.steps)
            times[arm].append(took)
    run.stop()
    run.wait()
    _print_table(times, options.steps * options.batch_size, mode)


def _print_table(times: dict[str, list[float]], images: int, mode: Mode) -> None:
    ratios = sorted(bare / ours for bare, ours in zip(times["bare"], times["run"], strict=True))
    rates = {arm: images / statistics.median(took) for arm, took in times.items()}
    middle = statistics.median(ratios)
    print(f"{mode}, {torch.get_num_threads()} threads, {len(ratios)} rounds\n")
    print("| loop | images per second (median) |\n|---|---:|")
    print(f"| written by hand | {rates['bare']:,.0f} |")
    print(f"| Run with default recorders | {rates['run']:,.0f} |")
    print(
        f"\nRatio: median {middle:.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}; "
        f"target {TARGET}: {'reached' if middle >= TARGET else 'missed'}"
    )


if __name__ == "__main__":
    main()
