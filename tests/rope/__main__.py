"""A rope for the time in which everything moves: today's code must train, record and write as that of before.

    python -m tests.rope [<name of a training> ...]          (make rope)

Both train beside each other on this machine, as processors round differently.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

from tests.rope.comparison import differences, table

BEFORE = "2c1c078"  # the last commit before the move
ROOT = Path(__file__).parents[2]


def main(names: list[str]) -> int:
    """Compare; the number of differences."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder, "before")
        packed = subprocess.check_output(["git", "archive", BEFORE, "reswork", "data"], cwd=ROOT)
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(before, filter="data")
        started = [(code, *_started(code, Path(folder, out), names))
                   for code, out in ((before, "old.json"), (ROOT, "new.json"))]  # fmt: skip
        old, new = (_recorded(*each) for each in started)
    found = {name: differences(record, new[name]) for name, record in old.items()}
    print(table(found))
    count = sum(len(each) for columns in found.values() for each in columns.values())
    seconds = time.perf_counter() - begin
    print(f"\n{len(found)} trainings, {count or 'no'} differences from {BEFORE}, {seconds:.0f} s")
    return count


def _started(code: Path, out: Path, names: list[str]) -> tuple[Path, subprocess.Popen[bytes]]:
    """A process that records with the code in a folder."""
    surroundings = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = str(ROOT / "tests" / "rope" / "recording.py")
    return out, subprocess.Popen([sys.executable, script, str(out), *names], cwd=out.parent, env=surroundings)


def _recorded(code: Path, out: Path, process: subprocess.Popen[bytes]) -> dict[str, dict[str, object]]:
    if process.wait() != 0:
        sys.exit(f"the trainings with the code in {code} failed")
    found = json.loads(out.read_text())
    if Path(found["code"]).resolve() != code.resolve():
        sys.exit(f"the code of {found['code']} was used, not that in {code}")
    trainings: dict[str, dict[str, object]] = found["trainings"]
    return trainings


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
