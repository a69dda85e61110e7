"""The two drawings of CONTRIBUTING.md: `python docs/drawings/drawing.py` writes them anew beside this file.

The layers are read from the import contracts in pyproject.toml, what each is for from the list in CONTRIBUTING.md.
Colours are of a medium lightness, and text stands on a ground of its own or in a grey that is legible on both pages,
as a picture in a README cannot know whether the page around it is light or dark.
"""

import re
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INK = "#787878"  # on the page itself: 4.4:1 on white, 4.3:1 on #111111
BLUE, ORANGE, GREEN = ("#d9e8f5", "#0072b2"), ("#fae3d1", "#b85000"), ("#d8efe6", "#007a59")  # ground, rim
FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"

# Column, row, what it is, the module, what happens there; the colour says who does it.
WAY = (
    (0, 0, "Split", "datasets/dataset.py", "all images, uint8, on the device of the training", BLUE),
    (1, 0, "Batches", "training/batches.py", "cut, augmented, normalised: a function of seed and step", BLUE),
    (2, 0, "TrainStep", "training/train_step.py", "forward, the task's loss, backward, update", BLUE),
    (3, 0, "events", "training/events.py", "frozen; numbers stay on the device until somebody looks", BLUE),
    (4, 0, "recorders", "recorders/catalogue.py", "each hears the events that it asked for", BLUE),
    (4, 1, "History", "history.py", "series by name, under a lock; anybody reads a copy", ORANGE),
    (3, 1, "RunWriter", "store/writer.py", "runs/NAME: metrics twice a second, checkpoints, weights", ORANGE),
    (2, 1, "snapshot", "training/controls.py", "a copy between two steps, which probes look at", ORANGE),
    (1, 1, "Controls", "training/controls.py", "stop, learning rate: taken out between two steps", ORANGE),
    (4, 2, "figures", "figures/curves.py", "numbers in, a plotly figure of at most 2,000 points out", GREEN),
    (3, 2, "LiveFigure", "widgets/live_figure.py", "sends what has changed, as bytes, at most twice a second", GREEN),
    (2, 2, "the page", "widgets/static/live_figure.js", "plotly draws: pixels", GREEN),
    (1, 2, "buttons", "widgets/run_view.py", "what a person does about it", GREEN),
)  # fmt: skip
ARROWS = (
    ((0, 0), (1, 0)), ((1, 0), (2, 0)), ((2, 0), (3, 0)), ((3, 0), (4, 0)), ((4, 0), (4, 1)), ((4, 1), (3, 1)),
    ((4, 1), (4, 2)), ((4, 2), (3, 2)), ((3, 2), (2, 2)), ((2, 2), (1, 2)), ((1, 2), (1, 1)), ((2, 0), (2, 1)),
)  # fmt: skip
LANES = ("the run's thread", "the record, and what goes between threads", "the page: a thread that refreshes")


def contract_layers() -> list[tuple[str, ...]]:
    """The layers of the import contracts, lowest first; names in one tuple never import each other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    return [_names(line) for line in reversed(layers["layers"])]


def listed_layers() -> list[tuple[tuple[str, ...], str]]:
    """The layers that CONTRIBUTING.md lists, lowest first, each line with its words."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = text.partition("## Layers")[2].split("```")[1]
    lines = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in block.strip().splitlines()]
    return [(_names(line[0]), line[1] if len(line) > 1 else "") for line in lines]


def layers_drawing() -> str:
    """The layers, highest at the top, as SVG."""
    words = dict(listed_layers())
    rows, pitch, width = contract_layers()[::-1], 38, 800
    parts = [
        _text(12, 20, "A package imports from those below it, never from above or beside.", size=13),
        _text(12, 38, "Green: never imports torch, which a contract holds.", size=12),
    ]
    for row, names in enumerate(rows):
        top, left = 52 + row * pitch, 12
        for name in names:
            size = 24 + 7.6 * len(name)
            parts += [_box(left, top, size, 30, GREEN if name in _without_torch() else BLUE),
                      _text(left + size / 2, top + 20, name, size=13, ink="#1a1a1a", anchor="middle")]  # fmt: skip
            left += size + 10
        parts.append(_text(max(left + 6, 376), top + 20, words.get(names, ""), size=12))
    return _svg("The layers of reswork", width, 52 + len(rows) * pitch, parts)


