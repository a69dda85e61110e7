import pytest

from reswork.errors import InvalidSetting
from reswork.experiment.presets import FAST, PAPERS, PRESETS, QUICK_LOOK, preset
from reswork.training.recipe import total_steps


def test_each_explains_itself() -> None:
    for name, each in PRESETS.items():
        assert each.name == name
        assert each.label and each.typical_time
        assert len(each.explanation.split()) > 25
        assert preset(name) is each


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(InvalidSetting, match="choose 'quick look', \"paper's\", 'fast'"):
        preset("slow")


def test_the_papers_numbers_are_the_papers() -> None:
    """He et al. 2015, section 4.2."""
    recipe = PAPERS.recipe
    assert (recipe.optimizer, recipe.momentum, recipe.nesterov) == ("sgd", 0.9, False)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.batch_size) == (0.1, 1e-4, 128)
    assert (recipe.schedule, recipe.milestones, recipe.decay_factor) == ("step", (0.5, 0.75), 0.1)
    assert total_steps(recipe, 50_000) == 64_000
    assert (recipe.augmentation.crop_padding, recipe.augmentation.flip) == (4, True)
    assert recipe.decay_norm_and_bias


def test_quick_look_takes_one_to_two_minutes_at_700_images_a_second() -> None:
    images = total_steps(QUICK_LOOK.recipe, 10_000) * QUICK_LOOK.recipe.batch_size
    assert 60 <= images / 700 <= 120


def test_fast_takes_a_twentieth_of_the_papers_steps_on_cifar() -> None:
    assert 0.04 <= total_steps(FAST.recipe, 50_000) / 64_000 <= 0.06
