"""What a check of the environment found: one line for each thing, and the table of all."""

from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Literal

Verdict = Literal["good", "look", "bad"]

_COLOURS = {"good": "#009E73", "look": "#E69F00", "bad": "#D55E00"}  # Okabe-Ito; the word says the same
_WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: of the thing, such as ``"memory"``.
        verdict: ``"good"``; ``"look"``: works, or may work, but read the sentence; ``"bad"``: will not work.
        told: what was found.
        remedy: what to do; never empty where the verdict is ``"bad"``.
    """

    name: str
    verdict: Verdict
    told: str
    remedy: str = ""


@dataclass(frozen=True)
class Checkup:
    """Everything that was looked at; shows itself as a table, in a terminal and in a notebook.

    Attributes:
        findings: in the order of the table.
    """

    findings: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether nothing is bad."""
        return all(finding.verdict != "bad" for finding in self.findings)

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        bad = [finding.name for finding in self.findings if finding.verdict == "bad"]
        if bad:
            return f"Not fit for reswork: {', '.join(bad)}. The table says what to do."
        look = [finding.name for finding in self.findings if finding.verdict == "look"]
        return f"Fit for reswork; worth a look: {', '.join(look)}." if look else "Fit for reswork."

    def __repr__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = []
        for finding in self.findings:
            room = _WIDTH - width - 8
            told = wrap(plain(finding.told), room)
            if finding.remedy:
                told += wrap(f"-> {plain(finding.remedy)}", room, subsequent_indent="   ")
            first, *more = told or [""]
            lines.append(f"{finding.verdict:<4}  {plain(finding.name):<{width}}  {first}")
            lines += [f"{'':4}  {'':{width}}  {line}" for line in more]
        return "\n".join([*lines, self.sentence])

    def _repr_html_(self) -> str:
        rows = "".join(_row(finding) for finding in self.findings)
        return (
            '<table style="border-collapse:collapse;max-width:60em;text-align:left">'
            f'<caption style="text-align:left;font-weight:bold">{escape(self.sentence)}</caption>{rows}</table>'
        )


def _row(finding: Finding) -> str:
    cell = "padding:4px 10px;vertical-align:top;text-align:left"
    remedy = f"<br><b>What to do:</b> {escape(finding.remedy)}" if finding.remedy else ""
    return (
        f'<tr><td style="{cell};border-left:6px solid {_COLOURS[finding.verdict]};font-weight:bold">'
        f'{finding.verdict}</td><td style="{cell};white-space:nowrap">{escape(finding.name)}</td>'
        f'<td style="{cell}">{escape(finding.told)}{remedy}</td></tr>'
    )


def plain(text: str) -> str:
    """Without characters that would steer the terminal; a file may bring any."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)
