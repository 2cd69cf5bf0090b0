import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from camcli.batch import batch_size
from camcli.batch.batch_size import LARGEST, START, Fitting
from camcli.batch.engine import stream
from camcli.batch.explain import explain_batch, make_explanation
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError
from camcli.result import Result


def some(count):
    """Stand for images, and for their Results."""
    return [Result(ImageRef(Path(f"/{n}.jpg"), f"{n}.jpg")) for n in range(count)]


class Network:
    """Stands in for `explain_batch`: takes time, and has room for so many images."""

    def __init__(self, seconds, room=10**6):
        self.seconds, self.room = seconds, room
        self.now, self.sizes, self.chunks = 0.0, [], []

    def __call__(self, classifier, images, what):
        self.sizes.append(len(images))
        self.chunks.append(what.how.effort.chunk)
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.now += self.seconds(len(images))
        return list(images)

    def clock(self):
        return self.now


@pytest.fixture
def network(monkeypatch):
    def made(*args, **kw):
        one = Network(*args, **kw)
        monkeypatch.setattr(batch_size, "explain_batch", one)
        return one

    return made


@pytest.fixture
def what(bundled):
    return make_explanation(bundled)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (lambda n: 1.0, LARGEST),  # a pass costs the same whatever its size
        (lambda n: 0.01 * n, START),  # an image costs the same: nothing to gain
        (lambda n: max(1, n / 64), 64),  # full at 64
    ],
)
def test_a_gpu_gets_the_size_that_pays(network, bundled, what, seconds, found):
    one = network(seconds)
    fit = Fitting(grow=True, clock=one.clock)
    sizes = []
    for _ in range(40):
        sizes.append(fit.size)
        images = some(fit.size)
        assert fit.explain(bundled, images, what) == images
    assert sizes[0] == START
    assert set(sizes[-20:]) == {found}
    assert max(sizes) <= LARGEST


def test_a_size_that_was_wished_for_stays_and_so_does_the_cpus(network, bundled, what):
    one = network(lambda n: 1.0)
    for fit, size in ((Fitting(5, grow=True, clock=one.clock), 5), (Fitting(), START)):
        for _ in range(10):
            fit.explain(bundled, some(fit.size), what)
            assert fit.size == size


def test_halved_until_it_fits_and_nothing_is_lost(network, bundled, what, caplog):
    one = network(lambda n: 1.0, room=6)
    fit = Fitting(40)
    with caplog.at_level(logging.WARNING):
        for count in (40, 7):
            images = some(count)
            assert fit.explain(bundled, images, what) == images
    assert one.sizes == [40, 20, 10, *[5] * 8, 5, 2]
    assert fit.size == 5
    assert one.chunks[-1] == 5  # the masked copies of a perturbation method take no more room
    assert [r.getMessage() for r in caplog.records] == [
        f"{n} images at a time do not fit into the memory of cpu; {n // 2} are tried."
        for n in (40, 20, 10)
    ]


def test_room_for_not_even_one_image_is_said(network, bundled, what):
    network(lambda n: 1.0, room=0)
    with pytest.raises(CamcliError, match=r"memory for one image.*ulimit -v.*--input-size"):
        Fitting(4).explain(bundled, some(4), what)


def test_other_failures_are_those_of_single_images(monkeypatch, bundled, what):
    """Found by halves: the others go through the network in passes as large as can be."""
    guilty, sizes = {"3.jpg", "9.jpg"}, []

    def broken(classifier, images, what):
        sizes.append(len(images))
        if guilty & {image.ref.rel for image in images}:
            raise RuntimeError("shapes do not match\nsecond line")
        return list(images)

    monkeypatch.setattr(batch_size, "explain_batch", broken)
    results = Fitting(16).explain(bundled, some(16), what)
    assert [r.ref.rel for r in results] == [f"{n}.jpg" for n in range(16)]
    assert {r.ref.rel: r.error for r in results if r.error} == {
        rel: f"network: /{rel}: RuntimeError: shapes do not match." for rel in guilty
    }
    assert sizes == [16, 8, 4, 2, 2, 1, 1, 4, 8, 4, 2, 1, 1, 2, 4]


def test_an_error_that_another_image_caused_is_not_kept(monkeypatch, bundled, what):
    """A network that mixes the images of a batch spreads one image's NaN over all of them."""

    def mixes(classifier, images, what):
        bad = any(image.ref.rel == "2.jpg" for image in images)
        return [replace(i, status="error", error="not finite") if bad else i for i in images]

    monkeypatch.setattr(batch_size, "explain_batch", mixes)
    results = Fitting(8).explain(bundled, some(8), what)
    assert [r.ref.rel for r in results if r.error] == ["2.jpg"]


def test_what_concerns_every_image_is_not_tried_image_by_image(monkeypatch, bundled, what):
    def refuses(classifier, images, what):
        sizes.append(len(images))
        raise CamcliError("this method cannot do this network")

    sizes = []
    monkeypatch.setattr(batch_size, "explain_batch", refuses)
    with pytest.raises(CamcliError, match="cannot do"):
        Fitting(4).explain(bundled, some(4), what)
    assert sizes == [4]


def test_a_gpu_that_is_lost_ends_the_run(monkeypatch, bundled, what):
    """It answers nothing any more, unlike one on which a single image failed."""

    def broken(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(batch_size, "explain_batch", broken)
    lost = replace(bundled, device=torch.device("cuda", 7))  # there is none
    with pytest.raises(CamcliError, match=r"cuda:7 does not answer.*illegal.*--resume"):
        Fitting(4).explain(lost, some(4), what)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.07 GB)"),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_every_device_says_it_in_its_own_way(error):
    assert batch_size.out_of_memory(error)


def test_a_stream_in_too_little_memory_gives_the_same_results(
    monkeypatch, bundled, what, folder, caplog
):
    source = list(find_images(folder))
    expected = list(stream(source, bundled, what))

    def small(classifier, images, what):
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return explain_batch(classifier, images, what)

    monkeypatch.setattr(batch_size, "explain_batch", small)
    with caplog.at_level(logging.WARNING):  # other libraries set the levels of all handlers
        results = list(stream(source, bundled, what))
    assert "do not fit" in caplog.text
    for a, b in zip(expected, results, strict=True):
        assert (a.ref, a.status, a.pred, a.error) == (b.ref, b.status, b.pred, b.error)
        if a.status != "error":
            scale = np.abs(a.heats[0].heatmap).max()
            assert np.allclose(a.heats[0].heatmap, b.heats[0].heatmap, atol=1e-4 * scale)


def test_the_cache_of_the_gpu_is_given_back_before_the_next_try(
    monkeypatch, network, bundled, what
):
    given = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given.append(True))
    network(lambda n: 1.0, room=4)
    Fitting(8).explain(replace(bundled, device=torch.device("cuda")), some(8), what)
    assert given == [True]
