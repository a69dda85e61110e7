import json
from dataclasses import replace

import numpy as np
import pytest

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.studies.guesses import GuessBook
from reswork.studies.settings import TrainingSettings
from reswork.studies.study import DrawnGuess, Estimate, StudyResult
from tests.studies.made_study import SumSettings, made_study


def test_a_result_grows_is_kept_and_is_shown_again_without_computing(folder):
    computed: list[int] = []
    study = made_study(computed)
    assert study.kept(folder=folder) is None
    seen = [result.share for result in study.results(folder=folder)]
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) == 5
    assert computed == [0, 1, 2, 3]
    again = made_study(computed)(folder=folder)
    assert computed == [0, 1, 2, 3] and again.numbers["sum"].tolist() == [0, 1, 2, 3]
    assert again.verdict.state == "repeated" and again.is_complete and again.machine
    made_study(computed)(folder=folder, again=True)
    assert len(computed) == 8
    made_study(computed)(folder=folder, steps=2)
    assert len(computed) == 10, "other settings are another result"


def test_what_was_stopped_is_kept_and_gone_on_with(folder):
    computed: list[int] = []
    study = made_study(computed)
    results = study.results(folder=folder)
    next(results), next(results)
    results.close()
    kept = study.kept(folder=folder)
    assert kept.share == 0.5 and kept.verdict.state == "open" and "50%" in kept.verdict.sentence
    assert study(folder=folder).is_complete and computed == [0, 1, 2, 3]


def test_damaged_files_mean_the_beginning(folder):
    computed: list[int] = []
    study = made_study(computed)
    study(folder=folder)
    (numbers,) = folder.rglob("numbers.safetensors")
    numbers.write_bytes(b"nothing")
    assert study.kept(folder=folder) is None and study(folder=folder).is_complete and len(computed) == 8


@pytest.mark.parametrize(
    ("given", "field", "told"),
    [
        ({"steps": 0}, "steps", "from 1 to"),
        ({"steps": 2.5}, "steps", "a whole number"),
        ({"steps": True}, "steps", "a whole number"),
        ({"places": ()}, "places", "one or several"),
        ({"places": (1, 1)}, "places", "twice"),
        ({"places": (1, 10)}, "places", "from 1 to 9"),
        ({"kind": "odd"}, "kind", "choose 'plain', 'fancy'"),
        ({"is_loud": 1}, "is_loud", "True or False"),
        ({"speed": 1}, "speed", "choose steps, places"),
    ],
)
def test_settings_that_cannot_work_get_one_sentence(given, field, told):
    with pytest.raises(InvalidSetting, match=told) as refused:
        made_study([]).settings(**given)
    assert refused.value.field == field


def test_settings_go_to_json_and_back():
    settings = SumSettings(places=[3, 4])
    assert SumSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    surface = rw.studies.loss_surface
    assert json.dumps(surface.settings(extent=1).to_dict()) == json.dumps(surface.toy.to_dict())
    with pytest.raises(InvalidSetting, match="are not those of sum"):
        made_study([]).settings(TrainingSettings())


def test_the_first_guess_counts_and_the_score_is_kept(folder):
    study = made_study([])
    book = GuessBook(folder)
    assert book.score == (0, 0) and book.settle(study(folder=folder)) is None
    book.guess("sum", "up")
    book.guess("sum", "down")
    assert GuessBook(folder).of("sum") == "up"
    assert book.settle(study(folder=folder)) is True and GuessBook(folder).score == (1, 1)
    (folder / "guesses.json").write_text("[1]")
    assert book.score == (0, 0)


def test_a_drawn_guess_counts_beside_the_picked_one(folder):
    shown = DrawnGuess(
        "Draw it?", "step", "sum", 10, lambda settings: tuple(map(str, range(settings.steps))),
        lambda result: result.numbers["sum"], lambda drawn, real: abs(drawn - real).max() < 1, "right is near",
    )  # fmt: skip
    study, book = replace(made_study([]), shown=shown), GuessBook(folder)
    result = study(folder=folder)
    assert book.settle_shown(result) is None
    book.guess("sum", "down")
    book.guess("sum", {"0": 0.4, "1": 0.9, "2": 2.0, "3": 3.0}, shown=True)
    book.guess("sum", {"0": 9.0}, shown=True)
    assert book.settle_shown(study(folder=folder, steps=2)) is None, "another number of points"
    assert book.settle_shown(result) is True and book.settle(result) is False
    assert GuessBook(folder).score == (1, 2)


