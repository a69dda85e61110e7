import threading
from dataclasses import replace

import pytest

import reswork as rw
from reswork.models.config import ResNetConfig
from reswork.studies.guesses import GuessBook
from reswork.studies.study import DrawnGuess, PointedGuess
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.shown_guess import DrawnCurve
from reswork.widgets.study_gallery import StudyGallery
from tests.studies.made_study import made_study


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "studies"
    made = StudyGallery({"sum": made_study([])}, GuessBook(folder), folder)
    yield made
    made.close()


def open_section(card, place: int) -> None:
    card.children[1].selected_index = place


def test_a_card_runs_draws_compares_and_settles_the_guess(gallery, tmp_path, monkeypatch):
    card = gallery.cards["sum"]
    assert "The &lt;sum&gt;" in card.children[0].value and "Not computed yet" in card.said.value
    open_section(card, 0)
    card.noted.click()
    assert "Choose one first" in card.told.value
    card.choices.value = "up"
    card.noted.click()
    assert card.choices.disabled and "Noted" in card.told.value
    card.run.click()
    assert card.wait(300)
    assert list(card.figures) == ["A sum"] and isinstance(card.figures["A sum"], LiveFigure)
    assert "5050" in card.found.value and "Repeated." in card.found.value and "Complete" in card.said.value
    assert "Your guess was right" in card.told.value and "1 of 1 guesses right" in gallery.score.value
    assert not card.run.disabled and card.halt.disabled
    monkeypatch.chdir(tmp_path)
    card.save.click()
    assert (tmp_path / "sum.html").exists() and "Saved" in card.said.value


def test_a_curve_is_drawn_by_sliders_and_the_real_one_stands_beside_it(tmp_path):
    shown = DrawnGuess(
        "Draw it?", "step", "sum", 10, lambda settings: tuple(f"step {step}" for step in range(settings.steps)),
        lambda result: result.numbers["sum"], lambda drawn, real: abs(drawn - real).max() < 1, "right is near",
    )  # fmt: skip
    gallery = StudyGallery({"sum": replace(made_study([]), shown=shown)}, GuessBook(tmp_path), tmp_path)
    card = gallery.cards["sum"]
    open_section(card, 0)
    assert isinstance(card.shown, DrawnCurve) and len(card.shown.sliders) == 4
    card.form.set(steps=3)
    assert [*card.shown.sliders] == ["step 0", "step 1", "step 2"]
    for step, slider in enumerate(card.shown.sliders.values()):
        slider.value = step + 0.5
    assert card.shown.figure.summary == "Your guess: step 0 0, step 1 2, step 2 2."
    card.shown.noted.click()
    assert all(slider.disabled for slider in card.shown.sliders.values())
    card.run.click()
    assert card.wait(300)
    assert "Your guess was right" in card.shown.told.value and "1 of 1" in gallery.score.value
    assert "what came out: step 0 0, step 1 1" in card.shown.figure.summary
    gallery.close()
    again = StudyGallery({"sum": replace(made_study([]), shown=shown)}, GuessBook(tmp_path), tmp_path)
    open_section(again.cards["sum"], 0)
    assert again.cards["sum"].shown.guess == {"step 0": 0.5, "step 1": 1.5, "step 2": 2.5}
    again.close()


def test_a_block_is_pointed_at_on_the_drawing(tmp_path):
    config = ResNetConfig(depth=8, width=2, in_channels=1)
    shown = PointedGuess(
        "Which?", lambda settings: (config, (1, 8, 8)),
        lambda result: {"layer1.0": 1.0, "layer2.0": 7.0, "layer3.0": 2.0}, 1, " points",
    )  # fmt: skip
    gallery = StudyGallery({"sum": replace(made_study([]), shown=shown)}, GuessBook(tmp_path), tmp_path)
    card = gallery.cards["sum"]
    open_section(card, 0)
    card.shown.noted.click()
    assert "Click a block first" in card.shown.told.value
    card.shown.click("fc")
    card.shown.click("layer3.0")
    card.shown.noted.click()
    card.shown.click("layer1.0")
    assert card.shown.guess == "layer3.0"
    card.run.click()
    assert card.wait(300)
    assert (
        "not what happened" in card.shown.told.value and "Most: layer2.0 7.0 points" in card.shown.told.value
    )
    assert "yours, layer3.0, 2.0 points" in card.shown.told.value and "0 of 1" in gallery.score.value
    gallery.close()


def test_a_refused_setting_is_told_under_its_field(gallery):
    card = gallery.cards["sum"]
    open_section(card, 1)
    card.form.fields["places"].control.value = "1, 10"
    assert "from 1 to 9" in card.form.fields["places"].error
    card.run.click()
    assert "A setting is not accepted" in card.error.value and card.result is None
    card._set(card.study.paper)
    assert card.form.values["steps"] == 100 and not card.form.fields["places"].error


def test_a_network_that_cannot_be_is_told_until_the_settings_change(tmp_path):
    gallery = StudyGallery({"path_lengths": rw.studies.path_lengths}, GuessBook(tmp_path), tmp_path)
    card = gallery.cards["path_lengths"]
    card.form.set(depth=21)
    card.run.click()
    assert card.wait(300)
    assert "depth=21 is not a ResNet depth" in card.error.value and "Getting ready" not in card.said.value
    card.form.set(depth=20)
    assert not card.error.value and "Not computed yet" in card.said.value
    gallery.close()


def test_stop_keeps_what_is_there_and_run_goes_on(tmp_path):
    gallery = StudyGallery({"sum": made_study([], step_s=0.001)}, GuessBook(tmp_path), tmp_path)
    card = gallery.cards["sum"]
    card.form.set(steps=50_000)
    card.run.click()
    for _ in range(1000):
        if card.progress.value:
            break
        card.wait(0.01)
    card.stop()
    assert card.wait(300)
    assert card.result is not None and 0 < card.result.share < 1
    assert "Run goes on from there" in card.said.value and "Open." in card.found.value
    assert "&lt;b&gt;" not in card.said.value
    card.cost.click()
    assert card.wait(300) and "about 14 h" in card.said.value
    gallery.close()


def test_what_was_computed_before_is_there_at_once(gallery, tmp_path):
    gallery.cards["sum"].run.click()
    assert gallery.cards["sum"].wait(300)
    folder = tmp_path / "studies"
    other = StudyGallery({"sum": made_study([])}, GuessBook(folder), folder)
    assert list(other.cards["sum"].figures) == ["A sum"] and "Complete" in other.cards["sum"].said.value
    other.close()


def test_stop_frees_the_buttons_also_where_the_run_had_not_begun(gallery):
    card, ends = gallery.cards["sum"], threading.Event()

    def before():
        assert ends.wait(300)
        yield

    card._worker.submit(before)
    card.run.click()
    card.halt.click()
    ends.set()
    assert card.wait(300) and card.result is None
    assert not card.run.disabled and card.halt.disabled
