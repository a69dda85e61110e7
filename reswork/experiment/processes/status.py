"""How a run stands, as JSON values from the worker and back again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reswork.errors import InvalidSetting
from reswork.recorders.price import Price
from reswork.recorders.recorder_controls import RecorderControl
from reswork.training.failures import NonFiniteLoss, OutOfMemory
from reswork.training.live_run import LiveRun, RunState
from reswork.training.modes import Mode
from reswork.training.ranks import RankFailed


class WorkerFailed(RuntimeError):
    """A run in a process of its own failed, or its process ended without a word; the message says why."""


@dataclass(frozen=True)
class Status:
    """How a run stands."""

    state: RunState
    steps_done: int
    seconds_left: float | None
    mode: Mode | None
    error: BaseException | None
    taken: Mapping[str, RecorderControl]
    share: float | None
    total: float | None


def status_message(run: LiveRun) -> dict[str, Any]:
    """What a worker tells about its run."""
    recorder_controls = run.recorder_controls
    assert recorder_controls is not None  # assemble_run gave it
    state = run.state  # before the rest: what it says is then true of the rest
    return {
        "state": state.name,
        "steps_done": run.steps_done,
        "seconds_left": run.seconds_left,
        "mode": None if run.mode is None else asdict(run.mode),
        "error": None if run.error is None else _told(run.error),
        "recorders": {
            name: [each.every, each.price and [each.price.ms, each.price.share, each.price.every]]
            for name, each in recorder_controls.taken.items()
        },
        "share": recorder_controls.share,
        "total": recorder_controls.total,
    }


def status_from(message: Mapping[str, Any]) -> Status:
    """What `status_message` told."""
    mode, error = message["mode"], message["error"]
    return Status(
        RunState[message["state"]],
        int(message["steps_done"]),
        message["seconds_left"],
        None if mode is None else Mode(**mode),
        None if error is None else _raised(error),
        {
            name: RecorderControl(every, None if price is None else Price(*price))
            for name, (every, price) in message["recorders"].items()
        },
        message["share"],
        message["total"],
    )


def _told(error: BaseException) -> dict[str, Any]:
    names = ("step", "layer", "field")
    kept = {name: getattr(error, name) for name in names if isinstance(getattr(error, name, None), str | int)}
    return {"type": type(error).__name__, "message": str(error), **kept}


def _raised(told: Mapping[str, Any]) -> BaseException:
    """An error of the same class where that is one of ours."""
    message = str(told["message"])
    match told["type"]:
        case "NonFiniteLoss":
            error = NonFiniteLoss.__new__(NonFiniteLoss, message)
            error.args = (message,)
            error.step, error.layer = int(told["step"]), told.get("layer")
            return error
        case "OutOfMemory":
            return OutOfMemory(message)
        case "RankFailed":
            return RankFailed(message)
        case "InvalidSetting":
            return InvalidSetting(str(told.get("field", "")), message)
    return WorkerFailed(f"{told['type']}: {message}")
