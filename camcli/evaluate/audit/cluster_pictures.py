"""Clusters of alike maps as pictures: the mean map, and the most typical photographs with heat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np

from camcli.evaluate.audit.audit import ClassSummary
from camcli.evaluate.audit.map_clusters import TYPICAL, Alike, Cluster, Grouping, merged
from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.findings.page import Strip
from camcli.evaluate.measured.square_canvas import SIDE
from camcli.printable import counted
from camcli.render.colormaps import get_colormap
from camcli.render.contact_sheet import Tile, contact_sheet
from camcli.render.overlay import overlay
from camcli.render.sizes import shrink

CLASSES = 8  # whose clusters are drawn, those that look most suspicious first
CLUSTERS = 5  # of a class
MEAN, MERGED = "mean map", "all clusters merged; dark red: p 1"
_TILE = (150, 150)
_MEAN_SIDE = 160


def cluster_strips(
    facts: Sequence[Fact],
    alike: Alike,
    rows: Sequence[ClassSummary],
    how: Grouping,
    pixels: Callable[[str], np.ndarray | None],
) -> list[Strip]:
    """The clusters, a row each; with `Grouping.merge` one more row a class.

    Args:
        facts: of all photographs.
        alike: their clusters.
        rows: the classes, in the order in which they are shown.
        how: whether to merge.
        pixels: gives the photographs by their relative paths; those that cannot be read are left
            out.
    """
    by_key = {(fact.pred, fact.rel): fact for fact in facts}
    strips = []
    for row in [row for row in rows if row.label in alike.clusters][:CLASSES]:
        own = alike.clusters[row.label]
        title = row.label + (" (flagged)" if row.flags else "")
        for number, cluster in enumerate(own[:CLUSTERS]):
            pictures = [(MEAN, _coloured(cluster.mean))]
            for rel in cluster.typical[:TYPICAL]:
                rgb = pixels(rel)
                if rgb is not None and rgb.size:
                    pictures.append((rel, _with_heat(rgb, by_key[row.label, rel])))
            strips.append(Strip(_titled(title, number, own), _words(cluster), tuple(pictures)))
        if how.merge:
            strips.append(Strip(title, "", ((MERGED, _coloured(merged(own))),)))
    return strips


def _titled(title: str, number: int, own: Sequence[Cluster]) -> str:
    more = len(own) - CLUSTERS
    last = f" ({more} more)" if number == CLUSTERS - 1 and more > 0 else ""
    return f"{title}: cluster {number}{last}"


def _words(cluster: Cluster) -> str:
    return f"{counted(len(cluster.members), 'photograph')}, p {cluster.probability:.2f}"


def strips_words(how: Grouping) -> str:
    """What the rows are, a sentence or two."""
    order = "the most confident first" if how.merge else "the largest first"
    return (
        f"The heatmaps of each predicted class in groups of alike ones ({how}; {order}): the mean "
        f"map, and the {TYPICAL} photographs nearest to the centre of the group."
    )


def draw_clusters(strips: Sequence[Strip], how: Grouping) -> np.ndarray | None:
    """The same rows as one picture; None without any.

    Args:
        strips: see `cluster_strips`.
        how: the title says.

    Returns:
        (H, W, 3) uint8.
    """
    if not strips:
        return None
    columns = max(len(strip.pictures) for strip in strips)
    tiles: list[Tile | None] = []
    for strip in strips:
        label, _, number = strip.title.rpartition(": ") if strip.words else (strip.title, "", "")
        for place, (text, rgb) in enumerate(strip.pictures):
            words = [label, number, strip.words or text] if place == 0 else []
            tiles.append(Tile(rgb, list(filter(None, words)) or [PurePosixPath(text).name]))
        tiles += [None] * (columns - len(strip.pictures))
    order = "the most confident first" if how.merge else "the largest first"
    return contact_sheet(
        tiles, len(strips), columns, title=f"Alike maps: {how}, {order}", tile=_TILE
    )


def _coloured(heat: np.ndarray) -> np.ndarray:
    large = cv2.resize(heat, (_MEAN_SIDE, _MEAN_SIDE))
    return get_colormap("jet")[(np.clip(large, 0, 1) * 255).astype(np.uint8)]


def _with_heat(rgb: np.ndarray, fact: Fact) -> np.ndarray:
    small = np.ascontiguousarray(shrink(rgb, SIDE))
    whole = (0.0, 0.0, float(small.shape[1]), float(small.shape[0]))
    return overlay(small, None if fact.empty else fact.thumb, whole)
