"""Images that stay in a file give the very batches of those in memory."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import reswork as rw
import reswork.datasets.decode_processes as processes
import reswork.datasets.reading as reading
from reswork.datasets import Augmentation, Dataset, cached, folder, masks
from reswork.datasets.progress import Progress, watched
from reswork.errors import InvalidSetting
from reswork.training.batches import Batches
from reswork.training.recipe import Recipe
from tests.datasets.image_files import encoded, picture, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of pictures of several sizes; two of them cannot be decoded, which only their pixels tell."""
    root = tmp_path_factory.mktemp("own")
    for label in ("a", "b"):
        for number in range(70):
            write(
                root,
                f"{label}/{number:03}.png",
                encoded(picture(number + 100 * (label == "b"), 20 + number % 3, 18)),
            )
    for name in ("a/007.png", "b/033.png"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture(scope="module")
def with_masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("with masks")
    for number in range(70):
        mask = np.kron(picture(number, 4, 4)[..., 0] % 3, np.ones((5, 5), np.uint8))
        write(root, f"images/{number:03}.png", encoded(picture(number, 20, 20)))
        write(root, f"masks/{number:03}.png", encoded(mask * np.uint8(60)))
    for name in ("images/004.png", "masks/011.png"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture
def by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "FEW", 0)
    monkeypatch.setattr(processes, "MOST_PROCESSES", 2)


def check_equal(in_file: Dataset, in_memory: Dataset) -> None:
    """Everything but the place, and the batches of a training to the last bit."""
    assert in_file.train.files
    assert not in_memory.train.files
    for name in (
        "classes",
        "mean",
        "std",
        "skipped",
        "value_range",
        "fingerprint",
        "name",
        "source",
        "layout",
    ):
        assert getattr(in_file, name) == getattr(in_memory, name), name
    assert in_file.notes[:-1] == in_memory.notes
    assert "stay in" in in_file.notes[-1]
    recipe = Recipe(
        batch_size=16,
        augmentation=Augmentation(crop_padding=2, flip=True, cutout=3),
        mixup=0.0 if in_file.target_kind == "masks" else 0.3,
    )
    for channels_last in (False, True):
        both = [Batches(data, recipe, channels_last=channels_last) for data in (in_file, in_memory)]
        for step in range(1, 2 * both[0].per_epoch + 1):
            mine, other = (batches.cut(step) for batches in both)
            assert torch.equal(mine.inputs, other.inputs)
            assert torch.equal(mine.targets, other.targets)
            assert mine.inputs.stride() == other.inputs.stride()
    assert torch.equal(in_file.test.images, in_memory.test.images)
    assert torch.equal(in_file.test.targets, in_memory.test.targets)
    anew = in_file._with()
    del anew.__dict__["fingerprint"]
    assert anew.fingerprint == in_memory.fingerprint


def test_the_same_batches_as_from_memory(own: Path, tmp_path: Path) -> None:
    memory = folder(own, 16, cache=False)
    assert len(memory.skipped) == 2
    decoded = folder(own, 16, cache="disk")
    check_equal(decoded, memory)
    check_equal(folder(own, 16, cache="disk"), memory)  # what was decoded before
    assert folder(own, 16).fingerprint == memory.fingerprint  # the same, into memory
    with zipfile.ZipFile(tmp_path / f"{own.name}.zip", "w") as archive:
        for path in sorted(own.rglob("*.png")):
            archive.write(path, path.relative_to(own))
    told = folder(tmp_path / f"{own.name}.zip", 16, cache=tmp_path / "place")
    assert told.train.files[0].path.startswith(str(tmp_path / "place"))
    assert torch.equal(told.train.images, memory.train.images)


@pytest.mark.usefixtures("by_processes")
def test_masks_stay_in_a_file_too(with_masks: Path) -> None:
    memory = masks(with_masks, size=16, cache=False)
    assert len(memory.skipped) == 2
    check_equal(masks(with_masks, size=16, cache="disk"), memory)
    check_equal(masks(with_masks, size=16, cache="disk"), memory)
    assert masks(with_masks, size=16).fingerprint == memory.fingerprint


def test_what_needs_too_much_memory_stays_in_a_file_by_itself(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = folder(own, 16)
    assert not memory.train.files
    monkeypatch.setattr(reading, "MEMORY_SHARE", 1e-9)
    data = folder(own, 16)  # kept in the cache by the one above
    check_equal(data, memory)
    assert "as they are more than 0% of the" in data.notes[-1]
    check_equal(folder(own, 15), folder(own, 15, cache=False))


def test_splits_that_are_there_stay(own: Path, tmp_path: Path) -> None:
    for split, count in (("train", 9), ("test", 5)):
        for label in ("a", "b"):
            for number in range(count):
                write(tmp_path / "pets", f"{split}/{label}/{number}.png")
    check_equal(folder(tmp_path / "pets", cache="disk"), folder(tmp_path / "pets", cache=False))


def test_what_is_written_to_its_images_stays_in_this_process(own: Path) -> None:
    data = folder(own, 16, cache="disk")
    before = data.train.images[0].clone()
    data.train.images[0] = 77
    assert torch.equal(folder(own, 16, cache="disk").train.images[0], before)
    assert folder(own, 16).fingerprint == data.fingerprint


KILLED = """
import sys, time
import reswork as rw
import reswork.datasets.decode_processes as processes
from reswork.datasets import folder
processes.CHUNK, processes.SYNC_S = 8, 0.0
note = processes._Journal.note
def slowly(self, number, reply):
    note(self, number, reply)
    print("noted", flush=True)
    time.sleep(0.3)
processes._Journal.note = slowly
folder(sys.argv[1], 16, cache="disk")
"""


def test_goes_on_where_a_killed_process_was(own: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(own)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(3):
        assert child.stdout.readline() == b"noted\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    (entry,) = cached()
    assert (entry.name, str(entry)[:13]) == ("", "not whole yet")
    journal = entry.folder / "journal.jsonl"
    known = [json.loads(line)["chunk"] for line in journal.read_text().splitlines()[1:]]
    assert 3 <= len(known) < 18
    with journal.open("a") as file:
        file.write('{"chunk": 5, "fai')  # cut off
    monkeypatch.setattr(processes, "CHUNK", 8)
    asked: list[int] = []
    replies = processes._in_this_process

    def watching(*arguments: object) -> object:
        asked.extend(arguments[3])  # type: ignore[call-overload]
        return replies(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "_in_this_process", watching)
    check_equal(folder(own, 16, cache="disk"), folder(own, 16, cache=False))
    assert sorted(asked) == sorted(set(range(18)) - set(known))
    assert sorted(path.name for path in entry.folder.iterdir()) == [
        "about.json", "images.u8", "labels.npy",
    ]  # fmt: skip


def test_changed_files_are_decoded_anew(own: Path, tmp_path: Path) -> None:
    for label in ("a", "b"):
        for number in range(4):
            write(tmp_path / "pets", f"{label}/{number}.png")
    first = folder(tmp_path / "pets", cache="disk")
    write(tmp_path / "pets", "a/0.png", encoded(picture(99)))
    again = folder(tmp_path / "pets", cache="disk")
    assert again.fingerprint != first.fingerprint
    check_equal(again, folder(tmp_path / "pets", cache=False))


@pytest.mark.usefixtures("by_processes")
def test_a_picture_that_ends_its_process_is_left_out(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_PROCESSES", 1)
    (folder_of_hook := own.parent / "hook").mkdir(exist_ok=True)
    (folder_of_hook / "sitecustomize.py").write_text(
        "import os\nfrom reswork.datasets import decoder\nread = decoder.Decoder.pixels\n"
        f"bad = open({str(own / 'a' / '020.png')!r}, 'rb').read()\n"
        "def pixels(self, data):\n    if data == bad:\n        os._exit(1)\n    return read(self, data)\n"
        "decoder.Decoder.pixels = pixels\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder_of_hook) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    data = folder(own, 16, cache="disk")
    reasons = {item.path: item.reason for item in data.skipped}
    assert reasons["a/020.png"] == processes.ENDED
    assert len(reasons) == 3
    assert len(data.train) + len(data.test) == 137


@pytest.mark.parametrize("trouble", ["disk", "limit", "process", "place"])
def test_one_sentence_for_what_goes_wrong(
    own: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "disk":
        usage = type("Usage", (), {"free": 10_000})
        monkeypatch.setattr("reswork.datasets.cache.shutil.disk_usage", lambda _: usage)
        words = r"do not fit on the disk: .* GiB free, and 0.0 GiB are needed; free some, give a smaller size"
    elif trouble == "limit":
        monkeypatch.setenv("RESWORK_CACHE_LIMIT", "0.00000001")
        words = "RESWORK_CACHE_LIMIT; free some"
    elif trouble == "process":
        monkeypatch.setattr(processes, "FEW", 0)
        monkeypatch.setattr(sys, "executable", "/bin/false")
        words = "could not be started"
    else:
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "file"))
        words = "cannot be written .*: give another place with cache="
    with pytest.raises(InvalidSetting, match=words) as caught:
        folder(own, 16, cache="disk")
    assert caught.value.field == "cache"
    with pytest.raises(InvalidSetting, match="give True, False, 'disk' or the folder"):
        folder(own, 16, cache=None)  # type: ignore[arg-type]


def test_progress_is_told_to_who_wants_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reswork.datasets.progress.FIRST_S", 0.0)
    monkeypatch.setattr("reswork.datasets.progress.EVERY_S", 0.0)
    told: list[Progress] = []
    with watched(told.append):
        folder(own, 16, cache="disk")
    decoding = [each for each in told if each.what == "Decoding"]
    assert [each.done for each in decoding] == sorted(each.done for each in decoding)
    assert (decoding[-1].done, decoding[-1].total, decoding[-1].share) == (140, 140, 1.0)
    assert str(Progress("Decoding", 1500, 60_000, 600.0)) == "Decoding: 1,500 of 60,000 images, 10 min left"


def test_two_processes_decode_it_once(own: Path) -> None:
    code = "import sys\nfrom reswork.datasets import folder\nprint(folder(sys.argv[1], 16, cache='disk').fingerprint)"
    child = subprocess.Popen([sys.executable, "-c", code, str(own)], stdout=subprocess.PIPE)
    mine = folder(own, 16, cache="disk")
    assert child.communicate()[0] == f"{mine.fingerprint}\n".encode()
    assert mine.fingerprint == folder(own, 16, cache=False).fingerprint
    assert len(cached()) == 1


def test_a_training_has_the_same_losses_and_weights_wherever_it_runs(own: Path, tmp_path: Path) -> None:
    recipe = rw.Recipe(
        steps=6,
        batch_size=16,
        device="cpu",
        precision="fp32",
        compile="off",
        augmentation=Augmentation(flip=True),
    )
    found = {}
    for name, data, engine in (
        ("memory", folder(own, 16, cache=False), "thread"),
        ("file", folder(own, 16, cache="disk"), "thread"),
        ("process", folder(own, 16, cache="disk"), "process"),
    ):
        torch.manual_seed(0)
        model = rw.resnet(depth=8, width=4, num_classes=2)
        run = rw.train(model, data, recipe, directory=tmp_path / name, engine=engine)  # type: ignore[arg-type]
        run.wait()
        saved = rw.load_run(tmp_path / name)
        assert saved.dataset_hash == data.fingerprint
        series = {each: saved.history.series(each).values.tolist() for each in ("loss/train", "loss/test")}
        found[name] = (series, {key: value.tolist() for key, value in saved.model().state_dict().items()})
    assert found["memory"] == found["file"] == found["process"]


@pytest.mark.usefixtures("by_processes")
def test_an_interrupt_ends_all_processes_at_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __call__(self, progress: Progress) -> None:
            if progress.what == "Decoding":
                raise KeyboardInterrupt

    monkeypatch.setattr(processes, "CHUNK", 8)
    monkeypatch.setattr("reswork.datasets.progress.FIRST_S", 0.0)
    monkeypatch.setattr("reswork.datasets.progress.EVERY_S", 0.0)
    started: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def noted(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(begin(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(processes.subprocess, "Popen", noted)
    with watched(Interrupted()), pytest.raises(KeyboardInterrupt):
        folder(own, 16, cache="disk")
    assert 1 <= len(started) <= 2  # none was started anew
    assert all(child.poll() is not None for child in started)
    assert cached()[0].name == ""
