from types import SimpleNamespace

import pytest

from tests.parts import PARTS, pytest_collection_modifyitems


class Item:
    def __init__(self, *marks: str) -> None:
        self.get_closest_marker = lambda mark: mark in marks


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
