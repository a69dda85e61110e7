"""``python -m reswork``: the command line, also for ``torchrun --nproc-per-node 2 -m reswork train``."""

import sys

from reswork.cli import main

if __name__ == "__main__":
    sys.exit(main())
