"""A person's own words on a run, kept in its folder as ``note.txt``."""

from pathlib import Path

from reswork.errors import InvalidSetting
from reswork.store.atomic_files import read_text, write_text
from reswork.store.directory import RUN_FILE

NOTE_FILE = "note.txt"
LONGEST_NOTE = 16_384  # bytes


def read_note(directory: Path) -> str:
    """The note on a run; ``""`` where there is none.

    Raises:
        InvalidSetting: if the file cannot be read, is too long or no text.
    """
    try:
        return read_text(directory / NOTE_FILE, LONGEST_NOTE)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        reason = f"{NOTE_FILE} is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise InvalidSetting(
            "note", f"the note on run {directory.name!r} cannot be read: {reason}"
        ) from error


def write_note(directory: Path, text: str) -> None:
    """Replace the note on a run; a text without words takes it away.

    Raises:
        InvalidSetting: for a text that is too long or cannot be written, or a folder that holds no run.
    """
    text = text.strip()
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidSetting("note", f"the note holds a character that no text has: {error}") from error
    if length > LONGEST_NOTE:
        raise InvalidSetting(
            "note", f"the note has {length:,} bytes; at most {LONGEST_NOTE:,} are kept, shorten it"
        )
    path = directory / NOTE_FILE
    try:
        if not (directory / RUN_FILE).is_file():
            raise InvalidSetting("note", f"{directory.name!r} holds no run any more; the note was not kept")
        if text:
            write_text(path, text)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidSetting(
            "note", f"the note on run {directory.name!r} cannot be kept: {error.strerror or error}"
        ) from error
