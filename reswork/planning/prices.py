"""`Prices`: what an hour of a machine and a kilowatt-hour cost, in a file that anybody can change."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from reswork.errors import InvalidSetting
from reswork.settings_text import settings_from
from reswork.store.atomic_files import write_text

HERE = "this machine"
_NUMBERS = (
    "per_hour", "spot_per_hour", "watts", "tera_operations", "tera_operations_16", "gigabytes_per_second", "memory_gib",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """One machine with its price.

    Attributes:
        name: for a table.
        kind: ``"here"`` or ``"gpu"``.
        per_hour: money for an hour.
        spot_per_hour: for an hour of what can be taken away at any time; None: there is none.
        watts: that it draws at work; None: not known.
        tera_operations: in a second, in single precision, as its data sheet says: additions and products, 10^12.
        tera_operations_16: with numbers of 16 bits, likewise.
        gigabytes_per_second: to and from its memory, 10^9 bytes.
        memory_gib: that it has.
        note: where the price is from, and its date.
    """

    name: str
    kind: Literal["here", "gpu"]
    per_hour: float
    spot_per_hour: float | None = None
    watts: float | None = None
    tera_operations: float | None = None
    tera_operations_16: float | None = None
    gigabytes_per_second: float | None = None
    memory_gib: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("here", "gpu"):
            raise InvalidSetting("prices", f"kind={self.kind!r} of {self.name!r}: choose 'here' or 'gpu'")
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is None and name != "per_hour":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise InvalidSetting("prices", f"{name}={value!r} of {self.name!r} must be a number from 0")
        needed = ("tera_operations", "gigabytes_per_second", "memory_gib", "watts")
        missing = [name for name in needed if not getattr(self, name)]
        if self.kind == "gpu" and missing:
            raise InvalidSetting("prices", f"{self.name!r} has no {', '.join(missing)}: see its data sheet")


@dataclass(frozen=True)
class Prices:
    """A table of prices with its date; `reswork.prices` gives one, `save` writes it to be changed.

    Attributes:
        date: of the prices, such as ``2026-01-19``.
        currency: of all of them.
        source: where they are from, in a sentence.
        electricity_per_kwh: for one's own machine.
        machines: with a price each; the first of kind ``"here"`` is this one.
    """

    date: str
    currency: str
    source: str
    electricity_per_kwh: float
    machines: tuple[Machine, ...]

    def __post_init__(self) -> None:
        value = self.electricity_per_kwh
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise InvalidSetting("prices", f"electricity_per_kwh={value!r} must be a number from 0")
        if sum(each.kind == "here" for each in self.machines) != 1:
            raise InvalidSetting("prices", "one machine, and only one, must be of the kind 'here'")

    @property
    def here(self) -> Machine:
        """This machine."""
        return next(each for each in self.machines if each.kind == "here")

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, to be changed by hand and given back as ``prices=``.

        Raises:
            InvalidSetting: the file cannot be written.
        """
        try:
            write_text(Path(path), json.dumps(asdict(self), indent=1))
        except OSError as error:
            raise InvalidSetting(
                "path", f"{str(path)!r} cannot be written: {error.strerror or error}"
            ) from error
        return Path(path)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From what a file holds.

        Raises:
            InvalidSetting: something is missing or wrong.
        """
        try:
            known = {each.name for each in fields(Machine)}
            for each in values["machines"]:
                if unknown := set(each) - known:
                    raise ValueError(f"{sorted(unknown)[0]!r} is nothing that a machine has")
            machines = tuple(Machine(**each) for each in values["machines"])
            date, currency, source = (str(values[name]) for name in ("date", "currency", "source"))
            return cls(date, currency, source, values["electricity_per_kwh"], machines)
        except (TypeError, KeyError, ValueError) as error:
            if isinstance(error, InvalidSetting):
                raise
            reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise InvalidSetting(
                "prices", f"these are no prices: {reason}; rw.prices().save(path) writes some"
            ) from error


def prices(path: str | Path | None = None) -> Prices:
    """A table of prices: the one that comes with reswork, or one's own.

    Args:
        path: a file that `Prices.save` wrote and somebody changed; None: the one that comes with reswork, of which
            every price has to be looked up again.

    Raises:
        InvalidSetting: the file is none.
    """
    place = files("reswork.planning").joinpath("prices.json") if path is None else Path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            "prices", f"{str(path)!r} cannot be read as a table of prices: {error}"
        ) from error
    return Prices.from_dict(settings_from(text, "prices", "a table of prices"))


def chosen(given: Prices | str | Path | None) -> Prices:
    """Prices from what somebody gave."""
    return given if isinstance(given, Prices) else prices(given)
