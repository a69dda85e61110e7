"""Each rule on a made record: it measures what it says, fires at its limit, and is silent on a good training."""

import json
from typing import Any

import numpy as np
import pytest

from reswork.datasets.augmentation import Augmentation
from reswork.diagnosis.catalogue import CAUSES, RULES, _reached, _told, judged
from reswork.diagnosis.facts import Facts
from reswork.models.config import ResNetConfig
from reswork.training.recipe import Recipe
from tests.diagnosis.healthy_facts import STEPS, facts

Changes = dict[str, dict[str, Any]]
BY_KIND = {rule.kind: rule for rule in RULES}
GUESS = np.log(10)


def _recipe(**settings: Any) -> Changes:
    return {"settings": {"recipe": Recipe(**{"steps": 200, "batch_size": 32, **settings})}}


def _loss(values: Any, **more: Any) -> Changes:
    return {"course": {"loss": np.broadcast_to(values, STEPS.shape).astype(float), **more}}


_RGB = {"input_std": np.ones(3), "test_std": np.ones(3)}
_POOR = {"score": np.full(200, 0.3)}
_SHRINKING = np.geomspace(2.0, 0.1, 6)[:, None] * np.ones(5)
_BEGUN = np.where(STEPS < 2, GUESS, 1.0)
_FAST = np.array([0.2, 0.01, 0.01, 0.01, 0.01, 0.01])[:, None] * np.ones(5)
_SWING = np.where(STEPS // 10 % 2, 2.0, 1.0)
_JUMP = np.where(STEPS < 2, GUESS, np.where(STEPS < 10, 3 * GUESS, 0.1))
_BROKEN = np.where(STEPS < 2, GUESS, np.where(STEPS < 10, 4 * GUESS, GUESS))

# kind -> spoiled beyond the limit, spoiled a little, what is measured of the first
CASES: dict[str, tuple[Changes, Changes, float]] = {
    "empty_inputs": ({"data": {"blank": 0.5}}, {"data": {"blank": 0.1}}, 0.5),
    "values_0_to_255": ({"data": {"input_std": [90.0]}}, {"data": {"input_std": [3.0]}}, 90.0),
    "unnormalised_inputs": ({"data": {"input_mean": [0.8]}}, {"data": {"input_mean": [0.2]}}, 0.8),
    "channels_swapped": (
        {"data": {**_RGB, "input_mean": [0.0, 0.5, 1.0], "test_mean": [1.0, 0.5, 0.0]}},
        {"data": {**_RGB, "input_mean": [0.0, 0.1, 0.1], "test_mean": [0.1, 0.1, 0.0]}},
        2 / 3,
    ),
    "test_inputs_differ": ({"data": {"test_mean": [1.0]}}, {"data": {"test_mean": [0.1]}}, 1.0),
    "labels_shuffled": (
        {"data": {"neighbours": 0.1, "neighbours_test": 0.1, "neighbours_matched": 0.1},
         "answers": {"test_score": 0.1, "matched_score": 0.1}},
        {"data": {"neighbours": 0.1, "neighbours_matched": 0.1}, "answers": {"test_score": 0.6, "matched_score": 0.6}},
        1.0,
    ),
    "labels_off_by_one": (
        {"data": {"neighbours_test": 0.0}, "answers": {"test_score": 0.0}},
        {"data": {"neighbours_test": 0.9}, "answers": {"test_score": 0.92}},
        0.93,
    ),
    "leakage": ({"data": {"copies": 0.2}}, {"data": {"copies": 0.005}}, 0.2),
    "imbalance": (
        {"data": {"counts": np.array([900.0, 10.0])}}, {"data": {"counts": np.array([300.0, 100.0])}}, 90.0
    ),
    "label_noise": ({"answers": {"doubtful": 0.2}}, {"answers": {"doubtful": 0.01}}, 0.2),
    "destructive_augmentation": (
        {**_recipe(augmentation=Augmentation(cutout=8)), "answers": {"augmented_score": 0.4}},
        {**_recipe(augmentation=Augmentation(cutout=2)), "answers": {"augmented_score": 0.95}},
        0.57,
    ),
    "softmax_before_loss": (
        {"answers": {"low": 0.0, "high": 1.0, "sum_error": 1e-6}}, {"answers": {"low": -1.0, "high": 1.0}}, 2.0
    ),
    "modes_confused": ({"answers": {"drift": 0.3}}, {"answers": {"drift": 1e-4}}, 0.3),
    "norm_statistics_frozen": ({"weights": {"untouched": [0, 1, 1]}}, {"weights": {"untouched": [0, 0, 0]}}, 2.0),
    "tiny_batch": (_recipe(batch_size=2), _recipe(batch_size=16), 0.5),
    "norm_statistics_wrong": (
        {"signals": {"mismatch": np.full(3, 4.0)}}, {"signals": {"mismatch": np.full(3, 0.3)}}, 4.0
    ),
    "not_in_optimizer": (
        {"course": {"updates": np.full((6, 5), 0.01) * [1, 0, 0, 1, 1]}},
        {"course": {"updates": np.full((6, 5), 1e-6)}},
        2.0,
    ),
    "no_gradient": (
        {"course": {"gradients": np.full((6, 5), 0.5) * [0, 1, 1, 1, 1]}},
        {"course": {"gradients": np.full((6, 5), 1e-6)}},
        1.0,
    ),
    "frozen_layers": (
        {"weights": {"trainable": [1, 0, 0, 0, 1]}},
        {"weights": {"trainable": [0, 1, 1, 1, 1]}, **_recipe(frozen=("conv1",))},
        3.0,
    ),
    "underflow": (
        {"weights": {"half": "bfloat16"}, "signals": {"lost": np.full(5, 0.9)}},
        {"signals": {"lost": np.full(5, 0.9)}},
        0.9,
    ),
    "exploding_gradients": (
        {"course": {"gradients": np.full((6, 5), 2e3)}, "weights": {"batch_norms": (), "untouched": []}},
        {"course": {"gradients": np.full((6, 5), 2e3)}},
        3.0,
    ),
    "vanishing_gradients": (
        {"course": {"gradients": np.full((6, 5), 0.5) * [1e-4, 1e-3, 1, 1, 1]}},
        {"course": {"gradients": np.full((6, 5), 0.5) * [0.3, 0.5, 1, 1, 1]}},
        4.0,
    ),
    "dead_units": ({"signals": {"dead": [0.6, 0.8]}}, {"signals": {"dead": [0.0, 0.3]}}, 0.7),
    "drowned_shortcut": ({"signals": {"branch": [50.0, 50.0]}}, {"signals": {"branch": [3.0, 3.0]}}, 50.0),
    "idle_branch": ({"signals": {"branch": [1.0, 1e-4]}}, {"signals": {"branch": [1.0, 0.2]}}, 4.0),
    "decay_kills": (
        {**_recipe(weight_decay=0.2), "course": {**_POOR, "norms": _SHRINKING}},
        {**_recipe(weight_decay=0.2), "course": _POOR},
        20.0,
    ),
    "over_regularised": (
        {"settings": {"config": ResNetConfig(dropout=0.9)}, "answers": {"train_score": 0.5}},
        {"settings": {"config": ResNetConfig(dropout=0.1)}, "answers": {"train_score": 0.5}},
        1.8,
    ),
    "rate_too_high": (
        _loss(5.0, updates=np.full((6, 5), 2.0)), _loss(5.0, updates=np.full((6, 5), 0.01)), 8.0
    ),
    "oscillating_loss": (_loss(_SWING), _loss(np.where(STEPS // 10 % 2, 1.05, 1.0)), 9 * (0.8 - 0.1054) / GUESS),
    "no_warmup": (_loss(_JUMP, updates=_FAST), {**_loss(_JUMP, updates=_FAST), **_recipe(warmup_epochs=1.0)}, 3.0),
    "rate_too_low": (
        {"course": {"updates": np.full((6, 5), 1e-5), **_POOR}, **_recipe(learning_rate=1e-4)},
        {"course": {"updates": np.full((6, 5), 1e-5), **_POOR}},  # at the usual rate something else is the cause
        5.0,
    ),
    "decayed_too_soon": (
        {"course": {"rates": np.where(np.arange(64) < 8, 0.1, 0.001), **_POOR}},
        {"course": {"rates": np.where(np.arange(64) < 48, 0.1, 0.001), **_POOR}},
        56 / 64,
    ),
    "constant_outputs": ({"answers": {"spread": 1e-5}}, {"answers": {"spread": 0.5}}, 5.0),
    "saturated_outputs": (_loss(_BEGUN + 100 * (STEPS < 2)), _loss(_BEGUN + 5 * (STEPS < 2)), 400.0),
    "overfitting": ({"answers": {"test_score": 0.6}}, {"answers": {"test_score": 0.93}}, 0.37),
    "underfitting": ({"answers": {"train_score": 0.5}}, {"answers": {"train_score": 0.92}}, 0.44),
    "loss_stands_still": (_loss(2.0), _loss(np.linspace(2.0, 1.0, 200)), 1.0),
    "guessing": (_loss(GUESS), _loss(1.0), 1.0),
}  # fmt: skip


def test_a_good_training_has_no_finding() -> None:
    found = judged(facts())
    assert not found and found.sentence == "" and not found.not_asked
    assert len(found.asked) == len(RULES) and "Nothing was found" in str(found)


def test_every_rule_has_a_case() -> None:
    assert CASES.keys() == BY_KIND.keys() and len(BY_KIND) == len(RULES)


@pytest.mark.parametrize("kind", CASES)
def test_a_rule_fires_from_its_limit_on(kind: str) -> None:
    rule, (spoiled, less, measure) = BY_KIND[kind], CASES[kind]
    finding = rule.finding(facts(**spoiled))
    assert finding is not None and finding.kind == kind
    assert finding.evidence.value == pytest.approx(measure, rel=1e-2)
    assert finding.evidence.limit == rule.limit <= finding.evidence.value
    assert rule.finding(facts(**less)) is None
    assert finding.sentence.endswith(".") and "nan" not in finding.sentence
    assert finding.figure().layout.meta["summary"]


@pytest.mark.parametrize("kind", CASES)
def test_a_spoiled_record_is_told_by_its_kind(kind: str) -> None:
    """Also among all rules: a cause is not taken for what it brings about."""
    assert kind in [finding.kind for finding in judged(facts(**CASES[kind][0]))]


def test_what_a_finding_brings_about_is_not_told_beside_it() -> None:
    told = judged(facts(answers={"drift": 0.3}, signals={"mismatch": np.full(3, 4.0)}))
    assert [(each.kind, each.explains) for each in told] == [("modes_confused", ("norm_statistics_wrong",))]


def test_a_symptom_is_not_told_beside_a_network_that_is_too_small() -> None:
    poor = {**_loss(GUESS), "answers": {"train_score": 0.2, "test_score": 0.2, "test_loss": GUESS}}
    told = judged(facts(**poor))
    assert [each.kind for each in told] == ["underfitting"]
    assert set(told[0].explains) == {"guessing", "loss_stands_still"}
    large = judged(facts(**poor, weights={"sizes": np.full(5, 4e4)}))
    assert [each.kind for each in large] == ["guessing"]


_UNEVEN = np.array([217.0, 93.0, 40.0, 17.0, 7.0, 3.0])


def _of_uneven(**data: Any) -> Facts:
    """Six unequal classes of images of which neither neighbours nor network say much, tested on equal ones."""
    shares = _UNEVEN / _UNEVEN.sum()
    agree = float(shares @ shares)  # of neighbours, if labels were drawn
    given = {
        "classes": 6, "images": 377, "counts": _UNEVEN, "test_counts": np.full(6, 60.0), "neighbours": agree,
        "neighbours_test": 0.17, "neighbours_matched": 0.2,
    }  # fmt: skip
    return facts(data={**given, **data}, answers={"classes": 6, "test_score": 0.19, "matched_score": 0.2})


def test_unequal_classes_alone_are_not_shuffled_labels() -> None:
    """Chance is that of the classes' own shares, and of the test images' where those are judged."""
    rule = BY_KIND["labels_shuffled"]
    assert rule.finding(_of_uneven()) is not None  # as labels that were drawn would have it
    assert rule.finding(_of_uneven(neighbours=0.5)) is None  # the most frequent class has 0.58
    assert rule.finding(_of_uneven(neighbours_test=0.3)) is None  # a sixth is chance there
    assert rule.finding(_of_uneven(neighbours_test=0.3, test_counts=_UNEVEN)) is not None


_LITTLE = {
    "answers": {"classes": 6, "train_score": 0.46, "test_score": 0.52, "train_loss": 1.43, "test_loss": 1.38,
                "matched_score": 0.52},
    "data": {"classes": 6, "counts": np.full(6, 160.0), "neighbours": 0.25, "neighbours_test": 0.3,
             "neighbours_matched": 0.3},
}  # fmt: skip


def test_wrong_labels_are_told_where_training_labels_are_worse_throughout_and_nothing_else_is_found() -> None:
    """Of a network that learned little: scores, neighbours and losses of both splits, summed in deviations."""
    finding = BY_KIND["label_noise"].finding(facts(**_LITTLE))
    assert finding is not None and finding.doubted and "46%" in finding.sentence and "30%" in finding.sentence
    by_score = (0.52 - 0.46) / (0.49 * 0.51 / 200) ** 0.5
    by_neighbours = (0.3 - 0.25) / (0.275 * 0.725 / 200) ** 0.5
    by_loss = np.log(1.43 / 1.38) / (1 / 200) ** 0.5
    assert finding.evidence.value == pytest.approx(0.08 * (by_score + by_neighbours + by_loss) / 1.3)
    large = {"weights": {"sizes": np.full(5, 4e4)}}
    assert [each.kind for each in judged(facts(**_LITTLE, **large))] == ["label_noise"]
    beside = judged(facts(**_LITTLE, **large, signals={"dead": [0.6, 0.8]}))
    assert [(each.kind, each.explains) for each in beside] == [("dead_units", ())]
    small = judged(facts(**_LITTLE))
    assert [(each.kind, each.explains) for each in small] == [("underfitting", ())]


def test_wrong_labels_are_not_asked_of_who_knows_too_little() -> None:
    alike = {**_LITTLE, "answers": {**_LITTLE["answers"], "train_score": 0.52, "train_loss": 1.38}}
    unlike = {**_LITTLE, "data": {**_LITTLE["data"], "test_counts": np.array([400.0, 20, 20, 20, 20, 20])}}
    for changed in (alike, unlike):
        changed["data"] = {**changed["data"], "neighbours": 0.3}
        assert "know too little" in judged(facts(**changed)).not_asked["label_noise"]
    assert "label_noise" in judged(facts(**_LITTLE)).asked


def test_wrong_labels_are_not_told_of_images_that_show_nothing() -> None:
    told = judged(facts(data={"blank": 0.5}, answers={"doubtful": 0.2}))
    assert [each.kind for each in told] == ["empty_inputs"]


def test_a_network_that_is_too_small_is_not_told_by_its_answers() -> None:
    same, small = {"spread": 1e-3, "scaled": 1.0}, {"sizes": np.full(5, 10.0)}
    rule = BY_KIND["constant_outputs"]
    assert rule.finding(facts(answers=same)) is None  # 500 weights, 1,000 images
    assert rule.finding(facts(answers=same, weights={"sizes": np.full(5, 400.0)})) is not None
    assert rule.finding(facts(answers={**same, "scaled": 0.0}, weights=small)) is not None


def test_idle_branches_explain_small_gradients_of_the_first_layers() -> None:
    both = {**CASES["idle_branch"][0], **CASES["vanishing_gradients"][0]}
    assert [(each.kind, each.explains) for each in judged(facts(**both))] == [
        ("idle_branch", ("vanishing_gradients",))
    ]


def test_of_kinds_that_bring_each_other_about_one_is_told() -> None:
    """Every set of kinds keeps at least one, and all others follow from those."""
    kinds = [rule.kind for rule in RULES if rule in CAUSES]
    for first in kinds:
        for second in kinds:
            both = sorted({first, second}, key=kinds.index)
            assert _told(both) and _reached(_told(both), both) == set(both)
    assert _reached(_told(kinds), kinds) == set(kinds)
    assert all(set(rule.brings) <= BY_KIND.keys() for rule in RULES)


def test_a_rule_whose_numbers_are_missing_is_not_asked() -> None:
    whole = facts()
    told = judged(Facts(weights=whole.weights, missing={"course": "a network alone has no record"}))
    assert told.not_asked["rate_too_low"] == "a network alone has no record"
    assert "frozen_layers" in told.asked and "Not asked, because" in str(told)


def test_facts_survive_json() -> None:
    whole = facts()
    again = Facts.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert json.dumps(again.to_dict()) == json.dumps(whole.to_dict())
    assert again.settings is not None and whole.settings is not None
    assert again.settings.recipe == whole.settings.recipe and again.settings.config == whole.settings.config


@pytest.mark.parametrize("count", [0, 1, 3, 25, 200])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e30])
def test_a_record_full_of_nonsense_breaks_no_rule(count: int, value: float) -> None:
    """What a run leaves that broke, or has hardly begun."""
    rows = min(count, 6)
    broken = facts(
        course={
            "steps": STEPS[:count],
            **{name: np.full(count, value) for name in ("loss", "score")},
            "rates": np.full(min(count, 64), value),
            **{name: np.full((rows, 5), value) for name in ("gradients", "updates", "norms")},
        },
        signals={name: np.full(2, value) for name in ("dead", "branch", "shortcut")},
        answers={name: value for name in ("train_loss", "spread", "range", "low", "high", "confidence")},
    )
    for rule in RULES:
        rule.finding(broken)
    assert len(judged(Facts(settings=broken.settings, course=broken.course))) <= len(RULES)


def test_the_noise_of_batches_is_no_swing() -> None:
    rule, noise = BY_KIND["oscillating_loss"], np.random.RandomState(0).normal(0, 0.6, len(STEPS))
    assert rule.finding(facts(**_loss(1.5 + noise))) is None
    assert rule.finding(facts(**_loss(1.5 + noise + 1.5 * _SWING))) is not None


def test_heavy_momentum_makes_small_swings_a_finding() -> None:
    swing = _loss(np.where(STEPS // 10 % 2, 1.06, 1.0))
    heavy = {**swing, **_recipe(momentum=0.99)}
    assert BY_KIND["oscillating_loss"].finding(facts(**swing)) is None
    measured = BY_KIND["oscillating_loss"].measure(facts(**heavy))
    assert measured is not None and measured.value == pytest.approx(10 * 0.432 / GUESS)
    assert measured.fix is not None and "momentum 0.99 → 0.9" in measured.fix.told_changes


def test_answers_that_were_large_within_the_network_are_not_called_saturated() -> None:
    begun = _loss(_BEGUN + 100 * (STEPS < 2))["course"]
    rule = BY_KIND["saturated_outputs"]
    assert rule.finding(facts(course=begun, answers={"scaled": 100.0})) is not None
    assert rule.finding(facts(course=begun, answers={"scaled": 1.0})) is None
    heavy = {
        **begun,
        "norms": np.full((6, 5), 50.0),
    }  # of 100 numbers each: a last layer that began too large
    assert rule.finding(facts(course=heavy, answers={"scaled": 1.0})) is not None


def test_a_step_after_which_the_loss_jumped_counts_more() -> None:
    rule, steps = BY_KIND["rate_too_high"], np.full((6, 5), 0.06)
    found = rule.measure(facts(**_loss(_BROKEN, updates=steps)))
    assert found is not None and found.value == pytest.approx(4 * 0.06)
    assert rule.finding(facts(**_loss(GUESS, updates=steps))) is None
    ended_worse = rule.measure(facts(**_loss(np.where(STEPS < 2, GUESS, 1.2 * GUESS), updates=steps)))
    assert ended_worse is not None and ended_worse.value == pytest.approx(4 * 0.06)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"learning_rate": 2.0}, "no_warmup"),
        ({"learning_rate": 2.0, "warmup_epochs": 1.0}, "rate_too_high"),
        ({}, "rate_too_high"),  # at the usual rate something else would be the matter with the start
    ],
)
def test_what_never_recovers_though_its_rate_fell_broke_at_the_start(
    settings: dict[str, Any], kind: str
) -> None:
    spoiled = {**_loss(_BROKEN, updates=_FAST), **_recipe(**settings)}
    told = {each.kind for each in judged(facts(**spoiled))}
    assert told & {"no_warmup", "rate_too_high"} == {kind}
    high = {**_loss(_BROKEN, updates=_FAST, rates=np.full(64, 2.0)), **_recipe(learning_rate=2.0)}
    assert "rate_too_high" in {each.kind for each in judged(facts(**high))}


