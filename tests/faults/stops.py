"""Runs stopped at random steps, each resumed in a new process: equal to the last bit to one that was never stopped."""

import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import reswork as rw
from tests.faults.training import STEPS, begun, differences

_RESUME = """
import sys, torch, reswork as rw
torch.set_num_threads(1)
run = rw.load_run(sys.argv[1]).resume()
assert run.wait(300) is rw.RunState.FINISHED
"""


def stopped_at(folder: Path, step: int) -> None:
    """Train, and stop once so many steps are made."""
    run = begun(folder, start=False)
    if step:
        run.step(step)
        run.wait_until_still(300)
    run.stop()
    if step:
        run.wait(300)
    else:
        run.start()


def resumed_in_a_new_process(folder: Path) -> None:
    """Go on to the end there.

    Raises:
        subprocess.CalledProcessError: if it did not finish.
    """
    subprocess.run([sys.executable, "-c", _RESUME, str(folder)], check=True, timeout=400)


def campaign(count: int, seed: int = 0) -> str:
    """So many stops; a sentence with what was found."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        begun(whole).wait(300)
        found: Counter[str] = Counter()
        steps = []
        for number in range(count):
            folder = Path(place) / f"stopped-{number}"
            step = draw.randrange(1, STEPS)
            stopped_at(folder, step)
            assert rw.load_run(folder).state is rw.RunState.STOPPED
            resumed_in_a_new_process(folder)
            different = differences(whole, folder)
            found["different" if different else "equal"] += 1
            steps.append(step)
            if different:
                print(f"stopped after step {step}: {', '.join(different)}", flush=True)
    return (
        f"{count} runs stopped after steps {min(steps)} to {max(steps)} of {STEPS}, each resumed in a new process: "
        f"{found['equal']} equal to the last bit, {found['different']} not."
    )
