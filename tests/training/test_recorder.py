from dataclasses import fields
from typing import get_args

import pytest

from reswork.errors import InvalidSetting
from reswork.history import History
from reswork.training.events import Event, RunEnded, StepDone
from reswork.training.live_run import RunState
from reswork.training.recorder import EVENTS, BaseRecorder, FunctionRecorder, Recorder, as_recorder
from reswork.training.run import Run


class Counts(BaseRecorder):
    events = (StepDone,)

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, event: Event) -> None:
        assert isinstance(event, StepDone)
        self.steps.append(event.step)


def test_the_base_has_all_that_a_recorder_has_but_the_call() -> None:
    recorder = Counts()
    assert isinstance(recorder, Recorder) and as_recorder(recorder) is recorder
    assert (recorder.name, recorder.interval, recorder.state()) == ("Counts", None, {})
    with pytest.raises(NotImplementedError):
        BaseRecorder()(RunEnded(1, RunState.FINISHED, None))
    named = type("Named", (Counts,), {"name": "mine"})()
    assert named.name == "mine"


def test_every_event_can_be_asked_for() -> None:
    assert set(EVENTS) == set(get_args(Event)) and len(EVENTS) == 13
    assert all("step" in {field.name for field in fields(kind)} for kind in EVENTS)


def test_a_plain_function_hears_everything_and_a_wrapped_one_what_it_asked_for(
    make_net, make_data, make_recipe
) -> None:
    every, some = [], []
    counts = Counts()
    recorders = [every.append, FunctionRecorder(some.append, (StepDone, RunEnded)), counts]
    run = Run(make_net(), make_data(), make_recipe(steps=3), recorders=recorders)
    assert run.recorders == tuple(recorders)
    run.start()
    run.wait(300)
    assert {type(event) for event in some} == {StepDone, RunEnded}
    assert {"BatchReady", "GradientsReady", "StepDone"} < {type(event).__name__ for event in every}
    assert counts.steps == [1, 2, 3]


def test_one_that_keeps_nothing_is_not_in_a_checkpoint(make_net, make_data, make_recipe) -> None:
    class Keeps(Counts):
        name = "keeps"

        def state(self) -> dict:
            return {"steps": list(self.steps)}

    run = Run(
        make_net(),
        make_data(),
        make_recipe(steps=3),
        history=History(),
        recorders=[print_nothing, Counts(), Keeps()],
    )
    run.start()
    run.wait(300)
    assert run._recorder_set.state() == ({}, {"keeps": {"steps": [1, 2, 3]}})


def print_nothing(event: Event) -> None:
    pass


@pytest.mark.parametrize("part", ["events", "interval", "state", "restore"])
def test_a_part_of_a_recorder_is_refused_rather_than_passed_over(part) -> None:
    class Half:
        def __call__(self, event: Event) -> None:
            raise AssertionError

    setattr(Half, part, ())
    with pytest.raises(InvalidSetting, match=f"Half has {part}, but .*BaseRecorder"):
        as_recorder(Half())
    with pytest.raises(InvalidSetting, match="int cannot be called"):
        as_recorder(3)  # type: ignore[arg-type]
