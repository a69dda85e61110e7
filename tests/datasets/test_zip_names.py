import zipfile
from pathlib import Path

import pytest

from reswork.datasets import folder
from reswork.datasets.files import ZipFiles
from reswork.datasets.zip_names import encoding_of
from reswork.errors import InvalidSetting
from tests.datasets.image_files import encoded, picture


class Raw(zipfile.ZipInfo):
    """A name in an encoding of its own, not marked as UTF-8."""

    encoding = "utf-8"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


def archive(place: Path, encoding: str, labels: tuple[str, ...]) -> Path:
    with zipfile.ZipFile(place, "w") as file:
        for label in labels:
            for number in range(3):
                entry = Raw(f"{label}/{number}.png")
                entry.encoding = encoding
                file.writestr(entry, encoded(picture(number)))
    return place


NAMES = {
    "utf-8": ("Müller", "猫"),
    "gbk": ("猫", "狗", "汽车"),
    "cp932": ("猫", "犬", "ねこ", "カメラ"),
    "cp949": ("고양이", "강아지", "자동차"),
    "big5": ("貓", "狗", "飛機"),
    "cp437": ("Bäume", "café", "Über"),
    "cp1252": ("Bäume", "café", "Çelik"),
    "cp866": ("Кошка", "собака"),
    "cp1251": ("Кошка", "собака"),
}


@pytest.mark.parametrize(("encoding", "labels"), NAMES.items())
def test_class_names_are_read_as_they_were_written(
    tmp_path: Path, encoding: str, labels: tuple[str, ...]
) -> None:
    data = folder(archive(tmp_path / "a.zip", encoding, labels), cache=False)
    assert data.classes == tuple(sorted(labels))
    assert any(f"were read as {encoding}" in note for note in data.notes) == (encoding != "utf-8")


def test_the_encoding_can_be_told(tmp_path: Path) -> None:
    place = archive(tmp_path / "a.zip", "gbk", ("猫", "狗"))
    assert folder(place, encoding="cp437", cache=False).classes != ("狗", "猫")
    assert folder(place, encoding="gbk", cache=False).classes == ("狗", "猫")
    with pytest.raises(InvalidSetting, match="is not known") as caught:
        folder(place, encoding="chinese-ish")
    assert caught.value.field == "encoding"


def test_bytes_of_no_encoding_stay_apart_and_readable() -> None:
    assert encoding_of([b"\xff\xfe\xb0/1.png", b"\x00\xff/2.png"]) == "cp437"


def test_marked_and_plain_names_need_no_word(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("猫/1.png", b"")
        file.writestr("dog/1.png", b"")
    found = ZipFiles(tmp_path / "a.zip")
    assert found.names == ["dog/1.png", "猫/1.png"]
    assert not found.notes
