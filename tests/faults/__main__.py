"""`python -m tests.faults NAME COUNT`: make many faults and print what came of them."""

import argparse
import importlib

CAMPAIGNS = (
    "stops",
    "kills",
    "worker_kills",
    "rank_kills",
    "sequences",
    "memory",
    "page_memory",
    "failing_disk",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("name", choices=CAMPAIGNS)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(importlib.import_module(f"tests.faults.{chosen.name}").campaign(chosen.count, chosen.seed))


if __name__ == "__main__":
    main()
