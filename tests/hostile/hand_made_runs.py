"""Hostile folders of runs, made by hand from a good one."""

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from reswork.experiment.launch import train
from reswork.models.network import resnet
from reswork.training.recipe import Recipe
from tests.hostile.names import NAMES
from tests.hostile.opening import Case, small_data

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../..",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"": None},
    ["<img src=x onerror=window.__pwned=1>"],
    "1" * 5000,
)


def good_run(folder: Path) -> Path:
    """A stopped run with checkpoints, weights and metrics."""
    torch.manual_seed(0)
    net = resnet(depth=8, width=2, in_channels=1, num_classes=2)
    recipe = Recipe(epochs=4, batch_size=8, device="cpu", precision="fp32", compile="off")
    run = train(net, small_data(), recipe, directory=folder / "good", start=False)
    run.step(3)
    run.wait_until_still(300)
    run.stop()
    run.wait(300)
    return folder / "good"


def hostile_runs(folder: Path, good: Path) -> Iterator[Case]:
    """All cases: each is a folder of runs with one run in it."""

    def made(name: str, change: Callable[[Path], object]) -> Case:
        root = folder / f"{len(os.listdir(folder)):04}"
        run = root / "run"
        shutil.copytree(good, run)
        change(run)
        return Case(name, "run", root)

    values = json.loads((good / "run.json").read_text())
    for place in paths(values):
        for odd in ODD[:: 4 if len(place) > 1 else 2]:
            yield made(
                f"run.json {place} is {str(odd)[:20]}",
                lambda run, p=place, o=odd: _rewrite(run / "run.json", p, o),
            )
    for name, text in _texts():
        for file in ("run.json", "metrics.jsonl", "weights.safetensors"):
            yield made(f"{file}: {name}", lambda run, f=file, t=text: (run / f).write_bytes(t))
    for name, change in _places():
        for file in ("run.json", "metrics.jsonl", "weights.safetensors", "checkpoints", "writer.lock"):
            yield made(f"{file} is {name}", lambda run, f=file, c=change: c(_gone(run / f)))
    for line in _lines():
        yield made(f"metrics with {line[:40]!r}", lambda run, text=line: _append(run / "metrics.jsonl", text))
    for name in NAMES:
        if "/" not in name and "\0" not in name and len(name.encode()) < 200:
            yield made(f"a run called {name[:20]!r}", lambda run, n=name: run.rename(run.parent / n))
        yield made(
            f"a class called {name[:20]!r}",
            lambda run, n=name: _rewrite(run / "run.json", ("data", "classes"), [n, n]),
        )
    yield from _checkpoints(good, made)
    root = folder / "links"
    root.mkdir()
    for name, target in (
        ("out", "/etc"),
        ("up", ".."),
        ("loop", "loop"),
        ("gone", "/nowhere"),
        ("home", str(Path.home())),
    ):
        (root / name).symlink_to(target)
    yield Case("links that lead out", "run", root)


