"""The engine in several processes: the rows of one, whatever dies; CPUs stand in for GPUs."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.processes import engine as process_engine
from camcli.batch.processes import worker as process_worker
from camcli.batch.processes.engine import ProcessEngine, _Process
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.batch.tables.reading import is_number, read_rows
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UsageError
from camcli.jobs.batch import BatchJob
from camcli.jobs.model import ModelJob
from camcli.models.load import load_classifier
from camcli.models.runtime import openvino
from camcli.models.spec import named_devices

LOAD = partial(load_classifier, "efficientnet_lite0", device="cpu")


def run(bundled, images, out, engine=None, **options):
    return Run(
        find_images(images), bundled, make_explanation(bundled), RunDirectory(out), engine=engine,
        **options,
    )  # fmt: skip


def done(one, **prepare):
    one.prepare(**prepare)
    return list(one)


def same(a, b):
    """But for rounding, which goes by which images share a pass."""
    ours, theirs = (list(read_rows(x / "predictions.csv")) for x in (a, b))
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if is_number(name) and one[name]:
                assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-3, abs=1e-4)
            else:
                assert one[name] == other[name]
    maps = [sorted(m["path"] for m in read_heatmaps(x / "heatmaps.jsonl")) for x in (a, b)]
    assert maps[0] == maps[1]
    drawn = [sorted(p.relative_to(x) for p in x.rglob("*.jpg")) for x in (a, b)]
    assert drawn[0] == drawn[1]


@pytest.fixture
def in_threads(monkeypatch):
    """Processes that are threads of this one, which takes no seconds to start."""
    monkeypatch.setattr(process_worker, "_leave", lambda code: None)
    monkeypatch.setattr(openvino, "_cores", None)
    monkeypatch.setattr(process_worker, "WANTED", 2)
    doing = SimpleNamespace(work=process_worker._work)
    receive = process_worker._Asked._receive

    def until_closed(asked):
        with suppress(TypeError):  # as this end is closed by a thread, not by the process's end
            receive(asked)

    monkeypatch.setattr(process_worker._Asked, "_receive", until_closed)

    @contextmanager
    def started(jobs):
        processes = []
        for number, job in enumerate(jobs, 1):
            here, there = Pipe()

            def work(job=job, there=there):
                with suppress(OSError):  # nobody listens any more
                    doing.work(job, there)
                # A process that ends takes its pipe along, whoever reads from it just then.
                with suppress(OSError), socket.socket(fileno=os.dup(there.fileno())) as pipe:
                    pipe.shutdown(socket.SHUT_RDWR)
                there.close()

            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            process = SimpleNamespace(join=thread.join, exitcode=doing.exitcode, is_alive=bool)
            processes.append(_Process(number, process, here))
        yield processes
        for one in processes:
            one.connection.close()

    doing.exitcode = -signal.SIGKILL
    monkeypatch.setattr(process_engine, "_started", started)
    return doing


def test_the_same_rows_in_the_same_order(bundled, folder, tmp_path, in_threads):
    loaded = []

    def load(name):
        loaded.append(name)
        return bundled

    engine = ProcessEngine((partial(load, "cuda:0"), partial(load, "cuda:1")), "torch")
    several = done(run(bundled, folder, tmp_path / "two", engine))
    done(run(bundled, folder, tmp_path / "one"))
    same(tmp_path / "two", tmp_path / "one")
    assert sorted(loaded) == ["cuda:0", "cuda:1"]
    assert [r.status for r in several].count("error") == 2
    assert '"engine": "processes"' in (tmp_path / "two" / "run.json").read_text()


def test_nothing_is_started_where_nothing_is_left(bundled, folder, tmp_path, in_threads):
    done(run(bundled, folder, tmp_path / "run"))
    engine = ProcessEngine((pytest.fail,), "torch")
    assert done(run(bundled, folder, tmp_path / "run", engine), resume=True) == []


def test_results_that_wait_for_one_that_is_late_have_a_limit(
    bundled, folder, tmp_path, in_threads, monkeypatch
):
    """And whoever is late gets what it asks for, however much, or all would wait for ever."""
    monkeypatch.setattr(process_engine, "_AHEAD", 1)
    gate, real, most = threading.Event(), process_worker.stream, []

    def late(refs, *about, **options):
        results = real(refs, *about, **options)
        for result in results:
            if result.ref.rel == "00/a.jpg":  # the first of all
                gate.wait(20)
            yield result

    monkeypatch.setattr(process_worker, "stream", late)
    given = []
    left = Run._left

    def counted(self):
        for ref in left(self):
            given.append(ref.rel)
            yield ref

    monkeypatch.setattr(Run, "_left", counted)
    many = tmp_path / "many"
    for n in range(40):
        (many / f"{n:02}").mkdir(parents=True)
        os.link(folder / "b" / "frame_0000.jpg", many / f"{n:02}" / "x.jpg")
    os.link(folder / "b" / "frame_0000.jpg", many / "00" / "a.jpg")
    engine = ProcessEngine((lambda: bundled,) * 2, "torch")
    one = run(bundled, many, tmp_path / "run", engine, batch_size=1)
    one.prepare()
    threading.Timer(2.0, lambda: (most.append(len(given)), gate.set())).start()
    assert len(list(one)) == 41
    assert most[0] < 30
    assert len(given) == 41


@pytest.mark.posix
def test_a_process_that_dies_is_told_and_nothing_is_lost(bundled, folder, tmp_path, in_threads):
    def work(job, connection):
        asked = process_worker._Asked(connection)
        next(iter(asked))  # and never an answer

    in_threads.work = work
    engine = ProcessEngine((lambda: bundled,), "torch")
    with pytest.raises(CamcliError, match=r"Process 1 ended.*SIGKILL.*memory.*--resume"):
        done(run(bundled, folder, tmp_path / "run", engine))
    in_threads.exitcode = 3
    with pytest.raises(CamcliError, match=r"exit code 3"):
        done(run(bundled, folder, tmp_path / "run", engine), resume=True)
    in_threads.work = process_worker._work
    done(run(bundled, folder, tmp_path / "run", engine), resume=True)
    done(run(bundled, folder, tmp_path / "one"))
    same(tmp_path / "run", tmp_path / "one")


def test_one_that_ends_before_it_is_told_to(bundled, folder, tmp_path, in_threads):
    in_threads.work = lambda job, connection: None
    with pytest.raises(CamcliError, match="Process 1 ended"):
        done(run(bundled, folder, tmp_path / "run", ProcessEngine((lambda: bundled,), "torch")))


def test_what_a_process_cannot_do_is_told_in_its_words(bundled, folder, tmp_path, in_threads):
    def missing():
        raise CamcliError("cuda:1 is not there.")

    engine = ProcessEngine((missing,), "torch")
    with pytest.raises(CamcliError, match=r"In process 1: cuda:1 is not there\. What was finished"):
        done(run(bundled, folder, tmp_path / "run", engine))

    def full(*_, **__):
        raise CamcliError("The disk is full.")
        yield

    def broken(job, connection):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(process_worker, "stream", full)
            process_worker._work(job, connection)

    in_threads.work = broken
    engine = ProcessEngine((lambda: bundled,), "torch")
    with pytest.raises(CamcliError, match="The disk is full"):
        done(run(bundled, folder, tmp_path / "run", engine), resume=True)


def test_a_wish_to_stop_is_heard(bundled, folder, tmp_path, in_threads):
    one = run(bundled, folder, tmp_path / "run", ProcessEngine((lambda: bundled,) * 2, "torch"))
    one.prepare()
    one.stop.set()
    assert list(one) == []
    assert '"interrupted"' in (tmp_path / "run" / "run.json").read_text()
    done(run(bundled, folder, tmp_path / "run"), resume=True)
    done(run(bundled, folder, tmp_path / "one"))
    same(tmp_path / "run", tmp_path / "one")


def test_cores_and_threads_are_shared_out(bundled, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(process_engine, "available_cores", lambda: 7)
    one = run(bundled, folder, tmp_path / "run", workers=8)
    jobs = ProcessEngine((LOAD,) * 3)._jobs(one, one.what, tmp_path / "token")
    assert [job.cores for job in jobs] == [3, 2, 2]
    assert [job.workers for job in jobs] == [2, 2, 2]
    (alone,) = ProcessEngine((LOAD,), "auto")._jobs(one, one.what, tmp_path / "token")
    assert (alone.cores, alone.workers, alone.runtime) == (7, 8, "torch")


def test_names_of_pictures_are_left_alone(bundled, folder, tmp_path):
    engine = ProcessEngine((LOAD,))
    with pytest.raises(UsageError, match="--processes, leave --name-template out"):
        run(bundled, folder, tmp_path / "run", engine, name_template="{stem}")


def test_devices_as_one_writes_them():
    assert named_devices("cuda:0,1") == named_devices("cuda:0,cuda:1") == ["cuda:0", "cuda:1"]
    assert named_devices("cuda:3,1,2") == ["cuda:3", "cuda:1", "cuda:2"]
    assert named_devices("cuda") == ["cuda"]
    assert named_devices("cpu") == ["cpu"]
    for wrong in ("cuda:0,", "cuda,1", "cpu,cuda", "cuda:0 1", "cuda:0,x"):
        with pytest.raises(UsageError, match="Unknown device"):
            named_devices(wrong)
    with pytest.raises(UsageError, match="twice"):
        named_devices("cuda:1,1")


def test_every_device_gets_a_process_before_one_gets_two():
    several = BatchJob((), processes=2, devices="cuda:0,1")
    assert several._several == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert BatchJob((), ModelJob(device="cpu"), processes=2)._several == ["cpu", "cpu"]
    assert BatchJob((), devices="cuda:3")._several == BatchJob(())._several == []
    engine = several._engine()
    assert [load.__self__.device for load in engine.loads] == several._several


def test_what_several_processes_cannot_do(bundled, tmp_path):
    for options, told in (
        ({"engine": "ray"}, "starts its own workers"),
        ({"precision": "int8"}, "would differ between several"),
        ({"network": bundled}, "each loads the network"),
        ({"out": None}, "processes is for runs that are written"),
        ({"processes": 0}, "takes 1 to"),
    ):
        job = BatchJob((), **{"processes": 2, "out": tmp_path / "run", **options})
        with pytest.raises(UsageError, match=told):
            job.check()


def command(folder, out, *more):
    return [
        sys.executable, "-m", "camcli", "batch", str(folder), "--out", str(out), "--device", "cpu",
        "--runtime", "torch", "--fail-on", "none", *more,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.posix
def test_real_processes_and_one_of_them_killed(bundled, folder, tmp_path):
    made = subprocess.run(
        command(folder, tmp_path / "two", "--processes", "2", "--quiet"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "leaked" not in made.stderr
    done(run(bundled, folder, tmp_path / "one"))
    same(tmp_path / "two", tmp_path / "one")

    many = tmp_path / "many"
    for n in range(400):
        (many / str(n)).mkdir(parents=True)
        os.link(folder / "b" / "frame_0000.jpg", many / str(n) / "x.jpg")
    one = run(bundled, many, tmp_path / "killed", ProcessEngine((LOAD, LOAD), "torch"))
    one.prepare()
    results = iter(one)
    next(results)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(CamcliError, match=r"ended in the middle of its work.*SIGKILL.*--resume"):
        list(results)
    assert not multiprocessing.active_children()
    before = one.counts.done
    assert 1 <= before < 400
    rest = done(run(bundled, many, tmp_path / "killed"), resume=True)
    assert len(rest) == 400 - before


KILLED = """
import os, signal, sys
from multiprocessing import get_context
from camcli.batch.processes import worker

def dies(job, connection):
    from tqdm import tqdm  # as torch does where it follows a network
    tqdm([1], file=open(os.devnull, "w"))
    os.kill(os.getpid(), signal.SIGKILL)

def begin(ours):
    worker._work = dies
    (worker.work if ours else dies)(None, None)

if __name__ == "__main__":
    one = get_context("spawn").Process(target=begin, args=(sys.argv[1] == "ours",))
    one.start()
    one.join()
    sys.exit(one.exitcode != -signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("whose", ["ours", "another's"])
def test_one_that_is_killed_leaves_no_semaphore(tmp_path, whose):
    """Of which Python would warn at the end of the run: torch draws bars, whose lock was one."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    ended = subprocess.run(
        [sys.executable, script, whose], capture_output=True, text=True, check=True
    )
    assert ("leaked semaphore" in ended.stderr) == (whose != "ours")