def test_a_shortcut_that_a_training_drowned_is_not_the_cause() -> None:
    rule, drowned = BY_KIND["drowned_shortcut"], {"branch": [50.0, 50.0]}
    for first, expected in ((40.0, 40.0), (1.5, 1.5), (70.0, 50.0)):
        record = {"branch": [[0.9, first], [9.0, 50.0]], "shortcut": np.ones((2, 2))}
        measured = rule.measure(facts(signals=drowned, course=record))
        assert measured is not None and measured.value == expected
    broken = {
        "signals": {"branch": [np.nan, np.nan]},
        "course": {"branch": [[40.0, 1.0]], "shortcut": [[1.0, 1.0]]},
    }
    found = rule.finding(facts(**broken))
    assert found is not None and found.evidence.value == 40.0 and "a block is drowned" in found.sentence
    unknown = {"branch": np.full((2, 2), np.nan), "shortcut": np.full((2, 2), np.nan)}
    assert rule.finding(facts(signals=drowned, course=unknown)) is not None


def test_what_an_augmentation_hides_counts_where_the_network_does_not_cope() -> None:
    rule, hidden = BY_KIND["destructive_augmentation"], {"contrast_left": 0.2}
    cut = _recipe(augmentation=Augmentation(cutout=8))
    poor = {"train_score": 0.2, "augmented_score": 0.2}
    measured = rule.measure(facts(**cut, data=hidden, answers=poor))
    assert measured is not None and measured.value == pytest.approx(0.4)
    assert rule.finding(facts(**cut, data={"contrast_left": 0.9}, answers=poor)) is None
    assert rule.finding(facts(**cut, data=hidden, answers={"augmented_score": 0.95})) is None


