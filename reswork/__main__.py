"""``python -m reswork``: the command line, also for ``torchrun --nproc-per-node 2 -m reswork train``."""

import sys

from reswork.cli import main

sys.exit(main())
