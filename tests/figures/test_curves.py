import numpy as np
import pytest

from reswork.figures import loss_curves, metric_curves
from reswork.figures.curves import _loss_figure, _Points, _Run, _runs_info
from reswork.history import History
from reswork.results.metrics import Metric
from reswork.tasks import Classification, Restoration

METRICS = Classification.metrics


def points(*values: float) -> _Points:
    return _Points(np.arange(1, len(values) + 1, dtype=np.float32), np.array(values, np.float32))


def test_info_holds_what_was_recorded(make_history):
    history = make_history(60)
    (run,) = _runs_info(history, "loss")
    assert np.array_equal(run.raw.x, np.arange(1, 61))
    assert np.allclose(run.raw.y, history.series("loss/train").values, rtol=1e-6)
    assert run.test.x.tolist() == [20, 40, 60] and run.test.y.tolist() == [0.5, 0.5, 0.5]
    assert len(run.calm.x) == 60 and np.diff(run.calm.y[30:]).std() < np.diff(run.raw.y[30:]).std()
    assert run.calm.y[-1] == pytest.approx(run.raw.y[-1], abs=0.02)


def test_a_second_metric_that_is_always_full_is_not_drawn():
    history = History()
    for step in (1, 2):
        history.record(step, {"top1/test": 0.5, "top5/test": 1.0})
    assert not metric_curves(history, METRICS).data[-1].showlegend
    assert not len(metric_curves(history, METRICS).data[-1].x)
    history.record(3, {"top1/test": 0.5, "top5/test": 0.9})
    assert metric_curves(history, METRICS).data[-1].showlegend


def test_accuracy_is_in_percent(make_history):
    figure = metric_curves(make_history(60), METRICS)
    train, test, top5 = figure.data[1:]
    assert test.name == "test" and set(test.y) == {75.0}
    assert top5.name == "test, top-5 accuracy" and np.allclose(top5.y, 95.0)
    assert 0 < train.y[0] < train.y[-1] < 100
    assert "%" in figure.layout.yaxis.title.text


def test_one_run_has_raw_smoothed_and_test(make_history):
    raw, calm, test = loss_curves(make_history()).data
    assert raw.opacity < calm.opacity == 1 and raw.line.width < calm.line.width
    assert (raw.mode, test.mode) == ("lines", "lines+markers")
    assert not raw.showlegend and calm.showlegend


def test_runs_differ_in_colour_and_in_dash_and_marker(make_history):
    history = make_history()
    runs = {f"run {index}": history for index in range(8)}
    traces = loss_curves(runs).data
    lines, marks = traces[8:16], traces[16:]
    assert len({(trace.line.color, trace.line.dash) for trace in lines}) == 8
    assert len({trace.line.dash for trace in lines[:6]}) == 6
    assert len({trace.marker.symbol for trace in marks[:6]}) == 6
    assert [trace.name for trace in lines] == list(runs)
    assert all(len(trace.x) == 0 for trace in traces[:8])  # no noise where it would cover everything


def test_runs_share_the_budget_of_points(make_history):
    history = make_history(20_000)
    for count in (1, 3, 5, 20):
        traces = loss_curves({str(index): history for index in range(count)}).data
        assert sum(trace.x.nbytes + trace.y.nbytes for trace in traces) < 60_000


def test_names_are_escaped(make_history):
    traces = loss_curves({"<b>x</b> $y$": make_history(), "other": make_history()}).data
    assert traces[2].name == "&lt;b&gt;x&lt;/b&gt; &#36;y&#36;"


def test_log_scale_is_asked_for():
    assert loss_curves(History(), y_scale="log").layout.yaxis.type == "log"
    assert loss_curves(History()).layout.yaxis.type is None


def test_nan_and_inf_are_gaps():
    history = History()
    for step, value in enumerate([2.0, np.nan, np.inf, 1.0], start=1):
        history.record(step, {"loss/train": value})
    raw, calm, _ = loss_curves(history).data
    assert np.isnan(raw.y[1:3]).all() and np.isnan(calm.y[1:3]).all()
    assert np.isfinite(raw.y[[0, 3]]).all() and np.isfinite(calm.y[[0, 3]]).all()


