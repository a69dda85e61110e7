import pytest

from reswork.training.recipe import Recipe
from reswork.widgets.recipe_panel import RecipePanel
from reswork.widgets.tree import close_tree


@pytest.fixture
def panel():
    panel = RecipePanel(1_000)
    yield panel
    close_tree(panel.view)


@pytest.mark.parametrize("choice", ["auto", True, False])
def test_the_form_takes_every_memory_format_and_gives_it_back(panel, choice: bool | str) -> None:
    panel.set(Recipe(channels_last=choice))
    assert panel.recipe is not None
    assert panel.recipe.channels_last == choice


def test_every_choice_of_every_menu_is_a_recipe_or_says_why_not(panel) -> None:
    for name in ("channels_last", "precision", "optimizer", "schedule"):
        control = panel.form.fields[name].control
        for _label, value in control._options_full:
            panel.set(Recipe())
            control.value = value
            assert panel.recipe is not None, (name, value, panel.form.fields[name].error)
