"""What runs in each of the processes: references through a pipe in, Results out.

What comes in are lists of references, and None at the end. What goes out are lists of Results, how
many references are wanted, and a sentence where nothing can be done any more.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import threading
from collections.abc import Iterator
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import NoReturn

from camcli.batch.engine import stream
from camcli.batch.lanes import keep_big_blocks
from camcli.batch.ray.worker import Worker, WorkerTask
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError
from camcli.locks import no_semaphores
from camcli.result import Result

WANTED = 64
"""References that a process asks for at a time; it has twice as many before it has used them."""
# Results that leave together; fewer where none follow at once.
_TOGETHER = 16


def work(job: WorkerTask, connection: Connection) -> None:
    """Explain what comes until the end, and end this process when all Results are gone.

    Args:
        job: what to do.
        connection: to the process that was started by the user. When that is gone, so is this one.
    """
    # Ctrl-C reaches all processes of a terminal: the first one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Which has told the user all that there is to tell of the network.
    logging.getLogger("camcli.jobs.model").setLevel(logging.ERROR)
    keep_big_blocks()
    no_semaphores()  # this process may be killed at any moment, also by the first one
    try:
        _work(job, connection)
    except OSError:  # nobody is there any more to tell
        _leave(1)
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End at once: to take torch to pieces takes half a second, and threads may be in the middle.

    But for what the standard library wants done at a process's end, the semaphores of libraries
    that were imported among it: of those that are left behind, it warns.
    """
    util._exit_function()  # type: ignore[attr-defined]
    os._exit(code)


def _work(job: WorkerTask, connection: Connection) -> None:
    worker = Worker(job)
    if worker.problem is not None:
        connection.send_bytes(pickle.dumps(worker.problem))
        return
    asked = _Asked(connection)
    try:
        for result in stream(
            asked, worker.classifier, job.what, sink=worker.sink, load=worker.load_picture,
            batch_size=job.batch_size, workers=job.workers,
        ):  # fmt: skip
            asked.results.append(result)
            if len(asked.results) >= _TOGETHER:
                asked.deliver()
        asked.deliver()
    except CamcliError as error:  # a full disk, a GPU that is lost, a runtime that disagrees
        asked.deliver()
        connection.send_bytes(pickle.dumps(str(error)))


class _Asked:
    """The references that come in, each asked for in time; and the Results that wait to leave."""

    def __init__(self, connection: Connection) -> None:
        self.results: list[Result] = []
        self._connection = connection
        self._came: queue.SimpleQueue[list[ImageRef] | None] = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def __iter__(self) -> Iterator[ImageRef]:
        self._ask()
        self._ask()
        while True:
            if self._came.empty():
                self.deliver()  # nothing else might leave until more comes
            block = self._came.get()
            if block is None:
                return
            self._ask()
            yield from block

    def deliver(self) -> None:
        if self.results:
            self._connection.send_bytes(pickle.dumps(self.results))
            self.results.clear()

    def _ask(self) -> None:
        self._connection.send_bytes(pickle.dumps(WANTED))

    def _receive(self) -> None:
        """In a thread of its own, so that neither side ever waits for the other to listen."""
        try:
            while (block := pickle.loads(self._connection.recv_bytes())) is not None:
                self._came.put(block)
            self._came.put(None)
            self._connection.recv_bytes()  # nothing comes: the other side has closed it, or died
        except (EOFError, OSError):
            _leave(1)
