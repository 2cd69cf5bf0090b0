"""A whole run: a source of images, a run directory, and everything that ends up in it."""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Protocol

from camcli import __version__
from camcli.batch.engine import stream
from camcli.batch.explain import Load, failed
from camcli.batch.explanation import Explanation
from camcli.batch.overlay_writer import Overlays, check_only, parse_only
from camcli.batch.run_files.overlay_names import Namer
from camcli.batch.run_files.ownership import BATCH, inside_of
from camcli.batch.run_files.rundir import RunDirectory, now
from camcli.batch.run_files.same_settings import check_labels
from camcli.batch.run_files.settings import RunSettings, class_digest
from camcli.batch.run_files.source_digest import Listing
from camcli.batch.summary.counts import Counts
from camcli.batch.summary.label_summary import LABELS, label_summary, recorded
from camcli.batch.summary.value_summary import VALUES, value_summary
from camcli.batch.tables.heatmaps import Heatmaps, line
from camcli.batch.tables.journal import Journal, copy_in_order, copy_without
from camcli.batch.tables.rows import columns, of_network, row
from camcli.cam.map_options import check_signed
from camcli.cam.method_facts import AUTO
from camcli.data.decode.images import Enough, load_picture
from camcli.data.decode.isolate import Isolated
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.source import Source
from camcli.errors import UsageError, stage
from camcli.models.classifier import Classifier
from camcli.models.reference.compared import references_of
from camcli.models.runtime.policy import precision_of, runtime_of
from camcli.ours import FILES, KIND, OVERLAYS, told_folder
from camcli.render.style import Style
from camcli.result import Result

# In run.json: rows were taken out to be done again, so those after them come too early.
_UNSORTED = "unsorted"


class Engine(Protocol):
    """What works through a run elsewhere: `camcli.batch.ray.engine.RayEngine` is one.

    Attributes:
        name: recorded in ``run.json``.
    """

    name: ClassVar[str]

    def __call__(self, run: Run, refs: Iterable[ImageRef], what: Explanation) -> Generator[Result]:
        """Explain `refs`; Results come in their order, after their overlays are written."""


