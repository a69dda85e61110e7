"""The film strip: a few pinned pictures, looked at every few seconds while a run goes on."""

import time
from collections.abc import Callable

import ipywidgets as w
import numpy as np
from torch import nn

from reswork import figures
from reswork.datasets import Dataset
from reswork.errors import InvalidSetting
from reswork.experiment.pinned_examples import PinnedExamples, first_of_each_class
from reswork.recorders import SnapshotObserver
from reswork.recorders.recorder_controls import RecorderControls
from reswork.results.answers import AnomalyAnswers
from reswork.training.live_run import LiveRun
from reswork.widgets.form import Field, picture_numbers
from reswork.widgets.inspector import as_pictures
from reswork.widgets.legend import legend_of
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part
from reswork.widgets.refresh import Refresher

INTERVAL_S = 3.0
SHARE = 0.05  # of the time that looking may take, in a run that has no budget for its recorders
_GLANCE_S = 0.5  # seconds between two questions whether it is time to look


class FilmPanel:
    """Pinned pictures in rows, moments in columns, from snapshots of the run.

    What it costs counts in the budget of a run in this kernel, which makes it look less often together with the
    recorders.

    Args:
        seen: called with each snapshot and its step, from the thread that took it.
        interval_s: shortest time between two looks.

    Attributes:
        view: the part of the page.
        film: the frames; None before the first run.
        observer: what it costs.
    """

    def __init__(
        self,
        seen: Callable[[nn.Module, int], None] = lambda snapshot, step: None,
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.film: PinnedExamples | None = None
        self._usual_s = interval_s
        self.observer = self._made_observer()
        self._seen = seen
        self._last_look_s = 0.0
        self._recorder_controls: RecorderControls | None = None
        self._alone = True  # no budget stretches its interval
        self._run: LiveRun | None = None
        self._data: Dataset | None = None
        self._pinned = Field(
            "Pinned test pictures", w.Text,
            "Numbers of up to six test pictures that are followed through the training",
            placeholder="0, 1, 2", continuous_update=False,
            style={"description_width": "140px"}, layout={"width": "360px"},
        )  # fmt: skip
        self._pinned.changed = self._repin
        self.view = Part(self._made, self._draw)
        self.view.add_class("reswork-film")
        self.refresher = Refresher(self._shoot, interval_s=min(_GLANCE_S, interval_s), share=1)

    def follow(self, run: LiveRun, data: Dataset) -> None:
        """Follow a run from now on; its frames begin anew."""
        self._leave_budget()
        self._run, self._data = run, data
        self.observer = self._made_observer()
        self._recorder_controls = run.recorder_controls
        self._alone = self._recorder_controls is None or not self._recorder_controls.enter(self.observer)
        self.film = None
        self._pinned.value = ", ".join(map(str, first_of_each_class(data)))
        self._repin()
        self.refresher.start()

    def _made(self) -> list[w.Widget]:
        self.strip = LiveFigure(figures.film_strip(np.zeros((0, 1, 1, 1), np.uint8), []))
        self._legend = w.HTML()
        return [self._pinned.view, self.strip, self._legend]

    def pin(self, index: int) -> None:
        """Follow one more picture; the oldest of more than six goes."""
        pinned = [part for part in self._pinned.value.replace(" ", "").split(",") if part]
        self._pinned.value = ", ".join([*(part for part in pinned if part != str(index)), str(index)][-6:])

    def close(self) -> None:
        """Look no more; the widgets are closed with their tree."""
        self.refresher.stop()
        self._leave_budget()

    def _made_observer(self) -> SnapshotObserver:
        return SnapshotObserver(
            "film strip", self._usual_s, "Grad-CAM of the pinned pictures, on the page Inspect."
        )

    def _leave_budget(self) -> None:
        if self._recorder_controls is not None:
            self._recorder_controls.leave(self.observer)

    def _repin(self) -> None:
        if self._data is None:
            return
        try:
            task = self._run.task if self._run is not None else None
            film = PinnedExamples(self._data, picture_numbers(self._pinned.value), task=task)
        except InvalidSetting as error:
            self._pinned.error = error.message
            return
        self._pinned.error = ""
        if self.film is None or self.film.pictures != film.pictures:
            self.film = film
            self._draw()

    def _shoot(self) -> bool:
        run, film = self._run, self.film
        if run is None or film is None:
            return False
        over = run.done
        step = run.steps_done
        is_due = over or time.monotonic() - self._last_look_s >= self._interval_s(film)
        if is_due and not (film.frames and film.frames[-1].step == step):
            self._last_look_s, begin = time.monotonic(), time.thread_time()
            snapshot = run.snapshot()
            film.shoot(snapshot, step)
            self._draw()
            self._seen(snapshot, step)
            self.observer.took(time.thread_time() - begin + run.snapshot_s)
        return not over

    def _interval_s(self, film: PinnedExamples) -> float:
        if not film.frames:
            return 0.0
        return max(self.observer.interval_s, (self.observer.look_s or 0.0) / SHARE if self._alone else 0.0)

    def _draw(self) -> None:
        film = self.film
        if film is None or not self.view.is_shown:
            return
        truth = None if film.truth is None else film.truth.numpy()
        answers = film.frames[-1].answers if film.frames else None
        restored = (
            as_pictures(answers.restored, film.data.mean, film.data.std)
            if isinstance(answers, AnomalyAnswers)
            else None
        )
        self.strip.show(
            figures.film_strip(
                film.images.numpy(), film.frames, film.data.classes, truth=truth, restored=restored
            )
        )
        self._legend.value = legend_of(film.data)
