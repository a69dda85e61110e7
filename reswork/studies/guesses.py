"""What a learner guessed before each study, and how often that was right."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from reswork.store.atomic_files import read_json, write_json
from reswork.studies.study import StudyResult

_MOST_BYTES = 1_000_000


class GuessBook:
    """Guesses on disk; for each study the first one counts.

    Args:
        root: the folder of all studies.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "guesses.json"

    def guess(self, study: str, choice: str) -> None:
        """Note a guess; a second one for the same study is not noted."""
        noted = self._read()
        if study not in noted:
            noted[study] = {"guess": choice, "when": time.strftime("%Y-%m-%d %H:%M"), "answer": None}
            self._write(noted)

    def of(self, study: str) -> str | None:
        """What was guessed; None: nothing yet."""
        return self._read().get(study, {}).get("guess")

    def settle(self, result: StudyResult) -> bool | None:
        """Compare a guess with a complete result; None where nothing was guessed, or the result does not tell."""
        noted, name = self._read(), result.study.name
        answer = result.study.guess.answer(result) if result.is_complete else None
        if name not in noted or answer is None:
            return None
        if noted[name]["answer"] is None:  # later results with other settings do not change the score
            noted[name]["answer"] = answer
            self._write(noted)
        return bool(noted[name]["guess"] == answer)

    @property
    def score(self) -> tuple[int, int]:
        """Right guesses, and all that are settled."""
        settled = [each for each in self._read().values() if each["answer"] is not None]
        return sum(each["guess"] == each["answer"] for each in settled), len(settled)

    def _read(self) -> dict[str, dict[str, Any]]:
        with suppress(OSError, ValueError):
            noted = read_json(self._path, _MOST_BYTES)
            if isinstance(noted, dict) and all(
                isinstance(each, dict) and {"guess", "answer"} <= each.keys() for each in noted.values()
            ):
                return noted
        return {}

    def _write(self, noted: dict[str, dict[str, Any]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, noted)