def paths(values: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of nested JSON."""
    items = (
        values.items()
        if isinstance(values, dict)
        else enumerate(values[:2])
        if isinstance(values, list)
        else ()
    )
    for key, value in items:
        yield (*prefix, key)
        yield from paths(value, (*prefix, key))


def put(values: Any, place: tuple[Any, ...], odd: Any) -> Any:
    """A copy with one value replaced."""
    changed = copy.deepcopy(values)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return changed


def reseal(checkpoint: Path) -> None:
    """Make a changed checkpoint's hashes right again, as somebody would who means it."""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name in manifest["files"]:
        data = (checkpoint / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def _rewrite(path: Path, place: tuple[Any, ...], odd: Any) -> None:
    path.write_text(json.dumps(put(json.loads(path.read_text()), place, odd)))


def _gone(path: Path) -> Path:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def _append(path: Path, text: str) -> None:
    path.write_bytes(path.read_bytes() + text.encode("utf-8", "surrogatepass") + b"\n")


def _texts() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "deep lists", b"[" * 100_000
    yield "deep objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n"
    yield "UTF-16", '{"format": 1}'.encode("utf-16")
    yield "zeros", bytes(10_000)
    yield "not JSON", b"\xff\xfe not JSON \x00"
    yield "a long number", b'{"format": ' + b"9" * 100_000 + b"}\n"
    yield "a list", b"[1, 2, 3]\n"
    yield "a text", b'"hello"\n'
    yield "many keys", ("{" + ",".join(f'"{n}":1' for n in range(60_000)) + "}\n").encode()
    yield "a pickle", b"cos\nsystem\n(S'touch sentinel'\ntR."


def _places() -> Iterator[tuple[str, Callable[[Path], object]]]:
    yield "a pipe", os.mkfifo
    yield "a folder", lambda path: path.mkdir()
    yield "a link to itself", lambda path: path.symlink_to(path)
    yield "a link to a device", lambda path: path.symlink_to("/dev/zero")
    yield "a link to a secret", lambda path: path.symlink_to("/etc/passwd")
    yield "a link to a folder outside", lambda path: path.symlink_to("/etc")
    yield "a link to nothing", lambda path: path.symlink_to("/nowhere/at/all")
    yield "huge", lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 3 * 1024**3)
    yield "not there", lambda path: None


def _lines() -> Iterator[str]:
    for odd in ("null", "true", "-1", "1e400", '"x"', "[]", "{}", "9" * 5000, "NaN"):
        yield f'{{"step": {odd}, "values": {{"loss/train": 1}}}}'
        yield f'{{"step": 3, "values": {{"loss/train": {odd}}}}}'
        yield f'{{"step": 3, "values": {odd}}}'
        yield f'{{"group": "grad_norm", "labels": {odd}}}'
        yield f'{{"step": 3, "group": "grad_norm", "row": {odd}}}'
        yield f'{{"step": 3, "array": "confusion/test", "dtype": {odd}, "shape": {odd}, "items": {odd}}}'
        yield f'{{"step": 3, "note": {odd}, "details": {odd}}}'
    yield '{"step": 3, "array": "a", "dtype": "float64", "shape": [1000000, 1000000], "items": [1]}'
    yield '{"step": 3, "array": "a", "dtype": "O", "shape": [1], "items": [1]}'
    yield '{"step": 3, "array": "a", "dtype": "i1,(9999,9999)f8", "shape": [1], "items": [1]}'
    yield '{"step": 3, "array": "a", "dtype": "V999999999", "shape": [1], "items": [1]}'
    yield '{"step": 3, "note": "x", "details": {"step": 1, "self": 2}}'
    for name in NAMES:
        text = json.dumps(name)
        yield f'{{"step": 3, "values": {{{text}: 1}}}}'
        yield f'{{"step": 3, "note": {text}, "details": {{{text}: {text}}}}}'


def _checkpoints(good: Path, made: Callable[[str, Callable[[Path], object]], Case]) -> Iterator[Case]:
    name = sorted(path.name for path in (good / "checkpoints").iterdir())[-1]

    def within(file: str, act: Callable[[Path], object], *, sealed: bool = True) -> Callable[[Path], None]:
        def change(run: Path) -> None:
            act(run / "checkpoints" / name / file)
            if sealed:
                reseal(run / "checkpoints" / name)

        return change

    manifest = json.loads((good / "checkpoints" / name / "manifest.json").read_text())
    for place in paths(manifest):
        for odd in ODD[::3]:
            yield made(
                f"manifest {place} is {str(odd)[:20]}",
                within("manifest.json", lambda path, p=place, o=odd: _rewrite(path, p, o), sealed=False),
            )
    values = json.loads((good / "checkpoints" / name / "training.json").read_text())
    for place in paths(values):
        for odd in ODD[::5]:
            yield made(
                f"training.json {place} is {str(odd)[:20]}",
                within("training.json", lambda path, p=place, o=odd: _rewrite(path, p, o)),
            )
    for title, text in _texts():
        for file in ("training.json", "training.safetensors"):
            yield made(f"{file}: {title}", within(file, lambda path, t=text: path.write_bytes(t)))
        yield made(
            f"manifest: {title}",
            within("manifest.json", lambda path, t=text: path.write_bytes(t), sealed=False),
        )
    for change in (
        lambda tensors: tensors.clear(),
        lambda tensors: tensors.update({"model/fc.bias": torch.full((2,), float("nan"))}),
        lambda tensors: tensors.update({"model/fc.bias": torch.zeros(3)}),
        lambda tensors: tensors.update({"optimizer/999999999999/exp": torch.zeros(1)}),
        lambda tensors: tensors.update({"optimizer/-1/momentum_buffer": torch.zeros(1)}),
        lambda tensors: tensors.update({"recorder/../x": torch.zeros(1), "average/zzz": torch.zeros(1)}),
    ):
        yield made("other tensors", within("training.safetensors", lambda path, c=change: _retensor(path, c)))
    for title, change in _places():
        for file in ("manifest.json", "training.json", "training.safetensors"):
            yield made(
                f"{file} is {title}", within(file, lambda path, c=change: c(_gone(path)), sealed=False)
            )
    for odd_name in (
        "step-00000000",
        "step-999999999999",
        "step-00000003-999999",
        "step-x",
        "..step-00000001",
    ):
        yield made(
            f"a checkpoint {odd_name}",
            lambda run, n=odd_name: (
                (run / "checkpoints" / name).rename(run / "checkpoints" / n)
                if not (run / "checkpoints" / n).exists()
                else None
            ),
        )


def _retensor(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
