"""What can be seen around this Python: versions, page, kernel, memory. Gathered once, judged elsewhere."""

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

_ANSWERING = ("ipywidgets", "anywidget")  # whose own requirements decide whether page and kernel fit


@dataclass(frozen=True)
class Context:
    """The facts that the checks judge; made up by tests, gathered by `look_around`.

    Attributes:
        python: version of Python.
        python_needed: as reswork's metadata ask for it.
        needed: reswork's requirements, as its metadata list them; extras carry their mark.
        installed: version of each installed package, by its canonical name.
        widgets_need: requirements of ipywidgets and anywidget.
        variables: environment variables.
        shell: class of IPython's shell, with its module; empty in plain Python.
        in_kernel: whether a Jupyter kernel runs this.
        has_comms: whether that kernel can talk to widgets.
        names: names in the shell that front ends leave there.
        server: command of the process that started this one.
        platform: as in ``sys.platform``.
        extensions: JupyterLab's extensions that lie in this environment.
    """

    python: str = "3.12.0"
    python_needed: str = ""
    needed: tuple[str, ...] = ()
    installed: Mapping[str, str] = field(default_factory=dict)
    widgets_need: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    shell: str = ""
    in_kernel: bool = False
    has_comms: bool = False
    names: frozenset[str] = frozenset()
    server: str = ""
    platform: str = "linux"
    extensions: frozenset[str] = frozenset()


def look_around() -> Context:
    """The facts of this process; imports nothing of what it looks for."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    kernel = getattr(shell, "kernel", None)
    needed = _needed("reswork")
    return Context(
        python=".".join(map(str, sys.version_info[:3])),
        python_needed=metadata.metadata("reswork")["Requires-Python"] if needed else "",
        needed=needed,
        installed=_installed(),
        widgets_need={name: _needed(name) for name in _ANSWERING},
        variables=dict(os.environ),
        shell=f"{type(shell).__module__}.{type(shell).__name__}" if shell is not None else "",
        in_kernel=kernel is not None,
        has_comms=getattr(kernel, "comm_manager", None) is not None,
        names=frozenset(getattr(shell, "user_ns", {})) & {"__vsc_ipynb_file__"},
        server=_parent_command(),
        platform=sys.platform,
        extensions=_extensions(),
    )


def _needed(package: str) -> tuple[str, ...]:
    try:
        return tuple(metadata.requires(package) or ())
    except metadata.PackageNotFoundError:
        return ()


def _installed() -> dict[str, str]:
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for each in metadata.distributions():
        name = each.metadata["Name"] if each.metadata is not None else None
        if name:  # a folder that a broken removal left has none
            found.setdefault(
                canonicalize_name(name), each.version
            )  # the first on the path is what is imported
    return found


def _parent_command() -> str:
    try:
        import psutil

        parent = psutil.Process().parent()
        return " ".join(parent.cmdline()) if parent is not None else ""
    except Exception:  # psutil is missing or too old, or the system forbids it: then nobody knows
        return ""


def _extensions() -> frozenset[str]:
    """Names such as ``anywidget`` and ``@jupyter-widgets/jupyterlab-manager``."""
    given = [Path(each) for each in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if each]
    found: set[str] = set()
    for root in (*given, Path(sys.prefix, "share", "jupyter")):
        folder = root / "labextensions"
        with contextlib.suppress(OSError):
            places = [*folder.glob("*/package.json"), *folder.glob("@*/*/package.json")]
            found |= {path.parent.relative_to(folder).as_posix() for path in places}
    return frozenset(found)
