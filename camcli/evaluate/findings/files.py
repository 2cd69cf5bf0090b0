"""Findings in files: JSON without pixels, two tables for spreadsheets, a picture of each mark.

What is written is read back by `read_findings`, so a page or a terminal can be drawn again later.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from camcli.errors import CamcliError
from camcli.evaluate.findings.before_after import (
    picture_below,
    read_retried,
    retried_dicts,
    retried_files,
)
from camcli.evaluate.findings.finding import (
    Effect,
    Finding,
    HeatShare,
    Measured,
    Sighting,
    Verdict,
)
from camcli.evaluate.findings.suspect import Region
from camcli.ours import finite, read_record
from camcli.render.picture_files import encode_jpeg, encode_png
from camcli.spreadsheet import cell

TABLE = "findings.csv"
"""One row a finding."""
PHOTOGRAPHS = "sightings.csv"
"""One row a photograph of a finding."""
FOLDER = "findings"
"""Of the pictures."""
_LONGEST_NAME = 40
_PICTURES = 500  # findings of which pictures are read
_LONGEST = 1024  # pixels of the longer side of a picture that is read
_SMALL = 256 * 256  # pixels up to which a picture is written without loss

_EFFECT_COLUMNS = (
    "how", "photographs", "changed", "low", "high", "control", "control_low", "control_high",
    "beyond", "beyond_low", "beyond_high", "log_odds", "control_log_odds",
)  # fmt: skip
COLUMNS = (
    "finding", "kind", "label", "verdict", "title", "words", "advice", "sightings", "present",
    "looked", "elsewhere", "elsewhere_looked", "effect", "p",
    *(f"removed_{name}" for name in _EFFECT_COLUMNS),
    *(f"added_{name}" for name in _EFFECT_COLUMNS),
    "heat_share", "heat_area", "picture",
)  # fmt: skip
"""Of `TABLE`; a finding is numbered from 1."""
SIGHTING_COLUMNS = (
    "finding", "kind", "label", "verdict", "path", "other", "note", "score", "left", "top",
    "right", "bottom",
)  # fmt: skip
"""Of `PHOTOGRAPHS`: sides are shares of the photograph's width and height, empty for all of it."""


def picture_names(findings: Sequence[Finding]) -> list[str]:
    """Where the picture of each finding is, relative to the folder; empty where it has none.

    Names are of letters and digits only, whatever a class is called, and no two are the same on a
    disk that does not tell large letters from small ones.
    """
    names, taken = [], set()
    for finding in findings:
        if finding.picture is None or not finding.picture.size:
            names.append("")
            continue
        words = f"{finding.label or ''} {finding.kind}"
        stem = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", words)).strip("-")
        stem = stem[-_LONGEST_NAME:].strip("-") or "mark"
        suffix = ".png" if _pixels(finding.picture) <= _SMALL else ".jpg"
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(f"{FOLDER}/{name}{suffix}")
    return names


def _pixels(picture: np.ndarray) -> int:
    return picture.shape[0] * picture.shape[1]


def finding_files(findings: Sequence[Finding]) -> dict[str, bytes | str]:
    """All files but the record, by their names relative to the folder.

    Returns:
        Both tables, and the pictures.
    """
    files: dict[str, bytes | str] = {
        TABLE: findings_csv(findings),
        PHOTOGRAPHS: sightings_csv(findings),
    }
    for finding, name in zip(findings, picture_names(findings), strict=True):
        if finding.picture is not None and name:
            encode = encode_png if name.endswith(".png") else encode_jpeg
            files[name] = encode(np.ascontiguousarray(finding.picture), 92)
    return files | dict(retried_files(findings, FOLDER))


