import pytest

from reswork import figures, recorders
from reswork.history import History
from reswork.recorders import CATALOGUE
from reswork.training.recorder import Recorder

VIEWS = [(quantity, view) for quantity in CATALOGUE for view in quantity.views]


@pytest.mark.parametrize("quantity", CATALOGUE, ids=lambda quantity: quantity.name)
def test_the_recorder_is_public_and_has_the_entrys_name(quantity) -> None:
    assert getattr(recorders, quantity.name) is quantity.make and quantity.name in recorders.__all__
    made = quantity.make(History())
    assert isinstance(made, Recorder) and made.name == quantity.name
    assert (made.interval.every if made.interval else 1) == quantity.every


@pytest.mark.parametrize(("quantity", "view"), VIEWS, ids=[view.figure for _, view in VIEWS])
def test_each_figure_is_public_and_drawn_from_what_the_recorder_writes(quantity, view) -> None:
    assert view.figure in figures.__all__ and view.needs in quantity.writes
    empty = getattr(figures, view.figure)(History())
    assert empty.layout.meta["summary"].startswith(("No ", "Nothing ")) and empty.layout.xaxis.title.text


def test_titles_and_figures_are_there_once() -> None:
    assert len({view.title for _, view in VIEWS}) == len({view.figure for _, view in VIEWS}) == len(VIEWS)
