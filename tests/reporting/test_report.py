import csv
import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import torch
from torch import nn

import reswork as rw
from reswork.datasets import digits, shapes
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.reporting.answers import predictions_of, probabilities
from reswork.reporting.contents import SPLIT, chosen_slices, colourings, mapped
from reswork.reporting.report import Report, _object_sizes, report
from reswork.reporting.saving import csv_text, schema
from reswork.reporting.slices import wilson
from reswork.training.evaluation import evaluate


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits().subset(200, 160)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return rw.resnet(depth=8, width=4, in_channels=1)


@pytest.fixture(scope="module")
def filled(model, data) -> Report:
    found = report(model, data, robustness_images=40)
    assert list(found.fill()) == [each.name for each in found.plan() if not each.missing]
    return found


def test_the_numbers_are_those_of_the_evaluation(filled, model, data):
    wanted = evaluate(model, data)
    assert {name: filled.metrics[name] for name in wanted.metrics} == pytest.approx(
        dict(wanted.metrics), abs=1e-5
    )
    assert np.array_equal(filled.scores().confusion, wanted.tables["confusion"])


def test_the_model_is_as_it_was_and_may_be_training(model, data):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    state = torch.get_rng_state()
    _ = report(model, data).metrics
    assert model.training and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_every_stage_has_an_embedding_and_any_layer_when_asked(filled):
    assert list(filled.predictions.embeddings) == ["layer1.0", "layer2.0", "layer3.0"]
    assert filled.embedding().layer == "layer3.0" and filled.embedding("conv1").points.shape == (160, 2)
    with pytest.raises(InvalidSetting, match="'nowhere' is not a layer"):
        filled.embedding("nowhere")
    with pytest.raises(InvalidSetting, match="choose 'pca', 'tsne', 'umap'"):
        filled.embedding(method="mds")


def test_training_images_lie_on_the_map_where_scikit_learn_puts_them(filled, model, data):
    from sklearn.decomposition import PCA

    found = filled.embedding(training=True)
    assert len(found.points) == 160 and np.array_equal(found.training_images, np.arange(len(data.train)))
    swapped = report(model, replace(data, train=data.test, test=data.train))
    both = [each.predictions.embeddings["layer3.0"] for each in (filled, swapped)]
    wanted = np.abs(PCA(2).fit_transform(np.concatenate(both)))
    assert np.abs(np.concatenate([found.points, found.training])) == pytest.approx(wanted, abs=1e-4)
    shown = mapped(filled, found, SPLIT)
    names = {each["name"]: each["customdata"][3] for each in shown.data}
    assert names == {"training images": "train image 3", "test images": "test image 3"}
    assert f"{len(data.train)} training images and 160 test images by" in shown.layout.meta["summary"]
    assert SPLIT not in colourings(report(probabilities=filled.predictions.probabilities))
    with pytest.raises(InvalidSetting, match="a model and its data"):
        report(probabilities=filled.predictions.probabilities, embeddings=both[0]).embedding(training=True)


def test_pca_and_tsne_are_scikit_learns(filled):
    from sklearn.decomposition import PCA

    values = filled.predictions.embeddings["layer3.0"]
    found = filled.embedding()
    assert np.abs(found.points) == pytest.approx(np.abs(PCA(2).fit_transform(values)), abs=1e-4)
    assert found.explained.sum() <= 1
    shown = filled.embedding(method="tsne")
    assert shown.points.shape == (160, 2) and np.isnan(shown.explained).all()
    near = np.linalg.norm(shown.points[:, None] - shown.points, axis=2).argsort(axis=1)[:, 1:6]
    true = np.linalg.norm(values[:, None] - values, axis=2).argsort(axis=1)[:, 1:6]
    assert np.mean([len(np.intersect1d(*pair)) for pair in zip(near, true, strict=True)]) > 2


def test_curves_begin_at_the_score_of_the_same_images(filled, model, data):
    found = filled.robustness()
    assert found.scores.shape == (7, 5) and len(found.images) == 40
    few = Dataset("few", data.train, data.test.take(torch.from_numpy(found.images)), data.classes, data.mean,
                  data.std, "")  # fmt: skip
    assert found.clean == pytest.approx(evaluate(model, few).metrics["top1"])
    low, high = wilson(round(found.scores[0, 0] * 40), 40)
    assert (found.low[0, 0], found.high[0, 0]) == pytest.approx((low, high))


