import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from camcli.batch import fitting
from camcli.batch.engine import stream
from camcli.batch.explain import explain_batch, make_explanation
from camcli.batch.fitting import LARGEST, START, Fitting
from camcli.data.sources import find_images
from camcli.errors import CamcliError


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
        monkeypatch.setattr(fitting, "explain_batch", one)
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
        images = range(fit.size)
        assert fit.explain(bundled, images, what) == list(images)
    assert sizes[0] == START
    assert set(sizes[-20:]) == {found}
    assert max(sizes) <= LARGEST


def test_a_size_that_was_wished_for_stays_and_so_does_the_cpus(network, bundled, what):
    one = network(lambda n: 1.0)
    for fit, size in ((Fitting(5, grow=True, clock=one.clock), 5), (Fitting(), START)):
        for _ in range(10):
            fit.explain(bundled, range(fit.size), what)
            assert fit.size == size


def test_halved_until_it_fits_and_nothing_is_lost(network, bundled, what, caplog):
    one = network(lambda n: 1.0, room=6)
    fit = Fitting(40)
    with caplog.at_level(logging.WARNING):
        assert fit.explain(bundled, range(40), what) == list(range(40))
        assert fit.explain(bundled, range(7), what) == list(range(7))
    assert one.sizes == [40, 20, 10, *[5] * 8, 5, 2]
    assert fit.size == 5
    assert one.chunks[-1] == 5  # the masked copies of a perturbation method take no more room
    assert [r.getMessage() for r in caplog.records] == [
        f"{n} images at a time do not fit into the memory of cpu; {n // 2} are tried."
        for n in (40, 20, 10)
    ]


def test_room_for_not_even_one_image_is_said(network, bundled, what):
    network(lambda n: 1.0, room=0)
    with pytest.raises(CamcliError, match=r"does not hold one image.*--input-size"):
        Fitting(4).explain(bundled, range(4), what)


def test_other_failures_are_no_matter_of_size(monkeypatch, bundled, what):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(fitting, "explain_batch", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        Fitting(4).explain(bundled, range(4), what)


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
    assert fitting.out_of_memory(error)


def test_a_stream_in_too_little_memory_gives_the_same_results(
    monkeypatch, bundled, what, folder, caplog
):
    source = list(find_images(folder))
    expected = list(stream(source, bundled, what))

    def small(classifier, images, what):
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return explain_batch(classifier, images, what)

    monkeypatch.setattr(fitting, "explain_batch", small)
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
    Fitting(8).explain(replace(bundled, device=torch.device("cuda")), range(8), what)
    assert given == [True]
