"""Everything that can be asked of a run, in random order; `python -m tests.faults sequences 1000` does more of it."""

from tests.faults import sequences


def test_whatever_is_asked_in_whatever_order_one_trains_and_nothing_stays_open() -> None:
    assert "no thread, lock or file left open" in sequences.campaign(6)