@dataclass(slots=True)
class Run:
    """One run over a source, resumable.

    Iterating yields a Result for each image that this process explained, after its overlay and its
    row are on disk.

    Attributes:
        source: the images.
        classifier: the network.
        what: method and target.
        directory: where everything goes.
        style: how pictures look.
        name_template: of the overlays' names; None for the relative path.
        only: which Results get a picture, as `camcli.batch.overlay_writer.parse_only` reads it;
            None for all of them.
        overlays: whether there are pictures at all.
        batch_size: images in one forward pass.
        workers: threads that decode and draw.
        isolate: decode in separate processes (`camcli.data.decode.isolate`).
        labels: where the source's labels come from, in the user's words; recorded.
        engine: what explains the images in the place of this process; it writes the overlays.
        preset: under which name its settings were asked for; recorded.
        command: recorded in ``run.json``.
        counts: how it is going.
        again: how many images that failed are tried again.
        labels_found: of a network of labels, once the run is finished: mean average precision and
            F1, as ``run.json`` has them; None where no image's labels are known.
        values_found: of a network with one value, likewise, how far it is from labels that are
            numbers; None where there are none.
        stop: set it to let the run finish what has begun, and then end as interrupted.
    """

    source: Source
    classifier: Classifier
    what: Explanation
    directory: RunDirectory
    style: Style = field(default_factory=Style)
    name_template: str | None = None
    only: str | None = None
    overlays: bool = True
    batch_size: int | None = None
    workers: int | None = None
    isolate: bool = False
    labels: str = "auto"
    engine: Engine | None = None
    preset: str | None = None
    command: list[str] = field(default_factory=lambda: list(sys.argv))
    counts: Counts = field(default_factory=Counts)
    again: int = field(init=False, default=0)
    labels_found: dict[str, Any] | None = field(init=False, default=None)
    values_found: dict[str, Any] | None = field(init=False, default=None)
    stop: threading.Event = field(default_factory=threading.Event)
    _namer: Namer = field(init=False)
    _finished: set[str] = field(init=False, default_factory=set)
    _unsorted: bool = field(init=False, default=False)
    _listing: Listing = field(init=False, default_factory=Listing)

    def __post_init__(self) -> None:
        self._namer = Namer(self.name_template, suffix=self.style.kind.suffix)
        if self.style.signed:
            check_signed(self.what.how, self.classifier.layer)
        if self.only:
            check_only(
                self.only, self.source, overlays=self.overlays, classes=self.classifier.classes,
                values=self.classifier.output.measures,
            )  # fmt: skip
        template = self.name_template or "{rel}{ext}"
        if self.directory.shard and not all(each in template for each in ("{rel}", "{ext}")):
            raise UsageError(
                "Shards do not know each other's names: with --shard, --name-template needs {rel} "
                "and {ext}, so that x.jpg and x.png differ."
            )
        if self.engine and self.name_template:
            raise UsageError(
                "Workers do not know each other's names: with --engine ray, several devices or "
                "--processes, leave --name-template out."
            )

    def config(self) -> dict[str, Any]:
        """What decides the rows, as plain values: the same config gives the same rows."""
        provenance, predicting = self.classifier.provenance, self.classifier.predicting
        model = {"name": provenance.name, "weights": provenance.weights,
                 "sha256": provenance.sha256}  # fmt: skip
        return RunSettings(
            source=self.source.finder.root,
            model=model | ({"key": provenance.key} if provenance.key else {}),
            preprocess=self.classifier.preprocess.to_dict(),
            predict_size=predicting.size if predicting else None,
            precision=precision_of(self.classifier),
            output=self.classifier.output.kind,
            thresholds=_recorded(self.classifier),
            method=self.what.method.name,
            layer=self.classifier.layer,
            target=self.what.target,
            score=self.what.score,
            topk=self.what.topk,
            top=self.what.top,
            style=asdict(self.style),
            name_template=self.name_template,
            only=self.only,
            overlays=self.overlays,
            labels=self.labels,
            classes=class_digest(self.classifier.classes),
            against=against.to_dict() if (against := references_of(self.classifier)) else None,
            **self.what.how.options(),
        ).recorded()

    def prepare(
        self,
        *,
        resume: bool = False,
        overwrite: bool = False,
        retry_failed: bool = False,
        files: Sequence[str] = (),
    ) -> None:
        """Make the run directory ready and read what an earlier run finished.

        Args:
            resume: go on with it.
            overwrite: replace it.
            retry_failed: with `resume`: try the images again whose row is an error.
            files: what will be written beside the table, the maps and the overlays.

        Raises:
            UsageError: the directory is not free, or holds another run, or one of the same
                images with other labels.
            CamcliError: it cannot be written.
        """
        if retry_failed and not resume:
            raise UsageError("--retry-failed goes on with a run: add --resume.")
        if overwrite:
            self.directory.check_source(path for path, _ in self.source.finder)
        if resume:  # what nobody chose stays what it was when the run was begun
            recorded = self.directory.earlier().get("config")
            if isinstance(recorded, dict):
                self.what = self.what.as_before(recorded)
        self.directory.prepare(self.config(), resume=resume, overwrite=overwrite, files=files)
        if resume:
            try:
                check_labels(self.directory.rows(), self.source)
            except BaseException:
                self.directory.finish()
                raise
        self._unsorted = bool(self.directory.earlier().get(_UNSORTED))
        if retry_failed:
            self._forget_failed()
        alone = self.directory.shard is None and self.engine is None
        self._namer = Namer(
            self.name_template, disk=self.directory.disk, alone=alone, suffix=self.style.kind.suffix
        )
        for values in self.directory.rows():
            self._finished.add(values["path"])
            correct = values["correct"]
            self.counts.add(
                values["status"],
                None if correct == "" else correct == "1",
                drawn=bool(values["overlay"]),
                label=values["label"],
            )
            if values["overlay"]:
                self._namer.take(values["overlay"].removeprefix(f"{OVERLAYS}/"))
        self.counts.before = self.counts.done
        self.directory.write_info(self._info("running"))

    def _forget_failed(self) -> None:
        """Take the rows of failed images out of the table, so that they are left to be done.

        Killed at any moment, what is not in the table is done by a resume, and at its end the table
        is put into the source's order.
        """
        failed = {row["path"] for row in self.directory.rows() if row["status"] == "error"}
        # Rows of images that are not there any more, or beyond --limit, say all there is to say.
        here = [ref.rel for ref in self._mine() if ref.rel in failed] if failed else []
        self.again = len(here)
        if not here:
            return
        self._unsorted = True
        self.directory.write_info(self._info("running"))
        csv = self.directory.csv
        self.directory.replace_table(lambda new: copy_without(csv, new, set(here)))

    def _sort(self) -> None:
        """Put rows that were done again where an undisturbed run has them."""
        csv = self.directory.csv
        # As far as it goes: what is beyond --limit may be in the table, too.
        order = (ref.rel for ref in self._mine(replace(self.source, limit=None)))
        self.directory.replace_table(lambda new: copy_in_order(csv, new, order))
        self._unsorted = False

    def __iter__(self) -> Iterator[Result]:
        """Explain what is left; see the class."""
        started = time.perf_counter()
        wanted = parse_only(self.only, self.classifier.classes) if self.only else None
        sink = Overlays(self.directory, self._namer, self.style, wanted) if self.overlays else None
        state = "interrupted"
        try:
            with ExitStack() as stack:
                names = columns(self.what.top, **of_network(self.classifier))
                journal = stack.enter_context(Journal(self.directory.csv, names))
                # Pages need maps; who wants no pictures wants the table only.
                heatmaps = (
                    stack.enter_context(Heatmaps(self.directory.heatmaps))
                    if self.overlays
                    else None
                )
                kept = heatmaps is not None
                what = replace(self.what, truth=kept, features=kept)
                if self.engine:
                    results = self.engine(self, self._left(), what)
                else:
                    load: Load = (
                        stack.enter_context(Isolated(self.enough()))
                        if self.isolate
                        else partial(load_picture, enough=self.enough())
                    )
                    results = stream(
                        self._left(), self.classifier, what,
                        sink=sink, load=load, batch_size=self.batch_size, workers=self.workers,
                        stop=self.stop,
                    )  # fmt: skip
                # Closed before what it uses is closed, however the run ends.
                for explained in stack.enter_context(closing(results)):
                    result = self._record(explained, journal, heatmaps)
                    self.counts.add(
                        result.status, result.correct, drawn=result.overlay is not None,
                        label=result.ref.label,
                    )  # fmt: skip
                    yield result
            if not self.stop.is_set():
                if self._unsorted:
                    self._sort()
                if self.classifier.output.multi_label and (
                    found := label_summary(self.directory.csv)
                ):
                    self.labels_found = recorded(*found)
                if self.classifier.output.measures:
                    self.values_found = value_summary(self.directory.csv)
                state = "finished"
        finally:
            self._close(state, time.perf_counter() - started)

    def _record(self, result: Result, journal: Journal, heatmaps: Heatmaps | None) -> Result:
        """Put one Result on disk.

        Returns:
            It, or the error that it became because it could not be put into words.

        Raises:
            CamcliError: nothing can be written.
        """
        try:
            with stage("heatmaps"):
                maps = line(result) if heatmaps and result.heats else ""
            with stage("journal"):
                values = journal.line(row(result, self.what.top, **of_network(self.classifier)))
        except Exception as error:
            if result.status == "error":
                raise
            wrong = failed(result.ref, error)
            if result.overlay is not None:  # which no row would name
                (self.directory.path / result.overlay).unlink(missing_ok=True)
            return self._record(wrong, journal, heatmaps)
        if heatmaps:
            heatmaps.write(maps)
        journal.write(values)
        return result

    def enough(self) -> Enough | None:
        """How many pixels of a photograph the network and the pictures need; None for all."""
        if self.overlays and self.style.max_size is None:
            return None
        drawn = (self.style.max_size or 0) if self.overlays else 0
        passes = (self.classifier.preprocess, self.classifier.predicting)
        return Enough(max(each.enough() for each in passes if each), drawn)

    def _left(self) -> Iterator[ImageRef]:
        """What is not in the table yet."""
        return (ref for ref in self._mine() if ref.rel not in self._finished)

    def _mine(self, source: Source | None = None) -> Iterator[ImageRef]:
        """The images of the source, or of the shard; never the run's own pictures."""
        source = source or self.source
        is_own = inside_of(self.directory.path)
        shard = self.directory.shard
        found = self._listing.watch(source) if source is self.source else source
        for ref in shard.take(found) if shard else found:
            if ref.blob is not None or not is_own(str(ref.path.parent)):
                yield ref

    def total(self) -> int | None:
        """How many rows there will be: a walk over the source without opening an image.

        None where it cannot be told (`Source.count`).
        """
        count = self.source.count()
        shard = self.directory.shard
        return shard.count(count) if shard and count is not None else count

    def _close(self, state: str, seconds: float) -> None:
        try:
            self.directory.write_info(self._info(state, seconds))
        finally:
            self.directory.finish()

    def _info(self, state: str, seconds: float | None = None) -> dict[str, Any]:
        fresh = self.counts.done - self.counts.before
        return {
            "camcli": __version__,
            KIND: BATCH,
            "state": state,
            "command": self.command,
            **told_folder(),
            "config": self.config(),
            # Not in the config either: the same maps may be asked for by their method's name.
            **({"asked": AUTO.name, "chosen": chosen} if (chosen := self.what.how.chosen) else {}),
            **({"preset": self.preset} if self.preset else {}),
            "provenance": self.classifier.provenance.to_dict(),
            "device": str(self.classifier.device),
            # Not in the config: runtimes are held to the same rows, so a resume may change them.
            "runtime": runtime_of(self.classifier),
            "engine": self.engine.name if self.engine else "local",
            "machine": {"python": platform.python_version(), "platform": platform.platform()},
            "counts": asdict(self.counts),
            **({LABELS: self.labels_found} if self.labels_found else {}),
            **({VALUES: self.values_found} if self.values_found else {}),
            **({_UNSORTED: True} if self._unsorted else {}),
            "listing": self._listing.record(),
            "left_out": dict(self.source.left_out.counts),
            FILES: self.directory.files,
            "written": now(),
            "seconds": None if seconds is None else round(seconds, 3),
            "images_per_second": round(fresh / seconds, 2) if seconds and fresh else None,
        }


def _recorded(classifier: Classifier) -> list[float] | float | None:
    """The thresholds: one where all classes have the same; None for the usual ones."""
    found = classifier.output.thresholds
    if found is None:
        return None
    if not classifier.output.multi_label:  # of two classes that exclude each other
        return found[1]
    return found[0] if len(set(found)) == 1 else list(found)
