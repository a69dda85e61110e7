import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reswork.datasets.pictures as module
import reswork.datasets.reading as reading
from reswork.datasets import Dataset, folder, folder_layout
from reswork.errors import InvalidSetting
from tests.datasets.image_files import encoded, picture, png_of_claimed_size, write

CIFAR = Path(__file__).resolve().parents[3] / "shared/data/cifar10"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("RESWORK_CACHE", str(place))
    return place


def made(root: Path, per_class: int = 5) -> Path:
    """Three classes of noise, in both splits."""
    for split, count in (("train", per_class), ("test", 2)):
        for label in ("a", "b", "c"):
            for number in range(count):
                write(root, f"{split}/{label}/{number}.png")
    return root


def zipped(root: Path) -> Path:
    return Path(shutil.make_archive(str(root), "zip", root))


@pytest.mark.parametrize("as_zip", [False, True])
def test_both_splits_in_order_with_their_very_pixels(tmp_path: Path, as_zip: bool) -> None:
    root = made(tmp_path / "pets")
    data = folder(zipped(root) if as_zip else root)
    assert repr(data) == "Dataset('pets', 15 + 6 images 3x8x8, 3 classes, on cpu)"
    assert data.classes == ("a", "b", "c")
    assert data.train.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    expected = picture(sum(b"train/b/3.png")).transpose(2, 0, 1)
    assert np.array_equal(data.train.images[8].numpy(), expected)
    assert not data.skipped
    assert not data.notes


def test_a_zip_and_its_folder_are_the_same_data(tmp_path: Path) -> None:
    root = made(tmp_path / "pets")
    assert folder(root).fingerprint == folder(zipped(root)).fingerprint


def test_a_seeded_part_of_each_class_is_the_test(tmp_path: Path) -> None:
    for label, count in (("a", 10), ("b", 5), ("c", 1)):
        for number in range(count):
            write(tmp_path, f"{label}/{number}.png")
    data = folder(tmp_path, test_fraction=0.4, cache=False)
    assert data.class_counts("train").tolist() == [6, 3, 1]
    assert data.class_counts("test").tolist() == [4, 2, 0]
    assert "6 images, about 40% of each class, were set aside for the test." in data.notes
    again, other = (folder(tmp_path, test_fraction=0.4, seed=seed, cache=False) for seed in (0, 1))
    assert data.fingerprint == again.fingerprint != other.fingerprint


def test_bad_files_are_counted_named_and_skipped(tmp_path: Path) -> None:
    root = made(tmp_path / "pets")
    good = encoded(picture(0, 64, 64))
    write(root, "train/a/cut.png", good[: len(good) // 2])
    write(root, "train/a/cut.jpg", encoded(picture(0, 64, 64), "JPEG")[:-500])
    write(root, "train/a/empty.jpg", b"")
    write(root, "train/b/text.png", b"hello")
    write(root, "train/b/notes.txt", b"hello")
    write(root, "test/c/bomb.png", png_of_claimed_size(60_000, 60_000))
    (root / "train/c/link.png").symlink_to("/etc/passwd")
    for place in (root, zipped(root)):
        data = folder(place)
        assert len(data.train) == 15
        assert len(data.test) == 6
        reasons = {item.path: item.reason for item in data.skipped}
        assert reasons["train/a/cut.png"] == "truncated"
        assert reasons["train/a/cut.jpg"] == "truncated"
        assert reasons["train/a/empty.jpg"] == "empty file"
        assert reasons["train/b/text.png"] == "no image of a known format"
        assert reasons["train/b/notes.txt"] == "not an image of a known kind"
        assert "pixel bomb" in reasons["test/c/bomb.png"]
        assert f"{len(data.skipped)} files were skipped" in data.summary()
        again = folder(place)  # from the cache
        assert again.skipped == data.skipped
        assert again.summary() == data.summary()


def test_classes_without_images_are_left_out_and_said(tmp_path: Path) -> None:
    root = made(tmp_path / "pets")
    (root / "train/empty").mkdir()
    write(root, "train/bad/1.png", b"hello")
    write(root, "test/untrained/1.png")
    data = folder(root)
    assert data.classes == ("a", "b", "c")
    assert "Without a readable training image and left out: 'bad', 'empty', 'untrained'." in data.notes
    assert "1 test images of classes without training images were not used." in data.notes


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"cat/1.png": None, "cat/2.png": None}, "one class only"),
        ({"cat/1.png": None, "dog/2.png": b"hello"}, "only 1 class has images that can be read"),
        (
            {"cat/1.png": b"", "dog/2.png": b"hello"},
            "none of the 2 images can be read; the first problem: cat/1.png",
        ),
        ({"1.png": None}, "without class folders"),
        ({"cat/1.txt": b""}, "no images are there"),
    ],
)
def test_says_what_is_missing(tmp_path: Path, files: dict[str, bytes | None], words: str) -> None:
    for name, content in files.items():
        write(tmp_path, name, content)
    with pytest.raises(InvalidSetting, match=words) as caught:
        folder(tmp_path)
    assert caught.value.field == "path"


