import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import reswork as rw

SOURCE = Path(rw.__file__)


def test_all_lists_exactly_the_public_names() -> None:
    homes = vars(rw)["_HOMES"].keys() | vars(rw)["_MODULES"].keys()
    assert set(rw.__all__) == homes
    assert rw.__all__ == sorted(rw.__all__)
    assert set(dir(rw)) == {*rw.__all__, "__version__"}


def test_what_type_checkers_see_is_what_python_gives() -> None:
    """The imports under TYPE_CHECKING name the same modules as the table that is used at run time."""
    tree = ast.parse(SOURCE.read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = {name: path.rpartition(".")[0] for name, path in vars(rw)["_MODULES"].items()}
    assert seen == {**vars(rw)["_HOMES"], **modules}


@pytest.mark.parametrize("name", rw.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(rw, name)
    assert value.__doc__
    assert value.__name__.rpartition(".")[2] == name


def test_the_design_names_are_there() -> None:
    names = {
        "ResNetConfig", "resnet", "spec_sheet", "show_code", "datasets", "Recipe", "train", "fit", "Run",
        "RunState", "History", "live", "Workbench", "load_run", "runs", "figures", "recorders", "presets",
        "probes", "results",
    }  # fmt: skip
    assert names <= set(rw.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rw.nothing  # noqa: B018


STAGES = (  # each in a fresh process, line after line: what it must not have brought by then
    (
        ("import reswork as rw", "torch numpy plotly ipywidgets anywidget IPython sklearn"),
        ("rw.ResNetConfig(depth=20)", "torch plotly ipywidgets"),
        ("import reswork.models.sheet", "torch plotly ipywidgets"),
        ("rw.History()", "torch plotly ipywidgets"),
        ("rw.results.Attribution", "torch plotly captum ipywidgets"),
        ("rw.studies.NAMES", "torch plotly sklearn ipywidgets"),
        ("rw.figures.loss_curves", "torch ipywidgets anywidget IPython"),
    ),
    (
        ("import socket; socket.socket.connect = None", ""),  # nothing is downloaded
        ("import reswork.datasets", "plotly sklearn"),
        ("import reswork as rw; rw.train; rw.runs", "plotly ipywidgets captum torchvision torchmetrics"),
        ("rw.Workbench; rw.inspect", "captum torchvision sklearn"),
        (
            "import numpy; data = rw.datasets.arrays(numpy.zeros((4, 8, 8), 'u1'), [0, 1, 0, 1])",
            "captum sklearn",
        ),
        ("recipe = rw.Recipe(device='cpu', precision='fp32', compile='off', batch_size=2)", ""),
        ("next(rw.fit(rw.resnet(depth=8, width=2, in_channels=1, num_classes=2), data, recipe))", "captum"),
        ("assert 'torchmetrics.classification' in sys.modules", ""),  # not amid the first curve
    ),
)


@pytest.mark.parametrize("stages", STAGES, ids=["without torch", "with torch"])
def test_an_import_brings_only_what_is_used(stages: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    lines = ["import sys"]
    for code, absent in stages:
        lines += [
            code,
            f"found = {set(absent.split())!r} & sys.modules.keys()",
            f"assert not found, ({code!r}, found)",
        ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(SOURCE.parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_module_can_be_imported_by_itself() -> None:
    for path in sorted(SOURCE.parent.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        assert import_module(name).__name__ == name
