"""What goes wrong around a run while it goes on: nothing lost, nothing twice."""

import gc
import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.batch import run as run_module
from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files import rundir
from camcli.batch.run_files.ownership import inside_of
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.batch.tables.journal import read_rows
from camcli.data.decode import isolate
from camcli.data.decode.images import load_picture
from camcli.data.decode.isolate import Isolated
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UsageError
from camcli.render.style import Style

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
EVIL = """
import os, signal
from camcli.data.decode import isolate
from camcli.data.decode.images import decode_picture

def decode(data, name, enough):
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while data == b"loops":
        pass
    return decode_picture(data, name, enough)

def serve(seconds, clock, memory):
    isolate.serve(seconds, clock, memory, decode)
"""


def make(bundled, folder, out, workers=2, **kw):
    return Run(
        find_images(folder), bundled, make_explanation(bundled), RunDirectory(out),
        batch_size=4, workers=workers, **kw,
    )  # fmt: skip


def finish(run, **kw):
    run.prepare(**kw)
    return list(run)


def rows(out):
    return list(read_rows(out / "predictions.csv"))


def pictures(out):
    return {p.relative_to(out).as_posix() for p in (out / "overlays").rglob("*.*")}


def check(out, expected):
    """The rows of an undisturbed run, and exactly their pictures, all of them whole."""
    found = rows(out)
    assert [said(row) for row in found] == [said(row) for row in expected]
    assert pictures(out) == {row["overlay"] for row in found if row["overlay"]}
    for name in pictures(out):
        with Image.open(out / name) as picture:
            picture.load()
    assert not (out / ".tmp").exists()


def said(row):
    """All but the last digits, which depend on who shared a batch."""
    return [row[key] for key in ("path", "pred", "target", "overlay", "width", "status", "error")]


@pytest.fixture
def many(tmp_path):
    """Thirty small pictures, three of which cannot be read."""
    draw = np.random.default_rng(3)
    (tmp_path / "in").mkdir()
    for n in range(30):
        path = tmp_path / "in" / f"{n:02}.png"
        if n % 10 == 7:
            path.write_bytes(b"no picture")
        else:
            Image.fromarray(draw.integers(0, 255, (48, 64, 3), np.uint8)).save(path)
    return tmp_path / "in"


@pytest.fixture
def expected(bundled, many, tmp_path):
    finish(make(bundled, many, tmp_path / "undisturbed"))
    return rows(tmp_path / "undisturbed")


@posix
def test_files_that_crash_or_hang_a_decoder_cost_a_row_each(
    bundled, many, expected, tmp_path, monkeypatch
):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "evil_for_runs.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path / "code")
    evil = partial(Isolated, serve="evil_for_runs:serve", seconds=1)
    monkeypatch.setattr(run_module, "Isolated", evil)
    (many / "04.png").write_bytes(b"crash")
    (many / "22.png").write_bytes(b"loops")
    results = finish(make(bundled, many, tmp_path / "run", isolate=True))
    errors = {r.ref.rel: r.error for r in results if r.status == "error"}
    assert set(errors) == {"04.png", "07.png", "17.png", "22.png", "27.png"}
    assert "failed on it twice (SIGSEGV)" in errors["04.png"]
    assert "more than 1 seconds" in errors["22.png"]
    found = rows(tmp_path / "run")
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert said(row) == said(other) or row["path"] in {"04.png", "22.png"}


@posix
def test_decoding_processes_killed_at_random_lose_nothing(
    bundled, many, expected, tmp_path, monkeypatch
):
    made, victims, start = [], set(), isolate._Process

    class Doomed(start):
        """Killed when it is about to read its fifth picture, though never twice for one."""

        def __init__(self, command):
            super().__init__(command)
            made.append(self._process)
            self.asked = 0

        def decode(self, name, *args):
            self.asked += 1
            if self.asked >= 5 and name not in victims:
                victims.add(name)
                self._process.send_signal(signal.SIGKILL)
            return super().decode(name, *args)

    monkeypatch.setattr(isolate, "_Process", Doomed)
    finish(make(bundled, many, tmp_path / "run", isolate=True))
    check(tmp_path / "run", expected)
    assert len(victims) >= 3
    assert all(process.poll() is not None for process in made)


def meanwhile(monkeypatch, count, happens):
    """Let something happen when `count` images were taken from the source, which is listed."""
    left = Run._left

    def disturbed(self):
        for n, ref in enumerate(left(self)):
            if n == count:
                happens()
            yield ref

    monkeypatch.setattr(Run, "_left", disturbed)


