"""A run's record in MLflow, on a server or in a local store."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reswork.recorders.forwarder import Forwarder, Point, check_installed

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MOST_METRICS, _MOST_SETTINGS = 1_000, 100  # in one message, as MLflow limits it
_LONGEST = 500  # of a setting's text; old servers take no more
_STATUS = {"FINISHED": "FINISHED", "STOPPED": "KILLED", "FAILED": "FAILED"}


def mlflow(uri: str | None = None, experiment: str = "reswork") -> Forwarder:
    """A recorder for MLflow: every series as a metric, the settings as parameters, the final state as status.

    A run that was stopped has MLflow's status KILLED. One that goes on later, with
    ``saved.resume(recorders=[rw.recorders.mlflow(...)])``, goes on in the same run of MLflow; values from shortly
    before the checkpoint to the end of the first part are there twice, with the same step.

    Args:
        uri: of the tracking server or store; None: as MLflow finds it (``MLFLOW_TRACKING_URI``).
        experiment: name of the experiment; made if it is missing.

    Returns:
        A factory; put it last: ``rw.train(..., recorders=[rw.recorders.default_recorders, rw.recorders.mlflow()])``.

    Raises:
        InvalidSetting: if MLflow is not installed (the extra ``mlflow``).
    """
    check_installed("mlflow", "MLflow", "mlflow")
    options = {"uri": uri, "experiment": experiment}
    return Forwarder("mlflow", options, lambda: _Tracking(uri, experiment))


class _Tracking:
    def __init__(self, uri: str | None, experiment: str) -> None:
        self._uri, self._experiment = uri, experiment
        self._client: MlflowClient | None = None
        self._run = ""
        self._before = ""  # the run that a checkpoint names
        self._folders: set[str] = set()  # a local store keeps a/b as a file in a folder a

    def open(self, name: str, settings: Mapping[str, str], step: int | None) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = client = MlflowClient(tracking_uri=self._uri)
        found = client.get_experiment_by_name(self._experiment)
        number = found.experiment_id if found is not None else client.create_experiment(self._experiment)
        if self._before and self._is_there(client, number, name):
            self._run, self._before = self._before, ""
            client.update_run(self._run, status="RUNNING")
            return
        if not self._run:
            self._run = client.create_run(number, run_name=name).info.run_id
        parameters = [Param(_allowed(key), value[:_LONGEST]) for key, value in settings.items()]
        for part in _parts(parameters, _MOST_SETTINGS):
            client.log_batch(self._run, params=part)

    def _is_there(self, client: "MlflowClient", experiment: str, name: str) -> bool:
        """Whether the run of before is in this store, in this experiment, and of this name."""
        from mlflow.exceptions import MlflowException

        try:
            info = client.get_run(self._before).info
        except MlflowException:
            return False
        return (info.experiment_id, info.run_name) == (experiment, name)

    def take(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        assert self._client is not None
        now = int(time.time() * 1000)
        self._folders.update(name.rpartition("/")[0] for name, _, _ in points)
        metrics = [
            Metric(_allowed(f"{name}/value" if name in self._folders else name), value, now, step)
            for name, step, value in points
        ]
        for part in _parts(metrics, _MOST_METRICS):
            self._client.log_batch(self._run, metrics=part)

    def close(self, state: str) -> None:
        assert self._client is not None
        self._client.set_terminated(self._run, status=_STATUS[state])

    def state(self) -> dict[str, Any]:
        return {"run": self._run or self._before}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self._before = str(kept["run"])


def _parts(values: list[Any], most: int) -> list[list[Any]]:
    return [values[start : start + most] for start in range(0, len(values), most)]


def _allowed(name: str) -> str:
    """With the characters that MLflow takes in a name."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)[:250]
