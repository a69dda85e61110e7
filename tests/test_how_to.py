"""The pages of docs/how-to: their code runs, their tests pass, and the files that they name are there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs" / "how-to").glob("*.md") if path.name != "README.md")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"# ([\w/]+\.py)\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that begins with a path is that module from there on; functions named ``test_`` are called."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    rest = ModuleType("page")
    tests = 0
    for found in BLOCK.finditer(text):
        code, line = found[1], text[: found.start()].count("\n") + 1
        path = PATH.match(code)
        module = ModuleType(path[1].removesuffix(".py").replace("/", ".")) if path else rest
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile("\n" * line + code, str(page), "exec"), vars(module))
        for name, value in list(vars(module).items()) if path else ():
            if name.startswith("test_"):
                value()
                tests += 1
    assert tests, "the page shows no test"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_of_a_page_are_there_or_new(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/.]+)` \| (.*) \|$", text, re.MULTILINE)
    new = {path for path, change in rows if change.startswith("new")}
    assert new == {path for code in BLOCK.findall(text) for path in PATH.findall(code)}
    for path, _ in rows:
        assert (ROOT / path).exists() != (path in new), (
            f"{path} is {'there already' if path in new else 'not there'}"
        )
