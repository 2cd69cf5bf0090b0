"""Locks: those of this system, and those of Windows, of which a stand-in tells what was asked."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from camcli import files, locks

posix = pytest.mark.skipif(sys.platform == "win32", reason="advisory locks")


def test_on_windows_the_second_is_told(windows, tmp_path):
    path = tmp_path / "table.csv"
    with path.open("ab") as one, path.open("ab") as two:
        assert locks.lock(one, wait=False)
        assert not locks.lock(two, wait=False)
        windows.error = 0
        locks.unlock(one)
        assert locks.lock(two, wait=False)
    # A single byte, where no file has any: rows can be read and appended meanwhile.
    assert {call[1:] for call in windows.calls} == {(1, 0, 1 << 62)}
    assert {call[0] for call in windows.calls} == {3}


def test_on_windows_who_waits_does_not_ask_to_fail(windows, tmp_path):
    with (tmp_path / "x").open("ab") as file:
        with locks.locked(file):
            assert windows.held
        assert not windows.held
    assert [call[0] for call in windows.calls] == [2]


def test_on_windows_a_disk_without_locks_is_an_error(windows, tmp_path):
    windows.error = 50  # ERROR_NOT_SUPPORTED
    with (tmp_path / "x").open("ab") as file, pytest.raises(OSError) as told:  # noqa: PT011
        locks.lock(file, wait=False)
    assert told.value.errno == errno.ENOLCK


def test_a_python_without_fcntl_says_that_there_are_no_locks(monkeypatch, tmp_path):
    if sys.platform == "win32":
        pytest.skip("there it is not needed")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with (tmp_path / "x").open("ab") as file:
        with pytest.raises(OSError) as told:  # noqa: PT011
            locks.lock(file)
        assert told.value.errno == errno.ENOLCK
        locks.unlock(file)


def test_this_system_s_locks_hold_against_another_process(tmp_path):
    path = tmp_path / "x"
    code = (
        "import sys; from camcli.locks import lock\n"
        "with open(sys.argv[1], 'ab') as file: print(lock(file, wait=False))"
    )
    ask = [sys.executable, "-c", code, str(path)]
    with path.open("ab") as file:
        assert locks.lock(file)
        assert subprocess.run(ask, capture_output=True, check=True).stdout.strip() == b"False"
    assert subprocess.run(ask, capture_output=True, check=True).stdout.strip() == b"True"


@posix
def test_a_file_that_was_replaced_is_not_the_open_one(tmp_path):
    path, other = tmp_path / "x", tmp_path / "y"
    with path.open("ab") as file:
        assert locks.is_still(file, path)
        other.touch()
        other.replace(path)
        assert not locks.is_still(file, path)
        path.unlink()
        assert not locks.is_still(file, path)


class Held:
    """`os.replace` on Windows while a virus scanner has the file open."""

    def __init__(self, times):
        self.times = times
        self.slept = []

    def replace(self, old, new):
        self.times -= 1
        if self.times >= 0:
            raise PermissionError(13, "Access is denied", str(old))
        self.done = old, new


@pytest.mark.parametrize(("times", "platform", "works"), [
    (0, "win32", True), (3, "win32", True), (6, "win32", True), (7, "win32", False),
    (1, "linux", False), (0, "darwin", True),
])  # fmt: skip
def test_a_file_that_is_open_for_a_moment_is_waited_for(monkeypatch, times, platform, works):
    held = Held(times)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(files.os, "replace", held.replace)
    monkeypatch.setattr(files.time, "sleep", held.slept.append)
    if works:
        files.replace("a", "b")
        assert held.done == ("a", "b")
        assert len(held.slept) == times
    else:
        with pytest.raises(PermissionError):
            files.replace("a", "b")
        assert sum(held.slept) <= 3


def test_one_at_a_time_has_a_lock_until_it_closes(tmp_path):
    with (tmp_path / "x").open("ab") as first, (tmp_path / "x").open("ab") as second:
        assert locks.lock(first)
        assert not locks.lock(second, wait=False)
        first.close()
        assert locks.lock(second, wait=False)
    with (tmp_path / "x").open("ab") as first, (tmp_path / "x").open("ab") as second:
        with locks.locked(first):
            assert not locks.lock(second, wait=False)
        assert locks.lock(second, wait=False)
