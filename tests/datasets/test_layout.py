import pytest

from reswork.datasets.layout import layout_of
from reswork.errors import InvalidSetting


def test_both_splits() -> None:
    names = ["test/cat/9.png", "train/cat/1.png", "train/dog/2.JPG", "train/dog/deep/3.webp", "README.md"]
    layout = layout_of(names)
    assert layout.train == [
        ("train/cat/1.png", "cat"),
        ("train/dog/2.JPG", "dog"),
        ("train/dog/deep/3.webp", "dog"),
    ]
    assert layout.test == [("test/cat/9.png", "cat")]
    assert layout.classes == ["cat", "dog"]
    assert not layout.skipped
    assert not layout.notes


@pytest.mark.parametrize("name", ["test", "val", "Validation", "TESTING"])
def test_other_names_of_the_test_split(name: str) -> None:
    layout = layout_of(["Training/a/1.png", "Training/b/1.png", f"{name}/a/2.png"])
    assert [file for file, _ in layout.test] == [f"{name}/a/2.png"]


@pytest.mark.parametrize("prefix", ["", "pets/", "a/b/c/", "train/"])
def test_only_classes_with_folders_around_them(prefix: str) -> None:
    layout = layout_of([f"{prefix}cat/1.png", f"{prefix}dog/2.png"])
    assert [label for _, label in layout.train] == ["cat", "dog"]
    assert not layout.test


def test_classes_may_be_called_like_splits() -> None:
    layout = layout_of(["bus/1.png", "train/1.png", "tram/1.png"])
    assert [label for _, label in layout.train] == ["bus", "train", "tram"]
    layout = layout_of(["bus/1.png", "train/steam/1.png", "train/electric/1.png", "tram/1.png"])
    assert layout.classes == ["bus", "train", "tram"]


def test_a_test_split_without_classes_is_not_used_and_said() -> None:
    layout = layout_of(["train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png"])
    assert len(layout.train) == 2
    assert not layout.test
    assert layout.notes == ["The 2 images in test/, which have no class folders, were not used."]


def test_a_third_split_is_not_used_and_said() -> None:
    layout = layout_of(["train/a/1.png", "train/b/1.png", "test/a/1.png", "val/a/1.png"])
    assert len(layout.test) == 1
    assert layout.notes == ["The 1 images in val/ were not used."]


def test_strays_are_named_and_empty_classes_known() -> None:
    layout = layout_of(["a/1.png", "b/1.png", "b/notes.txt", "stray.png"], ["a", "b", "c", "c/deeper"])
    assert [(item.path, item.reason) for item in layout.skipped] == [
        ("b/notes.txt", "not an image of a known kind"),
        ("stray.png", "lies outside of the class folders"),
    ]
    assert layout.classes == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "no files at all"),
        (["a/1.txt", "b/2.tar.gz"], "no images are there"),
        (["1.png", "2.png"], "without class folders"),
        (["cat/1.png", "cat/2.png"], "one class only .'cat'."),
        (["train/cat/1.png", "test/cat/2.png", "test/dog/2.png"], "one class only"),
    ],
)
def test_says_what_is_missing(names: list[str], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words) as caught:
        layout_of(names)
    assert caught.value.field == "path"


def test_hostile_class_names_stay_as_they_are() -> None:
    names = ["<img src=x onerror=alert(1)>", "$(rm -rf ~)", "__proto__", "a\nb", "π ∑", "' OR 1=1"]
    layout = layout_of([f"{name}/1.png" for name in names])
    assert layout.classes == sorted(names)


def animals(*folders: str) -> list[str]:
    """Two images of each of two classes in each of these folders."""
    return [f"{folder}/{label}/{n}.png" for folder in folders for label in ("cat", "dog") for n in range(2)]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"), ("seg_train/seg_train", "seg_test/seg_test"), ("train", "dev"),
        ("train_images", "val_images"), ("TrainSet", "TestSet"), ("pets-train", "pets-valid"), ("Train2017", "val2017"),
        ("TRAIN", "EVAL"), ("training_data/images", "testing_data/images"), ("images", "test"), ("trn", "holdout"),
    ],
)  # fmt: skip
def test_splits_are_known_by_the_words_in_their_names(train: str, test: str) -> None:
    layout = layout_of(animals(train, test))
    assert layout.classes == ["cat", "dog"]
    assert [name for name, _ in layout.train] == animals(train)
    assert [name for name, _ in layout.test] == animals(test)


def test_the_test_split_is_preferred_to_validation_and_the_third_is_said() -> None:
    layout = layout_of(animals("train_set", "val_set", "test_set"))
    assert [name for name, _ in layout.test] == animals("test_set")
    assert layout.notes == ["The 4 images in val_set/ were not used."]


