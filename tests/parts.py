"""All tests in three parts: those that drive a page, then those that fill the machine, and beside them all others.

``python -m tests.parts [arguments of pytest]``; each part gets the arguments. Also a plugin of pytest, which leaves to
each part its tests. Pages mostly wait, so that other processes use what is left of the machine meanwhile; these are
nice: a page gets the processor as soon as it wants it, as if it were alone. What starts several processes itself
("alone") follows the pages: it wants no others of its kind beside it, but holds on a busy machine as all tests do.
"""

import gc
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PARTS = {"pages": ("browser",), "alone": ("serial", "gpu")}  # marks of each; all others are "together"
TESTS = Path(__file__).parent
PAGES = TESTS / "browser"
ALONE = re.compile(r"\b(?:serial|gpu|device)\b")  # what a file speaks of that has tests for "alone"
WORKERS = 3  # for "together": a third of the time a test waits; who is done takes tests from the others
MOST_REPEATED = 2  # tests that failed: more are no accident
NOTHING = int(pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", choices=("together", *PARTS), help="the tests of one part")


def pytest_configure(config: pytest.Config) -> None:
    first = not hasattr(config, "workerinput")  # its workers inherit it
    if first and config.getoption("--part") == "together" and hasattr(os, "nice"):
        os.nice(10)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A part does not import, which takes twenty seconds, what has none of its tests."""
    wanted = config.getoption("--part")
    if wanted is None or collection_path.suffix != ".py":
        return None
    return True if foreign(wanted, collection_path) else None


def foreign(part: str, path: Path) -> bool:
    """Whether a file certainly has no tests of a part."""
    if path.name.startswith("with_"):  # in environments of their own: make test-ship
        return True
    if part == "alone":
        return TESTS not in path.parents or not ALONE.search(path.read_text(encoding="utf-8"))
    return (PAGES in path.parents) != (part == "pages")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting leaves, a million objects, is not looked through for garbage again and again."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)  # after those who mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--part")
    if wanted is None:
        return
    mine = [item for item in items if part_of(item) == wanted]
    others = [item for item in items if part_of(item) != wanted]
    items[:] = mine
    for item in others:
        if foreign(part_of(item), item.path):
            raise pytest.UsageError(f"{item.nodeid} would run in no part: {part_of(item)} ignores its file")
    if others:
        config.hook.pytest_deselected(items=others)


def part_of(item: pytest.Item) -> str:
    """Where a test belongs."""
    for part, marks in PARTS.items():
        if any(item.get_closest_marker(mark) for mark in marks):
            return part
    return "together"


def main(arguments: list[str]) -> int:
    """All parts; 0 if all went well, also where one of them had nothing to do."""
    single = os.environ | {"OMP_NUM_THREADS": "1"}  # page, server, training and other tests share the cores
    single.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes import reswork: it is compiled once
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryFile("w+") as said:

        def command(part: str, *more: str) -> list[str]:
            own = ["-p", "tests.parts", f"--part={part}", "-o", f"cache_dir={cache}/{part}"]
            return [sys.executable, "-m", "pytest", *own, *more, *arguments]

        together = subprocess.Popen(
            command("together", f"--numprocesses={WORKERS}", "--dist=worksteal"), env=single
        )
        codes = {
            part: subprocess.run(command(part), env=single, stdout=said, stderr=subprocess.STDOUT).returncode
            for part in ("pages", "alone")
        }
        codes["together"] = together.wait()
        said.seek(0)
        print(said.read(), flush=True)
        failed = {part: failed_of(Path(cache) / part) for part in codes}
        if 0 < sum(map(len, failed.values())) <= MOST_REPEATED:
            for part, tests in failed.items():
                if tests and codes[part] == pytest.ExitCode.TESTS_FAILED:
                    print(repeated(tests, "is run once more"), flush=True)
                    codes[part] = subprocess.run(command(part, "--last-failed"), env=single).returncode
                    end = "failed again" if codes[part] else "passed when it was run once more: find out why"
                    print(repeated(tests, end), flush=True)
    return outcome([*codes.values()])


def failed_of(cache: Path) -> list[str]:
    """The tests that pytest noted as failed."""
    noted = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(noted.read_text(encoding="utf-8"))) if noted.exists() else []


def repeated(tests: list[str], what: str) -> str:
    """What nobody should miss in the output.

    >>> print(repeated(["tests/browser/test_a.py::test_b"], "failed again"))
    !!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!
    A TEST THAT FAILED failed again: tests/browser/test_a.py::test_b
    !!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!
    """
    return "\n".join(["!" * 80, *(f"A TEST THAT FAILED {what}: {test}" for test in tests), "!" * 80])


def outcome(codes: list[int]) -> int:
    """The first failure; no tests at all is a failure, no tests in one part is none.

    >>> outcome([0, 5]), outcome([5, 0]), outcome([5, 5]), outcome([5, 1]), outcome([2, 0])
    (0, 0, 5, 1, 2)
    """
    if all(code == NOTHING for code in codes):
        return NOTHING
    return next((code for code in codes if code not in (0, NOTHING)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