def as_dicts(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON has them: no pixels, but the names of their pictures; no NaN, but null."""
    names = picture_names(findings)
    return [
        _as_dict(finding, name, number)
        for number, (finding, name) in enumerate(zip(findings, names, strict=True), start=1)
    ]


def _as_dict(finding: Finding, name: str, number: int) -> dict[str, Any]:
    def plain(record: Effect | HeatShare | None) -> dict[str, Any] | None:
        return None if record is None else asdict(record)

    found = {
        "kind": finding.kind,
        "label": finding.label,
        "verdict": finding.verdict,
        "title": finding.title,
        "words": finding.words,
        "advice": finding.advice,
        "present": finding.present,
        "looked": finding.looked,
        "elsewhere": finding.elsewhere,
        "elsewhere_looked": finding.elsewhere_looked,
        "effect": float(finding.effect),
        "p": float(finding.p),
        "remove": plain(finding.remove),
        "add": plain(finding.add),
        "heat": plain(finding.heat),
        "picture": name or None,
        "retried": retried_dicts(finding, number, FOLDER),
        "sightings": [
            {
                "path": each.rel,
                "region": None if each.region is None else [float(v) for v in each.region],
                "note": each.note,
                "score": float(each.score),
                "other": each.other,
            }
            for each in finding.sightings
        ],
    }
    return cast(dict[str, Any], finite(_unboxed(found)))


def _unboxed(value: Any) -> Any:
    """Numbers of NumPy as Python's own, which JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _unboxed(each) for key, each in value.items()}
    return [_unboxed(each) for each in value] if isinstance(value, list) else value


def findings_csv(findings: Sequence[Finding]) -> str:
    """One row a finding; see `COLUMNS`."""
    rows = []
    names = picture_names(findings)
    for number, (f, name) in enumerate(zip(findings, names, strict=True), start=1):
        heat = (f.heat.share, f.heat.area) if f.heat else (None, None)
        rows.append(
            (number, f.kind, f.label, f.verdict, f.title, f.words, f.advice, len(f.sightings),
             f.present, f.looked, f.elsewhere, f.elsewhere_looked, f.effect, f.p,
             *_effect_cells(f.remove), *_effect_cells(f.add), *heat, name)
        )  # fmt: skip
    return _table(COLUMNS, rows)


def _effect_cells(effect: Effect | None) -> tuple[Any, ...]:
    if effect is None:
        return (None,) * len(_EFFECT_COLUMNS)
    shares = (effect.changed, effect.control, effect.beyond)
    return (
        effect.how, effect.photographs, *(v for m in shares for v in (m.value, m.low, m.high)),
        effect.log_odds.value, effect.control_log_odds.value,
    )  # fmt: skip


def sightings_csv(findings: Sequence[Finding]) -> str:
    """One row a photograph of a finding; see `SIGHTING_COLUMNS`."""
    return _table(
        SIGHTING_COLUMNS,
        [
            (number, f.kind, f.label, f.verdict, each.rel, each.other, each.note, each.score,
             *(each.region or (None,) * 4))
            for number, f in enumerate(findings, start=1)
            for each in f.sightings
        ],
    )  # fmt: skip


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if np.isfinite(value) else ""
    return cell(value)


def read_findings(record_file: Path, key: str = "findings") -> list[Finding]:
    """What `as_dicts` gave, from the record that holds it.

    Args:
        record_file: ``audit.json`` or ``check.json``; pictures are looked for beside it.
        key: under which it has the findings.

    Returns:
        The findings, the first ones with their pictures where those are still there.

    Raises:
        CamcliError: there is no such record, or it says something else.
    """
    record = read_record(record_file)
    listed = None if record is None else record.get(key)
    if not isinstance(listed, list):
        raise CamcliError(
            f"{record_file} holds no {key}: make it anew with this version of camcli."
        )
    try:
        return [
            _from_dict(each, record_file.parent if number < _PICTURES else None)
            for number, each in enumerate(listed)
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CamcliError(
            f"{record_file} is not as camcli writes it ({type(error).__name__}: {error}): make it "
            "anew."
        ) from error


def _from_dict(d: Mapping[str, Any], folder: Path | None) -> Finding:
    verdict = _text(d["verdict"])
    if verdict not in get_args(Verdict):
        raise ValueError(f"there is no verdict {verdict!r}")
    heat = d["heat"]
    return Finding(
        kind=_text(d["kind"]),
        label=_maybe(d["label"]),
        verdict=cast(Verdict, verdict),
        title=_text(d["title"]),
        words=_text(d["words"]),
        advice=_text(d["advice"]),
        sightings=tuple(map(_sighting, d["sightings"])),
        present=int(d["present"]),
        looked=int(d["looked"]),
        elsewhere=int(d["elsewhere"]),
        elsewhere_looked=int(d["elsewhere_looked"]),
        effect=_number(d["effect"]),
        p=_number(d["p"]),
        remove=_effect(d["remove"]),
        add=_effect(d["add"]),
        heat=None
        if heat is None
        else HeatShare(_number(heat["share"]), _number(heat["area"]), int(heat["photographs"])),
        picture=picture_below(folder, _maybe(d["picture"]), _LONGEST),
        # A record of before there were such pictures has none.
        retried=tuple(read_retried(d.get("retried", []), folder)),
    )


def _sighting(d: Mapping[str, Any]) -> Sighting:
    region: Region | None = None
    if d["region"] is not None:
        left, top, right, bottom = map(_number, d["region"])
        region = left, top, right, bottom
    return Sighting(
        _text(d["path"]), region, _text(d["note"]), _number(d["score"]), _maybe(d["other"])
    )


def _effect(d: Mapping[str, Any] | None) -> Effect | None:
    if d is None:
        return None
    changed, control, beyond, log_odds, control_log_odds = (
        Measured(*(_number(d[name][part]) for part in ("value", "low", "high")))
        for name in ("changed", "control", "beyond", "log_odds", "control_log_odds")
    )
    return Effect(
        _text(d["how"]), _text(d["control_is"]), int(d["photographs"]),
        changed, control, beyond, log_odds, control_log_odds,
    )  # fmt: skip


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _maybe(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError(f"{value!r} is no number")
    return float("nan") if value is None else float(value)
