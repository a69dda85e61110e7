"""Images and masks are made with Pillow, read, and compared with the arrays that they were made of."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reswork.datasets import Dataset, folder, load, masks
from reswork.datasets import mask_folders as module
from reswork.errors import InvalidSetting
from tests.datasets.image_files import encoded, picture, write

COLOURS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142], [255, 255, 255]], np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))


def regions(number: int, height: int = 12, width: int = 10, classes: int = 4) -> np.ndarray:
    """A mask of blocks, uint8, (H, W)."""
    random = np.random.default_rng(number)
    coarse = random.integers(0, classes, (-(-height // 4), -(-width // 5)), np.uint8)
    return np.kron(coarse, np.ones((4, 5), np.uint8))[:height, :width]


def as_palette(mask: np.ndarray, order: list[int] | None = None) -> bytes:
    """A palette PNG of `COLOURS`, its places in this order."""
    order = order or [0, 1, 2, 3]
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
    image.putpalette(COLOURS[order].ravel().tolist())
    assert image.mode == "P"
    return encoded(image)


def made(root: Path, count: int = 6, form: str = "index", name: str = "{}.png", first: int = 0) -> np.ndarray:
    """Images whose first channel is 50 times their mask, in ``images`` and ``masks``; all masks, (N, H, W)."""
    found = []
    for number in range(first, first + count):
        mask = regions(number)
        found.append(mask)
        image = np.stack([mask * 50, np.full_like(mask, number), mask * 0], -1)
        write(root, f"images/{number:03}.png", encoded(image))
        content = {
            "index": lambda mask: encoded(mask),
            "palette": as_palette,
            "16 bits": lambda mask: encoded(mask.astype(np.uint16)),
            "grey as colour": lambda mask: encoded(np.stack([mask] * 3, -1)),
            "colours": lambda mask: encoded(COLOURS[mask]),
            "tiff": lambda mask: encoded(mask, "TIFF"),
            "with gaps": lambda mask: encoded(mask * np.uint8(50)),
            "transparent": lambda mask: encoded(
                np.concatenate([COLOURS[mask], (mask > 0)[..., None] * np.uint8(255)], -1)
            ),
        }[form](mask)
        write(root, "masks/" + name.format(f"{number:03}"), content)
    return np.stack(found)


def everything(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([data.train.images, data.test.images]), torch.cat([data.train.masks, data.test.masks])


@pytest.mark.parametrize(
    ("form", "classes"),
    [
        ("index", ("0", "1", "2", "3")),
        ("palette", ("0", "1", "2", "3")),
        ("16 bits", ("0", "1", "2", "3")),
        ("grey as colour", ("0", "1", "2", "3")),
        ("with gaps", ("0", "50", "100", "150")),
        ("colours", ("#000000", "#00008e", "#804080", "#ffffff")),
        ("transparent", ("#000000", "#00008e", "#804080", "#ffffff")),
        ("tiff", ("0", "1", "2", "3")),
    ],
)
def test_every_form_of_a_mask_gives_the_same_classes_of_pixels(
    tmp_path: Path, form: str, classes: tuple[str, ...]
) -> None:
    made(tmp_path, form=form)
    data = masks(tmp_path / "images", tmp_path / "masks")
    images, found = everything(data)
    order = torch.tensor([0, 2, 1, 3] if classes[0] == "#000000" else [0, 1, 2, 3])
    assert data.classes == classes
    assert torch.equal(order[found.long()] * 50, images[:, 0].long())
    assert (len(data.train), len(data.test)) == (5, 1)
    assert not data.skipped
    assert data.summary().endswith("Set aside for the test: 1 of 6 images.")


def test_colours_may_be_named_and_one_of_them_ignored(tmp_path: Path) -> None:
    made(tmp_path, form="colours")
    names: dict[str, tuple[int, int, int] | str] = {
        "car": "#00008e",
        "ground": (0, 0, 0),
        "road": (128, 64, 128),
    }
    data = masks(tmp_path, classes=names, ignored="#ffffff")
    images, found = everything(data)
    assert data.classes == ("car", "ground", "road")
    table = torch.tensor([1, 2, 0, 255])
    assert torch.equal(found.long(), table[images[:, 0].long() // 50])


def test_numbers_may_be_named_in_order_or_one_by_one(tmp_path: Path) -> None:
    made(tmp_path)
    in_order = masks(tmp_path, classes=["a", "b", "c", "d", "not there"])
    one_by_one = masks(tmp_path, classes={"d": 3, "a": 0, "b": 1}, ignored=2)
    images, found = everything(in_order)
    assert torch.equal(found * 50, images[:, 0])
    assert in_order.classes == ("a", "b", "c", "d", "not there")
    images, found = everything(one_by_one)
    assert torch.equal(found.long(), torch.tensor([1, 2, 255, 0])[images[:, 0].long() // 50])


def test_255_is_ignored_but_for_masks_of_0_and_255(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "a", f"images/{number}.png", encoded(picture(number)))
        mask = np.zeros((8, 8), np.uint8)
        mask[:4], mask[4:6] = 1, 255
        write(tmp_path / "a", f"masks/{number}.png", encoded(mask))
        write(tmp_path / "b", f"images/{number}.png", encoded(picture(number)))
        write(tmp_path / "b", f"masks/{number}.png", encoded((mask > 0) * np.uint8(255)))
    three, two = masks(tmp_path / "a"), masks(tmp_path / "b")
    assert three.class_counts("train").tolist() == [3 * 16, 3 * 32]
    assert "25.0% ignored" in three.summary()
    assert "Pixels with 255 are ignored." in three.summary()
    assert two.classes == ("background", "foreground")
    assert two.class_counts("train").tolist() == [3 * 16, 3 * 48]


def test_palettes_that_differ_are_read_by_their_colours(tmp_path: Path) -> None:
    expected = made(tmp_path, count=2)
    write(tmp_path, "masks/000.png", as_palette(expected[0], [3, 2, 1, 0]))
    write(tmp_path, "masks/001.png", as_palette(expected[1]))
    data = masks(tmp_path)
    images, found = everything(data)
    assert data.classes == ("#000000", "#00008e", "#804080", "#ffffff")
    assert torch.equal(torch.tensor([0, 2, 1, 3])[found.long()] * 50, images[:, 0].long())


@pytest.mark.parametrize(
    "name", ["{}_mask.png", "{}-seg.tif", "{}_segmentation.png", "{}.labels.png", "{}.PNG"]
)
def test_the_ending_of_masks_is_found(tmp_path: Path, name: str) -> None:
    made(tmp_path, count=12, name=name, form="tiff" if name.endswith("tif") else "index")
    data = masks(tmp_path)
    images, found = everything(data)
    assert len(found) == 12
    assert torch.equal(found * 50, images[:, 0])
    assert ("behind it" in data.summary()) == (name != "{}.PNG")


def test_of_several_masks_for_an_image_the_ending_chooses(tmp_path: Path) -> None:
    made(tmp_path, name="{}_classes.png")
    for number in range(6):
        write(tmp_path, f"masks/{number:03}_objects.png", encoded(regions(number) * 0))
    data = masks(tmp_path, suffix="_classes")
    images, found = everything(data)
    assert torch.equal(found * 50, images[:, 0])
    assert {item.reason for item in data.skipped} == {"has no image"}


@pytest.mark.parametrize(
    ("image_way", "mask_way"),
    [
        ("images/{split}/{name}", "masks/{split}/{name}"),
        ("{split}/images/{name}", "{split}/masks/{name}"),
        ("images/{split}/{name}", "masks/{name}"),
        ("images/{split}/town/{name}", "annotations/trimaps/{split}/town/{name}"),
        ("images/{name}", "masks/{split}/{name}"),
    ],
)
@pytest.mark.parametrize("test", ["val", "test", "Validation"])
def test_split_folders_on_either_side(tmp_path: Path, image_way: str, mask_way: str, test: str) -> None:
    for number in range(9):
        split, mask = ("train", test)[number % 3 == 0], regions(number)
        where = {"split": split, "name": f"{number}.png"}
        write(tmp_path, image_way.format(**where), encoded(np.stack([mask * 50] * 3, -1)))
        write(tmp_path, mask_way.format(**where), encoded(mask))
    data = masks(tmp_path)
    assert (len(data.train), len(data.test)) == (6, 3)
    images, found = everything(data)
    assert torch.equal(found * 50, images[:, 0])
    assert "Set aside" not in data.summary()


def test_equal_names_in_two_folders_are_told_apart_and_a_third_split_is_not_used(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "val", "test")):
        for number in range(2):
            mask = regions(10 * place + number)
            write(tmp_path, f"images/{split}/{number}.jpg", encoded(np.stack([mask * 50] * 3, -1)))
            write(tmp_path, f"masks/{split}/{number}.png", encoded(mask))
    data = masks(tmp_path)
    images, found = everything(data)
    assert torch.equal(found * 50, images[:, 0])
    assert "The 2 images in val/ were not used." in data.summary()


def test_masks_are_scaled_and_cut_with_their_images_and_no_new_class_appears(tmp_path: Path) -> None:
    for number in range(6):
        mask = regions(number, 48, 40 if number else 60)  # one is cut at its sides
        write(tmp_path, f"images/{number}.png", encoded(np.stack([mask * 50] * 3, -1)))
        write(tmp_path, f"masks/{number}.png", encoded(mask))
    data = masks(tmp_path, size=24)
    images, found = everything(data)
    assert found.shape == (6, 24, 24)
    near = (
        found.int() * 50 - images[:, 0].int()
    ).abs() < 20  # the image is smooth at borders, the mask is not
    assert near.float().mean() > 0.7
    assert data.classes == ("0", "1", "2", "3")
    same_size = masks(tmp_path, size=(48, 40))
    images, found = everything(same_size)
    assert torch.equal(found[1:] * 50, images[1:, 0]) or (found * 50 == images[:, 0]).float().mean() > 0.95


def test_from_zips_and_from_the_cache(tmp_path: Path) -> None:
    made(tmp_path / "own")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for path in sorted((tmp_path / "own").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "own"))
    by_folder, by_zip = masks(tmp_path / "own"), masks(tmp_path / "own.zip")
    assert by_folder.fingerprint == by_zip.fingerprint == masks(tmp_path / "own").fingerprint
    assert (by_folder.name, by_zip.name) == ("own", "own")
    assert len(list((tmp_path / "cache").glob("images-*"))) == 2
    assert (
        load(tmp_path / "own").fingerprint == load(tmp_path / "own.zip").fingerprint == by_folder.fingerprint
    )
    write(tmp_path / "own", "masks/000.png", encoded(regions(77)))
    assert masks(tmp_path / "own").fingerprint != by_folder.fingerprint


def test_the_cache_gives_the_same_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "own")
    first = masks(tmp_path / "own")
    monkeypatch.setattr(module, "_read", None)
    again = masks(tmp_path / "own")
    assert (again.fingerprint, again.summary(), again.skipped) == (first.fingerprint, first.summary(), ())
    with pytest.raises(TypeError):  # with other settings it has to be read
        masks(tmp_path / "own", classes=["a", "b", "c", "d"])


def test_a_folder_of_classes_is_still_one(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "masks/1.png", "masks/2.png"):
        write(tmp_path, name)
    assert load(tmp_path).target_kind == "labels"
    assert load(tmp_path).fingerprint == folder(tmp_path).fingerprint


def test_what_cannot_be_used_is_left_out_and_named(tmp_path: Path) -> None:
    made(tmp_path, count=12)
    (tmp_path / "masks/001.png").unlink()
    (tmp_path / "images/002.png").unlink()
    write(tmp_path, "masks/003.png", encoded(regions(3, 6, 10)))
    write(tmp_path, "masks/004.png", encoded(regions(4))[:-40])
    write(tmp_path, "images/005.png", b"no image")
    (tmp_path / "masks/006.png").unlink()
    write(tmp_path, "masks/006.jpg", encoded(regions(6) * 80, "JPEG"))
    write(tmp_path, "masks/007.png", encoded(picture(7, 12, 10)))
    (tmp_path / "masks/008.png").write_bytes(b"")
    data = masks(tmp_path)
    images, found = everything(data)
    assert torch.equal(found * 50, images[:, 0])
    assert images[:, 1, 0, 0].sort().values.tolist() == [0, 9, 10, 11]
    reasons = {item.path: item.reason for item in data.skipped}
    assert {path: reason[:30] for path, reason in reasons.items()} == {
        "images/001.png": "has no mask",
        "masks/002.png": "has no image",
        "masks/003.png": "a mask of 6x10 pixels for an image of 12x10"[:30],
        "masks/004.png": reasons["masks/004.png"][:30],
        "images/005.png": "no image of a known format",
        "masks/006.jpg": "a JPEG, which changes the valu",
        "masks/007.png": "120 different colours, more than the 64"[:30],
        "masks/008.png": "empty file",
    }
    assert "8 files were skipped" in data.summary()


def test_many_rare_classes_that_somebody_has_numbered_are_no_noise(tmp_path: Path) -> None:
    for number in range(4):
        mask = np.zeros((100, 100), np.uint8)
        mask[0, :19] = np.arange(1, 20)
        write(tmp_path, f"images/{number}.png", encoded(picture(number, 100, 100)))
        write(tmp_path, f"masks/{number}.png", encoded(mask))
    assert len(masks(tmp_path).classes) == 20


def from_jpeg(number: int) -> bytes:
    """A PNG that was a JPEG once: black and white with noise at their border."""
    y, x = np.mgrid[:96, :96]
    disc = np.hypot(x - 30 - 4 * number, y - 40) < 25
    return encoded(Image.open(io.BytesIO(encoded(disc * np.uint8(255), "JPEG", quality=75))))


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (
            "no overlap",
            "no mask is called like an image: images are '000.png', '001.png' ..., masks 'x0.png'",
        ),
        ("no masks", "no image files are there for masks (1 files with .txt)"),
        ("empty", "no image files are there for images (no files at all)"),
        ("nothing", "there is nothing at"),
        (
            "other sizes",
            "none of the 6 masks can be used; the first problem: masks/000.png: a mask of 6x10 pixels",
        ),
        (
            "photographs",
            "none of the 6 masks can be used; the first problem: masks/000.png: 120 different colours",
        ),
        ("jpeg", "none of the 6 masks can be used; the first problem: masks/000.png: a JPEG, which changes"),
        (
            "damaged",
            "none of the 6 masks can be used; the first problem: masks/000.png: no image of a known format",
        ),
        ("images damaged", "none of the 6 images can be read; the first problem: images/000.png"),
        ("noise", "of them in less than 0.2% of the pixels: noise, as from JPEG compression or soft edges"),
        ("many classes", "the masks hold 309 different numbers: at most 255 can be classes"),
        ("one class", "1 class(es): telling classes apart needs at least two"),
        ("no such class", "masks/000.png holds 3, which is none of the classes' numbers (0, 1, 2"),
        (
            "no such colour",
            "masks/000.png holds #00008e, which is none of the classes' colours (#000000, #804080",
        ),
        ("names for colours", "the masks are coloured (#000000, #00008e"),
        ("numbers for colours", "holds colours: give the classes' colours, not numbers"),
        ("numbers and colours", "some classes (or ignored) are numbers, some colours"),
        ("twice", "two classes have the same number or colour"),
        ("no colour", "'rot' is neither a number nor a colour"),
        ("neither folder", "no folder of images and folder of masks are there"),
    ],
)
def test_one_clear_sentence_for_what_cannot_work(tmp_path: Path, case: str, sentence: str) -> None:
    is_coloured = "colour" in case
    made(tmp_path, form="colours" if is_coloured else "index")
    names = [path.name for path in sorted((tmp_path / "masks").iterdir())]
    settings: dict[str, object] = {}

    def replace(kind: str, content: object) -> None:
        for number, name in enumerate(names):
            write(tmp_path, f"{kind}/{name}", content(number))  # type: ignore[operator]

    match case:
        case "no overlap":
            for number, name in enumerate(names):
                (tmp_path / "masks" / name).rename(tmp_path / "masks" / f"x{number}.png")
        case "no masks" | "empty":
            for path in tmp_path.glob("masks/*" if case == "no masks" else "*/*"):
                path.unlink()
            if case == "no masks":
                write(tmp_path, "masks/readme.txt", b"later")
            settings = {"masks": tmp_path / "masks", "images": tmp_path / "images"}
        case "nothing":
            settings["masks"] = tmp_path / "mask"
        case "other sizes":
            replace("masks", lambda number: encoded(regions(number, 6, 10)))
        case "photographs":
            replace("masks", lambda number: encoded(picture(number, 12, 10)))
        case "jpeg":
            replace("masks", lambda number: encoded(regions(number) * 80, "JPEG"))
        case "damaged":
            replace("masks", lambda number: b"no image")
        case "images damaged":
            replace("images", lambda number: b"no image")
        case "noise":
            replace("images", lambda number: encoded(picture(number, 96, 96)))
            replace("masks", from_jpeg)
        case "many classes":
            numbers = np.arange(120, dtype=np.uint16).reshape(12, 10) // 2
            replace("masks", lambda number: encoded(numbers + np.uint16(50 * number)))
        case "one class":
            replace("masks", lambda number: encoded(regions(number) * 0))
        case "no such class":
            settings["classes"] = ["a", "b", "c"]
            replace("masks", lambda number: encoded(np.full((12, 10), 3, np.uint8)))
        case "no such colour":
            settings["classes"] = {"a": "#000000", "b": (128, 64, 128)}
            replace("masks", lambda number: encoded(COLOURS[np.full((12, 10), 2)]))
        case "names for colours":
            settings["classes"] = ["a", "b", "c", "d"]
        case "numbers for colours":
            settings["classes"] = {"a": 0, "b": 1}
        case "numbers and colours":
            settings["classes"] = {"a": 0, "b": "#000000"}
        case "twice":
            settings["classes"] = {"a": 1, "b": 1}
        case "no colour":
            settings["classes"] = {"a": "rot", "b": "blau"}
        case "neither folder":
            (tmp_path / "masks").rename(tmp_path / "others")
    with pytest.raises(InvalidSetting) as caught:
        masks(**{"images": tmp_path, **settings})  # type: ignore[arg-type]
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_classes_with_images_and_masks_in_each_are_told_and_can_be_read_as_classes(tmp_path: Path) -> None:
    for label, first in (("ill", 0), ("well", 6)):
        made(tmp_path / label, first=first)
    data = load(tmp_path)
    assert data.target_kind == "masks"
    assert data.notes[0].startswith(
        "Taken for pictures with masks, a class for each pixel, as ill, well hold"
    )
    assert "targets='labels'" in data.summary()
    assert load(tmp_path, targets="masks").notes == data.notes[1:]
    asked = load(tmp_path, targets="labels")
    assert (asked.target_kind, asked.classes) == ("labels", ("ill", "well"))
    for split, name in (("ill", "train"), ("well", "test")):
        (tmp_path / split).rename(tmp_path / name)
    assert not any("Taken for" in note for note in load(tmp_path).notes)
    with pytest.raises(InvalidSetting, match="choose 'labels', 'masks', 'boxes' or None"):
        load(tmp_path, targets="values")  # type: ignore[arg-type]


def test_a_folder_can_be_told_its_masks(tmp_path: Path) -> None:
    made(tmp_path / "own")
    (tmp_path / "own" / "masks").rename(tmp_path / "own" / "truth")
    inside = folder(tmp_path / "own" / "images", masks=tmp_path / "own" / "truth")
    assert inside.target_kind == "masks"
    (tmp_path / "own" / "images" / "truth").symlink_to(tmp_path / "own" / "truth")
    assert folder(tmp_path / "own" / "images", masks="truth").fingerprint == inside.fingerprint
    with pytest.raises(InvalidSetting, match="splits= goes with classes"):
        folder(tmp_path / "own" / "images", masks="truth", splits={"train": "a"})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_of_single_objects_are_one_class_and_what_lies_between_another(tmp_path: Path, dtype) -> None:
    numbers = np.zeros((12, 16), dtype)
    numbers[1:5, 1:5], numbers[1:5, 5:9], numbers[8:11, 2:12] = 1, 2, 200  # the first two touch
    for name in ("a", "b", "c"):
        write(tmp_path, f"images/{name}.png", encoded(picture(0, 12, 16)))
        write(tmp_path, f"masks/{name}.png", encoded(numbers))
    data = masks(tmp_path, instances=True)
    assert data.classes == ("background", "object", "between objects")
    assert "9 objects in 3 masks, 3 to 3 in one; pixels where two touch" in data.summary()
    expected = (numbers > 0).astype(np.uint8)
    expected[1:5, 4:6] = 2
    assert np.array_equal(data.train.masks[0].numpy(), expected)
    two = masks(tmp_path, instances=True, classes=("ground", "cell"))
    assert np.array_equal(two.train.masks[0].numpy(), (numbers > 0).astype(np.uint8))
    with pytest.raises(InvalidSetting, match="two or three names"):
        masks(tmp_path, instances=True, classes=("one",))


@pytest.mark.parametrize(
    ("images", "way"),
    [
        ("images/{}.png", "masks/{}/{}.png"),
        ("images/{}.png", "masks/{}_{}.png"),
        ("images/train/{}.png", "masks/{}_mask_{}.png"),
        ("{0}/images/{0}.png", "{}/masks/x{}.png"),
    ],
)
def test_each_object_may_have_a_file_of_its_own(tmp_path: Path, images: str, way: str) -> None:
    numbers = np.zeros((12, 16), np.uint8)
    numbers[1:5, 1:5], numbers[1:5, 5:9], numbers[8:11, 2:12] = 1, 2, 3  # the first two touch
    for name in ("a_1", "a_2", "b"):
        for place in ("own/" + images.format(name), f"pictures/{name}.png"):
            write(tmp_path, place, encoded(picture(0, 12, 16)))
        there = numbers * (numbers < 2) if name == "b" else numbers  # of one object
        write(tmp_path, f"whole/{name}.png", encoded(there))
        for number in np.unique(there)[1:]:
            one = np.where(there == number, 255, 0).astype(np.uint8)
            content = encoded(one if number < 3 else np.stack([one] * 3, -1))
            write(tmp_path, "own/" + way.format(name, number), content)
    data = masks(tmp_path / "own", instances=True)
    assert "Each object has a mask of its own." in data.summary()
    assert "7 objects in 3 masks, 1 to 3 in one; pixels where two touch" in data.summary()
    alike = masks(tmp_path / "pictures", tmp_path / "whole", instances=True)
    assert torch.equal(everything(data)[1], everything(alike)[1]) and not data.skipped
    assert masks(tmp_path / "own", instances=True, cache="disk").fingerprint == data.fingerprint


def test_objects_whose_files_are_broken_cost_their_image_only(tmp_path: Path) -> None:
    one = np.zeros((12, 16), np.uint8)
    one[2:5, 2:5] = 255
    whole = encoded(one)
    wrong = {"size": encoded(one[:6]), "damaged": b"no picture", "jpeg": encoded(one, "JPEG")}
    for name, last in (wrong | dict.fromkeys(("good", "fine", "third"), whole)).items():
        write(tmp_path, f"images/{name}.png", encoded(picture(0, 12, 16)))
        write(tmp_path, f"masks/{name}/0.png", whole)
        write(tmp_path, f"masks/{name}/1.png", last)
    write(tmp_path, "images/lonely.png", encoded(picture(0, 12, 16)))
    write(tmp_path, "masks/nobody/0.png", whole)
    data = masks(tmp_path, instances=True)
    told = {item.path: item.reason for item in data.skipped}
    assert told["images/lonely.png"] == "has no mask" and told["masks/nobody/0.png"] == "has no image"
    reasons = {path.split("/")[1]: reason for path, reason in told.items() if path.startswith("masks/")}
    assert "masks/size/1.png: a mask of 6x16 pixels" in reasons["size"]
    assert "masks/damaged/1.png" in reasons["damaged"] and "a JPEG" in reasons["jpeg"]
    assert len(data.train) + len(data.test) == 3
    with pytest.raises(InvalidSetting, match=r"no mask is called like an image.*give instances=True"):
        masks(tmp_path)


def test_links_are_followed_and_names_in_a_zip_decoded_as_in_folder(tmp_path: Path) -> None:
    made(tmp_path / "far")
    (tmp_path / "own").mkdir()
    for name in ("images", "masks"):
        (tmp_path / "own" / name).symlink_to(tmp_path / "far" / name)
    with pytest.raises(InvalidSetting, match="no folder of images"):
        masks(tmp_path / "own")
    followed = masks(tmp_path / "own", follow_links=True)
    assert followed.fingerprint == masks(tmp_path / "far").fingerprint
    with pytest.raises(InvalidSetting, match="is not known"):
        masks(tmp_path / "far", encoding="klingon")