def test_a_large_network_that_has_not_learned_yet_does_not_underfit() -> None:
    rule, poor = BY_KIND["underfitting"], {"train_score": 0.5}
    assert rule.finding(facts(answers=poor, weights={"sizes": np.full(5, 399.0)})) is not None
    assert rule.finding(facts(answers=poor, weights={"sizes": np.full(5, 400.0)})) is None
    little = facts(answers=poor, data={"neighbours": 0.3})  # where the nearest image says little
    assert rule.finding(little) is not None


def test_doubtful_labels_are_noise_where_the_test_split_has_fewer_or_the_network_is_good() -> None:
    rule = BY_KIND["label_noise"]
    poor = {"doubtful": 0.12, "doubtful_test": 0.1, "train_score": 0.3, "test_score": 0.3}
    assert rule.finding(facts(answers=poor)) is None
    assert rule.finding(facts(answers={**poor, "doubtful_test": 0.01})) is not None
    assert rule.finding(facts(answers={"doubtful": 0.12, "doubtful_test": 0.1})) is not None


def test_a_loss_that_is_larger_where_it_was_learned_from_is_a_witness_of_wrong_labels() -> None:
    rule, known = (
        BY_KIND["label_noise"],
        {"train_loss": 1.2, "test_loss": 1.0, "train_score": 0.5, "test_score": 0.5},
    )
    measured = rule.measure(facts(answers={**known, "doubtful": 0.035}))
    assert measured is not None and measured.value == pytest.approx(0.035 + 0.4 * np.log(1.2))
    assert "1.2 times" in measured.sentence
    guessing = rule.measure(facts(answers={**known, "doubtful": 0.035, "test_score": 0.15}))
    assert guessing is not None and guessing.value == pytest.approx(0.035)


