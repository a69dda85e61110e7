"""What the pages say about the package is so: layers, drawings, links, lists; and the reference builds."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import reswork as rw
from docs.drawings import drawing

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_contributing_lists_the_layers_of_the_import_contracts() -> None:
    assert [names for names, _ in drawing.listed_layers()] == drawing.contract_layers()
    assert all(words for _, words in drawing.listed_layers())


def test_every_layer_is_there() -> None:
    """Import-linter would say so too; the test also knows those that a contract calls optional."""
    for name in (name for names in drawing.contract_layers() for name in names):
        assert (ROOT / "reswork" / name).is_dir() or (ROOT / "reswork" / f"{name}.py").is_file(), name


@pytest.mark.parametrize("name", drawing.DRAWINGS)
def test_the_drawings_are_those_of_today(name: str) -> None:
    stored = (ROOT / "docs" / "drawings" / name).read_text(encoding="utf-8")
    assert stored == drawing.DRAWINGS[name](), "run: python docs/drawings/drawing.py"


def test_the_way_of_a_batch_names_what_is_there() -> None:
    for _, _, title, module, _, _ in drawing.WAY:
        text = (ROOT / "reswork" / module).read_text(encoding="utf-8")
        assert not title[0].isupper() or f"class {title}" in text, f"{title} is not in {module}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_and_files_that_a_page_speaks_of_are_there(page: Path) -> None:
    """Public names such as ``rw.figures.cka``, and modules in backticks, from the root or from the package on."""
    text = page.read_text(encoding="utf-8")
    for dotted in sorted(set(re.findall(r"\brw((?:\.\w+)+)", text))):
        found: object = rw
        for name in dotted[1:].split("."):
            found = getattr(found, name) if isinstance(found, ModuleType) else found
    new = set(re.findall(r"^\| `([\w/.]+)` \| new", text, re.MULTILINE))
    for path in sorted(set(re.findall(r"`((?:[\w-]+/)+[\w-]+\.(?:py|js|css))`", text)) - new):
        assert any((home / path).exists() for home in (ROOT, ROOT / "reswork")), f"{page.name}: {path}"


def test_the_calls_of_the_readme_are_those_that_the_functions_take() -> None:
    """It would take an hour to run them; that each takes these arguments shows in a second."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    trees = [
        ast.parse(code) for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    known = [call for call in calls if re.fullmatch(r"rw(\.\w+)+", ast.unparse(call.func))]
    for call in known:
        function = eval(ast.unparse(call.func), {"rw": rw})
        names = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(function).bind(*call.args, **names)
    assert len(known) > 20


@pytest.mark.parametrize(
    "folder", sorted({page.parent for page in PAGES if page.name == "README.md"} - {ROOT})
)
def test_a_folder_of_pages_lists_them_all(folder: Path) -> None:
    listed = set(re.findall(r"\]\(([^)/]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in folder.glob("*.md")} - {"README.md"}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_the_reference_builds_without_warnings(tmp_path: Path) -> None:
    """The very command of `make docs`, with another folder, and without sources, which takes a third less."""
    shown = subprocess.run(["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True)
    (command,) = [line for line in shown.stdout.splitlines() if "/pdoc " in line]
    arguments = command.partition("/pdoc ")[2].replace("build/reference", str(tmp_path)).split()
    done = subprocess.run(
        [sys.executable, "-m", "pdoc", "--no-show-source", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=390,
        env={**os.environ, "PYTHONWARNINGS": command.partition("PYTHONWARNINGS=")[2].split()[0]},
    )  # fmt: skip
    assert done.returncode == 0 and "arn" not in done.stderr, done.stderr
    page = (tmp_path / "reswork.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in ("train", "Recipe", "History", "load_run"))
    assert 'id="StepDone"' in (tmp_path / "reswork" / "training.html").read_text(encoding="utf-8")
