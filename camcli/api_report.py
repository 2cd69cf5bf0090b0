"""The Python API: a run, or two beside each other, as a page."""

from __future__ import annotations

from pathlib import Path

from camcli.jobs.record import filled
from camcli.jobs.report import ReportJob
from camcli.train.progress import Listener

R = ReportJob(())


def report(
    *runs: str | Path,
    out: str | Path | None = R.out,
    self_contained: bool = R.self_contained,
    thumbnails: int = R.thumbnails,
    evaluation: str | Path | None = R.evaluation,
    training: str | Path | None = R.training,
    boxes: str | Path | None = R.boxes,
    masks: str | Path | None = R.masks,
    trimap: bool = R.trimap,
    audit_dir: str | Path | None = R.audit_dir,
    check_dir: str | Path | None = R.check_dir,
    listener: Listener | None = None,
) -> Path:
    """Make a page on which a run can be searched, sorted and looked at.

    Args:
        runs: a run directory of `camcli.batch`; or two, which are compared image by image.
        out: folder of the page; by default ``report`` in the run, or ``camcli-comparison``.
        self_contained: everything in one HTML file, to be mailed; for up to 2000 images.
        thumbnails: make small copies of so many images at most; the others are shown from the
            photographs themselves.
        evaluation: folder of a `camcli.evaluate` to show; by default the newest one over the same
            photographs beside the run.
        training: folder of the `camcli.train` that made the network; by default that of the run's
            checkpoint.
        boxes: where the photographs' boxes are, as for `camcli.evaluate`: drawn, and how much of
            the heat lies on them; by default those of the evaluation that is shown.
        masks: folder of their masks, likewise.
        trimap: whether the masks are trimaps.
        audit_dir: folder of the audit that the page shows; by default the one that fits the run
            best of those beside or inside it, and in the current folder.
        check_dir: the same of the check.
        listener: hears what is going on, as `camcli.train.progress.Listener` says: that of
            ``camcli.cli.terminal.progress`` draws bars. By default the logger ``camcli`` is told.

    Returns:
        The page, ``index.html`` in its folder.

    Raises:
        UsageError: a folder that is no run, or has no rows; or more than two.
        CamcliError: something cannot be read or written.

    Example:
        >>> import camcli
        >>> list(camcli.batch("photos", out="run"))                   # doctest: +SKIP
        >>> camcli.report("run")                                      # doctest: +SKIP
        PosixPath('run/report/index.html')
    """
    return filled(ReportJob, locals()).run(listener)
