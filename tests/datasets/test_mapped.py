from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.datasets.mapped import Rows, in_parts, rearranged


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_put_in_order_in_place(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(0, 256, (17, 2, 3), np.uint8)
    order = random.permutation(17)[: random.integers(1, 18)]
    expected, everything = rows[order].copy(), sorted(map(bytes, rows))
    rearranged(rows, order)
    assert np.array_equal(rows[: len(order)], expected)
    assert sorted(map(bytes, rows)) == everything  # nothing is lost


def test_rows_of_a_file_are_those_that_were_written(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (50, 3, 30, 40), np.uint8)
    (tmp_path / "images.u8").write_bytes(values.tobytes())
    rows = Rows(str(tmp_path / "images.u8"), (3, 30, 40), 7, 33)
    found = rows.tensor()
    rows.expect(torch.tensor([0, 25, 3]))
    assert np.array_equal(found.numpy(), values[7:33])
    found[:] = 0
    assert (tmp_path / "images.u8").read_bytes() == values.tobytes()


def test_parts_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reswork.datasets.mapped.PART_BYTES", 100)
    whole = torch.arange(7 * 30, dtype=torch.uint8).view(7, 30)
    assert [len(part) for part in in_parts(whole)] == [3, 3, 1]
    assert torch.equal(torch.cat(list(in_parts(whole))), whole)
