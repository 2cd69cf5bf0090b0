"""Threads that decode ahead, and lanes that run the network: the batch engine's and training's.

On a CPU one lane per core runs the network with one thread each: lanes never wait for one another
at a barrier, as the threads inside one forward pass do, so that decoding fits between them.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

import cv2
import torch

from camcli.models.cuda import own_stream
from camcli.models.runtime.openvino import available_cores

# Seconds until a thread may ask another for Python's lock.
_SWITCH = 1e-4

_Item = TypeVar("_Item")
_Read = TypeVar("_Read")
_Done = TypeVar("_Done")


class Lanes:
    """A pool of threads and a few lanes; entered, until all of them are to end.

    Attributes:
        count: how many lanes; two on CUDA, each with a stream of its own, overlap one's copies with
            the other's network.
        on_cpu: whether the network runs there.
        pool: decodes; whatever else does not need the network may be put into it.
    """

    def __init__(self, device: torch.device, count: int, workers: int | None = None) -> None:
        """Threads start when they get work.

        Args:
            device: where the network runs.
            count: how many lanes.
            workers: threads of the pool; by default one per core, at least 2.
        """
        self.count, self.on_cpu = count, device.type == "cpu"
        self.pool = ThreadPoolExecutor(
            workers or max(2, available_cores()), thread_name_prefix="camcli-io"
        )
        self._forward = ThreadPoolExecutor(
            count, "camcli-lane", initializer=own_stream, initargs=(device,)
        )
        # Beside a GPU, too, where each of the pool's threads would start others to resize.
        self._threads = threads(1)

    def __enter__(self) -> Lanes:
        self._threads.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Whatever ends it, nothing goes on behind the caller's back."""
        self._threads.__exit__(kind, error, trace)
        self._forward.shutdown(wait=True, cancel_futures=True)
        self.pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self,
        groups: Iterator[Sequence[_Item]],
        read: Callable[[_Item], _Read],
        work: Callable[[Sequence[_Item], list[_Read]], _Done],
        stop: threading.Event | None = None,
    ) -> Iterator[_Done]:
        """Groups of items through the network, in their order.

        One group is in each lane and one is read ahead of each, so memory does not depend on how
        many there are.

        Args:
            groups: taken as they are needed.
            read: of one item, in the pool; raises nothing.
            work: of a group and what was read of it, in a lane.
            stop: once it is set, what has begun is finished and yielded, and nothing else is begun.

        Yields:
            What `work` returned.
        """
        running: deque[Future[_Done]] = deque()
        while True:
            if stop is not None and stop.is_set():
                groups = iter(())
                while running and running[-1].cancel():
                    running.pop()
            while len(running) < 2 * self.count and (group := next(groups, None)):
                pending = [self.pool.submit(read, item) for item in group]
                running.append(self._forward.submit(_collected, work, group, pending))
            if not running:
                return
            yield running.popleft().result()


def _collected(
    work: Callable[[Sequence[_Item], list[_Read]], _Done],
    group: Sequence[_Item],
    pending: list[Future[_Read]],
) -> _Done:
    outcomes = [future.result() for future in pending]
    pending.clear()  # or the futures would hold the pixels until the group is collected
    return work(group, outcomes)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """`count` threads inside each torch operation, and none inside OpenCV's; undone at the end.

    And Python's lock changes hands sooner than after its 5 ms. A thread lets go of it for each
    kernel and each piece of a JPEG, for microseconds; when it wants it back and another has taken
    it to run Python code, it waits all of that time. On a GPU two lanes explained a tenth of what
    one did, and 16 threads decoded less than 4 (benchmarks/RESULTS.md).
    """
    torch_before, cv2_before = torch.get_num_threads(), cv2.getNumThreads()
    switch_before = sys.getswitchinterval()
    sys.setswitchinterval(min(_SWITCH, switch_before))
    cv2.setNumThreads(1)
    if count is not None:
        torch.set_num_threads(count)
        keep_big_blocks()
    try:
        yield
    finally:
        sys.setswitchinterval(switch_before)
        cv2.setNumThreads(cv2_before)
        torch.set_num_threads(torch_before)


def keep_big_blocks() -> None:
    """Ask glibc not to give freed activations back to the kernel.

    By default each large tensor is mapped and unmapped anew, and the page faults take up to a
    third of a forward pass on a CPU. One arena, because the thresholds hold for the main one only:
    so call this before there are other threads, which bring arenas that later threads inherit.
    Does nothing on other C libraries.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8  # malloc.h
    mallopt(m_mmap_threshold, 1 << 30)
    mallopt(m_trim_threshold, 2**31 - 1)
    mallopt(m_arena_max, 1)
