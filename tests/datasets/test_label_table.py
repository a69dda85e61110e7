from pathlib import Path

import pytest

from reswork.datasets import folder, folder_layout
from reswork.datasets.label_table import layout_of_table, read_table
from reswork.datasets.layout import Layout
from reswork.errors import InvalidSetting
from tests.datasets.image_files import write

FOUR = ["1.png", "2.png", "3.png", "4.png"]


def layout(text: str | bytes, names: list[str] = FOUR, **choices: object) -> Layout:
    content = text.encode() if isinstance(text, str) else text
    return layout_of_table(read_table(content, "labels.csv"), names, **choices)  # type: ignore[arg-type]


def as_dict(found: Layout) -> dict[str, str]:
    return dict(found.train)


CATS = {"1.png": "cat", "2.png": "dog", "3.png": "cat", "4.png": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        "file,label\n1.png,cat\n2.png,dog\n3.png,cat\n4.png,dog\n",
        "1.png,cat\n2.png,dog\n3.png,cat\n4.png,dog",
        "breed;id\r\ncat;1\r\ndog;2\r\ncat;3\r\ndog;4\r\n",
        "1.png cat\n2.png dog\n3.png cat\n4.png dog\n",
        "x\tlabel\tpath\n7\tcat\tdata/all/1.png\n7\tdog\tdata/all/2.png\n8\tcat\tdata/all/3.png\n9\tdog\tdata/all/4.png",
        'image,age,class\n"./1.PNG",3,cat\n2.PNG,4,dog\n3.PNG,5,cat\n4.PNG,6,dog\n',
        "\ufeffimage_id,class_id,class_name\n1,0,cat\n2,1,dog\n3,0,cat\n4,1,dog\n",
        "name,cat,dog\n1.jpg,1.0,0.0\n2.jpg,0,1\n3.jpg,1,0\n4.jpg,0,1\n",
        "a\\b\\1.png,cat\na\\b\\2.png,dog\na\\b\\3.png,cat\na\\b\\4.png,dog",
    ],
)
def test_columns_are_found_and_told(text: str) -> None:
    found = layout(text)
    assert as_dict(found) == CATS
    assert found.notes[-1].startswith("Of labels.csv the column ")
    assert not found.skipped
    assert not found.test


def test_a_file_may_lie_deeper_and_utf16_and_cp1252_are_read() -> None:
    deep = [f"pictures/{name}" for name in FOUR]
    text = "file,label\n1.png,grün\n2.png,rot\n3.png,grün\n4.png,rot\n"
    for content in (text.encode("utf-16"), text.encode("cp1252"), text.encode()):
        found = layout(content, deep)
        assert as_dict(found)["pictures/1.png"] == "grün"
    assert any("cp1252" in note for note in layout(text.encode("cp1252"), deep).notes)


def test_an_end_of_a_path_that_two_files_have_means_none() -> None:
    names = ["a/1.png", "b/1.png", "b/2.png", "b/3.png"]
    found = layout("file,label\n1.png,x\n2.png,y\n3.png,x\nc/2.png,y\n", names)
    assert as_dict(found) == {"b/2.png": "y", "b/3.png": "x"}
    assert "2 rows of labels.csv name no file that is there (such as '1.png')." in found.notes
    assert [item.path for item in found.skipped] == ["a/1.png", "b/1.png"]


def test_the_column_of_splits_is_found() -> None:
    rows = ["1.png,a,train", "2.png,b,train", "3.png,a,test", "4.png,b,valid"]
    found = layout("\n".join(["file,label,part", *rows]))
    assert as_dict(found) == {"1.png": "a", "2.png": "b"}
    assert found.test == [("3.png", "a")]
    assert "The 1 images of the split 'valid' were not used." in found.notes


def test_folds_are_told_and_can_be_named() -> None:
    text = "file,label,fold\n1.png,a,0\n2.png,b,1\n3.png,a,2\n4.png,b,2\n"
    assert any("'fold' (0, 1, 2) was not taken for splits" in note for note in layout(text).notes)
    found = layout(text, columns={"split": "fold"}, splits={"train": ["0", "1"], "test": "2"})
    assert as_dict(found) == {"1.png": "a", "2.png": "b"}
    assert found.test == [("3.png", "a"), ("4.png", "b")]
    with pytest.raises(InvalidSetting, match="there are '0', '1', '2'"):
        layout(text, columns={"split": "fold"}, splits={"train": "7"})


