"""Both against the real packages with a local store, read back with their own readers."""

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from reswork.datasets.dataset import Dataset
from reswork.experiment.launch import train
from reswork.models.network import ResNet
from reswork.recorders import default_recorders, mlflow, tensorboard
from reswork.store.saved_run import SavedRun, load_run
from reswork.training.recipe import Recipe

RECIPE = Recipe(steps=6, batch_size=8, device="cpu", precision="fp32", compile="off", learning_rate=0.05)
NAMES = ("loss/train", "loss/test", "learning_rate", "grad_norm/conv1")

pytestmark = pytest.mark.filterwarnings("default")  # other people's packages warn of each other


def test_tensorboard_reads_what_was_recorded(tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    recorders = [default_recorders, tensorboard(tmp_path / "logs")]
    run = train(tiny_net, tiny_data, RECIPE, directory=tmp_path / "mine", recorders=recorders)
    run.wait(300)
    read = reader.EventAccumulator(
        str(tmp_path / "logs" / "mine"), size_guidance={"scalars": 0, "tensors": 0}
    )
    read.Reload()
    for name in NAMES:
        series = run.history.series(name)
        assert [event.step for event in read.Scalars(name)] == series.steps.tolist()
        assert [event.value for event in read.Scalars(name)] == pytest.approx(
            series.values.tolist(), rel=1e-6
        )
    (settings,) = read.Tensors("settings/text_summary")
    assert "<td>recipe.learning_rate</td><td>0.05</td>" in settings.tensor_proto.string_val[0].decode()
    assert "&lt;b&gt;one&lt;/b&gt;" in settings.tensor_proto.string_val[0].decode()  # a class of that name
    (state,) = read.Tensors("state/text_summary")
    assert state.tensor_proto.string_val[0] == b"FINISHED"


@pytest.fixture
def mlflow_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """A local store's client, and recorders that send to it."""
    package = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    return package.MlflowClient(tracking_uri=uri), [default_recorders, mlflow(uri, "trial")]


def stopped(folder: Path, at: int, net: ResNet, data: Dataset, recorders: list[Any]) -> SavedRun:
    run = train(net, data, RECIPE, directory=folder, recorders=recorders, start=False)
    for step in (2, at - 2):
        run.step(step)
        run.wait_until_still(300)
        time.sleep(0.3)  # a pause so long has a checkpoint
    run.stop()
    run.wait(300)
    return load_run(folder)


def test_tensorboard_goes_on_with_a_run_and_hides_what_a_lost_continuation_wrote(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset
) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    recorders = [default_recorders, tensorboard(tmp_path / "logs")]
    saved = stopped(tmp_path / "mine", 4, tiny_net, tiny_data, recorders)
    first = saved.history.series("loss/train").steps.tolist()
    assert first == [1, 2, 3, 4]
    run = saved.resume(data=tiny_data, step=2, recorders=recorders[1:])
    run.wait(300)
    read = reader.EventAccumulator(str(tmp_path / "logs" / "mine"), size_guidance={"scalars": 0})
    read.Reload()
    series = run.history.series("loss/train")
    assert series.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in read.Scalars("loss/train")] == series.steps.tolist()
    assert [event.value for event in read.Scalars("loss/train")] == pytest.approx(
        series.values.tolist(), rel=1e-6
    )


def test_tensorboard_on_a_disk_that_refuses(tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    (tmp_path / "logs").write_text("a file")
    recorders = [default_recorders, tensorboard(tmp_path / "logs")]
    run = train(tiny_net, tiny_data, RECIPE, directory=tmp_path / "mine", recorders=recorders)
    with pytest.warns(RuntimeWarning, match="not sent to tensorboard"):
        assert run.wait(300).name == "FINISHED" and run.steps_done == 6
    assert [note.details["recorder"] for note in run.history.notes if note.kind == "not_sent"] == [
        "tensorboard"
    ]


def test_mlflow_reads_what_was_recorded(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset, mlflow_store: tuple[Any, list[Any]]
) -> None:
    client, recorders = mlflow_store
    run = train(tiny_net, tiny_data, RECIPE, directory=tmp_path / "mine", recorders=recorders)
    run.wait(300)
    assert not [note for note in run.history.notes if note.kind == "not_sent"]
    (found,) = client.search_runs([client.get_experiment_by_name("trial").experiment_id])
    assert (found.info.run_name, found.info.status) == ("mine", "FINISHED")
    assert found.data.params["recipe.learning_rate"] == "0.05"
    assert {"noise_scale/value", "noise_scale/noise"} <= set(
        found.data.metrics
    )  # one name is a folder of others
    for name in NAMES:
        series = run.history.series(name)
        metrics = sorted(client.get_metric_history(found.info.run_id, name), key=lambda metric: metric.step)
        assert [metric.step for metric in metrics] == series.steps.tolist()
        assert [metric.value for metric in metrics] == series.values.tolist()


def test_mlflow_goes_on_with_the_same_run(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset, mlflow_store: tuple[Any, list[Any]]
) -> None:
    client, recorders = mlflow_store
    saved = stopped(tmp_path / "mine", 4, tiny_net, tiny_data, recorders)
    number = client.get_experiment_by_name("trial").experiment_id
    (before,) = client.search_runs([number])
    assert before.info.status == "KILLED"
    run = saved.resume(data=tiny_data, recorders=recorders[1:])
    run.wait(300)
    assert not [note for note in run.history.notes if note.kind == "not_sent"]
    (found,) = client.search_runs([number])
    assert (found.info.run_id, found.info.status) == (before.info.run_id, "FINISHED")
    series = run.history.series("loss/train")
    metrics = client.get_metric_history(found.info.run_id, "loss/train")
    expected = set(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    assert {(each.step, each.value) for each in metrics} == expected
    assert len([each for each in metrics if each.step in (1, 2, 5, 6)]) == 4


def test_mlflow_without_a_server(
    tmp_path: Path, tiny_net: ResNet, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow-skinny")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    recorders = [default_recorders, mlflow("http://127.0.0.1:9")]
    run = train(tiny_net, tiny_data, RECIPE, directory=tmp_path / "mine", recorders=recorders)
    with pytest.warns(RuntimeWarning, match="not sent to mlflow"):
        assert run.wait(300).name == "FINISHED" and run.steps_done == 6
    assert [note.details["recorder"] for note in run.history.notes if note.kind == "not_sent"] == ["mlflow"]
