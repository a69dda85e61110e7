"""How long the table of runs takes with many runs on disk: the first reading, and each one after it."""

import tempfile
import time
from pathlib import Path

import reswork as rw
from reswork.store.run_table import RunTable, matching, ordered


def measure(count: int = 1_000) -> dict[str, float]:
    """Seconds for reading, reading again, searching and sorting.

    Args:
        count: runs; each is a copy of one finished run.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        recipe = rw.Recipe(steps=50, batch_size=32, device="cpu", compile="off", precision="fp32")
        model = rw.resnet(depth=8, width=4, in_channels=1)
        rw.train(model, rw.datasets.digits(), recipe, directory=root / "run-0").wait()
        files = {path.name: path.read_bytes() for path in (root / "run-0").iterdir()}
        for number in range(1, count):
            (root / f"run-{number}").mkdir()
            for name, content in files.items():
                (root / f"run-{number}" / name).write_bytes(content)
        table = RunTable(root)
        rows = table.read()
        table = RunTable(root)
        return {
            "first reading": _seconds(table.read),
            "each reading after it": min(_seconds(table.read) for _ in range(5)),
            "a search": min(_seconds(lambda: matching(rows, "resnet-8 finished")) for _ in range(5)),
            "an order": min(_seconds(lambda: ordered(rows, "accuracy")) for _ in range(5)),
        }


def _seconds(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    for what, seconds in measure().items():
        print(f"1,000 runs: {what}: {1000 * seconds:,.0f} ms")
