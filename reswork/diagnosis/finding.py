"""What the doctor says: findings with their evidence and fixes, and the rules that could not be asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.branching import branch
from reswork.models.config import ResNetConfig
from reswork.results import Evidence
from reswork.store.saved_run import AnyRun
from reswork.training.live_run import LiveRun

if TYPE_CHECKING:
    import plotly.graph_objects as go

Where = Literal["recipe", "network", "data"]


@dataclass(frozen=True)
class Change:
    """One setting that becomes another.

    Attributes:
        where: a field of ``"recipe"`` (`Recipe`), ``"network"`` (`ResNetConfig`) or ``"data"`` (`Dataset`).
        field: its name; of a network also ``"weights"`` and ``"requires_grad"``, which are no settings.
        old: its value.
        new: the value to try.
    """

    where: Where
    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.field} {_told(self.old)} → {_told(self.new)}"


@dataclass(frozen=True, eq=False)
class Fix:
    """What to try.

    Attributes:
        sentence: in words; all there is where the remedy lies in code that the doctor does not see.
        changes: of recipe, network and data.
        mended: makes the mended data set from the old one, where the remedy lies there.
        fresh: the network is built anew as its settings say, whatever was done to it or became of it.
        eases: it helps, and cannot mend, as what is missing, such as images, is nowhere to be had.
    """

    sentence: str
    changes: tuple[Change, ...] = ()
    mended: Callable[[Dataset], Dataset] | None = None
    fresh: bool = False
    eases: bool = False

    @property
    def can_branch(self) -> bool:
        """Whether `branch` can try it."""
        return bool(self.changes)

    @property
    def told_changes(self) -> str:
        """What becomes different, in a line; ``""`` where nothing can be changed."""
        return ", ".join(str(change) for change in self.changes)

    def settings(self, where: Where) -> dict[str, Any]:
        """The new settings of a recipe, a network or a data set, by name."""
        return {change.field: change.new for change in self.changes if change.where == where}

    def branch(
        self,
        run: AnyRun,
        *,
        data: Dataset | None = None,
        directory: str | Path | None = None,
        start: bool = True,
    ) -> LiveRun:
        """Train again from the first weights of a run, with the changes; the old run stays as it is.

        Every weight of the new network may learn, also where the old one had some held.

        Args:
            run: that the finding is about; it must have kept moments.
            data: needed for a run from disk whose data set is not a built-in one; mended where the fix says so.
            directory: a new or empty folder for it; None: a new one under ``runs``.
            start: False gives a run that waits for ``start()``.

        Raises:
            InvalidSetting: where there is nothing to change, or the run cannot be branched.
        """
        if not self.can_branch:
            raise InvalidSetting("fix", f"this fix is no change of settings; do it by hand: {self.sentence}")
        if self.mended is not None:
            data = data if data is not None else run.data if run.is_live else run.load_data()
            data = self.mended(data.to("cpu"))
        known = {each.name for each in fields(ResNetConfig)}
        network = {name: value for name, value in self.settings("network").items() if name in known}
        return branch(
            run, 0, self.settings("recipe"), network, data=data, directory=directory, start=start, fresh=self.fresh
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: its name in the catalogue of rules.
        sentence: what it is, in plain words with the numbers.
        evidence: what was measured, beside the limit.
        fix: what to try; None where nothing is known.
        cost: what it costs if the finding is wrong and is believed.
        source: where rule and limit are from.
        explains: kinds that were measured too, and that it brings about.
        doubted: what was measured is so little that it is told only where nothing else was found.
    """

    kind: str
    sentence: str
    evidence: Evidence
    fix: Fix | None = None
    cost: str = ""
    source: str = ""
    explains: tuple[str, ...] = ()
    doubted: bool = False

    def figure(self) -> "go.Figure":
        """The evidence, drawn."""
        from reswork.figures.evidence import evidence  # plotly comes with it

        return evidence(self.evidence)

    def __str__(self) -> str:
        return self.sentence if self.fix is None else f"{self.sentence} Try: {self.fix.sentence}"


@dataclass(frozen=True, eq=False)
class Diagnosis(Sequence[Finding]):
    """The findings, causes first, as a sequence; and which rules could not be asked.

    Attributes:
        findings: what is wrong; empty where all is well.
        asked: kinds that were asked for.
        not_asked: kind -> why it could not be.
    """

    findings: tuple[Finding, ...]
    asked: tuple[str, ...]
    not_asked: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def sentence(self) -> str:
        """The first finding in one line; ``""`` where all is well."""
        if not self.findings:
            return ""
        more = len(self.findings) - 1
        return self.findings[0].sentence + (f" And {more} more." if more else "")

    def __str__(self) -> str:
        lines = [f"{each.kind}: {each}" for each in self.findings]
        lines = lines or [f"Nothing was found; {len(self.asked)} rules were asked."]
        reasons: dict[str, list[str]] = {}
        for kind, why in self.not_asked.items():
            reasons.setdefault(why, []).append(kind)
        return "\n".join(
            [*lines, *(f"Not asked, because {why}: {', '.join(kinds)}." for why, kinds in reasons.items())]
        )

    __repr__ = __str__


def _told(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_told(each) for each in value) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
