import re

from reswork.environment.report import Checkup, Finding

GOOD = Finding("memory", "good", "much")
LOOK = Finding("front end", "look", "nobody knows", "look")
BAD = Finding("disk", "bad", "none <img src=x onerror=alert(1)>", "buy\x1b[2J one")


def test_only_a_bad_line_makes_it_unfit() -> None:
    assert Checkup((GOOD, LOOK)).fit and not Checkup((GOOD, BAD)).fit
    assert Checkup((GOOD,)).sentence == "Fit for reswork."
    assert Checkup((GOOD, LOOK)).sentence == "Fit for reswork; worth a look: front end."
    assert "Not fit for reswork: disk." in Checkup((LOOK, BAD)).sentence


def test_the_terminal_has_a_word_on_each_line_and_what_to_do() -> None:
    lines = repr(Checkup((GOOD, LOOK, BAD))).splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["good", "look"]
    assert "-> buy?[2J one" in repr(Checkup((BAD,))) and "\x1b" not in repr(Checkup((BAD,)))


def test_long_sentences_are_broken_into_lines() -> None:
    shown = repr(Checkup((Finding("memory", "look", "word " * 60, "do " * 60),)))
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.count("word") == 60 and shown.count("do ") + shown.count("do\n") == 60


def test_the_page_has_words_beside_the_colours_and_escapes_what_it_was_given() -> None:
    html = Checkup((GOOD, LOOK, BAD))._repr_html_()
    assert re.findall(r"bold\">(good|look|bad)</td>", html) == ["good", "look", "bad"]
    assert "<img" not in html and "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "What to do:</b> look" in html