def test_folders_called_like_splits_are_the_splits() -> None:
    names = ["train/1.png", "train/2.png", "val/3.png", "val/4.png"]
    found = layout("file,label\n1.png,a\n2.png,b\n3.png,a\n4.png,b\n", names)
    assert (len(found.train), len(found.test)) == (2, 2)
    assert "The splits are those of the folders." in found.notes


def test_numbers_are_ordered_as_such_and_lose_their_point() -> None:
    rows = "\n".join(f"{n}.png,{n}.0" for n in (1, 2, 10))
    found = layout("file,label\n" + rows, ["1.png", "2.png", "10.png"])
    assert found.classes == ["1", "2", "10"]


def test_files_without_one_class_are_left_out_and_named() -> None:
    rows = "1.png,a\n2.png,b\n3.png,\n4.png,a\n4.png,b\n"
    found = layout("file,label\n" + rows, [*FOUR, "5.png"])
    assert as_dict(found) == {"1.png": "a", "2.png": "b"}
    assert {item.path: item.reason for item in found.skipped} == {
        "3.png": "has no class in labels.csv",
        "4.png": "has several classes in labels.csv",
        "5.png": "has no row in labels.csv",
    }


@pytest.mark.parametrize(
    ("text", "choices", "words"),
    [
        ("hello\nworld\n", {}, "1 column"),
        ("", {}, "0 column"),
        ("file,label\nx.png,a\ny.png,b\n", {}, "names files that are there"),
        ("file,p,q\n1.png,a,b\n2.png,b,c\n", {}, r"which column .* 'p' \(2 values\), 'q'"),
        ("file,label\n1.png,a\n2.png,a\n", {}, "one class only"),
        ("file,a,b\n1.png,1,1\n2.png,0,1\n", {}, "one class only|have not exactly one"),
        ("file,label\n1.png,a\n2.png,b\n", {"columns": {"label": "breed"}}, "has no column 'breed'"),
        ("file,label\n1.png,a\n2.png,b\n", {"columns": {"target": "label"}}, "'file', 'label' and 'split'"),
        ("file,label\n1.png,a\n2.png,b\n", {"splits": {"train": "a"}}, "columns={'split'"),
        ("\0,\0\n", {}, "names files|no table"),
    ],
)
def test_one_sentence_for_what_cannot_be_understood(
    text: str, choices: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidSetting, match=words):
        layout(text, **choices)


def test_values_of_their_own_are_no_classes() -> None:
    names = [f"{n}.png" for n in range(40)]
    with pytest.raises(InvalidSetting, match="40 different values for 40 files"):
        layout("file,label\n" + "\n".join(f"{n}.png,{n / 7}" for n in range(40)), names)


def test_a_folder_and_a_zip_with_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "pets"
    for number in range(6):
        write(root, f"images/{number}.png")
    rows = [f"{number},{'cat' if number % 2 else 'dog'}" for number in range(6)]
    (root / "labels.csv").write_text("\n".join(["id,breed", *rows]))
    with pytest.raises(InvalidSetting, match=r"folder\(path, labels='labels.csv'\)"):
        folder(root)
    data = folder(root, labels="labels.csv")
    assert (data.classes, len(data.train), len(data.test)) == (("cat", "dog"), 4, 2)
    assert "the column 'id' names the files, 'breed' has the classes" in data.summary()
    assert data.layout == str(folder_layout(root, labels="labels.csv"))
    import shutil

    archive = shutil.make_archive(str(root), "zip", root)
    assert folder(archive, labels="labels.csv").fingerprint == data.fingerprint
    outside = tmp_path / "other.csv"
    outside.write_text("\n".join(["id,breed", *(row.replace("dog", "cow") for row in rows)]))
    assert folder(root, labels=outside).classes == ("cat", "cow")
    outside.write_text("\n".join(["id,breed", *(row.replace("dog", "eel") for row in rows)]))
    assert folder(root, labels=outside).classes == ("cat", "eel")  # not from the cache
    for wrong, words in (
        ({"labels": "images"}, "is a folder"),
        ({"columns": {"file": 0}}, "name it with labels="),
    ):
        with pytest.raises(InvalidSetting, match=words):
            folder(root, **wrong)  # type: ignore[arg-type]
