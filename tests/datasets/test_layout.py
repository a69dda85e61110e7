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
