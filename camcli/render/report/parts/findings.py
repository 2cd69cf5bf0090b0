"""Findings of an audit and a check on the page of a run: their photographs are rows of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from camcli.printable import counted

Numbers = Callable[[str], int | None]
"""Relative path of a photograph -> number of its row on the page; None where it has none."""
FIRST = 6
"""Flags that the first screen names."""
NAMED = 50
"""Names that are told of the photographs of a finding that are not in the run."""


def findings_part(known: Mapping[str, Any], numbers: Numbers, out: Path) -> dict[str, Any]:
    """What the Audit or the Check tab loads.

    Args:
        known: as `camcli.evaluate.audit.for_report.audit_values` or its fellow of checks gives it.
        numbers: of the page's rows.
        out: the page's folder.

    Returns:
        The same with row numbers for paths: ``rows``, ``others``, ``regions``, ``notes`` and
        ``suggestions`` by finding, one entry a photograph; what is not in the run is counted.
    """
    clusters: dict[str, dict[int, list[int]]] = {}
    for path, name, number in known.get("members", ()):
        if (row := numbers(path)) is not None:
            clusters.setdefault(name, {}).setdefault(number, []).append(row)
    page = known.get("page")
    return {
        **{key: value for key, value in known.items() if key not in _OWN},
        "page": None if page is None else _link(Path(page), out),
        "findings": [_finding(each, numbers) for each in known["findings"]],
        "clusters": [
            {
                **each,
                "typical": [row for path in each["typical"] if (row := _row(path, numbers)) >= 0],
                "rows": clusters.get(each["class"], {}).get(each["number"], []),
            }
            for each in known.get("clusters", ())
        ],
    }


_OWN = ("members", "page", "findings", "clusters")


def _finding(card: Mapping[str, Any], numbers: Numbers) -> dict[str, Any]:
    rows, others, regions, notes, suggestions = [], [], [], [], []
    gone = []
    for each in card["photographs"]:
        row, other = _row(each["path"], numbers), _row(each["other"], numbers)
        if row < 0 and other >= 0:
            row, other = other, row
        if row < 0:
            gone.append(each["name"])
            continue
        rows.append(row)
        others.append(other if each["pair"] else -2)
        regions.append(each["region"] or 0)
        notes.append(each["note"])
        suggestions.append(each["suggestion"])
    pairs = any(other != -2 for other in others)
    return {
        **{key: value for key, value in card.items() if key != "photographs"},
        "rows": rows,
        "others": others if pairs else 0,
        "regions": regions if any(regions) else 0,
        "notes": notes if any(notes) else 0,
        "suggestions": suggestions if any(suggestions) else 0,
        "gone": gone[:NAMED],
        "gone_count": len(gone),
    }


def _row(path: str | None, numbers: Numbers) -> int:
    number = None if path is None else numbers(path)
    return -1 if number is None else number


def _link(page: Path, out: Path) -> str:
    """A URL of a file, relative where that can be."""
    try:
        near = Path(os.path.relpath(page.absolute(), out.absolute()))
    except ValueError:  # another drive on Windows
        return page.absolute().as_uri()
    return "/".join(quote(os.fsencode(part)) for part in near.parts)


def choices(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every finding that photographs of the page are about: what filters can be set to."""
    return [
        {
            "key": f"{name}:{card['number']}",
            "tab": name,
            "title": card["title"],
            "kind": card["kind"],
            "photographs": len({*card["rows"], *_paired(card)}),
        }
        for name in ("audit", "check")
        for card in (parts.get(name) or {}).get("findings", ())
        if card["rows"]
    ]


def _paired(card: Mapping[str, Any]) -> Sequence[int]:
    return [row for row in card["others"] if row >= 0] if card["others"] else ()


def flags(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the first screen names: what the network uses, and what is wrong with the data.

    Args:
        parts: as `findings_part` gives them, by their tab's name.

    Returns:
        ``first``: name of the tab, number, title and a few words of each; ``more``: how many more
        there are, by tab; ``calm``: sentences where nothing was found. None where nobody looked.
    """
    if not any(parts.get(name) for name in ("audit", "check")):
        return None
    listed, calm = [], []
    for name in ("audit", "check"):
        part = parts.get(name)
        if not part:
            continue
        own = [card for card in part["findings"] if card["verdict"] in ("used", "data")]
        listed += [(name, card) for card in own]
        if not own and name == "audit":
            rest = len(part["findings"])
            more_of_it = f"; {counted(rest, 'finding')} not used, or not proved" if rest else ""
            calm.append((name, f"The audit showed nothing that the network rests on{more_of_it}."))
        elif not own:
            calm.append((name, "The check found nothing wrong with the data."))
    audits = sum(name == "audit" for name, _ in listed)
    # Both have a word.
    most = {"audit": max(FIRST - (len(listed) - audits), FIRST // 2)}
    most["check"] = FIRST - min(most["audit"], audits)
    first: list[dict[str, Any]] = []
    more: dict[str, int] = {}
    for name, card in listed:
        if sum(each["tab"] == name for each in first) == most[name]:
            more[name] = more.get(name, 0) + 1
            continue
        first.append(
            {
                "tab": name, "number": card["number"], "title": card["title"],
                "verdict": card["verdict"], "words": _few(card),
            }
        )  # fmt: skip
    return {"first": first, "more": list(more.items()), "calm": calm}


def _few(card: Mapping[str, Any]) -> str:
    """How many photographs have it, of how many."""
    counts = card["counts"]
    if card["verdict"] == "used" and counts:
        _, some, all_of_them = counts[0]
        return f"{some} of {all_of_them}"
    shown, gone = len(card["rows"]), card["gone_count"]
    if gone and shown:
        return f"{shown} of them in this run"
    return "not in this run" if gone else ""


def findings_parts(
    known: Mapping[str, Mapping[str, Any] | None], numbers: Numbers, out: Path
) -> dict[str, Any]:
    """The parts of both tabs; none of what nobody looked for."""
    return {name: findings_part(each, numbers, out) for name, each in known.items() if each}