@pytest.mark.parametrize(
    "classes",
    [("test_tube", "train_station"), ("bus", "train"), ("mask", "no_mask"), ("with_mask", "without_mask")],
)
def test_classes_that_sound_like_splits_or_masks_stay_classes(classes: tuple[str, str]) -> None:
    layout = layout_of([f"{label}/{n}.png" for label in classes for n in range(3)] + ["stray.png"])
    assert layout.classes == list(classes)
    assert len(layout.train) == 6


def test_splits_inside_of_the_classes() -> None:
    names = [f"{label}/{split}/1.png" for label in ("cat", "dog") for split in ("train", "test", "val")]
    layout = layout_of(names)
    assert layout.train == [("cat/train/1.png", "cat"), ("dog/train/1.png", "dog")]
    assert layout.test == [("cat/test/1.png", "cat"), ("dog/test/1.png", "dog")]
    assert "The 2 images in <class>/val/ were not used." in layout.notes


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            animals("2019", "2020"),
            r"either may be the classes.*classes=\['cat', 'dog'\].*'train': '2019', 'test': '2020'",
        ),
        (animals("extra", "train"), "'train': 'train', 'test': 'extra'"),
        (
            animals("a/train", "a/test", "b/train"),
            r"splits=.'train': \['a/train', 'b/train'\], 'test': \['a/test'\]",
        ),
        (["train_images/1.png", "test_images/2.png"], "splits whose images lie side by side"),
        (["images/1.png", "masks/1.png"], r"rw.datasets.masks\(images, masks\)"),
    ],
)
def test_what_can_be_meant_in_two_ways_is_refused_with_what_to_write(names: list[str], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words) as caught:
        layout_of(names)
    assert caught.value.field == "path"


def test_splits_and_classes_can_be_told() -> None:
    names = animals("2019", "2020", "2021")
    layout = layout_of(names, splits={"train": ["2019", "./2021/"], "test": "2020"})
    assert [name for name, _ in layout.train] == animals("2019", "2021")
    assert [name for name, _ in layout.test] == animals("2020")
    by_class = layout_of(names, classes=["cat", "dog"])
    assert by_class.classes == ["cat", "dog"]
    assert len(by_class.train) == 12
    assert layout_of(names, classes=["2019", "2021"]).classes == ["2019", "2021"]
    with pytest.raises(
        InvalidSetting, match="no images are in '2018'; folders with images are 2019, 2020, 2021"
    ):
        layout_of(names, splits={"train": "2018"})
    with pytest.raises(InvalidSetting, match="give folders as"):
        layout_of(names, splits={"learn": "2019"})


def test_folders_inside_of_classes_are_said() -> None:
    layout = layout_of(["animals/cat/1.png", "animals/dog/1.png", "cars/red/1.png", "cars/blue/1.png"])
    assert layout.classes == ["animals", "cars"]
    assert "no classes of their own" in layout.notes[0]


@pytest.mark.parametrize(
    ("good", "beside"),
    [
        (["{}/images/1.png", "{}/images/2.png"], ["{}/masks/1.png", "{}/masks/2.png"]),
        (["{}/images/1.png"], ["{}/lung_masks/other.png"]),
        (["{}/1.png"], ["{}/mask/1_mask.png"]),
        (["{}/{} (1).png"], ["{}/{} (1)_mask.png", "{}/{} (1)_mask_1.png"]),
        (["{}/1.png"], ["{}/thumbs/1.png", "{}/deep/Thumbnails/1.png"]),
    ],
)
def test_masks_and_thumbnails_beside_the_pictures_are_left_out_and_said(
    good: list[str], beside: list[str]
) -> None:
    kept, left_out = (
        [each.replace("{}", label) for label in ("ill", "well") for each in kind] for kind in (good, beside)
    )
    layout = layout_of(kept + left_out)
    assert [name for name, _ in layout.train] == kept
    assert len(layout.notes) == 1
    assert layout.notes[0].startswith(f"{len(left_out)} files (such as ill/")


def test_one_class_whose_name_is_spelt_in_two_unicode_forms() -> None:
    layout = layout_of(["train/caf\u00e9/1.png", "train/a/1.png", "test/cafe\u0301/1.png", "test/a/1.png"])
    assert layout.classes == ["a", "caf\u00e9"]
    assert [label for _, label in layout.test] == ["caf\u00e9", "a"]


def test_is_told_in_words() -> None:
    told = str(layout_of([*animals("train", "test", "val"), "train/cat/notes.txt"]))
    assert told.splitlines() == [
        "4 images to train on, 4 to test.",
        "2 classes, with their images to train on: cat 2, dog 2.",
        "The 4 images in val/ were not used.",
        "Not used are 1 more files, such as train/cat/notes.txt: not an image of a known kind.",
    ]
