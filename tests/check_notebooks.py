"""The form of the notebooks, checked by `make check`: thin, without outputs, only the public package."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_LINES = 10
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def faults(path: Path) -> list[str]:
    """Everything that is wrong with one notebook's form, a sentence each."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [(number, cell) for number, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    found = list(_of_notebook(notebook, [cell for _, cell in code]))
    for number, cell in code:
        found += [f"cell {number}: {fault}" for fault in _of_cell(cell)]
    return [f"{path.name}: {fault}" for fault in found]


def _of_notebook(notebook: dict[str, Any], code: list[dict[str, Any]]) -> Iterator[str]:
    kernel = notebook.get("metadata", {}).get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"its kernel is {kernel!r}; name it python3"
    if not any(cell["cell_type"] == "markdown" for cell in notebook["cells"][:1]):
        yield "it does not begin with a heading"
    tagged = sum("parameters" in cell.get("metadata", {}).get("tags", []) for cell in code)
    if tagged != 1:
        yield f"{tagged} cells are tagged parameters; tag one"
    if "widgets" in notebook.get("metadata", {}):
        yield "it is stored with the state of widgets; clear all outputs"


def _of_cell(cell: dict[str, Any]) -> Iterator[str]:
    if cell.get("outputs") or cell.get("execution_count") is not None:
        yield "it is stored with outputs or a count; clear all outputs"
    source = "".join(cell["source"])
    lines = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    if len(lines) > MOST_LINES:
        yield f"it has {len(lines)} lines; at most {MOST_LINES}, a function of the package is missing"
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield f"it is not plain Python: {error.msg}"
        return
    for node in ast.walk(tree):
        yield from _of_node(node)


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield f"it defines {node.name}; a function of the package is missing"
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "reswork":
        yield f"it imports from {node.module}; only `import reswork as rw`"
    if isinstance(node, ast.Import):
        for name in node.names:
            ours = name.name.split(".")[0] == "reswork"
            if ours and (name.name, name.asname) != ("reswork", "rw"):
                yield f"it imports {name.name}; only `import reswork as rw`"


def main(arguments: list[str]) -> int:
    paths = [Path(name) for name in arguments] or sorted(NOTEBOOKS.glob("*.ipynb"))
    found = [fault for path in paths for fault in faults(path)]
    print("\n".join(found) if found else f"{len(paths)} notebooks: form is right")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
