from types import SimpleNamespace

import pytest

from tests.two_passes import ALONE, pytest_collection_modifyitems


class Item:
    def __init__(self, *marks: str) -> None:
        self.get_closest_marker = lambda mark: mark in marks


@pytest.mark.parametrize("wanted", ["together", "alone", None])
def test_each_pass_has_its_tests_and_none_is_lost(wanted) -> None:
    items = [Item(), *(Item(mark) for mark in ALONE), Item("slow"), Item("slow", "serial")]
    gone: list[Item] = []
    config = SimpleNamespace(
        getoption=lambda _name: wanted,
        hook=SimpleNamespace(pytest_deselected=lambda items: gone.extend(items)),
    )
    left = items.copy()
    pytest_collection_modifyitems(config, left)
    assert {*left, *gone} == {*items} and not {*left} & {*gone}
    together = [items[0], items[-2]]
    others = [item for item in items if item not in together]
    assert left == {"together": together, "alone": others, None: items}[wanted]
