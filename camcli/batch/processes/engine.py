"""The engine in several processes: one or more for each GPU, or shares of the processor's cores.

One Python process runs the Python code of one thread at a time: whatever the number of cores, it
makes no more images a second than that code allows, which is far less than a GPU explains
(benchmarks/RESULTS.md). Each process here loads the network once and runs
`camcli.batch.engine.stream`; it writes the overlays itself, under names that depend on the image
alone. The Results come back in order to the process that was started, which alone writes the table
and the maps, so that a run may be begun with one number of processes and resumed with another.

Processes ask for references as they need them: a faster GPU gets more of them.
"""

from __future__ import annotations

import pickle
import signal
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from camcli.batch.explanation import Explanation
from camcli.batch.processes.worker import work
from camcli.batch.ray.worker import WorkerTask, task_of
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.models.runtime.openvino import available_cores
from camcli.result import Result

if TYPE_CHECKING:
    from camcli.batch.run import Run

# Results that may wait for one that is late, for each process.
_AHEAD = 2048
# Seconds without news after which the user's wish to stop is looked for.
_PATIENCE = 0.2
# Of a process that is told to end.
_FAREWELL = 5.0


@dataclass(frozen=True)
class ProcessEngine:
    """Runs a `Run` in several processes of this machine.

    Attributes:
        loads: what loads the classifier in each process; picklable.
        runtime: the user's choice.
        precision: likewise.
    """

    loads: tuple[Callable[[], Classifier], ...]
    runtime: str = "auto"
    precision: str = "float32"
    name: ClassVar[str] = "processes"

    def __call__(self, run: Run, refs: Iterable[ImageRef], what: Explanation) -> Generator[Result]:
        """Explain `refs`; Results come in their order, after their overlays are written.

        Raises:
            CamcliError: a process cannot work, or died.
        """
        left = iter(refs)
        if (first := next(left, None)) is None:
            return
        pending = chain([first], left)
        token = run.directory.temporary.absolute() / f"processes-{uuid.uuid4().hex}"
        token.touch()
        with _started(self._jobs(run, what, token)) as processes:
            yield from _through(processes, pending, run)

    def _jobs(self, run: Run, what: Explanation, token: Path) -> list[WorkerTask]:
        count, cores = len(self.loads), available_cores()
        workers = None if run.workers is None else max(1, run.workers // count)
        jobs = (
            task_of(
                run, what, token, load, self.runtime, self.precision,
                max(1, cores // count + (n < cores % count)),
            )
            for n, load in enumerate(self.loads)
        )  # fmt: skip
        return [replace(job, workers=workers) for job in jobs]


@dataclass(eq=False)
class _Process:
    """One of the processes, as seen from the first one.

    Attributes:
        number: from 1 on, for messages.
        process: itself.
        connection: to it.
        has: places in the run's order of what it was given and has not returned.
        wants: how many references it waits for.
        ended: it was told that there are no more.
    """

    number: int
    process: SpawnProcess
    connection: Any  # a PipeConnection on Windows, a Connection elsewhere
    has: deque[int] = field(default_factory=deque)
    wants: int = 0
    ended: bool = False

    def give(self, block: list[ImageRef] | None) -> None:
        """Send references, or the end.

        Raises:
            CamcliError: it is not there any more.
        """
        try:
            self.connection.send_bytes(pickle.dumps(block))
        except OSError as error:
            raise self.died() from error

    def died(self) -> CamcliError:
        """What to say of one that has ended before its work."""
        self.process.join(_FAREWELL)
        code = self.process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        hint = (
            " The system kills what takes too much memory: fewer --processes, or a smaller "
            "--batch-size, need less."
            if how == "signal SIGKILL"
            else ""
        )
        return CamcliError(
            f"Process {self.number} ended in the middle of its work ({how}).{hint} What was "
            "finished is kept; run the same command with --resume."
        )


@contextmanager
def _started(jobs: list[WorkerTask]) -> Iterator[list[_Process]]:
    """The processes; gone at the end, however it comes."""
    context = get_context("spawn")  # CUDA does not survive a fork, nor do locks that are held
    processes: list[_Process] = []
    with ExitStack() as stack:
        for number, job in enumerate(jobs, 1):
            here, there = context.Pipe()
            process = context.Process(target=work, args=(job, there), daemon=True)
            process.start()
            there.close()
            processes.append(_Process(number, process, here))
            stack.callback(_end, processes[-1])
        yield processes


def _end(one: _Process) -> None:
    one.connection.close()  # at which it ends by itself, unless it is still being loaded
    one.process.join(_FAREWELL)
    if one.process.is_alive():
        one.process.kill()
        one.process.join(_FAREWELL)


def _through(processes: list[_Process], refs: Iterator[ImageRef], run: Run) -> Generator[Result]:
    """Results in the order of the references."""
    by_connection: dict[Any, _Process] = {one.connection: one for one in processes}
    early: dict[int, Result] = {}
    given = done = 0
    exhausted = False
    while True:
        if run.stop.is_set():  # what the processes have begun is done again with --resume
            return
        for one in processes:
            # Whoever is late always gets what it asks for, or all would wait for one another.
            late = bool(one.has) and one.has[0] == done
            ahead = given - done >= _AHEAD * len(processes)
            while one.wants and not exhausted and (late or not ahead):
                block = list(islice(refs, one.wants))
                exhausted = not block
                if block:
                    one.has.extend(range(given, given + len(block)))
                    given += len(block)
                    one.wants = max(0, one.wants - len(block))
                    one.give(block)
            if exhausted and one.wants and not one.ended:
                one.ended = True
                one.give(None)
        if exhausted and done == given:
            return
        for connection in wait(list(by_connection), _PATIENCE):
            one = by_connection[connection]
            for told in _received(one):
                if isinstance(told, int):
                    one.wants += told
                elif isinstance(told, str):
                    raise CamcliError(
                        f"In process {one.number}: {told} What was finished is kept; run the same "
                        "command with --resume when that is mended."
                    )
                else:
                    for result in told:
                        early[one.has.popleft()] = result
            if one.connection.closed:
                del by_connection[connection]
        while done in early:
            yield early.pop(done)
            done += 1


def _received(one: _Process) -> Iterator[int | str | list[Result]]:
    """All that has come from a process; its connection is closed after its end.

    Raises:
        CamcliError: it ended before it returned what it has.
    """
    try:
        while one.connection.poll():
            yield pickle.loads(one.connection.recv_bytes())
    except (EOFError, OSError) as error:
        one.connection.close()
        if one.has or not one.ended:
            raise one.died() from error
