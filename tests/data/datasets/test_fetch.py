import hashlib
import io
import json
import stat
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.data.datasets.fetch import announcement, fetch
from camcli.data.datasets.load import load_dataset
from camcli.data.datasets.registry import NAMED
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.net.archive import unpack
from camcli.net.download import download


def archive(entries, top="fruits-360-100x100-2f98") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, body in entries:
            if isinstance(name, zipfile.ZipInfo):
                file.writestr(name, body)
            else:
                file.writestr(f"{top}/{name}", body)
    return out.getvalue()


FRUITS = archive(
    [
        (f"{split}/{c}/{v}{i}_100.jpg", bytes([i]) * 3000)
        for split in ("Training", "Test")
        for c in ("Apple 1", "Pear")
        for v in ("", "r_")
        for i in range(4)
    ]
    + [("LICENSE", "CC BY-SA 4.0"), ("readme.md", "")]
)


class Server(ThreadingHTTPServer):
    """Serves `body`; what goes wrong is set by each test."""

    body = FRUITS
    etag: str | None = '"one"'
    ranges = True
    cuts: list[int] = []  # noqa: RUF012 - bytes after which the next answers break off
    statuses: list[int] = []  # noqa: RUF012 - errors that the next answers give

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/archive.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server, headers = self.server, dict(self.headers)
        server.asked.append(headers)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = int(headers.get("Range", "bytes=0-")[6:-1]) if server.ranges else 0
        if headers.get("If-Range", server.etag) != server.etag:
            start = 0
        if start >= len(server.body):
            self.send_error(416)
            return
        body = server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            last = len(server.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(server.body)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    server.cuts, server.statuses = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(server):
    return replace(NAMED["fruits360"].get, url=server.url, size=len(FRUITS))


# -- downloads ---------------------------------------------------------------------------------


def test_broken_connections_are_taken_up_again(server, tmp_path):
    server.cuts = [5000, 20_000]
    seen = []
    download(server.url, tmp_path / "a.zip", pause=0, progress=lambda *a: seen.append(a))
    assert (tmp_path / "a.zip").read_bytes() == FRUITS
    assert [h.get("Range") for h in server.asked] == [None, "bytes=5000-", "bytes=25000-"]
    assert server.asked[1]["If-Range"] == '"one"'
    assert seen[-1] == (len(FRUITS), len(FRUITS))
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_another_process_goes_on(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(FRUITS[:7000])
    download(server.url, tmp_path / "a.zip", pause=0)
    assert (tmp_path / "a.zip").read_bytes() == FRUITS
    assert len(server.asked) == 1


def test_a_file_that_changed_starts_anew(server, tmp_path):
    server.cuts = [5000]
    server.statuses = []
    server.etag = '"one"'
    (tmp_path / "a.zip.part").write_bytes(b"x" * 5000)
    (tmp_path / "a.zip.part.etag").write_text('"older"')
    server.cuts = []
    download(server.url, tmp_path / "a.zip", pause=0)
    assert (tmp_path / "a.zip").read_bytes() == FRUITS


def test_a_server_without_ranges(server, tmp_path):
    server.ranges, server.etag = False, None
    server.cuts = [5000]
    download(server.url, tmp_path / "a.zip", pause=0)
    assert (tmp_path / "a.zip").read_bytes() == FRUITS


def test_more_bytes_than_there_are_start_anew(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(bytes(len(FRUITS) + 5))
    download(server.url, tmp_path / "a.zip", pause=0)
    assert (tmp_path / "a.zip").read_bytes() == FRUITS


def test_temporary_errors_pass(server, tmp_path):
    server.statuses = [503, 429, 500]
    download(server.url, tmp_path / "a.zip", pause=0)
    assert (tmp_path / "a.zip").read_bytes() == FRUITS


def test_it_gives_up_and_keeps_what_came(server, tmp_path):
    server.cuts = [5000, 0, 0, 0]
    with pytest.raises(UnavailableError, match="5,000 bytes are kept"):
        download(server.url, tmp_path / "a.zip", pause=0, tries=3)
    assert (tmp_path / "a.zip.part").read_bytes() == FRUITS[:5000]
    server.statuses = [404]
    with pytest.raises(UnavailableError, match="404"):
        download(server.url, tmp_path / "a.zip", pause=0)
    assert (tmp_path / "a.zip.part").exists()


def test_a_disk_without_locks(server, tmp_path, monkeypatch):
    def none(file, wait=True):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("camcli.net.download.lock", none)
    assert download(server.url, tmp_path / "a.zip").read_bytes() == FRUITS
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_on_windows_a_second_process_waits_beside_the_file(server, tmp_path, windows):
    """Whoever waits has a file open, which then could not be renamed: so it is another one."""
    assert download(server.url, tmp_path / "a.zip").read_bytes() == FRUITS
    assert [call[0] for call in windows.calls] == [2], "one lock, waited for"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    windows.held.clear()  # as Windows does when a file is closed
    server.statuses = [404]
    with pytest.raises(UnavailableError):
        download(server.url, tmp_path / "b.zip", tries=1, pause=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"], "nothing is left of a failure"


def test_no_network(tmp_path):
    with pytest.raises(UnavailableError, match="check the network"):  # at once
        download("http://127.0.0.1:9/x.zip", tmp_path / "a.zip", pause=1000)
    with pytest.raises(CamcliError, match="could not be written"):
        download_to_a_folder(tmp_path)


def download_to_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    (tmp_path / "folder").mkdir()
    download(source.as_uri(), tmp_path / "folder", pause=0, tries=1)


# -- archives ----------------------------------------------------------------------------------


def linked(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ((zipfile.ZipInfo("top/../../evil.jpg"), "x"), "land elsewhere"),
        ((zipfile.ZipInfo("/etc/evil.jpg"), "x"), "land elsewhere"),
        ((zipfile.ZipInfo("top//evil.jpg"), "x"), "land elsewhere"),
        ((zipfile.ZipInfo("top/..\\..\\evil.jpg"), "x"), "land elsewhere"),
        ((zipfile.ZipInfo("C:/evil.jpg"), "x"), "land elsewhere"),
        (linked("top/link", "/etc"), "link or device"),
        (linked("top/a/link.jpg", "../../.."), "link or device"),
    ],
)
def test_nothing_leaves_the_folder(tmp_path, entry, words):
    path = tmp_path / "a.zip"
    path.write_bytes(archive([("fine.jpg", "x"), entry]))
    with pytest.raises(CamcliError, match=words):
        unpack(path, tmp_path / "in" / "set")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("top/zeros.jpg", bytes(60_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(CamcliError, match="60,000,000 bytes"):
        unpack(path, tmp_path / "set")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(FRUITS)), st.lists(st.integers(0, len(FRUITS) - 1), max_size=4))
def test_a_damaged_archive_is_one_sentence(tmp_path_factory, length, flips):
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(FRUITS)
    for at in flips:
        data[at] ^= 0x55
    (folder / "a.zip").write_bytes(data[:length])
    try:
        unpack(folder / "a.zip", folder / "set")
    except CamcliError:
        assert not (folder / "set").exists()
    assert {p.name for p in folder.iterdir()} <= {"a.zip", "set"}


# -- the whole ---------------------------------------------------------------------------------


def test_fetch_fruits360(server, remote, tmp_path):
    server.cuts = [9000]
    folder = fetch("fruits360", tmp_path / "data", remote=remote, pause=0)
    assert folder == tmp_path / "data" / "fruits360"
    record = json.loads((folder / "SOURCE.json").read_text())
    assert record["sha256"] == hashlib.sha256(FRUITS).hexdigest()
    assert record["version"] == "2f981c83e352a9d4c15fb8c886034c817052c80b"
    assert record["licence"].startswith("CC BY-SA 4.0")
    assert record["files"] == 34
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["fruits360"]
    data = load_dataset("fruits360", data_dir=tmp_path / "data")
    assert data.classes == ("Apple 1", "Pear")
    requests = len(server.asked)
    assert fetch("fruits360", tmp_path / "data", remote=remote) == folder
    assert len(server.asked) == requests


def test_a_killed_fetch_goes_on(server, remote, tmp_path):
    server.cuts = [9000, 0, 0, 0, 0, 0]
    with pytest.raises(UnavailableError, match="goes on from there"):
        fetch("fruits360", tmp_path, remote=remote, pause=0)
    fetch("fruits360", tmp_path, remote=remote, pause=0)
    assert server.asked[-1]["Range"] == "bytes=9000-"
    assert (tmp_path / "fruits360" / "Test" / "Pear").is_dir()


def test_the_wrong_archive(server, remote, tmp_path):
    with pytest.raises(CamcliError, match="SHA-256"):
        fetch("fruits360", tmp_path, remote=remote, sha256="0" * 64, pause=0)
    server.body = archive([("README", "moved")])
    with pytest.raises(CamcliError, match="no folder Training"):
        fetch("fruits360", tmp_path, remote=remote, pause=0)
    server.body = b"<html>sign in</html>"
    with pytest.raises(CamcliError, match="no whole ZIP"):
        fetch("fruits360", tmp_path, remote=remote, pause=0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way(remote, tmp_path):
    (tmp_path / "fruits360" / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="move it away"):
        fetch("fruits360", tmp_path, remote=remote)
    with pytest.raises(CamcliError, match="make room"):
        fetch("fruits360", tmp_path / "new", remote=replace(remote, size=10**18))
    (tmp_path / "file").touch()
    with pytest.raises(CamcliError, match="cannot be made"):
        fetch("fruits360", tmp_path / "file", remote=remote)


def test_other_names(tmp_path):
    with pytest.raises(UnavailableError, match="amazon/images/back_pack"):
        fetch("office31", tmp_path)
    with pytest.raises(UsageError, match="fruits360, office31, synthetic"):
        fetch("mnist", tmp_path)


def test_the_announcement(tmp_path):
    text = announcement("fruits360", tmp_path)
    assert "CC BY-SA 4.0" in text
    assert "1.0 GB" in text
    assert "2f981c83e352a9d4c15fb8c886034c817052c80b" in text
    assert str(tmp_path / "fruits360") in text
