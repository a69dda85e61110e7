"""All tests in two passes: those that share the machine, side by side; then those that want it for themselves.

``python -m tests.two_passes [arguments of pytest]``; both passes get the arguments. Also a plugin of pytest, which
leaves to each pass its tests. In the first pass all tests that drive a page go to one of three workers: they mostly
wait, and the two others use what is left of the machine meanwhile.
"""

import os
import subprocess
import sys

import pytest

ALONE = ("serial", "gpu")  # marks of the second pass
NOTHING = int(pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only-pass", choices=("together", "alone"), help="the tests of one pass")


@pytest.hookimpl(trylast=True)  # after those who mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--only-pass")
    if wanted is None:
        return
    of_pass: dict[str, list[pytest.Item]] = {"together": [], "alone": []}
    for item in items:
        marked = any(item.get_closest_marker(mark) for mark in ALONE)
        of_pass["alone" if marked else "together"].append(item)
    items[:] = of_pass.pop(wanted)
    (others,) = of_pass.values()
    if others:
        config.hook.pytest_deselected(items=others)


def main(arguments: list[str]) -> int:
    """Both passes; 0 if all went well, also where one of them had nothing to do."""
    base = [sys.executable, "-m", "pytest", "-p", "tests.two_passes"]
    together = [*base, "--only-pass=together", "--numprocesses=3", "--dist=loadgroup", *arguments]
    alone = [*base, "--only-pass=alone", *arguments]
    single = os.environ | {"OMP_NUM_THREADS": "1"}  # page, server, training and other tests share the cores
    codes = [subprocess.run(command, env=single).returncode for command in (together, alone)]
    return outcome(codes)


def outcome(codes: list[int]) -> int:
    """The first pass's failure, or the second's; no tests at all is a failure, no tests in one pass is none.

    >>> outcome([0, 5]), outcome([5, 0]), outcome([5, 5]), outcome([5, 1]), outcome([2, 0])
    (0, 0, 5, 1, 2)
    """
    if all(code == NOTHING for code in codes):
        return NOTHING
    return next((code for code in codes if code not in (0, NOTHING)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
