from dataclasses import replace
from pathlib import Path

import pytest

from reswork.datasets import Augmentation
from reswork.errors import InvalidSetting
from reswork.store.differences import compare_settings
from reswork.store.seed_groups import common_start, seed_groups
from reswork.training.recipe import Recipe
from tests.store.made_runs import HOSTILE, made_run

RECIPE = Recipe(steps=20, batch_size=8)


def test_only_settings_that_differ_are_listed(tmp_path: Path) -> None:
    other = replace(RECIPE, learning_rate=0.05, nesterov=True, augmentation=Augmentation(flip=True), seed=3)
    found = compare_settings(
        [
            made_run(tmp_path, "a", recipe=RECIPE),
            made_run(tmp_path, "b", depth=20, recipe=other, data="fashion"),
        ]
    )
    assert found.names == ("a", "b")
    assert found.rows == {
        "network: kind": ("ResNet-8", "ResNet-20"),
        "network: depth": ("8", "20"),
        "network: stage_blocks": ("[1, 1, 1]", "[3, 3, 3]"),
        "recipe: learning_rate": ("0.1", "0.05"),
        "recipe: nesterov": ("off", "on"),
        "recipe: seed": ("0", "3"),
        "augmentation: flip": ("off", "on"),
        "data: name": ("digits", "fashion"),
    }
    lines = repr(found).splitlines()
    assert lines[0].split() == ["a", "b"]
    assert lines[4].split() == ["recipe:", "learning_rate", "0.1", "0.05"]


def test_what_is_left_automatic_is_no_difference_to_what_it_stands_for(tmp_path: Path) -> None:
    a = made_run(tmp_path, "a")
    b = made_run(tmp_path, "b", config=a.config.resolved().to_dict())
    assert compare_settings([a, b]).rows == {}
    assert "same network, recipe and data" in repr(compare_settings([a, b]))


def test_a_network_that_was_not_built_here_differs_by_what_it_lacks(tmp_path: Path) -> None:
    a, b = made_run(tmp_path, "a"), made_run(tmp_path, "b", config=None)
    assert compare_settings([a, b]).rows["network: width"] == ("4", "–")


def test_names_are_escaped_in_html(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, f"run {place}", data=name) for place, name in enumerate(HOSTILE)]
    html = compare_settings(runs)._repr_html_()
    assert "<img" not in html and "<script" not in html and "<b>" not in html
    assert "$\\href" not in html.replace("<span>&#36;</span>", "")
    assert "&lt;img src=x onerror" in html


def test_one_run_and_an_unreadable_one_are_refused(tmp_path: Path) -> None:
    run = made_run(tmp_path, "a")
    with pytest.raises(InvalidSetting, match="at least two"):
        compare_settings([run])
    with pytest.raises(InvalidSetting, match="run 'a' cannot be read"):
        compare_settings([run, replace(run, unreadable="it is damaged")])


def test_runs_that_differ_only_in_the_seed_come_together(tmp_path: Path) -> None:
    deep = [made_run(tmp_path, f"deep-seed-{k}", depth=20, recipe=replace(RECIPE, seed=k)) for k in range(3)]
    alone = made_run(tmp_path, "alone", recipe=replace(RECIPE, learning_rate=0.2))
    pair = [made_run(tmp_path, name, recipe=replace(RECIPE, seed=k)) for k, name in enumerate(("x", "y"))]
    found = seed_groups([pair[0], *deep, alone, pair[1], replace(alone, unreadable="damaged")])
    assert {name: [run.name for run in runs] for name, runs in found.items()} == {
        "ResNet-8": ["x", "y"],
        "deep": ["deep-seed-0", "deep-seed-1", "deep-seed-2"],
        "alone": ["alone"],
    }


def test_no_group_is_lost_when_two_would_have_one_name(tmp_path: Path) -> None:
    runs = [
        made_run(tmp_path, f"net-{k}", recipe=replace(RECIPE, seed=k % 2, weight_decay=0.1 * (k // 2)))
        for k in range(4)
    ]
    assert list(seed_groups(runs)) == ["net", "net (2)"]


@pytest.mark.parametrize(
    ("names", "start"),
    [(["a-seed-1", "a-seed-12"], "a"), (["x", "y"], ""), (["same", "same"], "same"), (["a", "ab"], "a")],
)
def test_common_start(names: list[str], start: str) -> None:
    assert common_start(names) == start
