"""Which audit and which check belong to a run, and what the page says of where they are from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.data.sources.refs import is_url
from camcli.errors import CamcliError, UsageError
from camcli.printable import printable
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.evaluate.findings.for_report import FindingsRecord, PathInRun
    from camcli.render.report import RunData

Values = Callable[["FindingsRecord", "PathInRun"], dict[str, Any]]
"""What a record is turned into: `audit_values` or `check_values`."""


def audit_of(run: RunData, given: Path | None, listener: Listener) -> dict[str, Any] | None:
    """What ``camcli audit`` found out about a run.

    Args:
        run: the run.
        given: the audit's folder; None for the one that fits best beside or inside the run, or in
            the current folder.
        listener: told which one was taken.

    Returns:
        Plain values; None where there is none.

    Raises:
        UsageError: `given` holds no audit.
        CamcliError: what it holds is not as camcli writes it.
    """
    from camcli.evaluate.audit.audit_files import RECORD
    from camcli.evaluate.audit.for_report import audit_values

    return _found(run, "audit", RECORD, given, audit_values, _audit_fits, listener)


def check_of(run: RunData, given: Path | None, listener: Listener) -> dict[str, Any] | None:
    """What ``camcli check`` found out about the photographs of a run; see `audit_of`."""
    from camcli.evaluate.check.check_files import RECORD
    from camcli.evaluate.check.for_report import check_values

    return _found(run, "check", RECORD, given, check_values, _check_fits, listener)


def check_given(audit: Path | None, check: Path | None) -> None:
    """Refuse folders that hold no audit or check, before anything is made.

    Raises:
        UsageError: one does not.
    """
    from camcli.evaluate.audit.audit_files import RECORD as AUDIT
    from camcli.evaluate.check.check_files import RECORD as CHECK

    for kind, folder, name in (("audit", audit, AUDIT), ("check", check, CHECK)):
        if folder is not None:
            _opened(folder, name, kind)


def _opened(folder: Path, name: str, kind: str) -> FindingsRecord:
    from camcli.evaluate.findings.for_report import open_record

    record = open_record(folder, name, kind)
    if record is None:
        raise UsageError(
            f"--{kind} {folder}: there is no {name} of 'camcli {kind}' in it; give the folder that "
            "was its --out."
        )
    return record


def _found(
    run: RunData,
    kind: str,
    name: str,
    given: Path | None,
    values: Values,
    fits: Callable[[RunData, FindingsRecord], int | None],
    listener: Listener,
) -> dict[str, Any] | None:
    from camcli.evaluate.findings.for_report import records_in

    if given is not None:
        record = _opened(given, name, kind)
        return values(record, _place(run, record, strict=False)) | _about(run, record, [])
    places = [run.path, run.path.absolute().parent, Path.cwd()]
    ranked = [
        (rank, -record.time, str(record.folder), record)
        for record in records_in(places, name, kind)
        if (rank := fits(run, record)) is not None
    ]
    others = [record for *_, record in sorted(ranked, key=lambda each: each[:3])]
    while others:
        record, *others = others
        try:
            found = values(record, _place(run, record)) | _about(run, record, others)
        except CamcliError as error:
            listener.warn(f"The page leaves that {kind} out. {error}")
            continue
        told = f"The page shows the {kind} in {_called(record)}."
        if others:
            rest = ", ".join(_called(each) for each in others[:3])
            told += f" Others fit, too ({rest}): --{kind} DIR takes another."
        listener.say(told)
        return found
    return None


def _audit_fits(run: RunData, record: FindingsRecord) -> int | None:
    """How well an audit fits a run, 0 best; None for one of something else.

    One of photographs is about the network that looked at them, which has to be that of the run.
    """
    source = record.source
    if source is None:
        return None
    if source == os.path.realpath(run.path):
        return 0
    network = record.content.get("network")
    audited = network.get("sha256") if isinstance(network, Mapping) else None
    used = _sha256(run)
    if audited and audited == used and _same_photographs(run, record) is not None:
        return 1
    # Both were moved here from elsewhere, or to elsewhere.
    moved = not os.path.lexists(source) and Path(source).name == run.path.absolute().name
    return 2 if moved and (not audited or audited == used) else None


def _check_fits(run: RunData, record: FindingsRecord) -> int | None:
    """How well a check fits a run, 0 best; None for one of other photographs."""
    return _same_photographs(run, record)


def _same_photographs(run: RunData, record: FindingsRecord) -> int | None:
    """0 for the very folder, 1 where one holds the other, 2 where they only were asked for so."""
    source = str(run.source)
    if is_url(source) or source.startswith("@"):
        return 0 if record.source == source else None
    found = [
        related if other == record.root or record.root is None else 2
        for other in (record.root, record.source)
        if other is not None and (related := _related(source, other)) is not None
    ]
    return min(found, default=None)


def _related(source: str, other: str) -> int | None:
    """0 for one folder, 1 where one holds the other, None for two that have nothing in common."""
    if is_url(other):
        return None
    mine, parts = (Path(os.path.realpath(each)).parts for each in (source, other))
    if parts == mine:
        return 0
    holds = parts[: len(mine)] == mine or mine[: len(parts)] == parts
    return 1 if holds and len(parts) > 1 else None


def _place(run: RunData, record: FindingsRecord, *, strict: bool = True) -> PathInRun:
    """What the run calls a photograph of a record."""
    from camcli.evaluate.findings.roots import placed

    known = record.root or record.source
    if _is_of(run, record) or known is None or not (strict or os.path.lexists(known)):
        return lambda rel: rel
    return placed(known, run.source)


def _is_of(run: RunData, record: FindingsRecord) -> bool:
    """Whether it is an audit of the run, whose paths are the run's, wherever both were moved."""
    return record.source is not None and (
        record.source == os.path.realpath(run.path)
        or Path(record.source).name == run.path.absolute().name
    )


def _about(run: RunData, record: FindingsRecord, others: list[FindingsRecord]) -> dict[str, Any]:
    """Where it is from, and what a reader should know of that."""
    notes = []
    network = record.content.get("network")
    audited = network.get("sha256") if isinstance(network, Mapping) else None
    if audited and (used := _sha256(run)) and audited != used:
        notes.append("It was made with another network than this run.")
    if record.root and not _is_of(run, record) and _related(str(run.source), record.root) is None:
        notes.append(
            f"Its photographs, in {printable(record.root)}, are not those of this run: the page of "
            "a run over them shows them."
        )
    written = _written(run)
    if written is not None and record.time < written:
        notes.append("It is older than this run.")
    if others:
        notes.append(
            "Others fit this run, too: " + ", ".join(_called(each) for each in others[:5]) + "."
        )
    return {"folder": _called(record), "notes": notes}


def _written(run: RunData) -> float | None:
    """When the run was finished, in seconds since 1970; None where it does not say."""
    try:
        # Not the file's own time: a run that is copied is no newer.
        return datetime.fromisoformat(str(run.info.get("written"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _sha256(run: RunData) -> str | None:
    provenance = run.info.get("provenance")
    found = provenance.get("sha256") if isinstance(provenance, Mapping) else None
    return found if isinstance(found, str) else None


def _called(record: FindingsRecord) -> str:
    """A folder as a person would type it."""
    try:
        near = os.path.relpath(record.folder)
    except ValueError:  # another drive on Windows
        near = str(record.folder)
    return printable(record.folder.absolute() if near.startswith("..") else near)
