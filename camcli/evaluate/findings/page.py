"""Findings as one page that needs nothing else: their photographs, and what changing them did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camcli.evaluate.findings.cards import photograph, told
from camcli.evaluate.findings.files import PHOTOGRAPHS, TABLE, picture_names
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.findings.order import HEADINGS, in_order
from camcli.printable import printable
from camcli.render.report.page.pages import contained

MOST_FINDINGS = 100  # that are drawn as cards
MOST_PHOTOGRAPHS = 600  # of all findings: about 8 MB
A_FINDING = 12  # photographs of one that the network was asked about
AN_ISSUE = 40  # photographs of one in the data, each of which wants to be looked at
LEAST = 3
PATHS = 200  # of a finding that can be copied

_STYLES, _SCRIPTS = ("findings.css",), ("findings/own_page.js", "page/theme.js")

PixelsOf = Callable[[str], np.ndarray | None]
"""Relative path -> (H, W, 3) uint8, of any size; None where it cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A row of pictures with a title, such as a cluster.

    Attributes:
        title: a line.
        words: a sentence, or nothing.
        pictures: (caption, (h, w, 3) uint8), the first one apart from the others.
    """

    title: str
    words: str
    pictures: tuple[tuple[str, np.ndarray], ...]


def findings_page(
    findings: Sequence[Finding],
    *,
    title: str,
    pixels: PixelsOf,
    lead: str = "",
    about: Sequence[tuple[str, str | Sequence[str]]] = (),
    skipped: Sequence[str] = (),
    nothing: str = "Nothing was found.",
    strips: Sequence[Strip] = (),
    strips_title: str = "",
    strips_words: str = "",
    table: str = TABLE,
    photographs: str = PHOTOGRAPHS,
) -> str:
    """The page of an audit or a check, as HTML that needs no other file.

    Args:
        findings: all of them.
        title: of the page.
        pixels: gives the photographs by their relative paths.
        lead: a line below the title.
        about: names and values at the end of the page: what was looked at, and how; a name may
            have several values.
        skipped: what was not looked at, a sentence each.
        nothing: what to say where there is no finding.
        strips: rows of pictures below the findings.
        strips_title: of their section.
        strips_words: what they are, a sentence or two.
        table: the file beside it that lists all findings.
        photographs: the file beside it that lists all their photographs.
    """
    names = dict(zip(map(id, findings), picture_names(findings), strict=True))
    numbers = {id(finding): n for n, finding in enumerate(findings, start=1)}
    ordered = [f for _, own in in_order(findings) for f in own]
    shown = ordered[:MOST_FINDINGS]
    thumbs = _Thumbs(pixels)
    cards = [_card(f, numbers[id(f)], names[id(f)], _most(f, len(shown)), thumbs) for f in shown]
    context = {
        "title": title,
        "lead": printable(lead),
        "tiles": _tiles(findings),
        "by_kind": all(f.verdict == "data" for f in findings),
        "labels": sorted({f.label for f in shown if f.label is not None}),
        "sections": [
            (HEADINGS[verdict], [c for c in cards if c["verdict"] == verdict])
            for verdict in HEADINGS
            if any(c["verdict"] == verdict for c in cards)
        ],
        "left": [(numbers[id(f)], f.title) for f in ordered[MOST_FINDINGS:][:MOST_FINDINGS]],
        "left_out": len(ordered) - len(shown),
        "table": table,
        "photographs": photographs,
        "skipped": list(skipped),
        "nothing": nothing,
        "strips": [
            (strip.title, strip.words, [(text, _picture(rgb)) for text, rgb in strip.pictures])
            for strip in strips
        ],
        "strips_title": strips_title,
        "strips_words": strips_words,
        "about": _about(about),
    }
    return contained("findings.html", context, _STYLES, _SCRIPTS)


def _about(about: Sequence[tuple[str, str | Sequence[str]]]) -> list[tuple[str, list[str]]]:
    """Names with all their values; one that comes again at once is not named again."""
    found: list[tuple[str, list[str]]] = []
    for name, value in about:
        values = [value] if isinstance(value, str) else list(value)
        if found and found[-1][0] == name:
            found[-1][1].extend(values)
        else:
            found.append((name, values))
    return found


def _most(finding: Finding, findings: int) -> int:
    """How many photographs, or pairs, of a finding are drawn among so many findings."""
    photographs = MOST_PHOTOGRAPHS // max(1, findings)
    if any(sighting.other is not None for sighting in finding.sightings):
        photographs //= 2
    return max(LEAST, min(AN_ISSUE if finding.verdict == "data" else A_FINDING, photographs))


def _tiles(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """What can be shown alone: a verdict, or of data a kind."""
    if all(f.verdict == "data" for f in findings):
        kinds = dict.fromkeys(f.kind for f in findings)
        return [
            {
                "key": kind,
                "word": kind,
                "count": sum(max(1, len(f.sightings)) for f in findings if f.kind == kind),
                "style": "",
            }
            for kind in kinds
        ]
    return [
        {
            "key": verdict,
            "word": heading.title.lower() if verdict != "used" else "used by the network",
            "count": sum(f.verdict == verdict for f in findings),
            "style": "wrong" if verdict == "used" else "",
        }
        for verdict, heading in HEADINGS.items()
        if verdict != "data" or any(f.verdict == "data" for f in findings)
    ]


class _Thumbs:
    """Small photographs as ``data:`` URLs, each made once."""

    def __init__(self, pixels: PixelsOf) -> None:
        self._pixels = pixels
        self._made: dict[str, dict[str, Any] | None] = {}

    def __call__(self, rel: str) -> dict[str, Any] | None:
        """Its URL, width and height; None where it cannot be read."""
        if rel not in self._made:
            rgb = self._pixels(rel)
            self._made[rel] = None if rgb is None or not rgb.size else photograph(rgb)
        return self._made[rel]


def _picture(rgb: np.ndarray) -> dict[str, Any]:
    """A picture as it is, if it is not larger than a photograph is shown."""
    return photograph(rgb)


def _card(f: Finding, number: int, picture: str, most: int, thumbs: _Thumbs) -> dict[str, Any]:
    paths = list(dict.fromkeys(p for s in f.sightings for p in (s.rel, s.other) if p is not None))
    return {
        **told(f, number),
        "picture": picture,
        "shots": [shot for s in f.sightings[:most] if (shot := _shot(s, thumbs))],
        "pairs": any(s.other is not None for s in f.sightings[:most]),
        "sightings": len(f.sightings),
        "more": max(0, len(f.sightings) - most),
        "paths": "\n".join(map(printable, paths[:PATHS])),
        "more_paths": max(0, len(paths) - PATHS),
        "path_count": len(paths),
    }  # fmt: skip


def _shot(s: Sighting, thumbs: _Thumbs) -> dict[str, Any]:
    left, top, right, bottom = s.region or (0.0, 0.0, 0.0, 0.0)
    return {
        "path": s.rel,
        "photo": thumbs(s.rel),
        "box": None
        if s.region is None
        else {
            "x": round(1000 * left), "y": round(1000 * top),
            "width": max(1, round(1000 * (right - left))),
            "height": max(1, round(1000 * (bottom - top))),
        },
        "note": s.note,
        "other": s.other,
        "other_photo": None if s.other is None else thumbs(s.other),
    }  # fmt: skip
