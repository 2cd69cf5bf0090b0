"""A run whose GPU would wait for one process says so, once, and no other run does."""

from dataclasses import replace
from itertools import count

import pytest
import torch

from camcli.batch.processes import advice as advising
from camcli.data.sources.find import find_images
from camcli.jobs.batch import BatchJob
from camcli.jobs.maps import MapJob
from camcli.models.runtime import openvino
from camcli.train.progress import Listener


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def told(bundled, folder, tmp_path, monkeypatch):
    """What a run says of processes; a network on the CPU stands in for one on a GPU."""
    monkeypatch.setattr(advising, "MANY", 7)

    outs = (tmp_path / f"run-{n}" for n in count())

    def tell(device="cuda:0", cores=16, out=None, network=None, **options):
        monkeypatch.setattr(openvino, "_cores", cores)
        job = BatchJob(str(folder), out=out or next(outs), runtime="torch", **options)
        if network:
            job = replace(job, network=network)
        heard = Heard()
        classifier = replace(bundled, device=torch.device(device))
        job.start(job.find(heard), classifier, heard)
        return [line for line in heard.lines if "process" in line]

    return tell


def test_many_images_on_a_gpu_with_cores_to_spare(told):
    (line,) = told()
    assert "One process feeds cuda:0" in line
    assert "--processes 8 starts" in line
    assert "the GPU's memory" in line
    (line,) = told(cores=5, device="cuda")
    assert "--processes 2 starts" in line


def test_nothing_where_processes_would_gain_nothing(told, bundled):
    assert told(device="cpu") == []
    assert told(cores=3) == []
    assert told(limit=6) == []
    assert told(processes=2) == []
    assert told(shard="1/2") == []
    assert told(engine="local", name_template="{stem}") == []
    assert told(network=bundled) == []  # which a process cannot be given
    assert told(maps=MapJob(method="scorecam")) == []  # the GPU has enough to do
    assert len(told(limit=7)) == 1


def test_images_that_are_done_do_not_count(bundled, folder, tmp_path, told):
    done = BatchJob(str(folder), out=tmp_path / "run", limit=3, runtime="torch")
    assert len(list(done.results(bundled))) == 3
    assert told(out=tmp_path / "run", resume=True) == []


def test_no_more_is_walked_than_makes_many(folder, monkeypatch):
    monkeypatch.setattr(advising, "MANY", 3)
    source = find_images(folder)
    walked = []

    class Counted:
        def walk(self, left):
            for found in source.finder.walk(left):
                walked.append(found)
                yield found

    assert advising.advice(replace(source, finder=Counted()), 1, "cuda", 16)
    assert len(walked) == 4
