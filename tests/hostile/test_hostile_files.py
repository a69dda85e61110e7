"""A part of the hand-made hostile files and a small campaign of mutated ones; the whole: python -m tests.hostile."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from reswork.errors import InvalidSetting
from tests.hostile.hand_made_data import data_sets, settings
from tests.hostile.hand_made_runs import good_run, hostile_runs
from tests.hostile.hand_made_weights import weights
from tests.hostile.mutations import campaign, mutated_json
from tests.hostile.opening import Case, Misbehaved, nothing_else, told

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow, numpy and torch warn of what is damaged

MUTATED = int(os.environ.get("RESWORK_HOSTILE_FILES", "600"))
EVERY_RUN = 12  # of a thousand hand-made run folders this part is opened here


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place that is looked at afterwards: nothing was run, and nothing written outside of ``files``."""
    for name in ("outside", "files", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    with nothing_else(tmp_path, "files", "cache", "good"):
        yield tmp_path
    assert not (tmp_path / "outside" / "sentinel").exists()


def all_answered(cases: Iterator[Case]) -> dict[str, int]:
    counts = {"opened": 0, "refused": 0}
    for case in cases:
        counts["opened" if told(case) == "opened" else "refused"] += 1
    return counts


@pytest.mark.slow
def test_weights_run_nothing_and_are_opened_or_refused(root: Path) -> None:
    counts = all_answered(weights(root / "files", root / "outside" / "sentinel"))
    assert counts["opened"] > 50 and counts["refused"] > 150


def test_settings_of_wrong_types_are_refused(root: Path) -> None:
    counts = all_answered(settings())
    assert counts["opened"] > 30 and counts["refused"] > 1_000


def test_data_sets_are_opened_or_refused(root: Path) -> None:
    counts = all_answered(data_sets(root / "files", root / "outside" / "sentinel"))
    assert counts["opened"] > 50 and counts["refused"] > 50


def test_folders_of_runs_are_opened_or_refused(root: Path) -> None:
    cases = hostile_runs(root / "files", good_run(root / "good"))
    counts = all_answered(case for number, case in enumerate(cases) if number % EVERY_RUN == 0)
    assert counts["opened"] > 30 and counts["refused"] > 20


def test_mutated_files_are_opened_or_refused(root: Path) -> None:
    counts = all_answered(campaign(root / "files", good_run(root / "good"), MUTATED, 0))
    assert counts["opened"] > 0.03 * MUTATED and counts["refused"] > 0.3 * MUTATED


def test_mutations_change_something() -> None:
    text = '{"depth": 20, "stage_blocks": [1, 2]}'
    assert sum(mutated_json(text, random.Random(seed)) != text for seed in range(100)) > 90


@pytest.mark.parametrize("error", [KeyError("a"), RecursionError(), MemoryError(), ValueError("bare")])
def test_the_judge_accepts_no_bare_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it(_what: object) -> None:
        raise error

    monkeypatch.setitem(told.__globals__["OPENERS"], "config", raise_it)
    with pytest.raises(Misbehaved, match=type(error).__name__):
        told(Case("x", "config", ""))


def test_the_judge_sees_what_is_written(tmp_path: Path) -> None:
    with pytest.raises(Misbehaved, match="written"), nothing_else(tmp_path, "files"):
        (tmp_path / "evil").write_text("")
    with nothing_else(tmp_path, "files"):
        (tmp_path / "files").mkdir()


def test_a_huge_value_makes_no_huge_sentence() -> None:
    error = InvalidSetting("depth", "depth=" + "9" * 10_000 + " is too much; choose 20")
    assert len(error.message) < 1_000 and error.message.endswith("choose 20") and str(error) == error.message
