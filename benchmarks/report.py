"""What a benchmark found, as a section of a markdown page that the next measurement replaces."""

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Report:
    """One table.

    Args:
        title: of the section.
        columns: heads of the table.
        rows: as many cells each.
        notes: plain sentences below it, such as how it was measured.
        packages: whose versions matter, besides Python's and torch's.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    packages: Sequence[str] = ()

    def markdown(self, command: str) -> str:
        """The section, with the command that made it and the machine."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"## {self.title}\n\n`{command}`\n\n{table}\n{notes}\n{machine(self.packages)}\n"


def verdict(value: float, *, least: float | None = None, most: float | None = None, unit: str = "") -> str:
    """A target and whether it is reached."""
    reached = value >= least if least is not None else most is not None and value <= most
    bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
    return f"{bound}{unit}: {'reached' if reached else 'missed'}"


def machine(packages: Iterable[str] = ()) -> str:
    """Processor, threads and versions, in a line."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", *packages)]
    parts = [
        f"{_processor()}, {os.cpu_count()} cores, {_threads()} in torch",
        f"accelerator: {device.type if device else 'none'}",
        f"{platform.system()}, Python {platform.python_version()}, {', '.join(versions)}",
    ]
    return "; ".join(parts) + "."


def write_section(path: Path, name: str, section: str) -> None:
    """Put a section into a page between its two marks, or at the end where it has none yet."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    marked = f"{begin}\n{section}{end}"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new = found.sub(lambda _: marked, text) if found.search(text) else f"{text.rstrip()}\n\n{marked}\n"
    path.write_text(new, encoding="utf-8")


def _threads() -> str:
    count = torch.get_num_threads()
    return "1 thread" if count == 1 else f"{count} threads"


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    flags = [flag for flag in ("avx512_bf16", "amx_bf16") if re.search(rf"\b{flag}\b", text)]
    return " ".join([named[1] if named else platform.processor() or platform.machine(), *flags])
