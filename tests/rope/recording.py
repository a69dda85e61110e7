"""Trains small networks in every way that there is, and writes down all of it that does not depend on the clock.

    PYTHONPATH=<a checkout> python tests/rope/recording.py <out.json> [<name of a training> ...]

It runs under the code of any day, so it uses public names only. The clock stands still meanwhile: nothing is timed, no
recorder is thinned out, and what is written at an interval is written at the events alone.
"""

import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

import reswork as rw

STEPS = 30
STOPPED = Path(__file__).parents[1] / "store" / "runs_of_before" / "stopped"
CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
CLOCK_SERIES = ("images_per_second", "memory/bytes", "device/utilisation")
CLOCK_FIELDS = ("created", "versions")  # of run.json
RENAMED = {"target_score": "target_accuracy", "target": "target_accuracy"}  # settings and details of notes
SHARED_SERIES = (
    "loss/train",
    "top1/train",
    "learning_rate",
    "loss/test",
    "top1/test",
)  # that no budget thins out


class Foreign(nn.Module):
    """A network that was not built by reswork: no config, a branch, layer norm, dropout, no batch norm."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 12, 3, padding=1)
        self.branch = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.GELU(), nn.Conv2d(12, 12, 1))
        self.norm = nn.LayerNorm(12)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(12, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)  # (N, 12, H, W)
        features = features + self.branch(features)
        return self.last(self.drop(self.norm(features.mean((2, 3)))))


@dataclass(frozen=True)
class Training:
    """One way to train: the network's settings (None: `Foreign`), the data, the recipe, and how it is steered."""

    config: Mapping[str, Any] | None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data: str = "digits"
    how: str = "straight"


TRAININGS = {
    "post": Training({"depth": 8, "width": 8}),
    "pre, bf16, channels_last, augmented": Training(
        {"depth": 14, "width": 8, "order": "pre", "shortcut": "B"},
        {"precision": "bf16", "channels_last": True, "augmentation": rw.Augmentation(crop_padding=4, flip=True)},
        "shapes",
    ),
    "bottleneck B, label smoothing": Training(
        {"depth": 11, "width": 8, "block": "bottleneck", "shortcut": "B"},
        {"channels_last": True, "label_smoothing": 0.1},
    ),
    "group norm, adamw, clipping": Training(
        {"depth": 8, "width": 16, "norm": "group"},
        {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.05, "clip_norm": 0.5},
    ),
    "plain, one cycle, no decay of norms": Training(
        {"depth": 14, "width": 8, "residual": False},
        {"schedule": "one_cycle", "decay_norm_and_bias": False, "weight_decay": 0.01},
    ),
    "mixup, bf16": Training({"depth": 8, "width": 8}, {"mixup": 0.4, "precision": "bf16"}),
    "accumulation": Training({"depth": 8, "width": 8}, {"accumulate": 3, "batch_size": 50}),
    "averaged weights, target": Training(
        {"depth": 8, "width": 8}, {"ema": 0.9, "target_accuracy": 0.15, "learning_rate": 0.02}
    ),
    "wide, nesterov, clipping, channels_last": Training(
        {"depth": 8, "width": 4, "widen_factor": 3, "order": "pre"},
        {"nesterov": True, "clip_norm": 0.3, "channels_last": True},
    ),
    "dropout, stochastic depth, squeeze and excitation": Training(
        {"depth": 14, "width": 8, "dropout": 0.3, "stochastic_depth": 0.4, "squeeze_excitation": True}
    ),
    "imagenet form, C, bf16": Training(
        {"depth": 18, "width": 8, "shortcut": "C"}, {"precision": "bf16", "accumulate": 2}, "shapes"
    ),
    "no norm, fixup, adam": Training(
        {"depth": 8, "width": 8, "norm": "none", "residual_scaling": "fixup"},
        {"optimizer": "adam", "learning_rate": 0.002, "schedule": "constant"},
    ),
    "recomputed, deterministic, step, warmup": Training(
        {"depth": 8, "width": 8, "dropout": 0.2},
        {
            "checkpoint_activations": True, "deterministic": True, "schedule": "step", "warmup_epochs": 0.4,
            "seed": 7, "augmentation": rw.Augmentation(translate=1, cutout=3),
        },
    ),
    "clothes, zero start, switched off": Training(
        {"depth": 8, "width": 4, "zero_init_last_norm": True, "shortcuts_off": ("layer2.0",)},
        {"batch_size": 32}, "fashion",
    ),
    "foreign": Training(None),
    "foreign, mixup, average, accumulation, channels_last": Training(
        None, {"mixup": 0.2, "ema": 0.8, "accumulate": 2, "channels_last": True, "clip_norm": 1.0}
    ),
    "paused, changed, stopped, resumed": Training(
        {"depth": 8, "width": 8, "dropout": 0.1}, {"ema": 0.9, "mixup": 0.2}, how="resumed"
    ),
    "gone on with a run of before": Training({}, how="of_before"),
    "branch": Training({"depth": 8, "width": 4}, {"schedule": "constant"}, how="branch"),
    "process of its own": Training({"depth": 8, "width": 8, "dropout": 0.1}, {"mixup": 0.2}, how="process"),
}  # fmt: skip


