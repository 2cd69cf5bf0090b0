"""Runs as they are on Windows, on a stand-in for its locks and its ways with open files."""
# ruff: noqa: PTH112, PTH113, PTH116, PTH208

from __future__ import annotations

import os
import sys

import pytest

from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.journal import Journal
from camcli.batch.tables.rows import columns
from camcli.errors import UsageError


@pytest.fixture
def no_open_file_is_replaced(monkeypatch, windows):
    """`os.replace` fails where this process has one of the two open, as there."""
    real = os.replace

    def open_here(path):
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return False
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.path.samestat(os.fstat(int(name)), status):
                    return True
            except OSError:
                continue
        return False

    def replace(old, new):
        if os.path.isfile(old) and (open_here(old) or open_here(new)):
            raise PermissionError(13, "The process cannot access the file", str(old))
        real(old, new)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("nothing tells here which files are open")
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr("camcli.files._TRIES", ())
    return windows


def test_two_runs_never_write_into_one_folder(windows, tmp_path):
    one, two = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    one.prepare({}, resume=False, overwrite=False)
    one.write_info({"camcli": "", "state": "running", "config": {}, "counts": {},
                    "provenance": {}, "kind": "batch"})  # fmt: skip
    with pytest.raises(UsageError, match="Another camcli is writing"):
        two.prepare({}, resume=True, overwrite=False)
    windows.error = 0
    one.finish()
    windows.held.clear()  # as Windows does when a file is closed
    two.prepare({}, resume=True, overwrite=False)
    two.finish()


def test_a_table_is_replaced_and_still_held(no_open_file_is_replaced, tmp_path):
    windows = no_open_file_is_replaced
    run = RunDirectory(tmp_path / "run")
    run.prepare({}, resume=False, overwrite=False)
    with Journal(run.csv, columns(5)):
        pass
    before = run.csv.read_bytes()
    close = run._held[0].close

    def closing():  # Windows lets go of what a closed file held
        windows.held.clear()
        close()

    run._held[0] = type("File", (), {"close": staticmethod(closing)})()
    run.replace_table(lambda part: part.write_bytes(before + b"x"))
    assert run.csv.read_bytes() == before + b"x"
    assert len(run._held) == 1
    assert windows.held
    run.finish()


def test_whole_files_are_closed_before_they_are_put_in_place(no_open_file_is_replaced, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.prepare({}, resume=False, overwrite=False)
    run.write_info({"state": "running"})
    run.write_info({"state": "finished"})
    run.write_overlay(run.overlays / "a" / "x.jpg", b"one")
    run.write_overlay(run.overlays / "a" / "x.jpg", b"two")
    assert (run.overlays / "a" / "x.jpg").read_bytes() == b"two"
    run.finish()
    assert sys.platform == "win32"
