"""The large campaign, ``python -m tests.hostile 100000 [seed]``: counts what was opened, refused, or misbehaved."""

import faulthandler
import logging
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.hostile.hand_made_data import data_sets, settings
from tests.hostile.hand_made_runs import good_run, hostile_runs
from tests.hostile.hand_made_weights import weights
from tests.hostile.mutations import campaign
from tests.hostile.opening import Case, Misbehaved, nothing_else, told

_MOST_SHOWN = 40
_PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None  # files in memory, where the system has that


def main(count: int, seed: int) -> int:
    """Run it; the exit status is 1 if anything misbehaved."""
    logging.disable()
    with tempfile.TemporaryDirectory(dir=_PLACE) as place:
        root = Path(place)
        sentinel = root / "outside" / "sentinel"
        for name in ("outside", "weights", "runs", "data", "mutated", "good", "cache"):
            (root / name).mkdir()
        os.environ["RESWORK_CACHE"] = str(root / "cache")
        os.environ["RESWORK_RUNS"] = str(root / "good")
        good = good_run(root / "good")
        made: list[Iterable[Case]] = [
            weights(root / "weights", sentinel),
            hostile_runs(root / "runs", good),
            settings(),
            data_sets(root / "data", sentinel),
            campaign(root / "mutated", good, count, seed),
        ]
        wrong = 0
        with nothing_else(root, "weights", "runs", "data", "mutated", "cache"):
            for title, cases in zip(
                ("checkpoints", "runs", "settings", "data sets", "mutated"), made, strict=True
            ):
                wrong += _look(title, cases, sentinel)
        assert not sentinel.exists()
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    return 1 if wrong else 0


def _look(title: str, cases: Iterable[Case], sentinel: Path) -> int:
    answers: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    begin, slowest, slowest_case = time.process_time(), 0.0, ""
    for case in cases:
        kinds[case.name.partition(", mutation")[0] if title == "mutated" else case.kind] += 1
        faulthandler.dump_traceback_later(300, exit=True)
        start = time.process_time()
        try:
            answers["opened" if told(case) == "opened" else "refused"] += 1
        except Misbehaved as error:
            answers["misbehaved"] += 1
            if answers["misbehaved"] <= _MOST_SHOWN:
                cause = traceback.extract_tb(error.__cause__.__traceback__)[-1] if error.__cause__ else ""
                print(f"  {str(error)[:400]}\n    at {cause}", flush=True)
        if sentinel.exists():
            print(f"  CODE WAS RUN by {case}", flush=True)
            return 1
        if sum(answers.values()) % 10_000 == 0:
            _tell(f"{title} so far", answers, kinds, time.process_time() - begin, f"{slowest:.2f} s")
        if (seconds := time.process_time() - start) > slowest:
            slowest, slowest_case = seconds, case.name
    faulthandler.cancel_dump_traceback_later()
    _tell(title, answers, kinds, time.process_time() - begin, f"{slowest:.2f} s ({slowest_case[:60]})")
    return answers["misbehaved"]


def _tell(title: str, answers: Counter[str], kinds: Counter[str], seconds: float, slowest: str) -> None:
    print(
        f"{title}: {sum(answers.values()):,} files, {answers['opened']:,} opened, {answers['refused']:,} refused with "
        f"a sentence, {answers['misbehaved']:,} misbehaved; {seconds:.0f} s of the processor, slowest {slowest}\n"
        f"    of these {dict(kinds)}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    )
