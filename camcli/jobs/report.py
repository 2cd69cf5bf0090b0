"""A run, or two beside each other, as a page: what ``camcli report`` is asked, and does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError
from camcli.jobs.beside.findings import audit_of, check_given, check_of
from camcli.settings import Settings
from camcli.train.progress import Bar, Listener, LogListener

if TYPE_CHECKING:
    from camcli.jobs.beside.objects import Annotated
    from camcli.render.report import RunData
    from camcli.render.report.rows.beside import Beside

COMPARISON = Path("camcli-comparison")
"""Where the page of two runs goes that was not told where to."""


@dataclass(frozen=True, slots=True)
class ReportJob(Settings):
    """A page that is to be made.

    Attributes:
        runs: one run directory of ``camcli batch``, or two, which are compared image by image.
        out: folder of the page; None for ``report`` in the run, or `COMPARISON` for two.
        self_contained: everything in one HTML file.
        thumbnails: small copies of so many images at most; the others are shown from the
            photographs themselves.
        evaluation: folder of a ``camcli evaluate``; None for the one over the same photographs
            that lies beside the run, if there is one.
        training: folder of the ``camcli train`` that made the network; None for that of the run's
            checkpoint, if it is there.
        boxes: where the photographs' boxes are, as for ``camcli evaluate``; None, as for `masks`,
            for those of the evaluation that was found.
        masks: folder of their masks.
        trimap: whether the masks are trimaps.
        audit_dir: folder of the audit that the page shows; None for the one that fits the run best
            of those beside or inside it, and in the current folder.
        check_dir: the same of the check.
    """

    runs: Sequence[Path]
    out: Path | None = None
    self_contained: bool = False
    thumbnails: int = 4000
    evaluation: Path | None = None
    training: Path | None = None
    boxes: Path | None = None
    masks: Path | None = None
    trimap: bool = False
    audit_dir: Path | None = None
    check_dir: Path | None = None

    def check(self) -> None:
        """Refuse what is no run.

        Raises:
            UsageError: another number of runs than one or two, a folder that is none, or one
                whose shards have not been merged; less than no thumbnails; a folder without an
                audit or a check.
        """
        if len(self.runs) not in (1, 2):
            raise UsageError(
                f"camcli report takes one run, or two to compare; not {len(self.runs)}."
            )
        if self.trimap and self.masks is None:
            raise UsageError("--trimap says how --masks are read: give them.")
        if len(self.runs) > 1 and (one := self.evaluation or self.training):
            name = "--evaluation" if self.evaluation else "--training"
            raise UsageError(
                f"{name} {one} is shown on the page of one run; this is the page of two."
            )
        if self.thumbnails < 0:
            raise UsageError(f"--thumbnails must be at least 0, not {self.thumbnails}.")
        for run in self.runs:
            check_run(run)
        if self.audit_dir is None and self.check_dir is None:
            return
        if len(self.runs) > 1:
            option = "--check" if self.audit_dir is None else "--audit"
            raise UsageError(f"{option} is about one run; the page of two shows no findings.")
        check_given(self.audit_dir, self.check_dir)

    def run(self, listener: Listener | None = None) -> Path:
        """Write the page; one that is there is replaced when the new one is complete.

        Args:
            listener: hears what is going on; by default the log does.

        Returns:
            The page, ``index.html`` in its folder.

        Raises:
            UsageError: as `check` does, or a run without rows.
            CamcliError: something cannot be read or written.
        """
        from camcli.batch.run_files.run_paths import REPORT
        from camcli.render.report import write_comparison, write_report
        from camcli.render.report.page.folder import replaceable

        listener = listener or LogListener()
        self.check()
        out = self.out or (self.runs[0] / REPORT if len(self.runs) == 1 else COMPARISON)
        replaceable(out)  # or it is refused, before anything is read that takes its time
        known = [self._beside(run, listener) for run in self.runs]
        first, *others = [
            replace(read_run(run, listener), beside=beside, annotator=annotator)
            for run, (beside, annotator) in zip(self.runs, known, strict=True)
        ]
        shared: dict[str, Any] = {
            "thumbnails": self.thumbnails, "self_contained": self.self_contained,
        }  # fmt: skip
        with ExitStack() as stack:
            for _, annotator in known:
                if annotator is not None:
                    stack.callback(annotator.tell_outside)
                    annotator.tick = _Measuring(listener, stack, len(annotator))
            shared["tick"] = _Thumbnails(listener, stack)
            if others:
                return write_comparison(first, others[0], out, say=listener.say, **shared)
            shared["working"] = listener.slow
            first.beside = replace(
                first.beside,
                audit=audit_of(first, self.audit_dir, listener),
                check=check_of(first, self.check_dir, listener),
            )
            return write_report(first, out, **shared)

    def _beside(self, run: Path, listener: Listener) -> tuple[Beside, Annotated | None]:
        """What else is known of a run, and of its photographs."""
        from camcli.batch.run_files.rundir import RunDirectory
        from camcli.jobs.beside.evaluation import find_evaluation
        from camcli.jobs.beside.objects import annotated
        from camcli.jobs.beside.training import find_training
        from camcli.jobs.learnt import learnt_in
        from camcli.render.report.rows.beside import Beside

        directory = RunDirectory(run)
        info = directory.read_info()
        evaluation = find_evaluation(info, run, self.evaluation, listener.say)
        annotator = annotated(
            info, directory.rows(), evaluation, listener,
            boxes=self.boxes, masks=self.masks, trimap=self.trimap,
        )  # fmt: skip
        if len(self.runs) > 1:
            return Beside(), annotator
        training = find_training(info, run, self.training, listener.say)
        if training and (learnt := learnt_in(run, info, training)) and learnt.sentence():
            training = {**training, "learnt": learnt.record()}
        return Beside(evaluation=evaluation, training=training), annotator


class _Thumbnails:
    """A bar that is there from the first thumbnail on: what is slow before has its own."""

    def __init__(self, listener: Listener, stack: ExitStack) -> None:
        self._listener, self._stack = listener, stack
        self._bar: Bar | None = None

    def __call__(self) -> None:
        if self._bar is None:
            bar = self._listener.bar("report", None, "thumbnail")
            self._bar = self._stack.enter_context(bar)
        self._bar.advance(1)


class _Measuring:
    """A bar that is there while heat is measured by boxes and masks, and not before or after."""

    def __init__(self, listener: Listener, stack: ExitStack, total: int) -> None:
        self._listener, self._total, self._done = listener, total, 0
        self._own = stack.enter_context(ExitStack())
        self._bar: Bar | None = None

    def __call__(self) -> None:
        if self._bar is None:
            bar = self._listener.bar("heat on objects", self._total, "image")
            self._bar = self._own.enter_context(bar)
        self._bar.advance(1)
        self._done += 1
        if self._done >= self._total:
            self._own.close()


def check_run(path: Path) -> None:
    """Refuse a folder that is no run.

    Raises:
        UsageError: it is none, or its shards have not been merged.
    """
    from camcli.batch.run_files.rundir import RunDirectory

    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; give the --out of a 'camcli batch'.")
    table = RunDirectory(path).csv
    if not table.is_file():
        if any(path.glob("predictions.*-of-*.csv")):
            raise UsageError(f"{path} holds shards; join them first: camcli merge {path}")
        raise UsageError(f"{path} is not a run: it has no {table.name}. 'camcli batch' makes one.")


def read_run(path: Path, listener: Listener | None = None) -> RunData:
    """A run directory as the page takes it; rows and maps are read as they are consumed.

    Args:
        path: the run directory.
        listener: told what the run has not; by default the log is.

    Raises:
        UsageError: see `check_run`.
        CamcliError: its description cannot be read.
    """
    from camcli.batch.run_files.run_paths import HEATMAPS
    from camcli.batch.run_files.rundir import RunDirectory
    from camcli.batch.tables.heatmaps import read_heatmaps
    from camcli.render.report import RunData

    check_run(path)
    directory = RunDirectory(path)
    stem, suffix = HEATMAPS.split(".")
    shards = sorted(path.glob(f"{stem}.*-of-*.{suffix}"))
    files = [file for file in (directory.heatmaps, *shards) if file.is_file()]
    if not files:
        (listener or LogListener()).say(
            f"{path} has no {HEATMAPS}; the page shows the overlays that the run drew."
        )
    return RunData(
        name=path.absolute().name,
        path=path,
        info=directory.read_info(),
        rows=directory.rows(),
        heatmaps=(record for file in files for record in read_heatmaps(file)),
    )
