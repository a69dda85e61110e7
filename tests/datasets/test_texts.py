from pathlib import Path

import pytest
import torch

import reswork as rw
from reswork.datasets import languages, text, words_of
from reswork.errors import InvalidSetting


def test_texts_go_in_sign_by_sign_and_come_back(tmp_path: Path) -> None:
    rows = ["text,label"] + [
        f"{'good' if k % 2 else 'bad'} number {k},{'fine' if k % 2 else 'poor'}" for k in range(20)
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = text(tmp_path / "t.csv")
    assert (
        data.input_kind == "tokens"
        and data.classes == ("fine", "poor")
        and data.features[:2] == ("", "?unknown")
    )
    words = words_of(data, "train") + words_of(data)
    assert sorted(word.split()[0] for word in words) == ["bad"] * 10 + ["good"] * 10
    for name in ("good", "bad"):
        (tmp_path / "f" / name).mkdir(parents=True)
        for k in range(3):
            (tmp_path / "f" / name / f"{k}.txt").write_text(f"{name} {k}")
    assert text(tmp_path / "f").classes == ("bad", "good")


def test_a_sign_that_training_has_not_seen_is_unknown(tmp_path: Path) -> None:
    rows = ["text,label"] + [f"{chr(0x4E00 + k)}abc,{k % 2}" for k in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = text(tmp_path / "t.csv")
    assert (data.test.inputs[:, 0] == 1).all() and all(word == "?abc" for word in words_of(data))


def test_texts_go_in_word_by_word_and_come_back(tmp_path: Path) -> None:
    rows = ["text,label"] + [
        f'"{"Good, really" if k % 2 else "Bad!"} no{chr(97 + k)}",{"fine" if k % 2 else "poor"}'
        for k in range(20)
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = text(tmp_path / "t.csv", by="words")
    assert data.are_words and {"good", "really", ",", "bad", "!"} < {*data.features}
    assert {"good , really ?", "bad ! ?"} == {*words_of(data)}  # the last word is another one each time
    assert "of up to 8 words" in data.summary() and not languages().are_words
    torch.manual_seed(0)
    model = rw.resnet(rw.config_for(data, width=4))
    found = rw.probes.text_evidence(model, data, 0)
    assert found.parts == tuple(words_of(data)[0].split()) and len(found.values) == len(found.parts)


def test_languages_of_names() -> None:
    data = languages()
    assert len(data.classes) == 16 and "left out" in data.summary()
    assert int(torch.cat([data.train.inputs, data.test.inputs]).max()) < len(data.features)


@pytest.mark.parametrize(
    ("content", "settings", "sentence"),
    [
        ("text\nx\ny", {}, "one column"),
        ("text,label\nx,1", {}, "give at least 4"),
        ("text,label\na,1\nb,1\nc,1\nd,1", {}, "all answers are '1'"),
        ("text,label\na,1\nb,2", {"target": "z"}, "target='z'"),
        ("text,label\na,1\nb,2", {"column": "z"}, "column='z'"),
        ("text,label\na,1\nb,2", {"by": "pages"}, "by='pages': choose 'signs' or 'words'"),
        ("text,label\na,1\nb", {}, "line 3"),
        ('text,label\n"' + "x" * 140_000, {}, "mend its quotes"),
        ("text,label\n,1\n ,2\na,", {}, r"0 text\(s\): give at least 4"),
    ],
)
def test_broken_texts_are_told_in_one_sentence(
    content: str, settings: dict, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InvalidSetting, match=sentence):
        text(tmp_path / "t.csv", **settings)


def test_folders_that_hold_no_texts_of_classes_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"no folders with \.txt files"):
        text(tmp_path)
    (tmp_path / "lies here.txt").write_text("in no folder")
    with pytest.raises(InvalidSetting, match=r"no folders with \.txt files"):
        text(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for k in range(4):
        (tmp_path / "a" / f"{k}.txt").write_text(f"text {k}")
    with pytest.raises(InvalidSetting, match="all answers are 'a'"):
        text(tmp_path)
    (tmp_path / "b" / "0.txt").write_text("  ")  # an empty one counts as none
    with pytest.raises(InvalidSetting, match="all answers are 'a'"):
        text(tmp_path)
    for k in range(2, 4):
        (tmp_path / "a" / f"{k}.txt").unlink()
    with pytest.raises(InvalidSetting, match=r"2 text\(s\): give at least 4"):
        text(tmp_path)
    with pytest.raises(InvalidSetting, match="nowhere"):
        text(tmp_path / "nowhere")
    (tmp_path / "b" / "1.txt").write_bytes(b"\x7fELF\0\0\0")
    with pytest.raises(InvalidSetting, match=r"b/1\.txt is no text: save it as UTF-8, or leave it out"):
        text(tmp_path)


def test_texts_of_other_encodings_are_read_and_a_class_without_text_is_told(tmp_path: Path) -> None:
    words = "„Straße“, größer, Ärger"
    for name in ("a", "b", "c", "d", "__pycache__", ".cache"):
        (tmp_path / name).mkdir()
    for name in "ab":
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
            (tmp_path / name / f"{encoding}.txt").write_bytes(words.encode(encoding))
    (tmp_path / "c" / "0.txt").write_text(" ")
    (tmp_path / "d" / "0.md").write_text("a text under another name")
    data = text(tmp_path)
    assert data.classes == ("a", "b")
    assert {*words_of(data, "train"), *words_of(data)} == {words}
    summary = data.summary()
    assert "2 of 9 files are no UTF-8 and read as Windows-1252" in summary
    assert "No .txt file with text lies in 'c', 'd', so that this is no class." in summary
    assert "1 rows without text or class were left out." in summary


def test_a_csv_file_as_windows_wrote_it_is_read_and_that_is_told(tmp_path: Path) -> None:
    rows = "text,class\n" + "".join(f"größer {row},{'ab'[row % 2]}\n" for row in range(8))
    for encoding, told in (("cp1252", True), ("utf-8", False)):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(rows.encode(encoding))
        data = text(path)
        assert all("größer" in each for each in words_of(data))
        assert (f"{path.name} is no UTF-8 and read as Windows-1252" in data.summary()) is told
