"""A run's record in TensorBoard's own files."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from reswork.history import History
from reswork.recorders.forwarding import Forwarding, Point, check_installed
from reswork.training.audience import Recorder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def tensorboard(folder: str | Path = "tensorboard") -> Callable[[History], Recorder]:
    """A recorder for TensorBoard: every series as a scalar, the settings and the final state as text.

    Look at them with ``tensorboard --logdir tensorboard``; each run has a folder of its own in it.

    Args:
        folder: where TensorBoard's files go; made if it is missing.

    Returns:
        A factory; put it last: ``rw.train(..., recorders=[rw.recorders.default_recorders,
        rw.recorders.tensorboard()])``.

    Raises:
        InvalidSetting: if TensorBoard is not installed (the extra ``tensorboard``).
    """
    check_installed("tensorboard", "TensorBoard", "tensorboard")
    return lambda history: Forwarding("tensorboard", history, _Files(Path(folder)))


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def open(self, name: str, settings: Mapping[str, str]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder / name))
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

    def _write_text(self, name: str, text: str) -> None:
        assert self._writer is not None
        self._writer.add_text(name, text)
        self._writer.flush()
