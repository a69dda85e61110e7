import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import parts
from tests.parts import PAGES, PARTS, foreign, pytest_collection_modifyitems


class Item:
    def __init__(self, *marks: str, path: Path = Path(__file__)) -> None:
        self.get_closest_marker = lambda mark: mark in marks
        self.path = PAGES / "test_page.py" if "browser" in marks else path
        self.nodeid = f"{self.path}::test"


@pytest.mark.parametrize("wanted", ["together", *PARTS, None])
def test_each_part_has_its_tests_and_none_is_lost(wanted) -> None:
    of_part = {part: [Item(mark) for mark in marks] for part, marks in PARTS.items()}
    of_part["together"] = [Item(), Item("slow")]
    of_part["alone"].append(Item("slow", "serial"))
    items = [item for each in of_part.values() for item in each]
    gone: list[Item] = []
    config = SimpleNamespace(
        getoption=lambda _name: wanted,
        hook=SimpleNamespace(pytest_deselected=lambda items: gone.extend(items)),
    )
    left = items.copy()
    pytest_collection_modifyitems(config, left)
    assert {*left, *gone} == {*items} and not {*left} & {*gone}
    assert left == (items if wanted is None else of_part[wanted])


def test_a_test_whose_file_its_part_does_not_read_is_refused(tmp_path) -> None:
    """This file speaks of a serial one, so that "alone" reads it; one elsewhere with such a mark would be lost."""
    assert not foreign("alone", Path(__file__)) and not foreign("together", Path(__file__))
    assert foreign("pages", Path(__file__)) and foreign("together", PAGES / "test_page.py")
    config = SimpleNamespace(getoption=lambda _name: "together")
    with pytest.raises(pytest.UsageError, match="would run in no part: alone ignores its file"):
        pytest_collection_modifyitems(config, [Item("serial", path=tmp_path / "test_elsewhere.py")])


@pytest.mark.parametrize(
    ("failed", "again", "code", "said"),
    [
        ({}, 0, 0, ""),
        ({"pages": 1}, 0, 0, "passed when it was run once more: find out why: pages_0"),
        ({"together": 1, "pages": 1}, 0, 0, "passed when it was run once more: find out why: together_0"),
        ({"alone": 2}, 1, 1, "failed again: alone_1"),
        ({"together": 2, "pages": 1}, 0, 1, ""),  # no accident
    ],
)
def test_what_failed_is_run_once_more_and_loudly(failed, again, code, said, monkeypatch, capsys) -> None:
    def outcome(command):
        part = next(each for each in command if each.startswith("--part=")).split("=", 1)[1]
        cache = Path(next(each for each in command if each.startswith("cache_dir=")).split("=", 1)[1])
        if "--last-failed" in command:
            return again
        (cache / "v" / "cache").mkdir(parents=True)
        noted = {f"{part}_{place}": True for place in range(failed.get(part, 0))}
        (cache / "v" / "cache" / "lastfailed").write_text(json.dumps(noted))
        return int(bool(noted))

    def popen(command, **_how):
        code = outcome(command)
        return SimpleNamespace(wait=lambda: code)

    def run(command, **_how):
        return SimpleNamespace(returncode=outcome(command))

    monkeypatch.setattr(parts.subprocess, "Popen", popen)
    monkeypatch.setattr(parts.subprocess, "run", run)
    assert parts.main([]) == code
    told = capsys.readouterr().out
    assert said in told and ("A TEST THAT FAILED" in told) == bool(said)