def test_mixed_sizes_become_the_most_common_one_and_it_is_said(tmp_path: Path) -> None:
    root = made(tmp_path / "pets")
    write(root, "train/a/large.png", encoded(picture(0, 40, 30)))
    write(root, "train/a/small.png", encoded(picture(0, 3, 5)))
    data = folder(root)
    assert data.input_shape == (3, 8, 8)
    assert "2 of 23 images had another size and were scaled and cut to 8x8." in data.summary()
    given = folder(root, size=(12, 10))
    assert given.input_shape == (3, 12, 10)
    assert "23 of 23 images had another size" in given.summary()
    assert folder(root, 6).input_shape == (3, 6, 6)


def test_grey_stays_grey_unless_there_is_colour(tmp_path: Path) -> None:
    for label in "ab":
        for number in range(3):
            write(tmp_path, f"{label}/{number}.png", encoded(picture(number)[..., 0]))
    assert folder(tmp_path).input_shape == (1, 8, 8)
    write(tmp_path, "a/colour.png")
    assert folder(tmp_path).input_shape == (3, 8, 8)
    assert "6 images were grey and became colour." in folder(tmp_path).notes


def test_all_kinds_of_images_together(tmp_path: Path) -> None:
    base = Image.fromarray(picture(0))
    deep = (picture(0)[..., 0].astype(np.uint16) * 257,)
    kinds = {
        "grey.png": encoded(base.convert("L")),
        "palette.gif": encoded(base.quantize(8), "GIF"),
        "deep.png": encoded(deep[0]),
        "print.jpg": encoded(base.convert("CMYK"), "JPEG"),
        "alpha.png": encoded(base.convert("RGBA")),
        "greyalpha.png": encoded(base.convert("LA")),
        "binary.tif": encoded(base.convert("1"), "TIFF"),
        "photo.jpeg": encoded(base, "JPEG"),
        "modern.webp": encoded(base, "WEBP"),
        "lab.tiff": encoded(base.convert("LAB"), "TIFF"),
    }
    for name, content in kinds.items():
        for label in "ab":
            write(tmp_path, f"{label}/{name}", content)
    data = folder(tmp_path)
    assert not data.skipped
    assert len(data.train) + len(data.test) == 20
    for words in ("grey and became colour", "16 bits or more", "CMYK", "transparent parts"):
        assert words in data.summary()


def test_hostile_class_names_are_data(tmp_path: Path) -> None:
    names = sorted(["<script>alert(1)<", "$x^2$", "a' OR '1'='1", "new\nline", "{0.__class__}", "%s%n"])
    for name in names:
        write(tmp_path, f"{name}/1.png")
        write(tmp_path, f"{name}/2.png")
    assert folder(tmp_path).classes == tuple(names)
    assert folder(tmp_path).classes == tuple(names)


def test_the_second_time_nothing_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made(tmp_path / "pets")
    archive = zipped(root)
    first = [folder(root), folder(archive)]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_read", lambda *_: pytest.fail("decoded again"))
        again = [folder(root), folder(archive)]
    for before, after in zip(first, again, strict=True):
        assert before.fingerprint == after.fingerprint
        assert (before.mean, before.std, before.classes) == (after.mean, after.std, after.classes)


def test_changes_are_noticed_and_settings_kept_apart(tmp_path: Path) -> None:
    root = made(tmp_path / "pets")
    first = folder(root)
    assert folder(root, size=4).input_shape == (3, 4, 4)
    place = root / "train/a/0.png"
    place.write_bytes(encoded(picture(99)))
    assert folder(root).fingerprint != first.fingerprint
    write(root, "train/d/0.png")
    assert len(folder(root).classes) == 4


