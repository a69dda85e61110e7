"""How the process of a run ended, in one sentence."""

import signal
from pathlib import Path

from reswork.store.worker_file import WORKER_LOG

_TAIL = 16 * 1024
_LONGEST = 300


def sentence_about(directory: Path, pid: int | None, code: int | None, *, began: bool) -> str:
    """Why a worker ended without a word.

    Args:
        directory: the run's folder.
        pid: number of the process.
        code: that it returned, negative for a signal; None: unknown.
        began: whether it ever told how the run stands.
    """
    when = "while it trained" if began else "before it began to train"
    log = f"its words are in {directory / WORKER_LOG}"
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        why = f"was ended by the system or by somebody ({name})"
        if name == "SIGKILL":
            why += "; where nobody did that, memory ran out: try a smaller batch, or parts of a batch"
        return f"The process of this run ({pid}) {why}. It ended {when}, {log}."
    last = _last_line(directory / WORKER_LOG)
    return (
        f"The process of this run ({pid}) ended {when}"
        + (f": {last.rstrip('.')}. " if last else "; ")
        + (f"{log[0].upper()}{log[1:]}." if last else f"{log}.")
    )


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read(_TAIL).decode(errors="replace").splitlines()
    except OSError:
        return ""
    filled = [line.strip() for line in lines if line.strip()]
    return filled[-1][:_LONGEST] if filled else ""
