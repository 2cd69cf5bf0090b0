"""The files that an audit leaves: what was found, every photograph, and two pictures."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef, is_url
from camcli.errors import CamcliError, ImageError
from camcli.evaluate.audit.audit import ClassSummary, Suspicion
from camcli.evaluate.audit.map_clusters import Alike, Grouping, merged
from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.audit.result import AuditResult
from camcli.evaluate.findings.files import PHOTOGRAPHS, TABLE, as_dicts, finding_files
from camcli.evaluate.findings.page import findings_page
from camcli.evaluate.measured.square_canvas import SIDE
from camcli.files import write_whole
from camcli.ours import FILES as LISTED
from camcli.ours import KIND, check_replaceable, files_of, read_record, remove
from camcli.printable import counted
from camcli.render.colormaps import get_colormap
from camcli.render.contact_sheet import Tile, contact_sheet
from camcli.render.overlay import overlay
from camcli.render.picture import encode_jpeg
from camcli.spreadsheet import cell

RECORD = "audit.json"
PAGE = "audit.html"
FILES = (RECORD, "images.csv", "clusters.jpg", "flagged.jpg", PAGE, TABLE, PHOTOGRAPHS)
DRAWN = 8  # classes whose clusters are drawn, those that look most suspicious first
EXAMPLES = 5
_TILE = (150, 150)
# What is wrong with a flagged class, as short as a caption must be.
_CAPTIONS = {"stray": "away from the object", "corner": "in one corner", "border": "at the border"}


def default_out(source: str) -> Path:
    """Where an audit goes that was not told where to: two of different things never collide.

    Args:
        source: what is audited, as the user named it.
    """
    usual = Path("camcli-audit")
    before = (read_record(usual / RECORD) or {}).get("source")
    if before is None or before == _source(source):
        return usual
    name = re.sub(r"[^\w.-]+", "-", Path(_source(source)).name).strip("-.") or "other"
    return usual.with_name(f"{usual.name}-{name}")


def _source(source: str) -> str:
    """What is audited, so that it is known again from another folder."""
    return source if is_url(source) else os.path.realpath(source)


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace an earlier audit unasked, and what is no audit's at all.

    Raises:
        UsageError: there is a file that may not be replaced.
    """
    check_replaceable(
        out, FILES, record=RECORD, kind="audit", older=("photographs", "flagged", "clusters"),
        overwrite=overwrite,
    )  # fmt: skip


def save(out: Path, result: AuditResult, how: Grouping, source: str = "") -> tuple[str, ...]:
    """Write everything, each file whole or not at all.

    Args:
        out: folder, made if needed.
        result: what was found.
        how: the maps were prepared and clustered.
        source: what was audited, for the record.

    Returns:
        The names of the files.

    Raises:
        CamcliError: nothing can be written.
    """
    photos = {fact.rel: fact.photo for fact in result.facts}
    files: dict[str, bytes | str] = {
        RECORD: "",  # first: it says whose the others are
        "images.csv": _csv(result.facts, result.alike),
        **finding_files(result.findings),
    }
    pictures = {
        "clusters.jpg": draw_clusters(result.alike, result.classes, how),
        "flagged.jpg": draw_flagged(result.facts, result.suspicions),
    }
    files |= {name: encode_jpeg(rgb, 90) for name, rgb in pictures.items() if rgb is not None}
    files[PAGE] = findings_page(
        result.findings, title=f"Audit of {result.source}", pixels=lambda rel: _read(photos, rel),
        nothing=result.nothing, skipped=result.not_looked,
        about=[("looked for", each) for each in result.looked_for],
    )  # fmt: skip
    files[RECORD] = _json(result, list(files), source)
    before = files_of(read_record(out / RECORD), "audit", ()) or ()
    try:
        out.mkdir(parents=True, exist_ok=True)
        # An earlier audit's, with --overwrite: `check_out` found no other ones.
        remove(out, {*FILES, *before} - set(files))
        for name, content in files.items():
            (out / name).parent.mkdir(exist_ok=True)
            write_whole(out / name, content)
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {error.strerror}.") from error
    return tuple(files)


def _read(photos: Mapping[str, ImageRef | Path], rel: str) -> np.ndarray | None:
    try:
        return load_image(photos[rel])
    except (KeyError, ImageError):
        return None


