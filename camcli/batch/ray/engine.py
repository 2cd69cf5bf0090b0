"""The engine on many machines: Ray Data carries references to workers and Results back.

Each worker is an actor that loads the network once and runs `camcli.batch.engine.stream` on one
block of references after another; it writes the overlays itself, each renamed into place under a
name that depends on the image alone, so that doing a block twice changes nothing. The Results come
back in order to the process that was started, which alone writes the table and the maps.

Resuming is the run directory's own journal, as without Ray, so a run may be begun with one engine
and finished with the other. Ray Data's checkpointing (beta in 2.60) would be a second truth beside
the table: it knows, in no order, which rows ended in files that Ray wrote, holds all of them in
memory, and is switched off with a mere warning unless a data set is read from files and ends in
files.

What Ray may drop is never left to it: a bad image is a Result like any other, a worker's failure is
a value with a message, Results are counted off against references, and a block whose worker died is
done again (Ray Data restarts actors and repeats their tasks).
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from camcli.batch.explanation import Explanation
from camcli.batch.ray.worker import Worker, WorkerTask, task_of
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, UnavailableError
from camcli.models.classifier import Classifier
from camcli.result import Result

if TYPE_CHECKING:
    from camcli.batch.run import Run

log = logging.getLogger(__name__)

# Images that are lost and done again when a worker dies; a cluster that grows gets its share of
# what is left in as fine portions.
_BLOCK = 64
# Blocks that Ray keeps count of; beyond so many they get larger.
_BLOCKS = 20_000

_PATIENCE = 10.0  # seconds, for an answer from the cluster's machine


@dataclass(frozen=True)
class RayEngine:
    """Runs a `Run` on a Ray cluster, or on this machine's cores.

    Attributes:
        load: loads the classifier on any machine; picklable, paths absolute.
        runtime: the user's choice.
        precision: likewise.
        address: of a cluster; None for ``$RAY_ADDRESS``, or a new one on this machine.
        gpus: use GPUs where the cluster has some.
    """

    load: Callable[[], Classifier]
    runtime: str = "auto"
    precision: str = "float32"
    address: str | None = None
    gpus: bool = True
    name: ClassVar[str] = "ray"

    def __call__(self, run: Run, refs: Iterable[ImageRef], what: Explanation) -> Generator[Result]:
        """Explain `refs`; Results come in their order, after their overlays are written.

        Raises:
            UnavailableError: there is no such cluster.
            CamcliError: a worker cannot work, or Ray gave up.
        """
        packed = [pickle.dumps(ref) for ref in refs]
        if not packed:
            return
        total = len(packed)
        token = run.directory.temporary.absolute() / f"ray-{uuid.uuid4().hex}"
        token.touch()
        with ExitStack() as stack:
            ray = stack.enter_context(_cluster(self.address))
            actors, options = _pool(ray.cluster_resources(), self.gpus)
            job = task_of(
                run, what, token, self.load, self.runtime, self.precision, options["num_cpus"]
            )
            done = 0
            blocks = stack.enter_context(
                closing(_through_ray(job, packed, actors, options, run.stop))
            )
            for numbers, results, problems in blocks:
                if problems[0]:
                    raise CamcliError(
                        f"{problems[0]} What was finished is kept; run the same command with "
                        "--resume when that is mended."
                    )
                for number, data in zip(numbers, results, strict=True):
                    if number != done:
                        raise CamcliError(_LOST.format(n=done))
                    done += 1
                    yield pickle.loads(data)
                if run.stop.is_set():  # what workers have begun is done again with --resume
                    return
            if done != total and not run.stop.is_set():
                raise CamcliError(_LOST.format(n=done))


_LOST = (
    "Ray returned something else than the Result of image {n}; nothing after it was written. Run "
    "the same command with --resume."
)


def _through_ray(
    job: WorkerTask,
    packed: list[bytes],
    actors: int,
    options: dict[str, Any],
    stop: threading.Event,
) -> Generator[tuple[list[int], list[bytes], list[str]]]:
    """Blocks of results, in order."""
    import pyarrow as pa
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    context.max_errored_blocks = 0
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Small runs are shared out evenly; a few blocks for each worker, as they end at other times.
    size = max(1, min(_BLOCK, len(packed) // (4 * actors)), len(packed) // _BLOCKS)
    tables = [
        pa.table({"number": range(n, min(n + size, len(packed))), "ref": packed[n : n + size]})
        for n in range(0, len(packed), size)
    ]
    packed.clear()  # now in the tables, and soon in Ray's store
    explained = ray.data.from_arrow(tables).map_batches(
        Worker,
        fn_constructor_args=(job,),
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=actors),
        **options,
    )
    try:
        block: Any
        for block in explained.iter_batches(batch_size=None, batch_format="pyarrow"):
            columns = block.to_pydict()
            yield columns["number"], columns["result"], columns["problem"]
    except Exception as error:  # Ray's own, and those of what it runs
        if stop.is_set():  # Ctrl-C in a terminal reaches Ray's processes as well
            return
        log.debug("Ray stopped", exc_info=True)
        last = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise CamcliError(
            f"Ray stopped ({type(error).__name__}: {last[-1] if last else ''}). What was finished "
            "is kept; run the same command with --resume."
        ) from error


def _pool(there: dict[str, float], use_gpus: bool) -> tuple[int, dict[str, Any]]:
    """How many workers, and what each gets: a GPU where there are some, else a core."""
    cores, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
    if use_gpus and gpus:
        return gpus, {"num_cpus": max(1, cores // gpus), "num_gpus": 1}
    return max(1, cores), {"num_cpus": 1}


def _knock(address: str) -> None:
    """Find out in seconds that nobody is there: Ray itself tries for many minutes.

    Raises:
        UnavailableError: no program answers at this address.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", "local": Ray's own words
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnavailableError(
            f"No Ray cluster at {address} ({reason}); 'ray start --head' on its first machine "
            "shows the address."
        ) from error


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Ray, connected; disconnected at the end unless the caller had connected it before.

    Raises:
        UnavailableError: there is no such cluster, or it has other versions.
    """
    # Neither statistics to Ray's makers nor its C++ log on the terminal.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Left alone, workers that Ray starts here give way to everything else on the machine.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    if ray.is_initialized():
        yield ray
        return
    here = address is None and not os.environ.get("RAY_ADDRESS")
    if not here:
        _knock(address or os.environ["RAY_ADDRESS"])
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    with ExitStack() as stack:
        options: dict[str, Any] = {}
        if here:
            options = {"include_dashboard": False, "_temp_dir": stack.enter_context(_folder())}
        try:
            with _quiet():
                ray.init(
                    address=address, log_to_driver=False, logging_level=logging.ERROR, **options
                )
        except Exception as error:  # of a start that takes too long, Ray's is of no finer type
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            if here:
                raise UnavailableError(
                    f"Ray does not start on this machine ({reason}). Try again when it is less "
                    "busy, or leave --engine out: one machine does not need Ray."
                ) from error
            raise UnavailableError(
                f"No Ray cluster at {address or os.environ['RAY_ADDRESS']} ({reason}); 'ray start "
                "--head' on its first machine shows the address."
            ) from error
        finally:
            if main:
                signal.signal(signal.SIGTERM, handler)  # Ray has put its own there
        stack.enter_context(_no_messages())
        stack.callback(ray.shutdown)
        yield ray


@contextmanager
def _folder() -> Iterator[str | None]:
    """For the sockets, logs and spilled objects of a cluster; Ray itself never removes them.

    None where the paths of the sockets would be too long (107 bytes on Linux, 103 on macOS); Ray
    then has a place of its own.
    """
    base = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(base)) > 20 and sys.platform != "win32":
        base = "/tmp"
    try:
        path = tempfile.mkdtemp(prefix="camcli-ray-", dir=base)
    except OSError:
        yield None
        return
    try:
        yield path
    finally:
        for _ in range(20):  # Ray's last processes may still be writing their logs
            shutil.rmtree(path, ignore_errors=True)
            if not Path(path).exists():
                break
            time.sleep(0.1)


@contextmanager
def _no_messages() -> Iterator[None]:
    """Nothing from Ray on stdout, which is for data.

    It prints there that a worker died, or that it has stopped one, and has no setting against it.
    """
    from ray._private import worker

    kept: Any = getattr(worker, "print_to_stdstream", None)
    worker.print_to_stdstream = lambda data, *_, **__: log.debug("Ray: %s", data)
    try:
        yield
    finally:
        worker.print_to_stdstream = kept


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr: what Ray's C++ side says there, no Python stream can catch."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
