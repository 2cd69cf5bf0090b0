import sys
import threading
import time
from dataclasses import replace
from itertools import cycle, islice

import numpy as np
import pytest
import torch

from camcli.batch.batch_size import Fitting
from camcli.batch.engine import _batches, stream
from camcli.batch.explain import KEEP_BYTES, make_explanation
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, ImageError


@pytest.fixture
def what(bundled):
    return make_explanation(bundled)


def test_one_result_an_image_in_order_failures_included(bundled, what, folder):
    source = list(find_images(folder))
    results = list(stream(source, bundled, what, batch_size=2, workers=3))
    assert [r.ref for r in results] == source
    assert [r.status for r in results].count("error") == 2
    for r in results:
        assert (r.error is None) == (r.status != "error")


def test_batch_size_and_workers_do_not_change_results(bundled, what, folder):
    source = list(find_images(folder))
    one = list(stream(source, bundled, what, batch_size=1, workers=1))
    many = list(stream(source, bundled, what, batch_size=16, workers=4))
    for a, b in zip(one, many, strict=True):
        assert a.pred == b.pred
        if a.status != "error":
            assert abs(a.prob - b.prob) < 1e-4
            scale = np.abs(a.heats[0].heatmap).max()
            assert np.allclose(a.heats[0].heatmap, b.heats[0].heatmap, atol=1e-4 * scale)


def test_whole_photographs_of_many_shapes_keep_their_order(bundled, photos, tmp_path):
    from PIL import Image

    classifier = replace(bundled, preprocess=bundled.preprocess.with_(fit="whole"))
    for n, rgb in enumerate(photos * 2):
        Image.fromarray(rgb[: rgb.shape[0] - 40 * (n // 3)]).save(tmp_path / f"{n}.png")
    source = list(find_images(tmp_path))
    results = list(stream(source, classifier, make_explanation(classifier), batch_size=6))
    assert [r.ref.rel for r in results] == [f"{n}.png" for n in range(6)]
    shapes = {r.heats[0].heatmap.shape for r in results}
    assert len(shapes) > 1
    for r in results:
        assert r.view == (0, 0, r.width, r.height)
        h, w = r.heats[0].heatmap.shape
        assert abs(w / h - r.width / r.height) < 0.35


class Drawn:
    """A sink that remembers what it drew."""

    def __init__(self):
        self.names = []

    def keep(self, rgb):
        return rgb

    def claim(self, result):
        return replace(result, overlay=result.ref.rel)

    def write(self, result, rgb):
        self.names.append(result.ref.rel)


def test_a_stream_that_is_stopped_finishes_what_has_begun(bundled, what, folder):
    refs = cycle(ref for ref in find_images(folder) if "frame_0000" in ref.rel)  # without an end
    stop, drawn, results = threading.Event(), Drawn(), []
    for result in stream(refs, bundled, what, sink=drawn, batch_size=2, stop=stop):
        results.append(result)
        if len(results) == 3:
            stop.set()
    assert sorted(r.ref.rel for r in results) == sorted(drawn.names)
    assert [r.ref.rel for r in results[:4]] == [r.ref.rel for r in results[2:4]] * 2


def test_lazy_and_bounded(bundled, what, folder):
    """However long the source, only a few batches are taken ahead of what was consumed."""
    taken = 0

    def endless():
        nonlocal taken
        path = folder / "b" / "frame_0000.jpg"
        while True:
            taken += 1
            yield ImageRef(path, f"{taken}.jpg")

    results = stream(endless(), bundled, what, batch_size=2, workers=2)
    list(islice(results, 10))
    results.close()
    lanes = len(__import__("os").sched_getaffinity(0))
    assert taken <= 10 + 2 * (4 * lanes + 2)


def test_closing_early_leaves_no_threads_and_restores_torch(bundled, what, folder):
    before, threads = threading.active_count(), torch.get_num_threads()
    switch = sys.getswitchinterval()
    results = stream(list(find_images(folder)) * 20, bundled, what, batch_size=2)
    next(results)
    results.close()
    assert threading.active_count() == before
    assert torch.get_num_threads() == threads
    assert sys.getswitchinterval() == switch


class Sink:
    """Remembers; fails when told."""

    def __init__(self, fail=None, refuse=()):
        self.written, self.fail, self.refuse, self.claimed = [], fail, refuse, []

    def keep(self, rgb):
        return rgb

    def claim(self, result):
        if result.ref.rel in self.refuse:
            raise ImageError("taken")
        self.claimed.append(result.ref.rel)
        return replace(result, overlay=f"{result.ref.rel}")

    def write(self, result, rgb):
        time.sleep(0.01 if len(self.written) % 2 else 0)
        if self.fail:
            raise self.fail
        self.written.append((result.ref.rel, rgb.shape))


def test_sink_is_asked_in_order_and_refusals_become_error_rows(bundled, what, folder):
    source = list(find_images(folder))
    refused = source[0].rel
    sink = Sink(refuse={refused})
    results = list(stream(source, bundled, what, sink=sink, batch_size=2))
    good = [r.ref.rel for r in results if r.status != "error"]
    assert sink.claimed == good
    assert sorted(rel for rel, _ in sink.written) == sorted(good)
    assert results[0].error == "taken"


def test_a_sink_that_cannot_write_ends_the_stream(bundled, what, folder):
    with pytest.raises(CamcliError, match="disk full"):
        list(stream(find_images(folder), bundled, what, sink=Sink(CamcliError("disk full"))))


def test_huge_photographs_are_decoded_again_instead_of_kept(bundled, what, tmp_path):
    from PIL import Image

    side = int((KEEP_BYTES / 3) ** 0.5) + 10
    Image.new("RGB", (side, side), "orange").save(tmp_path / "big.jpg")
    sink = Sink()
    (result,) = stream(find_images(tmp_path), bundled, what, sink=sink)
    assert sink.written == [("big.jpg", (side, side, 3))]
    assert result.width == side


def test_uniform_picture_gives_a_result(bundled, tmp_path):
    from PIL import Image

    Image.new("L", (1, 1), 7).save(tmp_path / "one.png")
    (result,) = stream(find_images(tmp_path), bundled, make_explanation(bundled), sink=Sink())
    assert result.status in {"ok", "empty"}
    assert (result.width, result.height) == (1, 1)


@pytest.mark.parametrize(
    ("least", "sizes"),
    [(2, [16, 16, 16, 12, 10, 8, 6, 4, 2, 2, 2, 2]), (8, [16, 16, 16, 16, 8, 8, 8, 8])],
)
def test_batches_shrink_towards_the_end(least, sizes):
    batches = list(_batches(iter(range(96)), Fitting(16), 2, least))
    assert [len(batch) for batch in batches] == sizes
    assert [ref for batch in batches for ref in batch] == list(range(96))
