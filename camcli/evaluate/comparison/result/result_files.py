"""The files that an evaluation leaves, by name, and whether they may be replaced; without torch."""

from __future__ import annotations

import re
from pathlib import Path

from camcli.ours import check_replaceable

RECORD = "results.json"
TABLE = "results.csv"
PARTIAL_TABLE = "results-partial.csv"
"""In its place where something ended the work: whoever reads the other one reads all of it."""
FILES = (RECORD, TABLE, PARTIAL_TABLE, "results.md", "results.png")
_PICTURE = re.compile(r"confusion(-\d+)?\.png")


def pictures_in(out: Path) -> list[str]:
    """Names of confusion matrices that are there."""
    return sorted(path.name for path in out.glob("confusion*.png") if _PICTURE.fullmatch(path.name))


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace earlier results unasked, and what is no result at all.

    Raises:
        UsageError: there is a file that may not be replaced.
    """
    check_replaceable(
        out, (*FILES, *pictures_in(out)), record=RECORD, kind="evaluate",
        older=("data", "rows", "sanity", "verdicts"), overwrite=overwrite,
    )  # fmt: skip
