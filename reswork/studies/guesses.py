"""What a learner guessed before each study, and how often that was right."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from reswork.store.atomic_files import read_json, write_json
from reswork.studies.study import StudyResult

_MOST_BYTES = 1_000_000


class GuessBook:
    """Guesses on disk; of each kind the first one for a study counts.

    Args:
        root: the folder of all studies.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "guesses.json"

    def guess(self, study: str, choice: Any, *, shown: bool = False) -> None:
        """Note a guess; a second one for the same study is not noted.

        Args:
            study: its name.
            choice: one of the choices; a curve, place to value; or the name of a block.
            shown: whether it was drawn or pointed at.
        """
        noted, name = self._read(), _name(study, shown)
        if name not in noted:
            noted[name] = {"guess": choice, "when": time.strftime("%Y-%m-%d %H:%M"), "answer": None}
            self._write(noted)

    def of(self, study: str, *, shown: bool = False) -> Any:
        """What was guessed; None: nothing yet."""
        return self._read().get(_name(study, shown), {}).get("guess")

    def settle(self, result: StudyResult) -> bool | None:
        """Compare a guess with a complete result; None where nothing was guessed, or the result does not tell."""
        answer = result.study.guess.answer(result) if result.is_complete else None
        return self._settle(_name(result.study.name, False), answer, lambda guess, answer: guess == answer)

    def settle_shown(self, result: StudyResult) -> bool | None:
        """Likewise for what was drawn or pointed at."""
        shown = result.study.shown
        if shown is None or not result.is_complete:
            return None
        return self._settle(_name(result.study.name, True), shown.answer(result), shown.is_right)

    @property
    def score(self) -> tuple[int, int]:
        """Right guesses, and all that are settled."""
        settled = [each for each in self._read().values() if each["answer"] is not None]
        return sum(each.get("right", each["guess"] == each["answer"]) for each in settled), len(settled)

    def _settle(self, name: str, answer: Any, is_right: Callable[[Any, Any], bool | None]) -> bool | None:
        noted = self._read()
        if name not in noted or answer is None:
            return None
        right = is_right(noted[name]["guess"], answer)
        if (
            right is not None and noted[name]["answer"] is None
        ):  # later results with other settings change no score
            noted[name] |= {"answer": answer, "right": right}
            self._write(noted)
        return right

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


def _name(study: str, shown: bool) -> str:
    return f"{study}/shown" if shown else study
