"""Runs benchmarks and prints their tables: ``python -m benchmarks [NAME ...]``."""

import argparse
import importlib
import os
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

from benchmarks.report import write_section

# Each module has ROUNDS, add_options(parser) and measure(options), which gives a Report.
MODULES = {
    "overhead": "training_overhead",
    "workbench": "workbench_overhead",
    "libraries": "other_libraries",
    "preparation": "data_preparation",
    "mode": "chosen_mode",
    "refresh": "plot_refresh",
    "messages": "workbench_messages",
    "opening": "workbench_opening",
    "stop": "stop_delay",
    "clicks": "click_delay",
    "import": "import_time",
    "leaks": "widget_leaks",
    "attribution": "attribution",
    "box": "mass_in_box",
    "prices": "recorder_prices",
    "moments": "kept_moments",
    "ranks": "several_processes",
    "planted": "planted_findings",
    "file": "images_in_file",
    "serve": "serving",
    "hostile": "hostile_requests",
    "plans": "plans",
    "fast": "fast_preset",
}


def main() -> int:
    """Run what the command line asks for; 1 if something could not be measured."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes find compiled files, as on a person's machine
    names = list(takewhile(lambda word: not word.startswith("-"), sys.argv[1:]))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        usage="python -m benchmarks [NAME ...] [options]",
        description=f"Names: {', '.join(MODULES)}; none means all. A name and --help shows its own options.",
    )
    parser.add_argument("--rounds", type=int, help="of each arm; by default as many as each benchmark wants")
    parser.add_argument("--write", type=Path, metavar="FILE", help="page whose sections are replaced")
    for name in names:
        if name not in MODULES:
            parser.error(f"there is no benchmark {name!r}; choose {', '.join(MODULES)}")
    if len(names) == 1:
        return _measure(names[0], parser)
    options = parser.parse_args(sys.argv[1 + len(names) :])
    return max([_in_its_own_process(name, options.rounds, options.write) for name in names or MODULES])


def _measure(name: str, parser: argparse.ArgumentParser) -> int:
    module = importlib.import_module(f"benchmarks.{MODULES[name]}")
    parser.description = module.__doc__
    module.add_options(parser)
    options = parser.parse_args(sys.argv[2:])
    options.rounds = options.rounds or module.ROUNDS
    section = module.measure(options).markdown(_command(sys.argv[1:]))
    print(section, flush=True)
    if options.write is not None:
        write_section(options.write, name, section)
    return 0


def _command(words: list[str]) -> str:
    """What to type for the same table again, without the page that it is written to."""
    kept = [word for i, word in enumerate(words) if "--write" not in (word, *words[max(0, i - 1) : i])]
    return shlex.join(
        ["python", "-m", "benchmarks", *(word for word in kept if not word.startswith("--write"))]
    )


def _in_its_own_process(name: str, rounds: int | None, page: Path | None) -> int:
    """So that no benchmark inherits another's threads, caches and memory."""
    command = [sys.executable, "-m", "benchmarks", name]
    command += ["--rounds", str(rounds)] if rounds else []
    command += ["--write", str(page)] if page else []
    print(f"... {name}", file=sys.stderr, flush=True)
    return int(subprocess.run(command).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