@posix  # where a file that is being read can be removed
def test_inputs_removed_and_replaced_under_the_run(bundled, many, tmp_path, monkeypatch):
    def happens():
        (many / "20.png").write_bytes(b"something else")
        (many / "29.png").unlink()

    meanwhile(monkeypatch, 10, happens)
    results = finish(make(bundled, many, tmp_path / "run"))
    names = [r.ref.rel for r in results]
    assert names == [f"{n:02}.png" for n in range(30)]
    errors = {r.ref.rel: r.error for r in results if r.status == "error"}
    assert set(errors) == {"07.png", "17.png", "20.png", "27.png", "29.png"}
    assert "no such file" in errors["29.png"]
    assert "not a picture" in errors["20.png"]
    assert [row["path"] for row in rows(tmp_path / "run")] == names
    assert pictures(tmp_path / "run") == {r.overlay for r in results if r.overlay}


@posix
def test_the_input_folder_removed_under_the_run(bundled, many, tmp_path, monkeypatch):
    meanwhile(monkeypatch, 10, lambda: shutil.rmtree(many))
    results = finish(make(bundled, many, tmp_path / "run"))
    assert [r.ref.rel for r in results] == [f"{n:02}.png" for n in range(30)]
    assert all("no such file" in r.error for r in results[10:])
    assert len(rows(tmp_path / "run")) == 30


@posix
@pytest.mark.parametrize("vanishes", ["run", "overlays", ".tmp"])
def test_output_removed_under_the_run_then_resumed(bundled, many, expected, tmp_path, vanishes):
    out = tmp_path / "run"
    run = make(bundled, many, out)
    run.prepare()
    results = iter(run)
    for _ in range(6):
        next(results)
    victim = out if vanishes == "run" else out / vanishes
    victim.rename(tmp_path / "gone")  # in one step: workers still write
    if vanishes == "run":
        with pytest.raises(CamcliError, match=r"Cannot write"):
            list(results)
        shutil.rmtree(out, ignore_errors=True)
        (tmp_path / "gone").rename(out)
        finish(make(bundled, many, out), resume=True)
    else:
        list(results)
        for path in (tmp_path / "gone").glob("*.jpg"):
            path.rename(out / "overlays" / path.name)
    check(out, expected)


@posix
def test_a_second_folder_of_the_runs_name_gets_no_rows(
    bundled, many, expected, tmp_path, monkeypatch
):
    """Renamed and made anew between the steps of one picture, which then is nowhere of use."""
    out, write, disturbances = tmp_path / "run", rundir.write_whole, [1]

    def disturbed(path, data, aside):
        if path.name == "08.png.jpg" and disturbances:
            disturbances.clear()
            out.rename(tmp_path / "gone")
            aside.mkdir(parents=True)
            path.parent.mkdir()
        write(path, data, aside)

    monkeypatch.setattr(rundir, "write_whole", disturbed)
    with pytest.raises(CamcliError, match=r"Cannot write .*08\.png\.jpg: .*renamed meanwhile"):
        finish(make(bundled, many, out, workers=1))
    assert [row["path"] for row in rows(tmp_path / "gone")] == [f"{n:02}.png" for n in range(8)]
    shutil.rmtree(out)
    (tmp_path / "gone").rename(out)
    finish(make(bundled, many, out), resume=True)
    check(out, expected)


