import dataclasses

import numpy as np
import pytest

from reswork import results
from reswork.results import Filters, ReceptiveField


def test_results_are_frozen_records() -> None:
    kinds = {name: kind for name in results.__all__ if isinstance(kind := getattr(results, name), type)}
    assert len(kinds) > 10
    for name, kind in kinds.items():
        assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen, name


def field(influence: np.ndarray, box: tuple[int, int, int, int]) -> ReceptiveField:
    return ReceptiveField("layer", (0, 0), influence, box, None, 1)


def test_sizes_of_a_field() -> None:
    influence = np.zeros((9, 9))
    influence[2:7, 2:7] = 0.01
    influence[4, 4] = 1.0
    found = field(influence, (0, 0, 9, 9))
    assert found.effective_size == 1 and found.width_holding_half == 1
    flat = field(np.ones((9, 9)), (0, 0, 9, 9))
    assert flat.effective_size == 9 and flat.width_holding_half == 7  # 49 of 81 pixels; 25 are too few
    corner = field(np.ones((9, 9)), (0, 0, 3, 3))
    assert corner.width_holding_half > 9  # around the box's own middle


def test_effective_rank_of_nothing_and_of_equals() -> None:
    zeros = np.zeros(3)
    assert Filters("conv", zeros, zeros, zeros, zeros).effective_rank == 0
    assert Filters("conv", zeros, zeros, zeros, np.ones(5)).effective_rank == pytest.approx(5)