def test_a_loss_that_ends_in_nan_is_said():
    history = History()
    history.record(1, {"loss/train": 2.0})
    history.record(2, {"loss/train": float("nan")})
    assert "not a number" in loss_curves(history).layout.meta["summary"]


def test_one_point_is_visible():
    history = History()
    history.record(1, {"loss/train": 2.3})
    calm = loss_curves(history).data[1]
    assert calm.mode == "lines+markers" and calm.y.tolist() == pytest.approx([2.3])


def test_summary_has_the_current_numbers(make_history):
    history = make_history(60)
    text = loss_curves(history).layout.meta["summary"]
    assert text.startswith("At step 60 the training loss is 0.") and "test loss 0.5 at step 60" in text
    assert loss_curves({"a": history, "b": History()}).layout.meta["summary"].startswith("a: at step 60")
    assert loss_curves({}).layout.meta["summary"] == "No loss recorded yet."


def test_hand_made_info_with_test_only():
    run = _Run("", points(), points(), points(1.0, 0.5), points())
    figure = _loss_figure([run], "linear")
    assert figure.data[2].y.tolist() == [1.0, 0.5]
    assert figure.layout.meta["summary"] == "Test loss 0.5 at step 2."


def test_the_frame_stays_while_the_numbers_grow(make_history):
    """Only arrays differ between two refreshes, so only arrays need to be sent."""

    def frame(steps: int) -> list[dict]:
        traces = loss_curves(make_history(steps)).data
        return [{key: value for key, value in t.to_plotly_json().items() if key not in "xy"} for t in traces]

    assert frame(60) == frame(5_000)


@pytest.mark.parametrize("count", [1, 5])
def test_the_test_loss_can_be_left_out(make_history, count):
    figure = loss_curves({str(index): make_history() for index in range(count)}, show="train")
    both = loss_curves({str(index): make_history() for index in range(count)})
    assert [trace.y.tolist() for trace in figure.data[: 2 * count]] == [
        trace.y.tolist() for trace in both.data[: 2 * count]
    ]
    assert all(len(trace.y) == 0 for trace in figure.data[2 * count :])
    assert all(len(trace.y) == 3 for trace in both.data[2 * count :])
    assert figure.layout.yaxis.title.text == "training loss"
    assert "test loss 0.5" in figure.layout.meta["summary"]


def test_a_second_metric_in_another_unit_is_not_drawn_on_the_same_axis():
    history = History()
    history.record(5, {"psnr/test": 30.0, "ssim/test": 0.9})
    names = [trace.name for trace in metric_curves(history, Restoration.metrics).data]
    assert "test" in names and not any("SSIM" in name for name in names)


def test_a_metric_that_training_batches_do_not_have_is_told_of_the_test_alone():
    history = History()
    auroc = Metric("auroc", "AUROC", ".3f", True, "How often a bad one is higher.")
    for step in range(1, 30):
        history.record(step, {"auroc/train": float("nan")})
    assert metric_curves(history, [auroc]).layout.meta["summary"] == "No AUROC recorded yet."
    history.record(29, {"auroc/test": 0.9})
    figure = metric_curves(history, [auroc])
    assert figure.layout.meta["summary"] == "Test AUROC 0.9 at step 29."
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["test"]


def test_the_unit_of_a_metric_stands_at_its_axis():
    history = History()
    history.record(1, {"psnr/train": 24.0, "psnr/test": 25.25})
    figure = metric_curves(history, Restoration.metrics)
    assert figure.layout.yaxis.title.text == "PSNR, dB"
    assert (
        figure.layout.meta["summary"] == "At step 1 the training PSNR is 24 dB; test PSNR 25.2 dB at step 1."
    )
    assert metric_curves(history, METRICS).layout.yaxis.title.text == "accuracy, %"
