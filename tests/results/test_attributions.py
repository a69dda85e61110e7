import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.results import Attribution, Check, Trust
from reswork.results.attributions import enlarged


def _attribution(values: np.ndarray, size: tuple[int, int], change: float = 1.0) -> Attribution:
    count = len(values)
    scores = np.full(count, 2.0, np.float32)
    return Attribution(
        "saliency", values.astype(np.float32), size, np.arange(count), ("1",) * count, scores, scores - change
    )


@pytest.mark.parametrize(
    ("small", "large"), [((4, 4), (32, 32)), ((7, 5), (30, 41)), ((1, 1), (3, 3)), ((2, 3), (2, 3))]
)
def test_maps_are_enlarged_as_torch_does(small, large) -> None:
    maps = np.random.default_rng(0).normal(size=(2, *small)).astype(np.float32)
    wanted = F.interpolate(torch.from_numpy(maps)[None], large, mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(enlarged(maps, large), wanted.numpy(), atol=1e-5)


def test_maps_sum_over_channels_and_mass_counts_what_is_positive() -> None:
    values = np.zeros((1, 3, 2, 2))
    values[0, 0], values[0, 1] = [[1, 2], [3, 0]], [[0, 0], [0, -4]]
    found = _attribution(values, (2, 2))
    assert found.maps[0].tolist() == [[1, 2], [3, -4]]
    mask = np.array([[[True, False], [True, True]]])
    assert found.mass_inside(mask).tolist() == pytest.approx([4 / 6])
    with pytest.raises(InvalidSetting, match=r"\(1, 2, 2\)"):
        found.mass_inside(mask[0])
    assert np.isnan(_attribution(np.zeros((1, 1, 2, 2)), (2, 2)).mass_inside(mask)).all()


def test_the_gap_is_a_share_of_the_change() -> None:
    values = np.full((2, 1, 2, 2), 0.25)
    assert _attribution(values, (2, 2), change=0.8).gaps.tolist() == pytest.approx([0.25, 0.25])
    assert np.isnan(_attribution(values, (2, 2), change=np.nan).gaps).all()


def _trust(*findings: str) -> Trust:
    checks = tuple(Check(f"check {i}", 0.5, finding, f"Sentence {i}.") for i, finding in enumerate(findings))  # type: ignore[arg-type]
    nothing = np.empty(0, np.float32)
    return Trust("lime", 0, "1", checks, nothing, nothing, nothing, nothing, nothing, (), nothing)


@pytest.mark.parametrize(
    ("findings", "finding", "words"),
    [
        (("passed", "failed", "doubtful"), "failed", "Do not trust this map. Sentence 1."),
        (("passed", "not asked", "doubtful"), "doubtful", "Take this map with care. Sentence 2."),
        (("passed", "not asked", "passed"), "passed", "passed 2 checks"),
        (("not asked",), "not asked", "No check applies"),
    ],
)
def test_the_verdict_is_the_worst_finding(findings, finding, words) -> None:
    assert _trust(*findings).finding == finding and words in _trust(*findings).verdict
