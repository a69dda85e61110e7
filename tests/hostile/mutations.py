"""Good files, changed at random: bytes flipped, cut, doubled, moved; JSON with other values."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reswork.models.config import ResNetConfig
from reswork.training.recipe import Recipe
from tests.datasets.image_files import encoded, picture
from tests.hostile.hand_made_data import images, zipped
from tests.hostile.hand_made_runs import ODD, paths, put, reseal
from tests.hostile.hand_made_weights import _torch, save, state
from tests.hostile.names import NAMES
from tests.hostile.opening import Case

_BYTES = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\0" * 8,
    b"\xff" * 8,
    b"{",
    b"[",
    b"..",
    b"(",
    b"R",
    b".",
)
_SHARES = (10, 6, 16, 22, 22, 3, 2, 14, 2, 0.6, 0.6, 0.6, 0.6, 0.6)  # per cent, the slow ones seldom


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to four changes."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        place = (
            chance.randrange(len(changed) + 1)
            if chance.random() < 0.6
            else chance.randrange(min(len(changed), 200) + 1)
        )
        length = chance.choice((1, 1, 2, 4, 8, 64))
        match chance.randrange(6):
            case 0:
                if place < len(changed):
                    changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[place : place + length] = chance.choice(_BYTES)
            case 2:
                changed[place:place] = chance.choice(_BYTES)
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place:place] = changed[place : place + 8 * length]
            case 5:
                del changed[place:]
    return bytes(changed)


def mutated_json(text: str, chance: random.Random) -> str:
    """Values replaced by odd ones, taken out or renamed; sometimes the bytes instead."""
    if chance.random() < 0.3:
        return mutated(text.encode(), chance).decode("utf-8", "replace")
    values = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list(paths(values))
        if not places:
            break
        place = chance.choice(places)
        odd = chance.choice((*ODD, *NAMES[:4], chance.randrange(-(2**40), 2**40), chance.random()))
        values = put(values, place, odd) if chance.random() < 0.8 else _renamed(values, place, chance)
    return json.dumps(values)


def _renamed(values: Any, place: tuple[Any, ...], chance: random.Random) -> Any:
    changed = put(values, place, None)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if isinstance(inner, dict):
        value = inner.pop(place[-1])
        if chance.random() < 0.5:
            inner[chance.choice(NAMES)] = value
    return changed


def campaign(folder: Path, good: Path, count: int, seed: int) -> Iterator[Case]:
    """So many mutated files, one after another in the same places; each is gone when the next one comes."""
    makers = list(_makers(folder, good))
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        ((name, make),) = chance.choices(makers, _SHARES)
        case = make(chance)
        yield Case(f"{name}, mutation {seed}/{number}", case.kind, case.what)


def _makers(folder: Path, good: Path) -> Iterator[tuple[str, Callable[[random.Random], Case]]]:
    sources = {
        "zip checkpoint": ("net.pt", _torch(state())),
        "old checkpoint": ("net.th", _torch({"state_dict": state(), "epoch": 3}, zipped=False)),
        "safetensors": ("net.safetensors", save(state())),
    }
    for name, (file, data) in sources.items():
        yield name, _file_maker(folder / file, data, "checkpoint")
    config = ResNetConfig(depth=8, shortcuts_off=("layer1.0",)).to_json()
    yield "config", lambda chance: Case("", "config", mutated_json(config, chance))
    recipe = Recipe(milestones=(0.5,)).to_json()
    yield "recipe", lambda chance: Case("", "recipe", mutated_json(recipe, chance))
    kinds = {
        f"a/{kind}.{kind.lower()}": encoded(picture(3), kind)
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
    }
    yield "zip of images", _file_maker(folder / "data.zip", zipped({**images(), **kinds}), "dataset")
    yield "images in a zip", lambda chance: _archive(folder / "images.zip", kinds, chance)
    yield "npz", _file_maker(folder / "data.npz", _npz(), "dataset")
    runs = folder / "runs"
    newest = sorted(path.name for path in (good / "checkpoints").iterdir())[-1]
    for file in (
        "run.json",
        "metrics.jsonl",
        "weights.safetensors",
        f"checkpoints/{newest}/manifest.json",
        f"checkpoints/{newest}/training.json",
        f"checkpoints/{newest}/training.safetensors",
    ):
        yield file.rpartition("/")[2], _run_maker(runs, good, file)


def _npz() -> bytes:
    import io

    buffer = io.BytesIO()
    np.savez(
        buffer, images=np.zeros((6, 8, 8), np.uint8), labels=np.arange(6) % 2, classes=np.array(["a", "b"])
    )
    return buffer.getvalue()


def _file_maker(path: Path, data: bytes, kind: str) -> Callable[[random.Random], Case]:
    def make(chance: random.Random) -> Case:
        path.write_bytes(mutated(data, chance))
        return Case("", kind, path)

    return make


def _archive(path: Path, kinds: dict[str, bytes], chance: random.Random) -> Case:
    path.write_bytes(zipped({**images(), **{name: mutated(data, chance) for name, data in kinds.items()}}))
    return Case("", "dataset", path)


def _run_maker(root: Path, good: Path, file: str) -> Callable[[random.Random], Case]:
    run = root / "run"

    def make(chance: random.Random) -> Case:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(good, run)
        path = run / file
        if path.suffix == ".json":
            path.write_text(mutated_json(path.read_text(), chance), encoding="utf-8")
        elif path.suffix == ".jsonl" and chance.random() < 0.7:
            lines = path.read_text().splitlines()
            place = chance.randrange(len(lines))
            lines[place] = mutated_json(lines[place], chance)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        else:
            path.write_bytes(mutated(path.read_bytes(), chance))
        if "checkpoints" in file and path.name != "manifest.json" and chance.random() < 0.8:
            reseal(path.parent)
        return Case("", "resume" if "checkpoints" in file else "record", root)

    return make
