"""Ray on this machine: the rows of the local engine, whatever dies."""

import csv
import io
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.batch.explain import make_explanation
from camcli.batch.ray import engine as ray_engine
from camcli.batch.ray.engine import RayEngine
from camcli.batch.ray.installed import check_ray
from camcli.batch.ray.worker import TRIES, Worker, WorkerTask
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.load import load_classifier
from camcli.models.outputs import Output
from camcli.models.runtime import openvino
from camcli.render.style import Style
from camcli.result import Result

LOAD = partial(load_classifier, "efficientnet_lite0", device="cpu")


@pytest.fixture(scope="module")
def cluster():
    """Ray on two cores of this machine, as `RayEngine` starts it, for all tests of this file."""
    ray = pytest.importorskip("ray", reason="Ray comes with camcli[ray]")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(include_dashboard=False, log_to_driver=False)
        ray.shutdown()
        signal.signal(signal.SIGTERM, handler)  # Ray has put its own there
    except Exception as error:  # sockets, shared memory, a limit on processes
        pytest.skip(f"Ray itself does not start on this machine: {error}")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL", "RAY_worker_niceness"):
            patch.setenv(name, os.environ.get(name, ""))  # put back at the end
            patch.delenv(name)
        patch.delenv("RAY_ADDRESS", raising=False)
        with tempfile.TemporaryDirectory(dir="/tmp", prefix="cr-") as base:  # sockets: short paths
            patch.setenv("RAY_TMPDIR", base)
            with ray_engine._cluster(None) as cluster:
                assert signal.getsignal(signal.SIGTERM) is handler
                assert list(Path(base).glob("camcli-ray-*/session_*"))
                yield cluster
            assert not list(Path(base).iterdir())
    assert not ray.is_initialized()


def run(bundled, images, out, *, engine=None, take=None, **prepare):
    one = Run(
        find_images(images), bundled, make_explanation(bundled), RunDirectory(out), engine=engine
    )
    one.prepare(**prepare)
    stream = iter(one)
    results = list(stream) if take is None else [next(stream) for _ in range(take)]
    stream.close()
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return results, list(csv.DictReader(file))


def assert_same(out, rows, local, expected):
    """The same rows, but for the rounding of other batch sizes; the same pictures and maps."""
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    for a, b in zip(rows, expected, strict=True):
        assert list(a) == list(b)
        for key, value in b.items():
            try:
                assert float(a[key]) == pytest.approx(float(value), rel=1e-3, abs=1e-3), key
            except ValueError:
                assert a[key] == value
    pictures = [
        sorted(p.relative_to(d).as_posix() for p in (d / "overlays").rglob("*"))
        for d in (out, local)
    ]
    assert pictures[0] == pictures[1]
    for row in rows:
        if row["overlay"]:
            with Image.open(out / row["overlay"]) as picture:
                picture.load()  # a half JPEG would raise
    maps = [{m["path"]: m for m in read_heatmaps(d / "heatmaps.jsonl")} for d in (out, local)]
    assert maps[0].keys() == maps[1].keys()
    for path, record in maps[1].items():
        ours, theirs = (m["maps"][0]["values"] for m in (maps[0][path], record))
        assert np.allclose(ours, theirs, atol=2e-3 * np.abs(theirs).max())
    assert not (out / ".tmp").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
