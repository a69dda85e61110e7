from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reswork.store.moment_plan import planned_steps, superfluous


@given(total=st.integers(1, 200_000), most=st.integers(2, 240))
def test_a_plan_begins_at_0_ends_at_the_end_and_has_no_more_than_asked(total: int, most: int) -> None:
    steps = planned_steps(total, most)
    assert (steps[0], steps[-1]) == (0, total)
    assert len(steps) <= most
    assert all(before < after for before, after in pairwise(steps))


@given(total=st.integers(300, 200_000), most=st.integers(20, 240))
def test_it_is_dense_early_and_never_leaves_more_than_two_even_gaps_out(total: int, most: int) -> None:
    gaps = np.diff(planned_steps(total, most))
    assert gaps.max() <= 2 * total / (most - 1) + 1
    assert gaps[: len(gaps) // 4].sum() <= gaps[-(len(gaps) // 4) :].sum()
    assert len(gaps) + 1 >= 0.6 * min(most, total)


@given(steps=st.sets(st.integers(0, 5_000), min_size=1, max_size=60), most=st.integers(1, 70))
def test_thinning_takes_as_many_as_it_must_and_spares_the_first_and_the_newest(
    steps: set[int], most: int
) -> None:
    growing = sorted(steps)
    gone = superfluous(growing, most, 5_000)
    assert len(gone) == max(0, len(growing) - most)
    assert set(gone) <= steps and len(set(gone)) == len(gone)
    assert growing[-1] not in gone
    assert most == 1 or growing[0] not in gone


def test_thinned_one_by_one_while_a_run_grows_the_moments_stay_dense_early_and_leave_no_hole() -> None:
    kept: list[int] = []
    for step in range(2_001):
        kept.append(step)
        gone = superfluous(kept, 40, 2_000)
        kept = [each for each in kept if each not in gone]
    gaps = np.diff(kept)
    assert (kept[0], kept[-1], len(kept)) == (0, 2_000, 40)
    assert gaps.max() <= 4 * 2_000 / 39
    assert kept[8] < 100
