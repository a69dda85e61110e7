"""What every run tells: what went wrong beside the training, and what it does not have."""

import pytest

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.training.live_run import problems_of
from reswork.training.run import Run


@pytest.mark.parametrize(
    ("begins", "ends", "details", "words"),
    [
        ("not_saved", "saved_again", {"reason": "disk full"}, "not saved: disk full"),
        ("no_checkpoint", "checkpoint_again", {"reason": "disk full"}, "could not be made: disk full"),
        ("moments_not_saved", "moments_again", {"reason": "disk full"}, "could not be kept: disk full"),
        ("not_sent", "sent_again", {"recorder": "mlflow", "reason": "no answer"}, "not sent to mlflow: no answer"),
        ("recorder removed", "recorder started", {"recorder": "noise", "error": "ValueError: x"}, "noise failed"),
    ],
)  # fmt: skip
def test_a_problem_is_told_until_it_is_over(
    begins: str, ends: str, details: dict[str, str], words: str
) -> None:
    history = History()
    assert problems_of(history) == ""
    history.note(3, begins, **details)
    assert words in problems_of(history)
    history.note(4, ends, **{key: value for key, value in details.items() if key == "recorder"})
    assert problems_of(history) == ""
    history.note(5, begins, **details)
    assert problems_of(history).count(words) == 1


def test_each_receiver_has_its_own() -> None:
    history = History()
    for name in ("mlflow", "tensorboard"):
        history.note(1, "not_sent", recorder=name, reason=f"{name} is away")
    history.note(2, "sent_again", recorder="mlflow")
    assert problems_of(history) == "This run is not sent to tensorboard: tensorboard is away."


def test_a_note_that_somebody_wrote_by_hand_is_no_error() -> None:
    history = History()
    history.note(0, "not_saved", reason=["a", "list"])
    history.note(0, "not_sent", recorder=[1])
    history.note(0, "recorder removed", **{"{error}": "{0}"})
    assert "unknown" in problems_of(history)


def test_a_run_that_was_put_together_by_hand_says_what_it_does_not_have(tiny_net, tiny_data) -> None:
    run = Run(tiny_net, tiny_data)
    assert (run.directory, run.moments, run.recorder_controls, run.pid) == (None, None, None, None)
    with pytest.raises(InvalidSetting, match="no process of its own; press Stop"):
        run.kill()
    for act in (run.add_recorder, run.remove_recorder):
        with pytest.raises(InvalidSetting, match="'losses': this run was put together by hand"):
            act("losses")
