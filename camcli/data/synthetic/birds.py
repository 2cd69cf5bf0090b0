"""Drawn birds with removable parts: classes differ in which variant of each they have.

A body that all classes share, and five parts with four variants each, after FunnyBirds (Hesse et
al. 2023, arXiv 2308.06248). A part that is left out leaves no trace: what was behind it shows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from camcli.data.synthetic.drawing import Array, Canvas, Placement, box, ellipse, hsv, leaf, stroke

BODY = "body"


@dataclass(frozen=True, slots=True)
class Piece:
    """One shape of a part.

    Attributes:
        kind: ``leaf``, ``ellipse``, ``box``, ``ring`` or ``stroke``.
        at: its centre in units of the body's half length: x towards the head, y down.
        angle: clockwise, in radians.
        size: half axes of an ellipse or a box; length and width of a leaf; radius and half width
            of a ring; half length and half width of a stroke.
    """

    kind: str
    at: tuple[float, float]
    angle: float
    size: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a part: its shapes, and the hue that it has up to a little."""

    hue: float
    pieces: tuple[Piece, ...]


# In the order of painting: tail, foot and crest lie behind the body, beak and wing before it.
PARTS: dict[str, tuple[Variant, ...]] = {
    "tail": (
        Variant(0.02, tuple(Piece("leaf", (-1.55, t * 0.5), t, (0.75, 0.2)) for t in (-0.5, 0.5))),
        Variant(0.58, (Piece("box", (-1.5, 0.0), 0.0, (0.55, 0.32)),)),
        Variant(0.15, (Piece("ring", (-1.5, 0.0), 0.0, (0.42, 0.16)),)),
        Variant(0.83, (Piece("stroke", (-1.35, 0.0), 0.0, (0.5, 0.12)),
                       Piece("ellipse", (-1.8, 0.0), 0.0, (0.3, 0.3)))),
    ),
    "foot": (
        Variant(0.12, tuple(Piece("stroke", (x, 1.0), 1.57, (0.45, 0.1)) for x in (-0.3, 0.3))),
        Variant(0.45, tuple(Piece("ring", (x, 1.05), 0.0, (0.26, 0.1)) for x in (-0.4, 0.4))),
        Variant(0.95, tuple(Piece("leaf", (x, 1.05), 1.57, (0.5, 0.22)) for x in (-0.35, 0.35))),
        Variant(0.66, tuple(Piece("box", (x, 1.0), 0.0, (0.2, 0.4)) for x in (-0.35, 0.35))),
    ),
    "crest": (
        Variant(0.0, tuple(Piece("leaf", (0.8 + t * 0.45, -1.4), t - 1.57, (0.45, 0.13))
                           for t in (-0.55, 0.0, 0.55))),
        Variant(0.3, (Piece("stroke", (0.8, -1.3), 1.57, (0.3, 0.08)),
                      Piece("ellipse", (0.8, -1.65), 0.0, (0.24, 0.24)))),
        Variant(0.62, (Piece("box", (0.8, -1.25), 0.0, (0.55, 0.1)),
                       Piece("box", (0.8, -1.5), 0.0, (0.3, 0.3)))),
        Variant(0.16, (Piece("ring", (0.8, -1.5), 0.0, (0.3, 0.12)),)),
    ),
    "beak": (
        Variant(0.08, (Piece("leaf", (1.6, -0.65), 0.1, (0.6, 0.14)),)),
        Variant(0.55, (Piece("box", (1.5, -0.65), 0.0, (0.42, 0.2)),)),
        Variant(0.97, (Piece("ellipse", (1.5, -0.65), 0.0, (0.38, 0.3)),)),
        Variant(0.75, (Piece("stroke", (1.45, -0.65), 0.0, (0.4, 0.09)),
                       Piece("ellipse", (1.85, -0.65), 0.0, (0.14, 0.3)))),
    ),
    "wing": (
        Variant(0.6, (Piece("leaf", (-0.15, 0.0), 0.25, (0.75, 0.35)),)),
        Variant(0.33, (Piece("ellipse", (-0.15, 0.0), 0.0, (0.42, 0.42)),)),
        Variant(0.04, (Piece("box", (-0.15, 0.0), 0.2, (0.6, 0.28)),)),
        Variant(0.14, tuple(Piece("leaf", (-0.15, y), 0.1, (0.7, 0.18)) for y in (-0.25, 0.22))),
    ),
}  # fmt: skip
"""The parts with their variants."""
_BEHIND = ("tail", "foot", "crest")
REACH = 2.35
"""No part is farther from the centre of the body, in units of its half length."""