def draw_clusters(alike: Alike, rows: Sequence[ClassSummary], how: Grouping) -> np.ndarray | None:
    """Mean maps of the clusters, a row a class, merged ones last; None without any map.

    Args:
        alike: the clusters.
        rows: the classes, in the order in which they are shown.
        how: the title says, and whether to merge.

    Returns:
        (H, W, 3) uint8.
    """
    shown = [row for row in rows if row.label in alike.clusters][:DRAWN]
    if not shown:
        return None
    columns = max(len(alike.clusters[row.label]) for row in shown)
    tiles: list[Tile | None] = []
    for row in shown:
        own = alike.clusters[row.label]
        title = row.label + (" (flagged)" if row.flags else "")
        line: list[Tile | None] = [
            Tile(
                _coloured(c.mean),
                (title, counted(len(c.members), "image"), f"p {c.probability:.2f}"),
            )
            for c in own
        ]
        line += [None] * (columns - len(own))
        if how.merge:
            line.append(Tile(_coloured(merged(own)), (title, "merged", "dark red: p 1")))
        tiles += line
    order = "the most confident first" if how.merge else "the largest first"
    return contact_sheet(
        tiles, len(shown), columns + how.merge, title=f"Alike maps: {how}, {order}", tile=_TILE
    )


def _coloured(heat: np.ndarray) -> np.ndarray:
    large = cv2.resize(heat, (96, 96))
    return get_colormap("jet")[(np.clip(large, 0, 1) * 255).astype(np.uint8)]


def draw_flagged(facts: Sequence[Fact], found: Sequence[Suspicion]) -> np.ndarray | None:
    """The examples of the flagged classes under their heat, a row a suspicion; None without any.

    Photographs that are not where they were are left out.
    """
    by_path = {(fact.pred, fact.rel): fact for fact in facts}
    tiles: list[Tile | None] = []
    for suspicion in found[:DRAWN]:
        line: list[Tile | None] = []
        for rel in suspicion.examples[:EXAMPLES]:
            fact = by_path[suspicion.label, rel]
            try:
                rgb = load_image(fact.photo)
            except ImageError:
                continue
            ratio = SIDE / max(rgb.shape[:2])
            size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            whole = (0.0, 0.0, float(size[0]), float(size[1]))
            line.append(
                Tile(
                    overlay(small, fact.thumb, whole),
                    (suspicion.label, _CAPTIONS[suspicion.kind], Path(rel).name),
                )
            )
        if line:
            tiles += line + [None] * (EXAMPLES - len(line))
    if not tiles:
        return None
    return contact_sheet(
        tiles, len(tiles) // EXAMPLES, EXAMPLES, title="Flagged classes, the clearest examples",
        tile=_TILE,
    )  # fmt: skip


def _json(result: AuditResult, files: list[str], source: str) -> str:
    def plain(values: dict[str, object]) -> dict[str, object]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    record = {
        KIND: "audit",
        LISTED: files,
        "source": _source(source) if source else None,
        "photographs": len(result.facts),
        "findings": as_dicts(result.findings),
        "looked_for": list(result.looked_for),
        "not_looked": list(result.not_looked),
        "duplicates": [list(group) for group in result.duplicates],
        "suspicions": [plain(asdict(s)) for s in result.suspicions],
        "classes": [plain(asdict(row)) for row in result.classes],
        "clusters": {
            name: [
                {"images": len(c.members), "probability": round(c.probability, 5)} for c in own
            ]
            for name, own in result.alike.clusters.items()
        },
    }  # fmt: skip
    return json.dumps(record, indent=1)


def _csv(facts: Sequence[Fact], alike: Alike) -> str:
    """Every photograph, those with most stray heat first, then those with most at the border."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(
        ("path", "label", "pred", "prob", "correct", "stray", "border", "cluster", "textured")
    )
    numbers = alike.number_of()
    order = sorted(facts, key=lambda f: (-(0 if math.isnan(f.stray) else f.stray), -f.border))
    for f in order:
        stray = "" if math.isnan(f.stray) else f"{f.stray:.4g}"
        correct = "" if f.label is None else int(f.right)
        key = f.pred, f.rel  # a photograph with several labels has a map of each
        textured = f"{alike.textured[key]:.4g}" if key in alike.textured else ""
        writer.writerow(
            (cell(f.rel), cell(f.label or ""), cell(f.pred), f"{f.prob:.5g}", correct, stray,
             f"{f.border:.4g}", numbers.get(key, ""), textured)
        )  # fmt: skip
    return out.getvalue()
