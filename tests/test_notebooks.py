"""Every notebook runs from top to bottom, shortened and with small pictures, and without the network."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SHORT = {"epochs": 1, "depth": 8, "steps": 20, "pictures": 8}
LONGER = {
    "08_degradation": {"seeds": 1, "depths": (8, 14), "quick": {"epochs": 1, "width": 2}},
    "09_why_shortcuts_work": {
        "seeds": 1,
        "depth": 14,
        "plane": 3,
        "lesions": {"deleted": (1,), "swapped": (1,), "draws": 1},
        "quick": {"epochs": 1, "width": 2},
        "line": {"depths": (2, 6), "width": 20, "points": 64, "seeds": 2},
        "noise": {"recipes": ("pre-activation", "plain"), "depth": 20, "width": 4, "size": 16},
        "moons": {"steps": 4, "updates": 20},
    },
    "14_segmentation": {"volumes": 4},
    "15_super_resolution": {"patches": 32, "epochs": 1},
    "17_text_faces_boxes": {"images": 100},
    "18_transfer": {"seeds": 1, "images": (4,), "steps": 2, "later": 1},
    "19_smaller_and_faster": {"epochs": 1, "seconds": 0.02, "tried": 1},
    "20_serve_it": {"seconds": 0.02, "requests": 60},
    "07_time_machine": {"epochs": 6},  # it looks at step 60
    "10_recipes": {"seeds": 1, "depth": 14, "deepest": 26, "quick": {"epochs": 1, "width": 2}},
    "11_when_not_to_use_one": {
        "few": {"depths": (8, 14), "repair_depth": 8, "images": (20, 60), "steps": 2, "width": 2, "seeds": 1},
        "quick": {
            "data": "digits",
            "images": 60,
            "tests": 50,
            "width": 2,
            "trees": 3,
            "rounds": 1,
            "epochs": 1,
        },
    },
}
SMALL = """
import functools
import reswork as rw
rw.datasets.fashion = rw.datasets.digits
rw.datasets.shapes = functools.partial(rw.datasets.shapes, train=240, test=60)
rw.datasets.scattered = functools.partial(rw.datasets.scattered, train=32, test=8, size=32)
rw.datasets.drawn_faces = functools.partial(rw.datasets.drawn_faces, 8, 4, 4)
rw.datasets.defects = functools.partial(rw.datasets.defects, 16, 12, 24)
rw.datasets.languages = functools.partial(rw.datasets.languages().subset, 320, 160)
"""
EMPTIED = """
import os
import ipywidgets
import reswork as rw
for run in rw.active_runs():
    run.stop()
ipywidgets.Widget.close_all()
os.chdir({folder!r})
%reset -f
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """One for all notebooks, which has imported torch; each finds no names of the one before."""
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=300)
    with client.setup_kernel():
        run(client, with_cell(SMALL))
        yield client


def with_cell(code: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])


def run(client: NotebookClient, notebook: nbformat.NotebookNode) -> None:
    client.nb = notebook
    client.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, kernel: NotebookClient, tmp_path: Path) -> None:
    run(kernel, with_cell(EMPTIED.format(folder=str(tmp_path))))
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(
                f"\n{name} = {value}"
                for name, value in (SHORT | LONGER.get(path.stem, {})).items()
                if f"{name} =" in cell.source
            )
    run(kernel, notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]


def test_the_first_notebook_leads_to_all_others() -> None:
    first, *others = NOTEBOOKS
    text = first.read_text(encoding="utf-8")
    assert first.stem == "00_start_here" and len(others) >= 20
    assert not [path.name for path in others if f"]({path.name})" not in text]
