import os
import signal
import subprocess
import sys

import pytest

from camcli.files import (
    SpecialFileError,
    open_regular,
    read_regular,
    whole_file,
    whole_folder,
    write_whole,
)


def test_a_file_appears_whole_and_alone(tmp_path):
    path = tmp_path / ("é" * 120 + ".csv")  # 244 of the 255 bytes that a name may have
    write_whole(path, "ü\r\n")
    assert path.read_bytes() == "ü\r\n".encode()
    with whole_file(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == "ü\r\n".encode()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_with_a_name_that_is_not_unicode(tmp_path):
    write_whole(tmp_path / "a.csv", "é\udcff")
    assert (tmp_path / "a.csv").read_bytes() == b"\xc3\xa9\xff"
    write_whole(tmp_path / "a.csv", "x\ud800")
    assert (tmp_path / "a.csv").read_bytes() == b"x?"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_that_was_not_finished_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "a.txt"
    write_whole(path, b"old")
    with pytest.raises(error), whole_file(path) as part:  # noqa: PT012
        part.write_bytes(b"ne")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_waits_in_another_folder(tmp_path):
    (tmp_path / "aside").mkdir()
    with whole_file(tmp_path / "a.txt", aside=tmp_path / "aside") as part:
        assert part.parent == tmp_path / "aside"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.txt", "aside"]
    assert not list((tmp_path / "aside").iterdir())


def test_what_cannot_be_written_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "a.txt", b"")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits")
def test_others_may_read_it_as_any_other_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "plain folder").mkdir()
    write_whole(tmp_path / "ours", b"")
    with whole_folder(tmp_path / "our folder"):
        pass
    modes = {name: os.stat(tmp_path / name).st_mode for name in os.listdir(tmp_path)}  # noqa: PTH116, PTH208
    assert modes["ours"] == modes["plain"]
    assert modes["our folder"] == modes["plain folder"]


def test_a_folder_takes_the_place_of_another(tmp_path):
    path = tmp_path / "new" / "page"
    for name in ("one", "two"):
        with whole_folder(path) as part:
            (part / name).touch()
    assert [p.name for p in path.iterdir()] == ["two"]
    with pytest.raises(ValueError, match="half"), whole_folder(path) as part:  # noqa: PT012
        (part / "three").touch()
        raise ValueError("half")
    assert [p.name for p in path.iterdir()] == ["two"]
    assert list(path.parent.iterdir()) == [path]


_KILLED = """
import os, signal, sys
from pathlib import Path
from camcli import files

path = Path(sys.argv[1])
if sys.argv[2] != "filling":
    rename = files.replace

    def replace(old, new):  # the old folder aside, the new one in its place
        if Path(new) == path and sys.argv[2] == "between":
            os.kill(os.getpid(), signal.SIGKILL)
        rename(old, new)
        if Path(new) == path:
            os.kill(os.getpid(), signal.SIGKILL)

    files.replace = replace
with files.whole_folder(path) as part:
    (part / "large").write_bytes(b"x")
    if sys.argv[2] == "filling":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.posix
@pytest.mark.parametrize("when", ["filling", "between", "in place"])
def test_what_a_killed_process_left_beside_a_folder_goes_with_the_next(tmp_path, when):
    path, other = tmp_path / "page", tmp_path / "page 2"
    path.mkdir()
    (path / "old").touch()
    done = subprocess.run([sys.executable, "-c", _KILLED, path, when], check=False)
    assert done.returncode == -signal.SIGKILL
    left = set(tmp_path.iterdir()) - {path}
    assert left
    with whole_folder(other):
        assert left < set(tmp_path.iterdir())  # of another folder
    # One that fails has at least put back what there was.
    with pytest.raises(ValueError, match="no"), whole_folder(path):  # noqa: PT012
        assert not left & set(tmp_path.iterdir())
        raise ValueError("no")
    assert set(tmp_path.iterdir()) == {path, other}
    assert [each.name for each in path.iterdir()] == ["large" if when == "in place" else "old"]


@pytest.mark.posix
def test_what_a_process_that_lives_has_beside_a_folder_stays(tmp_path):
    path = tmp_path / "page"
    with whole_folder(path) as first:
        (first / "one").touch()
        with whole_folder(path) as second:
            (second / "two").touch()
            assert (first / "one").exists()
        assert [each.name for each in path.iterdir()] == ["two"]
    assert [each.name for each in path.iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [path]


# -- what a user's name stands for, opened for reading -------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no such files")
@pytest.mark.posix
def test_only_a_regular_file_is_opened(tmp_path, special_files):
    found = special_files(tmp_path)
    assert len(found) >= 3
    for path in found.values():
        with pytest.raises(SpecialFileError, match=r"it is (a|made up)"):
            open_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "link")
    (tmp_path / "file").write_bytes(b"abc")
    assert read_regular(tmp_path / "link") == b"abc"


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
@pytest.mark.posix
def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    stat = os.stat

    def swapped(name, **how):
        status = stat(name, **how)
        if name == path:
            path.unlink()
            os.mkfifo(path)
        return status

    monkeypatch.setattr(os, "stat", swapped)
    with pytest.raises(SpecialFileError, match="a pipe"):
        open_regular(path)


def test_no_more_is_read_than_wanted(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 5000)
    assert len(read_regular(path, 5000)) == 5000
    with pytest.raises(OSError, match="more than 4,999 bytes"):
        read_regular(path, 4999)


# -- never half of one ---------------------------------------------------------------------------


def test_the_old_file_is_not_written_to(tmp_path):
    """Whoever has it open reads it to its end, and whatever else it is called keeps it."""
    path = tmp_path / "run.json"
    path.write_bytes(b"old" * 1000)
    os.link(path, tmp_path / "kept")
    with path.open("rb") as reader:
        assert reader.read(3) == b"old"
        write_whole(path, b"new")
        assert reader.read() == b"old" * 999
    assert path.read_bytes() == b"new"
    assert (tmp_path / "kept").read_bytes() == b"old" * 1000


@pytest.mark.parametrize("data", [b"new", "new"])
def test_a_disk_that_fills_while_writing_leaves_the_old_file(tmp_path, monkeypatch, data):
    path = tmp_path / "predictions.csv"
    path.write_bytes(b"old")

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, data)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "page"
    with whole_folder(path) as part:
        (part / "index.html").write_text("old")
    rename = os.replace

    def refused(old, new):
        if str(old).endswith(".part"):
            raise OSError(13, "Permission denied")
        return rename(old, new)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="Permission"), whole_folder(path) as part:
        (part / "index.html").write_text("new")
    assert (path / "index.html").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
