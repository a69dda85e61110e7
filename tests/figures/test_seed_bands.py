import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reswork.figures import loss_curves, metric_curves
from reswork.figures.seed_bands import curve_band, point_band
from reswork.history import History, Series
from reswork.tasks import Classification
from tests.figures.test_canvas import checked

METRICS = Classification.metrics


def history(values: list[float], test: dict[int, float] | None = None, every: int = 1) -> History:
    made = History()
    made.extend("loss/train", np.arange(1, len(values) + 1) * every, values)
    made.extend("top1/train", np.arange(1, len(values) + 1) * every, values)
    for step, value in (test or {}).items():
        made.record(step, {"loss/test": value, "top1/test": value})
    return made


def test_a_band_goes_from_the_smallest_to_the_largest_around_the_mean() -> None:
    band = curve_band([history([1.0] * 30), history([2.0] * 30), history([6.0] * 30)], "loss/train", 100)
    assert band.steps.tolist() == list(range(1, 31))
    for part, value in ((band.mean, 3.0), (band.low, 1.0), (band.high, 6.0), (band.counts, 3)):
        assert np.allclose(part, value)


def test_where_a_run_ended_early_the_rest_goes_on_without_it() -> None:
    band = curve_band([history([1.0] * 10), history([3.0] * 30)], "loss/train", 100)
    assert band.counts.tolist() == [2] * 10 + [1] * 20
    assert np.allclose(band.mean, [2.0] * 10 + [3.0] * 20)


def test_runs_that_recorded_at_other_steps_are_read_off_their_curves() -> None:
    every, seldom = history(list(np.linspace(1, 100, 100))), history(list(np.linspace(10, 100, 10)), every=10)
    band = curve_band([every, seldom], "loss/train", 1_000)
    assert len(band) == 100 and band.counts[:9].tolist() == [1] * 9 and band.counts[9:].tolist() == [2] * 91


def test_nothing_finite_is_left_out_and_nothing_at_all_is_empty() -> None:
    band = curve_band([history([1.0, np.nan, np.inf]), history([np.nan] * 3)], "loss/train", 100)
    assert (band.steps.tolist(), band.mean.tolist(), band.counts.tolist()) == ([1.0], [1.0], [1])
    for empty in (curve_band([], "loss/train", 9), curve_band([History()], "loss/train", 9), point_band([])):
        assert len(empty) == 0 and empty.mean.dtype == np.float32


points = st.dictionaries(
    st.integers(0, 6), st.floats(-1e3, 1e3, width=32) | st.just(float("nan")), max_size=7
)


@given(st.lists(points, max_size=4))
def test_points_of_the_same_step_come_together_as_a_slow_loop_finds_them(
    runs: list[dict[int, float]],
) -> None:
    series = [
        Series("x", np.array(sorted(run), np.int64), np.array([run[step] for step in sorted(run)]))
        for run in runs
    ]
    band = point_band(series)
    expected = []
    for step in range(7):
        values = [run[step] for run in runs if step in run and np.isfinite(run[step])]
        if values:
            expected.append((step, sum(values) / len(values), min(values), max(values), len(values)))
    found = list(zip(band.steps, band.mean, band.low, band.high, band.counts, strict=True))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-3)


def test_a_group_is_one_line_with_a_band_and_bars_in_one_colour() -> None:
    test = {20: 0.5}
    group = [history([1.0] * 20, test), history([3.0] * 20, {20: 0.9})]
    figure = checked(loss_curves({"<b>mine": group, "other": history([2.0] * 20, test)}))
    band, *rest = figure.data
    assert (band.fill, band.showlegend, band.x.tolist()) == (
        "toself",
        False,
        [*range(1, 21), *range(20, 0, -1)],
    )
    assert band.y.tolist() == [3.0] * 20 + [1.0] * 20
    mean, marks = rest[2], rest[4]
    assert (mean.name, mean.y.tolist()) == ("&lt;b&gt;mine (2 runs)", [2.0] * 20)
    assert mean.line.color == marks.line.color == "#0072B2" and "rgba(0,114,178" in band.fillcolor
    assert band.legendgroup == mean.legendgroup == marks.legendgroup
    assert marks.y.tolist() == pytest.approx([0.7])
    assert marks.error_y.array.tolist() == marks.error_y.arrayminus.tolist() == pytest.approx([0.2])
    assert "from the smallest to the largest" in figure.layout.meta["about"]["what"]
    assert figure.layout.meta["summary"].startswith(
        "<b>mine (2 runs): at step 20 the training loss is 2 on average, 1 to 3; "
        "at step 20 the test loss is 0.7 on average, 0.5 to 0.9. other: at step 20"
    )


def test_accuracy_bands_are_in_percent_and_a_run_that_is_behind_is_told() -> None:
    figure = metric_curves({"mine": (history([0.5] * 20), history([0.7] * 10))}, METRICS)
    assert figure.data[0].y.tolist() == pytest.approx([70.0] * 10 + [50.0] * 10 + [50.0] * 20)
    assert (
        "50 % on average, 50 to 50 (1 of them so far); no test accuracy yet." in figure.layout.meta["summary"]
    )


def test_without_groups_nothing_is_said_or_drawn_of_bands() -> None:
    figure = loss_curves({"a": history([1.0]), "b": history([2.0])})
    assert len(figure.data) == 6 and "band" not in figure.layout.meta["about"]["what"]
    assert all(trace.fill is None for trace in figure.data)


def test_empty_groups_draw_nothing_and_say_so() -> None:
    figure = checked(loss_curves({"mine": [], "other": [History()]}))
    assert figure.layout.meta["summary"] == "No loss recorded yet."
    assert all(len(trace.x) == 0 for trace in figure.data)


def test_the_test_loss_of_a_group_can_be_left_out() -> None:
    figure = checked(loss_curves({"mine": [history([1.0] * 5, {5: 0.5})] * 2}, show="train"))
    assert len(figure.data[-1].x) == 0 and len(figure.data[-1].error_y.array) == 0


def test_groups_share_the_budget_of_points() -> None:
    group = [history(list(np.linspace(1, 2, 20_000)), {step: 0.5 for step in range(50, 20_000, 50)})] * 3
    for count in (1, 3, 8):
        traces = loss_curves({str(index): group for index in range(count)}).data
        sizes = [trace.x.nbytes + trace.y.nbytes for trace in traces]
        sizes += [trace.error_y.array.nbytes * 2 for trace in traces if trace.error_y.array is not None]
        assert sum(sizes) < 60_000
