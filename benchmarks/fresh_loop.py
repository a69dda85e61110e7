"""One training in this fresh process, and its speed: ``python -m benchmarks.fresh_loop ARM``.

The loop by hand computes in a main thread that has done nothing else, and beside nobody. The others are started from
a main thread that has used torch, in a program that was started as `reswork lab` starts its kernels. Compared in one
process, both would wait for the same helpers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.hand_written_loop import BATCH, CROP_AND_FLIP, DEPTH, bare_steps, made_data, seconds_bare
from reswork import allocator
from reswork.experiment.launch import train
from reswork.models.network import resnet
from reswork.training.live_run import LiveRun
from reswork.training.modes import Mode
from reswork.training.recipe import Recipe

ROOT = Path(__file__).parents[1]
NO_END = 1_000_000  # steps: the run is stopped, so that no evaluation is timed
ARMS = {
    "hand": "written by hand",
    "train": "`rw.train`",
    "alone": "`rw.train` without recorders and moments",
    "process": '`rw.train(engine="process")`',
}


def images_per_second(arm: str, depth: int, precision: str, warm: int, steps: int) -> float:
    """Of such a loop in a process of its own."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks.fresh_loop", arm, "--depth", str(depth)]
    command += ["--precision", precision, "--warm", str(warm), "--steps", str(steps)]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": path}
        if arm != "hand":
            environment = allocator.SETTINGS | environment
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arm} failed:\n{done.stderr[-3000:]}")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print images per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arm", choices=list(ARMS))
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--warm", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=70, help="steps on the clock")
    options = parser.parse_args()
    recipe = Recipe(
        steps=NO_END,
        augmentation=CROP_AND_FLIP,
        schedule="constant",
        device="cpu",
        precision=options.precision,
        channels_last=True,
        compile="off",
    )
    if options.arm == "hand":
        loop = bare_steps(made_data(), recipe, Mode("cpu", options.precision, True), options.depth)
        seconds_bare(loop, options.warm)
        print(options.steps * BATCH / seconds_bare(loop, options.steps))
    else:
        print(_rate_of_a_run(options, recipe))


def _rate_of_a_run(options: argparse.Namespace, recipe: Recipe) -> float:
    resnet(depth=8)(torch.randn(64, 3, 32, 32)).sum().backward()
    model, data = resnet(depth=options.depth), made_data()
    if options.arm == "process":
        run = train(model, data, recipe, engine="process")
    elif options.arm == "alone":
        run = train(model, data, recipe, recorders=[], moments_bytes=0)
    else:
        run = train(model, data, recipe)
    first, begin = _at(run, options.warm)
    last, end = _at(run, options.warm + options.steps)
    run.stop()
    run.wait()
    return (last - first) * BATCH / (end - begin)


def _at(run: LiveRun, step: int) -> tuple[int, float]:
    """The first step from that one on that was seen as it ended, and when."""
    seen = run.steps_done
    while seen < step and not run.done:
        run.wait_for_change(run.state, seen, 1.0)
        seen = run.steps_done
    return seen, time.perf_counter()


if __name__ == "__main__":
    main()
