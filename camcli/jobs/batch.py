"""A whole folder: what ``camcli batch`` is asked, and how it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.batch.contact_grid import SheetGrid, parse_grid
from camcli.batch.ray.installed import check_ray
from camcli.batch.run_files.overlay_names import Namer
from camcli.batch.run_files.run_paths import SHEET
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard, parse_shard
from camcli.batch.tables.export import check_format, export
from camcli.data.sources.find import Images, find_images
from camcli.data.sources.source import Source
from camcli.errors import UsageError
from camcli.jobs.learnt import learnt_of
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob, loaded
from camcli.jobs.photographs import tell_notes
from camcli.jobs.reference_copies import tell_members
from camcli.models import spec
from camcli.models.runtime.registry import check_runtime
from camcli.render.style import Style
from camcli.settings import Settings, check_types
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.batch.explanation import Explanation
    from camcli.batch.run import Engine, Run
    from camcli.models.classifier import Classifier
    from camcli.result import Result

ENGINES = ("local", "ray")
# Of threads, and of images in one forward pass: more than there are.
_MOST = 1_000_000
_MOST_PROCESSES = 256
# What is about the files of a run, and nothing without them.
_WRITTEN = (
    "isolate", "resume", "retry_failed", "overwrite", "shard", "engine", "address", "name_template",
    "processes", "devices", "only", "table_format", "contact_sheet",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BatchJob(Settings):
    """A run over any number of images.

    Attributes:
        images: a folder, a glob, ``@list.txt``, or a list of paths.
        network: which network; one that is loaded already will do, but cannot be pickled.
        maps: method, target and their options.
        style: how pictures look.
        out: run directory; None to write nothing.
        labels: where true labels come from.
        limit: stop after so many images.
        name_template: names of the overlays; None for the images' relative paths.
        only: draw overlays only for ``wrong``, ``below 0.6`` or ``class NAME``.
        overlays: whether to draw any.
        batch_size: images in one forward pass; None to find it out.
        workers: threads that decode and draw; None for one a core.
        processes: of Python, on each device.
        devices: of the processes: several GPUs, ``cuda:0,1``; one is the network's own.
        runtime: what runs the network.
        precision: what it computes in.
        isolate: decode in separate processes.
        resume: go on with an interrupted run.
        retry_failed: with `resume`: try the images again whose row is an error.
        overwrite: replace an earlier run.
        shard: part i of n, ``2/8``; None for all of it.
        engine: ``local``, or ``ray``.
        address: of a Ray cluster; None for ``$RAY_ADDRESS``, or none.
        table_format: of the table beside the CSV: ``csv`` for none, ``jsonl`` or ``parquet``.
        contact_sheet: ``4x6``: also draw a grid of so many results; None for none.
        contact_order: what it shows: ``first``, ``worst`` or ``random``.
    """

    images: Images
    network: ModelJob | Classifier = field(default_factory=ModelJob)
    maps: MapJob = field(default_factory=MapJob)
    style: Style = field(default_factory=Style)
    out: Path | None = None
    labels: str = "auto"
    limit: int | None = None
    name_template: str | None = None
    only: str | None = None
    overlays: bool = True
    batch_size: int | None = None
    workers: int | None = None
    processes: int = 1
    devices: str = "auto"
    runtime: str = "auto"
    precision: str = "float32"
    isolate: bool = False
    resume: bool = False
    retry_failed: bool = False
    overwrite: bool = False
    shard: str | None = None
    engine: str = "local"
    address: str | None = None
    table_format: str = "csv"
    contact_sheet: str | None = None
    contact_order: str = "first"

    def __post_init__(self) -> None:
        check_types(self)
        object.__setattr__(self, "style", self.maps.drawn(self.style))
        if isinstance(self.network, ModelJob):
            object.__setattr__(self, "network", self.maps.looked_at(self.network))

    @property
    def part(self) -> Shard | None:
        """Which part of the run this is; None for all of it."""
        return parse_shard(self.shard) if self.shard else None

    @property
    def grid(self) -> SheetGrid | None:
        """What the contact sheet shows."""
        return parse_grid(self.contact_sheet, self.contact_order) if self.contact_sheet else None

    def check(self, listener: Listener | None = None) -> None:
        """Refuse, without torch and before images are looked for, what cannot be meant.

        Args:
            listener: told which of several classes of one name is meant.

        Raises:
            UsageError: an unknown name, a number out of range, options that do nothing together,
                or a run directory that is not free.
            UnavailableError: Ray is not installed.
            CamcliError: a file that holds no weights.
        """
        if self.retry_failed and not self.resume:
            raise UsageError("--retry-failed goes on with a run: add --resume.")
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= _MOST:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} takes 1 to {_MOST:,}, not {value}.")
        check_format(self.table_format)
        part, _ = self.part, self.grid  # which say what is wrong with them
        self._check_engine()
        if self.out is None:
            self._check_unwritten()
        else:
            directory = RunDirectory(self.out, part)
            directory.check(resume=self.resume, overwrite=self.overwrite)
        check_runtime(self.runtime, self.precision)
        if self.precision != "float32" and getattr(self.network, "against", None) is not None:
            raise UsageError(
                "--against compares with photographs that were looked at in float32: leave "
                "--precision out."
            )
        if self.name_template:
            Namer(self.name_template)
        with self.maps.blaming(self.network):
            self.maps.options()  # of one method
            self.maps.check(self.network, listener or LogListener(), signed=self.style.signed)

    def _check_engine(self) -> None:
        if self.engine not in ENGINES:
            raise UsageError(f"--engine is local or ray, not {self.engine!r}.")
        if self.engine == "local":
            if self.address is not None:
                raise UsageError("--address is that of a Ray cluster: add --engine ray.")
            if self._several:
                self._check_processes()
            return
        if self._several:
            raise UsageError(
                "--engine ray starts its own workers, one for each GPU or core: leave --processes "
                "out, and name one --device."
            )
        check_ray()
        if self.precision == "int8":
            raise UsageError(
                "--precision int8 is calibrated on one machine and would differ between Ray's "
                "workers; leave it out."
            )
        if not isinstance(self.network, ModelJob):
            raise UsageError(
                "With engine='ray' each worker loads the network: describe it by a ModelJob, or "
                "its name, instead of loading it."
            )

    @property
    def _several(self) -> list[str]:
        """The device of each process; none where this one is all there is."""
        several = spec.named_devices(self.devices)
        if not 1 <= self.processes <= _MOST_PROCESSES:
            raise UsageError(f"--processes takes 1 to {_MOST_PROCESSES}, not {self.processes}.")
        if len(several) * self.processes < 2:
            return []
        if len(several) == 1 and isinstance(self.network, ModelJob):
            several = [self.network.device]
        return [device for _ in range(self.processes) for device in several]

    def _check_processes(self) -> None:
        if self.precision == "int8":
            raise UsageError(
                "--precision int8 is calibrated in one process and would differ between several; "
                "leave it, or --processes, out."
            )
        if not isinstance(self.network, ModelJob):
            raise UsageError(
                "With several processes each loads the network: describe it by a ModelJob, or its "
                "name, instead of loading it."
            )

    def _check_unwritten(self) -> None:
        plain = {each.name: each.default for each in fields(self)}
        chosen = [name for name in _WRITTEN if getattr(self, name) != plain[name]]
        if chosen:
            verb = "is" if len(chosen) == 1 else "are"
            raise UsageError(
                f"{' and '.join(chosen)} {verb} for runs that are written: give it an `out`."
            )

    def find(self, listener: Listener | None = None) -> Source:
        """The images, not listed yet.

        Args:
            listener: told what there is to know about their labels.

        Raises:
            UsageError: there are none; or `only` chooses none of them.
        """
        listener = listener or LogListener()
        images = self.images
        if not isinstance(images, str | Path) and len(images) == 1:
            images = images[0]
        words = [images] if isinstance(images, str | Path) else images[:3]
        with listener.slow(f"Looking for images in {' '.join(map(str, words))} ..."):
            source = find_images(images, limit=self.limit, labels=self.labels)
        tell_notes(source, listener)
        if self.only:
            from camcli.batch.overlay_writer import check_only  # OpenCV and Pillow

            check_only(self.only, source, overlays=self.overlays)
        return source

    def start(
        self,
        source: Source | None = None,
        classifier: Classifier | None = None,
        listener: Listener | None = None,
    ) -> Run:
        """Load what has not been loaded, and make the run directory ready.

        Args:
            source: of `find`; by default the images are looked for.
            classifier: what `network` is once it is loaded; by default it is loaded.
            listener: told what is found out on the way.

        Returns:
            The run, which is done as it is iterated; `finish` then writes what comes last.

        Raises:
            UsageError: as `check` and `find` do; or there is no such class or layer, the
                directory holds another run, or there is none.
            UnavailableError: the weights are not on this machine.
            CamcliError: the directory cannot be written.
        """
        if self.out is None:
            raise UsageError("A run is written: give it an `out`.")
        from camcli.batch.run import Run

        source, classifier, what = self._ready(source, classifier, listener or LogListener())
        run = Run(
            source, classifier, what, RunDirectory(self.out, self.part), self.style,
            self.name_template, only=self.only, overlays=self.overlays,
            batch_size=self.batch_size, workers=self.workers, isolate=self.isolate,
            labels=self.labels, engine=self._engine(), preset=self.maps.preset,
        )  # fmt: skip
        beside = [SHEET] if self.grid else []
        if self.table_format != "csv":
            beside.append(run.directory.csv.with_suffix(f".{self.table_format}").name)
        run.prepare(
            resume=self.resume, overwrite=self.overwrite, retry_failed=self.retry_failed,
            files=beside,
        )  # fmt: skip
        if listener and run.what.told:
            listener.say(run.what.told)
        if listener and (told := self._advice(run)):
            listener.say(told)
        return run

    def _advice(self, run: Run) -> str | None:
        """What would make the run faster, where that can be known before it begins."""
        alone = run.engine is None and self.part is None and not self.name_template
        if not alone or not isinstance(self.network, ModelJob):  # which processes would not take
            return None
        if run.what.how.passes(run.classifier) > 1:  # the GPU has enough to do
            return None
        from camcli.batch.processes.advice import advice
        from camcli.models.runtime.openvino import available_cores

        device = str(run.classifier.device)
        return advice(run.source, run.counts.before, device, available_cores())

    def results(
        self, classifier: Classifier | None = None, listener: Listener | None = None
    ) -> Iterator[Result]:
        """All of it, one Result after another; everything is checked before this returns.

        Args:
            classifier: as for `start`.
            listener: likewise.

        Raises:
            UsageError: as `start`.
        """
        listener = listener or LogListener()
        self.check(listener)
        if self.out is not None:
            run = self.start(self.find(listener), classifier, listener)
            return self._finishing(run, self.out, listener)
        from camcli.batch.engine import stream

        source, classifier, what = self._ready(None, classifier, listener)
        if what.told:
            listener.say(what.told)
        return stream(
            source, classifier, what, batch_size=self.batch_size, workers=self.workers
        )  # fmt: skip

    def _finishing(self, run: Run, out: Path, listener: Listener) -> Iterator[Result]:
        yield from run
        self.finish(run)
        if not self.part and (told := learnt_of(out)):
            listener.say(told)

    def finish(self, run: Run) -> Path:
        """What is written once all images are done: the contact sheet, the table's other formats.

        Returns:
            The table in the format that was asked for.

        Raises:
            CamcliError: it cannot be written.
        """
        if self.grid:
            from camcli.batch.contact_sheet import draw_sheet

            draw_sheet(run, self.grid)
        return export(run.directory.csv, self.table_format)

    def _ready(
        self, source: Source | None, classifier: Classifier | None, listener: Listener
    ) -> tuple[Source, Classifier, Explanation]:
        if source is None:
            self.check(listener)
            source = self.find(listener)
        from camcli.batch.first_images import understood
        from camcli.batch.folder_order import settled
        from camcli.batch.lanes import keep_big_blocks
        from camcli.models.runtime.policy import with_runtime

        keep_big_blocks()  # before a runtime starts threads of its own
        with self.maps.blaming(self.network):
            classifier = classifier or loaded(self.network, listener)
        cut = self.network if self.maps.at_its_layer() else None
        if isinstance(cut, ModelJob) and (where := cut.chosen_layer(classifier)):
            listener.say(where)
        told = source.notes
        classifier = understood(classifier, source, listener.say, listener.warn)
        source = settled(source, classifier, listener.say).numbered(classifier.classes)
        tell_notes(source, listener, told)
        tell_members(classifier, source, listener.warn, listener.say)
        with self.maps.blaming(self.network):
            what = self.maps.explanation(classifier, signed=self.style.signed)
        self.maps.tell(what, self.network, classifier, listener)
        classifier = with_runtime(
            classifier, self.runtime, precision=self.precision, images=source,
            passes=what.how.passes(classifier), warn=listener.warn, say=listener.say,
        )  # fmt: skip
        return source, classifier, what

    def _engine(self) -> Engine | None:
        """What explains the images in the place of this process."""
        several = self._several
        if self.engine == "local" and not several:
            return None
        from camcli.batch.processes.engine import ProcessEngine
        from camcli.batch.ray.engine import RayEngine

        network = self.network
        assert isinstance(network, ModelJob), "`check` has refused it"
        if several:
            loads = tuple(network.on(device).load for device in several)
            return ProcessEngine(loads, self.runtime, self.precision)
        return RayEngine(
            network.elsewhere().load, self.runtime, self.precision, self.address,
            gpus=network.device.startswith(("auto", "cuda")),
        )  # fmt: skip