def main(out: str, *names: str) -> None:
    """Record the named trainings, or all, into a file of JSON."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = {name: record(name, Path(folder)) for name in names or TRAININGS}
    Path(out).write_text(json.dumps({"code": str(Path(rw.__file__).parent.parent), "trainings": found}))


def record(name: str, root: Path) -> dict[str, Any]:
    """Train once, and give back everything that must be the same next time."""
    training = TRAININGS[name]
    data, recipe = data_of(training.data), recipe_of(training)
    torch.manual_seed(3)
    classes, channels = len(data.classes), data.train.images.shape[1]
    model = (
        Foreign(channels, classes)
        if training.config is None
        else rw.resnet(rw.ResNetConfig(in_channels=channels, num_classes=classes, **training.config))
    )
    folder = root / f"run {len(list(root.iterdir()))}"
    if training.how == "process":  # its clock goes on, so only what no clock can change is compared
        run = rw.train(model, data, recipe, directory=folder, engine="process")
        run.wait()
        wanted = {each: run.history.series(each) for each in SHARED_SERIES}
        series = {
            each: digest([found.steps.tolist(), found.values.tolist()]) for each, found in wanted.items()
        }
        return {"losses": losses_of(run), "weights": weights_of(model), "series": series}
    with clock_stopped():
        run = HOWS[training.how](model, data, recipe, folder)
    folder = folder.with_name(f"{folder.name} branch") if training.how == "branch" else folder
    return {
        "losses": losses_of(run),
        "weights": weights_of(run.model),
        "series": dict(series_of(run.history.to_dict())),
        "notes": renamed(run.history.to_dict()["notes"]),
        **folder_of(folder),
    }


def data_of(name: str) -> Any:
    """The data set of a training."""
    if name == "shapes":
        return rw.datasets.shapes(train=640, test=100)
    return getattr(rw.datasets, name)()


def recipe_of(training: Training) -> Any:
    """The recipe of a training, with nothing in it that would be timed."""
    fixed = {"precision": "fp32", "channels_last": False, "compile": "off", "device": "cpu"}
    return rw.Recipe.from_dict({"steps": STEPS, "batch_size": 64, **fixed, **training.recipe})


def straight(model: nn.Module, data: Any, recipe: Any, folder: Path) -> Any:
    """From the first step to the last."""
    run = rw.train(model, data, recipe, directory=folder)
    run.wait()
    return run


def resumed(model: nn.Module, data: Any, recipe: Any, folder: Path) -> Any:
    """Held after 8 steps, given another learning rate, held and stopped after 23, and gone on with from the disk."""
    run = rw.train(model, data, recipe, directory=folder, start=False)
    for more, rate in ((8, 0.03), (15, None)):
        run.step(more)
        while run.state is not rw.RunState.PAUSED:
            time.sleep(0.01)
        if rate is not None:
            run.set(learning_rate=rate)
    run.stop()
    run.wait()
    again = rw.load_run(folder).resume()
    again.wait()
    return again


def of_before(model: nn.Module, data: Any, recipe: Any, folder: Path) -> Any:
    """The rest of a run that was stopped in the middle when the code of before was today's."""
    shutil.copytree(STOPPED, folder)
    again = rw.load_run(folder).resume()
    again.wait()
    return again


def branch(model: nn.Module, data: Any, recipe: Any, folder: Path) -> Any:
    """A longer training that goes on from the end of another one."""
    first = straight(model, data, recipe, folder)
    changes = {"steps": 2 * STEPS, "learning_rate": 0.01}
    again = rw.branch(first, STEPS, changes, directory=folder.with_name(f"{folder.name} branch"))
    again.wait()
    return again


