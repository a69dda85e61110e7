"""The gallery of studies in a real browser: guess, run three side by side, see verdicts, in light and dark."""

from tests.browser.conftest import choose_theme, click_until, until

SHOW = (
    "import reswork as rw",
    "bench = rw.studies.gallery()",
    "bench.cards['degradation'].form.set(depths=(8, 20), width=2, epochs=2, seeds=1)",
    "bench.cards['twin_race'].form.set(depth=8, width=2, epochs=3, seeds=1)",
    "bench.cards['signal_propagation'].form.set(depth=20, width=4, size=16)",
    "bench.cards['lesions'].form.set(depth=14, plain_depth=14, width=4, epochs=2, seeds=1, deleted=(1,),"
    " swapped=(1,), draws=1)",
    "bench",
)
CARD = "() => [...document.querySelectorAll('.reswork-card')].map(e => e.querySelector('h3').innerText)"
CUT = (  # cards whose words or plots are wider than the card
    "() => [...document.querySelectorAll('.reswork-card')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
)
DRAWN = "card => [...card.querySelectorAll('.reswork-plot')].filter(e => e.querySelector('.scatterlayer path')).length"


def card_of(page, title: str):
    return page.locator(".reswork-card", has=page.locator("h3", has_text=title))


def test_three_studies_run_side_by_side(bench) -> None:
    page = bench.show(*SHOW)
    page.wait_for_selector(".reswork-card h3")
    titles = page.evaluate(CARD)
    assert titles[:2] == ["Degradation", "The twin race"] and len(titles) == len(set(titles)) >= 7
    cards = [card_of(page, title) for title in ("Degradation", "The twin race", "Signal propagation")]
    guess = cards[2]
    guess.get_by_text("Guess first").first.click()
    guess.get_by_text("it grows in a straight line").click()
    guess.get_by_role("button", name="Guess", exact=True).click()
    guess.get_by_text("Noted. Now run it.").wait_for()
    for card in cards:
        card.get_by_role("button", name="Run", exact=True).click()
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        choose_theme(page, theme)
        for card in cards:
            card.get_by_text("published", exact=True).wait_for()
            until(page, lambda card=card: card.evaluate(DRAWN) >= 2)
        until(page, lambda: page.evaluate(CUT) == 0)
    cards[0].get_by_text("Open.", exact=True).wait_for()
    cards[2].get_by_text("Your guess was").wait_for()
    page.get_by_text("guesses right so far").wait_for()
    click_a_block_away(page, card_of(page, "Lesions"))


def click_a_block_away(page, card) -> None:
    card.get_by_role("button", name="Run", exact=True).click()
    card.get_by_text("published", exact=True).wait_for()
    card.get_by_text("Take blocks out").first.click()
    told = card.get_by_text("A click on a block deletes it").first
    told.wait_for()
    block = card.locator(".reswork-network .barlayer .point path").nth(2)
    click_until(page, block, lambda: "without layer" in told.inner_text())
