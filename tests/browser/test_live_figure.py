"""The plumbing of live plots: one plotly for the page, numbers from a thread, dark theme, draws that fail or hang."""

from tests.browser.conftest import choose_theme, until

SETUP = """
import threading, time
import ipywidgets as w, numpy as np, plotly.graph_objects as go
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets

def line(n):
    x = np.arange(n, dtype=float)
    return go.Figure({"data": [{"type": "scatter", "mode": "lines", "x": x, "y": np.sin(x / 9)}],
                      "layout": {"height": 220, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
                                 "meta": {"summary": f"{n} points", "about": {"what": "A sine."}}}})

plots = [LiveFigure(line(2)) for _ in range(3)]
"""
SHOW = "from IPython.display import display; display(w.VBox([*plots, PageAssets()]))"
UPDATE = """
def feed():
    for n in range(3, 120):
        for plot in plots:
            plot.show(line(n))
        time.sleep(0.01)
threading.Thread(target=feed, daemon=True).start()
"""

LINES = ".reswork-plot .scatterlayer path.js-line"
SHAKEN = (  # the column grows narrow in the middle of a redraw
    "async () => { const boxes = [...document.querySelectorAll('.reswork-figure')];"
    " for (let round = 0; round < 20; round++) for (const wide of [574, 300]) {"
    "   boxes.forEach(box => { box.style.width = `${wide}px`; });"
    "   await new Promise(resolve => setTimeout(resolve, round)); } }"
)
FITS = (
    "wide => [...document.querySelectorAll('.reswork-plot')].every("
    "p => p.clientWidth === wide && p.querySelector('.svg-container').getBoundingClientRect().width === wide)"
)
SPOILED = (  # plotly's next draw rejects, or never comes back; then it is itself again
    "how => globalThis.__reswork_plotly.promise.then(library => { const react = library.react;"
    " library.react = () => { library.react = react; globalThis.spoiled = how;"
    "   return how === 'rejects' ? Promise.reject(new Error('not now')) : new Promise(() => {}); }; })"
)
NARROWED = (
    "wide => document.querySelectorAll('.reswork-figure').forEach(f => { f.style.width = `${wide}px`; })"
)
PATH_LENGTH = f"() => [...document.querySelectorAll('{LINES}')].map(p => p.getTotalLength())"


def test_figures_draw_with_one_plotly_and_grow_from_a_thread(bench) -> None:
    page = bench.show(SETUP, SHOW, UPDATE)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.reswork-plot')].filter(p => p.dataset.revision === '117').length === 3"
    )
    assert page.locator(".reswork-waiting").count() == 0, "the words that stood for the plots are gone"
    lengths = page.evaluate(PATH_LENGTH)
    assert len(lengths) == 3
    assert min(lengths) > 300
    assert page.evaluate("() => document.querySelectorAll('script[src^=\"blob:\"]').length") == 1
    assert page.locator(".reswork-summary").first.inner_text() == "119 points"
    choose_theme(page, "JupyterLab Dark")
    page.wait_for_function(  # axis labels are light in the dark theme
        "() => getComputedStyle(document.querySelector('.reswork-plot .xtick text')).fill.match(/\\d+/g).slice(0, 3)"
        ".every(part => Number(part) > 150)"
    )
    choose_theme(page, "JupyterLab Light")
    page.evaluate(SHAKEN)
    page.wait_for_function(FITS, arg=300)
    titles = page.evaluate("() => [...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)")
    assert "Download plot as a PNG" in titles
    assert not [title for title in titles if "hare" in title], "a button that would upload the plot"


def test_a_draw_that_fails_or_hangs_holds_up_none_after_it(bench) -> None:
    page = bench.show(SETUP, SHOW)
    page.wait_for_function("() => document.querySelectorAll('.reswork-plot .main-svg').length >= 3")
    for wide, how in ((400, "rejects"), (500, "hangs")):
        page.evaluate(SPOILED, how)
        page.evaluate(NARROWED, wide)
        page.wait_for_function("how => globalThis.spoiled === how", arg=how)
        page.wait_for_function(FITS, arg=wide)
        until(page, lambda: page.locator(".reswork-plot .main-svg:visible").count() >= 3, "every plot")
        assert page.evaluate(FITS, wide), how


NAMED = """
from reswork.figures.canvas import canvas
def named(n):
    traces = [{"type": "scatter", "name": f"a long name of curve {i}", "y": np.arange(3.0) + i} for i in range(n)]
    x = y = {"title": {"text": "a"}}
    return canvas(traces, title="Named", summary="Curves.", explained={}, x=x, y=y, height=200, showlegend=True)
plots = [LiveFigure(named(1)), LiveFigure(named(7))]
"""
ROOM = (  # of each plot its height and the height that its legend leaves to the drawing
    "() => [...document.querySelectorAll('.reswork-plot')].map(p => [p.clientHeight, p._fullLayout?._size.h])"
)


def test_a_legend_of_many_rows_takes_nothing_from_the_drawing(bench) -> None:
    page = bench.show(SETUP, NAMED, SHOW)
    page.wait_for_function("() => document.querySelectorAll('.reswork-plot .legend').length === 2")
    page.evaluate(NARROWED, 300)
    until(page, lambda: page.evaluate(ROOM)[1][0] > 280, "the taller plot")
    until(page, lambda: page.evaluate(ROOM)[1][1] >= 0.75 * page.evaluate(ROOM)[0][1], "its drawing")
    page.evaluate(NARROWED, 900)
    until(page, lambda: page.evaluate(ROOM)[1][0] == page.evaluate(ROOM)[0][0], "the height of before")
    assert page.locator(".reswork-plot .legend").count() == 2