def way_drawing() -> str:
    """The way of a batch from the data set to the pixel, and back as a click, as SVG."""
    box, gap, pitch = (184, 88), 22, 144
    spots = {(column, row): (12 + column * (box[0] + gap), 34 + row * pitch) for column, row, *_ in WAY}
    parts = [_text(12, 24 + row * pitch, lane, size=13) for row, lane in enumerate(LANES)]
    for column, row, title, module, does, colour in WAY:
        left, top = spots[column, row]
        small = 10 if len(module) < 28 else 9
        parts += [_box(left, top, *box, colour),
                  _text(left + 10, top + 20, title, size=14, ink="#1a1a1a", weight=600),
                  _text(left + 10, top + 36, module, size=small, ink="#3c3c3c", mono=True)]  # fmt: skip
        for line, text in enumerate(textwrap.wrap(does, 28)):
            parts.append(_text(left + 10, top + 53 + 14 * line, text, size=11.5, ink="#1a1a1a"))
    parts += [_arrow(*_between(spots[start], spots[end], box)) for start, end in ARROWS]
    controls, step = spots[1, 1], spots[2, 0]
    parts.append(_arrow((controls[0] + box[0] - 30, controls[1]), (controls[0] + box[0] - 30, controls[1] - 22),
                        (step[0] + 30, controls[1] - 22), (step[0] + 30, step[1] + box[1] + 3)))  # fmt: skip
    copy, figure = spots[2, 1], spots[4, 2]
    low = copy[1] + box[1]
    parts.append(_arrow((copy[0] + 100, low), (copy[0] + 100, low + 20), (figure[0] + 50, low + 20),
                        (figure[0] + 50, figure[1] - 3)))  # fmt: skip
    parts.append(_text(copy[0] + 112, low + 35, "what probes found (results)", size=11.5))
    return _svg("The way of a batch from the data to the pixel", 1032, 34 + 2 * pitch + box[1] + 12, parts)


def _names(line: str) -> tuple[str, ...]:
    return tuple(name.strip(" ()") for name in line.split("|"))


def _without_torch() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    found = [each["source_modules"] for each in contracts if "torch" in each.get("forbidden_modules", ())]
    return {name.removeprefix("reswork.") for names in found for name in names}


def _between(
    start: tuple[float, float], end: tuple[float, float], box: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """From the rim of one box to the rim of its neighbour, with a little air before the point."""
    (x, y), (to_x, to_y), (width, height) = start, end, box
    if y == to_y:
        middle = y + height / 2
        return (
            ((x + width, middle), (to_x - 3, middle))
            if to_x > x
            else ((x, middle), (to_x + width + 3, middle))
        )
    middle = x + width / 2
    return (
        ((middle, y + height), (middle, to_y - 3)) if to_y > y else ((middle, y), (middle, to_y + height + 3))
    )


def _box(x: float, y: float, width: float, height: float, colour: tuple[str, str]) -> str:
    ground, rim = colour
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='6' fill='{ground}' stroke='{rim}' "
        "stroke-width='1.5'/>"
    )


def _text(
    x: float, y: float, words: str, *, size: float, ink: str = INK, anchor: str = "start", weight: int = 400,
    mono: bool = False,
) -> str:  # fmt: skip
    family = " font-family='ui-monospace, Menlo, Consolas, monospace'" if mono else ""
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size:g}' font-weight='{weight}' fill='{ink}' "
        f"text-anchor='{anchor}'{family}>{escape(words, quote=False)}</text>"
    )


def _arrow(*points: tuple[float, float]) -> str:
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    return (
        f"<polyline points='{line}' fill='none' stroke='{INK}' stroke-width='1.6' marker-end='url(#point)'/>"
    )


def _svg(title: str, width: float, height: float, parts: list[str]) -> str:
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:g} {height:g}' width='{width:g}' "
        f"height='{height:g}' role='img' {FONT}>"
    )
    point = (
        "<defs><marker id='point' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' "
        f"orient='auto'><path d='M0 0L8 4L0 8Z' fill='{INK}'/></marker></defs>"
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", point, *parts, "</svg>", ""])


DRAWINGS = {"layers.svg": layers_drawing, "way_of_a_batch.svg": way_drawing}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (HERE / name).write_text(draw(), encoding="utf-8")
