"""JupyterLab opened on the start notebook: where the notebooks are, and how the server is started."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from reswork import allocator
from reswork.errors import InvalidSetting

START_NOTEBOOK = Path("notebooks", "00_start_here.ipynb")
_PACKAGE = Path(__file__).parent
_SETTINGS = _PACKAGE / "lab_settings"  # no question about news, no search for updates, no offer to build


def open_lab(arguments: Sequence[str]) -> None:
    """Replace this process by JupyterLab's server, opened on the start notebook.

    Args:
        arguments: handed on to JupyterLab, such as ``--no-browser`` or ``--port=9000``.

    Raises:
        InvalidSetting: if there are no notebooks here and none can be put here.
    """
    place_notebooks(Path.cwd(), packaged_notebooks())
    command, environment = lab_command(arguments, os.environ, Path.cwd())
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def packaged_notebooks() -> Path:
    """The folder of notebooks: inside an installed package, or beside it in a source tree."""
    installed = _PACKAGE / "_notebooks"
    return installed if installed.is_dir() else _PACKAGE.parent / "notebooks"


def place_notebooks(folder: Path, source: Path) -> None:
    """Put the notebooks into ``notebooks`` under a folder; what is there already stays as it is.

    Raises:
        InvalidSetting: if the folder cannot be written, or there is nothing to copy.
    """
    target = folder / START_NOTEBOOK.parent
    if (folder / START_NOTEBOOK).is_file():
        return
    if not (source / START_NOTEBOOK.name).is_file():
        raise InvalidSetting(
            "folder", f"no notebooks came with this installation ({source}); install reswork again"
        )
    try:
        target.mkdir(exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")):
            if not (target / notebook.name).exists():
                shutil.copyfile(notebook, target / notebook.name)
    except OSError as error:
        raise InvalidSetting(
            "folder",
            f"the notebooks cannot be put into {str(target)!r} ({error.strerror}); "
            "run 'reswork lab' in a folder that you may write to",
        ) from error


def lab_command(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of the server.

    Args:
        arguments: handed on; they come last, so that they win.
        environment: the one to extend.
        folder: the server's root; its ``runs`` is the folder of runs for every notebook.
    """
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder}",  # a file as argument would make its own folder the root
        f"--LabApp.default_url=/lab/tree/{START_NOTEBOOK.as_posix()}",  # also in the printed address
    ]
    if _redirect_file_fails():
        command.append("--ServerApp.use_redirect_file=False")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in containers; Jupyter refuses it otherwise
        command.append("--allow-root")
    paths = [str(_SETTINGS), *filter(None, [environment.get("JUPYTER_CONFIG_PATH")])]
    settings = {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not one of the same name elsewhere
        "RESWORK_RUNS": environment.get("RESWORK_RUNS") or str(folder / "runs"),
    }
    return [*command, *arguments], {**allocator.SETTINGS, **environment, **settings}


def _redirect_file_fails() -> bool:
    """Whether the browser cannot read Jupyter's redirect file: in WSL, on ChromeOS, or packed as a snap."""
    if "microsoft" in platform.release().lower() or Path("/dev/.cros_milestone").exists():
        return True
    return any(Path("/snap/bin", name).exists() for name in ("firefox", "chromium"))
