"""The files that a check leaves, and the list of paths for the next command."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from camcli.data.decode.images import load_image
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.evaluate.check.result import CheckResult
from camcli.evaluate.check.told import KINDS
from camcli.evaluate.findings.default_folder import default_folder, known_source
from camcli.evaluate.findings.files import as_dicts
from camcli.evaluate.findings.page import findings_page
from camcli.evaluate.findings.roots import root_of
from camcli.files import why, write_whole
from camcli.ours import FILES as LISTED
from camcli.ours import KIND, check_replaceable, finite, put_together
from camcli.spreadsheet import cell

RECORD, TABLE, PAGE = "check.json", "check.csv", "check.html"
FILES = (RECORD, TABLE, PAGE)
COLUMNS = (
    "kind", "path", "label", "split", "score", "other", "other_label", "other_split",
    "suggestion", "note",
)  # fmt: skip
"""Of `TABLE`: one row an issue; a class that is too small has no path."""
_WORST = 200  # photographs of a kind in the record; the table has all


def default_out(source: str) -> Path:
    """Where a check goes that was not told where to; see `default_folder`."""
    return default_folder(Path("camcli-check"), RECORD, source)


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace an earlier check unasked, and what is no check's at all.

    Raises:
        UsageError: there is a file that may not be replaced.
    """
    check_replaceable(out, FILES, record=RECORD, kind="check", older=(), overwrite=overwrite)


def check_export(export: Path, *, out: Path | None = None, overwrite: bool) -> None:
    """Refuse to replace a list unasked, and to write one where none can be.

    Args:
        export: the file.
        out: the folder of the check, which will be there.
        overwrite: whether a list may be replaced.

    Raises:
        UsageError: there is something that may not be replaced, or no folder for it.
    """
    folder, own = export.parent, None if out is None else out.resolve()
    if own is not None and folder.resolve() == own and export.name in FILES:
        raise UsageError(f"--export {export} is a file of the check itself: choose another name.")
    if export.is_dir() or not (folder.is_dir() or folder.resolve() == own):
        raise UsageError(f"--export {export}: name a file in a folder that exists.")
    if os.path.lexists(export) and not overwrite:
        raise UsageError(f"{export} exists. Add --overwrite, or choose another --export.")


def kinds_of(text: str) -> tuple[str, ...]:
    """The kinds that ``--export-kinds`` names.

    Args:
        text: names with commas between, with dashes for spaces or not; ``all`` for those about
            photographs.

    Raises:
        UsageError: there is no such kind.
    """
    able = {kind: told for kind, told in KINDS.items() if told.about_photos}
    names = [re.sub(r"[\s_-]+", " ", each).strip().lower() for each in text.split(",")]
    if names == ["all"]:
        return tuple(able)
    if unknown := [name for name in names if name not in able]:
        known = ", ".join(kind.replace(" ", "-") for kind in able)
        raise UsageError(f"--export-kinds takes all, or some of {known}, not {unknown[0]!r}.")
    return tuple(dict.fromkeys(names))


def write_export(export: Path, result: CheckResult, kinds: Sequence[str]) -> tuple[int, list[str]]:
    """Write the paths of the photographs that have such issues, each once.

    Args:
        export: a file, replaced where there is one.
        result: what was found.
        kinds: of issues.

    Returns:
        How many there are, and the relative paths of those in tar or zip files, which no list can
        name.

    Raises:
        CamcliError: it cannot be written.
    """
    refs = {photo.rel: photo.ref for photo in result.photos}
    rels = dict.fromkeys(i.rel for i in result.issues if i.kind in kinds and i.rel is not None)
    inside = [rel for rel in rels if refs[rel].blob is not None]
    paths = [os.fspath(refs[rel].path) for rel in rels if refs[rel].blob is None]
    end = "\0" if any("\n" in path or path.endswith("\r") for path in paths) else "\n"
    try:
        write_whole(export, b"".join(os.fsencode(path + end) for path in paths))
    except OSError as error:
        raise CamcliError(f"Cannot write {export}: {why(error)}.") from error
    return len(paths), inside


def save(out: Path, result: CheckResult, source: str = "") -> tuple[str, ...]:
    """Write everything, each file whole or not at all.

    Args:
        out: folder, made if needed.
        result: what was found.
        source: what was checked, for the record.

    Returns:
        The names of the files.

    Raises:
        CamcliError: nothing can be written.
    """
    refs = {photo.rel: photo.ref for photo in result.photos}

    def pixels(rel: str) -> np.ndarray | None:
        try:
            return load_image(refs[rel])
        except (KeyError, ImageError):
            return None

    files: dict[str, bytes | str] = {
        RECORD: _json(result, source),  # first: it says whose the others are
        TABLE: _csv(result),
        PAGE: findings_page(
            result.findings, title=f"Check of {result.source}", lead=f"{result.summary}.",
            pixels=pixels,
            nothing=result.nothing, skipped=result.not_looked, table=TABLE, photographs=TABLE,
            about=[("looked for", each) for each in result.looked_for],
        ),
    }  # fmt: skip
    try:
        put_together(out, files, FILES)
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}.") from error
    return tuple(files)


def _csv(result: CheckResult) -> str:
    photos = {photo.rel: photo for photo in result.photos}
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for issue in result.issues:
        own = photos.get(issue.rel) if issue.rel is not None else None
        other = photos.get(issue.other) if issue.other is not None else None
        row = (
            issue.kind, issue.rel, issue.label, own and own.split, f"{issue.score:.4f}",
            issue.other, other and other.label, other and other.split, issue.suggestion,
            issue.note,
        )  # fmt: skip
        writer.writerow(["" if value is None else cell(value) for value in row])
    return out.getvalue()


def _json(result: CheckResult, source: str) -> str:
    photos = Counter(name for photo in result.photos for name in photo.labels)
    findings: list[dict[str, Any]] = as_dicts(result.findings)
    for each in findings:
        each["sightings"] = each["sightings"][:_WORST]
    record = {
        KIND: "check",
        LISTED: list(FILES),
        "source": known_source(source) if source else None,
        "root": root_of((photo.ref, photo.rel) for photo in result.photos),
        "photographs": len(result.photos),
        "looked": result.looked,
        "classes": dict(sorted(photos.items())),
        "counts": result.counts,
        "looked_for": list(result.looked_for),
        "not_looked": list(result.not_looked),
        "unreadable": list(result.unreadable),
        "findings": findings,
    }
    return json.dumps(finite(record), indent=1)
