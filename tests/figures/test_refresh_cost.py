"""What a live figure costs at each refresh: bytes on the wire, and points read from the record."""

import numpy as np
import pytest

from reswork import figures
from reswork.history import History
from reswork.recorders import CATALOGUE
from reswork.tasks import Classification

LIVE = (
    "loss_curves", "metric_curves", *(view.figure for quantity in CATALOGUE for view in quantity.views)
)  # fmt: skip
LIMIT_BYTES = 60_000


def array_bytes(part) -> int:
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, dict):
        return sum(map(array_bytes, part.values()))
    return 0


def drawn(name: str, history: History):
    """A live figure by its name."""
    more = (Classification.metrics,) if name == "metric_curves" else ()
    return getattr(figures, name)(history, *more)


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize("layers", [20, 1202])
def test_bytes_stay_within_the_limit_at_any_length(make_history, name, layers):
    for steps in (100, 100_000 if layers == 20 else 2_000):
        figure = drawn(name, make_history(steps, layers))
        assert sum(array_bytes(trace.to_plotly_json()) for trace in figure.data) < LIMIT_BYTES


@pytest.mark.parametrize("name", LIVE)
def test_a_refresh_reads_no_more_points_than_are_drawn(make_history, monkeypatch, name):
    """However long the record is, so that a refresh costs the same at 100 and at 100,000 steps."""
    history = make_history(100_000, 20)
    read = []
    for way in ("series", "means", "vectors"):
        original = getattr(History, way)

        def counted(self, *args, original=original, **settings):
            found = original(self, *args, **settings)
            read.append(found.values.size)
            return found

        monkeypatch.setattr(History, way, counted)
    drawn(name, history)
    assert 0 < sum(read) < 20_000
