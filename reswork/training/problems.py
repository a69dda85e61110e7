"""What went wrong beside a training and still is wrong, as its history tells."""

from reswork.history import History

_PROBLEMS = (  # kind of note, the kind that says it is over, the sentence
    ("not_saved", "saved_again", "This run is not saved: {reason}."),
    ("no_checkpoint", "checkpoint_again", "The last checkpoint of this run could not be made: {reason}."),
    ("moments_not_saved", "moments_again", "The last moment to look back at could not be kept: {reason}."),
    ("not_sent", "sent_again", "This run is not sent to {recorder}: {reason}."),
    ("recorder removed", "recorder started", "{recorder} failed and was taken off: {error}."),
)
_UNKNOWN = dict.fromkeys(("reason", "recorder", "error"), "unknown")  # in a file that somebody changed


def problems_of(history: History) -> str:
    """A sentence on each thing that failed beside the training and still does; ``""`` where all is well."""
    found, notes = [], history.notes
    for begins, ends, sentence in _PROBLEMS:
        last = {str(note.details.get("recorder")): note for note in notes if note.kind in (begins, ends)}
        found += [sentence.format(**_UNKNOWN | note.details) for note in last.values() if note.kind == begins]
    return " ".join(found)
