import base64
import csv
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reswork as rw
from reswork.errors import InvalidSetting
from reswork.figures.embedding import in_script, plotly_script
from reswork.history import History
from reswork.store.export import csv_text, plain_cell
from reswork.store.page import page_text
from tests.store.made_runs import HOSTILE, made_run


class Page(HTMLParser):
    """Elements, scripts and shown text of a page, as a browser would cut it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.text = ""
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = kind, text + data
        elif self._inside != "style":
            self.text += data


def test_a_page_has_everything_in_it_and_fetches_nothing(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / "runs", name, depth=depth) for name, depth in (("a", 8), ("b", 20))]
    runs[0].write_note("my words")
    path = rw.export_page(runs, tmp_path / "new" / "page.html")
    page = Page(path.read_text())
    assert page.text.count("Save as PNG") == 0  # made by the script
    for words in (
        "my words",
        "Settings that differ",
        "network: depth",
        "recipe: learning_rate",
    ):
        assert words in page.text
    assert "Confusion matrix" in [
        dict(attributes).get("aria-label") for kind, attributes in page.elements if kind == "figure"
    ]
    figures = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    assert len(figures) == 2 + 2 * 4  # curves together; of each: rate, two of gradients, confusion
    assert sum(kind is None for kind, _ in page.scripts) == 2
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert addresses == ["#run-0", "#run-1"]
    assert path.stat().st_size < 7_000_000


def test_the_policy_names_the_two_scripts_by_their_hashes(tmp_path: Path) -> None:
    page = Page(page_text([made_run(tmp_path, "a")]))
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'; ")
    hashes = set(re.findall(r"'sha256-([^']+)'", policy))
    own = [text for kind, text in page.scripts if kind is None]
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in own} == hashes
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


@pytest.mark.parametrize("words", HOSTILE)
def test_no_name_becomes_markup_or_script(tmp_path: Path, words: str) -> None:
    plain = made_run(tmp_path / "x", "plain")
    hostile = made_run(
        tmp_path / "x", words.replace("/", "_"), data=words, classes=(words, "two", "three"),
        error={"type": "E", "message": words}, model={"class": "x", "label": words, "parameters": 1},
    )  # fmt: skip
    expected = {tag for tag, _ in Page(page_text([plain, plain])).elements}
    hostile.write_note(words)
    page = Page(page_text([plain, hostile]))
    assert {tag for tag, _ in page.elements} <= {*expected, "p", "div", "span"}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(words) >= 4
    assert len([kind for kind, _ in page.scripts if kind is None]) == 2


@given(st.dictionaries(st.text(), st.lists(st.text(max_size=5) | st.integers(), max_size=4), max_size=4))
def test_json_in_a_script_is_the_same_json_without_markup(values: object) -> None:
    text = in_script(values)
    assert json.loads(text) == values
    assert not set("<>&\u2028\u2029") & set(text)


def test_plotlys_own_text_does_not_end_its_element() -> None:
    assert "</script" not in plotly_script().lower() and "<!--" not in plotly_script()


def test_runs_that_differ_only_in_the_seed_are_also_drawn_as_a_band(tmp_path: Path) -> None:
    recipes = [rw.Recipe(steps=20, seed=seed) for seed in (0, 1)]
    runs = [made_run(tmp_path, f"x-{recipe.seed}", recipe=recipe) for recipe in recipes]
    page = Page(page_text(runs))
    assert "Mean and band over seeds" in page.text
    assert "x (2 runs): at step 20" in page.text


def _read(text: str) -> dict[tuple[str, str], list[tuple[int, float]]]:
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    rows = csv.DictReader(io.StringIO(text, newline=""))
    assert rows.fieldnames == ["run", "step", "series", "value"]
    for row in rows:
        run, series = (row[key].removeprefix("'") for key in ("run", "series"))
        found.setdefault((run, series), []).append((int(row["step"]), float(row["value"])))
    return found


numbers = st.floats(allow_nan=True, allow_infinity=True)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


class _Run:
    def __init__(self, name: str, history: History) -> None:
        self.name, self.history = name, history


@given(
    words,
    st.dictionaries(words, st.lists(numbers, min_size=1, max_size=5), max_size=4),
    st.lists(words, unique=True, max_size=3),
)
def test_every_number_comes_back_from_csv(
    name: str, series: dict[str, list[float]], labels: list[str]
) -> None:
    history = History()
    expected = {}
    for key, values in series.items():
        history.extend(key, np.arange(len(values)), values)
        expected[name, key] = list(enumerate(values))
    if labels:
        history.record_vector("group", 3, labels, np.arange(len(labels)) / 7)
        for place, label in enumerate(labels):
            expected.setdefault((name, f"group/{label}"), []).append((3, place / 7))
    found = _read(csv_text([_Run(name, history)]))
    assert {key: repr(values) for key, values in found.items()} == {
        key: repr(v) for key, v in expected.items()
    }


@given(st.text(max_size=9))
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    cell = plain_cell(text)
    assert cell == "" or cell[0] not in "=+-@\t\r"
    assert cell.removeprefix("'") == text


def test_csv_of_several_runs(tmp_path: Path) -> None:
    runs = [made_run(tmp_path, "a"), made_run(tmp_path, "=1+1")]
    found = _read(rw.export_csv(runs, tmp_path / "x.csv").read_text())
    assert {run for run, _ in found} == {"a", "=1+1"}
    assert found["a", "top1/test"] == [(10, 0.9), (20, 0.9)]
    assert [step for step, _ in found["a", "grad_norm/fc"]] == [10, 20]


def test_the_ending_says_what_is_written(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "a")
    assert run.export(tmp_path / "x.HTML").read_text().startswith("<!doctype html>")
    assert run.export(str(tmp_path / "x.csv")).read_text().startswith("run,step,series,value\n")
    with pytest.raises(InvalidSetting, match=r"ends with '\.pdf'; choose \.html or \.csv"):
        run.export(tmp_path / "x.pdf")


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="cannot be written: "):
        run.export(tmp_path / "file" / "x.csv")
    with pytest.raises(InvalidSetting, match="0 runs cannot be written together"):
        rw.export_page([], tmp_path / "x.html")
    (tmp_path / "runs" / "empty").mkdir()
    with pytest.raises(InvalidSetting, match="run 'empty' cannot be read"):
        rw.export_page(rw.runs(tmp_path / "runs"), tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_without_kaleido_the_way_to_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kaleido", None)
    with pytest.raises(InvalidSetting, match=r"reswork\[pictures\].*export_page"):
        rw.export_pictures(made_run(tmp_path / "runs", "a"), tmp_path / "pictures")