@pytest.mark.parametrize("name", ["degradation", "without_norm", "lesions"])
def test_what_is_drawn_or_pointed_at_is_told_by_the_numbers(name):
    study = rw.studies.catalogue()[name]
    numbers = {
        "degradation": {"plain/8/test": np.array([[0.9, 0.1]]), "plain/14/test": np.array([[0.9, 0.6]])},
        "without_norm": {f"He initialisation/{depth}/test": np.array([[depth / 20]]) for depth in (8, 14)},
        "lesions": {"residual/one": np.array([[0, 0.1, 0.2, 0, 0.9, 0], [0, 0.1, 0.4, 0, 0.5, 0.05]])},
    }[name]
    more = {"depth": 14, "deleted": (1,)} if name == "lesions" else {"depths": (8, 14)}
    result = StudyResult(study, study.settings(**more), numbers, 1.0, "", 0, 0, "", "")
    answer, shown = study.shown.answer(result), study.shown
    if name == "lesions":
        assert [*answer][:3] == ["layer3.0", "layer2.0", "layer1.1"] and shown.is_right("layer1.1", answer)
        assert answer["layer3.0"] == pytest.approx(70) and shown.is_right("layer9.0", answer) is None
        assert not shown.is_right("layer3.1", answer)
        return
    assert [*answer] == ["depth 8", "depth 14"]
    real = [10, 60] if name == "degradation" else [40, 70]
    assert [*answer.values()] == pytest.approx(real)
    for drawn, right in (((20, 55), True), ((60, 60), False), ((10, 20), False)):
        assert shown.is_right(dict(zip(answer, drawn, strict=True)), answer) is right


def test_a_result_is_saved_as_a_page_and_as_numbers(folder):
    result = made_study([])(folder=folder)
    page = result.save(folder / "sum.html").read_text()
    assert "The &lt;sum&gt;" in page and "5050" in page and "repeated" in page and "plotly" in page
    numbers = json.loads(result.save(folder / "sum.json").read_text())
    assert numbers["numbers"]["sum"] == [0, 1, 2, 3] and numbers["settings"]["places"] == [1, 2]
    with pytest.raises(InvalidSetting, match=r"choose \.html"):
        result.save("sum.txt")
    assert "The &lt;sum&gt;" in result._repr_html_() and "The <sum>: repeated" in repr(result)


def test_costs_are_told_in_words():
    assert str(Estimate(12.3, 2**20)) == "about 12 s, 1 MiB"
    assert str(Estimate(900, 2**31)) == "about 15 min, 2.0 GiB" and "h" in str(Estimate(90_000, 0))


def test_every_study_says_what_it_is():
    studies = rw.studies.catalogue()
    assert list(studies) == list(rw.studies.NAMES)
    for name, study in studies.items():
        assert study.name == name and study.question.endswith("?") and len(study.guess.choices) >= 3
        assert study.source.arxiv.count(".") == 1 and all(len(text) > 40 for text in study.texts)
        assert type(study.paper) is type(study.toy) and study.paper != study.toy


def test_a_gallery_of_some_studies(folder):
    gallery = rw.studies.gallery(folder, names=("optimizers", "lesions"))
    assert list(gallery.cards) == ["optimizers", "lesions"]
    gallery.close()
    with pytest.raises(InvalidSetting, match="'lesion' is not a study; choose degradation"):
        rw.studies.gallery(folder, names=("lesion",))


def test_no_number_is_not_a_number_in_json(folder):
    results = made_study([]).results(folder=folder)
    result = next(results)
    numbers = json.loads(result.save(folder / "part.json").read_text())["numbers"]["sum"]
    assert numbers == [0, None, None, None] and np.isnan(result.numbers["sum"][1:]).all()
