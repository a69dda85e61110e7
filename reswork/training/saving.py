"""Whether what a run records reaches its folder, as its history tells."""

from reswork.history import History

_PROBLEMS = (  # kind of note, the kind that says it is over, the sentence
    ("not_saved", "saved_again", "This run is not saved: {}."),
    ("no_checkpoint", "checkpoint_again", "The last checkpoint of this run could not be made: {}."),
)


def saving_problem(history: History) -> str:
    """A sentence on what could not be saved and still is not; ``""`` where all is well."""
    found = []
    for begins, ends, sentence in _PROBLEMS:
        told = [note for note in history.notes if note.kind in (begins, ends)]
        if told and told[-1].kind == begins:
            found.append(sentence.format(told[-1].details.get("reason", "unknown")))
    return " ".join(found)