@pytest.mark.parametrize(("rate", "told"), [(0.1, False), (1.0, True)])
def test_a_small_jump_tells_a_missing_warm_up_where_the_rate_is_high(rate: float, told: bool) -> None:
    jump = np.where(STEPS < 2, GUESS, np.where(STEPS < 10, 1.3 * GUESS, 0.1))
    found = judged(facts(**_loss(jump, updates=_FAST), **_recipe(learning_rate=rate)))
    assert ("no_warmup" in [each.kind for each in found]) == told


def test_one_wrong_norm_among_many_is_named() -> None:
    rule, one = BY_KIND["norm_statistics_wrong"], {"mismatch": np.array([0.1, 2.0, 0.1])}
    found = rule.finding(facts(signals=one))
    assert (
        found is not None
        and "of layer1.0.bn1 do not fit" in found.sentence
        and "off by 2.0" in found.sentence
    )
    assert rule.finding(facts(signals=one, **_recipe(augmentation=Augmentation(cutout=4)))) is None


def test_what_begins_at_0_neither_vanishes_nor_explodes() -> None:
    gradients, norms = np.full((6, 5), 0.5), np.full((6, 5), 2.0)
    gradients[0, :3], norms[0, 2] = 1e-5, 1e-3  # the first step of branches whose last weights begin at 0
    record = {"gradients": gradients, "norms": norms, "updates": np.where(norms < 0.01, 9.0, 0.01)}
    for first in (9.0, np.inf, np.nan):  # nothing can be said of a step from 0, nor of one from 0 to 0
        record["updates"][0, 2] = first
        spoiled = facts(course=record, weights={"batch_norms": (), "untouched": []})
        assert not {"vanishing_gradients", "exploding_gradients"} & {each.kind for each in judged(spoiled)}


