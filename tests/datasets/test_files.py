import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from reswork.datasets import files
from reswork.datasets.files import FolderFiles, ZipFiles, readable
from reswork.errors import InvalidSetting
from tests.datasets.image_files import write


def reasons(source: FolderFiles | ZipFiles) -> dict[str, str]:
    return {item.path: item.reason for item in source.refused}


def test_a_folder_is_listed_without_what_systems_leave_behind(tmp_path: Path) -> None:
    for name in (
        "b/2.png",
        "a/1.png",
        ".hidden/3.png",
        "a/.ipynb_checkpoints/1.png",
        "a/._1.png",
        "Thumbs.db",
        "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "#recycle/1.png",
        "a/.AppleDouble/1.png",
        "__MACOSX/a/1.png",
        "$RECYCLE.BIN/1.png",
    ):
        write(tmp_path, name, b"content")
    (tmp_path / "empty").mkdir()
    found = FolderFiles(tmp_path)
    assert found.names == ["a/1.png", "b/2.png"]
    assert sorted(found.folders) == ["a", "b", "empty"]
    assert found.read("a/1.png") == b"content"


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    secret = write(outside, "secret.png", b"secret")
    inside = write(root, "a/1.png")
    (root / "a/leaves.png").symlink_to(secret)
    (root / "a/relative.png").symlink_to("../../outside/secret.png")
    (root / "a/stays.png").symlink_to(inside)
    (root / "a/nowhere.png").symlink_to(root / "absent")
    (root / "a/circle.png").symlink_to(root / "a/circle.png")
    (root / "out").symlink_to(outside)
    (root / "again").symlink_to(root / "a")
    found = FolderFiles(root)
    assert found.names == ["a/1.png", "a/stays.png"]
    assert reasons(found) == {
        "a/leaves.png": "a link that leaves the folder",
        "a/relative.png": "a link that leaves the folder",
        "a/nowhere.png": "leads to nothing that can be read",
        "a/circle.png": "leads to nothing that can be read",
        "out": "a link that leaves the folder",
        "again": "a link to a folder",
    }


def test_links_are_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "root"
    outside = write(tmp_path / "outside", "b/2.png", b"outside")
    write(root, "a/1.png")
    (root / "a/link.png").symlink_to(outside)
    (root / "b").symlink_to(outside.parent)
    (root / "a/circle").symlink_to(root)
    (root / "a/nowhere.png").symlink_to(root / "absent")
    found = FolderFiles(root, follow_links=True)
    assert found.names == ["a/1.png", "a/link.png", "b/2.png"]
    assert found.read("b/2.png") == b"outside"
    assert reasons(found) == {
        "a/circle/": "a link to a folder that is read already",
        "a/nowhere.png": "leads to nothing that can be read",
    }


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", "a/1.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert FolderFiles(tmp_path / "link").names == ["a/1.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png")
    os.mkfifo(tmp_path / "a/pipe.png")
    assert reasons(FolderFiles(tmp_path)) == {"a/pipe.png": "not a regular file"}


def test_large_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a/1.png", bytes(2_000))
    monkeypatch.setattr(files, "MOST_FILE_BYTES", 1_000)
    assert reasons(FolderFiles(tmp_path)) == {"a/1.png": "larger than 256 MiB"}


def test_the_signature_notices_every_change(tmp_path: Path) -> None:
    place = write(tmp_path, "a/1.png", b"one")
    seen = {FolderFiles(tmp_path).signature}
    assert FolderFiles(tmp_path).signature in seen
    write(tmp_path, "a/2.png", b"two")
    seen.add(FolderFiles(tmp_path).signature)
    place.write_bytes(b"three")
    seen.add(FolderFiles(tmp_path).signature)
    os.utime(place, ns=(1, 1))
    seen.add(FolderFiles(tmp_path).signature)
    place.rename(tmp_path / "a/0.png")
    seen.add(FolderFiles(tmp_path).signature)
    assert len(seen) == 5


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses such names")
def test_names_that_are_no_text_can_be_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/cl\xffss"
    os.mkdir(folder)
    with open(folder + b"/1.png", "wb") as file:
        file.write(b"content")
    found = FolderFiles(tmp_path)
    assert found.read(found.names[0]) == b"content"
    assert readable(found.names[0]) == "cl\\xffss/1.png"


def test_names_that_lead_out_of_an_archive_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    place = tmp_path / "in" / "evil.zip"
    place.parent.mkdir()
    with zipfile.ZipFile(place, "w") as archive:
        for name in ("../up.png", "a/../../up.png", "/etc/absolute.png", "C:\\windows.png", "..\\back.png"):
            archive.writestr(name, "content")
        archive.writestr("a/good.png", "good")
        archive.writestr("b\\windows.png", "made on Windows")
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    found = ZipFiles(place)
    assert found.names == ["a/good.png", "b/windows.png"]
    assert found.read("a/good.png") == b"good"
    assert reasons(found) == {
        "../up.png": "its name leads out of the archive",
        "a/../../up.png": "its name leads out of the archive",
        "/etc/absolute.png": "its name leads out of the archive",
        "C:/windows.png": "its name leads out of the archive",
        "../back.png": "its name leads out of the archive",
        "a/link.png": "a link",
    }
    assert sorted(tmp_path.rglob("*")) == before


def test_archive_bombs_are_refused_by_what_they_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/bomb.png", bytes(1_000_000))
        archive.writestr("__MACOSX/a/._1.png", "junk")
    monkeypatch.setattr(files, "MOST_FILE_BYTES", 1_000)
    assert reasons(ZipFiles(tmp_path / "bomb.zip")) == {"a/bomb.png": "larger than 256 MiB"}
    monkeypatch.setattr(files, "MOST_FILES", 1)
    with pytest.raises(InvalidSetting, match="2 entries; the limit is 1"):
        ZipFiles(tmp_path / "bomb.zip")


def test_an_entry_that_lies_about_its_size_is_not_read_further(tmp_path: Path) -> None:
    place = tmp_path / "lie.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1_000_000))
    data = place.read_bytes().replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    place.write_bytes(data)
    with pytest.raises(OSError, match="damaged in the archive"):
        ZipFiles(place).read("a.png")


def test_damaged_and_encrypted_entries_give_a_reason(tmp_path: Path) -> None:
    place = tmp_path / "some.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("a.png", b"A" * 500)
        archive.writestr("b.png", b"B" * 500)
    data = bytearray(place.read_bytes().replace(b"B" * 500, b"B" * 499 + b"C"))
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1  # the first entry's flag in the directory: encrypted
    place.write_bytes(data)
    found = ZipFiles(place)
    assert reasons(found) == {"a.png": "encrypted"}
    with pytest.raises(OSError, match="damaged in the archive"):
        found.read("b.png")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"hello", b"PK\x03\x04 cut off"):
        with pytest.raises(InvalidSetting, match="not a zip archive"):
            ZipFiles(write(tmp_path, "some.zip", content))
