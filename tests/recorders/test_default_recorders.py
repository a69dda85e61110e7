import json

import numpy as np
import pytest
import torch

from reswork.history import History
from reswork.recorders import default_recorders, losses
from reswork.recorders.collector import Collector
from reswork.training.events import EpochDone, RunPaused, StepDone
from reswork.training.loop import fit
from reswork.training.run import Run
from reswork.training.schedules import learning_rates


def test_a_run_fills_every_series(net, data, make_recipe):
    history = History()
    run = Run(net, data, make_recipe(), history=history, recorders=default_recorders(history, share=None))
    run.start()
    run.wait(300)
    assert {note.kind for note in history.notes} == {"nothing to record"}  # no residual blocks
    steps = np.arange(1, 26)
    for name in ("loss/train", "top1/train", "learning_rate"):
        np.testing.assert_array_equal(history.series(name).steps, steps)
    for name in ("loss", "top1", "top5", "precision", "recall", "f1"):
        np.testing.assert_array_equal(history.series(f"{name}/test").steps, [5, 10, 15, 20, 25])
    assert history.series("epoch").values.tolist() == [1, 2, 3, 4, 5]
    assert (history.series("seconds/epoch").values > 0).all()
    assert (history.series("images_per_second").values > 0).all()
    assert history.last("memory/bytes") > 1e7
    assert history.vectors("grad_norm").labels == ("0", "5")
    assert history.vectors("grad_norm").steps.tolist() == [1, 10, 20]
    kept = history.array("confusion/test")
    assert kept is not None
    assert kept[0] == 25
    assert kept[1].sum() == 160
    np.testing.assert_array_equal(
        history.series("learning_rate").values, learning_rates(make_recipe(), 160)[1]
    )
    json.dumps(history.to_dict(), allow_nan=False)


def test_the_numbers_are_those_of_the_events(net, data, make_recipe):
    history = History()
    recorders = default_recorders(history)
    seen = []
    for event in fit(net, data, make_recipe()):
        if isinstance(event, StepDone):
            seen.append((event.loss.item(), event.score.item()))
        for recorder in recorders:
            if type(event) in recorder.events:
                recorder(event)
        if isinstance(event, EpochDone):
            assert history.last("loss/test") == event.metrics["loss"]
            assert len(history.series("loss/train")) == event.step
    np.testing.assert_array_equal(history.series("loss/train").values, [loss for loss, _ in seen])
    np.testing.assert_array_equal(history.series("top1/train").values, [top1 for _, top1 in seen])


def test_a_paused_run_shows_all_its_steps(net, data, make_recipe):
    history = History()
    run = Run(net, data, make_recipe(), history=history, recorders=default_recorders(history))
    for expected in (1, 2, 4):
        run.step(expected - run.steps_done)
        run.wait_until_still(300)
        assert len(history.series("loss/train")) == expected
    run.stop()
    run.wait(300)


def test_the_collector_hands_over_in_order_and_seldom():
    got: list[tuple[list[int], list[float]]] = []
    collector = Collector(lambda s, v: got.append((s.tolist(), v.tolist())), interval_s=3600)
    for step in range(1, 6):
        collector.add(step, torch.tensor(step / 2))
    assert got == [([1], [0.5])]
    collector.flush()
    assert got[1:] == [([2, 3, 4, 5], [1.0, 1.5, 2.0, 2.5])]
    collector.flush()
    assert len(got) == 2


def test_a_loss_that_is_not_finite_is_recorded_as_such(net):
    history = History()
    recorder = losses(history)
    recorder(StepDone(1, 1, torch.tensor(float("nan")), torch.tensor(0.0), "top1", 32, 0.1, net))
    recorder(RunPaused(1))
    assert np.isnan(history.last("loss/train"))


@pytest.mark.gpu
def test_recording_does_not_wait_for_the_gpu(net, data, make_recipe):
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    history = History()
    recorders = [each for each in default_recorders(history) if StepDone in each.events]
    try:
        for event in fit(net, data, make_recipe(device="cuda", steps=200, batch_size=8)):
            for recorder in recorders:
                if type(event) in recorder.events:
                    recorder(event)
            if isinstance(event, StepDone):
                torch.cuda.set_sync_debug_mode("error" if event.step % 20 not in (0, 19) else "default")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(history.series("loss/train")) == 200