def test_sections_say_beforehand_what_they_cost_and_can_be_stopped(model, data):
    found = report(model, data, robustness_images=40)
    plan = found.plan()
    assert all(each.seconds > 0 and not each.done for each in plan)
    assert [each.name for each in plan if each.missing] == ["masks"] and "about" in repr(found)
    for name in found.fill():
        if name == "mistakes":
            found.stop()
    assert [each.name for each in found.plan() if each.done] == [
        "scores",
        "calibration",
        "coverage",
        "mistakes",
    ]
    assert "robustness" in list(found.fill(["robustness"]))


def test_duplicates_alone_do_not_ask_the_model(model, data):
    found = report(model, data)
    found.duplicates()
    assert found._subject.predictions is None


def test_thresholds_are_moved_without_asking_anew(filled, model, data, monkeypatch):
    from reswork.reporting.duplicates import duplicates

    counts = {name: len(filled.found(name)) for name in ("outliers", "label_issues", "duplicates")}
    monkeypatch.setattr("reswork.reporting.report.predictions_of", None)
    try:
        images = data.test.images.numpy()
        wanted = duplicates(images, data.train.images.numpy(), threshold=0.7)
        found = filled.move_threshold("duplicates", 0.7)
        assert found.first.tolist() == wanted.first.tolist() and filled.duplicates() is found
        for name in ("outliers", "label_issues"):
            value, low, high = filled.threshold(name)
            assert low <= value <= high
            ends = sorted(len(filled.move_threshold(name, end)) for end in (low, high))
            assert ends[0] <= counts[name] <= ends[1] and ends[0] < ends[1]
        with pytest.raises(InvalidSetting, match="'scores' has no threshold"):
            filled.move_threshold("scores", 1)
        with pytest.raises(InvalidSetting, match="is no threshold"):
            filled.move_threshold("outliers", float("nan"))
    finally:
        for name in counts:
            usual = {
                "duplicates": 0.8,
                "label_issues": 1.0,
                "outliers": filled._candidates["outliers"].threshold,
            }
            filled.move_threshold(name, usual[name])
    assert {name: len(filled.found(name)) for name in counts} == counts


def test_a_slice_that_a_person_chose_is_in_every_file(model, data, tmp_path):
    found = report(model, data)
    kept = found.keep_slice("<b>odd", [5, 3, 5])
    wrong = ~found.predictions.right
    assert kept.images.tolist() == [3, 5] and kept.rate == wrong[[3, 5]].mean()
    assert kept.elsewhere == pytest.approx(np.delete(wrong, [3, 5]).mean())
    assert (kept.low, kept.high) == pytest.approx(wilson(kept.errors, 2)) and np.isnan(kept.p_value)
    list(found.fill(["scores"]))
    text = "".join(each for each in chosen_slices(found) if isinstance(each, str))
    assert "&lt;b&gt;odd" in text and "<b>odd" not in text
    assert csv_text(found, "kept_slices").splitlines()[1].startswith("<b>odd,3,")
    for name, images, told in (("", [1], "has no name"), ("x", [], "one or more"), ("x", [160], "0 to 159")):
        with pytest.raises(InvalidSetting, match=told):
            found.keep_slice(name, images)


def test_the_size_of_the_object_is_a_column_where_it_is_known():
    data = shapes(12, 30)
    masks, boxes = data.extras["test_masks"], data.extras["test_boxes"]
    by_mask = _object_sizes(data)["size of the object"]
    assert by_mask == pytest.approx(masks.float().mean(dim=(1, 2)).numpy())
    by_box = _object_sizes(replace(data, extras={"test_boxes": boxes}))["size of the object"]
    assert (by_box >= by_mask).all() and by_box[0] == pytest.approx(
        float((boxes[0, 2] - boxes[0, 0]) * (boxes[0, 3] - boxes[0, 1])) / 32**2
    )
    asked = report(rw.resnet(depth=8, width=2, num_classes=6), data)
    assert list(asked.predictions.columns) == ["size of the object"] and not _object_sizes(digits())


def test_stopping_while_the_model_is_asked_leaves_nothing_half_done(model, data):
    found = report(model, data)
    walk = found.fill()
    found._subject.stopped = lambda: True
    assert list(walk) == [] and found.found("scores") is None