def test_a_broken_cache_is_rebuilt(tmp_path: Path, cache: Path) -> None:
    root = made(tmp_path / "pets")
    first = folder(root)
    (kept,) = cache.iterdir()
    for name in ("images.u8", "labels.npy", "about.json"):
        good = (kept / name).read_bytes()
        for damaged in (b"", b"noise", good[: len(good) // 2], good[:-1] + bytes([good[-1] ^ 1])):
            (kept / name).write_bytes(damaged)
            assert folder(root).fingerprint == first.fingerprint
            assert len((kept / name).read_bytes()) == len(good)


def test_without_a_place_for_the_cache_it_works_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "file"))
    data = folder(made(tmp_path / "pets"))
    assert "could not be cached" in data.summary()


def test_without_cache_nothing_is_written(tmp_path: Path, cache: Path) -> None:
    folder(made(tmp_path / "pets"), cache=False)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("size", [0, -1, 5000, (8,), (8, 8, 8), (8, 0), 8.5, "8"])
def test_refuses_impossible_sizes(tmp_path: Path, size: object) -> None:
    with pytest.raises(InvalidSetting) as caught:
        folder(made(tmp_path / "pets", 1), size=size)  # type: ignore[arg-type]
    assert caught.value.field == "size"


def test_other_paths_are_refused(tmp_path: Path) -> None:
    photo = write(tmp_path, "photo.png")
    for place, words in ((tmp_path / "absent", "there is nothing at"), (photo, "not a zip archive")):
        with pytest.raises(InvalidSetting, match=words) as caught:
            folder(place)
        assert caught.value.field == "path"


def test_what_would_fill_the_memory_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made(tmp_path / "pets")
    monkeypatch.setattr(module, "decoded", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(reading.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 10_000}))
    with pytest.raises(InvalidSetting, match="give a smaller size, or leave cache=False out") as caught:
        folder(root, size=512, cache=False)
    assert caught.value.field == "size"


def test_photographs_that_do_not_fit_are_made_smaller_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "AUTOMATIC_BYTES", 70_000)
    for label in "ab":
        for number in range(10):
            write(tmp_path, f"{label}/{number}.png", encoded(picture(number, 60, 80)))
    data = folder(tmp_path)
    assert data.input_shape == (3, 32, 32)
    assert "because 60x80 would need too much memory" in data.summary()


def test_an_archive_writes_nothing_anywhere(tmp_path: Path, cache: Path) -> None:
    place = tmp_path / "evil.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for label in "ab":
            for number in range(3):
                archive.writestr(f"{label}/{number}.png", encoded(picture(number)))
        archive.writestr("../../escaped.png", encoded(picture(1)))
    before = sorted(path for path in tmp_path.parent.rglob("*") if cache not in path.parents)
    data = folder(place)
    assert [str(item) for item in data.skipped] == ["../../escaped.png: its name leads out of the archive"]
    assert sorted(path for path in tmp_path.parent.rglob("*") if cache not in path.parents) == before


def test_a_file_that_vanishes_in_between_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made(tmp_path / "pets")
    listing = module.layout_of

    def list_then_lose(*arguments: object) -> object:
        found = listing(*arguments)  # type: ignore[arg-type]
        (root / "train/a/0.png").unlink()
        return found

    monkeypatch.setattr(module, "layout_of", list_then_lose)
    data = folder(root, cache=False)
    assert [item.path for item in data.skipped] == ["train/a/0.png"]


def test_links_out_of_the_folder_are_told_and_can_be_followed(tmp_path: Path) -> None:
    root = tmp_path / "snapshot"
    for label in ("cat", "dog"):
        write(root, f"{label}/0.png")
        write(root, f"{label}/00.png")
        for number in range(1, 4):
            place = write(tmp_path / "blobs", f"{label}{number}.png")
            (root / label / f"{number}.png").symlink_to(place)
    data = folder(root, cache=False)
    assert any("6 links" in note and "follow_links=True) follows them" in note for note in data.notes)
    assert len(data.train) + len(data.test) == 4
    followed = folder(root, follow_links=True, cache=False)
    assert len(followed.train) + len(followed.test) == 10
    for label in ("cat", "dog"):
        for name in ("0.png", "00.png"):
            (root / label / name).unlink()
    with pytest.raises(InvalidSetting, match=r"6 links .* follow_links=True"):
        folder(root)