def test_few_images_learned_by_heart_say_nothing_of_shuffled_labels() -> None:
    spoiled = CASES["labels_shuffled"][0]
    few = {**spoiled, "data": {**spoiled["data"], "images": 60}}
    assert BY_KIND["labels_shuffled"].measure(facts(**few)) is None


@pytest.mark.parametrize(
    ("kind", "field", "new"),
    [
        ("vanishing_gradients", "weights", "fresh"),
        ("dead_units", "weights", "fresh"),
        ("tiny_batch", "batch_size", 32),
        ("no_warmup", "warmup_epochs", 1.0),
        ("frozen_layers", "requires_grad", True),
        ("labels_off_by_one", "test labels", "renamed"),
    ],
)
def test_a_fix_names_what_it_changes(kind: str, field: str, new: object) -> None:
    spoiled = CASES[kind][0]
    if kind == "vanishing_gradients":
        spoiled = {**spoiled, "settings": {"config": ResNetConfig(depth=14, residual=False, norm="none")}}
    finding = BY_KIND[kind].finding(facts(**spoiled))
    assert finding is not None and finding.fix is not None and finding.fix.can_branch
    assert new in [change.new for change in finding.fix.changes if change.field == field]


def test_batches_in_parts_are_put_together_and_made_larger() -> None:
    finding = BY_KIND["tiny_batch"].finding(facts(**_recipe(batch_size=6, accumulate=2, learning_rate=0.02)))
    assert finding is not None and finding.fix is not None
    assert {change.field: change.new for change in finding.fix.changes} == {
        "accumulate": 1, "batch_size": 32, "learning_rate": pytest.approx(0.1),
    }  # fmt: skip


def test_a_network_that_is_not_as_its_settings_say_is_built_anew() -> None:
    idle = CASES["idle_branch"][0]
    by_hand, untouched = (
        BY_KIND["idle_branch"].finding(facts(**idle, weights={"altered": altered}))
        for altered in (("layer1.0.bn2",), ())
    )
    assert by_hand is not None and by_hand.fix is not None and by_hand.fix.fresh
    assert "layer1.0.bn2 is not what" in by_hand.fix.sentence
    assert untouched is not None and untouched.fix is not None and not untouched.fix.can_branch
