"""Many runs in a real browser: search, sort, differences, note, delete; the exported page without a network."""

from pathlib import Path
from typing import Any

import pytest

import reswork as rw
from tests.browser.conftest import LONG_S, choose_theme
from tests.store.made_runs import HOSTILE, made_run

BENCH = "import reswork as rw; bench = rw.Workbench(data=rw.datasets.digits()); bench.pages.value = 'Train'; bench"
NAMES = ".reswork-runs tr:not(:first-child) th"
LINES = ".reswork-grid .reswork-figure:nth-child(1) .scatterlayer path.js-line"
UNHARMED = (
    "() => window.hacked === undefined"
    " && !document.querySelector('img[src=x]') && !document.querySelector('a[href^=javascript]')"
)


@pytest.fixture
def page(lab: Any, bench: Any) -> Any:
    """A workbench over thirty runs, some with names that try to be markup or scripts."""
    root = lab.folder / "runs"
    for place in range(26):
        made_run(
            root, f"try-{place:02}", accuracy=0.5 + place / 100, depth=20 if place % 2 else 8,
            created=f"2026-01-{place + 1:02}T00:00:00+00:00", recipe=rw.Recipe(steps=20, batch_size=8, seed=place % 3),
        )  # fmt: skip
    for place, words in enumerate(HOSTILE):
        name = words.replace("/", "_")
        made_run(
            root, name, data=words, classes=(words, "b", "c"), created=f"2025-01-0{place + 1}T00:00:00+00:00"
        )
        rw.load_run(root / name).write_note(words)
    opened = bench.show(BENCH)
    opened.wait_for_selector(NAMES)
    return opened


def names(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(NAMES).all_inner_texts()]


def wait_names(page: Any, expected: list[str]) -> None:
    page.wait_for_function(
        f"names => JSON.stringify([...document.querySelectorAll('{NAMES}')].map(e => e.innerText.trim())"
        ".slice(0, names.length)) === JSON.stringify(names)",
        arg=expected,
    )


def press(page: Any, label: str) -> None:
    page.locator(".reswork").get_by_role("button", name=label, exact=True).click()


def test_search_sort_tick_note_delete_and_save(lab: Any, page: Any, browser: Any) -> None:
    root = lab.folder / "runs"
    wait_names(page, ["try-25", "try-24"])
    press(page, "score")
    page.wait_for_selector(".reswork-runs th[aria-sort=descending]")
    press(page, "score ▼")
    wait_names(page, ["try-00", "try-01"])
    press(page, "Next page")
    wait_names(page, ["try-12", "try-13"])
    page.get_by_label("Search", exact=True).fill("resnet-20 try-2")
    wait_names(page, ["try-21", "try-23", "try-25"])
    for name in ("try-21", "try-23"):
        page.get_by_label(f"Draw {name} over the present run").check()
    page.locator(".reswork-table", has_text="recipe: seed").wait_for()
    page.wait_for_function(f"() => document.querySelectorAll('{LINES}').length >= 2")
    assert page.locator(".reswork-table tr").count() == 2, "only the seed differs"

    page.get_by_title("Note: try-21").click()
    page.locator(".reswork textarea:visible").fill("<img src=x onerror=window.hacked=1> kept")
    press(page, "Keep note")
    page.locator(".reswork-cell-note", has_text="onerror").wait_for()
    assert rw.load_run("try-21", root).note.endswith("kept")

    page.get_by_title("Delete: try-25").click()
    press(page, "Really delete try-25")
    page.wait_for_function(f"() => document.querySelectorAll('{NAMES}').length === 2")
    wait_names(page, ["try-21", "try-23"])
    assert not (root / "try-25").exists()

    press(page, "Save as page")
    saved = page.locator(".reswork code", has_text=".html")
    saved.wait_for()
    with page.expect_download() as download:
        page.locator(".reswork-download:visible").click()
    (path,) = root.glob("*.html")
    assert Path(download.value.path()).read_bytes() == path.read_bytes()
    assert page.evaluate(UNHARMED)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        choose_theme(page, theme)
        box = page.locator(".reswork").first.bounding_box()
        table = page.locator(".reswork-runs table").bounding_box()
        assert table["width"] <= box["width"] + 2, "the table is cut"


def test_hostile_names_run_nothing_on_the_page_or_in_the_exported_one(
    lab: Any, page: Any, browser: Any
) -> None:
    root = lab.folder / "runs"
    page.get_by_label("Search", exact=True).fill("hacked")
    page.wait_for_function(f"() => document.querySelectorAll('{NAMES}').length === 3")
    for box in page.locator(".reswork-runs input").all():
        box.check()
    page.locator(".reswork-table", has_text="data: name").wait_for()
    for kind in ("Note", "Delete"):
        page.locator(f".reswork-runs button[title^='{kind}: ']").first.click()
    page.locator(".reswork-runs button[title^='Show: ']").first.click()
    page.wait_for_function("() => document.querySelector('.reswork-state')?.innerText === 'finished'")
    page.wait_for_timeout(1000)
    assert page.evaluate(UNHARMED)

    path = rw.export_page(
        rw.runs(root, search="hacked") + rw.runs(root, search="try-0"), root / "hostile.html"
    )
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 1600})
    context.set_default_timeout(1000 * LONG_S)
    asked: list[str] = []
    errors: list[str] = []
    exported = context.new_page()
    exported.on("request", lambda request: asked.append(request.url))
    exported.on("pageerror", lambda error: errors.append(str(error)))
    exported.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    exported.goto(path.as_uri())
    exported.wait_for_function(
        "() => [...document.querySelectorAll('.plot')].every(p => p.querySelector('.main-svg'))"
    )
    assert exported.evaluate(UNHARMED)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
    assert exported.locator(".modebar-btn[data-title*=PNG]").count()
    assert not exported.locator(".modebar-btn[data-title*=hare]").count(), (
        "a button that would upload the plot"
    )
    for words in HOSTILE[:3]:
        assert exported.get_by_text(words).count() >= 3
    with exported.expect_download() as download:
        exported.get_by_role("button", name="Save Loss as PNG").first.click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    exported.evaluate("() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
                      " document.body.append(s); }")  # fmt: skip
    assert exported.evaluate("() => window.hacked") is None, "the page's policy lets no other script run"
    context.close()
