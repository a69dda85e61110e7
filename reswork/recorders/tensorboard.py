"""A run's record in TensorBoard's own files."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reswork.recorders.forwarder import Forwarder, Point, check_installed

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def tensorboard(folder: str | Path = "tensorboard") -> Forwarder:
    """A recorder for TensorBoard: every series as a scalar, the settings and the final state as text.

    Look at them with ``tensorboard --logdir tensorboard``; each run has a folder of its own in it. A run that goes on
    later, with ``saved.resume(recorders=[rw.recorders.tensorboard(...)])``, goes on in the same folder.

    Args:
        folder: where TensorBoard's files go; made if it is missing.

    Returns:
        A factory; put it last: ``rw.train(..., recorders=[rw.recorders.default_recorders,
        rw.recorders.tensorboard()])``.

    Raises:
        InvalidSetting: if TensorBoard is not installed (the extra ``tensorboard``).
    """
    check_installed("tensorboard", "TensorBoard", "tensorboard")
    path = Path(folder).absolute()  # a process of its own, or a later change of folder, shall find the same
    return Forwarder("tensorboard", {"folder": str(path)}, lambda: _Files(path))


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def open(self, name: str, settings: Mapping[str, str], step: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder / name), purge_step=step)  # hides what comes again
        lines = (
            f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>" for key, value in settings.items()
        )
        self._write_text("settings", f"<table>{''.join(lines)}</table>")

    def take(self, points: Sequence[Point]) -> None:
        assert self._writer is not None
        for name, step, value in points:
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, state: str) -> None:
        assert self._writer is not None
        self._write_text("state", state)
        self._writer.close()

    def state(self) -> dict[str, Any]:
        return {}  # its files are found by the run's name

    def restore(self, kept: Mapping[str, Any]) -> None:
        pass

    def _write_text(self, name: str, text: str) -> None:
        assert self._writer is not None
        self._writer.add_text(name, text)
        self._writer.flush()
