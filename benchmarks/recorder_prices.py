"""What each recorder costs: steps in which it measures against steps without any recorder.

Every arm is a run of its own on the same tensors with the same mode; the arms take turns in one process. In
an arm's steps its recorder measures every time, so that little time shows much; the share of a step at the
usual interval is that cost divided by the interval. Beside it stands what the recorder says of itself. Run
it on an idle machine, or let it count processor time, which others on the machine disturb less:

    python benchmarks/recorder_prices.py --rounds 15 --steps 4
    OMP_NUM_THREADS=1 python benchmarks/recorder_prices.py --cpu-time
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from reswork.datasets import Augmentation, Dataset, Split
from reswork.history import History
from reswork.models.network import resnet
from reswork.recorders import CATALOGUE, Budget, Priced, priced
from reswork.training.events import RunStarted
from reswork.training.loop import fit
from reswork.training.recipe import Recipe
from reswork.training.run import Run

Clock = Callable[[], float]

TARGETS = {"gradient_norms": 0.01, "all by default": 0.05}
EVERY_STEP = "those of every step"  # one arm for all of them: each alone is too little to be seen
STEPS_OF = {"noise_scale": 2}  # steps that a measurement takes


def made_data(images: int) -> Dataset:
    """Noise of CIFAR's size: what the images show does not change the speed."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = Split(pixels, torch.arange(images) % 10)
    test = Split(pixels[:500], split.labels[:500])
    return Dataset("noise", split, test, tuple("0123456789"), (0.5,) * 3, (0.25,) * 3, "made up")


def arms() -> dict[str, tuple[list[Priced], Budget]]:
    """Of each arm its recorders and the budget that knows their prices; the first arm has none."""
    found: dict[str, tuple[list[Priced], Budget]] = {"none": ([], Budget(History(), share=None))}
    for kind in CATALOGUE:
        history = History()
        made = priced(kind.name, history)
        made.every = 1
        name = kind.name if made.can_be_thinned else EVERY_STEP
        recorders, budget = found.setdefault(name, ([], Budget(history, share=None)))
        recorders.append(made)
        budget.add(made)
    return found


def seconds(run: Run, steps: int, clock: Clock) -> float:
    """Of so many steps of a run."""
    begin = clock()
    run.step(steps)
    run.wait_until_still()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return clock() - begin


def measured(depth: int, rounds: int, steps: int, batch_size: int, clock: Clock) -> None:
    """Print the table of one depth."""
    total = (rounds + 2) * steps
    data = made_data(min(20_000, (total + 2) * batch_size))
    recipe = Recipe(
        steps=10 * total + 1000,  # it never ends, so that no evaluation is timed
        batch_size=batch_size,
        augmentation=Augmentation(crop_padding=4, flip=True),
        compile="off",
        schedule="constant",
    )
    started = next(fit(resnet(depth=depth), data, recipe))
    assert isinstance(started, RunStarted)
    mode = started.choice
    fixed = Recipe.from_dict(
        {**recipe.to_dict(), "precision": mode.precision, "channels_last": mode.channels_last}
    )
    made = arms()
    runs = {
        name: Run(resnet(depth=depth), data, fixed, recorders=[*recorders, budget])
        for name, (recorders, budget) in made.items()
    }
    for run in runs.values():
        seconds(run, steps, clock)  # warms up, and prepares the recorders
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds):
        for name in list(runs)[:: 1 if round_ % 2 == 0 else -1]:
            times[name].append(seconds(runs[name], steps, clock) / steps)
    for run in runs.values():
        run.stop()
        run.wait()
    print(f"\nResNet-{depth}, batch {batch_size}: {mode}, {torch.get_num_threads()} threads, {rounds} rounds")
    _print_table(made, times)


def _print_table(made: dict[str, tuple[list[Priced], Budget]], times: dict[str, list[float]]) -> None:
    print(f"a step without recorders: {1e3 * statistics.median(times['none']):.0f} ms (median)\n")
    print("| recorder | every | ms of a measurement | lowest to highest | % of a step | by itself |")
    print("|---|---:|---:|---:|---:|---:|")
    usual = {kind.name: kind.every for kind in CATALOGUE}
    default = {kind.name for kind in CATALOGUE if kind.by_default} | {EVERY_STEP}
    shares, own = {}, {}
    for name, (recorders, budget) in list(made.items())[1:]:
        pairs = list(zip(times[name], times["none"], strict=True))
        extra = [(took - bare) * STEPS_OF.get(name, 1) for took, bare in pairs]
        ratio = statistics.median(e / bare for e, (_, bare) in zip(extra, pairs, strict=True))
        every = usual.get(name, 1)
        shares[name] = ratio / every
        own[name] = sum((budget.price(each).share or 0) * each.every for each in recorders) / every
        low, middle, high = (1e3 * value for value in (min(extra), statistics.median(extra), max(extra)))
        print(
            f"| {name} | {every} | {middle:.1f} | {low:.1f} to {high:.1f} | {shares[name]:.2%} | {own[name]:.2%} |"
        )
    for text, found in (("from the steps' times", shares), ("by the recorders themselves", own)):
        sums = {
            "all by default": sum(found[name] for name in found if name in default),
            "gradient_norms": found["gradient_norms"],
        }
        for name, value in sums.items():
            verdict = "reached" if value <= TARGETS[name] else "missed"
            print(f"{name}, {text}: {value:.2%}, target {TARGETS[name]:.0%}: {verdict}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="of an arm in each round; even")
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 110])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, not the clock's")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    for depth in options.depths:
        measured(depth, options.rounds, options.steps, options.batch_size, clock)


if __name__ == "__main__":
    main()
