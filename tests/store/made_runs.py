"""Runs on disk that nobody trained: a folder with a description and a record, in a few milliseconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from reswork.history import History
from reswork.models.config import ResNetConfig
from reswork.store.directory import METRICS_FILE, RUN_FILE
from reswork.store.metrics_log import MetricsLog
from reswork.store.run_table import row_of
from reswork.store.saved_run import SavedRun, load_run
from reswork.training.recipe import Recipe

HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "$\\href{javascript:window.hacked=1}{x}$",
    "</script><script>window.hacked=1</script>",
    "'\"&<b>bold",
)


def made_run(
    root: Path,
    name: str,
    *,
    depth: int = 8,
    recipe: Recipe | None = None,
    data: str = "digits",
    accuracy: float = 0.9,
    created: str = "2026-01-02T03:04:05+00:00",
    classes: tuple[str, ...] = ("one", "two", "three"),
    **changes: Any,
) -> SavedRun:
    """A finished run of 20 steps whose test accuracy ends at `accuracy`."""
    directory = root / name
    directory.mkdir(parents=True)
    config = ResNetConfig(depth=depth, width=4, in_channels=1, num_classes=len(classes))
    values: dict[str, Any] = {
        "format": 1,
        "created": created,
        "config": config.to_dict(),
        "model": {"class": "reswork.ResNet", "label": config.label, "parameters": 1234},
        "recipe": (recipe or Recipe(steps=20, batch_size=8)).to_dict(),
        "data": {
            "name": data, "hash": "0" * 64, "classes": list(classes), "input_shape": [1, 8, 8], "train": 64, "test": 30,
        },
        "versions": {"reswork": "0"},
        "name": name,
        "state": "FINISHED",
        "error": None,
        "total_steps": 20,
        "progress": {"step": 20, "top1/test": accuracy, "loss/test": 1 - accuracy},
    }  # fmt: skip
    (directory / RUN_FILE).write_text(json.dumps(values | changes))
    MetricsLog(directory / METRICS_FILE, made_history(accuracy, len(classes))).flush()
    return load_run(directory)


def made_history(accuracy: float = 0.9, classes: int = 3, steps: int = 20) -> History:
    """Loss, accuracy, learning rate, gradient norms and a confusion matrix."""
    history = History()
    at = np.arange(1, steps + 1)
    history.extend("loss/train", at, 2 / np.sqrt(at) + (1 - accuracy))
    history.extend("top1/train", at, at / (at + 5.0))
    history.extend("learning_rate", at, np.full(steps, 0.1))
    for step in (steps // 2, steps):
        history.record(step, {"loss/test": 1 - accuracy, "top1/test": accuracy})
        history.record_vector("grad_norm", step, ["conv1", "fc"], [1.0 / step, float("nan")])
    history.keep("confusion/test", steps, np.eye(classes, dtype=np.int64) * 10)
    return history


def words_of(run: SavedRun) -> dict[str, str]:
    """The row of a run as it is shown."""
    return dict(row_of(run).cells)
