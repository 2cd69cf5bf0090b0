"""Killed fifty times, at random moments: nothing lost, nothing twice, no half picture."""

import faulthandler
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.journal import read_rows
from camcli.data.sources.find import find_images
from camcli.models.load import load_classifier

IMAGES, KILLS = 400, 50


@pytest.fixture
def many(tmp_path):
    """Small pictures; every fiftieth cannot be read."""
    draw = np.random.default_rng(3)
    (tmp_path / "in").mkdir()
    for n in range(IMAGES):
        path = tmp_path / "in" / f"{n:04}.jpg"
        if n % 50 == 7:
            path.write_bytes(b"no picture")
        else:
            Image.fromarray(draw.integers(0, 255, (48, 64, 3), np.uint8)).save(path)
    return tmp_path / "in"


def child(bundled, images, out):
    """One life of a run, in a process of its own that already has the network."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        faulthandler.dump_traceback_later(200, exit=True)  # where it hangs, if it does
        run = Run(
            find_images(images), bundled, make_explanation(bundled), RunDirectory(out),
            batch_size=4, workers=2,
        )  # fmt: skip
        run.prepare(resume=True)
        for _ in run:
            pass
        code = 0
    finally:
        os._exit(code)


def wait(pid, seconds):
    """The exit status, or None if the process still lives after so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    return None


def lives(images, folder):
    """Fifty killed lives of runs in a folder; prints the status of each run that came to its end.

    In a process of its own, which has no thread but this one: a child that is forked beside
    other threads may wait for ever for what one of them held.
    """
    torch.set_num_threads(1)  # a forked OpenMP pool has no threads
    bundled = load_classifier()
    when, kills, ended = random.Random(4), 0, 0
    while kills < KILLS:
        pid = child(bundled, images, folder / f"run{ended}")
        # From before the first write to the middle of a batch; longer now and then, to get on.
        status = wait(pid, when.choice([0.005, 0.02, 0.05, 0.1, 0.2]) * when.uniform(0.2, 1.8))
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills += 1
        else:
            print(status, flush=True)
            ended += 1
    print(wait(child(bundled, images, folder / f"run{ended}"), 250), flush=True)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks a process")
@pytest.mark.posix
def test_fifty_kills(many, tmp_path):
    """A run that comes to its end between two kills is looked at, and another one begun."""
    done = subprocess.run(
        [sys.executable, __file__, many, tmp_path], stdout=subprocess.PIPE, text=True, timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0
    ends = done.stdout.split()
    assert ends
    for number, status in enumerate(ends):
        check(tmp_path / f"run{number}", status)


def check(out, status):
    """Every row once and in order, and exactly the pictures that they name, all of them whole."""
    assert status == "0"
    rows = list(read_rows(out / "predictions.csv"))
    assert [row["path"] for row in rows] == [f"{n:04}.jpg" for n in range(IMAGES)]
    assert sum(row["status"] == "error" for row in rows) == IMAGES // 50
    pictures = {p.relative_to(out).as_posix() for p in (out / "overlays").rglob("*.*")}
    assert pictures == {row["overlay"] for row in rows if row["overlay"]}
    for name in pictures:
        with Image.open(out / name) as picture:
            picture.load()  # a half JPEG would raise
    assert not (out / ".tmp").exists()


if __name__ == "__main__":
    lives(Path(sys.argv[1]), Path(sys.argv[2]))