def test_full_disk_for_a_picture_then_resumed(bundled, many, expected, tmp_path, monkeypatch):
    """No row without its picture: the row waits for the rename."""
    out = tmp_path / "run"
    full, write = [], RunDirectory.write

    def fails(self, path, data):
        if path.name == "12.png.jpg" and not full:
            full.append(path)
            raise CamcliError(f"Cannot write {path}: No space left on device.")
        write(self, path, data)

    monkeypatch.setattr(RunDirectory, "write", fails)
    with pytest.raises(CamcliError, match="No space left"):
        finish(make(bundled, many, out))
    assert [row["path"] for row in rows(out)] == [f"{n:02}.png" for n in range(len(rows(out)))]
    assert len(rows(out)) <= 12
    finish(make(bundled, many, out), resume=True)
    check(out, expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on files as Linux has it")
@pytest.mark.parametrize("overlays", [True, False])
def test_full_disk_in_the_middle_of_a_line_then_resumed(bundled, many, tmp_path, overlays):
    """A limit on the size of files, as the kernel enforces it: a part of the line is written."""
    import resource

    small = Style(min_size=0)  # or the limit would be one on pictures
    finish(make(bundled, many, tmp_path / "whole", overlays=overlays, style=small))
    expected = rows(tmp_path / "whole")
    grows = tmp_path / "whole" / ("heatmaps.jsonl" if overlays else "predictions.csv")
    lines = grows.read_bytes().splitlines(keepends=True)
    room = len(b"".join(lines[:20])) + len(lines[20]) // 2
    out = tmp_path / "run"
    run = make(bundled, many, out, overlays=overlays, style=small)
    run.prepare()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(CamcliError, match="File too large") as error:
            list(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert grows.name in str(error.value)
    assert (out / grows.name).stat().st_size == room
    finish(make(bundled, many, out, overlays=overlays, style=small), resume=True)
    check(out, expected)
    if overlays:
        assert len({record["path"] for record in read_heatmaps(out / "heatmaps.jsonl")}) == 27


def test_a_worker_thread_that_dies_ends_the_run_and_a_resume_makes_it_whole(
    bundled, many, expected, tmp_path, monkeypatch
):
    """Not an image's error, which would be a row."""
    out = tmp_path / "run"

    class Dies(BaseException):
        pass

    def dies(ref, enough):
        if ref.rel == "21.png":
            raise Dies
        return load_picture(ref, enough)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "load_picture", dies)
        with pytest.raises(Dies):
            finish(make(bundled, many, out))
    kept = rows(out)
    assert [said(row) for row in kept] == [said(row) for row in expected[: len(kept)]]
    assert len(kept) < 21
    finish(make(bundled, many, out), resume=True)
    check(out, expected)


@pytest.mark.slow
@posix
def test_two_runs_into_one_folder_are_refused(bundled, many, expected, tmp_path):
    """Also after the first is begun anew, and not once it is over or was killed."""
    out = tmp_path / "run"
    finish(make(bundled, many, out))
    for options in ({"overwrite": True}, {"resume": True}):
        first = make(bundled, many, out)
        first.prepare(**options)
        results = iter(first)
        for other in ({"overwrite": True}, {"resume": True}):
            with pytest.raises(UsageError, match=r"Another camcli is writing to .*run "):
                make(bundled, many, out).prepare(**other)
        list(results)
        check(out, expected)
    first = make(bundled, many, out)
    first.prepare(overwrite=True)
    next(iter(first))
    del first  # as its death would, this closes its files
    gc.collect()
    finish(make(bundled, many, out), resume=True)
    check(out, expected)


def test_two_runs_that_are_begun_together(bundled, many, expected, tmp_path, monkeypatch):
    """Both find nothing in the folder."""
    out, others = tmp_path / "run", []
    hold = RunDirectory._hold

    def interfered(self):
        if not others:
            others.append(make(bundled, many, out))
            others[0].prepare()
        hold(self)

    monkeypatch.setattr(RunDirectory, "_hold", interfered)
    with pytest.raises(UsageError, match=r"Another camcli|not empty"):
        make(bundled, many, out).prepare()
    list(others[0])
    check(out, expected)


def test_rows_whose_description_is_gone_or_torn(bundled, many, expected, tmp_path):
    """Nobody knows which model made them."""
    out = tmp_path / "run"
    finish(make(bundled, many, out))
    (out / "run.json").write_text('{"half')
    with pytest.raises(CamcliError, match=r"run\.json.*--overwrite"):
        make(bundled, many, out).prepare(resume=True)
    (out / "run.json").unlink()
    with pytest.raises(UsageError, match=r"run\.json.*is gone.*--overwrite"):
        make(bundled, many, out).prepare(resume=True)
    finish(make(bundled, many, out), overwrite=True)
    check(out, expected)


def test_a_clock_that_jumps_changes_nothing(bundled, many, expected, tmp_path, monkeypatch):
    """Back by years and on again at every look at it, between two lives of a run."""
    jumps, real = random.Random(5), time.time
    monkeypatch.setattr(time, "time", lambda: real() + jumps.uniform(-3e8, 3e8))
    monkeypatch.setattr(time, "strftime", lambda *a: "1970-01-01T00:00:00+0000")
    out = tmp_path / "run"
    run = make(bundled, many, out)
    run.prepare()
    results = iter(run)
    for _ in range(9):
        next(results)
    results.close()
    for path in out.rglob("*"):
        os.utime(path, (0, 0) if jumps.random() < 0.5 else (4e9, 4e9))
    rest = make(bundled, many, out)
    finish(rest, resume=True)
    check(out, expected)
    assert rest.directory.read_info()["seconds"] >= 0


def test_no_duration_and_no_name_comes_from_the_wall_clock():
    """It may be set back; `time.perf_counter` and random names cannot."""
    package = Path(run_module.__file__).parents[1]
    users = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(word in path.read_text("utf-8") for word in ("time.time(", "datetime.now("))
    ]
    allowed = [
        "cli/commands/cache.py",  # what is compared with the times of files
        "data/datasets/fetch.py",  # when a data set was fetched, for people to read
        "evaluate/check/looking.py",
        "train/feature_pass/shelf.py",
        "train/run.py",
    ]
    assert sorted(users) == allowed, "use time.perf_counter for durations"


def test_a_tree_deeper_than_the_stack(tmp_path):
    # Not made: what cleans up after the tests would not get down there.
    is_inside = inside_of(tmp_path)
    assert is_inside(f"{tmp_path}/" + "d/" * 1500)
    assert not is_inside(f"{tmp_path.parent}/" + "d/" * 1500)
