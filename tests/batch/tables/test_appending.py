"""A file that grows by whole records: what was appended survives the process and the power."""

import os

import pytest

from camcli.batch.tables.appending import Appender
from camcli.batch.tables.heatmaps import Heatmaps
from camcli.batch.tables.journal import Journal
from camcli.errors import CamcliError


@pytest.fixture
def synced(monkeypatch):
    """(inode, size) of each file at the moment that it was forced to the disk."""
    found = []
    real = os.fsync

    def fsync(handle):
        status = os.fstat(handle)
        found.append((status.st_ino, status.st_size))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.mark.parametrize(
    "open_", [lambda path: Journal(path, ["path"]), Heatmaps, Appender], ids=["csv", "maps", "own"]
)
@pytest.mark.parametrize("error", [None, ValueError])
def test_all_of_it_is_forced_to_the_disk_when_it_is_closed(tmp_path, synced, open_, error):
    """However the run ends: a power cut after that costs nothing."""
    path = tmp_path / "records"
    try:
        with open_(path) as appender:
            appender._append(b"one\r\n")
            appender._append(b"two\r\n")
            if error:
                raise error
    except ValueError:
        pass
    assert synced == [(path.stat().st_ino, path.stat().st_size)]
    assert path.read_bytes().endswith(b"one\r\ntwo\r\n")


def test_a_record_is_with_the_system_at_once(tmp_path):
    """So that a kill a moment later cannot take it away."""
    with Appender(tmp_path / "x") as appender:
        for count in range(1, 4):
            appender._append(b"row\n")
            assert (tmp_path / "x").read_bytes() == b"row\n" * count


def test_what_is_there_stays(tmp_path):
    (tmp_path / "x").write_bytes(b"before\n")
    with Appender(tmp_path / "x") as appender:
        appender._append(b"after\n")
    assert (tmp_path / "x").read_bytes() == b"before\nafter\n"


def test_a_removed_file_takes_no_more(tmp_path):
    """It would take whatever is written to it, and keep nothing."""
    with Appender(tmp_path / "x") as appender:
        appender._append(b"row\n")
        (tmp_path / "x").unlink()
        with pytest.raises(CamcliError, match=r"removed while.*--resume"):
            appender._append(b"row\n")


def test_what_cannot_be_forced_to_a_disk_is_no_error(tmp_path, monkeypatch):
    """Some file systems, and pipes, have no such thing."""

    def fsync(handle):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    with Appender(tmp_path / "x") as appender:
        appender._append(b"row\n")
    assert (tmp_path / "x").read_bytes() == b"row\n"
    assert appender._file.closed
