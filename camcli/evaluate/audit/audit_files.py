"""The files that an audit leaves: what was found, every photograph, and two pictures."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from camcli.data.decode.images import load_image
from camcli.errors import CamcliError, ImageError
from camcli.evaluate.audit.cluster_pictures import cluster_strips, draw_clusters, strips_words
from camcli.evaluate.audit.map_clusters import Alike, Grouping
from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.audit.result import AuditResult
from camcli.evaluate.findings.default_folder import default_folder, known_source
from camcli.evaluate.findings.drawing import findings_sheet
from camcli.evaluate.findings.files import FOLDER, PHOTOGRAPHS, TABLE, as_dicts, finding_files
from camcli.evaluate.findings.page import findings_page
from camcli.evaluate.findings.roots import root_of
from camcli.files import why
from camcli.ours import FILES as LISTED
from camcli.ours import KIND, check_replaceable, files_of, put_together, read_record, unlisted
from camcli.printable import counted
from camcli.render.picture import encode_jpeg
from camcli.render.sizes import shrink
from camcli.spreadsheet import cell

if TYPE_CHECKING:  # a record is read without torch
    from camcli.models.loading.builder import Provenance

RECORD = "audit.json"
PAGE = "audit.html"
FACTS = "images.csv"
FILES = (RECORD, FACTS, "clusters.jpg", "flagged.jpg", PAGE, TABLE, PHOTOGRAPHS)
_SIDE = 320  # pixels of the longer side of a photograph that is drawn
_KEPT = 256  # photographs of this size, some 60 MB: clusters and findings show the same ones


def default_out(source: str) -> Path:
    """Where an audit goes that was not told where to; see `default_folder`."""
    return default_folder(Path("camcli-audit"), RECORD, source)


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace an earlier audit unasked, and what is no audit's at all.

    Raises:
        UsageError: there is a file that may not be replaced.
    """
    # Pictures are called after classes and kinds, which are not known yet.
    pictures = [f"{FOLDER}/{name}" for name in unlisted(out / FOLDER, ())]
    check_replaceable(
        out, (*FILES, *pictures), record=RECORD, kind="audit",
        older=("photographs", "flagged", "clusters"), overwrite=overwrite,
    )  # fmt: skip


def save(
    out: Path,
    result: AuditResult,
    how: Grouping,
    source: str = "",
    network: Provenance | None = None,
) -> tuple[str, ...]:
    """Write everything, each file whole or not at all.

    Args:
        out: folder, made if needed.
        result: what was found.
        how: the maps were prepared and clustered.
        source: what was audited, for the record.
        network: which network it was, for the record; None where it could not be loaded.

    Returns:
        The names of the files.

    Raises:
        CamcliError: nothing can be written.
    """
    pixels = _reader(result.facts)
    strips = cluster_strips(result.facts, result.alike, result.classes, how, pixels)
    files: dict[str, bytes | str] = {
        RECORD: "",  # first: it says whose the others are
        FACTS: _csv(result.facts, result.alike),
        **finding_files(result.findings),
    }
    pictures = {
        "clusters.jpg": draw_clusters(strips, how),
        "flagged.jpg": findings_sheet(result.findings, pixels),
    }
    files |= {name: encode_jpeg(rgb, 90) for name, rgb in pictures.items() if rgb is not None}
    files[PAGE] = findings_page(
        result.findings, title=f"Audit of {result.source}", lead=_lead(result), pixels=pixels,
        nothing=result.nothing, skipped=result.not_looked, strips=strips,
        strips_title="Alike maps", strips_words=strips_words(how),
        about=[
            ("Photographs", result.source), ("Looked for", result.looked_for),
            ("Files beside this page", tuple(name for name in files if "/" not in name)),
        ],
    )  # fmt: skip
    files[RECORD] = _json(result, list(files), source, network)
    before = files_of(read_record(out / RECORD), "audit", ()) or ()
    try:
        # An earlier audit's, with --overwrite: `check_out` found no other ones.
        put_together(out, files, {*FILES, *before})
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {why(error)}.") from error
    return tuple(files)


def _lead(result: AuditResult) -> str:
    """How much was looked at, in a line."""
    photographs = counted(len({fact.rel for fact in result.facts}), "photograph")
    return f"{photographs} of {counted(len(result.classes), 'class', 'classes')}"


def _reader(facts: Sequence[Fact]) -> Callable[[str], np.ndarray | None]:
    """Gives photographs as they are drawn, by their relative paths; the latest are kept."""
    photos = {fact.rel: fact.photo for fact in facts}

    @lru_cache(maxsize=_KEPT)
    def read(rel: str) -> np.ndarray | None:
        try:
            return shrink(load_image(photos[rel]), _SIDE)
        except (KeyError, ImageError):
            return None

    return read


def _json(result: AuditResult, files: list[str], source: str, network: Provenance | None) -> str:
    def plain(values: dict[str, object]) -> dict[str, object]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    record = {
        KIND: "audit",
        LISTED: files,
        "source": known_source(source) if source else None,
        "root": root_of((fact.photo, fact.rel) for fact in result.facts),
        "network": None if network is None else {"name": network.name, "sha256": network.sha256},
        "photographs": len(result.facts),
        "findings": as_dicts(result.findings),
        "looked_for": list(result.looked_for),
        "not_looked": list(result.not_looked),
        "duplicates": [list(group) for group in result.duplicates],
        "suspicions": [plain(asdict(s)) for s in result.suspicions],
        "classes": [plain(asdict(row)) for row in result.classes],
        "clusters": {
            name: [
                {
                    "images": len(c.members),
                    "probability": round(c.probability, 5),
                    "typical": list(c.typical),
                }
                for c in own
            ]
            for name, own in result.alike.clusters.items()
        },
    }  # fmt: skip
    return json.dumps(record, indent=1)


def _csv(facts: Sequence[Fact], alike: Alike) -> str:
    """Every photograph, those with most stray heat first, then those with most at the border.

    ``typical`` is the place among the photographs nearest to the centre of its cluster, from 1.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(
        (
            "path",
            "label",
            "pred",
            "prob",
            "correct",
            "stray",
            "border",
            "cluster",
            "textured",
            "typical",
        )
    )
    numbers = alike.number_of()
    typical = {
        (name, rel): place
        for name, own in alike.clusters.items()
        for cluster in own
        for place, rel in enumerate(cluster.typical, start=1)
    }
    order = sorted(facts, key=lambda f: (-(0 if math.isnan(f.stray) else f.stray), -f.border))
    for f in order:
        stray = "" if math.isnan(f.stray) else f"{f.stray:.4g}"
        correct = "" if f.label is None else int(f.right)
        key = f.pred, f.rel  # a photograph with several labels has a map of each
        textured = f"{alike.textured[key]:.4g}" if key in alike.textured else ""
        writer.writerow(
            (cell(f.rel), cell(f.label or ""), cell(f.pred), f"{f.prob:.5g}", correct, stray,
             f"{f.border:.4g}", numbers.get(key, ""), textured, typical.get(key, ""))
        )  # fmt: skip
    return out.getvalue()
