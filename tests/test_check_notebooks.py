import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SPEC = importlib.util.spec_from_file_location(
    "check_notebooks", Path(__file__).with_name("check_notebooks.py")
)
assert SPEC is not None and SPEC.loader is not None
check_notebooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_notebooks)


def _cell(source: str, *tags: str, **more: Any) -> dict[str, Any]:
    plain = {"cell_type": "code", "outputs": [], "execution_count": None, "metadata": {"tags": list(tags)}}
    return {**plain, "source": [source], **more}


def _faults(tmp_path: Path, *cells: dict[str, Any], kernel: str = "python3") -> list[str]:
    heading = {"cell_type": "markdown", "metadata": {}, "source": ["# Heading"]}
    notebook = {"cells": [heading, *cells], "metadata": {"kernelspec": {"name": kernel}}}
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(notebook))
    return check_notebooks.faults(path)


GOOD = _cell("import reswork as rw\nimport torch", "parameters")


def test_a_thin_notebook_has_no_faults(tmp_path: Path) -> None:
    assert _faults(tmp_path, GOOD, _cell("rw.Workbench()")) == []


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (_cell("x", outputs=[{"output_type": "stream"}]), "outputs"),
        (_cell("x", execution_count=3), "outputs"),
        (_cell("def f():\n    return 1"), "defines f"),
        (_cell("class A:\n    pass"), "defines A"),
        (_cell("import reswork"), "imports reswork;"),
        (_cell("import reswork.models as m"), "imports reswork.models"),
        (_cell("from reswork.models import resnet"), "imports from reswork.models"),
        (_cell("\n".join("x = 1" for _ in range(11))), "11 lines"),
        (_cell("%matplotlib inline"), "not plain Python"),
        (_cell("x", "parameters"), "2 cells are tagged"),
    ],
)
def test_each_fault_is_told(tmp_path: Path, cell: dict[str, Any], fault: str) -> None:
    (told,) = _faults(tmp_path, GOOD, cell)
    assert fault in told


def test_kernel_and_missing_parameters_are_told(tmp_path: Path) -> None:
    told = _faults(tmp_path, _cell("x"), kernel="venv")
    assert len(told) == 2
    assert "python3" in told[0]
    assert "0 cells" in told[1]


def test_the_stored_notebooks_have_the_right_form() -> None:
    assert check_notebooks.main([]) == 0
