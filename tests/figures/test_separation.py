import numpy as np
import pytest

import reswork.figures as figures
from reswork.errors import InvalidSetting
from reswork.tasks import roc
from tests.figures.test_canvas import checked


def test_curves_are_read_off_at_one_per_cent() -> None:
    random = np.random.RandomState(0)
    truth = random.uniform(size=3_000) < 0.3
    found = roc(random.normal(size=3_000) + 2 * truth, truth)
    figure = checked(figures.roc_curves({"network": (found.false, found.true), "pixels": ([0, 1], [0, 1])}))
    assert figure.layout.meta["summary"] == (
        f"Found where 1 % is taken wrongly: network {found.true_at(0.01):.1%}, pixels 0.0%."
    )
    line = figure.data[0]
    assert line.y[-1] == 100 and (np.diff(line.y) >= 0).all()
    at = int(np.argmin(np.abs(line.x - 5)))
    assert line.y[at] == pytest.approx(100 * found.true_at(line.x[at] / 100), abs=0.1)
    assert figures.roc_curves({}).layout.meta["summary"] == "No scores yet."


def test_scores_are_shares_of_their_own_kind() -> None:
    scores, bad = np.array([1.0, 2.0, 3.0, 9.0]), np.array([False, False, False, True])
    figure = checked(figures.score_counts(scores, bad, threshold=2.5))
    assert [trace.y.sum() for trace in figure.data] == pytest.approx([100, 100], abs=0.01)
    assert "above 2.5 are 33.3% of good and 100.0% of bad" in figure.layout.meta["summary"]
    assert figures.score_counts(np.zeros(0), np.zeros(0, bool)).layout.meta["summary"] == "No scores yet."


def test_look_alikes_have_frames_of_two_colours_and_anomalies_one_scale() -> None:
    queries, found = np.zeros((2, 1, 20, 20), np.uint8), np.zeros((2, 3, 1, 20, 20), np.uint8)
    same = np.array([[True, False, False], [False, True, False]])
    figure = checked(figures.look_alikes(queries, found, np.full((2, 3), 0.5), same, ["a", "b"]))
    assert "1 of 2 pictures have the same identity first, 33% of all 6" in figure.layout.meta["summary"]
    assert [each.text for each in figure.layout.annotations][:4] == ["a", "= 0.50", "≠ 0.50", "≠ 0.50"]
    with pytest.raises(InvalidSetting, match="give"):
        figures.look_alikes(queries, found[:, :2], np.full((2, 3), 0.5), same)
    maps = np.zeros((2, 20, 20), np.float32)
    maps[1, 5:15, 5:15] = 4
    from reswork.figures.map_overlays import under_maps

    drawn = under_maps(queries, maps)
    assert (drawn[0] == 48).all() and tuple(drawn[1, :, 10, 10]) == (213, 94, 0)
    shown = checked(
        figures.anomaly_maps(queries, [maps, maps], ["step 1", "now"], scores=np.array([0.1, 2.0]),
                             truth=np.zeros((2, 20, 20), np.uint8), restored=queries)
    )  # fmt: skip
    assert [each.text for each in shown.layout.annotations][:5] == [
        "picture", "what is wrong", "given back", "step 1", "now: 0.1",
    ]  # fmt: skip
    for figure in (
        figures.anomaly_maps(queries[:0], [], []),
        figures.look_alikes(queries[:0], found[:0], *[np.zeros((0, 3))] * 2),
    ):
        assert figure.layout.meta["summary"].endswith("yet.")
