"""What runs in each of Ray's workers: blocks of references in, Results out.

Nothing here knows Ray: see `camcli.batch.ray.engine`.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.batch.engine import stream
from camcli.batch.explain import Load
from camcli.batch.explanation import Explanation
from camcli.batch.overlay_writer import Overlays, parse_only
from camcli.batch.run_files.disk_names import DiskNames
from camcli.batch.run_files.overlay_names import Namer
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.decode.images import Enough, load_picture
from camcli.data.decode.isolate import Isolated
from camcli.data.sources.refs import ImageRef, is_url
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.models.outputs import Output
from camcli.models.runtime.openvino import use_cores
from camcli.models.runtime.policy import runtime_of, with_runtime
from camcli.printable import counted
from camcli.render.style import Style

if TYPE_CHECKING:
    from camcli.batch.run import Run

# Ray gives a block to another worker whenever its worker dies; an image that kills each of them
# must not do so for ever.
TRIES = 5


@dataclass(frozen=True)
class WorkerTask:
    """What a worker has to know; pickled.

    Attributes:
        load: loads the classifier.
        sha256: of its weights.
        runtime: for `with_runtime`.
        precision: likewise.
        what: method and target.
        directory: the run's; None without overlays.
        token: a file in it, by which a worker knows that it sees the same folder.
        images: folder of the images; None if they are behind URLs.
        style: of the overlays.
        only: which Results get one.
        enough: how many pixels of a photograph are needed; None for all.
        isolate: decode in processes of their own.
        batch_size: images in one forward pass.
        workers: threads that decode and draw.
        cores: processor cores of a worker.
        disk: what names the directory takes.
        output: what the network's outputs were found to be; None for what a worker finds.
    """

    load: Callable[[], Classifier]
    sha256: str | None
    runtime: str
    precision: str
    what: Explanation
    directory: RunDirectory | None
    token: Path
    images: Path | None
    style: Style
    only: str | None
    enough: Enough | None
    isolate: bool
    batch_size: int | None
    workers: int | None
    cores: int
    disk: DiskNames = DiskNames()  # noqa: RUF009 - frozen
    output: Output | None = None


def task_of(
    run: Run,
    what: Explanation,
    token: Path,
    load: Callable[[], Classifier],
    runtime: str,
    precision: str,
    cores: int,
) -> WorkerTask:
    """What a worker has to know of a run.

    Args:
        run: which.
        what: method and target.
        token: a file in its directory.
        load: loads the classifier where the worker is.
        runtime: the user's choice.
        precision: likewise.
        cores: of the worker.
    """
    root = run.source.finder.root
    # What runs here by choice runs there: with auto it depends on how many images there are.
    if runtime == "auto" and runtime_of(run.classifier)["name"] == "torch":
        runtime = "torch"
    directory = RunDirectory(run.directory.path.absolute(), run.directory.shard)
    directory.shared = run.directory.shared
    return WorkerTask(
        load=load,
        sha256=run.classifier.provenance.sha256,
        runtime=runtime,
        precision=precision,
        what=what,
        directory=directory if run.overlays else None,
        disk=run.directory.disk,
        token=token,
        images=None if is_url(root) or not root else Path(root),
        style=run.style,
        only=run.only,
        enough=run.enough(),
        isolate=run.isolate,
        batch_size=run.batch_size,
        workers=run.workers,
        cores=cores,
        output=run.classifier.output,
    )


class Worker:
    """One actor: blocks of references in, Results out."""

    def __init__(self, job: WorkerTask) -> None:
        """Load the network; what is wrong is told with the first block."""
        self.job = job
        self.problem: str | None = None
        try:
            self._check()
            use_cores(job.cores)
            classifier = job.load()
            if classifier.provenance.sha256 != job.sha256:
                raise CamcliError("it has other weights; install the same on every machine.")
            if job.output is not None:
                classifier = classifier.taken_for(job.output)
            self.classifier = with_runtime(classifier, job.runtime, precision=job.precision)
        except CamcliError as error:
            self.problem = str(error)
        # Decoding processes end with this one, as their pipes do.
        self.load_picture: Load = (
            Isolated(job.enough) if job.isolate else partial(load_picture, enough=job.enough)
        )
        wanted = None
        if job.only and self.problem is None:
            wanted = parse_only(job.only, self.classifier.classes)
        namer = Namer(disk=job.disk, alone=False, suffix=job.style.kind.suffix)
        self.sink = Overlays(job.directory, namer, job.style, wanted) if job.directory else None

    def _check(self) -> None:
        """Refuse what would otherwise be overlays on a disk of this machine, or rows of errors.

        Raises:
            CamcliError: a folder is not here.
        """
        if self.job.directory and not self.job.token.exists():
            raise CamcliError(
                f"the run directory {self.job.directory.path} is not there, or another; share it "
                "between all machines, or draw nothing with --no-overlays."
            )
        if self.job.images and not self.job.images.exists():
            raise CamcliError(
                f"the images' folder {self.job.images} is not there; share it, or name URLs."
            )

    def __call__(self, block: dict[str, Any]) -> dict[str, list[Any]]:
        """Explain a block.

        Args:
            block: ``number`` and ``ref``, a pickled reference.

        Returns:
            ``number`` and ``result``, a pickled Result; or ``number`` -1 and ``problem``.
        """
        if self.problem is None:
            try:
                refs: list[ImageRef] = [pickle.loads(data) for data in block["ref"]]
                with self._tried(refs, int(block["number"][0])):
                    results = [
                        pickle.dumps(result)
                        for result in stream(
                            refs, self.classifier, self.job.what, sink=self.sink,
                            load=self.load_picture,
                            batch_size=self.job.batch_size, workers=self.job.workers,
                        )
                    ]  # fmt: skip
                return {
                    "number": list(block["number"]),
                    "result": results,
                    "problem": [""] * len(results),
                }
            except CamcliError as error:  # a full disk, a runtime that disagrees
                self.problem = str(error)
        told = f"On {socket.gethostname()}: {self.problem}"
        return {"number": [-1], "result": [b""], "problem": [told]}

    @contextmanager
    def _tried(self, refs: list[ImageRef], number: int) -> Iterator[None]:
        """Count, in a file, how often a block is begun; without a shared folder nobody counts.

        Raises:
            CamcliError: too often, which means that it kills its workers.
        """
        tries = self.job.token.with_name(f"{self.job.token.name}-{number}")
        if self.job.token.exists():
            with tries.open("ab") as file:
                file.write(b".")
                if file.tell() > TRIES:
                    raise CamcliError(
                        f"{TRIES} workers died on the {counted(len(refs), 'image')} from "
                        f"{refs[0].rel} on; find the one that kills them, or the memory that they "
                        "lack."
                    )
        yield
        tries.unlink(missing_ok=True)