def test_predictions_alone_with_what_they_allow(predictions, images):
    bare = report(probabilities=predictions.probabilities)
    assert list(bare.fill()) == [] and not bare.judged
    with pytest.raises(InvalidSetting, match="'Scores' needs one label for each image"):
        _ = bare.metrics
    some = report(probabilities=predictions.probabilities[:200], images=images, train_images=images[:3])
    assert list(some.fill()) == ["duplicates"] and len(some.duplicates().leaks) == 3
    judged = report(probabilities=predictions.probabilities, labels=predictions.labels, classes=list("abcde"))
    assert judged.metrics["top1"] == pytest.approx(predictions.right.mean(), abs=1e-6)
    with pytest.raises(InvalidSetting, match="needs embeddings, or a model"):
        judged.outliers()


def test_neither_both_or_something_else_is_one_sentence(model, data, predictions):
    for given, told in (
        ({}, "neither a model nor"),
        ({"model": model, "probabilities": predictions.probabilities}, "both a model and"),
        ({"model": model}, "data is a NoneType"),
        ({"model": "net", "data": data}, "model is a str"),
        ({"data": data, "probabilities": predictions.probabilities}, "data goes with a model"),
        (
            {"probabilities": predictions.probabilities, "train_images": np.zeros((1, 1, 2, 2), np.uint8)},
            "images=",
        ),
    ):
        with pytest.raises(InvalidSetting, match=told):
            report(**given)
    with pytest.raises(InvalidSetting, match=r"the shape must be \(160, 10\)"):
        _ = report(rw.resnet(depth=8, width=2, in_channels=1, num_classes=4), data).metrics
    with pytest.raises(InvalidSetting, match="no section; choose scores"):
        list(report(model, data).fill(["nothing"]))


def test_a_model_that_answers_with_probabilities_is_not_softened_twice(model, data):
    softened = nn.Sequential(model, nn.Softmax(1))
    one, two = predictions_of(model, data, ()), predictions_of(softened, data, ())
    assert np.allclose(one.probabilities, two.probabilities, atol=1e-6)
    assert torch.equal(probabilities(torch.tensor([[0.25, 0.75]])), torch.tensor([[0.25, 0.75]]))


def test_json_follows_its_schema_and_lists_are_csv(filled, tmp_path, predictions):
    written = json.loads(filled.save(tmp_path / "report.json").read_text())
    jsonschema.validate(written, schema())
    assert written["metrics"] == pytest.approx(filled.metrics) and written["left_out"].keys() == {"masks"}
    bare = report(probabilities=predictions.probabilities)
    jsonschema.validate(json.loads(bare.save(tmp_path / "bare.json").read_text()), schema())
    folder = filled.save(tmp_path / "lists")
    assert {each.name for each in folder.iterdir()} == {
        "label_issues.csv", "mistakes.csv", "duplicates.csv", "outliers.csv", "slices.csv"
    }  # fmt: skip
    with open(folder / "mistakes.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "label", "predicted", "confidence"] and len(rows) == 1 + len(
        filled.mistakes().images
    )
    with pytest.raises(InvalidSetting, match=r"choose \.html, \.json"):
        filled.save(tmp_path / "report.xlsx")


@pytest.mark.parametrize("world", ["tables", "signals", "text"])
def test_of_other_inputs_there_is_what_needs_no_images(world):
    made = {
        "tables": rw.datasets.cancer,
        "signals": lambda: rw.datasets.pulses(40, 40),
        "text": rw.datasets.languages,
    }
    data = made[world]().subset(40, 60 if world == "tables" else 40)
    network = rw.resnet(rw.config_for(data, width=8))
    found = report(network, data)
    metrics = evaluate(network, data).metrics
    assert found.metrics["top1"] == pytest.approx(metrics["top1"]) and found.images is None
    done = list(found.fill())
    assert "calibration" in done and "robustness" not in done and "duplicates" not in done
    if world == "tables":
        assert set(data.features[:30]) == set(found.columns)
        assert found.slices().looked_at > 0


def test_masks_of_volumes_are_refused_in_a_sentence():
    solids = rw.datasets.solids(train=2, test=2, size=12)
    with pytest.raises(InvalidSetting, match="are volumes with masks: a report on masks is of images"):
        report(rw.resnet(rw.config_for(solids, width=2)), solids)


def test_boxes_have_no_report():
    data = rw.datasets.scattered(train=8, test=4, size=16)
    with pytest.raises(InvalidSetting, match="has boxes; a report is about classes"):
        report(rw.detector(num_classes=len(data.classes)), data)
