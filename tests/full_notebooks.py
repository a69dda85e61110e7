"""Runs notebooks as they are, and says how long each took: ``python -m tests.full_notebooks 04 05 06 --solutions``.

Cold, one after another, each in a fresh kernel; with ``--solutions`` the code of the exercises after it, with what it
answered, and with ``--answers`` what every cell answered, to be compared with the text.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
SOLUTION = re.compile(r"```python\n(.*?)```", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.full_notebooks", description=__doc__)
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="such as 04; none means all")
    parser.add_argument("--answers", action="store_true", help="print what each cell answered")
    parser.add_argument("--solutions", action="store_true", help="run the solutions of the exercises, too")
    chosen = parser.parse_args()
    paths = [
        path
        for path in sorted(FOLDER.glob("*.ipynb"))
        if not chosen.numbers or path.name[:2] in chosen.numbers
    ]
    total_s = 0.0
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        cells = len(notebook.cells)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        if chosen.solutions:
            notebook.cells += [nbformat.v4.new_code_cell(code) for code in SOLUTION.findall(text)]
        seconds = executed(notebook)
        plain_s = sum(seconds[:cells])
        total_s += plain_s
        print(f"{path.stem}: {plain_s:.0f} s", flush=True)
        for index, (cell, took) in enumerate(zip(notebook.cells, seconds, strict=True)):
            said = printed(cell)
            if said and (chosen.answers or index >= cells):
                print(f"--- {took:.1f} s\n{cell.source.strip()}\n>>> {'; '.join(said)}", flush=True)
    print(f"together: {total_s:.0f} s")


def executed(notebook: nbformat.NotebookNode) -> list[float]:
    """Seconds of each cell; the start of the kernel counts to the first one."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=None, allow_errors=True, resources={"metadata": {"path": folder}}
        )
        begin = time.perf_counter()
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
                end = time.perf_counter()
                seconds.append(end - begin)
                begin = end
    return seconds


def printed(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell answered, as text; pictures by their summaries."""
    said = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            said.append(output.text.strip())
        elif output.output_type == "error":
            said.append(f"{output.ename}: {output.evalue}")
        else:
            figure = output.data.get("application/vnd.plotly.v1+json", {}).get("layout", {}).get("meta", {})
            said.append(figure.get("summary") or str(output.data.get("text/plain", ""))[:400])
    return said


if __name__ == "__main__":
    sys.exit(main())