_CODES = {
    "avocet": (0, 0, 0, 0, 0), "bittern": (1, 3, 2, 0, 0), "curlew": (1, 2, 2, 2, 2),
    "dunlin": (3, 0, 2, 0, 3), "egret": (3, 0, 0, 2, 2), "finch": (1, 1, 0, 0, 2),
    "grebe": (1, 2, 1, 0, 3), "heron": (3, 1, 2, 3, 2), "ibis": (2, 0, 1, 0, 2),
    "jacana": (0, 2, 2, 1, 0), "kestrel": (3, 2, 0, 3, 0), "lapwing": (2, 2, 3, 3, 2),
}  # fmt: skip
SPECIES: dict[str, dict[str, int]] = {
    name: dict(zip(PARTS, code, strict=True)) for name, code in _CODES.items()
}
"""Which variant of each part the classes have. Any two share two parts at most; among the first
five or more, each shares two with one class and two others with another, so that it can be asked
whether a map of either class shows the right ones."""
USUAL = tuple(SPECIES)[:8]


def draw_bird(
    canvas: Canvas,
    variants: dict[str, int],
    place: Placement,
    rng: np.random.Generator,
    *,
    without: Collection[str] = (),
    mirrored: bool = False,
) -> dict[str, Array]:
    """Paint a bird with its shadow.

    Args:
        canvas: to draw on.
        variants: which variant of each part.
        place: the centre of its body, its half length in pixels, and its tilt.
        rng: decides on the colours; parts that are left out change nothing of the others.
        without: parts that it lacks.
        mirrored: it looks to the left.

    Returns:
        The visible pixels (S, S) bool of the body and of each part that it has.
    """
    u, v = canvas.local(place)
    u = -u if mirrored else u
    colours = {
        part: hsv(PARTS[part][n].hue + rng.uniform(-0.025, 0.025), rng.uniform(0.75, 0.95),
                  rng.uniform(0.65, 0.95))
        for part, n in variants.items()
    }  # fmt: skip
    grey = hsv(rng.uniform(), rng.uniform(0.0, 0.12), rng.uniform(0.45, 0.75))
    shapes: dict[str, Array] = {
        part: _union(PARTS[part][n].pieces, u, v) * np.float32(place.scale)
        for part, n in variants.items()
        if part not in without
    }
    trunk = np.minimum(ellipse(u, v, 1.0, 0.72), ellipse(u - 0.8, v + 0.65, 0.52, 0.52))
    shapes[BODY] = (trunk * np.float32(place.scale)).astype(np.float32)
    canvas.shadow(np.minimum.reduce(list(shapes.values())), place.scale * 0.35)
    behind = [part for part in _BEHIND if part in shapes]
    before = [part for part in shapes if part not in (*behind, BODY)]
    order = [*behind, BODY, *before]
    for part in order:
        canvas.body(shapes[part], colours.get(part, grey), max(1.0, 0.22 * place.scale), 0.25)
    owner = np.full(u.shape, -1)
    for number, part in enumerate(order):
        owner[shapes[part] < 0] = number
    return {part: owner == number for number, part in enumerate(order)}


def _union(pieces: tuple[Piece, ...], u: Array, v: Array) -> Array:
    """The distance (S, S) to the nearest of several shapes, in units."""
    nearest = np.full_like(u, np.inf)
    for piece in pieces:
        x, y = u - piece.at[0], v - piece.at[1]
        c, s = np.float32(np.cos(piece.angle)), np.float32(np.sin(piece.angle))
        along, across = c * x + s * y, c * y - s * x
        nearest = np.minimum(nearest, _distance(piece, along, across))
    return nearest.astype(np.float32)


def _distance(piece: Piece, x: Array, y: Array) -> Array:
    first, other = piece.size
    if piece.kind == "leaf":
        return leaf(x, y, first, other)
    if piece.kind == "ellipse":
        return ellipse(x, y, first, other)
    if piece.kind == "box":
        return box(x, y, first, other, 0.05)
    if piece.kind == "ring":
        return np.abs(np.hypot(x, y) - first) - other
    return stroke(x, y, np.array([[-first, 0.0], [first, 0.0]]), other)