HOWS: dict[str, Callable[..., Any]] = {
    "straight": straight,
    "resumed": resumed,
    "of_before": of_before,
    "branch": branch,
}


@contextmanager
def clock_stopped() -> Iterator[None]:
    """The clock that a training asks stands still; waiting and sleeping go on."""
    clocks = {name: getattr(time, name) for name in CLOCKS}
    try:
        for name, clock in clocks.items():
            setattr(time, name, partial(float, clock()))
        yield
    finally:
        for name, clock in clocks.items():
            setattr(time, name, clock)


# --- what is compared ----------------------------------------------------------------------------------


def digest(values: object) -> str:
    """A short hash of JSON values."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:20]


def tensor_digest(tensor: Tensor) -> str:
    """A short hash of a tensor: kind, shape, bytes."""
    plain = tensor.detach().cpu().contiguous()
    head = f"{plain.dtype} {tuple(plain.shape)} ".encode()
    return hashlib.sha256(head + plain.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()[:20]


def losses_of(run: Any) -> list[str]:
    """Of each step, to the last bit."""
    return [float(value).hex() for value in run.history.series("loss/train").values]


def weights_of(model: nn.Module) -> str:
    """A hash of all weights and buffers under their names."""
    return digest([[name, tensor_digest(value)] for name, value in model.state_dict().items()])


def series_of(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A hash of every series, group and kept array that does not depend on the clock."""
    for kind in ("series", "groups", "arrays"):
        for name, values in record[kind].items():
            if name not in CLOCK_SERIES:
                yield name, digest(values)


def folder_of(folder: Path) -> dict[str, Any]:
    """What a run left on the disk, without what depends on the clock."""
    text = (folder / "run.json").read_text(encoding="utf-8")
    values = json.loads(text)
    form = {"run.json": text == json.dumps(values, indent=1, ensure_ascii=False) + "\n"}
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    form["metrics.jsonl"] = all(line == json.dumps(json.loads(line)) + "\n" for line in lines)
    return {
        "run.json": renamed({key: value for key, value in values.items() if key not in CLOCK_FIELDS}),
        "metrics.jsonl": [
            line for text in lines if (line := without_clock(renamed(json.loads(text)))) is not None
        ],
        "form": form,  # whether the bytes are those that follow from the values
        "files": dict(files_of(folder)),
    }


def renamed(values: Any) -> Any:
    """JSON values with the names of before the move, where a name was changed on purpose."""
    if isinstance(values, dict):
        return {RENAMED.get(key, key): renamed(value) for key, value in values.items()}
    return [renamed(value) for value in values] if isinstance(values, list) else values


def without_clock(line: dict[str, Any]) -> dict[str, Any] | None:
    """A line of the metrics without its timed values; None where nothing is left."""
    if "values" not in line:
        return line
    left = {name: value for name, value in line["values"].items() if name not in CLOCK_SERIES}
    return {**line, "values": left} if left else None


def files_of(folder: Path) -> Iterator[tuple[str, Any]]:
    """The other files: tensors as hashes, settings as they are; of the moments the first and the last."""
    moments = sorted((folder / "moments").glob("*"))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors" and path not in moments[1:-1]:
            yield name, tensors_of(path)
        elif path.name == "manifest.json":  # its sizes and hashes know the clock
            values = json.loads(path.read_text())
            yield name, {"step": values["step"], "score": values["score"], "fields": list(values)}
        elif path.suffix == ".json" and name != "run.json":
            yield name, json.loads(path.read_text())
        elif path.is_file() and path not in moments:
            yield name, "is there"


def tensors_of(path: Path) -> dict[str, str]:
    """A hash of each tensor of a file, and the file's own words, which come in no order.

    What an optimizer remembers goes by its content: before the move by the place of the weight, since then by its name.
    """
    with safe_open(path, "pt") as file:
        words = dict(sorted(file.metadata().items()))
        found = {key: tensor_digest(file.get_tensor(key)) for key in sorted(file.keys())}
    optimizer = {key: each for key, each in found.items() if key.startswith("optimizer/")}
    memory = sorted(f"{key.rpartition('/')[2]} {each}" for key, each in optimizer.items())
    rest = {key: each for key, each in found.items() if key not in optimizer}
    return {"words": digest(words), **rest, **({"optimizer": digest(memory)} if memory else {})}


if __name__ == "__main__":
    main(*sys.argv[1:])
