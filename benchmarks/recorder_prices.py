"""What each recorder costs: steps in which it measures against steps without any recorder.

Every arm is a run of its own on the same tensors with the same mode; the arms take turns in one process. In
an arm's steps its recorder measures every time, so that little time shows much; the share of a step at the
usual interval is that cost divided by the interval. Beside it stands what the recorder says of itself. Run
it on an idle machine, or let it count processor time, which others on the machine disturb less:

    OMP_NUM_THREADS=1 python -m benchmarks prices --cpu-time
"""

import argparse
import time
from collections.abc import Callable

import torch

from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns
from reswork.datasets import Augmentation, Dataset, Split
from reswork.history import History
from reswork.models.network import resnet
from reswork.recorders import CATALOGUE, Budget, Timed, timed
from reswork.training.events import RunStarted
from reswork.training.loop import fit
from reswork.training.recipe import Recipe
from reswork.training.run import Run

ROUNDS = 15
Clock = Callable[[], float]
Made = dict[str, tuple[list[Timed], Budget]]

TARGETS = {"gradient_norms": 0.01, "all by default": 0.05}
EVERY_STEP = "those of every step"  # one arm for all of them: each alone is too little to be seen
STEPS_OF = {"noise_scale": 2}  # steps that a measurement takes


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=4, help="of an arm in each round; even")
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 110])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, not the clock's")


def measure(options: argparse.Namespace) -> Report:
    clock = time.process_time if options.cpu_time else time.perf_counter
    rows: list[tuple[str, ...]] = []
    notes = []
    for depth in options.depths:
        made, times, mode = measured(depth, options.rounds, options.steps, options.batch_size, clock)
        rows += priced_rows(depth, made, times)
        step = Spread.of(1e3 * second for second in times["none"])
        notes.append(
            f"ResNet-{depth}, batch {options.batch_size}, {mode}: a step without recorders {step:.0f} ms."
        )
    kind = "processor time" if options.cpu_time else "time on the clock"
    return Report(
        "What recorders cost",
        ("depth", "recorder", "every", "ms of a measurement", "% of a step", "by itself", "target"),
        rows,
        [*notes, f"In {kind}; {options.rounds} rounds of {options.steps} steps. Median (least to most). `by itself` is "
         "what the recorders say of themselves, which is what the budget counts. Verdicts on the larger of the two."],
    )  # fmt: skip


def made_data(images: int) -> Dataset:
    """Noise of CIFAR's size: what the images show does not change the speed."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = Split(pixels, torch.arange(images) % 10)
    test = Split(pixels[:500], split.labels[:500])
    return Dataset("noise", split, test, tuple("0123456789"), (0.5,) * 3, (0.25,) * 3, "made up")


def arms() -> Made:
    """Of each arm its recorders and the budget that knows their prices; the first arm has none."""
    found: Made = {"none": ([], Budget(History(), share=None))}
    for kind in CATALOGUE:
        history = History()
        made = timed(kind.name, history)
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


def measured(
    depth: int, rounds: int, steps: int, batch_size: int, clock: Clock
) -> tuple[Made, dict[str, list[float]], str]:
    """The arms of one depth, seconds of a step of each, and the mode that they ran in."""
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
    turns = {name: lambda run=run: seconds(run, steps, clock) / steps for name, run in runs.items()}
    times = take_turns(turns, rounds)
    for run in runs.values():
        run.stop()
        run.wait()
    return made, times, str(mode)


def priced_rows(depth: int, made: Made, times: dict[str, list[float]]) -> list[tuple[str, ...]]:
    """A row for each recorder, and the sum of those that run by default."""
    usual = {kind.name: kind.every for kind in CATALOGUE}
    default = {kind.name for kind in CATALOGUE if kind.by_default} | {EVERY_STEP}
    rows = []
    total = own_total = 0.0
    for name, (recorders, budget) in list(made.items())[1:]:
        every = usual.get(name, 1)
        extra = [
            (took - bare) * STEPS_OF.get(name, 1)
            for took, bare in zip(times[name], times["none"], strict=True)
        ]
        share = ratio(extra, times["none"]).middle / every
        own = sum((budget.price(each).share or 0) * each.every for each in recorders) / every
        if name in default:
            total, own_total = total + share, own_total + own
        cost = Spread.of(1e3 * second for second in extra)
        rows.append(
            (
                str(depth),
                name,
                str(every),
                f"{cost:.1f}",
                f"{share:.2%}",
                f"{own:.2%}",
                _verdict(name, max(share, own)),
            )
        )
    last = (str(depth), "all by default", "", "", f"{total:.2%}", f"{own_total:.2%}")
    return [*rows, (*last, _verdict("all by default", max(total, own_total)))]


def _verdict(name: str, share: float) -> str:
    return verdict(100 * share, most=100 * TARGETS[name], unit=" %") if name in TARGETS else ""
