"""What a person should know about a training that goes well, as its history tells."""

from reswork.history import History
from reswork.training.events import CompilingDone, CompilingStarted, RunStarted

_MOST_NAMES = 3


def note_frozen(history: History, event: RunStarted) -> None:
    """Note which layers stand still, and where statistics follow the images although the weights are frozen."""
    found = event.frozen
    if found is not None and (found.layers or found.kept):
        history.note(
            event.step,
            "frozen",
            layers=list(found.layers),
            weights=found.weights,
            norms=list(found.kept),
            untrained=list(found.untrained),
        )
    if found is not None and found.moving:
        history.note(event.step, "statistics_move", norms=list(found.moving))


def note_compiling(history: History, event: CompilingStarted) -> None:
    """Note that the run stands still for a while."""
    history.note(event.step, "compiling", seconds=round(event.seconds))


def note_compiled(history: History, event: CompilingDone) -> None:
    """Note that it goes on, and how."""
    if event.failure:
        history.note(event.step, "not_compiled", reason=event.failure)
    else:
        history.note(event.step, "compiled", seconds=round(event.seconds, 1))


def waiting_for(history: History) -> str:
    """Why a run that goes on makes no step at the moment; ``""`` where it does."""
    kinds = ("compiling", "compiled", "not_compiled")
    last = next((note for note in reversed(history.notes) if note.kind in kinds), None)
    if last is None or last.kind != "compiling":
        return ""
    return f"compiling, which takes about {last.details.get('seconds')} s"


def remarks_of(history: History) -> str:
    """Where the weights came from, how many processes train, what is frozen, what joined, whether the compiler failed.

    ``""`` where there is nothing of it.
    """
    sentences = []
    for note in history.notes:
        about = note.details
        norms = _names(about.get("norms"))
        if note.kind == "transferred":
            sentences.append(str(about.get("sentence", "")))
        elif note.kind == "frozen":
            if layers := _names(about.get("layers")):
                sentences.append(f"{_told(layers)} {_is(layers)} frozen.")
            if norms:
                sentences.append(
                    f"The statistics of {_told(norms)} would have followed the images and stay as they came."
                )
            if untrained := _names(about.get("untrained")):
                sentences.append(
                    f"{_told(untrained)} {'has' if len(untrained) == 1 else 'have'} never followed an image, so what "
                    "stays is mean 0 and variance 1: freeze layers of a trained network."
                )
        elif note.kind == "unfrozen":
            layers = _names(about.get("layers"))
            sentences.append(f"From step {note.step:,} on {_told(layers)} learns again." if len(layers) == 1 else
                             f"From step {note.step:,} on {_told(layers)} learn again.")  # fmt: skip
        elif note.kind == "ranks":
            sentences.append(f"From step {note.step + 1:,} on trained by {about.get('told')}.")
        elif note.kind == "not_compiled":
            sentences.append(
                f"The compiler failed in step {note.step:,} and is not used any more; this step and all after it "
                f"are computed without compiled code. It said: {about.get('reason')}"
            )
        elif note.kind == "statistics_move":
            sentences.append(
                f"{_told(norms)} {_is(norms)} frozen by requires_grad_(False), but the statistics still follow the "
                "images, so what the layer gives changes; name it in the recipe's frozen to keep both."
            )
    return " ".join(sentences)


def _names(value: object) -> list[str]:
    """From a file that somebody may have changed."""
    return [str(each) for each in value] if isinstance(value, list) else []


def _told(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    if more > 1:
        return f"{', '.join(names[:_MOST_NAMES])} and {more} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
