import json

import jsonschema
import numpy as np
import pytest
from scipy.stats import bootstrap

from reswork.errors import InvalidSetting
from reswork.reporting.comparison import compare
from reswork.reporting.report import report
from reswork.reporting.saving import schema
from reswork.reporting.verdicts import Verdicts


@pytest.fixture(scope="module")
def given(predictions):
    """A model, and one that names 30 more images right."""
    better = predictions.probabilities.copy()
    rows = np.flatnonzero(~predictions.right)[:30]
    better[rows] = 0.05 + 0.75 * np.eye(5, dtype=np.float32)[predictions.labels[rows]]
    old = report(probabilities=predictions.probabilities, labels=predictions.labels)
    return old, report(probabilities=better, labels=predictions.labels)


@pytest.fixture(scope="module")
def found(given):
    old, new = given
    return new.against(old)


def test_before_and_after_are_the_reports_numbers_and_ours_by_weights_too(given, found):
    old, new = given
    for each in found.metrics:
        assert (each.before, each.after) == (old.metrics[each.name], new.metrics[each.name])
    assert {each.name for each in found.metrics} == set(new.metrics)
    flat = compare(new, old, draws=1)
    assert [each.name for each in flat.by_class["f1"]] == list(new.classes)
    for name in ("recall", "precision", "f1"):
        wanted = getattr(new.scores(), name)
        assert [each.after for each in found.by_class[name]] == pytest.approx(wanted.tolist())


def test_the_interval_is_that_of_scipys_paired_bootstrap(given, found):
    right = [each.predictions.right.astype(float) for each in given]
    wanted = bootstrap(
        (right[0], right[1]), lambda was, now, axis: now.mean(axis=axis) - was.mean(axis=axis), paired=True,
        vectorized=True, method="percentile", n_resamples=4000, rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    best = found.headline
    assert (best.low, best.high) == pytest.approx((wanted.low, wanted.high), abs=0.004)
    assert best.verdict == "better" and len(found.mended) == 30 and not len(found.broken)
    assert best.error_reduction == pytest.approx(30 / (~given[0].predictions.right).sum())
    assert found.p_value == pytest.approx(2 * 0.5**30) and "error reduced by" in str(found)


def test_of_the_draws_every_metric_of_a_resampled_set_is_the_reports(predictions):
    from reswork.reporting.comparison import _numbers

    rng = np.random.default_rng(0)
    rows = rng.integers(0, 600, 600)
    again = report(probabilities=predictions.probabilities[rows], labels=predictions.labels[rows])
    weights = np.bincount(rows, minlength=600).astype(float)
    metrics, by_class = _numbers(Verdicts.of(predictions), weights, 5)
    assert metrics == pytest.approx(again.metrics, abs=1e-5)
    assert by_class[0] == pytest.approx(again.scores().recall)


def test_files_say_the_same_and_pages_name_what_changed(given, found, tmp_path):
    old, new = given
    path = old.save(tmp_path / "old.json")
    assert str(new.against(path)) == str(found) == str(new.against(json.loads(path.read_text())))
    written = json.loads(new.save(tmp_path / "new.json", against=found).read_text())
    jsonschema.validate(written, schema())
    assert written["against"]["metrics"][1]["verdict"] in ("better", "worse", "")
    page = found.save(tmp_path / "both.html").read_text()
    assert "30 images that were wrong are right now" in page and "Recall by class" in page
    assert json.loads(found.save(tmp_path / "both.json").read_text())["mended"] == found.mended.tolist()
    assert '<section id="against">' in new.save(tmp_path / "new.html", against=found).read_text()
    with pytest.raises(InvalidSetting, match=r"choose \.html or \.json"):
        found.save(tmp_path / "both.txt")


def test_other_data_no_labels_and_no_reports_are_one_sentence(given, predictions, tmp_path):
    _, new = given
    few = report(probabilities=predictions.probabilities[:50], labels=predictions.labels[:50])
    bare = report(probabilities=predictions.probabilities)
    named = report(
        probabilities=predictions.probabilities, labels=predictions.labels, classes=["a", "b", "c", "d", "e"]
    )
    (tmp_path / "list.json").write_text("[1, 2]")
    for other, told in (
        (few, "other labels than .*50 and 600 images"), (bare, "has no labels"), (named, "other classes"),
        (tmp_path / "nothing.json", "cannot be read"), (tmp_path / "list.json", "is no JSON of a report"),
        ({"format": "reswork-report", "version": 1}, "of version 1"),
        ({**new.record(), "verdicts": {"labels": "?"}}, "cannot be read; write its JSON anew"),
    ):  # fmt: skip
        with pytest.raises(InvalidSetting, match=told):
            new.against(other)


def test_images_are_what_a_report_is_of_where_both_have_them(predictions, images):
    some = {"probabilities": predictions.probabilities[:200], "labels": predictions.labels[:200]}
    one, two = report(**some, images=images), report(**some, images=255 - images)
    with pytest.raises(InvalidSetting, match="other images"):
        one.against(two)
    assert one.against(report(**some)).headline.difference == 0