@pytest.mark.posix
def test_same_rows_as_local_though_workers_are_killed_and_the_run_stopped(
    cluster, bundled, tmp_path, capfd
):
    fsspec = pytest.importorskip("fsspec", reason="remote paths need fsspec")
    bucket, contents = f"/{tmp_path.name}", {}
    draw = np.random.default_rng(0)
    for n in range(40):
        file = io.BytesIO()
        blocks = draw.integers(0, 255, (6, 8, 3), np.uint8)
        Image.fromarray(blocks).resize((800, 600), Image.Resampling.NEAREST).save(file, "JPEG")
        data = file.getvalue()
        contents[f"{bucket}/{'ab'[n % 2]}/{n:02}.jpg"] = data[:5000] if n in (1, 18) else data

    def load():
        """In a worker, whose memory is its own."""
        fsspec.filesystem("memory").pipe(contents)
        return LOAD()

    local, out, killed, over = tmp_path / "local", tmp_path / "ray", [], threading.Event()

    def kill():
        """Every worker, as soon as one of them has drawn something."""
        before = set((out / "overlays").rglob("*.jpg"))
        while set((out / "overlays").rglob("*.jpg")) <= before:
            if over.wait(0.01):
                return
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    url, system = f"memory:/{bucket}", fsspec.filesystem("memory")
    system.pipe(contents)
    killer = threading.Thread(target=kill)
    try:
        _, expected = run(bundled, url, local)
        # Begun here, continued on Ray, finished here.
        run(bundled, url, out, take=3)
        killer.start()
        engine = RayEngine(load, runtime="torch")
        results, rows = run(bundled, url, out, engine=engine, take=30, resume=True)
        assert killed
        assert [result.ref.rel for result in results] == [row["path"] for row in expected[3:33]]
        assert len(rows) == 33
        _, rows = run(bundled, url, out, resume=True)
    finally:
        over.set()
        if killer.ident:
            killer.join()
        system.rm(bucket, recursive=True)
    assert [row["path"] for row in rows if row["status"] == "error"] == ["a/18.jpg", "b/01.jpg"]
    assert_same(out, rows, local, expected)
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
@pytest.mark.posix
def test_a_killed_driver_loses_nothing(cluster, bundled, tmp_path):
    """Kill -9 of the process that writes the table; its workers belong to the cluster."""
    images, local, out = tmp_path / "in", tmp_path / "local", tmp_path / "run"
    images.mkdir()
    draw = np.random.default_rng(1)
    for n in range(100):
        blocks = Image.fromarray(draw.integers(0, 255, (6, 8, 3), np.uint8))
        blocks.resize((400, 300)).save(images / f"{n:02}.jpg")
    (images / "30.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "camcli", "batch", str(images), "--out", str(out), "--engine"]
    command += ["ray", "--address", cluster.get_runtime_context().gcs_address]
    driver = subprocess.Popen(
        [*command, "--runtime", "torch", "--device", "cpu"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    table = out / "predictions.csv"
    deadline = time.monotonic() + 300
    while driver.poll() is None and time.monotonic() < deadline:
        if table.exists() and table.read_bytes().count(b"\n") > 3:
            break
        time.sleep(0.01)
    driver.kill()
    told = driver.communicate()[1].decode()
    assert driver.returncode == -signal.SIGKILL, told
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not workers()
    _, expected = run(bundled, images, local)
    engine = RayEngine(LOAD, runtime="torch")
    results, rows = run(bundled, images, out, engine=engine, resume=True)
    assert 0 < len(results) < 100
    assert [row["path"] for row in rows if row["status"] == "error"] == ["30.jpg"]
    assert_same(out, rows, local, expected)


def workers():
    """Processes below this one that are Ray workers with a network, by id."""
    found, parents = [], {}
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes()
            parents[int(process.name)] = int(
                (process / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if words.startswith(b"ray::MapWorker"):
                found.append(int(process.name))
        except (OSError, ValueError):
            continue

    def ours(pid):
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        return pid == os.getpid()

    return [pid for pid in found if ours(pid)]


# -- without Ray -------------------------------------------------------------------------------


@pytest.fixture
def job(bundled, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino, "_cores", None)  # undone at the end
    directory = RunDirectory(tmp_path / "run")
    directory.prepare({}, resume=False, overwrite=False)
    directory.write_info({})
    token = directory.temporary / "token"
    token.touch()

    def make(**changes):
        values = {
            "load": lambda: bundled, "sha256": bundled.provenance.sha256, "runtime": "torch",
            "precision": "float32", "what": make_explanation(bundled), "directory": directory,
            "token": token, "images": folder, "style": Style(), "only": None,
            "enough": None, "isolate": False, "batch_size": None, "workers": None, "cores": 1,
        }  # fmt: skip
        return WorkerTask(**(values | changes))

    return make


def block(folder):
    refs = list(find_images(folder))
    return {"number": np.arange(len(refs)), "ref": [pickle.dumps(ref) for ref in refs]}


def test_a_worker_takes_the_outputs_for_what_the_run_found_them_to_be(job, folder):
    worker = Worker(job(output=Output("sigmoid", thresholds=(0.5,) * 1000)))
    results = [pickle.loads(data) for data in worker(block(folder))["result"]]
    assert {len(one.numbers) for one in results if one.status != "error"} == {1000}


@pytest.mark.parametrize("isolate", [False, True])
def test_a_worker_explains_a_block_and_cleans_up(job, folder, tmp_path, isolate):
    worker = Worker(job(only="class nothing", isolate=isolate))
    answer = worker(block(folder))
    if isolate:
        worker.load_picture.__exit__(None, None, None)  # as the end of its process does
    results = [pickle.loads(data) for data in answer["result"]]
    assert [r.status for r in results].count("error") == 2
    assert all(r.overlay is None for r in results)
    assert answer["number"] == list(range(9))
    assert [p.name for p in (tmp_path / "run" / ".tmp").iterdir()] == ["token"]


def test_what_keeps_a_worker_from_working_is_told_and_ends_the_run(job, bundled, folder, tmp_path):
    def unloadable():
        raise UnavailableError("There are no weights here.")

    for changes, problem in [
        ({"token": tmp_path / "none"}, "run directory .* is not there"),
        ({"images": tmp_path / "none"}, "images' folder .* is not there"),
        ({"sha256": "other"}, "other weights"),
        ({"load": unloadable}, "no weights here"),
    ]:
        answer = Worker(job(**changes))(block(folder))
        assert answer["number"] == [-1]
        with pytest.raises(CamcliError, match=f"^On .*: .*{problem}"):
            raise CamcliError(answer["problem"][0])


def test_a_block_that_kills_its_workers_is_given_up(job, folder):
    token = job().token
    token.with_name("token-0").write_bytes(b"." * TRIES)  # so often it was begun
    answer = Worker(job())(block(folder))
    assert "workers died on the 9 images from a/frame_0000.jpg on" in answer["problem"][0]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([([-1], [b""], ["On there: no."])], r"On there: no\. .*--resume"),
        ([([0], [None], [""]), ([2], [None], [""])], "Result of image 1"),
        ([([0], [None], [""])], "Result of image 1"),
    ],
)
def test_what_does_not_come_back_is_noticed(
    bundled, folder, tmp_path, monkeypatch, blocks, message
):
    class Cluster:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def cluster_resources(self):
            return {"CPU": 2.0}

    def through_ray(job, packed, actors, options, stop):
        assert (actors, options) == (2, {"num_cpus": 1})
        for numbers, _, problems in blocks:
            ref = pickle.loads(packed[0])
            yield numbers, [pickle.dumps(Result(ref, status="error", error="x"))], problems

    monkeypatch.setattr(ray_engine, "_cluster", lambda address: Cluster())
    monkeypatch.setattr(ray_engine, "_through_ray", through_ray)
    with pytest.raises(CamcliError, match=message):
        run(bundled, folder, tmp_path / "run", engine=RayEngine(LOAD))


def test_a_gpu_each_where_there_are_some():
    there = {"CPU": 16.0, "GPU": 4.0}
    assert ray_engine._pool(there, True) == (4, {"num_cpus": 4, "num_gpus": 1})
    assert ray_engine._pool(there, False) == (16, {"num_cpus": 1})
    assert ray_engine._pool({}, True) == (1, {"num_cpus": 1})


def test_without_ray_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError, match=r"pip install 'camcli\[ray\]'"):
        check_ray()


def test_ray_that_does_not_start_is_told(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray comes with camcli[ray]")

    def init(**_):
        raise Exception("The current node timed out during startup.\nAnd more.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_engine, "_knock", lambda address: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for address, message in [
        (None, r"does not start on this machine \(The current node timed out during startup\.\)"),
        ("10.0.0.1:6379", "No Ray cluster at 10.0.0.1:6379"),
    ]:
        with pytest.raises(UnavailableError, match=message), ray_engine._cluster(address):
            pass


@pytest.mark.slow
def test_names_that_workers_cannot_keep_apart(bundled, folder, tmp_path):
    with pytest.raises(UsageError, match="--name-template"):
        Run(
            find_images(folder), bundled, make_explanation(bundled), RunDirectory(tmp_path),
            name_template="{stem}", engine=RayEngine(LOAD),
        )  # fmt: skip


@pytest.mark.parametrize(
    "address", ["localhost:1", "ray://localhost:1", "localhost:99999", "a..b:1"]
)
def test_an_address_at_which_nobody_answers_is_told_at_once(address):
    with pytest.raises(UnavailableError, match="No Ray cluster at"):
        ray_engine._knock(address)
    ray_engine._knock("auto")
