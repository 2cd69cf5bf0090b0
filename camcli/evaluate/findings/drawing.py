"""Findings as pictures: what was found outlined on photographs, and a sheet of what is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np

from camcli.evaluate.findings.finding import Finding
from camcli.evaluate.findings.suspect import Region
from camcli.render.contact_sheet import Tile, contact_sheet
from camcli.render.sizes import shrink

OUTLINE = (255, 217, 46)  # yellow, which neither fur nor sky nor skin is; black around it
MOST = 8  # findings of a sheet
PHOTOGRAPHS = 6  # of a finding
_TILE = (150, 150)
_SIDE = 300  # pixels of the longer side on which an outline is drawn
_LEAST = 60  # pixels to which a mark is enlarged


def outlined(rgb: np.ndarray, region: Region | None) -> np.ndarray:
    """A photograph with a box around a region, as it is drawn on any ground.

    Args:
        rgb: (H, W, 3) uint8; it stays as it is.
        region: shares of its width and height; None for all of it, which is not outlined.

    Returns:
        (H, W, 3) uint8.
    """
    out = np.array(rgb)
    if region is None:
        return out
    height, width = out.shape[:2]
    x = [int(np.clip(round(share * width), 0, width - 1)) for share in (region[0], region[2])]
    y = [int(np.clip(round(share * height), 0, height - 1)) for share in (region[1], region[3])]
    line = max(1, round(max(height, width) / 150))
    for colour, thickness in (((0, 0, 0), 3 * line), (OUTLINE, line)):
        cv2.rectangle(out, (x[0], y[0]), (x[1], y[1]), colour, thickness)
    return out


def findings_sheet(
    findings: Sequence[Finding],
    pixels: Callable[[str], np.ndarray | None],
    title: str = "What the network uses",
) -> np.ndarray | None:
    """What is used, a row each: what it looks like, photographs of it, one before and after.

    Args:
        findings: of which those are drawn that are used.
        pixels: gives the photographs by their relative paths; None where one cannot be read.
        title: above all.

    Returns:
        (H, W, 3) uint8; None where nothing is used, or nothing of it can be shown.
    """
    rows = [_row(f, pixels) for f in findings if f.verdict == "used"][:MOST]
    rows = [row for row in rows if any(tile is not None for tile in row)]
    if not rows:
        return None
    columns = max(max(n for n, tile in enumerate(row, start=1) if tile) for row in rows)
    tiles = [tile for row in rows for tile in row[:columns]]
    return contact_sheet(tiles, len(rows), columns, title=title, tile=_TILE)


def _row(finding: Finding, pixels: Callable[[str], np.ndarray | None]) -> list[Tile | None]:
    label = finding.label or ""
    first: Tile | None = None
    if finding.picture is not None and finding.picture.size:
        first = Tile(_enlarged(finding.picture), (label, finding.kind, "what it looks like"))
    shots: list[Tile | None] = []
    for sighting in finding.sightings:
        if len(shots) == PHOTOGRAPHS:
            break
        rgb = pixels(sighting.rel)
        if rgb is not None and rgb.size:
            small = outlined(shrink(rgb, _SIDE), sighting.region)
            lines = (label, PurePosixPath(sighting.rel).name, sighting.note)
            shots.append(Tile(small, [line for line in lines if line]))
    pair: list[Tile | None] = []
    for each in finding.retried[:1]:
        pair = [
            Tile(each.before, ("before", each.said_before)),
            Tile(each.after, (each.how, each.said_after)),
        ]
    # Pairs stand beside the photographs, also where there are fewer of them.
    shots += [None] * (PHOTOGRAPHS - len(shots)) if pair else []
    return [first, *shots, *pair]


def _enlarged(rgb: np.ndarray) -> np.ndarray:
    """A small mark by a whole number, so that its pixels stay what they are."""
    zoom = max(1, _LEAST // max(rgb.shape[:2]))
    return np.repeat(np.repeat(np.ascontiguousarray(rgb), zoom, 0), zoom, 1)
