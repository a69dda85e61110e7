import functools
import hashlib
import stat
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reswork.datasets.downloads import fetch

CONTENT = b"some data" * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    served = tmp_path / "served"
    served.mkdir()
    (served / "file").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_checked_file_appears_whole(tmp_path: Path, address: str) -> None:
    target = tmp_path / "deep" / "file"
    fetch([f"{address}/absent", f"{address}/file"], target, MD5)
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert list(target.parent.iterdir()) == [target]


def test_another_content_or_none_leaves_nothing_and_says_why(tmp_path: Path, address: str) -> None:
    target = tmp_path / "deep" / "file"
    with pytest.raises(OSError, match="md5"):
        fetch([f"{address}/file"], target, "0" * 32)
    with pytest.raises(OSError, match="not found"):
        fetch([f"{address}/absent"], target, MD5)
    with pytest.raises(OSError, match="refused"):
        fetch(["http://127.0.0.1:9/file"], target, MD5)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"placed by hand")
    fetch([], target, MD5)
    assert target.read_bytes() == b"placed by hand"