def test_the_layout_is_told_without_reading_an_image(tmp_path: Path) -> None:
    for split in ("training_set", "test_set"):
        for label in ("cat", "dog"):
            write(tmp_path, f"{split}/{label}/1.png", b"no image")
    layout = folder_layout(tmp_path)
    assert (len(layout.train), len(layout.test), layout.classes) == (2, 2, ["cat", "dog"])
    told = folder_layout(tmp_path, splits={"train": "test_set"})
    assert [name for name, _ in told.train] == ["test_set/cat/1.png", "test_set/dog/1.png"]


def test_numbers_of_more_bits_are_scaled_over_the_range_of_the_whole_set(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 64).reshape(8, 8).astype(np.uint16)
    for label, factor in (("dark", 0.5), ("light", 1.0)):
        for number in range(3):
            write(tmp_path, f"{label}/{number}.png", encoded((values * factor).astype(np.uint16)))
    for data in (folder(tmp_path), folder(tmp_path)):  # the second from the cache
        assert data.value_range == (0.0, 4095.0)
        assert "The numbers 0 to 4,095, the range of the whole set, became the bytes 0 to 255." in data.notes
        brightest = [int(data.train.images[data.train.labels == label].max()) for label in (0, 1)]
        assert brightest == [127, 255]
        assert data.subset(train=2).value_range == (0.0, 4095.0)


def test_large_photographs_become_96_by_96_and_it_is_said(tmp_path: Path) -> None:
    for label in "ab":
        for number in range(3):
            write(tmp_path, f"{label}/{number}.jpg", encoded(picture(number, 150, 200), "JPEG"))
    data = folder(tmp_path)
    assert data.input_shape == (3, 96, 96)
    assert (
        "to 96x96 because 150x200 would need too much time to train on (size=224 or another" in data.summary()
    )
    assert folder(tmp_path, size=(150, 200)).input_shape == (3, 150, 200)


def test_stacks_and_deep_colours_are_told(tmp_path: Path) -> None:
    for label in "ab":
        pages = [Image.fromarray(picture(n)) for n in range(3)]
        for number in range(2):
            write(
                tmp_path,
                f"{label}/{number}.tif",
                encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
            )
    assert "4 images have several pages or frames, of which the first is read." in folder(tmp_path).notes


def official(data: Dataset, split: str, listed: np.ndarray) -> np.ndarray:
    """The labels of a split in the order of the listed paths."""
    of_class: dict[str, list[str]] = {}
    for path in sorted(listed.tolist()):
        of_class.setdefault(path.split("/")[1], []).append(path)
    paths = [path for label in data.classes for path in of_class[label]]
    labels = dict(zip(paths, getattr(data, split).labels.tolist(), strict=True))
    return np.array([labels[path] for path in listed.tolist()])


@pytest.mark.skipif(not (CIFAR / "cifar10_jpegs.zip").exists(), reason="../shared/data/cifar10 is absent")
def test_a_tenth_of_cifar_10_as_a_zip_of_jpegs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "cifar10_jpegs.zip"
    with zipfile.ZipFile(CIFAR / place.name) as whole, zipfile.ZipFile(place, "w") as tenth:
        for name in sorted(name for name in whole.namelist() if not name.endswith("/"))[::10]:
            tenth.writestr(name, whole.read(name))
        kept = {*tenth.namelist()}
    data = folder(place)
    assert (len(data.train), len(data.test), data.input_shape) == (5_000, 1_000, (3, 32, 32))
    assert data.class_counts("train").tolist() == [500] * 10
    assert data.class_counts("test").tolist() == [100] * 10
    assert not data.skipped
    with np.load(CIFAR / "official_order.npz", allow_pickle=False) as order:
        for split in ("train", "test"):
            listed = order[f"{split}_jpeg_paths"]
            here = np.array([path in kept for path in listed.tolist()])
            assert here.sum() == len(getattr(data, split))
            assert np.array_equal(official(data, split, listed[here]), order[f"{split}_labels"][here])
    with zipfile.ZipFile(place) as archive:
        names = sorted(
            name for name in archive.namelist() if name.startswith("train/") and name.endswith("jpg")
        )
        for index in (0, 1_234, 4_999):
            image = Image.open(io.BytesIO(archive.read(names[index])))
            assert np.array_equal(data.train.images[index].permute(1, 2, 0).numpy(), np.asarray(image))
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("read again"))
    again = folder(place)  # from the cache
    assert torch.equal(again.train.images, data.train.images)
    assert os.environ["RESWORK_CACHE"]
