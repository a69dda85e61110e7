from pathlib import Path
from types import SimpleNamespace

import pytest

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
