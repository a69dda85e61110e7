import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
TARGETS = {
    "lab",
    "test",
    "check",
    "docs",
    "bench",
    "notebooks",
    "gallery",
    "test-kernels",
    "test-frontends",
    "test-server",
    "test-ship",
    "clean",
}
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_environment_yml_installs_the_project_and_lists_nothing_itself(project: dict[str, Any]) -> None:
    lines = [line.strip() for line in (ROOT / "environment.yml").read_text().splitlines()]
    listed = [line.removeprefix("- ") for line in lines[lines.index("dependencies:") + 1 :] if line]
    python = f"python{project['project']['requires-python']}"
    assert listed == [python, "pip", "pip:", "--editable .[dev]"]


def test_broken_kernels_are_excluded(project: dict[str, Any]) -> None:
    (kernel,) = [r for r in map(Requirement, project["project"]["dependencies"]) if r.name == "ipykernel"]
    for version in ("6.30.0", "7.0.0", "7.0.1", "6.28.0"):
        assert not kernel.specifier.contains(version)
    for version in ("6.29.5", "6.31.0", "7.3.0", "7.4.0"):
        assert kernel.specifier.contains(version)


def test_everything_that_the_package_imports_is_declared(project: dict[str, Any]) -> None:
    known = {"PIL": "pillow", "sklearn": "scikit-learn", "pynvml": "nvidia-ml-py", "mlflow": "mlflow-skinny",
             "torch_pruning": "torch-pruning",
             "umap": "umap-learn", "prometheus_client": "prometheus-client", "starlette": "fastapi",
             "ai_edge_litert": "ai-edge-litert"}  # fmt: skip
    known |= {"IPython": "ipykernel", "traitlets": "ipywidgets"}  # parts of those, and bound to them
    extras = project["project"]["optional-dependencies"]
    wanted = [r for extra, needs in extras.items() if extra not in ("bench", "dev") for r in needs]
    declared = {Requirement(r).name for r in [*project["project"]["dependencies"], *wanted]}
    for path in (ROOT / "reswork").rglob("*.py"):
        if path.parent.name == "carried":  # they run elsewhere, with what their bundle names
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"reswork"}:
                assert known.get(name, name) in declared, f"{path.name} imports {name}"


@needs_make
def test_make_alone_lists_the_commands() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")} == TARGETS


@needs_make
def test_make_says_what_is_missing_where_there_is_no_python(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "bin").mkdir()
    for tool in ("make", "sh", "touch", "mkdir", "echo"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    (tmp_path / "bin" / "python3").write_text("#!/bin/sh\nexit 1\n")  # too old
    (tmp_path / "bin" / "python3").chmod(0o755)
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["make", "lab"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr


def test_the_makefile_uses_only_what_gnu_make_3_81_and_macos_have() -> None:
    text = (ROOT / "Makefile").read_text()
    for word in (
        ".ONESHELL",
        "$(file ",
        "&:",
        "!=",
        "sed -i",
        "readlink -f",
        "grep -P",
        "xargs -r",
        "cp -a",
        "mapfile",
    ):
        assert word not in text


@pytest.mark.slow
def test_a_wheel_has_the_data_the_notebooks_and_the_page_files(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(
        build, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONWARNINGS": ""}
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("reswork-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"reswork/_data/fashion/{path.name}" for path in (ROOT / "data" / "fashion").iterdir()} <= names
    assert "reswork/_notebooks/00_start_here.ipynb" in names
    assert {"reswork/py.typed", "reswork/lab_settings/labconfig/page_config.json"} <= names
    for path in (ROOT / "reswork").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(ROOT).as_posix() in names


@pytest.mark.slow
def test_an_unpacked_wheel_works_away_from_the_tree(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, capture_output=True, check=True, timeout=300)
    (wheel,) = tmp_path.glob("reswork-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = (
        "import reswork as rw, reswork.lab, pathlib\n"
        "assert 'site' in rw.__file__, rw.__file__\n"
        "data = rw.datasets.fashion()\n"
        "assert len(data.train) == 10_000 and len(data.test) == 2_000\n"
        "reswork.lab.place_notebooks(pathlib.Path.cwd(), reswork.lab.packaged_notebooks())\n"
        "assert pathlib.Path('notebooks/00_start_here.ipynb').is_file()\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=work, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
