"""What an audit or a check left in its folder, as plain values for the page of a run.

A record may have been written by anybody: what is no finding is refused with its name, numbers are
kept within what can be drawn, and no file is opened that does not lie in the folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError
from camcli.evaluate.findings.cards import told
from camcli.evaluate.findings.files import read_findings
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.findings.order import HEADINGS, in_order
from camcli.ours import KIND, finite, read_record
from camcli.printable import printable

MOST = 200  # findings of a page
SIGHTINGS = 20_000  # photographs of a finding
LONGEST = 4000  # letters of a text; what camcli writes is shorter
LARGEST = 300_000_000  # bytes of a record
_ENTRIES = 2000  # of a folder in which records are looked for

PathInRun = Callable[[str], str | None]
"""Path in the record -> path in the run; None for a photograph that the run cannot have."""


@dataclass(frozen=True, slots=True)
class FindingsRecord:
    """A folder of findings.

    Attributes:
        folder: where it is.
        file: the record in it, ``audit.json``.
        content: what it says.
        time: when it was written, in seconds since 1970.
    """

    folder: Path
    file: Path
    content: Mapping[str, Any]
    time: float

    @property
    def source(self) -> str | None:
        """What was looked at; None where it is not recorded."""
        return self._text("source")

    @property
    def root(self) -> str | None:
        """The folder that its paths are relative to, where it is recorded."""
        return self._text("root")

    def _text(self, key: str) -> str | None:
        value = self.content.get(key)
        if not isinstance(value, str) or "\0" in value:
            return None
        try:
            os.fsencode(value)
        except ValueError:  # a text that no file system takes
            return None
        return value

    def sentences(self, key: str) -> list[str]:
        """A list of texts; none where there is something else."""
        value = self.content.get(key)
        return [short(each) for each in value[:MOST]] if isinstance(value, list) else []


def open_record(folder: Path, name: str, kind: str) -> FindingsRecord | None:
    """The record in a folder, if it is one of this kind."""
    file = folder / name
    try:
        known = file.stat()
        if not file.is_file() or known.st_size > LARGEST:
            return None
    except (OSError, ValueError):
        return None
    content = read_record(file)
    if content is None or content.get(KIND, kind) != kind:
        return None
    return FindingsRecord(folder, file, content, known.st_mtime)


def records_in(places: list[Path], name: str, kind: str) -> Iterator[FindingsRecord]:
    """The records of all folders in these places, each folder once; nothing is looked for deeper.

    Args:
        places: folders; those that cannot be read are passed over.
        name: of the record.
        kind: that it is of.
    """
    seen = set()
    for place in places:
        for folder in _folders(place):
            real = os.path.realpath(folder)
            if real in seen:
                continue
            seen.add(real)
            if record := open_record(folder, name, kind):
                yield record


def _folders(place: Path) -> list[Path]:
    found = []
    try:
        with os.scandir(place) as entries:
            for number, entry in enumerate(entries):
                if number == _ENTRIES:
                    break
                if entry.is_dir():
                    found.append(place / entry.name)
    except OSError:
        return found
    return sorted(found)


def page_values(
    record: FindingsRecord,
    place: PathInRun,
    more: Callable[[Finding], Iterator[tuple[Sighting, str]]] | None = None,
) -> dict[str, Any]:
    """All findings of a record with their photographs, and what was not looked at.

    Args:
        record: which.
        place: what the run calls a photograph.
        more: gives the photographs of a finding, each with what to do about it, from a table that
            has all of them, where the record may have only the first.

    Returns:
        ``findings`` in the order in which they are shown, numbered as the record has them,
        ``left_out``: how many more there are, ``looked_for``, ``not_looked``.

    Raises:
        CamcliError: it is not as camcli writes it.
    """
    findings = read_findings(record.file)
    numbers = {id(f): n for n, f in enumerate(findings, start=1)}
    ordered = [f for _, own in in_order(findings) for f in own]
    cards = []
    try:
        for f in ordered[:MOST]:
            listed = [(s, "") for s in f.sightings]
            if more is not None and len(longer := list(more(f))) >= len(listed):
                listed = longer
            cards.append(
                {
                    **_shown(told(f, numbers[id(f)])),
                    "photographs": [_sighting(s, what, place) for s, what in listed[:SIGHTINGS]],
                    "sightings": len(listed),
                }
            )
    except (TypeError, ValueError, OverflowError) as error:
        raise CamcliError(f"{record.file} is not as camcli writes it ({error}).") from error
    return {
        "findings": cards,
        "left_out": len(ordered) - len(cards),
        "headings": {verdict: [each.title, each.words] for verdict, each in HEADINGS.items()},
        "looked_for": record.sentences("looked_for"),
        "not_looked": record.sentences("not_looked"),
        "photographs": whole(record.content.get("photographs")),
    }


def _sighting(s: Sighting, what: str, place: PathInRun) -> dict[str, Any]:
    return {
        "path": place(s.rel),
        "other": None if s.other is None else place(s.other),
        # What there is to read where there is no picture.
        "name": short(s.rel) if s.other is None else f"{short(s.rel)} = {short(s.other)}",
        "pair": s.other is not None,
        "region": _region(s),
        "note": short(s.note),
        "suggestion": what[:LONGEST],
    }


def _region(s: Sighting) -> list[int] | None:
    """Left, top, right, bottom in thousandths; None for all of it, or what cannot be drawn."""
    if s.region is None or not all(map(math.isfinite, s.region)):
        return None
    left, top, right, bottom = (round(1000 * min(1.0, max(0.0, edge))) for edge in s.region)
    return [left, top, right, bottom] if left < right and top < bottom else None


def _shown(card: dict[str, Any]) -> dict[str, Any]:
    """A card whose texts can be shown on a line, and whose numbers JSON knows."""
    texts = {name: short(card[name]) for name in ("kind", "title", "words", "advice")}
    return {**finite(card), **texts}


def short(text: object) -> str:
    """A text of a record as it can be shown."""
    said = printable(str(text)[: LONGEST + 1])
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def whole(value: object) -> int | None:
    """A count that a record has; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 1 << 53 else None
