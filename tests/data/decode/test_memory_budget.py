"""However many threads decode: so many bytes at a time, and nobody waits for ever."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camcli.data.decode import images, isolate, memory_budget
from camcli.data.decode.images import load_image, load_picture
from camcli.data.decode.isolate import Isolated
from camcli.data.decode.memory_budget import Budget
from camcli.errors import ImageError


class Watched(Budget):
    """Remembers how much was in flight at most."""

    peak = together = 0

    def take(self, count):
        super().take(count)
        with self._changed:
            self.peak = max(self.peak, self._taken)


@given(st.lists(st.integers(1, 150), max_size=12), st.integers(1, 6))
def test_never_more_than_all_of_it_but_for_one_who_is_alone(counts, threads):
    shared = Watched(100)
    over = []

    def work(count):
        with shared.held():
            shared.take(count)
            with shared._changed:
                if shared._taken > 100 and shared._taken != count:
                    over.append(shared._taken)
            time.sleep(0.0001)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, counts))
    assert over == []
    assert shared._taken == 0
    assert not shared._waiting


def test_first_come_first_served_or_large_pictures_would_starve():
    shared, order, begun = Budget(100), [], threading.Event()

    def work(name, count):
        with shared.held():
            shared.take(count)
            order.append(name)

    with shared.held():
        shared.take(60)
        with ThreadPoolExecutor(2) as pool:
            pool.submit(work, "large", 90)
            while not shared._waiting:
                time.sleep(0.001)
            pool.submit(work, "small", 10)
            while len(shared._waiting) < 2:
                time.sleep(0.001)
            begun.set()
            assert order == []  # though the small one would fit
            with shared._changed:  # as the end of the block does
                shared._taken -= 60
                shared._held.get()[0] = 0
                shared._changed.notify_all()
    assert order == ["large", "small"]


def test_who_has_some_gets_more_without_waiting():
    """Two of them would wait for one another."""
    shared = Budget(100)
    barrier = threading.Barrier(2, timeout=10)

    def work():
        with shared.held(50):
            barrier.wait()
            shared.take(90)
            with shared.held():  # one block with the outer one
                shared.take(95)
            barrier.wait()
            taken = shared._taken
            barrier.wait()
            return taken

    with ThreadPoolExecutor(2) as pool:
        assert {f.result(10) for f in [pool.submit(work) for _ in range(2)]} == {190}
    assert shared._taken == 0


@pytest.fixture
def watched(monkeypatch):
    """Room for two of the pictures of `six`, though ten threads decode."""
    shared = Watched(2 * 8 * 300 * 200 + 1)
    monkeypatch.setattr(images, "BUDGET", shared)
    monkeypatch.setattr(isolate, "BUDGET", shared)
    monkeypatch.setattr(memory_budget, "_ASK", type(memory_budget._ASK)("ask", default=shared.take))
    return shared


@pytest.fixture
def six(tmp_path):
    paths = [tmp_path / f"{n}.png" for n in range(6)]
    for n, path in enumerate(paths):
        Image.fromarray(np.full((200, 300, 3), n, np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("kind", ["threads", "isolated"])
def test_pictures_in_flight_are_bounded_before_they_are_decoded(watched, six, kind):
    if kind == "isolated" and sys.platform == "win32":
        pytest.skip("needs POSIX")
    wide = threading.Semaphore(0)

    def slowly(load, path):
        with watched.held():
            rgb = load(path).rgb
            wide.release()
            time.sleep(0.02)
            return int(rgb[0, 0, 0])

    with ThreadPoolExecutor(10) as pool, Isolated() as isolated:
        load = isolated if kind == "isolated" else load_picture
        assert list(pool.map(lambda path: slowly(load, path), six)) == list(range(6))
    assert watched.peak == 2 * 8 * 300 * 200
    assert watched._taken == 0


def test_it_is_asked_with_the_headers_size_and_given_back_after_an_error(watched, six):
    data = six[0].read_bytes()
    six[0].write_bytes(data[:100] + data[200:])
    with pytest.raises(ImageError):
        load_image(six[0])
    assert watched.peak == 8 * 300 * 200
    assert watched._taken == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_a_decoding_process_waits_for_room_however_long_without_being_ended(watched, six):
    """Its clock stands still: the limit on time is for decoding."""
    with (
        Isolated(clock=1.0) as load,
        watched.held(watched.total),
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(load, six[3])
        time.sleep(1.5)
        assert not waiting.done()
        with watched._changed:
            watched._taken -= watched._held.get()[0]
            watched._held.get()[0] = 0
            watched._changed.notify_all()
        assert waiting.result(20).rgb[0, 0, 0] == 3
